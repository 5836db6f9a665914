//! What the kernel says of a process.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
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

impl Usage {
    /// Looks at the process now.
    pub fn of(pid: u32) -> Result<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let stat = fs::read_to_string(folder.join("stat")).context("the process has ended")?;
        // The name in parentheses may hold spaces.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        let status = fs::read_to_string(folder.join("status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kib: f64 = rss.trim().trim_end_matches(" kB").parse().unwrap_or(0.0);
        Ok(Self {
            cpu_s: (ticks(11) + ticks(12)) / TICKS_PER_SECOND,
            rss_mib: kib / 1024.0,
            open_files: fs::read_dir(folder.join("fd"))?.count(),
        })
    }
}

/// The load average of the last minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|one| one.parse().ok()).unwrap_or(0.0)
}
