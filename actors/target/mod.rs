//! Watches one target.
//!
//! - hears: [`Punch`] (own timer), [`Recount`], [`GetEvidence`], [`Stop`]
//! - says: [`ProbeCompleted`] to its hearer, [`ChildExited`] to its parent
//! - owns: the target's [`Memory`]; at most one probe in flight
//! - timer: the next [`Punch`], armed when the last result was accepted, so probes never overlap

mod memory;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::prelude::*;
use futures_util::FutureExt;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};

pub use self::memory::Memory;
use crate::{
    domain::{Cause, Evidence, Fault, LATE_AFTER, Outcome, Schedule, Slots, Tally, Target, TargetId},
    event::{ACCEPT_WITHIN, ProbeCompleted},
    gate::{Gate, PATIENCE, Place},
    lifecycle::{ChildExited, Stop},
    port::{Clock, Prober, ProberBuilder, Tracer},
};

/// How long after its timeout a probe is cut off; it should have ended itself.
const GRACE: Duration = Duration::from_secs(1);

/// How long a target may wait at the gate before it is taken for dead.
const WAITS_WITHIN: Duration = Duration::from_secs(600);

/// Probe now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Punch;

/// Go on counting from here: somebody reset the counters of the row.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Recount(pub Tally);

/// What did the last probes find?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Evidence")]
pub struct GetEvidence;

/// One life of a target's actor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Life {
    /// The target.
    pub target: TargetId,
    /// Counts the lives of all targets, so that a late word of an earlier one is known for what it is.
    pub number: u64,
}

/// Until when a target must have been heard from, for the parent's eye on it.
#[derive(Clone, Debug)]
pub struct Pulse {
    epoch: Instant,
    due_ms: Arc<AtomicU64>,
}

impl Pulse {
    /// A pulse that is due within `first` from now.
    pub fn new(first: Duration) -> Self {
        let pulse = Self { epoch: Instant::now(), due_ms: Arc::default() };
        pulse.expect_within(first);
        pulse
    }

