//! What the kernel says of a process.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde::Serialize;

/// `USER_HZ`: the same on every Linux that matters here.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process, at one moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Usage {
    /// User and system time since it began.
    pub cpu_s: f64,
    pub rss_mib: f64,
    pub open_files: usize,
}

/// The CPU time of threads since they began, by their names; those of one name are summed.
pub type Threads = BTreeMap<String, f64>;

impl Usage {
    /// Looks at the process now.
    pub fn of(pid: u32) -> Result<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let cpu_s = cpu_s(&folder).context("the process has ended")?;
        let status = fs::read_to_string(folder.join("status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kib: f64 = rss.trim().trim_end_matches(" kB").parse().unwrap_or(0.0);
        let open_files = fs::read_dir(folder.join("fd"))?.count();
        Ok(Self { cpu_s, rss_mib: kib / 1024.0, open_files })
    }
}

/// Looks at the threads of a process now.
pub fn threads(pid: u32) -> Result<Threads> {
    let mut threads = Threads::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = task?.path();
        // One may end while others are looked at.
        let (Ok(name), Ok(cpu_s)) = (fs::read_to_string(folder.join("comm")), cpu_s(&folder)) else {
            continue;
        };
        *threads.entry(name.trim_end().to_owned()).or_default() += cpu_s;
    }
    Ok(threads)
}

/// The CPU time of a process or a thread.
fn cpu_s(folder: &Path) -> io::Result<f64> {
    let stat = fs::read_to_string(folder.join("stat"))?;
    // The name in parentheses may hold spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / TICKS_PER_SECOND)
}

/// The load average of the last minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|one| one.parse().ok()).unwrap_or(0.0)
}

/// The size of a file, or of all in a folder; nothing if there is none.
pub fn mib(path: &Path) -> f64 {
    fn bytes(path: &Path) -> io::Result<u64> {
        let data = fs::symlink_metadata(path)?;
        if !data.is_dir() {
            return Ok(data.len());
        }
        // Files come and go while they are counted.
        Ok(fs::read_dir(path)?.flatten().filter_map(|entry| bytes(&entry.path()).ok()).sum())
    }
    bytes(path).unwrap_or_default() as f64 / 1024.0 / 1024.0
}

/// Lets this process, and those that it starts, open as many files as the machine allows.
pub fn allow_many_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}
