//! The commands that ask the daemon; or the database, while there is no daemon.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::{
    Program,
    args::{Action, NewNotifier, NewTarget, Notifications, Targets},
    error::CliError,
    past, show,
    table::Screen,
};
use crate::{
    control::{Client, ConnectError},
    settings::Settings,
};

/// Who is asked, and how the answer is shown.
pub(super) struct Query {
    client: Client,
    /// Whether the answer is for programs.
    pub(super) json: bool,
    screen: Screen,
}

/// The two tables, and how their rows are shown.
pub(super) struct Table {
    one: &'static str,
    all: &'static str,
    list: fn(Screen, &Value) -> String,
    detail: fn(Screen, &Value) -> String,
}

pub(super) const TARGETS: Table =
    Table { one: "target", all: "targets", list: show::targets, detail: show::target };
pub(super) const NOTIFIERS: Table =
    Table { one: "notifier", all: "notifiers", list: show::notifiers, detail: show::notifier };

impl Query {
    /// Asks the daemon, and nobody else.
    pub async fn of_daemon(settings: &Settings, json: bool) -> Result<Self, CliError> {
        match Client::connect(&settings.daemon.socket).await {
            Ok(client) => Ok(Self { client, json, screen: Screen::of_process() }),
            Err(ConnectError::NoDaemon(_)) => Err(CliError::NoDaemon),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks the daemon; or opens the database, and says so.
    pub async fn of_rows(settings: &Settings, json: bool, program: &impl Program) -> Result<Self, CliError> {
        match Self::of_daemon(settings, json).await {
            Err(CliError::NoDaemon) => {
                super::complain("no daemon is running; reading the database directly\n");
                let api = program.offline(settings).await.map_err(CliError::Program)?;
                Ok(Self { client: Client::in_process(api), json, screen: Screen::of_process() })
            }
            other => other,
        }
    }

    pub async fn status(mut self) -> Result<ExitCode, CliError> {
        let status = self.call("status", Map::new()).await?;
        self.print(&status, show::status)
    }

    pub async fn reload(mut self) -> Result<ExitCode, CliError> {
        let done = self.call("reload", Map::new()).await?;
        self.print(&done, |_, done| {
            let counts = ["started", "replaced", "stopped"].map(|what| format!("{} {what}", done[what]));
            format!("targets: {}\n", counts.join(", "))
        })
    }

    pub async fn rows(
        mut self,
        table: Table,
        choice: Option<(&str, Option<Action>)>,
    ) -> Result<ExitCode, CliError> {
        let Some((row, action)) = choice else {
            let rows = self.call(&format!("{}.list", table.all), Map::new()).await?;
            self.warn_if_away().await;
            return self.print(&rows, table.list);
        };
        let method = |verb| format!("{}.{verb}", table.all);
        let params = Map::from_iter([(table.one.to_owned(), row.into())]);
        let Some(action) = action else {
            let row = self.call(&method("get"), params).await?;
            self.warn_if_away().await;
            return self.print(&row, table.detail);
        };
        let (verb, done) = match action {
            Action::Enable => ("enable", "is enabled"),
            Action::Disable => ("disable", "is disabled"),
            Action::Delete => ("delete", "is deleted"),
            Action::Test => return self.test(&method("test"), params).await,
        };
        let row = self.call(&method(verb), params).await?;
        self.print(&row, |_, row| format!("{} {done}\n", show::row(table.one, row)))
    }

    pub async fn history(mut self, target: &str, asked: &Targets) -> Result<ExitCode, CliError> {
        let params = said(json!({ "target": target, "since": asked.since, "by": asked.by }));
        let told = self.call("targets.history", params).await?;
        self.print(&told, past::history)
    }

    pub async fn incidents(mut self, target: &str) -> Result<ExitCode, CliError> {
        let told = self.call("targets.incidents", said(json!({ "target": target }))).await?;
        self.print(&told, past::incidents)
    }

    pub async fn notifications(mut self, asked: &Notifications) -> Result<ExitCode, CliError> {
        let params = said(json!({ "target": asked.target, "failed": asked.failed }));
        let told = self.call("notifications.list", params).await?;
        self.print(&told, past::notifications)
    }

    pub async fn notification(mut self, id: &str) -> Result<ExitCode, CliError> {
        let told = self.call("notifications.get", said(json!({ "id": id }))).await?;
        self.print(&told, past::notification_in_full)
    }

    pub async fn retry(mut self, id: &str) -> Result<ExitCode, CliError> {
        let row = self.call("notifications.retry", said(json!({ "id": id }))).await?;
        self.print(&row, |_, row| format!("notification {} is tried again\n", show::field(row, "id")))
    }

    /// Without its database the daemon shows what it knows, which an operator's changes are not among.
    pub(super) async fn warn_if_away(&mut self) {
        let Ok(status) = self.call("status", Map::new()).await else {
            return;
        };
        if let Some(since) = status["database"]["since"].as_str() {
            let reason = status["database"]["reason"].as_str().unwrap_or_default();
            super::complain(&format!(
                "the database is away since {since} ({reason}); this is what the daemon knows\n"
            ));
        }
    }

    pub async fn add_target(mut self, new: NewTarget) -> Result<ExitCode, CliError> {
        let columns = json!({
            "name": new.name,
            "url": new.url,
            "tenantid": new.tenantid,
            "method": new.method,
            "authn": new.authn,
            "authn_parms": new.authn_parms,
            "pass_result": new.pass_result,
            "frequency": new.frequency,
            "timeout": new.timeout,
            "enabled": !new.disabled,
            "options": new.options,
        });
        self.add(TARGETS, columns).await
    }

    pub async fn add_notifier(mut self, new: NewNotifier) -> Result<ExitCode, CliError> {
        let columns = json!({
            "name": new.name,
            "type": new.kind,
            "address": new.address,
            "params": new.params,
            "enabled": !new.disabled,
            "options": new.options,
        });
        self.add(NOTIFIERS, columns).await
    }

    async fn add(&mut self, table: Table, columns: Value) -> Result<ExitCode, CliError> {
        let row = self.call(&format!("{}.add", table.all), said(columns)).await?;
        self.print(&row, |_, row| format!("{} is added\n", show::row(table.one, row)))
    }

    /// Passes if the row does.
    async fn test(&mut self, method: &str, params: Map<String, Value>) -> Result<ExitCode, CliError> {
        let quiet = self.json;
        let mut printed = Ok(());
        let mut watch = |step: &str| {
            if !quiet && printed.is_ok() {
                printed = super::print(&format!("{step}\n"));
            }
        };
        let seen = self.client.call(method, &params, &mut watch).await?;
        printed?;
        let passed = seen["status"] == "PASS" || seen["delivered"] == true;
        self.print(&seen, |_, seen| match seen["delivered"].as_bool() {
            None => format!("{}\n", show::verdict(seen)),
            Some(true) => format!("delivered: {}\n", show::field(seen, "answer")),
            Some(false) => format!("not delivered: {}\n", show::field(seen, "answer")),
        })?;
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Calls a method and waits for its result.
    pub(super) async fn call(&mut self, method: &str, params: Map<String, Value>) -> Result<Value, CliError> {
        Ok(self.client.call(method, &params, &mut |_| {}).await?)
    }

    fn print(
        &self,
        answer: &Value,
        show: impl FnOnce(Screen, &Value) -> String,
    ) -> Result<ExitCode, CliError> {
        super::print(&if self.json { super::pretty(answer) } else { show(self.screen, answer) })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The parameters that were said; what is left unsaid gets its default.
fn said(params: Value) -> Map<String, Value> {
    let mut params = match params {
        Value::Object(params) => params,
        _ => unreachable!("parameters are an object"),
    };
    params.retain(|_, value| !value.is_null());
    params
}
