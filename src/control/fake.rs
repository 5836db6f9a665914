//! Actors that hold their rows in memory and answer at once, in place of the daemon's.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::prelude::*;
use skypunch_actors::{
    domain::{
        Cause, Evidence, Fault, NotifierDefinition, NotifierId, NotifierRow, Outcome, Params, RawResult,
        Rollup, Secret, Sighting, Slots, Status, Target, TargetDefinition, TargetId, TargetRow, TargetState,
        Trace,
    },
    historian::{GetHistory, GetIncidents, GetNotifications, GetResults},
    meter::{GetMeasures, Measures},
    notifier::{GetWaiting, RetryNow},
    persister::{
        AddNotifier, AddTarget, Change, GetPersistence, ListRows, Persistence, Resend, UpdateNotifier,
        UpdateTarget,
    },
    port::{
        IncidentRow, NotificationRow, ProberBuilder, ProberFactory, Receipt, SinkBuilder, SinkError,
        SinkFactory, StoreError,
    },
    query::Rows,
    supervisor::{GetEvidence, Reload, Reloaded},
    tester::{TestNotifier, TestTarget},
    testing::TestClock,
};
use time::{OffsetDateTime, macros::datetime};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Actors, Api, Client, DaemonActors, Public};

/// A store and a daemon in one.
#[derive(Default)]
pub struct Fake {
    pub rows: Rows,
    pub entries: BTreeMap<OffsetDateTime, Rollup>,
    pub results: Vec<RawResult>,
    pub incidents: Vec<(IncidentRow, Vec<NotificationRow>)>,
    pub notifications: Vec<NotificationRow>,
    /// Those that are on their way.
    pub underway: Vec<Uuid>,
    /// Those that were to begin anew.
    pub resent: Arc<Mutex<Vec<Uuid>>>,
}

/// What time it is.
pub const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05.678 UTC);

/// Finds fault with `ftp:` URLs and with the kind `PIGEON`.
struct Kinds;

impl ProberFactory for Kinds {
    fn prepare(&self, definition: &TargetDefinition, _: &Target) -> Result<ProberBuilder, Vec<Fault>> {
        if definition.url.expose().starts_with("ftp:") {
            return Err(vec![Fault::new("url", "must begin with http:// or https://")]);
        }
        Ok(Box::new(|| unreachable!("the fake tester probes nothing")))
    }
}

impl SinkFactory for Kinds {
    fn prepare(&self, definition: &NotifierDefinition, _: &Params) -> Result<SinkBuilder, Vec<Fault>> {
        if definition.kind == "PIGEON" {
            return Err(vec![Fault::new("type", "`PIGEON` is not known")]);
        }
        Ok(Box::new(|| unreachable!("the fake tester delivers nothing")))
    }
}

/// A client of the methods of a daemon, without a socket.
pub fn daemon() -> Client {
    Client::in_process(Fake::populated().daemon().0)
}

impl Fake {
    /// Two targets of which one fails, two that share a name, and a notifier.
    pub fn populated() -> Self {
        let mut rows = Rows::default();
        for (id, name) in [(1, "home"), (2, "shop"), (5, "twin"), (7, "twin")] {
            let mut definition = TargetDefinition::new(name, "https://bob:hunter2@example.org/");
            definition.authn_parms = Some(Secret::new("user=bob,password=hunter2"));
            rows.targets.push(TargetRow { id: TargetId(id), definition, state: TargetState::default() });
        }
        rows.targets[1].state.status = Status::Fail;
        let mut definition = NotifierDefinition::new("ops", "SMTP", "ops@example.org");
        definition.params = Secret::new("server=mail.example.org,password=hunter2");
        rows.notifiers.push(NotifierRow { id: NotifierId(1), definition, pass_count: 3, fail_count: 1 });
        Self { rows, ..Self::default() }
    }

    /// The methods over this fake, as a daemon has them; the receiver hears of a stop.
    pub fn daemon(self) -> (Api, mpsc::Receiver<()>) {
        let (stop, stopped) = mpsc::channel(1);
        (Api::new(self.actors(Some(stop))), stopped)
    }

    /// The methods without a daemon.
    pub fn offline(self) -> Api {
        Api::new(self.actors(None))
    }