    fn expect_within(&self, time: Duration) {
        let due = self.epoch.elapsed().saturating_add(time);
        self.due_ms.store(u64::try_from(due.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long it is overdue.
    pub fn overdue(&self) -> Duration {
        let due = Duration::from_millis(self.due_ms.load(Ordering::Relaxed));
        self.epoch.elapsed().saturating_sub(due)
    }
}

/// What an actor needs for one life.
pub struct Post {
    /// Which life it is.
    pub life: Life,
    /// The target.
    pub target: Arc<Target>,
    /// How it is probed, or why it cannot be.
    pub prober: Result<ProberBuilder, Vec<Fault>>,
    /// How soon the first probe is.
    pub first_within: Duration,
    /// What is known of it.
    pub memory: Memory,
    /// The gate of its thread.
    pub gate: Gate,
    /// Who hears of results.
    pub hearer: Recipient<ProbeCompleted>,
    /// Who hears of the end.
    pub parent: Recipient<ChildExited<Life, Memory>>,
    /// The parent's eye on it.
    pub pulse: Pulse,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// Watches one target.
pub struct TargetActor {
    life: Life,
    target: Arc<Target>,
    builder: Option<Result<ProberBuilder, Vec<Fault>>>,
    prober: Option<Box<dyn Prober>>,
    gate: Gate,
    hearer: Recipient<ProbeCompleted>,
    parent: Recipient<ChildExited<Life, Memory>>,
    pulse: Pulse,
    clock: Arc<dyn Clock>,
    memory: Memory,
    started: Instant,
    schedule: Schedule,
    probing: bool,
    /// Whether a result is told and not accepted yet, and whether the end waits for that.
    telling: bool,
    ending: bool,
    /// When it could have probed again.
    ready: Duration,
    /// Whether the next probe is one between due times, which confirms a failure.
    retrying: bool,
}

impl TargetActor {
    /// Must be called on the thread of the actor, where its time begins.
    pub fn new(post: Post) -> Self {
        let Post { life, target, prober, first_within, memory, gate, hearer, parent, pulse, clock } = post;
        Self {
            schedule: Schedule::new(target.id.0, target.frequency, first_within),
            life,
            target,
            builder: Some(prober),
            prober: None,
            gate,
            hearer,
            parent,
            pulse,
            clock,
            memory,
            started: Instant::now(),
            probing: false,
            telling: false,
            ending: false,
            ready: Duration::ZERO,
            retrying: false,
        }
    }

    fn rest(&mut self, ctx: &mut Context<Self>) {
        self.probing = false;
        self.ready = self.started.elapsed();
        let due = self.schedule.due().saturating_sub(self.ready);
        // A failure is confirmed sooner than at the next due time, where the row wants that.
        let retry = self.target.options.retry_interval_ms.filter(|_| self.memory.health.suspects());
        let retry = retry.map(Duration::from_millis).filter(|retry| *retry < due);
        self.retrying = retry.is_some();
        let wait = retry.unwrap_or(due);
        self.pulse.expect_within(wait);
        ctx.notify_later(Punch, wait);
    }

    /// Probes, with a place behind the gate.
    fn probe(&mut self, place: Place, ctx: &mut Context<Self>) {
        let Some(prober) = &self.prober else { return };
        let begun = self.started.elapsed();
        let tracer = Tracer::start(&self.clock);
        let at = self.clock.now();
        let limit = self.target.timeout + GRACE;
        let mut probe = AssertUnwindSafe(prober.probe(tracer)).catch_unwind();
        let probed = async move {
            match timeout(PATIENCE, &mut probe).await {
                Ok(seen) => Ok(seen),
                Err(_still_waits) => {
                    drop(place);
                    timeout(limit - PATIENCE, probe).await
                }
            }
        };
        self.pulse.expect_within(limit + ACCEPT_WITHIN);
        ctx.spawn(probed.into_actor(self).map(move |seen, actor, ctx| {
            let outcome = match seen {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_panic)) => Outcome::fail(Cause::Internal, "skypunch failed: the probe panicked"),
                Err(_elapsed) => {
                    let limit = actor.target.timeout;
                    Outcome::fail(Cause::Timeout, format!("no answer within {} s", limit.as_secs()))
                }
            };
            actor.finish(at, begun, outcome, ctx);
        }));
    }

    /// What became of the slots, after a probe that took from `begun` until now.
    fn slots(&mut self, begun: Duration) -> Slots {
        let now = self.started.elapsed();
        let due = self.schedule.due();
        // A retry is no slot; one that outlasts the next due time has taken it.
        if self.retrying && now < due {
            return Slots::default();
        }
        let late = u64::from(begun > due + LATE_AFTER);
        // Those that passed before it was ready are not for want of time.
        let passed_at = |at| self.schedule.clone().advance(at);
        let shed = passed_at(begun) - passed_at(self.ready.min(begun));
        Slots { done: 1, late, shed, skipped: self.schedule.advance(now) }
    }

    fn finish(&mut self, at: OffsetDateTime, begun: Duration, outcome: Outcome, ctx: &mut Context<Self>) {
        let slots = self.slots(begun);
        match self.memory.take_in(&self.target, at, outcome, slots) {
            Some(event) => self.tell(event, ctx, Self::rest),
            None => self.rest(ctx),
        }
    }

    /// Tells the hearer and goes on when it has accepted.
    fn tell(
        &mut self,
        event: ProbeCompleted,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) {
        self.telling = true;
        // A hearer that is gone ends the daemon.
        ctx.spawn(self.hearer.send(event).into_actor(self).map(|_, actor, ctx| {
            actor.telling = false;
            if actor.ending {
                ctx.stop();
            } else {
                then(actor, ctx);
            }
        }));
    }
}

impl Actor for TargetActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        match self.builder.take() {
            Some(Ok(build)) => {
                self.prober = Some(build());
                self.rest(ctx);
            }
            // Told once a life; the parent begins a new one when the row changes.
            Some(Err(faults)) => {
                let outcome = Outcome::fail(Cause::Config, Fault::join(&faults));
                self.pulse.expect_within(Duration::MAX);
                let at = self.clock.now();
                if let Some(event) = self.memory.take_in(&self.target, at, outcome, Slots::default()) {
                    self.tell(event, ctx, |_, _| ());
                }
            }
            None => ctx.stop(),
        }
    }

