//! The daemon as operators run it: the binary, a configuration file, a state folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// A running daemon; it is killed with the value, unless it was stopped.
pub struct Daemon<'a> {
    home: &'a Path,
    child: Child,
}

/// Writes the configuration and prepares the database.
pub async fn prepare(home: &Path, database_url: &str) -> Result<()> {
    let settings = format!(
        "state_dir = \"{}\"\n[database]\nurl = \"{database_url}\"\n[web]\nlisten = \"\"\n",
        home.join("state").display()
    );
    fs::write(home.join("skypunch.toml"), settings)?;
    let migrated = skypunch(home).arg("migrate").output().await?;
    if !migrated.status.success() {
        bail!("migrate: {}", String::from_utf8_lossy(&migrated.stderr));
    }
    Ok(())
}

/// Where the daemon keeps what the database does not have yet.
pub fn journal(home: &Path) -> PathBuf {
    home.join("state/journal")
}

fn skypunch(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skypunch"));
    command.arg("--config").arg(home.join("skypunch.toml")).stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl<'a> Daemon<'a> {
    /// Starts the daemon, and does not wait for it.
    pub fn start(home: &'a Path) -> Result<Self> {
        let log = fs::File::create(home.join("run.log"))?;
        let child = skypunch(home)
            .args(["run", "--quiet"])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the daemon")?;
        Ok(Self { home, child })
    }

    /// Fails, saying why, if it has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(ended) = self.child.try_wait()? {
            bail!("the daemon ended ({ended}): {}", fs::read_to_string(self.home.join("run.log"))?);
        }
        Ok(())
    }

    /// Its process id.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the daemon has ended")
    }

    /// What `skypunch --json status` says.
    pub async fn status(&self) -> Result<Value> {
        let mut asking = skypunch(self.home);
        let answer = timeout(Duration::from_secs(10), asking.args(["--json", "status"]).output()).await??;
        if !answer.status.success() {
            bail!("status: {}", String::from_utf8_lossy(&answer.stderr));
        }
        serde_json::from_slice(&answer.stdout).context("status is not JSON")
    }

    /// Stops it as systemd would, and waits until everything is written.
    pub async fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.pid()?).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, Signal::TERM)?;
        let ended = timeout(Duration::from_secs(30), self.child.wait()).await;
        let ended = ended.context("the daemon does not stop")??;
        if !ended.success() {
            bail!("the daemon ended with {ended}");
        }
        Ok(())
    }
}
