//! Waits for a condition instead of a time.

use std::time::{Duration, Instant};

/// Asks until the answer is yes, and fails when it is still no after `deadline`.
pub async fn wait_until(what: &str, deadline: Duration, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
