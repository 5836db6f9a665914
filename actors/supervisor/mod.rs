//! Keeps one [`TargetActor`](target::TargetActor) running for each enabled row.
//!
//! - hears: [`Reload`], [`GetEvidence`], [`Drain`], [`Stop`]; [`ChildExited`] from its children
//! - says: [`LoadRows`] and [`LoadStates`] to the Persister, [`NotifiersLoaded`] to the Notifier,
//!   [`Stop`] and [`Recount`](target::Recount) to its children
//! - owns: the children, what each was started from, and their restart budgets
//! - timer: the next scan, armed when the last one has ended
//!
//! # Design notes
//!
//! 2026-11: most scans find nothing that changed, and a database can tell so for far less than all rows cost. What that
//! does not tell for certain is found by the scan that reads all, once in [`READ_ALL`].
//!
//! 2026-11: a child that is to change is stopped first, and its successor begins when it is gone, from what
//! it left. Starting the successor at once would be quicker by a message, but two probes of one target could
//! overlap, and the successor would not know what the last of them found.

mod budget;
mod child;
mod reconcile;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use futures_util::future::{OptionFuture, ready};
use log::{error, info};
use tokio::{sync::oneshot, time::Instant};

pub use self::budget::Budget;
use self::child::{Child, ChildState};
use crate::{
    domain::{Evidence, Status, TargetId, TargetRow},
    event::{NotifiersLoaded, ProbeCompleted},
    gate::Gate,
    lifecycle::{ChildExited, Drain, Stop},
    port::{Clock, ProberFactory, Revision, StoreError},
    query::{LoadRows, LoadStates, Loaded, Targets},
    target::{self, Life, Memory},
};

/// How soon a new or changed target is probed.
const FIRST_PROBE: Duration = Duration::from_secs(1);
/// How many targets are probed for the first time within a second: more than that would wait for each other.
const FIRST_PROBES_PER_S: usize = 10_000;
/// How often all rows are read, whether or not anything seems to have changed.
const READ_ALL: Duration = Duration::from_secs(60);
/// Over what time the first probes of known targets are spread when the daemon starts.
const START_SPREAD: Duration = Duration::from_secs(10);

/// Read the database and act on what changed, now.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Reloaded, StoreError>")]
pub struct Reload;

/// What a [`Reload`] did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reloaded {
    /// Targets that were new, or enabled.
    pub started: usize,
    /// Targets whose row changed.
    pub replaced: usize,
    /// Targets that were deleted, or disabled.
    pub stopped: usize,
}

/// What did the last probes of a target find? `None`: nobody watches it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Evidence>")]
pub struct GetEvidence(pub TargetId);

/// Whom the supervisor works with.
#[derive(Clone)]
pub struct Links {
    /// Reads the database.
    pub rows: Recipient<LoadRows>,
    /// Knows how targets stand, whether or not the database answers.
    pub states: Recipient<LoadStates>,
    /// Tells people.
    pub notifier: Recipient<NotifiersLoaded>,
    /// Hears of results of targets that are not watched any more.
    pub courier: Recipient<ProbeCompleted>,
    /// Knows the kinds of probes.
    pub probers: Arc<dyn ProberFactory>,
    /// The threads on which targets are probed; at least one.
    pub threads: Vec<ProbeThread>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// A thread on which targets are probed.
#[derive(Clone)]
pub struct ProbeThread {
    /// The thread.
    pub arbiter: ArbiterHandle,
    /// Bounds what is probed on it at once.
    pub gate: Gate,
    /// Hears of the results of its targets.
    pub courier: Recipient<ProbeCompleted>,
}

/// Keeps one actor running for each enabled row.
pub struct Supervisor {
    links: Links,
    reload_interval: Duration,
    /// Boxed, since a map is never full.
    children: HashMap<TargetId, Box<Child>>,
    lives: u64,
    /// Scans that were begun.
    scans: u64,
    /// The newest of which the Notifier was told: an older one comes too late.
    told: u64,
    /// The newest that was acted on.
    acted_on: u64,
    /// The targets that were acted on last, and when all were last read.
    known: Option<(Revision, Instant)>,
    /// Who waits for all children to be gone; `Some` is the end.
    drained: Option<Vec<oneshot::Sender<usize>>>,
}

impl Supervisor {
    /// A supervisor that scans every `reload_interval`.
    pub fn new(links: Links, reload_interval: Duration) -> Self {
        Self {
            links,
            reload_interval,
            children: HashMap::new(),
            lives: 0,
            scans: 0,
            told: 0,
            acted_on: 0,
            known: None,
            drained: None,
        }
    }

