//! The wiring: the one place that knows every actor and every adapter.

mod check;
mod core;
mod daemon;
mod database;
mod offline;
mod systemd;

use std::sync::Arc;

use actix::prelude::*;
use async_trait::async_trait;
use serde_json::{Value, json};
use skypunch_actors::{
    historian::Historian,
    persister::Persister,
    port::{Clock, ProberFactory},
    tester::Tester,
};

use self::{
    check::check,
    daemon::{RunError, run},
    offline::NoJournal,
};
use crate::{
    cli::{Failure, Findings, Program},
    clock::SystemClock,
    control::{Actors, Api, DaemonActors, Public},
    logging::Terminal,
    net,
    probe::{Probers, UserAgentError},
    settings::{Settings, create_state_dir},
    sink::{self, Catalogue, Sinks},
};

/// The kinds of probes and of sinks.
#[derive(Clone)]
struct Kinds {
    probers: Arc<dyn ProberFactory>,
    sinks: Arc<Sinks>,
}

/// Why the kinds cannot be used: the configuration is wrong.
#[derive(Debug, thiserror::Error)]
pub enum KindsError {
    /// The settings of the probes cannot be used.
    #[error(transparent)]
    Probes(#[from] UserAgentError),
    /// The files of the operator cannot be used.
    #[error(transparent)]
    Sinks(#[from] sink::KindsError),
}

impl Kinds {
    fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, KindsError> {
        let roots = net::system_roots();
        let client = net::Client::new(&roots);
        let probers = Probers::new(&settings.probe.user_agent, client)?;
        let mut catalogue = Catalogue::compiled_in();
        if let Some(folder) = &settings.notify.sinks_dir {
            catalogue = catalogue.with_folder(folder, &sink::built_in())?;
        }
        let sinks = Sinks::new(roots, clock).knowing(catalogue).allowing_exec(settings.notify.allow_exec);
        Ok(Self { probers: Arc::new(probers), sinks: Arc::new(sinks) })
    }

    /// What of a row of a kind of notifiers may be shown.
    fn public(&self) -> Arc<dyn Fn(&str) -> Public + Send + Sync> {
        let sinks = self.sinks.clone();
        Arc::new(move |kind| {
            let sink::Public { address, params } = sinks.public(kind);
            Public { address, params }
        })
    }
}

fn actors(
    persister: &Addr<Persister>,
    historian: &Addr<Historian>,
    tester: &Addr<Tester>,
    kinds: &Kinds,
    clock: &Arc<dyn Clock>,
    daemon: Option<DaemonActors>,
) -> Actors {
    Actors {
        list: persister.clone().recipient(),
        change: persister.clone().recipient(),
        add_target: persister.clone().recipient(),
        update_target: persister.clone().recipient(),
        update_notifier: persister.clone().recipient(),
        add_notifier: persister.clone().recipient(),
        history: historian.clone().recipient(),
        results: historian.clone().recipient(),
        incidents: historian.clone().recipient(),
        notifications: historian.clone().recipient(),
        test_target: tester.clone().recipient(),
        test_notifier: tester.clone().recipient(),
        probers: kinds.probers.clone(),
        sinks: kinds.sinks.clone(),
        public: kinds.public(),
        clock: clock.clone(),
        daemon,
    }
}

/// The program behind the command line.
#[derive(Clone, Copy, Debug)]
pub struct App;

#[async_trait(?Send)]
impl Program for App {
    fn run(&self, settings: Settings, quiet: bool) -> Result<(), Failure> {
        let terminal = if quiet { Terminal::Hidden } else { Terminal::Shown };
        run(&settings, terminal).map_err(|error| match error {
            RunError::Logging(_) | RunError::Kinds(_) => Failure::of_configuration(error),
            error => error.into(),
        })
    }

    async fn check(&self, settings: &Settings) -> Findings {
        check(settings).await
    }

    fn kinds(&self, settings: &Settings) -> Result<Value, Failure> {
        let kinds = Kinds::new(settings, Arc::new(SystemClock)).map_err(Failure::of_configuration)?;
        Ok(json!(kinds.sinks.manuals()))
    }

    async fn migrate(&self, settings: &Settings) -> Result<String, Failure> {
        create_state_dir(&settings.state_dir)?;
        Ok(database::migrate(settings).await?.to_string())
    }

    async fn offline(&self, settings: &Settings) -> Result<Api, Failure> {
        create_state_dir(&settings.state_dir)?;
        let store = database::open_as_it_is(settings).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let kinds = Kinds::new(settings, clock.clone()).map_err(Failure::of_configuration)?;
        let journal = Arc::new(NoJournal);
        let flush_interval = settings.database.flush_interval;
        let persister = Persister::new(store.clone(), journal.clone(), clock.clone(), flush_interval).start();
        let progress = persister.clone().recipient();
        let historian = Historian::new(store, journal, progress, settings.history, clock.clone()).start();
        let tester = Tester::new(kinds.probers.clone(), kinds.sinks.clone(), clock.clone()).start();
        // They start while the system still runs, however soon the command is done.
        tokio::task::yield_now().await;
        Ok(Api::new(actors(&persister, &historian, &tester, &kinds, &clock, None)))
    }
}
