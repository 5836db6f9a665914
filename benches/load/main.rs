//! Load: how well the daemon keeps one-second slots, measured from outside, and what that costs.
//!
//! Settings come from the environment: `N` targets (1000), `SECONDS` of measurement (60),
//! `BACKEND=sqlite|mysql`, and `OUTAGE=1`, which takes the database (mysql) away for a minute in the
//! middle. Ends with 1 if a slot was missed, results were not counted, or the state is wrong after the
//! outage. See docs/performance.md.

mod arrivals;
mod bare;
mod daemon;
mod database;
mod process;
mod report;
mod server;
mod support;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

use self::{
    arrivals::Arrivals,
    daemon::Daemon,
    database::Database,
    process::{Usage, load_average},
    report::{Client, Integrity, Queues, Report},
    server::Server,
};

/// How long a client runs before it is measured.
const WARM_UP: Duration = Duration::from_secs(5);
/// How often memory, files and queues are looked at.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
const OUTAGE: Duration = Duration::from_secs(60);

/// What the environment asks for.
struct Options {
    targets: usize,
    seconds: u32,
    mysql: bool,
    outage: bool,
}

impl Options {
    fn from_environment() -> Result<Self> {
        let number = |name: &str, default: u32| match std::env::var(name) {
            Ok(text) => text.parse().with_context(|| format!("{name} must be a number")),
            Err(_) => Ok(default),
        };
        let options = Self {
            targets: number("N", 1_000)? as usize,
            seconds: number("SECONDS", 60)?,
            mysql: match std::env::var("BACKEND").as_deref() {
                Err(_) | Ok("sqlite") => false,
                Ok("mysql") => true,
                Ok(_) => bail!("BACKEND must be sqlite or mysql"),
            },
            outage: number("OUTAGE", 0)? == 1,
        };
        if options.outage && (!options.mysql || options.seconds < 90) {
            bail!("OUTAGE=1 needs BACKEND=mysql and SECONDS=90 or more");
        }
        Ok(options)
    }
}

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(bare::ARGUMENT) {
        bare::run(arguments)?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure(&Options::from_environment()?))?;
    report.print()?;
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(options: &Options) -> Result<Report> {
    let load_before = load_average();
    let bare = measure_bare(options).await?;
    let (daemon, queues, integrity) = measure_daemon(options).await?;
    Ok(Report {
        targets: options.targets,
        seconds: options.seconds,
        backend: if options.mysql { "mysql" } else { "sqlite" },
        outage: options.outage,
        cores: std::thread::available_parallelism()?.get(),
        load_average: [load_before, load_average()],
        cpu_ratio: daemon.cpu_ms_per_probe / bare.cpu_ms_per_probe,
        daemon,
        bare,
        queues,
        integrity,
    })
}

async fn measure_bare(options: &Options) -> Result<Client> {
    let server = Server::start(options.targets)?;
    let client = bare::spawn(&server, options.targets)?;
    let pid = client.id().context("the bare client has ended")?;
    sleep(WARM_UP).await;
    // It needs no long look: it keeps nothing.
    let seconds = options.seconds.min(20);
    let window = Window::open(&server, pid, seconds)?;
    sleep(Duration::from_secs(seconds.into())).await;
    let usage = [Usage::of(pid)?; 1];
    window.close(&server, &usage).await
}

async fn measure_daemon(options: &Options) -> Result<(Client, Queues, Integrity)> {
    let server = Server::start(options.targets)?;
    let home = tempfile::Builder::new().prefix("skypunch-load-").tempdir()?;
    let mut database = Database::start(options.mysql, home.path()).await;
    daemon::prepare(home.path(), &database.url()).await?;
    let urls: Vec<String> = (1..=options.targets).map(|id| server.url(id)).collect();
    database.fill(&urls).await?;

    let daemon = Daemon::start(home.path()).await?;
    let pid = daemon.pid()?;
    sleep(WARM_UP).await;
    let window = Window::open(&server, pid, options.seconds)?;
    let begun = Instant::now();
    let length = Duration::from_secs(options.seconds.into());
    let (mut usage, mut queues) = (Vec::new(), Queues::default());
    let mut outage = options.outage.then(|| (length - OUTAGE) / 2);
    let mut away_since = None;
    while begun.elapsed() < length {
        let next = SAMPLE_EVERY.min(length.saturating_sub(begun.elapsed()));
        sleep(next).await;
        if outage.is_some_and(|at| begun.elapsed() >= at) {
            outage = None;
            away_since = Some(Instant::now());
            database.stop();
            server.let_odd_ones_fail();
        }
        if away_since.is_some_and(|since| since.elapsed() >= OUTAGE) {
            away_since = None;
            database.start_again().await;
        }
        usage.push(Usage::of(pid)?);
        queues.note(&daemon.status().await?);
    }
    let client = window.close(&server, &usage).await?;
    daemon.stop().await?;
    let integrity = Integrity::judge(&database.rows().await?, &server.arrivals(), options.outage);
    Ok((client, queues, integrity))
}

/// A measurement that goes on.
struct Window {
    from: f64,
    seconds: u32,
    before: Usage,
}

impl Window {
    fn open(server: &Server, pid: u32, seconds: u32) -> Result<Self> {
        Ok(Self { from: server.now(), seconds, before: Usage::of(pid)? })
    }

    /// `usage` was seen on the way, last at the end.
    async fn close(self, server: &Server, usage: &[Usage]) -> Result<Client> {
        let after = *usage.last().context("nothing was seen")?;
        let elapsed = server.now() - self.from;
        // The probe of the last slot may be late.
        sleep(Duration::from_secs(1)).await;
        let all = server.arrivals();
        let probes: usize =
            all.iter().flatten().filter(|at| (self.from..self.from + elapsed).contains(*at)).count();
        Ok(Client {
            arrivals: Arrivals::judge(&all, self.from, self.seconds),
            probes_per_s: probes as f64 / elapsed,
            cpu_ms_per_probe: (after.cpu_s - self.before.cpu_s) * 1e3 / probes as f64,
            before: self.before,
            after,
            rss_mib_max: usage.iter().map(|usage| usage.rss_mib).fold(0.0, f64::max),
            open_files_max: usage.iter().map(|usage| usage.open_files).max().unwrap_or_default(),
        })
    }
}
