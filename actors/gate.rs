//! Lets only so many probes of one thread be under way at once, first come, first served.
//!
//! # Design notes
//!
//! 2026-11: a thread that has more to do than it can does not slow down, it collapses: each probe that is begun on top
//! makes all others slower, until most of them time out. So who comes when the house is full waits in line, where it
//! costs next to nothing, and the slots that pass meanwhile are counted. As everybody waits in the same line, each gets
//! its fair share. A probe that waits for its target holds nobody up for longer than [`PATIENCE`]: what is scarce is the
//! time of this machine.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The probes of one thread that may be under way, but for those that take longer than [`PATIENCE`].
const PROBES_MAX: usize = 400;

/// How long a probe counts. No thread can begin as many probes in this time as there are places: so where answers are
/// slow and the thread is not, nobody waits.
pub const PATIENCE: Duration = Duration::from_millis(20);

/// The gate of one thread.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

/// Holds a place behind the gate.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PROBES_MAX)))
    }
}

impl Gate {
    /// A place, if one is free and nobody waits for it.
    pub fn try_enter(&self) -> Option<Place> {
        self.0.clone().try_acquire_owned().ok().map(|permit| Place { _permit: permit })
    }

    /// Waits in line for a place.
    pub fn enter(&self) -> impl Future<Output = Place> + use<> {
        let place = self.0.clone().acquire_owned();
        async move { Place { _permit: place.await.expect("the gate is never closed") } }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use tokio::task::{LocalSet, yield_now};

    use super::*;

    #[tokio::test]
    async fn who_finds_no_place_waits_in_line_and_nobody_overtakes() {
        let gate = Gate::default();
        let mut within: Vec<Place> = std::iter::from_fn(|| gate.try_enter()).collect();
        assert_eq!(within.len(), PROBES_MAX);
        let entered = Rc::new(RefCell::new(Vec::new()));
        let line = LocalSet::new();
        for who in 0..3 {
            let (entering, entered) = (gate.enter(), entered.clone());
            line.spawn_local(async move {
                let place = entering.await;
                entered.borrow_mut().push((who, place));
            });
        }
        line.run_until(async {
            yield_now().await;
            for so_many in 1..=3 {
                within.pop();
                assert!(gate.try_enter().is_none(), "it is for who waits");
                yield_now().await;
                assert_eq!(entered.borrow().len(), so_many);
            }
        })
        .await;
        assert_eq!(entered.borrow().iter().map(|(who, _)| *who).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
