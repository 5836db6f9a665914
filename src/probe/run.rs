//! What the kinds do around their own look: one deadline over all of it, the trace, the outcome.

use std::{rc::Rc, time::Duration};

use futures_util::future::LocalBoxFuture;
use skypunch_actors::{
    domain::{Cause, Outcome, Target},
    port::{Prober, ProberBuilder, Tracer},
};
use tokio::time::timeout_at;

use super::limits::Limits;
use crate::net::{NetError, Progress};

/// Why a probe failed.
pub(super) type Failure = (Cause, String);

/// What is particular to a kind.
pub(super) trait Look: Send + 'static {
    /// Looks once, and says what a pass is. It may be dropped at any await, when the time is over.
    fn look<'a>(&'a self, progress: &'a mut Progress) -> LocalBoxFuture<'a, Result<String, Failure>>;
}

/// A prober that looks at a target.
pub(super) fn prober(target: &Target, limits: Limits, look: impl Look) -> ProberBuilder {
    let (url, timeout) = (target.url.clone(), target.timeout);
    Box::new(move || Box::new(Runner(Rc::new(Run { url, timeout, limits, look }))))
}

struct Runner<L>(Rc<Run<L>>);

struct Run<L> {
    url: String,
    timeout: Duration,
    limits: Limits,
    look: L,
}

impl<L: Look> Prober for Runner<L> {
    fn probe(&self, tracer: Tracer) -> LocalBoxFuture<'static, Outcome> {
        let run = Rc::clone(&self.0);
        Box::pin(async move { run.run(tracer).await })
    }
}

impl<L: Look> Run<L> {
    async fn run(&self, tracer: Tracer) -> Outcome {
        let deadline = tracer.begun() + self.timeout;
        let mut progress = Progress::new(tracer);
        progress.step(format!("Connecting to {} ....", self.url));
        let found = timeout_at(deadline, self.look.look(&mut progress)).await;
        let found = found.unwrap_or_else(|_| {
            let limit = self.timeout.as_secs_f64();
            Err((Cause::Timeout, format!("no answer within {limit} s: {}", progress.stage())))
        });
        let found = found.and_then(|reason| match self.limits.slow(progress.elapsed()) {
            Some(slow) => Err((Cause::Assertion, slow)),
            None => Ok(reason),
        });
        let phase = if progress.is_connected() { "Response" } else { "Connection" };
        let outcome = match found {
            Ok(reason) => {
                progress.step(format!("{phase} [OK] {reason}"));
                Outcome::pass(reason)
            }
            Err((cause, reason)) => {
                progress.step(format!("{phase} [FAIL] reason: {reason}"));
                Outcome::fail(cause, reason)
            }
        };
        let (timings, trace) = progress.finish();
        Outcome { timings, trace, ..outcome }
    }
}

/// A failure of the network in the words of a probe.
pub(super) fn failure(error: NetError) -> Failure {
    (error.cause(), error.to_string())
}
