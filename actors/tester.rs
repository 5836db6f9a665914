//! Tries a row out, apart from the schedule: nothing is stored, nobody else is told.
//!
//! - hears: [`TestTarget`], [`TestNotifier`]
//! - says: nothing; the asker gets the answer, and the steps of a probe as they happen
//! - owns: the kinds of probes and sinks
//! - timer: none; each try has a deadline

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use actix::prelude::*;
use futures_util::FutureExt;
use tokio::{sync::mpsc::UnboundedSender, time::timeout};

use crate::{
    domain::{
        Alert, AlertTarget, Cause, Event, Fault, Notification, NotifierId, NotifierRow, Outcome, Sighting,
        Status, Tally, TargetDefinition, TargetId, TargetRow,
    },
    port::{Clock, ProberFactory, Receipt, SinkError, SinkFactory, Tracer, plan_probe, plan_sink},
};

/// How long a notifier may take.
const DELIVER_WITHIN: Duration = Duration::from_secs(30);

/// Probe a target once, enabled or not.
#[derive(Debug, Message)]
#[rtype(result = "Sighting")]
pub struct TestTarget {
    /// Its row; one that cannot be probed is an outcome of cause `config`.
    pub row: TargetRow,
    /// Is told each step as it happens.
    pub watcher: UnboundedSender<String>,
}

/// Send a `TEST` event to a notifier, enabled or not.
#[derive(Debug, Message)]
#[rtype(result = "Result<Receipt, SinkError>")]
pub struct TestNotifier(pub NotifierRow);

/// Tries rows out.
pub struct Tester {
    probers: Arc<dyn ProberFactory>,
    sinks: Arc<dyn SinkFactory>,
    clock: Arc<dyn Clock>,
}

impl Tester {
    /// A tester of these kinds.
    pub fn new(probers: Arc<dyn ProberFactory>, sinks: Arc<dyn SinkFactory>, clock: Arc<dyn Clock>) -> Self {
        Self { probers, sinks, clock }
    }

    /// A notification about no target, so that nobody takes it for a real one.
    fn test_notification(&self, notifier: NotifierId) -> Notification {
        let (target, _) = TargetDefinition::new("Test of a notifier", "http://localhost/").read(TargetId(0));
        let alert = Alert {
            event: Event::Test,
            at: self.clock.now(),
            target: AlertTarget::from(&target),
            status: Status::New,
            previous_status: Status::New,
            incident: None,
            outcome: Arc::new(Outcome::pass("this is a test: nothing failed")),
            tally: Tally::default(),
        };
        Notification::new(notifier, Arc::new(alert))
    }
}

impl Actor for Tester {
    type Context = Context<Self>;
}

impl Handler<TestTarget> for Tester {
    type Result = ResponseFuture<Sighting>;

    fn handle(&mut self, TestTarget { row, watcher }: TestTarget, _: &mut Context<Self>) -> Self::Result {
        let tracer = Tracer::start(&self.clock).watched_by(watcher);
        let at = self.clock.now();
        let (target, prober) = plan_probe(&*self.probers, row.id, &row.definition);
        Box::pin(async move {
            let outcome = match prober {
                Err(faults) => Outcome::fail(Cause::Config, Fault::join(&faults)),
                Ok(build) => {
                    // The prober ends by itself; this is the net, as in its actor.
                    let limit = target.timeout + Duration::from_secs(1);
                    let probe = async move { build().probe(tracer).await };
                    match timeout(limit, AssertUnwindSafe(probe).catch_unwind()).await {
                        Ok(Ok(outcome)) => outcome,
                        Ok(Err(_panic)) => {
                            Outcome::fail(Cause::Internal, "skypunch failed: the probe panicked")
                        }
                        Err(_elapsed) => {
                            let limit = target.timeout.as_secs();
                            Outcome::fail(Cause::Timeout, format!("no answer within {limit} s"))
                        }
                    }
                }
            };
            Sighting { at, outcome: Arc::new(outcome) }
        })
    }
}

impl Handler<TestNotifier> for Tester {
    type Result = ResponseFuture<Result<Receipt, SinkError>>;

    fn handle(&mut self, TestNotifier(row): TestNotifier, _: &mut Context<Self>) -> Self::Result {
        let sink = plan_sink(&*self.sinks, &row);
        let notification = self.test_notification(row.id);
        Box::pin(async move {
            let build = sink.map_err(|faults| SinkError::Permanent(Fault::join(&faults)))?;
            let sink = build();
            let delivery = AssertUnwindSafe(sink.deliver(&notification)).catch_unwind();
            match timeout(DELIVER_WITHIN, delivery).await {
                Ok(Ok(result)) => result,
                Ok(Err(_panic)) => Err(SinkError::Permanent("skypunch failed: the sink panicked".to_owned())),
                Err(_elapsed) => {
                    let reason = format!("no answer within {} s", DELIVER_WITHIN.as_secs());
                    Err(SinkError::Transient { reason, retry_after: None })
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::testing::{
        Answer, RecordingSinks, ScriptedProbers, Step, TestClock,
        fixtures::{notifier_row, target_row},
    };

    fn tester(step: Step, answer: Answer) -> Addr<Tester> {
        tokio::time::pause();
        let probers = Arc::new(ScriptedProbers::new([step]));
        let sinks = Arc::new(RecordingSinks::new([answer]));
        Tester::new(probers, sinks, Arc::new(TestClock::default())).start()
    }

    #[actix::test]
    async fn a_probe_is_told_step_by_step() {
        let tester = tester(Step::See(Outcome::pass("200 OK")), Answer::Delivered);
        let (watcher, mut steps) = unbounded_channel();
        let sighting = tester.send(TestTarget { row: target_row(1, "home"), watcher }).await.unwrap();
        assert!(sighting.outcome.passed());
        assert_eq!(steps.recv().await, sighting.outcome.trace.lines().next());
    }

    #[actix::test]
    async fn a_row_that_cannot_be_probed_says_why() {
        let tester = tester(Step::Hang, Answer::Delivered);
        let mut row = target_row(1, "home");
        row.definition.frequency = 0;
        let (watcher, _) = unbounded_channel();
        let sighting = tester.send(TestTarget { row, watcher }).await.unwrap();
        assert_eq!(sighting.outcome.failure, Some(Cause::Config));
        assert!(sighting.outcome.reason.contains("frequency"));
    }

    #[actix::test]
    async fn a_probe_or_a_sink_that_panics_or_hangs_is_an_answer() {
        let tester = tester(Step::Die, Answer::Hang);
        let (watcher, _) = unbounded_channel();
        let sighting = tester.send(TestTarget { row: target_row(1, "home"), watcher }).await.unwrap();
        assert_eq!(sighting.outcome.failure, Some(Cause::Internal));
        let told = tester.send(TestNotifier(notifier_row(1, "ops"))).await.unwrap();
        assert!(matches!(told, Err(SinkError::Transient { .. })));
    }

    #[actix::test]
    async fn a_notifier_is_told_a_test() {
        let tester = tester(Step::Hang, Answer::Delivered);
        let told = tester.send(TestNotifier(notifier_row(1, "ops"))).await.unwrap();
        assert_eq!(told, Ok(Receipt("250 taken".to_owned())));
    }
}
