//! Starts the daemon in the background, and stops it.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::{Map, Value};
use skypunch_actors::domain::text;
use tokio::time::{Instant, sleep};

use crate::{
    control::{CallError, Client, ConnectError, Pidfile, PidfileError},
    settings::{Overrides, Settings, SettingsError, create_state_dir},
};

/// How long the daemon may take until it serves: a migration may be among it.
const SERVE_WITHIN: Duration = Duration::from_secs(30);
/// What the end of a process may take beyond the shutdown that was configured.
const END_WITHIN: Duration = Duration::from_secs(5);
/// How often we look whether it has come so far.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How many of the last lines of a log are shown, and how many bytes are read for that.
const TAIL: (usize, u64) = (10, 16 * 1024);

/// Why the daemon did not start or stop.
#[derive(Debug, thiserror::Error)]
pub(super) enum DaemonError {
    #[error("the daemon is already running{}", process(.0))]
    Running(Option<u32>),
    #[error("the daemon is not running")]
    NotRunning,
    #[error("the daemon{} runs and does not listen on {}; if that lasts, end it with `kill`", process(pid), socket.display())]
    Deaf { pid: Option<u32>, socket: PathBuf },
    #[error("cannot run the daemon")]
    Spawn(#[source] io::Error),
    #[error("the daemon did not start ({status}){said}")]
    Ended { status: ExitStatus, said: String },
    #[error(
        "the daemon (pid {pid}) runs and does not serve after {} s; see `skypunch status`{said}",
        SERVE_WITHIN.as_secs()
    )]
    Slow { pid: u32, said: String },
    #[error("the daemon (pid {pid}) was told to stop and still runs after {} s", within.as_secs())]
    Stubborn { pid: u64, within: Duration },
    #[error(transparent)]
    Pidfile(PidfileError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    StateDir(#[from] SettingsError),
}

fn process(pid: &Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

/// Whether a daemon runs on this state directory, and which process that is, if it has said so.
fn running(settings: &Settings) -> Result<Option<Option<u32>>, DaemonError> {
    match Pidfile::check_free(&settings.pid_file()) {
        Ok(()) => Ok(None),
        Err(PidfileError::Held { pid, .. }) => Ok(Some(pid)),
        Err(error) => Err(DaemonError::Pidfile(error)),
    }
}

/// Starts the daemon and waits until it serves. Returns its process.
pub(super) async fn start(settings: &Settings, overrides: &Overrides) -> Result<u32, DaemonError> {
    if let Some(pid) = running(settings)? {
        return Err(DaemonError::Running(pid));
    }
    create_state_dir(&settings.state_dir)?;
    let stderr = settings.log_file().with_file_name("skypunch.stderr");
    let log = Tail::from_now(settings.log_file());
    let mut child = spawn(overrides, &stderr).map_err(DaemonError::Spawn)?;
    let said = || format!("{}{}", Tail::of(&stderr).quote("it said"), log.quote("its log"));
    let deadline = Instant::now() + SERVE_WITHIN;
    loop {
        if serves(&settings.daemon.socket, child.id()).await {
            return Ok(child.id());
        }
        if let Some(status) = child.try_wait().map_err(DaemonError::Spawn)? {
            return Err(DaemonError::Ended { status, said: said() });
        }
        if Instant::now() > deadline {
            return Err(DaemonError::Slow { pid: child.id(), said: said() });
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Stops the daemon and waits until its process is gone. Returns which it was.
pub(super) async fn stop(settings: &Settings) -> Result<u64, DaemonError> {
    let socket = &settings.daemon.socket;
    let mut client = match Client::connect(socket).await {
        Ok(client) => client,
        Err(ConnectError::NoDaemon(_)) => {
            return Err(match running(settings)? {
                Some(pid) => DaemonError::Deaf { pid, socket: socket.clone() },
                None => DaemonError::NotRunning,
            });
        }
        Err(error) => return Err(error.into()),
    };
    let answer = client.call("stop", &Map::new(), &mut |_| {}).await?;
    let pid = answer["pid"].as_u64().unwrap_or_default();
    let within = settings.daemon.shutdown_timeout + END_WITHIN;
    let deadline = Instant::now() + within;
    while running(settings)?.is_some() {
        if Instant::now() > deadline {
            return Err(DaemonError::Stubborn { pid, within });
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(pid)
}

/// In a process group of its own, so that the terminal's Ctrl-C is not for the daemon.
fn spawn(overrides: &Overrides, stderr: &Path) -> io::Result<Child> {
    if let Some(dir) = stderr.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut command = Command::new(std::env::current_exe()?);
    for (option, value) in [("--config", &overrides.config), ("--state-dir", &overrides.state_dir)] {
        command.args(value.iter().flat_map(|value| [option.as_ref(), value.as_os_str()]));
    }
    command.args(["run", "--quiet"]).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(stderr)?).spawn()
}

/// Whether it is our process that answers on the socket.
async fn serves(socket: &Path, pid: u32) -> bool {
    let Ok(mut client) = Client::connect(socket).await else {
        return false;
    };
    let status = client.call("status", &Map::new(), &mut |_| {}).await;
    status.is_ok_and(|status: Value| status["pid"] == pid)
}

/// What is written to a file from some point on.
struct Tail {
    path: PathBuf,
    from: u64,
}

impl Tail {
    fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), from: 0 }
    }

    fn from_now(path: PathBuf) -> Self {
        let from = fs::metadata(&path).map_or(0, |file| file.len());
        Self { path, from }
    }

    /// The last lines, indented below a heading; nothing, if there are none.
    fn quote(&self, heading: &str) -> String {
        let lines = self.lines().unwrap_or_default();
        if lines.is_empty() {
            return String::new();
        }
        let quoted: String = lines.iter().map(|line| format!("\n  {}", text::reason(line))).collect();
        format!("\n{heading} ({}):{quoted}", self.path.display())
    }

    fn lines(&self) -> io::Result<Vec<String>> {
        let mut file = File::open(&self.path)?;
        let len = file.metadata()?.len();
        // A file that became shorter was begun anew.
        let from = if self.from <= len { self.from } else { 0 };
        file.seek(SeekFrom::Start(from.max(len.saturating_sub(TAIL.1))))?;
        let mut bytes = Vec::new();
        file.take(TAIL.1).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        Ok(lines[lines.len().saturating_sub(TAIL.0)..].iter().map(|&line| line.to_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn only_what_came_since_is_quoted_and_only_the_last_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("skypunch.log");
        fs::write(&path, "old\n").unwrap();
        let tail = Tail::from_now(path.clone());
        assert_eq!(tail.quote("its log"), "");
        let mut file = File::options().append(true).open(&path).unwrap();
        for n in 0..20_000 {
            writeln!(file, "line {n}").unwrap();
        }
        let quoted = tail.quote("its log");
        assert!(quoted.starts_with(&format!("\nits log ({}):\n  line 19990\n", path.display())), "{quoted}");
        assert!(quoted.ends_with("\n  line 19999"), "{quoted}");
        fs::write(&path, "a\n").unwrap();
        assert!(tail.quote("its log").ends_with(":\n  a"));
    }

    #[test]
    fn a_file_that_is_missing_is_quoted_as_nothing() {
        assert_eq!(Tail::of(Path::new("/no/such/file")).quote("it said"), "");
    }
}
