//! Watches one target.
//!
//! - hears: [`Punch`] (own timer), [`Recount`], [`GetEvidence`], [`Stop`]
//! - says: [`ProbeCompleted`] to its hearers, [`ChildExited`] to its parent
//! - owns: the target's [`Memory`]; at most one probe in flight
//! - timer: the next [`Punch`], armed when the last result was accepted, so probes never overlap

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::prelude::*;
use futures_util::{FutureExt, future::join_all};
use log::warn;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};

use crate::{
    domain::{
        Cause, Edge, Evidence, Fault, Health, Incident, LATE_AFTER, Outcome, Schedule, Sighting, Slots,
        Status, Tally, Target, TargetId, TargetState,
    },
    event::ProbeCompleted,
    lifecycle::{ChildExited, Stop},
    port::{Clock, Prober, ProberBuilder, Tracer},
};

/// How long the hearers may take to accept a result before the target goes on without them.
const ACCEPT_WITHIN: Duration = Duration::from_secs(10);

/// How long after its timeout a probe is cut off; it should have ended itself.
const GRACE: Duration = Duration::from_secs(1);

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

/// What a target's actor knows, and hands on to its successor.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    health: Health,
    tally: Tally,
    incident: Option<Incident>,
    evidence: Evidence,
    /// The last reason why the row cannot be probed; it is told once.
    config_reason: Option<String>,
}

impl Memory {
    /// What the store last knew, so that a restart forgets no failure.
    pub fn stored(state: &TargetState) -> Self {
        Self {
            health: Health::known(state.status),
            tally: state.tally,
            incident: state.incident,
            ..Self::default()
        }
    }

    /// Takes a result in and says what it means, unless it is a fault of the row that was told before.
    pub fn take_in(
        &mut self,
        target: &Arc<Target>,
        at: OffsetDateTime,
        outcome: Outcome,
        slots: Slots,
    ) -> Option<ProbeCompleted> {
        let config_reason = (outcome.failure == Some(Cause::Config)).then(|| outcome.reason.clone());
        if config_reason.is_some() && config_reason == self.config_reason {
            return None;
        }
        self.config_reason = config_reason;

        let edge = self.health.apply(&outcome, target.options.thresholds());
        let incident = edge.and_then(|edge| self.follow(edge, target.id, at));
        self.tally.count(&outcome);
        let outcome = Arc::new(outcome);
        let sighting = Some(Sighting { at, outcome: outcome.clone() });
        if outcome.passed() {
            self.evidence.last_success = sighting;
        } else {
            self.evidence.last_failure = sighting;
        }
        let status = self.health.status();
        let target = target.clone();
        Some(ProbeCompleted { target, at, outcome, status, edge, incident, tally: self.tally, slots })
    }

    /// The last results.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Begins or ends the incident that goes with an edge.
    fn follow(&mut self, edge: Edge, target: TargetId, at: OffsetDateTime) -> Option<Incident> {
        match edge.to {
            Status::Fail => {
                self.incident = Some(Incident::begin(at, target.0));
                self.incident
            }
            _ => self.incident.take().map(|incident| incident.end(at)),
        }
    }
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
    /// Who hears of results.
    pub hearers: Vec<Recipient<ProbeCompleted>>,
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
    hearers: Vec<Recipient<ProbeCompleted>>,
    parent: Recipient<ChildExited<Life, Memory>>,
    pulse: Pulse,
    clock: Arc<dyn Clock>,
    memory: Memory,
    started: Instant,
    schedule: Schedule,
    probing: bool,
}

impl TargetActor {
    /// Must be called on the thread of the actor, where its time begins.
    pub fn new(post: Post) -> Self {
        let Post { life, target, prober, first_within, memory, hearers, parent, pulse, clock } = post;
        Self {
            schedule: Schedule::new(target.id.0, target.frequency, first_within),
            life,
            target,
            builder: Some(prober),
            prober: None,
            hearers,
            parent,
            pulse,
            clock,
            memory,
            started: Instant::now(),
            probing: false,
        }
    }

    fn rest(&mut self, ctx: &mut Context<Self>) {
        self.probing = false;
        let wait = self.schedule.due().saturating_sub(self.started.elapsed());
        self.pulse.expect_within(wait);
        ctx.notify_later(Punch, wait);
    }

    fn finish(&mut self, at: OffsetDateTime, late: bool, outcome: Outcome, ctx: &mut Context<Self>) {
        let skipped = self.schedule.advance(self.started.elapsed());
        let slots = Slots { done: 1, late: u64::from(late), skipped };
        match self.memory.take_in(&self.target, at, outcome, slots) {
            Some(event) => self.tell(event, ctx, Self::rest),
            None => self.rest(ctx),
        }
    }

    /// Tells the hearers and goes on when they have accepted.
    ///
    /// That bounds every hearer's mailbox to one result a target without dropping any.
    fn tell(
        &mut self,
        event: ProbeCompleted,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) {
        let told = join_all(self.hearers.iter().map(|hearer| hearer.send(event.clone())));
        ctx.spawn(timeout(ACCEPT_WITHIN, told).into_actor(self).map(|told, actor, ctx| {
            if told.is_err() {
                warn!("a result of target {} was not accepted within {ACCEPT_WITHIN:?}", actor.target.id);
            }
            then(actor, ctx);
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
        let Some(prober) = self.prober.as_ref().filter(|_| !self.probing) else {
            return;
        };
        let late = self.started.elapsed() > self.schedule.due() + LATE_AFTER;
        let tracer = Tracer::start(&self.clock);
        let at = self.clock.now();
        let limit = self.target.timeout + GRACE;
        let probe = AssertUnwindSafe(prober.probe(tracer)).catch_unwind();
        self.probing = true;
        self.pulse.expect_within(limit + ACCEPT_WITHIN);
        ctx.spawn(timeout(limit, probe).into_actor(self).map(move |seen, actor, ctx| {
            let outcome = match seen {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_panic)) => Outcome::fail(Cause::Internal, "skypunch failed: the probe panicked"),
                Err(_elapsed) => {
                    let limit = actor.target.timeout;
                    Outcome::fail(Cause::Timeout, format!("no answer within {} s", limit.as_secs()))
                }
            };
            actor.finish(at, late, outcome, ctx);
        }));
    }
}

impl Handler<Recount> for TargetActor {
    type Result = ();

    fn handle(&mut self, Recount(tally): Recount, _: &mut Context<Self>) {
        self.memory.tally = tally;
    }
}

impl Handler<GetEvidence> for TargetActor {
    type Result = MessageResult<GetEvidence>;

    fn handle(&mut self, _: GetEvidence, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.memory.evidence.clone())
    }
}

impl Handler<Stop> for TargetActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}
