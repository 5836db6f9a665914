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
        Alert, Cause, Event, Fault, Notification, NotifierRow, Outcome, Sighting, Status, Tally,
        TargetDefinition, TargetId, TargetRow,
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
    fn test_notification(&self) -> Notification {
        let (target, _) = TargetDefinition::new("Test of a notifier", "http://localhost/").read(TargetId(0));
        Notification::new(Arc::new(Alert {
            event: Event::Test,
            at: self.clock.now(),
            target: Arc::new(target),
            status: Status::New,
            previous_status: Status::New,
            incident: None,
            outcome: Arc::new(Outcome::pass("this is a test: nothing failed")),
            tally: Tally::default(),
        }))
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
        let notification = self.test_notification();
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
