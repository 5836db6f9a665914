//! Waiting for something that happens elsewhere: the only place where a test sleeps.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Looks until there is something to see; fails after a minute, saying what was missed.
pub async fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}
