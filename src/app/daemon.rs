//! The daemon: from its settings to its last word.

use std::{io, sync::Arc, time::Duration};

use actix::prelude::*;
use futures_util::future::{OptionFuture, join3};
use log::{error, info, warn};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use skypunch_actors::{
    domain::text,
    port::Clock,
    supervisor::{Budget, Reload},
};
use time::OffsetDateTime;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    Kinds, KindsError,
    core::{Core, Kept},
    database::{self, DatabaseError},
    systemd::{self, Heart, Witnesses},
};
use crate::{
    clock::SystemClock,
    control::{Actors, Api, BindError, DaemonActors, Pidfile, PidfileError, Server},
    journal::{self, FileJournal},
    logging::{self, LoggingError, Terminal},
    settings::{Settings, SettingsError, create_state_dir},
    web::{self, Web},
};

/// How often the daemon looks whether its actors live.
pub(super) const PULSE: Duration = Duration::from_secs(1);

/// Why the daemon did not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The directory of its state cannot be used.
    #[error(transparent)]
    StateDir(SettingsError),
    /// Another daemon runs on it.
    #[error(transparent)]
    Pidfile(#[from] PidfileError),
    /// The log cannot be written.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    /// The kinds of probes or of notifiers cannot be used.
    #[error(transparent)]
    Kinds(#[from] KindsError),
    /// The control socket cannot be used.
    #[error(transparent)]
    Control(#[from] BindError),
    /// The web server cannot be started.
    #[error(transparent)]
    Web(#[from] web::ListenError),
    /// The machine refused a thread or a signal handler.
    #[error("the machine refused a thread or a signal handler")]
    Machine(#[from] io::Error),
    /// An actor without which the daemon is of no use died too often.
    #[error("the {0} died again and again; the daemon ends, to be started anew")]
    CoreDied(&'static str),
}

/// Runs the daemon in the foreground until it is told to stop.
pub fn run(settings: &Settings, terminal: Terminal) -> Result<(), RunError> {
    create_state_dir(&settings.state_dir).map_err(RunError::StateDir)?;
    let _pidfile = Pidfile::lock(&settings.pid_file())?;
    logging::init(settings, terminal)?;
    log_panics();
    raise_descriptor_limit();
    let ended = System::new().block_on(serve(settings));
    match &ended {
        Ok(()) => info!("skypunch has stopped"),
        Err(error) => error!("skypunch ends: {}", text::chain(error)),
    }
    log::logger().flush();
    ended
}

async fn serve(settings: &Settings) -> Result<(), RunError> {
    let mut signals = Signals::listen()?;
    let journal = FileJournal::open(&settings.journal_dir(), settings.journal.max_bytes).await?;
    // A database that hangs, or that another node migrates, must not make the daemon deaf.
    let store = tokio::select! {
        store = database::open(settings) => store?,
        () = signals.stop() => {
            info!("told to stop by a signal, before the database was ready");
            return Ok(());
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let kinds = Kinds::new(settings, clock.clone())?;
    let kept = Kept { store, journal: Arc::new(journal) };
    let started_at = clock.now();
    let life = Life { settings, kept: &kept, kinds: &kinds, clock: &clock, started_at };
    live_on(&life, signals).await
}

/// Lives one life after the other, until the daemon is told to stop or its actors die too often.
async fn live_on(life: &Life<'_>, mut signals: Signals) -> Result<(), RunError> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut budget = Budget::default();
    loop {
        match live(life, &mut signals, &mut hangup).await? {
            End::Told => return Ok(()),
            End::Died(name) if budget.forgives(Instant::now()) => {
                error!("the {name} died; every actor is started anew, and goes on from the journal");
            }
            End::Died(name) => return Err(RunError::CoreDied(name)),
        }
    }
}

/// What one life of the actors is begun from.
struct Life<'a> {
    settings: &'a Settings,
    kept: &'a Kept,
    kinds: &'a Kinds,
    clock: &'a Arc<dyn Clock>,
    started_at: OffsetDateTime,
}

/// How a life of the actors ended.
enum End {
    /// The daemon was told to stop.
    Told,
    /// This actor died, and the others were stopped.
    Died(&'static str),
}

/// Starts the actors and those who talk to them, and stops them when that is wanted or one has died.
async fn live(life: &Life<'_>, signals: &mut Signals, hangup: &mut Signal) -> Result<End, RunError> {
    let settings = life.settings;
    let socket = Server::bind(&settings.daemon.socket, settings.daemon.socket_mode)?;
    let web = settings.web.listen.map(web::bind).transpose()?;
    // From here on nothing may fail that can be foreseen: actix panics in actors that are dropped as they run.
    let core = Core::start(settings, life.kept, life.kinds, life.clock.clone())?;
    let (stop, mut stopped) = mpsc::channel(1);
    let control = socket.start(Api::new(api(&core, life, stop)));
    let web = web.map(|web| web.start(health(&core))).transpose()?;

    info!("skypunch {} serves on {}", env!("CARGO_PKG_VERSION"), settings.daemon.socket.display());
    systemd::ready();
    let end = until_end(&core, signals, hangup, &mut stopped).await;
    if let End::Told = end {
        systemd::stopping();
    }

    let stop_web = OptionFuture::from(web.map(Web::stop));
    // A second signal means now.
    tokio::select! {
        // Side by side: whoever still waits for an answer must not keep the targets going.
        _ = join3(control.stop(), stop_web, core.stop(settings.daemon.shutdown_timeout)) => {}
        () = signals.stop() => warn!("told to stop again: what waits is left to the next start"),
    }
    Ok(end)
}

/// Waits until the daemon is told to end, or an actor has died.
async fn until_end(
    core: &Core,
    signals: &mut Signals,
    hangup: &mut Signal,
    stopped: &mut mpsc::Receiver<()>,
) -> End {
    let mut pulse = interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let heart = Heart::start(witnesses(core));
    loop {
        tokio::select! {
            () = signals.stop() => {
                info!("told to stop by a signal");
                return End::Told;
            }
            _ = stopped.recv() => {
                info!("told to stop over the control socket");
                return End::Told;
            }
            _ = hangup.recv() => {
                info!("told to reload by a signal");
                reload(core);
            }
            _ = pulse.tick() => {
                if let Some(name) = core.dead() {
                    return End::Died(name);
                }
                heart.iter().for_each(Heart::beat);
            }
        }
    }
}

/// Does not wait for the database: other signals may come meanwhile.
fn reload(core: &Core) {
    let reloaded = core.supervisor.send(Reload);
    systemd::reloading();
    actix::spawn(async move {
        // Why a reload failed is told by the Persister, once.
        reloaded.await.ok();
        systemd::ready();
    });
}

/// The signals that end the daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn api(core: &Core, life: &Life<'_>, stop: mpsc::Sender<()>) -> Actors {
    let daemon = DaemonActors {
        persistence: core.persister.clone().recipient(),
        reload: core.supervisor.clone().recipient(),
        evidence: core.supervisor.clone().recipient(),
        waiting: core.notifier.clone().recipient(),
        retry: core.notifier.clone().recipient(),
        resend: core.persister.clone().recipient(),
        measures: core.meter.clone().recipient(),
        stop,
        started_at: life.started_at,
    };
    super::actors(&core.persister, &core.historian, &core.tester, life.kinds, life.clock, Some(daemon))
}

fn health(core: &Core) -> web::Health {
    web::Health {
        persistence: core.persister.clone().recipient(),
        waiting: core.notifier.clone().recipient(),
        measures: core.meter.clone().recipient(),
    }
}

fn witnesses(core: &Core) -> Witnesses {
    Witnesses { persistence: core.persister.clone().recipient(), waiting: core.notifier.clone().recipient() }
}

/// A panic is a bug that somebody must hear of, on one line.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| error!("{}", text::reason(&panic.to_string()))));
}

/// Each probe in flight holds a descriptor; the usual soft limit of 1,024 is far too low.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use skypunch_actors::{
        domain::TargetId,
        testing::{Fault, FaultyStore, MemoryStore, fixtures::target_row},
    };
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::{
        control::Client,
        settings::{Overrides, Surroundings},
    };

    fn settings(state_dir: &Path) -> Settings {
        let overrides = Overrides { state_dir: Some(state_dir.to_owned()), ..Overrides::default() };
        let loaded = Settings::load_in(&overrides, &Surroundings::default()).unwrap();
        let mut settings = loaded.settings;
        settings.web.listen = None;
        settings
    }

    /// A store with one target at a port where nobody listens.
    fn store() -> MemoryStore {
        let store = MemoryStore::default();
        let mut row = target_row(1, "nobody");
        row.definition.url = skypunch_actors::domain::Secret::new("http://127.0.0.1:9/");
        row.definition.frequency = 1;
        store.put_target(row);
        store
    }

    async fn wait_until(what: &str, mut look: impl FnMut() -> bool) {
        let waited = timeout(Duration::from_secs(60), async {
            while !look() {
                sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
    }

    #[actix::test]
    async fn actors_that_die_are_started_anew_and_go_on_counting() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let store = store();
        let (faulty, faults) = FaultyStore::new(Arc::new(store.clone()));
        let journal = FileJournal::open(&settings.journal_dir(), settings.journal.max_bytes).await.unwrap();
        let kept = Kept { store: Arc::new(faulty), journal: Arc::new(journal) };
        let socket = settings.daemon.socket.clone();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let kinds = Kinds::new(&settings, clock.clone()).unwrap();
        let lives = actix::spawn(async move {
            let started_at = clock.now();
            let life = Life { settings: &settings, kept: &kept, kinds: &kinds, clock: &clock, started_at };
            live_on(&life, Signals::listen().unwrap()).await
        });
        let failed = || store.target(TargetId(1)).state.tally.fail_count;
        wait_until("probes are counted", || failed() >= 2).await;
        faults.set(Fault::Panics);
        let mut client = Client::connect(&socket).await.unwrap();
        let dies = async {
            while client.call("status", &serde_json::Map::new(), &mut |_| ()).await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(60), dies).await.expect("the persister dies");
        faults.set(Fault::None);
        let counted = failed();
        wait_until("probes are counted again", || failed() > counted + 2).await;
        let status = store.target(TargetId(1)).state;
        assert_eq!((status.tally.repeated_fails, status.incident.is_some()), (status.tally.fail_count, true));
        let mut client = Client::connect(&socket).await.unwrap();
        client.call("stop", &serde_json::Map::new(), &mut |_| ()).await.unwrap();
        assert!(lives.await.unwrap().is_ok());
    }

    #[actix::test]
    async fn actors_that_die_again_and_again_end_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let (faulty, faults) = FaultyStore::new(Arc::new(store()));
        faults.set(Fault::Panics);
        let journal = FileJournal::open(&settings.journal_dir(), settings.journal.max_bytes).await.unwrap();
        let kept = Kept { store: Arc::new(faulty), journal: Arc::new(journal) };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let kinds = Kinds::new(&settings, clock.clone()).unwrap();
        let started_at = clock.now();
        let life = Life { settings: &settings, kept: &kept, kinds: &kinds, clock: &clock, started_at };
        let ended =
            timeout(Duration::from_secs(120), live_on(&life, Signals::listen().unwrap())).await.unwrap();
        assert!(matches!(ended, Err(RunError::CoreDied("persister"))), "{ended:?}");
    }
}