    /// Reads the rows, unless they are those of the revision `known`, and acts on them unless a later scan
    /// already did.
    fn scan(&mut self, known: Option<Revision>) -> ResponseActFuture<Self, Result<Reloaded, StoreError>> {
        self.scans += 1;
        let scan = self.scans;
        let read = self.links.rows.send(LoadRows { known }).into_actor(self);
        let told = read.then(move |loaded, actor: &mut Self, _| {
            let loaded = loaded.map_err(|gone| StoreError::Unavailable(gone.into())).flatten();
            let loaded = loaded.map(|loaded| (scan >= actor.told).then_some(loaded));
            if let Ok(Some(_)) = loaded {
                actor.told = scan;
            }
            let notifier = actor.links.notifier.clone();
            async move {
                let Some(Loaded { revision, targets, notifiers }) = loaded? else { return Ok(None) };
                // Before any target can have something to tell. A notifier that is gone ends the daemon.
                notifier.send(NotifiersLoaded(notifiers)).await.ok();
                Ok(targets.map(|targets| (revision, targets)))
            }
            .into_actor(actor)
        });
        Box::pin(told.map(move |changed: Result<_, StoreError>, actor, ctx| {
            let current = changed?.filter(|_| scan >= actor.acted_on && actor.drained.is_none());
            let Some((revision, targets)) = current else {
                return Ok(Reloaded::default());
            };
            actor.acted_on = scan;
            let at_start = actor.known.replace((revision, Instant::now())).is_none();
            Ok(actor.act_on(&targets, at_start, ctx))
        }))
    }

    /// The targets that need not be read again.
    fn known(&self) -> Option<Revision> {
        let (revision, read_at) = self.known.as_ref()?;
        (read_at.elapsed() < READ_ALL).then(|| revision.clone())
    }

    fn scan_again(&mut self, ctx: &mut Context<Self>) {
        if self.drained.is_none() {
            let scan = self.scan(self.known()).map(|result, actor, ctx| {
                // Why a scan failed is told by the Persister, once.
                drop(result);
                actor.bury_the_silent(ctx);
                actor.arm(ctx);
            });
            ctx.spawn(scan);
        }
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        ctx.run_later(self.reload_interval, Self::scan_again);
    }

    fn act_on(&mut self, targets: &Targets, at_start: bool, ctx: &mut Context<Self>) -> Reloaded {
        let enabled: HashMap<TargetId, &TargetRow> =
            targets.rows.iter().filter(|row| row.definition.enabled).map(|row| (row.id, row)).collect();
        let running = self.children.iter().filter_map(|(&id, child)| Some((id, child.wanted.as_ref()?)));
        let wanted = enabled.iter().map(|(&id, row)| (id, &row.definition));
        let plan = reconcile::reconcile(running, wanted);

        let begun = plan.start.len() + plan.replace.len();
        let soon = FIRST_PROBE.mul_f64((begun as f64 / FIRST_PROBES_PER_S as f64).max(1.0));
        for (id, at_start) in
            plan.start.iter().map(|id| (id, at_start)).chain(plan.replace.iter().map(|id| (id, false)))
        {
            let row = enabled[id];
            let is_known = at_start && row.state.status != Status::New;
            self.want(row, if is_known { START_SPREAD.max(soon) } else { soon }, ctx);
        }
        for id in &plan.stop {
            self.dismiss(*id);
        }
        for id in &targets.reset {
            if let (Some(child), Some(row)) = (self.children.get_mut(id), enabled.get(id)) {
                child.recount(row.state.tally);
            }
        }
        let reloaded =
            Reloaded { started: plan.start.len(), replaced: plan.replace.len(), stopped: plan.stop.len() };
        if reloaded != Reloaded::default() {
            let Reloaded { started, replaced, stopped } = reloaded;
            info!("targets: {started} started, {replaced} changed, {stopped} stopped");
        }
        reloaded
    }