    fn actors(self, stop: Option<mpsc::Sender<()>>) -> Actors {
        let fake = self.start();
        let daemon = stop.map(|stop| DaemonActors {
            persistence: fake.clone().recipient(),
            reload: fake.clone().recipient(),
            evidence: fake.clone().recipient(),
            waiting: fake.clone().recipient(),
            retry: fake.clone().recipient(),
            resend: fake.clone().recipient(),
            measures: fake.clone().recipient(),
            stop,
            started_at: datetime!(2026-01-02 03:04:05 UTC),
        });
        Actors {
            list: fake.clone().recipient(),
            change: fake.clone().recipient(),
            add_target: fake.clone().recipient(),
            update_target: fake.clone().recipient(),
            update_notifier: fake.clone().recipient(),
            add_notifier: fake.clone().recipient(),
            history: fake.clone().recipient(),
            results: fake.clone().recipient(),
            incidents: fake.clone().recipient(),
            notifications: fake.clone().recipient(),
            test_target: fake.clone().recipient(),
            test_notifier: fake.recipient(),
            probers: Arc::new(Kinds),
            sinks: Arc::new(Kinds),
            public: Arc::new(|_| Public { address: true, params: vec!["server".to_owned()] }),
            clock: Arc::new(TestClock::new(NOW)),
            daemon,
        }
    }
}

impl Actor for Fake {
    type Context = Context<Self>;
}

impl Handler<ListRows> for Fake {
    type Result = Result<Rows, StoreError>;

    fn handle(&mut self, _: ListRows, _: &mut Context<Self>) -> Self::Result {
        Ok(self.rows.clone())
    }
}

impl Handler<Change> for Fake {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, change: Change, _: &mut Context<Self>) -> Self::Result {
        let Rows { targets, notifiers } = &mut self.rows;
        match change {
            Change::EnableTarget(id, enabled) => {
                let row = targets.iter_mut().find(|row| row.id == id).ok_or(StoreError::NotFound)?;
                row.definition.enabled = enabled;
            }
            Change::DeleteTarget(id) => targets.retain(|row| row.id != id),
            Change::EnableNotifier(id, enabled) => {
                let row = notifiers.iter_mut().find(|row| row.id == id).ok_or(StoreError::NotFound)?;
                row.definition.enabled = enabled;
            }
            Change::DeleteNotifier(id) => notifiers.retain(|row| row.id != id),
        }
        Ok(())
    }
}

impl Handler<UpdateTarget> for Fake {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, UpdateTarget(id, definition): UpdateTarget, _: &mut Context<Self>) -> Self::Result {
        let row = self.rows.targets.iter_mut().find(|row| row.id == id).ok_or(StoreError::NotFound)?;
        row.definition = definition;
        Ok(())
    }
}

impl Handler<UpdateNotifier> for Fake {
    type Result = Result<(), StoreError>;

    fn handle(
        &mut self,
        UpdateNotifier(id, definition): UpdateNotifier,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let row = self.rows.notifiers.iter_mut().find(|row| row.id == id).ok_or(StoreError::NotFound)?;
        row.definition = definition;
        Ok(())
    }
}

impl Handler<AddTarget> for Fake {
    type Result = Result<TargetId, StoreError>;

    fn handle(&mut self, AddTarget(definition): AddTarget, _: &mut Context<Self>) -> Self::Result {
        if self.rows.targets.iter().any(|row| row.definition.name == definition.name) {
            return Err(StoreError::Conflict);
        }
        let id = TargetId(100);
        self.rows.targets.push(TargetRow { id, definition, state: TargetState::default() });
        Ok(id)
    }
}

impl Handler<AddNotifier> for Fake {
    type Result = Result<NotifierId, StoreError>;

    fn handle(&mut self, AddNotifier(definition): AddNotifier, _: &mut Context<Self>) -> Self::Result {
        let id = NotifierId(100);
        self.rows.notifiers.push(NotifierRow { id, definition, pass_count: 0, fail_count: 0 });
        Ok(id)
    }
}

impl Handler<TestTarget> for Fake {
    type Result = ResponseFuture<Sighting>;

    fn handle(&mut self, test: TestTarget, _: &mut Context<Self>) -> Self::Result {
        let at = datetime!(2026-01-02 03:04:05 UTC);
        let mut trace = Trace::new(at);
        Box::pin(async move {
            for step in ["Connecting to https://example.org/ ....", "Connection [FAIL]"] {
                trace.push(Duration::ZERO, step);
                trace.last_line().map(|line| test.watcher.send(line).ok());
                tokio::task::yield_now().await;
            }
            let outcome = match test.row.definition.name.as_str() {
                "home" => Outcome::pass("200 OK"),
                _ => Outcome::fail(Cause::Connect, "connection refused by 127.0.0.1:81"),
            };
            Sighting { at, outcome: Arc::new(Outcome { trace, ..outcome }) }
        })
    }
}

