//! The methods of the control socket.

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use skypunch_actors::{
    domain::{Evidence, NotifierRow, TargetRow, text},
    historian::{GetHistory, GetIncidents, GetNotifications, GetResults},
    meter::GetMeasures,
    notifier::{GetWaiting, RetryNow},
    persister::{
        AddNotifier, AddTarget, Change, GetPersistence, ListRows, Resend, UpdateNotifier, UpdateTarget,
    },
    port::{Clock, ProberFactory, SinkFactory, StoreError},
    query::Rows,
    supervisor::{GetEvidence, Reload},
    tester::{TestNotifier, TestTarget},
};
use time::OffsetDateTime;
use tokio::{
    sync::mpsc::{self, UnboundedSender},
    time::timeout,
};

use super::{
    definitions::{Given, Unnamed},
    find::{Reference, find},
    protocol::RpcError,
    view::{self, Public},
};

/// How long an actor may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How long a try of a notifier may take; its sink has a shorter deadline of its own.
const DELIVER_WITHIN: Duration = Duration::from_secs(120);

/// Whom the methods ask, with a daemon or without.
pub struct Actors {
    /// The persister.
    pub list: Recipient<ListRows>,
    /// The persister.
    pub change: Recipient<Change>,
    /// The persister.
    pub add_target: Recipient<AddTarget>,
    /// The persister.
    pub add_notifier: Recipient<AddNotifier>,
    /// The persister.
    pub update_target: Recipient<UpdateTarget>,
    /// The persister.
    pub update_notifier: Recipient<UpdateNotifier>,
    /// The historian.
    pub history: Recipient<GetHistory>,
    /// The historian.
    pub results: Recipient<GetResults>,
    /// The historian.
    pub incidents: Recipient<GetIncidents>,
    /// The historian.
    pub notifications: Recipient<GetNotifications>,
    /// The tester.
    pub test_target: Recipient<TestTarget>,
    /// The tester.
    pub test_notifier: Recipient<TestNotifier>,
    /// Knows whether a new target can be probed.
    pub probers: Arc<dyn ProberFactory>,
    /// Knows whether a new notifier can be told.
    pub sinks: Arc<dyn SinkFactory>,
    /// What of a row of a kind of notifiers is no secret.
    pub public: Arc<dyn Fn(&str) -> Public + Send + Sync>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The rest of a daemon; without it only the database is at hand.
    pub daemon: Option<DaemonActors>,
}

/// Whom only a daemon has.
pub struct DaemonActors {
    /// The persister.
    pub persistence: Recipient<GetPersistence>,
    /// The supervisor.
    pub reload: Recipient<Reload>,
    /// The supervisor.
    pub evidence: Recipient<GetEvidence>,
    /// The notifier.
    pub waiting: Recipient<GetWaiting>,
    /// The notifier.
    pub retry: Recipient<RetryNow>,
    /// The persister.
    pub resend: Recipient<Resend>,
    /// The meter.
    pub measures: Recipient<GetMeasures>,
    /// Stops the daemon.
    pub stop: mpsc::Sender<()>,
    /// Since when it runs.
    pub started_at: OffsetDateTime,
}

