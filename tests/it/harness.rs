//! The whole program, run as people run it: the real binary, a folder of its own, ports that are free.

use std::{
    fs,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::wait::wait_until;

/// How long the daemon may take to stop before the test fails.
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// Quick, and on a port that the system chooses.
pub const CONFIG: &str = r#"
[database]
flush_interval = "50ms"
[daemon]
reload_interval = "200ms"
[web]
listen = "127.0.0.1:0"
"#;

/// A configuration and a state directory, and the command line on them.
///
/// Whatever test has a daemon there must have stopped it when this is dropped.
pub struct Home {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
    /// The open files that a process of it may have, if that is limited.
    files: Option<u32>,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().expect("the command was not killed");
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Home {
    pub fn new() -> Self {
        Self::with_config(CONFIG)
    }

    pub fn with_config(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("skypunch.toml"), config).unwrap();
        Self { dir, env: Vec::new(), files: None }
    }

    /// Sets a variable for every command from now on.
    pub fn env(&mut self, name: &str, value: impl Into<String>) {
        self.env.push((name.to_owned(), value.into()));
    }

    /// Limits the open files of every command from now on.
    pub fn limit_files(&mut self, files: u32) {
        self.files = Some(files);
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A file that the daemon keeps.
    pub fn state(&self, name: &str) -> PathBuf {
        self.path().join("state").join(name)
    }

    /// The command line, ready to be run; nothing of this test's environment leaks into it.
    pub fn command(&self, args: &[&str]) -> Command {
        let skypunch = env!("CARGO_BIN_EXE_skypunch");
        let mut command = match self.files {
            None => Command::new(skypunch),
            Some(files) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\""), skypunch]);
                shell
            }
        };
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let of_systemd = ["STATE_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
            if name.starts_with("SKYPUNCH_") || of_systemd.contains(&&*name) {
                command.env_remove(&*name);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.args(["--config".as_ref(), self.path().join("skypunch.toml").as_os_str()]);
        command.args(["--state-dir".as_ref(), self.path().join("state").as_os_str()]);
        command.args(args).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn skypunch(&self, args: &[&str]) -> Said {
        Said::from(self.command(args).output().unwrap())
    }

    /// Runs a command to its end while the servers of this test go on.
    pub async fn skypunch_beside(&self, args: &[&str]) -> Said {
        Said::from(tokio::process::Command::from(self.command(args)).output().await.unwrap())
    }

    /// Runs a command that must succeed, and reads the document that it prints.
    pub fn json(&self, args: &[&str]) -> Value {
        let said = self.skypunch(&[args, &["--json"]].concat());
        assert_eq!(said.code, 0, "{args:?}: {}", said.stderr);
        serde_json::from_str(&said.stdout).unwrap()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.state("log/skypunch.log")).unwrap_or_default()
    }

    /// Where the daemon's web server listens.
    pub fn web(&self) -> SocketAddr {
        let log = self.log();
        let (_, address) = log.rsplit_once("the web server listens on http://").unwrap();
        address.split('/').next().unwrap().parse().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.state("skypunch.pid")).ok();
        if let Some(pid) = pid.and_then(|pid| Pid::from_raw(pid.trim().parse().ok()?)) {
            // It may be a number that was left behind on purpose: only our own program is ended.
            let exe = fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero()));
            if exe.is_ok_and(|exe| exe == Path::new(env!("CARGO_BIN_EXE_skypunch"))) {
                kill_process(pid, Signal::KILL).ok();
                assert!(thread::panicking(), "the test left a daemon behind");
            }
        }
    }
}

/// A daemon in the foreground. Dropping it stops it, and fails the test unless it leaves in good order.
pub struct Daemon {
    pub home: Home,
    child: Option<Child>,
}

impl Daemon {
    /// A daemon in a home of its own.
    pub async fn start() -> Self {
        Self::start_in(Home::new()).await
    }

    /// Starts the daemon there and waits until it serves.
    pub async fn start_in(home: Home) -> Self {
        let stderr = fs::File::create(home.path().join("stderr")).unwrap();
        let child = home.command(&["run", "--quiet"]).stderr(stderr).spawn().unwrap();
        let mut daemon = Self { home, child: Some(child) };
        wait_until("the daemon serves", || {
            let child = daemon.child.as_mut().unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                let stderr = fs::read_to_string(daemon.home.path().join("stderr")).unwrap();
                panic!("the daemon ended ({status}): {stderr}");
            }
            (daemon.home.skypunch(&["status"]).code == 0).then_some(())
        })
        .await;
        daemon
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until the process ends by itself.
    pub fn ends(mut self) -> (ExitStatus, Home) {
        let status = wait(self.child.take().unwrap());
        (status, std::mem::replace(&mut self.home, Home::new()))
    }

    /// Ends it as a crash would.
    pub fn kill(self) -> Home {
        self.signal(Signal::KILL);
        let (status, home) = self.ends();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
        home
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else {
            return;
        };
        kill_process(Pid::from_child(&child), Signal::TERM).ok();
        let status = wait(child);
        if thread::panicking() {
            return;
        }
        assert!(status.success(), "the daemon ended with {status}: {}", self.home.log());
        for left in ["skypunch.sock", "skypunch.pid"] {
            assert!(!self.home.state(left).exists(), "{left} was left behind");
        }
        let said = fs::read_to_string(self.home.path().join("stderr")).unwrap();
        assert_eq!(said, "", "the daemon has nothing to say beside its log");
    }
}

/// Waits for the end of a process, and ends it if that does not come.
fn wait(mut child: Child) -> ExitStatus {
    let pid = Pid::from_child(&child);
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait().unwrap()));
    end.recv_timeout(STOPS_WITHIN).unwrap_or_else(|_| {
        kill_process(pid, Signal::KILL).ok();
        panic!("the daemon did not end within {STOPS_WITHIN:?}");
    })
}