    /// Makes a child run by its row: at once, or when its present life has ended.
    fn want(&mut self, row: &TargetRow, first_within: Duration, ctx: &mut Context<Self>) {
        match self.children.entry(row.id) {
            Entry::Occupied(mut entry) => {
                if !entry.get_mut().change(row, first_within) {
                    self.begin(row.id, ctx);
                }
            }
            Entry::Vacant(entry) => {
                entry.insert(Box::new(Child::new(row, first_within)));
                self.begin(row.id, ctx);
            }
        }
    }

    fn dismiss(&mut self, id: TargetId) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        child.wanted = None;
        if !child.end() {
            self.children.remove(&id);
        }
    }

    /// Begins a life of a child that does not run.
    fn begin(&mut self, id: TargetId, ctx: &mut Context<Self>) {
        if let Some(child) = self.children.get_mut(&id) {
            self.lives += 1;
            let life = Life { target: id, number: self.lives };
            child.begin(life, &self.links, ctx.address().recipient());
        }
    }

    /// The present life of a child is over: `died`, or as it was told to.
    fn after_life(&mut self, id: TargetId, died: Option<&str>, ctx: &mut Context<Self>) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        child.state = ChildState::Idle;
        match died {
            _ if child.wanted.is_none() => {
                self.children.remove(&id);
                self.answer_drain();
            }
            None => self.begin(id, ctx),
            Some(how) if child.budget.forgives(Instant::now()) => {
                error!("the actor of target {id} {how} and is replaced");
                child.first_within = FIRST_PROBE;
                self.begin(id, ctx);
            }
            Some(how) => {
                error!("the actor of target {id} {how} too often and is suspended until its row changes");
                let event = child.suspension(id, how, self.links.clock.now());
                let told = OptionFuture::from(event.map(|event| self.links.courier.send(event)));
                ctx.spawn(told.into_actor(self).map(|_, _, _| ()));
            }
        }
    }

    /// The net under [`ChildExited`]: who is gone without a word, or silent, is replaced, whether or not the
    /// database answers.
    fn bury_the_silent(&mut self, ctx: &mut Context<Self>) {
        let silent = self.children.iter_mut().filter_map(|(&id, child)| {
            let life = if child.is_silent() { child.give_up() } else { None };
            Some((id, life?))
        });
        let silent: Vec<_> = silent.collect();
        if silent.is_empty() {
            return;
        }
        // What they knew is lost, but for what they told.
        let states = self.links.states.send(LoadStates(silent.iter().map(|(id, _)| *id).collect()));
        ctx.spawn(states.into_actor(self).map(|states, actor, ctx| {
            let mut states: HashMap<_, _> = states.unwrap_or_default().into_iter().collect();
            for (id, life) in silent {
                let Some(child) = actor.children.get_mut(&id) else { continue };
                if matches!(child.state, ChildState::Lost { life: lost } if lost == life) {
                    if let Some(state) = states.remove(&id) {
                        child.inherit(Memory::stored(&state));
                    }
                    actor.after_life(id, Some("hung"), ctx);
                }
            }
        }));
    }

    fn answer_drain(&mut self) {
        if self.children.is_empty() {
            for waiting in self.drained.iter_mut().flat_map(std::mem::take) {
                // Whoever waited may have left at its deadline.
                waiting.send(0).ok();
            }
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.scan_again(ctx);
    }
}

