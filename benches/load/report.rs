//! What was found: a table for people, then one JSON document.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::{arrivals::Arrivals, database::Row, process::Usage};

#[derive(Debug, Serialize)]
pub struct Report {
    pub targets: usize,
    pub seconds: u32,
    pub backend: &'static str,
    pub outage: bool,
    pub cores: usize,
    /// Before and after.
    pub load_average: [f64; 2],
    pub daemon: Client,
    pub bare: Client,
    /// The daemon's CPU time a probe over the bare client's.
    pub cpu_ratio: f64,
    pub queues: Queues,
    pub integrity: Integrity,
}

/// One client on the schedule.
#[derive(Debug, Serialize)]
pub struct Client {
    pub arrivals: Arrivals,
    pub probes_per_s: f64,
    pub cpu_ms_per_probe: f64,
    pub before: Usage,
    pub after: Usage,
    pub rss_mib_max: f64,
    pub open_files_max: usize,
}

/// What the daemon says of itself.
#[derive(Debug, Default, Serialize)]
pub struct Queues {
    pub results_waiting_max: u64,
    pub notifications_waiting_max: u64,
    /// All that `skypunch status` said last.
    pub last: Value,
}

impl Queues {
    pub fn note(&mut self, status: &Value) {
        let number = |key: &str| status[key].as_u64().unwrap_or_default();
        self.results_waiting_max = self.results_waiting_max.max(number("results_waiting"));
        self.notifications_waiting_max = self.notifications_waiting_max.max(number("notifications_waiting"));
        self.last = status.clone();
    }
}

/// Whether the database is right after the daemon was stopped.
#[derive(Debug, Serialize)]
pub struct Integrity {
    pub probes_arrived: i64,
    pub probes_counted: i64,
    pub states_wrong: usize,
}

impl Integrity {
    /// After an outage, the targets with odd ids fail.
    pub fn judge(rows: &[Row], arrivals: &[Vec<f64>], outage: bool) -> Self {
        let fails = |row: &Row| outage && row.id % 2 == 1;
        let wrong = |row: &&Row| row.status != if fails(row) { "FAIL" } else { "PASS" };
        Self {
            probes_arrived: arrivals.iter().map(|visits| visits.len() as i64).sum(),
            probes_counted: rows.iter().map(|row| row.probes).sum(),
            states_wrong: rows.iter().filter(wrong).count() + arrivals.len().abs_diff(rows.len()),
        }
    }

    /// At most one probe a target was under way when the daemon was stopped.
    fn holds(&self, targets: usize) -> bool {
        let uncounted = self.probes_arrived - self.probes_counted;
        self.states_wrong == 0 && (0..=targets as i64).contains(&uncounted)
    }
}

impl Report {
    /// Whether every slot was kept and every result counted.
    pub fn holds(&self) -> bool {
        self.daemon.arrivals.slots_missed == 0 && self.integrity.holds(self.targets)
    }

    /// Writes the report to stdout.
    pub fn print(&self) -> Result<()> {
        let [before, after] = self.load_average;
        let outage = if self.outage { ", one minute without it" } else { "" };
        println!(
            "{} targets at 1 s for {} s on {}{outage}; {} cores, load average {before} before, {after} after\n",
            self.targets, self.seconds, self.backend, self.cores
        );
        println!("{:<28}{:>14}{:>14}", "", "skypunch", "bare client");
        self.row("slots expected", 0, |client| client.arrivals.slots_expected as f64);
        self.row("slots missed", 0, |client| client.arrivals.slots_missed as f64);
        self.row("slots doubled", 0, |client| client.arrivals.slots_doubled as f64);
        self.row("longest gap (s)", 3, |client| client.arrivals.longest_gap_s);
        self.row("probes/s", 1, |client| client.probes_per_s);
        self.row("lateness p50 (ms)", 2, |client| client.arrivals.lateness_ms.p50);
        self.row("lateness p99 (ms)", 2, |client| client.arrivals.lateness_ms.p99);
        self.row("lateness max (ms)", 2, |client| client.arrivals.lateness_ms.max);
        self.row("CPU a probe (ms)", 4, |client| client.cpu_ms_per_probe);
        self.row("RSS at start (MiB)", 1, |client| client.before.rss_mib);
        self.row("RSS at end (MiB)", 1, |client| client.after.rss_mib);
        self.row("RSS at most (MiB)", 1, |client| client.rss_mib_max);
        self.row("open files at start", 0, |client| client.before.open_files as f64);
        self.row("open files at end", 0, |client| client.after.open_files as f64);
        self.row("open files at most", 0, |client| client.open_files_max as f64);
        let Integrity { probes_arrived, probes_counted, states_wrong } = self.integrity;
        println!(
            "\nCPU ratio {:.2}; results waiting at most {}, notifications {}; slots by its own count {}",
            self.cpu_ratio,
            self.queues.results_waiting_max,
            self.queues.notifications_waiting_max,
            self.queues.last["slots"]
        );
        println!("{probes_arrived} probes arrived, {probes_counted} counted; {states_wrong} states wrong");
        println!("{}\n", if self.holds() { "holds" } else { "DOES NOT HOLD" });
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }

    fn row(&self, label: &str, digits: usize, value: impl Fn(&Client) -> f64) {
        let (daemon, bare) = (value(&self.daemon), value(&self.bare));
        println!("{label:<28}{daemon:>14.digits$}{bare:>14.digits$}");
    }
}