/// The methods.
#[derive(Clone)]
pub struct Api(pub(super) Arc<Actors>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfTarget {
    pub(super) target: Reference,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfNotifier {
    notifier: Reference,
}

impl Api {
    /// The methods, as these actors answer them.
    pub fn new(actors: Actors) -> Self {
        Self(Arc::new(actors))
    }

    /// Does what `method` says. The steps of a probe that is tried out go to `watcher` as they happen.
    pub async fn call(
        &self,
        method: &str,
        params: Map<String, Value>,
        watcher: UnboundedSender<String>,
    ) -> Result<Value, RpcError> {
        let (family, verb) = method.split_once('.').unwrap_or(("", method));
        match (family, verb) {
            ("", "status" | "reload" | "stop") => {
                let Nothing {} = read(params)?;
                match verb {
                    "status" => self.status().await,
                    "reload" => self.reload().await,
                    _ => self.stop(),
                }
            }
            ("targets", "list") => {
                let Nothing {} = read(params)?;
                Ok(self.rows().await?.targets.iter().map(view::target).collect())
            }
            ("targets", "add") => {
                let id = self.add::<TargetRow>(&params).await?;
                Ok(view::target(&self.target(Reference::Id(id)).await?).into())
            }
            ("targets", "get" | "enable" | "disable" | "delete" | "test") => {
                let row = self.target(read::<OfTarget>(params)?.target).await?;
                match verb {
                    "get" => self.detail(&row).await,
                    "delete" => {
                        self.change(Change::DeleteTarget(row.id)).await?;
                        Ok(view::target(&row).into())
                    }
                    "test" => self.test_target(row, watcher).await,
                    _ => self.enable_target(row, verb == "enable").await,
                }
            }
            ("targets", "history") => self.history(read(params)?).await,
            ("targets", "incidents") => self.incidents(read(params)?).await,
            ("notifications", "list") => self.notifications(read(params)?).await,
            ("notifications", "get") => self.notification(read(params)?).await,
            ("notifications", "retry") => self.retry(read(params)?).await,
            ("notifiers", "list") => {
                let Nothing {} = read(params)?;
                Ok(self.rows().await?.notifiers.iter().map(|row| self.show(row)).collect())
            }
            ("notifiers", "add") => {
                let id = self.add::<NotifierRow>(&params).await?;
                Ok(self.show(&self.notifier(Reference::Id(id)).await?))
            }
            ("notifiers", "get" | "enable" | "disable" | "delete" | "test") => {
                let row = self.notifier(read::<OfNotifier>(params)?.notifier).await?;
                match verb {
                    "get" => Ok(self.show(&row)),
                    "delete" => {
                        self.change(Change::DeleteNotifier(row.id)).await?;
                        Ok(self.show(&row))
                    }
                    "test" => self.test_notifier(row).await,
                    _ => self.enable_notifier(row, verb == "enable").await,
                }
            }
            ("definitions", "export") => {
                let Nothing {} = read(params)?;
                self.export().await
            }
            ("definitions", "plan") => self.plan(&read::<Given>(params)?).await,
            ("definitions", "apply") => self.apply(&read::<Given>(params)?).await,
            ("definitions", "prune") => self.prune(&read::<Unnamed>(params)?).await,
            _ => Err(RpcError::method_not_found(method)),
        }
    }

    pub(super) fn daemon(&self) -> Result<&DaemonActors, RpcError> {
        self.0.daemon.as_ref().ok_or_else(|| RpcError::failed("no daemon is running"))
    }

    async fn status(&self) -> Result<Value, RpcError> {
        let daemon = self.daemon()?;
        let persistence = ask(&daemon.persistence, GetPersistence).await?;
        let measures = ask(&daemon.measures, GetMeasures).await?;
        let waiting = ask(&daemon.waiting, GetWaiting).await?;
        let slots = measures.slots;
        Ok(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "started_at": view::timestamp(daemon.started_at),
            "database": view::database(&persistence),
            "targets": view::statuses(&persistence),
            "probes_per_s": measures.probes_per_s,
            "slots": { "done": slots.done, "late": slots.late, "skipped": slots.skipped },
            "results_waiting": persistence.results_waiting,
            "notifications_waiting": waiting,
            "journal": view::journal(&persistence),
            "results_dropped": persistence.results_dropped,
            "overload": (measures.shed > 0).then(|| json!({ "slots_skipped": measures.shed })),
        }))
    }

    async fn reload(&self) -> Result<Value, RpcError> {
        let done = ask(&self.daemon()?.reload, Reload).await?.map_err(refused)?;
        Ok(json!({ "started": done.started, "replaced": done.replaced, "stopped": done.stopped }))
    }

    fn stop(&self) -> Result<Value, RpcError> {
        match self.daemon()?.stop.try_send(()) {
            // A full channel says that it stops already.
            Ok(()) | Err(mpsc::error::TrySendError::Full(())) => Ok(json!({ "pid": std::process::id() })),
            Err(mpsc::error::TrySendError::Closed(())) => Err(gone()),
        }
    }

    pub(super) async fn rows(&self) -> Result<Rows, RpcError> {
        ask(&self.0.list, ListRows).await?.map_err(refused)
    }

    pub(super) async fn target(&self, reference: Reference) -> Result<TargetRow, RpcError> {
        find("target", self.rows().await?.targets, &reference, |row| (row.id.0, &row.definition.name))
    }

    async fn notifier(&self, reference: Reference) -> Result<NotifierRow, RpcError> {
        find("notifier", self.rows().await?.notifiers, &reference, |row| (row.id.0, &row.definition.name))
    }

    fn show(&self, row: &NotifierRow) -> Value {
        view::notifier(row, &(self.0.public)(&row.definition.kind)).into()
    }

    async fn detail(&self, row: &TargetRow) -> Result<Value, RpcError> {
        let evidence = match &self.0.daemon {
            Some(daemon) => ask(&daemon.evidence, GetEvidence(row.id)).await?.unwrap_or_default(),
            None => Evidence::default(),
        };
        let shown = |seen: Option<_>| seen.as_ref().map(view::sighting).map_or(Value::Null, Value::from);
        let mut detail = view::target(row);
        detail.insert("last_success".to_owned(), shown(evidence.last_success));
        detail.insert("last_failure".to_owned(), shown(evidence.last_failure));
        detail.insert("incident".to_owned(), row.state.incident.as_ref().map(view::incident).into());
        Ok(detail.into())
    }

    async fn change(&self, change: Change) -> Result<(), RpcError> {
        ask(&self.0.change, change).await?.map_err(refused)?;
        self.hurry().await;
        Ok(())
    }

    /// Has a change acted on now. If that fails, the daemon sees it at its next reload.
    pub(super) async fn hurry(&self) {
        if let Some(daemon) = &self.0.daemon {
            ask(&daemon.reload, Reload).await.ok();
        }
    }

    async fn enable_target(&self, mut row: TargetRow, enabled: bool) -> Result<Value, RpcError> {
        self.change(Change::EnableTarget(row.id, enabled)).await?;
        row.definition.enabled = enabled;
        Ok(view::target(&row).into())
    }

    async fn enable_notifier(&self, mut row: NotifierRow, enabled: bool) -> Result<Value, RpcError> {
        self.change(Change::EnableNotifier(row.id, enabled)).await?;
        row.definition.enabled = enabled;
        Ok(self.show(&row))
    }

    async fn test_target(&self, row: TargetRow, watcher: UnboundedSender<String>) -> Result<Value, RpcError> {
        let within = row.definition.read(row.id).0.timeout + ANSWER_WITHIN;
        let seen = ask_within(&self.0.test_target, TestTarget { row, watcher }, within).await?;
        Ok(view::verdict(&seen).into())
    }

    async fn test_notifier(&self, row: NotifierRow) -> Result<Value, RpcError> {
        Ok(match ask_within(&self.0.test_notifier, TestNotifier(row), DELIVER_WITHIN).await? {
            Ok(receipt) => json!({ "delivered": true, "answer": text::reason(&receipt.0) }),
            Err(refusal) => json!({ "delivered": false, "answer": text::reason(&refusal.to_string()) }),
        })
    }
}

fn read<T: DeserializeOwned>(params: Map<String, Value>) -> Result<T, RpcError> {
    serde_json::from_value(params.into()).map_err(|error| RpcError::invalid_params(error.to_string()))
}

pub(super) async fn ask<M>(actor: &Recipient<M>, message: M) -> Result<M::Result, RpcError>
where
    M: Message<Result: Send> + Send + 'static,
{
    ask_within(actor, message, ANSWER_WITHIN).await
}

async fn ask_within<M>(actor: &Recipient<M>, message: M, within: Duration) -> Result<M::Result, RpcError>
where
    M: Message<Result: Send> + Send + 'static,
{
    match timeout(within, actor.send(message)).await {
        Ok(answer) => answer.map_err(|_| gone()),
        Err(_) => Err(RpcError::failed(format!("no answer within {} s", within.as_secs()))),
    }
}

fn gone() -> RpcError {
    RpcError::failed("the daemon stops, or a part of it has died")
}

pub(super) fn refused(error: StoreError) -> RpcError {
    RpcError::failed(text::chain(&error))
}
