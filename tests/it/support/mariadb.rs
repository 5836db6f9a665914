//! A private MariaDB for one test: own folder, socket and port, gone with the test however that ends.
//!
//! Installing a database takes seconds, so it is done once a build folder; each test starts its server on a
//! copy. A shell stands between: it kills the server when the test's end of a pipe is closed, which
//! even a SIGKILL does.

use std::{
    fs, io,
    net::TcpListener,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use mysql_async::{Conn, OptsBuilder, Row, prelude::Queryable};
use rustix::{
    fs::{FlockOperation, flock},
    process::{Pid, Signal, kill_process},
};
use skypunch::settings::{Database, DatabaseTls, DatabaseUrl};
use skypunch_actors::domain::Secret;
use tempfile::TempDir;

use super::wait::wait_until;

/// The user that skypunch is here.
pub const USER: &str = "skypunch";
/// Its password.
pub const PASSWORD: &str = "hunter2-of-the-database";
/// Its database.
pub const DATABASE: &str = "skypunch";

/// Small enough to copy for each test.
const SMALL: [&str; 5] = [
    "--innodb-log-file-size=4M",
    "--innodb-data-file-path=ibdata1:8M:autoextend",
    "--innodb-autoextend-increment=1",
    "--innodb-buffer-pool-size=16M",
    "--innodb-temp-data-file-path=ibtmp1:4M:autoextend",
];

/// Before the waiting itself gives up, which cannot say why.
const START_WITHIN: Duration = Duration::from_secs(50);

/// A running server. Dropping it kills it.
pub struct MariaDb {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
    extra: Vec<String>,
}

impl MariaDb {
    /// Starts a server with an empty database, and the user [`USER`] who may do everything in it.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with more options of the server.
    pub async fn start_with(extra: &[&str]) -> Self {
        let template = tokio::task::spawn_blocking(template).await.expect("the template was made");
        let folder =
            tempfile::Builder::new().prefix("skypunch-mariadb-").tempdir().expect("a temporary folder");
        run(Command::new("cp").arg("-r").arg(&template).arg(folder.path().join("data")));
        give_to_server(folder.path());
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let extra = extra.iter().map(|&option| option.to_owned()).collect();
        let mut server = Self { folder, port, process: None, extra };
        server.launch().await;
        server
            .sql(&format!(
                "CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4;
                 CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';
                 GRANT ALL PRIVILEGES ON {DATABASE}.* TO '{USER}'@'%'"
            ))
            .await;
        server
    }

    /// The settings with which skypunch uses its database here.
    pub fn settings(&self) -> Database {
        self.settings_of(USER, PASSWORD, DATABASE)
    }

    /// The settings of another user or database.
    pub fn settings_of(&self, user: &str, password: &str, database: &str) -> Database {
        let url = DatabaseUrl::Mysql {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            user: user.to_owned(),
            password: Some(Secret::new(password)),
            database: database.to_owned(),
            socket: None,
        };
        Database { url, tls: DatabaseTls::Prefer, ca_file: None, flush_interval: Duration::from_millis(50) }
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Runs statements as the server's administrator.
    pub async fn sql(&self, statements: &str) {
        self.administrator().await.query_drop(statements).await.unwrap();
    }

    /// Asks something as the server's administrator.
    pub async fn query(&self, query: &str) -> Vec<Row> {
        self.administrator().await.query(query).await.unwrap()
    }

    /// Everything that is in skypunch's database, as text.
    pub async fn dump(&self) -> String {
        let mut connection = self.administrator().await;
        let tables: Vec<String> = connection.query("SHOW TABLES").await.unwrap();
        let mut dump = String::new();
        for table in tables {
            let create: Row =
                connection.query_first(format!("SHOW CREATE TABLE `{table}`")).await.unwrap().unwrap();
            // Of a view there is more to tell.
            let create: String = create.get(1).unwrap();
            let rows: Vec<Row> = connection.query(format!("SELECT * FROM `{table}`")).await.unwrap();
            dump.push_str(&format!("{create}\n{rows:#?}\n"));
        }
        dump
    }

    /// A connection of the server's administrator, in skypunch's database where there is one.
    pub async fn administrator(&self) -> Conn {
        let socket = self.socket().display().to_string();
        // Whatever old data need.
        let session = "SET SESSION sql_mode = '', time_zone = '+00:00'";
        let options = OptsBuilder::default().socket(Some(socket)).user(Some("root")).setup(vec![session]);
        let mut connection = Conn::new(options).await.unwrap();
        // There is none before it is made, nor after a test took it away.
        drop(connection.query_drop(format!("USE {DATABASE}")).await);
        connection
    }

    /// Kills the server and starts it again on its data.
    pub async fn restart(&mut self) {
        self.stop();
        self.launch().await;
    }

    /// Kills the server.
    pub fn stop(&mut self) {
        if let Some(mut shell) = self.process.take() {
            drop(shell.stdin.take());
            shell.wait().expect("the shell ends after its server");
        }
    }

    /// Starts the server again.
    pub async fn launch(&mut self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let mut server = vec![
            "mariadbd".to_owned(),
            "--no-defaults".to_owned(),
            format!("--datadir={}", path("data")),
            format!("--tmpdir={}", self.folder.path().display()),
            format!("--socket={}", path("socket")),
            format!("--pid-file={}", path("pid")),
            format!("--log-error={}", path("log")),
            format!("--port={}", self.port),
            "--bind-address=127.0.0.1".to_owned(),
            "--skip-name-resolve".to_owned(),
            // Quick, and what was written survives a kill all the same.
            "--innodb-flush-log-at-trx-commit=2".to_owned(),
        ];
        server.extend(SMALL.map(str::to_owned));
        server.extend(self.extra.iter().cloned());
        if is_root() {
            server.push("--user=mysql".to_owned());
        }
        let watch = r#""$@" & server=$!; read -r _; kill -CONT $server; kill -KILL $server; wait $server"#;
        let mut command = Command::new("sh");
        command.args(["-c", watch, "sh"]).args(server);
        // That of the server before, if it was killed.
        fs::remove_file(path("pid")).ok();
        // What goes wrong before the log is open.
        let console = fs::File::create(path("console")).unwrap();
        let shell = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(console).spawn();
        self.process = Some(shell.expect("sh starts"));
        let answers = wait_until("mariadbd answers", || {
            UnixStream::connect(self.socket()).ok()?;
            fs::read_to_string(path("pid")).ok()?.trim().parse::<i32>().ok()
        });
        if tokio::time::timeout(START_WITHIN, answers).await.is_err() {
            let read = |name| fs::read_to_string(path(name)).unwrap_or_else(|e| e.to_string());
            panic!("mariadbd does not start:\n{}\n{}", read("console"), read("log"));
        }
    }

    /// Stops the server in the middle of whatever it does: it accepts connections and never answers.
    pub async fn freeze(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
        // The signal is on its way to some threads while others still answer.
        let stands_still = || {
            let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
            let stat =
                |thread: io::Result<fs::DirEntry>| fs::read_to_string(thread.unwrap().path().join("stat"));
            threads.map(stat).all(|stat| stat.is_ok_and(|stat| stat.contains(") T "))).then_some(())
        };
        wait_until("the server stands still", stands_still).await;
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    fn pid(&self) -> Pid {
        let pid = fs::read_to_string(self.folder.path().join("pid")).unwrap();
        Pid::from_raw(pid.trim().parse().unwrap()).unwrap()
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An installed database that was never started: made by whichever test comes first.
fn template() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let template = folder.join("mariadb-template");
    fs::create_dir_all(folder).unwrap();
    let lock = fs::File::create(folder.join("mariadb-template.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    if template.exists() {
        return template;
    }
    // The server's user may not see the build folder.
    let installing = tempfile::Builder::new().prefix("skypunch-mariadb-").tempdir().unwrap();
    give_to_server(installing.path());
    let mut install = Command::new("mariadb-install-db");
    install.arg("--no-defaults").arg(format!("--datadir={}", installing.path().join("data").display()));
    install.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]);
    install.args(SMALL);
    if is_root() {
        install.arg("--user=mysql");
    }
    run(&mut install);
    let unfinished = folder.join("mariadb-template.unfinished");
    run(Command::new("rm").arg("-rf").arg(&unfinished));
    run(Command::new("cp").arg("-r").arg(installing.path().join("data")).arg(&unfinished));
    fs::rename(&unfinished, &template).unwrap();
    template
}

fn run(command: &mut Command) {
    let output = match command.stdin(Stdio::null()).output() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            panic!("{} is missing: run `make deps`", command.get_program().display())
        }
        output => output.unwrap(),
    };
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The server refuses to run as root; it is the user `mysql` then, and needs its files.
fn give_to_server(folder: &Path) {
    if is_root() {
        run(Command::new("chown").args(["-R", "mysql"]).arg(folder));
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}