    // Also runs while a panic unwinds: a panic in here would abort the process.
    fn stopped(&mut self, _: &mut Context<Self>) {
        let left = std::mem::take(&mut self.memory);
        let exited = ChildExited { child: self.life, panicked: std::thread::panicking(), left };
        #[expect(clippy::disallowed_methods, reason = "once a life; nobody is left to await it")]
        self.parent.do_send(exited);
    }
}

impl Handler<Punch> for TargetActor {
    type Result = ();

    fn handle(&mut self, _: Punch, ctx: &mut Context<Self>) {
        if self.probing || self.prober.is_none() {
            return;
        }
        self.probing = true;
        match self.gate.try_enter() {
            Some(place) => self.probe(place, ctx),
            None => {
                self.pulse.expect_within(WAITS_WITHIN);
                ctx.spawn(
                    self.gate.enter().into_actor(self).map(|place, actor, ctx| actor.probe(place, ctx)),
                );
            }
        }
    }
}

impl Handler<Recount> for TargetActor {
    type Result = ();

    fn handle(&mut self, Recount(tally): Recount, _: &mut Context<Self>) {
        self.memory.recount(tally);
    }
}

impl Handler<GetEvidence> for TargetActor {
    type Result = MessageResult<GetEvidence>;

    fn handle(&mut self, _: GetEvidence, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.memory.evidence().clone())
    }
}

