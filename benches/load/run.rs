//! The clients at work: the bare one, and the daemon from its start to its stop.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::{
    arrivals::Span,
    bare,
    daemon::{self, Daemon},
    database::{Database, Row},
    overload::{CALM, Phases, RELIEF},
    plan::outage_begins,
    process::mib,
    report::{Change, Client, Queues},
    scenario::{OUTAGE_S, Scenario, Trouble},
    server::{Seen, Server},
    window::{Window, Work},
};

/// How long a client runs before it is measured, if not for less than this.
const WARM_UP_SECONDS: u32 = 5;
/// The bare client needs no long look: it keeps nothing.
const BARE_SECONDS: u32 = 20;
/// When the measurement begins although some target was never probed, beside the time of the frequency.
const FIRST_PROBES_WITHIN: Duration = Duration::from_secs(30);
/// For the last probes to come, and the last notifications.
const LAST_PROBES: Duration = Duration::from_secs(1);
const LAST_NOTICES: Duration = Duration::from_secs(5);
/// How often memory and files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often the daemon is asked for its status, which costs it and the machine something.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// What the daemon did.
pub struct Watched {
    /// When it was started, on the clock of the server.
    pub spawned: f64,
    pub work: Work,
    /// Of an overload.
    pub phases: Option<Phases>,
    pub queues: Queues,
    pub database_mib: Change,
    pub journal_mib: Change,
    /// What stood in the database at the end.
    pub rows: Vec<Row>,
    pub seen: Seen,
}

/// Measures the bare client.
pub async fn bare(scenario: &Scenario, command: Command) -> Result<Client> {
    let server = Server::start(scenario)?;
    let client = bare::spawn(command, scenario, &server).await?;
    let pid = client.id().context("the bare client has ended")?;
    sleep(warm_up(scenario)).await;
    let seconds = scenario.clone().lasting(scenario.seconds.min(BARE_SECONDS)).seconds;
    let mut window = Window::open(&server, pid, None)?;
    let begun = Instant::now();
    let length = Duration::from_secs(seconds.into());
    while begun.elapsed() < length {
        window.look(&server)?;
        sleep(LOOK_EVERY.min(length.saturating_sub(begun.elapsed()))).await;
    }
    let work = window.close(&server, seconds, None)?;
    sleep(LAST_PROBES).await;
    drop(client);
    Ok(work.client(scenario, &server.finish()?.visits))
}

/// Measures the daemon.
pub async fn daemon(scenario: &Scenario) -> Result<Watched> {
    let server = Server::start(scenario)?;
    let home = tempfile::Builder::new().prefix("skypunch-load-").tempdir()?;
    let database = prepare(scenario, &server, home.path()).await?;
    let journal = daemon::journal(home.path());
    let before = (database.mib(), mib(&journal));

    let spawned = server.now();
    let mut daemon = Daemon::start(home.path())?;
    first_probes(scenario, &server, &mut daemon).await?;
    sleep(warm_up(scenario)).await;
    let calm = match scenario.trouble {
        Trouble::Overload => Some(overload(scenario, &server, &database).await?),
        _ => None,
    };
    let mut watch = Watch { scenario, server: &server, daemon: &mut daemon, database, away: false };
    let (work, queues) = watch.measure().await?;
    let database = watch.database;
    let phases = match calm {
        Some(calm) => {
            Some(Phases { calm, overload: work.span(), relief: relieve(scenario, &server, &database).await? })
        }
        None => None,
    };
    sleep(if scenario.tells() { LAST_NOTICES } else { LAST_PROBES }).await;
    let after = (database.mib(), mib(&journal));
    daemon.stop().await?;
    Ok(Watched {
        spawned,
        work,
        phases,
        queues,
        database_mib: Change { start: before.0, end: after.0 },
        journal_mib: Change { start: before.1, end: after.1 },
        rows: database.rows().await?,
        seen: server.finish()?,
    })
}

fn warm_up(scenario: &Scenario) -> Duration {
    Duration::from_secs(scenario.seconds.min(WARM_UP_SECONDS).into())
}

/// A database with all rows, and a configuration that names it.
async fn prepare(scenario: &Scenario, server: &Server, home: &Path) -> Result<Database> {
    let database = Database::start(scenario.backend, home).await?;
    daemon::prepare(home, &database.url()).await?;
    let ca_file = home.join("ca.pem");
    if let Some(pem) = &server.authority_pem {
        fs::write(&ca_file, pem)?;
    }
    database.fill(scenario, server, &ca_file).await?;
    Ok(database)
}

async fn first_probes(scenario: &Scenario, server: &Server, daemon: &mut Daemon<'_>) -> Result<()> {
    let expected = (1..=scenario.targets).filter(|id| scenario.begins_enabled(*id)).count();
    let begun = Instant::now();
    let limit = FIRST_PROBES_WITHIN + Duration::from_secs(scenario.frequency_s.into());
    while server.visited() < expected && begun.elapsed() < limit {
        daemon.check()?;
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Watches half of the targets, then lets the other half come.
async fn overload(scenario: &Scenario, server: &Server, database: &Database) -> Result<Span> {
    let from = server.now();
    sleep(CALM).await;
    let calm = Span { from, to: server.now() };
    database.execute("UPDATE targets SET enabled = 1").await?;
    sleep(warm_up(scenario)).await;
    Ok(calm)
}

/// Takes the load away, and watches what remains.
async fn relieve(scenario: &Scenario, server: &Server, database: &Database) -> Result<Span> {
    let remaining = scenario.remaining();
    database.execute(&format!("UPDATE targets SET enabled = 0 WHERE id > {remaining}")).await?;
    let from = server.now();
    sleep(RELIEF).await;
    Ok(Span { from, to: server.now() })
}

/// The daemon while it is measured.
struct Watch<'a, 'h> {
    scenario: &'a Scenario,
    server: &'a Server,
    daemon: &'a mut Daemon<'h>,
    database: Database,
    /// Whether the database was taken away.
    away: bool,
}

impl Watch<'_, '_> {
    async fn measure(&mut self) -> Result<(Work, Queues)> {
        let mut queues = Queues::default();
        queues.note(self.daemon.status().await.ok());
        let mut window = Window::open(self.server, self.daemon.pid()?, self.database.pid())?;
        self.server.begin(window.from());
        let begun = Instant::now();
        let length = Duration::from_secs(self.scenario.seconds.into());
        let mut asked = begun;
        while begun.elapsed() < length {
            sleep(LOOK_EVERY.min(length.saturating_sub(begun.elapsed()))).await;
            self.daemon.check()?;
            self.interfere(begun.elapsed()).await;
            window.look(self.server)?;
            if asked.elapsed() >= ASK_EVERY {
                asked = Instant::now();
                queues.note(self.daemon.status().await.ok());
            }
        }
        let work = window.close(self.server, self.scenario.seconds, self.database.pid())?;
        queues.note(self.daemon.status().await.ok());
        Ok((work, queues))
    }

    /// Takes the database away, or brings it back, when it is time.
    async fn interfere(&mut self, elapsed: Duration) {
        if self.scenario.trouble != Trouble::Outage {
            return;
        }
        let begins = outage_begins(self.scenario);
        let away = (begins..begins + f64::from(OUTAGE_S)).contains(&elapsed.as_secs_f64());
        if away != self.away {
            self.away = away;
            if away {
                self.database.stop();
            } else {
                self.database.start_again().await;
            }
        }
    }
}