impl Handler<Reload> for Supervisor {
    type Result = ResponseActFuture<Self, Result<Reloaded, StoreError>>;

    fn handle(&mut self, _: Reload, _: &mut Context<Self>) -> Self::Result {
        self.scan(None)
    }
}

impl Handler<ChildExited<Life, Memory>> for Supervisor {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<Life, Memory>, ctx: &mut Context<Self>) {
        let id = exited.child.target;
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        let died = match &child.state {
            ChildState::Running { life, .. } if *life == exited.child => Some("panicked"),
            ChildState::Ending { life, .. } if *life == exited.child => None,
            // The late end of a life that was given up before.
            _ => return,
        };
        child.inherit(exited.left);
        self.after_life(id, died, ctx);
    }
}

impl Handler<GetEvidence> for Supervisor {
    type Result = ResponseFuture<Option<Evidence>>;

    fn handle(&mut self, GetEvidence(id): GetEvidence, _: &mut Context<Self>) -> Self::Result {
        match self.children.get(&id).map(|child| (&child.state, &child.memory)) {
            Some((ChildState::Running { addr, .. }, _)) => {
                let asked = addr.send(target::GetEvidence);
                Box::pin(async move { asked.await.ok() })
            }
            Some((_, memory)) => Box::pin(ready(Some(memory.evidence().clone()))),
            None => Box::pin(ready(None)),
        }
    }
}

/// Stops every target; answers when all are gone.
impl Handler<Drain> for Supervisor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        let (gone, all_gone) = oneshot::channel();
        self.drained.get_or_insert_default().push(gone);
        let all: Vec<TargetId> = self.children.keys().copied().collect();
        all.into_iter().for_each(|id| self.dismiss(id));
        self.answer_drain();
        Box::pin(async move { all_gone.await.unwrap_or(0) })
    }
}