impl Handler<Stop> for TargetActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        // What is told would be lost with its sender, and the successor goes on from what came of it.
        if self.telling {
            self.ending = true;
        } else {
            ctx.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{pause, sleep};

    use super::*;
    use crate::{
        domain::{Edge, Incident, Status, TargetRow},
        port::plan_probe,
        testing::{Collector, ScriptedProbers, Step, TestClock, fixtures::target_row},
    };

    struct Watch {
        addr: Addr<TargetActor>,
        heard: Collector<ProbeCompleted>,
        exited: Collector<Exited>,
        probers: ScriptedProbers,
    }

    /// What is kept of a `ChildExited`, which cannot be cloned.
    #[derive(Clone, Message)]
    #[rtype(result = "()")]
    struct Exited(bool, Tally);

    struct Parent(Recipient<Exited>);

    impl Actor for Parent {
        type Context = Context<Self>;
    }

    impl Handler<ChildExited<Life, Memory>> for Parent {
        type Result = ();

        fn handle(&mut self, exited: ChildExited<Life, Memory>, ctx: &mut Context<Self>) {
            let kept = self.0.send(Exited(exited.panicked, exited.left.tally));
            ctx.spawn(kept.into_actor(self).map(|_, _, _| ()));
        }
    }

    /// Starts an actor on a paused clock.
    fn watch(row: TargetRow, steps: impl IntoIterator<Item = Step>) -> Watch {
        pause();
        watch_at(Gate::default(), row, steps)
    }

    fn watch_at(gate: Gate, row: TargetRow, steps: impl IntoIterator<Item = Step>) -> Watch {
        let heard = Collector::<ProbeCompleted>::default();
        Watch { heard: heard.clone(), ..watch_told(heard.recipient(), gate, row, steps) }
    }

    fn watch_told(
        hearer: Recipient<ProbeCompleted>,
        gate: Gate,
        row: TargetRow,
        steps: impl IntoIterator<Item = Step>,
    ) -> Watch {
        let probers = ScriptedProbers::new(steps);
        let heard = Collector::<ProbeCompleted>::default();
        let exited = Collector::<Exited>::default();
        let (target, prober) = plan_probe(&probers, row.id, &row.definition);
        let actor = TargetActor::new(Post {
            life: Life { target: row.id, number: 1 },
            target: Arc::new(target),
            prober,
            first_within: Duration::from_secs(1),
            memory: Memory::stored(&row.state),
            gate,
            hearer,
            parent: Parent(exited.recipient()).start().recipient(),
            pulse: Pulse::new(Duration::ZERO),
            clock: Arc::new(TestClock::default()),
        });
        Watch { addr: actor.start(), heard, exited, probers }
    }

    fn every_second(timeout: i64) -> TargetRow {
        let mut row = target_row(1, "home");
        row.definition.frequency = 1;
        row.definition.timeout = timeout;
        row
    }

    fn up() -> Step {
        Step::See(Outcome::pass("200 OK"))
    }

    fn down() -> Step {
        Step::See(Outcome::fail(Cause::Connect, "connection refused"))
    }

    fn slots(events: &[ProbeCompleted]) -> Slots {
        let mut sum = Slots::default();
        events.iter().for_each(|event| sum.add(event.slots));
        sum
    }

    #[actix::test]
    async fn a_failure_and_a_recovery_are_two_edges_of_one_incident() {
        let watch = watch(every_second(1), [up(), down(), down(), up()]);
        sleep(Duration::from_secs(5)).await;
        let events = watch.heard.heard();
        let edges: Vec<_> = events.iter().filter_map(|e| Some((e.edge?.to, e.incident))).collect();
        let failed: Vec<_> = events.iter().filter_map(|e| Some(e.incident?.failed_probes)).collect();
        assert_eq!(failed, [1, 2, 2]);
        assert_eq!(edges[0], (Status::Pass, None));
        let (began, ended) = (edges[1].1.unwrap(), edges[2].1.unwrap());
        assert_eq!((edges[1].0, edges[2].0, edges.len()), (Status::Fail, Status::Pass, 3));
        assert_eq!((began.id, began.ended_at), (ended.id, None));
        assert_eq!((ended.ended_at.unwrap() - ended.started_at).whole_seconds(), 2);
    }

    #[actix::test]
    async fn a_failure_is_confirmed_sooner_than_the_next_slot_where_the_row_wants_it() {
        let mut row = target_row(1, "home");
        row.definition.options =
            Some(crate::domain::Secret::new(r#"{"failure_threshold": 3, "retry_interval_ms": 500}"#));
        let watch = watch(row, [up(), down()]);
        sleep(Duration::from_secs(130)).await;
        let events = watch.heard.heard();
        let edge =
            events.iter().find(|event| event.edge.is_some_and(|edge| edge.to == Status::Fail)).unwrap();
        let first = events.iter().find(|event| !event.outcome.passed()).unwrap();
        assert!((1_000..1_100).contains(&(edge.at - first.at).whole_milliseconds()));
        assert_eq!(slots(&events).done, 3, "retries are no slots");
        assert_eq!(events.last().unwrap().tally.fail_count, 4);
    }

    #[actix::test]
    async fn people_are_reminded_while_it_fails_at_the_pace_that_the_row_wants() {
        let mut row = every_second(1);
        row.definition.options = Some(crate::domain::Secret::new(r#"{"reminder_interval_s": 10}"#));
        let watch = watch(row, [down()]);
        sleep(Duration::from_secs(36)).await;
        let events = watch.heard.heard();
        let began = events[0].at;
        let reminded = events.iter().filter(|event| event.reminder);
        let seconds: Vec<_> = reminded.map(|event| (event.at - began).whole_seconds()).collect();
        assert_eq!(seconds, [10, 20, 30]);
    }

    #[actix::test]
    async fn a_restart_does_not_remind_of_what_was_told_before() {
        let mut row = every_second(1);
        row.definition.options = Some(crate::domain::Secret::new(r#"{"reminder_interval_s": 10}"#));
        row.state.status = Status::Fail;
        let hour = time::Duration::hours(1);
        row.state.incident = Some(Incident::begin(TestClock::default().now() - hour, 1));
        let watch = watch(row, [down()]);
        sleep(Duration::from_secs(15)).await;
        assert_eq!(watch.heard.heard().iter().filter(|event| event.reminder).count(), 1);
    }

    #[actix::test]
    async fn every_second_is_a_slot_and_none_drifts() {
        let watch = watch(every_second(1), [Step::After(Duration::from_millis(300), Outcome::pass(""))]);
        sleep(Duration::from_secs(3_600)).await;
        let events = watch.heard.heard();
        assert_eq!(slots(&events), Slots { done: events.len() as u64, ..Slots::default() });
        assert!((3_599..=3_600).contains(&events.len()));
        let first_to_last = (events[3_598].at - events[0].at).as_seconds_f64();
        assert!((first_to_last - 3_598.0).abs() < 0.01, "{first_to_last}");
    }

    #[actix::test]
    async fn a_slow_target_skips_slots_that_are_counted_and_never_overlaps() {
        let watch = watch(every_second(5), [Step::After(Duration::from_millis(2_500), Outcome::pass(""))]);
        sleep(Duration::from_secs(31)).await;
        let slots = slots(&watch.heard.heard());
        assert_eq!((slots.done, slots.skipped), (10, 20));
        assert!(watch.probers.probes(TargetId(1)) <= 11);
    }

    #[actix::test]
    async fn a_hanging_probe_is_a_timeout_and_does_not_pile_up() {
        let watch = watch(every_second(3), [Step::Hang]);
        sleep(Duration::from_secs(30)).await;
        let events = watch.heard.heard();
        assert_eq!(events[0].outcome.failure, Some(Cause::Timeout));
        assert_eq!(events[0].outcome.reason, "no answer within 3 s");
        assert!(watch.probers.probes(TargetId(1)) <= events.len() + 1);
    }

    #[actix::test]
    async fn a_probe_that_panics_is_a_failure_and_the_actor_lives() {
        let watch = watch(every_second(1), [Step::Panic, up()]);
        sleep(Duration::from_secs(3)).await;
        let events = watch.heard.heard();
        assert_eq!(events[0].outcome.failure, Some(Cause::Internal));
        assert!(events[1].outcome.passed());
    }

    #[actix::test]
    async fn a_row_that_cannot_be_probed_is_told_once_and_counts_nothing() {
        let mut row = every_second(1);
        row.definition.frequency = -1;
        let watch = watch(row, [up()]);
        sleep(Duration::from_secs(60)).await;
        let events = watch.heard.heard();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].outcome.failure, Some(Cause::Config));
        assert_eq!((events[0].status, events[0].tally), (Status::Fail, Tally::default()));
        assert_eq!(events[0].slots, Slots::default());
    }

    #[actix::test]
    async fn a_fault_found_while_probing_is_told_once_a_change() {
        let fault = |reason| Step::See(Outcome::fail(Cause::Config, reason));
        let watch = watch(every_second(1), [fault("a"), fault("a"), fault("b"), up(), fault("b")]);
        sleep(Duration::from_secs(10)).await;
        let reasons: Vec<_> = watch.heard.heard().iter().map(|e| e.outcome.reason.clone()).collect();
        assert_eq!(reasons, ["a", "b", "200 OK", "b"]);
    }

    #[actix::test]
    async fn a_stored_failure_recovers_after_a_restart() {
        let mut row = every_second(1);
        row.state.status = Status::Fail;
        row.state.tally.pass_count = 41;
        let watch = watch(row, [up()]);
        sleep(Duration::from_secs(2)).await;
        let first = &watch.heard.heard()[0];
        assert_eq!(first.edge, Some(Edge { from: Status::Fail, to: Status::Pass }));
        assert_eq!(first.tally.pass_count, 42);
    }

    #[actix::test]
    async fn slots_that_pass_while_it_waits_at_the_gate_are_shed() {
        pause();
        let gate = Gate::default();
        let mut within: Vec<Place> = std::iter::from_fn(|| gate.try_enter()).collect();
        let watch = watch_at(gate, every_second(1), [up()]);
        sleep(Duration::from_millis(5_700)).await;
        assert!(watch.heard.heard().is_empty());
        within.pop();
        sleep(Duration::from_millis(1)).await;
        let first = watch.heard.heard()[0].slots;
        assert_eq!((first.done, first.late, first.skipped, first.shed), (1, 1, 5, 5));
        sleep(Duration::from_secs(2)).await;
        assert_eq!(slots(&watch.heard.heard()), Slots { done: 3, late: 1, skipped: 5, shed: 5 });
    }

    #[actix::test]
    async fn a_target_that_does_not_answer_holds_nobody_up() {
        pause();
        let gate = Gate::default();
        let mut within: Vec<Place> = std::iter::from_fn(|| gate.try_enter()).collect();
        within.pop();
        let _hangs = watch_at(gate.clone(), every_second(9), [Step::Hang]);
        let watch = watch_at(gate, every_second(1), [up()]);
        sleep(Duration::from_secs(12)).await;
        let slots = slots(&watch.heard.heard());
        assert_eq!((slots.done + slots.skipped, slots.skipped), (12, 0));
    }

    #[actix::test]
    async fn what_it_knew_is_handed_on_when_it_stops() {
        let stopped = watch(every_second(1), [up()]);
        sleep(Duration::from_secs(3)).await;
        stopped.addr.send(Stop).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        let Exited(panicked, tally) = stopped.exited.heard()[0];
        assert!(!panicked && tally.pass_count == 3);
    }

    /// Accepts after three seconds and a half.
    struct Slow(Recipient<ProbeCompleted>);

    impl Actor for Slow {
        type Context = Context<Self>;
    }

    impl Handler<ProbeCompleted> for Slow {
        type Result = ResponseFuture<()>;

        fn handle(&mut self, event: ProbeCompleted, _: &mut Context<Self>) -> Self::Result {
            let heard = self.0.send(event);
            Box::pin(async move {
                heard.await.unwrap();
                sleep(Duration::from_millis(3_500)).await;
            })
        }
    }

    /// Watches a target whose results are accepted slowly.
    fn watch_slow(step: Step) -> Watch {
        pause();
        let heard = Collector::<ProbeCompleted>::default();
        let slow = Slow(heard.recipient()).start().recipient();
        Watch { heard, ..watch_told(slow, Gate::default(), every_second(1), [step]) }
    }

    #[actix::test]
    async fn slots_that_pass_before_a_result_is_accepted_are_skipped_but_not_shed() {
        let watch = watch_slow(up());
        sleep(Duration::from_secs(20)).await;
        let slots = slots(&watch.heard.heard());
        assert!(slots.skipped >= 12 && slots.shed == 0, "{slots:?}");
    }

    #[actix::test]
    async fn a_stop_before_a_result_is_accepted_loses_no_edge() {
        let watch = watch_slow(down());
        sleep(Duration::from_millis(1_200)).await;
        watch.addr.send(Stop).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        assert!(watch.exited.heard().is_empty());
        sleep(Duration::from_secs(10)).await;
        assert_eq!((watch.heard.heard().len(), watch.exited.heard()[0].1.fail_count), (1, 1));
    }

    #[actix::test]
    async fn what_it_knew_is_handed_on_when_it_dies() {
        let dead = watch(every_second(1), [up(), Step::Die]);
        sleep(Duration::from_secs(3)).await;
        let Exited(panicked, tally) = dead.exited.heard()[0];
        assert!(panicked && tally.pass_count == 1);
    }

    #[actix::test]
    async fn counters_that_an_operator_reset_are_counted_on_from_there() {
        let watch = watch(every_second(1), [up()]);
        sleep(Duration::from_millis(2_500)).await;
        watch.addr.send(Recount(Tally::default())).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(watch.heard.heard().last().unwrap().tally.pass_count, 1);
    }
}
