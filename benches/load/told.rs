//! Whether failures and recoveries were told, and how soon.

use serde::Serialize;
use serde_json::Value;

use super::{arrivals::Spread, plan::Plan};

/// A notification that arrived.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Notice {
    pub target: usize,
    /// Whether it tells of a failure, or of the end of one.
    pub fails: bool,
    /// On the clock of the server.
    pub at: f64,
}

/// The changes of the targets' answers, beside the notifications of them.
#[derive(Debug, Serialize)]
pub struct Told {
    pub changes: usize,
    /// Changes of which no notification arrived.
    pub never: usize,
    /// Notifications of no change, or of one that had been told.
    pub in_excess: usize,
    /// From the change of the answer to the arrival of the notification: the wait for the next probe is in it.
    pub after_ms: Spread,
}

impl Notice {
    /// Reads a request once it is complete.
    pub fn read(request: &[u8], at: f64) -> Option<Self> {
        let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        let body: Value = serde_json::from_slice(&request[end + 4..]).ok()?;
        let target = usize::try_from(body["target"]["id"].as_u64()?).ok()?;
        Some(Self { target, fails: body["event"] == "FAIL", at })
    }
}

impl Told {
    /// Finds the notification of each change.
    pub fn judge(plan: &Plan, targets: usize, notices: &[Notice]) -> Self {
        let mut of_target = vec![Vec::new(); targets];
        for notice in notices {
            if let Some(of_target) = notice.target.checked_sub(1).and_then(|n| of_target.get_mut(n)) {
                of_target.push(*notice);
            }
        }
        let (mut changes, mut after) = (0, Vec::new());
        for (id, notices) in (1..).zip(&of_target) {
            let mut notices = notices.as_slice();
            for turn in plan.turns(id) {
                changes += 1;
                let of_turn = |notice: &Notice| notice.fails == turn.fails && notice.at >= turn.at;
                if let Some(found) = notices.iter().position(of_turn) {
                    after.push(((notices[found].at - turn.at) * 1e3) as f32);
                    notices = &notices[found + 1..];
                }
            }
        }
        Self {
            changes,
            never: changes - after.len(),
            in_excess: notices.len() - after.len(),
            after_ms: Spread::of(after),
        }
    }
}