impl Handler<Stop> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::LocalBoxFuture;
    use tokio::{
        sync::mpsc::{UnboundedSender, unbounded_channel},
        time::{pause, sleep, timeout},
    };

    use super::*;
    use crate::{
        courier::Courier,
        domain::{self, Cause, Outcome, Secret, Tally, Target, TargetDefinition},
        event::ProbesCompleted,
        persister::Persister,
        port::{Prober, ProberBuilder, Tracer},
        testing::{
            Collector, Fault, Faults, FaultyStore, MemoryJournal, MemoryStore, ScriptedProbers, Step,
            TestClock,
            fixtures::{notifier_row, target_row},
        },
    };

    struct House {
        supervisor: Addr<Supervisor>,
        store: MemoryStore,
        faults: Faults,
        heard: Collector<ProbesCompleted>,
        notifiers: Collector<NotifiersLoaded>,
        probers: ScriptedProbers,
    }

    fn house(targets: impl IntoIterator<Item = TargetRow>, steps: impl IntoIterator<Item = Step>) -> House {
        house_with(targets, steps, |_, _| ())
    }

    /// A supervisor on a paused clock, with a real persister over a store in memory.
    fn house_with(
        targets: impl IntoIterator<Item = TargetRow>,
        steps: impl IntoIterator<Item = Step>,
        change: impl FnOnce(&mut Links, ScriptedProbers),
    ) -> House {
        pause();
        let store = MemoryStore::default();
        targets.into_iter().for_each(|row| store.put_target(row));
        let (faulty, faults) = FaultyStore::new(Arc::new(store.clone()));
        let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
        let journal = Arc::new(MemoryJournal::default());
        let flush_interval = Duration::from_millis(500);
        let persister = Persister::new(Arc::new(faulty), journal, clock.clone(), flush_interval).start();
        let probers = ScriptedProbers::new(steps);
        let heard = Collector::<ProbesCompleted>::default();
        let courier =
            Courier::new(vec![heard.recipient(), persister.clone().recipient()]).start().recipient();
        let notifiers = Collector::<NotifiersLoaded>::default();
        let mut links = Links {
            rows: persister.clone().recipient(),
            states: persister.clone().recipient(),
            notifier: notifiers.recipient(),
            courier: courier.clone(),
            probers: Arc::new(probers.clone()),
            threads: vec![ProbeThread { arbiter: Arbiter::current(), gate: Gate::default(), courier }],
            clock,
        };
        change(&mut links, probers.clone());
        let supervisor = Supervisor::new(links, Duration::from_secs(1)).start();
        House { supervisor, store, faults, heard, notifiers, probers }
    }

    fn every_second(id: u64) -> TargetRow {
        let mut row = target_row(id, &format!("target {id}"));
        row.definition.frequency = 1;
        row
    }

    fn up() -> Step {
        Step::See(Outcome::pass("200 OK"))
    }

    async fn seconds(seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    impl House {
        fn heard_of(&self, id: u64) -> Vec<ProbeCompleted> {
            let results = self.heard.heard();
            let events = results.iter().flat_map(|results| results.0.iter());
            events.filter(|event| event.target.id.0 == id).cloned().collect()
        }
    }

    #[actix::test]
    async fn a_row_inserted_edited_disabled_or_deleted_takes_effect_within_two_seconds() {
        let house = house([], [up()]);
        seconds(5).await;
        house.store.put_target(every_second(1));
        seconds(2).await;
        assert_eq!(house.store.target(TargetId(1)).state.status, Status::Pass);

        house.store.edit_target(TargetId(1), |row| row.definition.pass_result = "204".to_owned());
        let before = house.heard_of(1).len();
        seconds(2).await;
        assert!(house.heard_of(1).len() > before);

        house.store.edit_target(TargetId(1), |row| row.definition.enabled = false);
        seconds(2).await;
        let before = house.heard_of(1).len();
        seconds(60).await;
        assert_eq!(house.heard_of(1).len(), before);

        house.store.edit_target(TargetId(1), |row| row.definition.enabled = true);
        seconds(2).await;
        assert!(house.heard_of(1).len() > before);

        house.store.remove_target(TargetId(1));
        seconds(2).await;
        let before = house.heard_of(1).len();
        seconds(60).await;
        assert_eq!(house.heard_of(1).len(), before);
    }

    #[actix::test]
    async fn a_reload_on_command_says_what_it_did() {
        let house = house([every_second(1)], [up()]);
        seconds(1).await;
        house.store.put_target(every_second(2));
        let reloaded = house.supervisor.send(Reload).await.unwrap().unwrap();
        assert_eq!(reloaded, Reloaded { started: 1, replaced: 0, stopped: 0 });
    }

    #[actix::test]
    async fn an_actor_that_dies_is_replaced_and_its_health_kept() {
        let down = Step::See(Outcome::fail(Cause::Connect, "refused"));
        let house = house([every_second(1)], [up(), down, Step::Die, up()]);
        seconds(6).await;
        let edges: Vec<_> = house.heard_of(1).iter().filter_map(|e| e.edge).map(|e| e.to).collect();
        assert_eq!(edges, [Status::Pass, Status::Fail, Status::Pass]);
    }

    #[actix::test]
    async fn one_that_dies_too_often_is_suspended_shown_and_retried_when_its_row_changes() {
        let house = house([every_second(1), every_second(2)], [Step::Die]);
        house.probers.script("target 2", [up()]);
        seconds(60).await;
        assert_eq!(house.probers.probes(TargetId(1)), 1 + budget::DEATHS);
        let row = house.store.target(TargetId(1));
        assert_eq!((row.state.status, row.state.cause), (Status::Fail, Some(Cause::Internal)));
        assert!(row.state.status_description.contains("change the row"), "{:?}", row.state);
        assert!(house.heard_of(2).len() > 50);

        house.probers.script("target 1", [up()]);
        house.store.edit_target(TargetId(1), |row| row.definition.timeout = 5);
        seconds(3).await;
        assert_eq!(house.store.target(TargetId(1)).state.status, Status::Pass);
    }

    /// Tells when one of its probers is gone.
    struct Mortal {
        probers: ScriptedProbers,
        gone: UnboundedSender<()>,
    }

    struct MortalProber(Box<dyn Prober>, UnboundedSender<()>);

    impl ProberFactory for Mortal {
        fn prepare(
            &self,
            row: &TargetDefinition,
            target: &Target,
        ) -> Result<ProberBuilder, Vec<domain::Fault>> {
            let (build, gone) = (self.probers.prepare(row, target)?, self.gone.clone());
            Ok(Box::new(move || Box::new(MortalProber(build(), gone))))
        }
    }

    impl Prober for MortalProber {
        fn probe(&self, tracer: Tracer) -> LocalBoxFuture<'static, Outcome> {
            self.0.probe(tracer)
        }
    }

    impl Drop for MortalProber {
        fn drop(&mut self) {
            self.1.send(()).unwrap_or_default();
        }
    }

    #[actix::test]
    async fn one_that_hangs_is_replaced_and_does_not_come_back_when_its_thread_goes_on() {
        let (gone, mut ends) = unbounded_channel();
        let house = house_with([every_second(1)], [Step::Hang], |links, probers| {
            links.probers = Arc::new(Mortal { probers, gone });
            // Its time is not that of the supervisor, whose paused clock runs ahead: to that it hangs.
            links.threads[0].arbiter = Arbiter::new().handle();
        });
        seconds(2).await;
        house.store.edit_target(TargetId(1), |row| row.state.status = Status::Fail);
        seconds(2).await;
        // Nothing of this needs the database.
        house.faults.set(Fault::Unavailable);
        for _ in 0..=budget::DEATHS {
            timeout(Duration::from_secs(36_000), ends.recv()).await.expect("it was told to stop");
        }
        seconds(1).await;
        let heard = house.heard_of(1);
        assert!(heard.len() == 1 && heard[0].outcome.reason.contains("hung"), "{heard:?}");
        assert_eq!(heard[0].edge, None, "a failure that was told before");
    }

    #[actix::test]
    async fn one_that_is_suspended_fails_at_once_whatever_its_threshold() {
        let mut row = every_second(1);
        row.definition.options = Some(Secret::new(r#"{"failure_threshold":3}"#));
        let house = house([row], [up(), Step::Die]);
        seconds(60).await;
        let edges: Vec<_> = house.heard_of(1).iter().filter_map(|e| e.edge).map(|e| e.to).collect();
        assert_eq!(edges, [Status::Pass, Status::Fail]);
    }

    #[actix::test]
    async fn probing_goes_on_while_the_database_is_away_and_the_row_is_right_afterwards() {
        let house = house([every_second(1)], [up()]);
        seconds(5).await;
        for fault in [Fault::Unavailable, Fault::Hangs, Fault::RefusesWrites] {
            house.faults.set(fault);
            let before = house.heard_of(1).len();
            seconds(60).await;
            assert!(house.heard_of(1).len() >= before + 59, "{fault:?}");
            house.faults.set(Fault::None);
            seconds(30).await;
        }
        let heard = house.heard_of(1).len() as u64;
        let row = house.store.target(TargetId(1));
        assert!(row.state.tally.pass_count <= heard && row.state.tally.pass_count > 0);
    }

    #[actix::test]
    async fn a_counter_that_an_operator_resets_stays_reset() {
        let house = house([every_second(1)], [up()]);
        seconds(10).await;
        house.store.edit_target(TargetId(1), |row| row.state.tally = Tally::default());
        seconds(5).await;
        let stored = house.store.target(TargetId(1)).state.tally.pass_count;
        assert!((4..=6).contains(&stored), "{stored}");
        let told = house.heard_of(1).last().unwrap().tally.pass_count;
        assert!(told <= 6, "{told}");
    }

    #[actix::test]
    async fn what_a_revision_does_not_tell_is_found_all_the_same() {
        let house = house([every_second(1)], [up()]);
        seconds(3).await;
        house.store.edit_unnoticed(TargetId(1), |row| row.definition.enabled = false);
        seconds(5).await;
        assert!(house.heard_of(1).len() > 6);
        seconds(60).await;
        let before = house.heard_of(1).len();
        seconds(60).await;
        assert_eq!(house.heard_of(1).len(), before);
    }

    #[actix::test]
    async fn counters_that_are_reset_with_an_edit_are_counted_on_from_there() {
        let house = house([every_second(1)], [up()]);
        seconds(20).await;
        house.store.edit_target(TargetId(1), |row| {
            row.state.tally = Tally::default();
            row.definition.timeout = 7;
        });
        seconds(5).await;
        let told = house.heard_of(1).last().unwrap().tally.pass_count;
        assert!(told <= 7, "{told}");
    }

    /// Carries some results, and then none any more.
    struct Stuck(Recipient<ProbeCompleted>, usize);

    impl Actor for Stuck {
        type Context = Context<Self>;
    }

    impl Handler<ProbeCompleted> for Stuck {
        type Result = ResponseFuture<()>;

        fn handle(&mut self, event: ProbeCompleted, _: &mut Context<Self>) -> Self::Result {
            let Some(left) = self.1.checked_sub(1) else { return Box::pin(std::future::pending()) };
            self.1 = left;
            let sent = self.0.send(event);
            Box::pin(async move { sent.await.unwrap() })
        }
    }

    #[actix::test]
    async fn the_successor_of_one_that_hung_tells_of_no_failure_twice() {
        let down = Step::See(Outcome::fail(Cause::Connect, "refused"));
        let house = house_with([every_second(1)], [up(), down], |links, _| {
            let normal = links.threads[0].clone();
            let stuck = Stuck(normal.courier.clone(), 3).start().recipient();
            links.threads = vec![normal.clone(), ProbeThread { courier: stuck, ..normal }];
        });
        seconds(10).await;
        assert_eq!(house.heard_of(1).len(), 3, "it hangs");
        // What the database knows is old, and cannot be asked for.
        house.faults.set(Fault::Unavailable);
        seconds(120).await;
        let heard = house.heard_of(1);
        assert!(heard.len() > 3, "it was replaced");
        let edges: Vec<_> = heard.iter().filter_map(|e| e.edge).map(|e| (e.from, e.to)).collect();
        assert_eq!(edges, [(Status::New, Status::Pass), (Status::Pass, Status::Fail)]);
    }

    #[actix::test]
    async fn notifiers_are_told_before_the_first_probe() {
        let house = house([every_second(1)], [up()]);
        house.store.put_notifier(notifier_row(1, "ops"));
        seconds(3).await;
        assert_eq!(house.notifiers.heard().last().unwrap().0.len(), 1);
    }

    #[actix::test]
    async fn the_last_success_and_the_last_failure_are_kept_apart() {
        let down = Step::See(Outcome::fail(Cause::Connect, "refused"));
        let house = house([every_second(1)], [down, up()]);
        seconds(5).await;
        let evidence = house.supervisor.send(GetEvidence(TargetId(1))).await.unwrap().unwrap();
        assert_eq!(evidence.last_failure.unwrap().outcome.reason, "refused");
        assert_eq!(evidence.last_success.unwrap().outcome.reason, "200 OK");
        assert!(house.supervisor.send(GetEvidence(TargetId(9))).await.unwrap().is_none());
    }

    #[actix::test]
    async fn a_drain_stops_every_target_even_one_that_hangs() {
        let house = house((1..=50).map(every_second), [Step::Hang]);
        seconds(3).await;
        assert_eq!(house.supervisor.send(Drain).await.unwrap(), 0);
        let before = house.heard.heard().len();
        seconds(60).await;
        assert_eq!(house.heard.heard().len(), before);
    }
}
