//! What was found, and whether it is as it must be.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{
    arrivals::{Arrivals, Spread, Visits},
    database::Row,
    overload::Overload,
    plan::Plan,
    scenario::{Scenario, Trouble},
    told::Told,
};

/// One scenario.
#[derive(Debug, Serialize)]
pub struct Report {
    pub scenario: Scenario,
    pub cores: usize,
    /// Before and after.
    pub load_average: [f64; 2],
    pub daemon: Client,
    pub bare: Option<Client>,
    /// The daemon's CPU time a probe over the bare client's.
    pub cpu_ratio: Option<f64>,
    /// From the start of `run` until every target was probed once; `None` if one was not.
    pub all_probed_after_s: Option<f64>,
    /// Of a long measurement.
    pub lateness_drift_ms: Option<Drift>,
    /// CPU time a probe of the daemon's threads, by their names.
    pub threads_cpu_ms_per_probe: BTreeMap<String, f64>,
    pub database: Storage,
    /// Of targets that hang, where others do not.
    pub hanging: Option<Arrivals>,
    pub told: Option<Told>,
    pub overload: Option<Overload>,
    pub queues: Queues,
    pub integrity: Integrity,
    /// Why the daemon is not what it must be; empty if it is.
    pub faults: Vec<String>,
}

/// One client on the schedule.
#[derive(Debug, Serialize)]
pub struct Client {
    /// Of the targets that answer.
    pub arrivals: Arrivals,
    pub probes_per_s: f64,
    pub cpu_cores: f64,
    pub cpu_ms_per_probe: f64,
    /// What the watched server took to be visited by this client.
    pub server_cpu_ms_per_probe: f64,
    pub rss_mib: Course,
    /// In the second half of the measurement.
    pub rss_mib_per_minute: f64,
    pub open_files: Course,
}

/// A figure over time.
#[derive(Debug, Serialize)]
pub struct Course {
    pub start: f64,
    pub end: f64,
    pub max: f64,
}

/// How late slots were in the first tenth of the time, and in the last.
#[derive(Debug, Serialize)]
pub struct Drift {
    pub first: Spread,
    pub last: Spread,
}

/// What the database costs, of which results are written meanwhile.
#[derive(Debug, Serialize)]
pub struct Storage {
    /// Of the server, or of the thread of the embedded one; `None` if the server was another one at the end.
    pub cpu_ms_per_result: Option<f64>,
    pub mib: Change,
    pub journal_mib: Change,
}

/// Before the daemon was started, and when it had been watched.
#[derive(Debug, Serialize)]
pub struct Change {
    pub start: f64,
    pub end: f64,
}

/// What the daemon says of itself.
#[derive(Debug, Default, Serialize)]
pub struct Queues {
    pub results_waiting_max: u64,
    pub notifications_waiting_max: u64,
    /// Slots that it counted as skipped during the measurement.
    pub slots_skipped: u64,
    /// How often `skypunch status` had no answer within its time.
    pub unanswered: usize,
    /// All that `skypunch status` said last.
    pub last: Value,
    #[serde(skip)]
    skipped_before: Option<u64>,
}

/// Whether the database is right after the daemon was stopped.
#[derive(Debug, Serialize)]
pub struct Integrity {
    pub probes_arrived: i64,
    pub probes_counted: i64,
    pub states_wrong: usize,
}

impl Course {
    /// Of values in their order.
    pub fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        Self {
            start: values.clone().next().unwrap_or_default(),
            end: values.clone().last().unwrap_or_default(),
            max: values.fold(0.0, f64::max),
        }
    }
}

impl Queues {
    pub fn note(&mut self, status: Option<Value>) {
        let Some(status) = status else {
            self.unanswered += 1;
            return;
        };
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        self.results_waiting_max = self.results_waiting_max.max(number(&status["results_waiting"]));
        self.notifications_waiting_max =
            self.notifications_waiting_max.max(number(&status["notifications_waiting"]));
        let skipped = number(&status["slots"]["skipped"]);
        self.slots_skipped = skipped - *self.skipped_before.get_or_insert(skipped);
        self.last = status;
    }
}

impl Integrity {
    /// Compares the rows with the arrivals, and with what the targets answered last.
    pub fn judge(scenario: &Scenario, rows: &[Row], visits: &[Visits], plan: &Plan) -> Self {
        let fails = |id| scenario.hangs(id) || plan.fails(id, f64::INFINITY);
        let wrong = |row: &&Row| {
            let id = row.id as usize;
            scenario.ends_enabled(id) && row.status != if fails(id) { "FAIL" } else { "PASS" }
        };
        Self {
            probes_arrived: visits.iter().map(|visits| visits.len() as i64).sum(),
            probes_counted: rows.iter().map(|row| row.probes).sum(),
            states_wrong: rows.iter().filter(wrong).count() + visits.len().abs_diff(rows.len()),
        }
    }

    fn faults(&self, scenario: &Scenario) -> Vec<String> {
        let mut faults = Vec::new();
        // At most one probe a target was under way when the daemon was stopped.
        let uncounted = self.probes_arrived - self.probes_counted;
        // Of what never came through to an overloaded server, only the daemon knows.
        let least = if scenario.every_slot { 0 } else { i64::MIN };
        if !(least..=scenario.targets as i64).contains(&uncounted) {
            faults.push(format!("{} arrived, {} counted", self.probes_arrived, self.probes_counted));
        }
        // One whose slots are missed may fail, too.
        let exact = scenario.every_slot || scenario.trouble == Trouble::Overload;
        if exact && self.states_wrong > 0 {
            faults.push(format!("{} states are wrong", self.states_wrong));
        }
        faults
    }
}

impl Report {
    /// The report with its faults.
    pub fn judged(mut self) -> Self {
        let mut faults = self.integrity.faults(&self.scenario);
        let missed = self.daemon.arrivals.slots_missed;
        if self.scenario.every_slot && missed > 0 {
            faults.push(format!("{missed} slots were missed"));
        }
        if let Some(told) = self.told.as_ref().filter(|told| told.never > 0) {
            faults.push(format!("{} changes were never told", told.never));
        }
        if let Some(overload) = &self.overload {
            faults.extend(overload.faults(self.daemon.rss_mib.max));
        }
        if self.queues.unanswered > 0 {
            faults.push(format!("status had no answer {} times", self.queues.unanswered));
        }
        self.faults = faults;
        self
    }

    /// Whether the daemon is what it must be.
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }
}