impl Handler<TestNotifier> for Fake {
    type Result = Result<Receipt, SinkError>;

    fn handle(&mut self, _: TestNotifier, _: &mut Context<Self>) -> Self::Result {
        Ok(Receipt("250 queued".to_owned()))
    }
}

impl Handler<GetPersistence> for Fake {
    type Result = MessageResult<GetPersistence>;

    fn handle(&mut self, _: GetPersistence, _: &mut Context<Self>) -> Self::Result {
        MessageResult(Persistence {
            backend: "sqlite",
            away: None,
            journal_away: None,
            journal_bytes: 4_096,
            results_dropped: 3,
            results_waiting: 2,
            targets: [1, 2, 3, 4],
        })
    }
}

impl Handler<Reload> for Fake {
    type Result = Result<Reloaded, StoreError>;

    fn handle(&mut self, _: Reload, _: &mut Context<Self>) -> Self::Result {
        Ok(Reloaded { started: 1, replaced: 2, stopped: 3 })
    }
}

impl Handler<GetEvidence> for Fake {
    type Result = Option<Evidence>;

    fn handle(&mut self, _: GetEvidence, _: &mut Context<Self>) -> Self::Result {
        let outcome = Arc::new(Outcome::fail(Cause::Dns, "no such name"));
        let last_failure = Some(Sighting { at: datetime!(2026-01-02 03:04:05 UTC), outcome });
        Some(Evidence { last_success: None, last_failure })
    }
}

impl Handler<GetWaiting> for Fake {
    type Result = usize;

    fn handle(&mut self, _: GetWaiting, _: &mut Context<Self>) -> usize {
        6
    }
}

impl Handler<GetMeasures> for Fake {
    type Result = MessageResult<GetMeasures>;

    fn handle(&mut self, _: GetMeasures, _: &mut Context<Self>) -> Self::Result {
        let slots = Slots { done: 10, late: 2, skipped: 1, shed: 1 };
        MessageResult(Measures { probes_per_s: 1.5, slots, shed: 0 })
    }
}

impl Handler<GetHistory> for Fake {
    type Result = Result<BTreeMap<OffsetDateTime, Rollup>, StoreError>;

    fn handle(&mut self, asked: GetHistory, _: &mut Context<Self>) -> Self::Result {
        let asked_for = asked.by.start_of(asked.from)..asked.until;
        Ok(self.entries.range(asked_for).map(|(at, rollup)| (*at, rollup.clone())).collect())
    }
}

impl Handler<GetResults> for Fake {
    type Result = Result<Vec<RawResult>, StoreError>;

    fn handle(&mut self, asked: GetResults, _: &mut Context<Self>) -> Self::Result {
        let asked_for = asked.from..asked.until;
        Ok(self.results.iter().filter(|result| asked_for.contains(&result.at())).cloned().collect())
    }
}

impl Handler<GetIncidents> for Fake {
    type Result = Result<Vec<(IncidentRow, Vec<NotificationRow>)>, StoreError>;

    fn handle(&mut self, _: GetIncidents, _: &mut Context<Self>) -> Self::Result {
        Ok(self.incidents.clone())
    }
}

impl Handler<GetNotifications> for Fake {
    type Result = Result<Vec<NotificationRow>, StoreError>;

    fn handle(&mut self, GetNotifications(filter): GetNotifications, _: &mut Context<Self>) -> Self::Result {
        let meant = |row: &&NotificationRow| {
            let of = row.alert.as_ref().map(|alert| alert.target.id);
            filter.ids.as_ref().is_none_or(|ids| ids.contains(&row.id))
                && filter.target.is_none_or(|target| of == Some(target))
                && (!filter.failed || matches!(row.delivery.state.as_str(), "refused" | "expired"))
        };
        Ok(self.notifications.iter().filter(meant).take(filter.most).cloned().collect())
    }
}

impl Handler<RetryNow> for Fake {
    type Result = bool;

    fn handle(&mut self, RetryNow(id): RetryNow, _: &mut Context<Self>) -> bool {
        self.underway.contains(&id)
    }
}

impl Handler<Resend> for Fake {
    type Result = ();

    fn handle(&mut self, Resend(notification): Resend, _: &mut Context<Self>) {
        self.resent.lock().unwrap().push(notification.id);
    }
}
