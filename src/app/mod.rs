//! The wiring: the one place that knows every actor and every adapter.

mod check;
mod core;
mod daemon;
mod database;

use std::sync::Arc;

use actix::prelude::*;
use async_trait::async_trait;
use skypunch_actors::{
    persister::Persister,
    port::{Clock, ProberFactory, SinkFactory},
    tester::Tester,
};

use self::{
    check::check,
    daemon::{RunError, run},
};
use crate::{
    cli::{Failure, Findings, Program},
    clock::SystemClock,
    control::{Actors, Api, DaemonActors},
    logging::Terminal,
    net,
    probe::{Probers, UserAgentError},
    settings::{Settings, create_state_dir},
    sink::{self, Sinks},
};

/// The kinds of probes and of sinks.
#[derive(Clone)]
struct Kinds {
    probers: Arc<dyn ProberFactory>,
    sinks: Arc<dyn SinkFactory>,
}

impl Kinds {
    fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, UserAgentError> {
        let roots = net::system_roots();
        let client = net::Client::new(&roots);
        let probers = Probers::new(&settings.probe.user_agent, client)?;
        Ok(Self { probers: Arc::new(probers), sinks: Arc::new(Sinks::new(roots, clock)) })
    }
}

fn actors(
    persister: &Addr<Persister>,
    tester: &Addr<Tester>,
    kinds: &Kinds,
    daemon: Option<DaemonActors>,
) -> Actors {
    Actors {
        list: persister.clone().recipient(),
        change: persister.clone().recipient(),
        add_target: persister.clone().recipient(),
        update_target: persister.clone().recipient(),
        update_notifier: persister.clone().recipient(),
        add_notifier: persister.clone().recipient(),
        test_target: tester.clone().recipient(),
        test_notifier: tester.clone().recipient(),
        probers: kinds.probers.clone(),
        sinks: kinds.sinks.clone(),
        public_params: sink::public_params,
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
            RunError::Logging(_) | RunError::Probes(_) => Failure::of_configuration(error),
            error => error.into(),
        })
    }

    async fn check(&self, settings: &Settings) -> Findings {
        check(settings).await
    }

    async fn migrate(&self, settings: &Settings) -> Result<String, Failure> {
        create_state_dir(&settings.state_dir)?;
        Ok(database::migrate(settings).await?.to_string())
    }

    async fn offline(&self, settings: &Settings) -> Result<Api, Failure> {
        create_state_dir(&settings.state_dir)?;
        let store = database::open_as_it_is(settings).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let kinds = Kinds::new(settings, clock.clone())?;
        let persister = Persister::new(store, clock.clone(), settings.database.flush_interval).start();
        let tester = Tester::new(kinds.probers.clone(), kinds.sinks.clone(), clock).start();
        Ok(Api::new(actors(&persister, &tester, &kinds, None)))
    }
}
