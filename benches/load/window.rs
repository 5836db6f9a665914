//! What a client costs while it is measured, beside what the server sees of it.

use anyhow::{Context, Result};

use super::{
    arrivals::{Arrivals, Span, Visits},
    process::{Threads, Usage, threads},
    report::{Client, Course, Drift},
    scenario::Scenario,
    server::{self, Server},
};

/// A measurement that goes on.
pub struct Window {
    from: f64,
    pid: u32,
    samples: Vec<Sample>,
    threads: Threads,
    server_cpu_s: f64,
    database: Option<(u32, f64)>,
}

/// What was measured.
pub struct Work {
    /// As long as it took, which is not less than was asked for.
    span: Span,
    seconds: u32,
    samples: Vec<Sample>,
    /// CPU time of the client's threads.
    pub threads: Threads,
    server_cpu_s: f64,
    /// CPU time of the database's server, if it was the same all the time.
    pub database_cpu_s: Option<f64>,
}

/// A client at one moment.
struct Sample {
    at: f64,
    usage: Usage,
}

impl Window {
    /// Begins now to measure the process `pid`, and that of a database.
    pub fn open(server: &Server, pid: u32, database: Option<u32>) -> Result<Self> {
        let mut window = Self {
            from: server.now(),
            pid,
            samples: Vec::new(),
            threads: threads(pid)?,
            server_cpu_s: server_cpu_s()?,
            database: database.map(|pid| Ok::<_, anyhow::Error>((pid, Usage::of(pid)?.cpu_s))).transpose()?,
        };
        window.look(server)?;
        Ok(window)
    }

    /// When it began, on the clock of the server.
    pub fn from(&self) -> f64 {
        self.from
    }

    /// Looks at the process.
    pub fn look(&mut self, server: &Server) -> Result<()> {
        self.samples.push(Sample { at: server.now(), usage: Usage::of(self.pid)? });
        Ok(())
    }

    /// Ends it, after `seconds` or a little more.
    pub fn close(mut self, server: &Server, seconds: u32, database: Option<u32>) -> Result<Work> {
        let same = self.database.filter(|(pid, _)| Some(*pid) == database);
        let database_cpu_s =
            same.map(|(pid, before)| Ok::<_, anyhow::Error>(Usage::of(pid)?.cpu_s - before)).transpose()?;
        let mut of_threads = threads(self.pid)?;
        for (name, cpu_s) in &mut of_threads {
            *cpu_s -= self.threads.get(name).copied().unwrap_or_default();
        }
        self.look(server)?;
        Ok(Work {
            span: Span { from: self.from, to: server.now() },
            seconds,
            samples: self.samples,
            threads: of_threads,
            server_cpu_s: server_cpu_s()? - self.server_cpu_s,
            database_cpu_s,
        })
    }
}

impl Work {
    /// When it was, on the clock of the server.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Probes that arrived meanwhile.
    pub fn probes(&self, visits: &[Visits]) -> usize {
        visits.iter().map(|visits| self.span.count(visits)).sum()
    }

    /// The slots of some targets.
    pub fn arrivals<'a>(&self, scenario: &Scenario, visits: impl Iterator<Item = &'a Visits>) -> Arrivals {
        Arrivals::judge(visits, self.span.from, self.seconds, scenario.frequency_s)
    }

    /// How late the slots of the first and of the last tenth were, where a tenth is a minute or more.
    pub fn drift(&self, scenario: &Scenario, visits: &[Visits]) -> Option<Drift> {
        let tenth = self.seconds / 10 / scenario.frequency_s * scenario.frequency_s;
        let late = |from| Arrivals::judge(visits.iter(), from, tenth, scenario.frequency_s).lateness_ms;
        let last = self.span.from + f64::from(self.seconds - tenth);
        (tenth >= 60).then(|| Drift { first: late(self.span.from), last: late(last) })
    }

    /// All that is said of a client.
    pub fn client(&self, scenario: &Scenario, visits: &[Visits]) -> Client {
        let (probes, length) = (self.probes(visits) as f64, self.span.to - self.span.from);
        let cpu_s = match (self.samples.first(), self.samples.last()) {
            (Some(first), Some(last)) => last.usage.cpu_s - first.usage.cpu_s,
            _ => 0.0,
        };
        let answering = (1..).zip(visits).filter(|(id, _)| !scenario.hangs(*id));
        Client {
            arrivals: self.arrivals(scenario, answering.map(|(_, visits)| visits)),
            probes_per_s: probes / length,
            cpu_cores: cpu_s / length,
            cpu_ms_per_probe: cpu_s * 1e3 / probes,
            server_cpu_ms_per_probe: self.server_cpu_s * 1e3 / probes,
            rss_mib: Course::of(self.samples.iter().map(|sample| sample.usage.rss_mib)),
            rss_mib_per_minute: slope(&self.samples[self.samples.len() / 2..]) * 60.0,
            open_files: Course::of(self.samples.iter().map(|sample| sample.usage.open_files as f64)),
        }
    }
}

/// How memory grows, in MiB a second: the line of least squares.
fn slope(samples: &[Sample]) -> f64 {
    let count = samples.len() as f64;
    let mean = |value: fn(&Sample) -> f64| samples.iter().map(value).sum::<f64>() / count;
    let (at, rss) = (mean(|sample| sample.at), mean(|sample| sample.usage.rss_mib));
    let off = |sample: &Sample| (sample.at - at, sample.usage.rss_mib - rss);
    let both: f64 = samples.iter().map(off).map(|(at, rss)| at * rss).sum();
    let squares: f64 = samples.iter().map(off).map(|(at, _)| at * at).sum();
    if squares > 0.0 { both / squares } else { 0.0 }
}

fn server_cpu_s() -> Result<f64> {
    threads(std::process::id())?.get(server::THREAD).copied().context("the server has ended")
}
