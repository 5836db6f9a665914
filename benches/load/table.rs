//! The report as people read it.

use std::fmt::{self, Display, Formatter};

use super::{
    arrivals::Spread,
    report::{Client, Report},
    scenario::{Backend, Connection},
};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scenario = &self.scenario;
        let backend = match scenario.backend {
            Backend::Sqlite => "SQLite",
            Backend::Mysql => "MariaDB",
        };
        let connection = match scenario.connection {
            Connection::Fresh => "fresh connections",
            Connection::Tls => "TLS handshakes",
            Connection::KeepAlive => "connections kept open",
        };
        writeln!(
            f,
            "{}: {} targets at {} s for {} s, {connection}, {backend}; {} cores, load average {} before, {} after\n",
            scenario.name,
            scenario.targets,
            scenario.frequency_s,
            scenario.seconds,
            self.cores,
            self.load_average[0],
            self.load_average[1]
        )?;
        writeln!(f, "{:<30}{:>14}{:>14}{:>10}", "", "skypunch", "bare client", "ratio")?;
        self.rows(f)?;
        writeln!(f)?;
        self.of_the_daemon(f)?;
        match self.faults.as_slice() {
            [] => writeln!(f, "\nholds"),
            faults => writeln!(f, "\nDOES NOT HOLD: {}", faults.join("; ")),
        }
    }
}

/// What is said of both clients: a label, digits, whether a ratio says something, the figure.
type Row = (&'static str, usize, bool, fn(&Client) -> f64);

const ROWS: [Row; 23] = [
    ("slots expected", 0, false, |client| client.arrivals.slots_expected as f64),
    ("slots missed", 0, false, |client| client.arrivals.slots_missed as f64),
    ("slots doubled", 0, false, |client| client.arrivals.slots_doubled as f64),
    ("slots probed (%)", 3, false, |client| client.arrivals.probed_percent),
    ("windows", 0, false, |client| client.arrivals.windows.count as f64),
    ("  with a miss", 0, false, |client| client.arrivals.windows.with_a_miss as f64),
    ("lateness p50 (ms)", 2, true, |client| client.arrivals.lateness_ms.p50),
    ("lateness p99 (ms)", 2, true, |client| client.arrivals.lateness_ms.p99),
    ("lateness max (ms)", 2, true, |client| client.arrivals.lateness_ms.max),
    ("mean gap (s)", 5, false, |client| client.arrivals.mean_gap_s),
    ("  off the frequency (%)", 4, false, |client| client.arrivals.mean_gap_off_percent),
    ("longest gap (s)", 3, false, |client| client.arrivals.longest_gap_s),
    ("probes/s", 1, true, |client| client.probes_per_s),
    ("CPU a probe (ms)", 4, true, |client| client.cpu_ms_per_probe),
    ("CPU (cores)", 4, true, |client| client.cpu_cores),
    ("CPU of the server (ms)", 4, true, |client| client.server_cpu_ms_per_probe),
    ("RSS at start (MiB)", 1, true, |client| client.rss_mib.start),
    ("RSS at end (MiB)", 1, true, |client| client.rss_mib.end),
    ("RSS at most (MiB)", 1, true, |client| client.rss_mib.max),
    ("  growth (MiB/min)", 3, false, |client| client.rss_mib_per_minute),
    ("open files at start", 0, false, |client| client.open_files.start),
    ("open files at end", 0, false, |client| client.open_files.end),
    ("open files at most", 0, false, |client| client.open_files.max),
];

impl Report {
    fn rows(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (label, digits, rated, value) in ROWS {
            let daemon = value(&self.daemon);
            write!(f, "{label:<30}{daemon:>14.digits$}")?;
            if let Some(bare) = self.bare.as_ref().map(value) {
                write!(f, "{bare:>14.digits$}")?;
                if rated && bare != 0.0 {
                    write!(f, "{:>10.2}", daemon / bare)?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn of_the_daemon(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.all_probed_after_s {
            Some(seconds) => line(f, "all probed once after", format_args!("{seconds:.2} s"))?,
            None => line(f, "all probed once after", "never")?,
        }
        if let Some(drift) = &self.lateness_drift_ms {
            line(f, "lateness, first tenth (ms)", format_args!("{:.2}", drift.first))?;
            line(f, "  last tenth (ms)", format_args!("{:.2}", drift.last))?;
        }
        let mut threads: Vec<_> = self.threads_cpu_ms_per_probe.iter().collect();
        threads.sort_by(|(_, one), (_, other)| f64::total_cmp(other, one));
        let threads: Vec<String> = threads.iter().map(|(name, ms)| format!("{name} {ms:.4}")).collect();
        line(f, "CPU a probe (ms)", threads.join(", "))?;
        if let Some(ms) = self.database.cpu_ms_per_result {
            line(f, "database, CPU a result (ms)", format_args!("{ms:.4}"))?;
        }
        let (database, journal) = (&self.database.mib, &self.database.journal_mib);
        line(
            f,
            "database (MiB)",
            format_args!("{:.1} at start, {:.1} at end", database.start, database.end),
        )?;
        line(f, "journal (MiB)", format_args!("{:.1} at start, {:.1} at end", journal.start, journal.end))?;
        line(
            f,
            "waiting at most",
            format_args!(
                "{} results, {} notifications",
                self.queues.results_waiting_max, self.queues.notifications_waiting_max
            ),
        )?;
        line(f, "slots by its own count", &self.queues.last["slots"])?;
        if let Some(hanging) = &self.hanging {
            let (probed, percent) = (hanging.slots_expected - hanging.slots_missed, hanging.probed_percent);
            line(f, "slots of those that hang", format_args!("{probed} probed, {percent:.1} %"))?;
        }
        if let Some(told) = &self.told {
            line(
                f,
                "changes told",
                format_args!(
                    "{} of {}, {} in excess",
                    told.changes - told.never,
                    told.changes,
                    told.in_excess
                ),
            )?;
            line(f, "  after (ms)", format_args!("{:.0}", told.after_ms))?;
        }
        self.of_overload(f)?;
        let integrity = &self.integrity;
        line(
            f,
            "results",
            format_args!(
                "{} arrived, {} counted, {} states wrong",
                integrity.probes_arrived, integrity.probes_counted, integrity.states_wrong
            ),
        )
    }

    fn of_overload(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(overload) = &self.overload else { return Ok(()) };
        line(
            f,
            "overloaded (probes/s)",
            format_args!(
                "{:.0}, {:.1} % of its best {:.0}; {:.0} with half of the targets",
                overload.probes_per_s,
                overload.percent_of_best,
                overload.best_probes_per_s,
                overload.calm_probes_per_s
            ),
        )?;
        let shares = &overload.probes_per_target;
        line(
            f,
            "  probes a target",
            format_args!("min {}, mean {:.2}, max {}", shares.min, shares.mean, shares.max),
        )?;
        line(f, "  skipped by its count", overload.slots_skipped_by_its_count)?;
        match overload.recovered_after_s {
            Some(seconds) => line(f, "  recovered after", format_args!("{seconds:.2} s")),
            None => line(f, "  recovered after", "never"),
        }
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { p50, p99, max } = self;
        write!(f, "p50 {p50:.digits$}, p99 {p99:.digits$}, max {max:.digits$}")
    }
}

fn line(f: &mut Formatter<'_>, label: &str, value: impl Display) -> fmt::Result {
    writeln!(f, "{label:<30}{value}")
}
