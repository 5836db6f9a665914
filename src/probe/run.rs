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
pub(super) trait Look: 'static {
    /// What the trace begins with.
    fn opening(&self, url: &str) -> String {
        format!("Connecting to {url} ....")
    }

    /// Looks once, and says what a pass is. It may be dropped at any await, when the time is over.
    fn look<'a>(&'a self, progress: &'a mut Progress) -> LocalBoxFuture<'a, Result<String, Failure>>;
}

/// A prober that looks at a target.
pub(super) fn prober(target: &Target, limits: Limits, look: impl Look + Send) -> ProberBuilder {
    let (url, timeout) = (target.url.clone(), target.timeout);
    Box::new(move || Box::new(Runner(Rc::new(Run { url, timeout, limits, look }))))
}

/// The same, whose look is made on the thread where it is done, and judges by itself what is too slow.
pub(super) fn prober_by<L: Look>(
    target: &Target,
    make: impl FnOnce() -> L + Send + 'static,
) -> ProberBuilder {
    let (url, timeout, limits) = (target.url.clone(), target.timeout, Limits::default());
    Box::new(move || Box::new(Runner(Rc::new(Run { url, timeout, limits, look: make() }))))
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
        progress.step(self.look.opening(&self.url));
        let found = timeout_at(deadline, self.look.look(&mut progress)).await;
        let found = found.unwrap_or_else(|_| {
            let limit = self.timeout.as_secs_f64();
            Err((Cause::Timeout, format!("no answer within {limit} s: {}", progress.stage())))
        });
        let found = found.and_then(|reason| match self.limits.slow(progress.elapsed()) {
            Some(slow) => Err((Cause::Assertion, slow)),
            None => Ok(reason),
        });
        let (phase, status) = (progress.phase(), progress.status());
        let outcome = match found {
            Ok(reason) => {
                let reason = progress.masked(reason);
                progress.step(format!("{phase} [OK] {reason}"));
                Outcome::pass(reason)
            }
            Err((cause, reason)) => {
                let reason = progress.masked(reason);
                progress.step(format!("{phase} [FAIL] reason: {reason}"));
                Outcome::fail(cause, reason)
            }
        };
        let (timings, trace) = progress.finish();
        Outcome { http_status: status.map(|status| status.as_u16()), timings, trace, ..outcome }
    }
}

/// A failure of the network in the words of a probe.
pub(super) fn failure(error: NetError) -> Failure {
    (error.cause(), error.to_string())
}
