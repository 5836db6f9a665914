//! The contract of a store on real databases, and what only these can go through.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use rusqlite::Connection;
use skypunch::{
    settings::{Database, DatabaseTls, DatabaseUrl},
    store::{self, OpenError},
};
use skypunch_actors::{
    domain::{
        Batch, Cause, Edge, Incident, Minutes, Outcome, RawResult, Secret, Status, TargetDefinition,
        TargetId, TargetNews,
    },
    port::{Packet, Store, StoreError},
    store_contract,
    testing::{
        fixtures::raw_result,
        store_suite::{Operator, Subject},
    },
};
use tempfile::TempDir;
use time::{OffsetDateTime, macros::datetime};
use tokio::time::timeout;
use uuid::{Uuid, uuid};

use crate::support::mariadb::{DATABASE, MariaDb, PASSWORD, USER};

const NODE: Uuid = uuid!("0197a4f0-0000-7000-8000-000000000001");
const NOON: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

store_contract!(sqlite, sqlite());
store_contract!(mysql, mysql());

async fn sqlite() -> Subject {
    let folder = TempDir::new().unwrap();
    let store = store::open(&sqlite_settings(&folder.path().join("skypunch.db"))).await.unwrap();
    Subject { store, operator: Box::new(SqlOperator(SqliteShell(folder))) }
}

async fn mysql() -> Subject {
    let server = MariaDb::start().await;
    Subject { store: store::open(&server.settings()).await.unwrap(), operator: Box::new(SqlOperator(server)) }
}

fn sqlite_settings(path: &Path) -> Database {
    let url = DatabaseUrl::Sqlite(path.to_owned());
    Database { url, tls: DatabaseTls::Off, ca_file: None, flush_interval: Duration::from_millis(50) }
}

/// The operator's way into a database.
#[async_trait]
trait Shell: Send + Sync {
    async fn sql(&self, statement: &str);
    /// A trigger that has `condition` refuse a row before it is updated.
    async fn refuse(&self, condition: &str);
    fn settings(&self) -> Database;
}

/// A second connection beside the store's, as `sqlite3` has.
struct SqliteShell(TempDir);

impl SqliteShell {
    fn path(&self) -> PathBuf {
        self.0.path().join("skypunch.db")
    }
}

#[async_trait]
impl Shell for SqliteShell {
    async fn sql(&self, statement: &str) {
        Connection::open(self.path()).unwrap().execute_batch(statement).unwrap();
    }

    async fn refuse(&self, condition: &str) {
        let no = "SELECT RAISE(ABORT, 'not this one')";
        self.sql(&format!("CREATE TRIGGER no BEFORE UPDATE ON targets WHEN {condition} BEGIN {no}; END"))
            .await;
    }

    fn settings(&self) -> Database {
        sqlite_settings(&self.path())
    }
}

#[async_trait]
impl Shell for MariaDb {
    async fn sql(&self, statement: &str) {
        Self::sql(self, statement).await;
    }

    async fn refuse(&self, condition: &str) {
        let no =
            format!("IF {condition} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF");
        self.sql(&format!("CREATE TRIGGER no BEFORE UPDATE ON targets FOR EACH ROW {no}")).await;
    }

    fn settings(&self) -> Database {
        Self::settings(self)
    }
}

struct SqlOperator<S>(S);

#[async_trait]
impl<S: Shell> Operator for SqlOperator<S> {
    async fn insert_target(&self, name: &str, url: &str) {
        self.0.sql(&format!("INSERT INTO targets (name, url) VALUES ('{name}', '{url}')")).await;
    }

    async fn insert_notifier(&self, name: &str, kind: &str, address: &str) {
        let values = format!("('{name}', '{kind}', '{address}')");
        self.0.sql(&format!("INSERT INTO notifiers (name, type, address) VALUES {values}")).await;
    }

    async fn set_url(&self, id: TargetId, url: &str) {
        self.0.sql(&format!("UPDATE targets SET url = '{url}' WHERE id = {id}")).await;
    }

    async fn reset_counters(&self, id: TargetId) {
        let set = "pass_count = 0, fail_count = 0, repeated_fails = 0";
        self.0.sql(&format!("UPDATE targets SET {set} WHERE id = {id}")).await;
    }

    async fn refuse_target(&self, id: TargetId) {
        self.0.refuse(&format!("NEW.id = {id}")).await;
    }

    async fn delete_target(&self, id: TargetId) {
        self.0.sql(&format!("DELETE FROM targets WHERE id = {id}")).await;
    }

    async fn second_store(&self) -> Arc<dyn Store> {
        store::open(&self.0.settings()).await.unwrap()
    }
}

async fn add(store: &Arc<dyn Store>, name: &str) -> TargetId {
    store.add_target(&TargetDefinition::new(name, "http://example.org/")).await.unwrap()
}

fn packet(number: u64, id: TargetId, news: TargetNews) -> Packet {
    let batch = Batch { targets: [(id, news)].into(), ..Batch::default() };
    Packet { node: NODE, first: number, through: number, batch }
}

fn passed(number: u64, id: TargetId) -> Packet {
    packet(number, id, TargetNews::of(&Outcome::pass("200 OK"), NOON, Status::Pass, None, None))
}

/// The news of an incident that begins at noon.
fn begins(reason: &str) -> (Incident, TargetNews) {
    let begun = Incident::begin(NOON, 1);
    let edge = Edge { from: Status::New, to: Status::Fail };
    let outcome = Outcome::fail(Cause::Dns, reason);
    (begun, TargetNews::of(&outcome, begun.started_at, Status::Fail, Some(edge), Some(begun)))
}

/// A result so many seconds after noon.
fn result(target: TargetId, seconds: i64) -> RawResult {
    raw_result(target, (NOON.unix_timestamp() + seconds) * 1_000 + 7)
}

async fn pass_count(store: &Arc<dyn Store>) -> u64 {
    store.load_targets().await.unwrap()[0].state.tally.pass_count
}

/// A row as odd as its columns allow, beside one that is right, on either backend.
async fn odd_rows_hurt_no_other(store: &Arc<dyn Store>, shell: &impl Shell, odd: &str) {
    shell.sql(odd).await;
    let right = add(store, "right").await;
    let rows = store.load_targets().await.unwrap();
    assert_eq!(rows.len(), 2);
    let (odd, other) = (&rows[0], &rows[1]);
    assert_eq!(other.definition.name, "right");
    assert_eq!((odd.state.status, odd.state.cause, odd.state.last_updated), (Status::New, None, None));
    assert_eq!((odd.definition.frequency, odd.definition.timeout), (0, -1));
    assert!(odd.definition.enabled);

    let mut packet = passed(1, right);
    packet.batch.merge(passed(1, odd.id).batch);
    assert!(store.write(&packet).await.unwrap().is_empty());
    let rows = store.load_targets().await.unwrap();
    let counts: Vec<_> = rows.iter().map(|row| row.state.tally.pass_count).collect();
    assert_eq!(counts, [i64::MAX as u64, 1], "a counter at its end stays there");
}

#[tokio::test]
async fn odd_rows_hurt_no_other_on_sqlite() {
    let folder = TempDir::new().unwrap();
    let shell = SqliteShell(folder);
    let store = store::open(&shell.settings()).await.unwrap();
    let odd = "INSERT INTO targets (name, url, status, cause, last_updated, frequency, timeout, enabled, pass_count)
        VALUES (CAST(X'ff00fe' AS TEXT), '', '', 'sunspots', 'yesterday', 0, -1, 2, 9223372036854775807)";
    odd_rows_hurt_no_other(&store, &shell, odd).await;
}

#[tokio::test]
async fn odd_rows_hurt_no_other_on_mysql() {
    let server = MariaDb::start().await;
    let store = store::open(&server.settings()).await.unwrap();
    let odd = "INSERT INTO targets (name, url, status, cause, last_updated, frequency, timeout, enabled, pass_count)
        VALUES ('', '', '', 'sunspots', '0000-00-00', 0, -1, 2, 9223372036854775807)";
    odd_rows_hurt_no_other(&store, &server, odd).await;
}

#[tokio::test]
async fn an_endless_text_is_cut_and_still_seen_to_be_too_long() {
    let shell = SqliteShell(TempDir::new().unwrap());
    let store = store::open(&shell.settings()).await.unwrap();
    shell.sql("INSERT INTO targets (name, url) VALUES (printf('%.*c', 10000000, 'x'), 'http://h/')").await;
    let row = store.load_targets().await.unwrap().remove(0);
    assert_eq!(row.definition.name.len(), 256);
    let (_, faults) = row.definition.read(row.id);
    assert_eq!(faults[0].to_string(), "name: is longer than 255 characters");
}

/// What is kept of a target goes with it: at once, or at the next start where an operator deleted it.
async fn a_deleted_target_takes_its_past_along(shell: &impl Shell, by_command: bool) {
    let store = store::open(&shell.settings()).await.unwrap();
    let (id, other) = (add(&store, "home").await, add(&store, "other").await);
    let (begun, news) = begins("no such host");
    store.write(&packet(1, id, news)).await.unwrap();
    let sent: Vec<_> = (0..2_000).flat_map(|n| [result(id, 60 * n), result(other, 60 * n)]).collect();
    store.write_minutes(NODE, 1..=1, Minutes::from_iter(sent).sorted()).await.unwrap();
    let kept = async |store: &Arc<dyn Store>, id| {
        let until = NOON + time::Duration::DAY * 400;
        (store.incidents(id, 9).await.unwrap().len(), store.results(id, NOON, until).await.unwrap().len())
    };
    assert_eq!(kept(&store, id).await, (1, 2_000));
    assert_eq!(store.load_targets().await.unwrap()[0].state.incident, Some(begun));

    let store = if by_command {
        store.delete_target(id).await.unwrap();
        store
    } else {
        shell.sql(&format!("DELETE FROM targets WHERE id = {id}")).await;
        store::open(&shell.settings()).await.unwrap()
    };
    let same_id = format!("INSERT INTO targets (id, name, url) VALUES ({id}, 'home', 'http://h/')");
    shell.sql(&same_id).await;
    assert_eq!(kept(&store, id).await, (0, 0));
    assert_eq!(kept(&store, other).await, (0, 2_000));
    assert_eq!(store.load_targets().await.unwrap()[0].state.incident, None);
}

#[tokio::test]
async fn a_deleted_target_takes_its_past_along_on_sqlite() {
    for by_command in [true, false] {
        a_deleted_target_takes_its_past_along(&SqliteShell(TempDir::new().unwrap()), by_command).await;
    }
}

#[tokio::test]
async fn a_deleted_target_takes_its_past_along_on_mysql() {
    for by_command in [true, false] {
        a_deleted_target_takes_its_past_along(&MariaDb::start().await, by_command).await;
    }
}

/// Results of every shape, so that the view has something to unpack.
async fn record_some(store: &Arc<dyn Store>) {
    let id = add(store, "home").await;
    let failed = RawResult {
        status: Status::Fail,
        cause: Some(Cause::Timeout),
        http_status: None,
        ttfb_us: None,
        late: true,
        skipped: 3,
        ..result(id, 59)
    };
    store
        .write_minutes(NODE, 1..=1, Minutes::from_iter([result(id, 1), failed, result(id, 61)]).sorted())
        .await
        .unwrap();
}

/// What `sql/README.md` promises of the view, in words that both backends know.
const VIEWED: &str = "SELECT time, target_id, status, cause, http_status, dns_ms, connect_ms, tls_ms, ttfb_ms, \
     total_ms, late, skipped, frequency, node FROM results ORDER BY time";

#[tokio::test]
async fn single_results_can_be_read_in_sql_on_sqlite() {
    let shell = SqliteShell(TempDir::new().unwrap());
    record_some(&store::open(&shell.settings()).await.unwrap()).await;
    let connection = Connection::open(shell.path()).unwrap();
    let mut statement = connection.prepare(VIEWED).unwrap();
    let rows = statement.query_map((), |row| {
        let shown = (0..13).map(|column| format!("{:?}", row.get_ref_unwrap(column).data_type()));
        let time: String = row.get("time")?;
        let (status, cause): (String, Option<String>) = (row.get("status")?, row.get("cause")?);
        let total: f64 = row.get("total_ms")?;
        let numbers: (Option<i64>, i64, i64, i64) =
            (row.get("http_status")?, row.get("late")?, row.get("skipped")?, row.get("frequency")?);
        let node: String = row.get("node")?;
        Ok((
            time,
            status,
            cause,
            total,
            numbers,
            !node.is_empty(),
            shown.collect::<String>().contains("Blob"),
        ))
    });
    let rows: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
    let row = |time: &str, status: &str, cause: Option<&str>, numbers| {
        (time.to_owned(), status.to_owned(), cause.map(str::to_owned), 12.345, numbers, true, false)
    };
    let expected = [
        row("2026-01-01 12:00:01.007", "PASS", None, (Some(200), 0, 0, 1)),
        row("2026-01-01 12:00:59.007", "FAIL", Some("timeout"), (None, 1, 3, 1)),
        row("2026-01-01 12:01:01.007", "PASS", None, (Some(200), 0, 0, 1)),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn single_results_can_be_read_in_sql_on_mysql() {
    let server = MariaDb::start().await;
    record_some(&store::open(&server.settings()).await.unwrap()).await;
    let rows = server.query(VIEWED).await;
    let text = |row: &mysql_async::Row, column: usize| match row.as_ref(column).unwrap() {
        mysql_async::Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        value => value.as_sql(true),
    };
    let shown: Vec<Vec<String>> =
        rows.iter().map(|row| (0..13).map(|column| text(row, column)).collect()).collect();
    let passed = |time: &str| {
        ["2026-01-01 ", time, ".007000|1|PASS|NULL|200|NULL|2.1040|NULL|9.0000|12.3450|0|0|1"].concat()
    };
    let expected = [
        passed("12:00:01"),
        "2026-01-01 12:00:59.007000|1|FAIL|timeout|NULL|NULL|2.1040|NULL|NULL|12.3450|1|3|1".to_owned(),
        passed("12:01:01"),
    ];
    assert_eq!(shown.iter().map(|row| row.join("|")).collect::<Vec<_>>(), expected);
    assert!(rows.iter().all(|row| !text(row, 13).is_empty()));
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    let shell = SqliteShell(TempDir::new().unwrap());
    let _store = store::open(&shell.settings()).await.unwrap();
    for entry in fs::read_dir(shell.0.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
    }
}

#[tokio::test]
async fn an_operator_who_holds_the_lock_makes_a_write_fail_for_now() {
    let shell = SqliteShell(TempDir::new().unwrap());
    let store = store::open(&shell.settings()).await.unwrap();
    let id = add(&store, "home").await;
    let operator = Connection::open(shell.path()).unwrap();
    operator.execute_batch("BEGIN IMMEDIATE; UPDATE targets SET url = 'http://new/'").unwrap();
    assert_eq!(pass_count(&store).await, 0, "who reads does not wait");
    let written = store.write(&passed(1, id)).await;
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
    operator.execute_batch("COMMIT").unwrap();
    store.write(&passed(1, id)).await.unwrap();
    assert_eq!(pass_count(&store).await, 1);
}

#[tokio::test]
async fn what_is_no_database_or_no_file_is_denied() {
    let folder = TempDir::new().unwrap();
    let garbage = folder.path().join("garbage");
    fs::write(&garbage, "not a database, but long enough to look like one".repeat(100)).unwrap();
    for path in [garbage, folder.path().join("no/such/folder/skypunch.db"), folder.path().to_owned()] {
        let opened = store::open(&sqlite_settings(&path)).await.err();
        assert!(matches!(opened, Some(OpenError::Denied(_))), "{opened:?}");
    }
}

#[tokio::test]
async fn a_server_that_restarts_is_found_again() {
    let mut server = MariaDb::start().await;
    let store = store::open(&server.settings()).await.unwrap();
    let id = add(&store, "home").await;
    server.stop();
    let away = timeout(Duration::from_secs(5), store.load_targets()).await.unwrap();
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    let away = timeout(Duration::from_secs(5), store.write(&passed(1, id))).await.unwrap();
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    server.launch().await;
    store.write(&passed(1, id)).await.unwrap();
    assert_eq!(pass_count(&store).await, 1);
}

#[tokio::test]
async fn a_server_that_restarts_unseen_costs_one_call_at_most() {
    let mut server = MariaDb::start().await;
    let store = store::open(&server.settings()).await.unwrap();
    let id = add(&store, "home").await;
    server.restart().await;
    if let Err(error) = store.write(&passed(1, id)).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        store.write(&passed(1, id)).await.unwrap();
    }
    assert_eq!(pass_count(&store).await, 1);
}

#[tokio::test]
async fn a_frozen_server_leaves_no_answer_for_the_wrong_question() {
    let server = MariaDb::start().await;
    let store = store::open(&server.settings()).await.unwrap();
    let id = add(&store, "home").await;
    store.write(&passed(1, id)).await.unwrap();

    server.freeze().await;
    let patience = Duration::from_millis(200);
    // More calls than the pool has connections.
    for _ in 0..5 {
        assert!(timeout(patience, store.load_notifiers()).await.is_err());
        assert!(timeout(patience, store.write(&passed(2, id))).await.is_err());
    }
    server.thaw();

    for number in 2..20 {
        store.write(&passed(number, id)).await.unwrap();
        assert_eq!(store.load_notifiers().await.unwrap().len(), 0);
        assert_eq!(pass_count(&store).await, number);
    }
}

#[tokio::test]
async fn what_locks_a_row_delays_a_write_that_is_then_right() {
    let server = MariaDb::start().await;
    let store = store::open(&server.settings()).await.unwrap();
    let id = add(&store, "home").await;
    let mut operator = server.administrator().await;
    operator.query_drop("BEGIN").await.unwrap();
    operator.query_drop("SELECT * FROM targets FOR UPDATE").await.unwrap();
    let given_up = timeout(Duration::from_millis(200), store.write(&passed(1, id))).await;
    assert!(given_up.is_err());
    operator.query_drop("COMMIT").await.unwrap();
    store.write(&passed(1, id)).await.unwrap();
    assert_eq!(pass_count(&store).await, 1, "given up and sent again, and counted once");
}

#[tokio::test]
async fn who_deletes_a_target_and_who_writes_of_it_wait_in_one_line() {
    let server = MariaDb::start().await;
    let store = store::open(&server.settings()).await.unwrap();
    let id = add(&store, "home").await;
    store.write(&packet(1, id, begins("no such host").1)).await.unwrap();

    // As a batch of another daemon does: first the target, then its incidents.
    let mut writer = server.administrator().await;
    writer.query_drop("BEGIN").await.unwrap();
    writer.query_drop("UPDATE targets SET pass_count = pass_count + 1").await.unwrap();
    let deleting = tokio::spawn(async move { store.delete_target(id).await });
    let waits = "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'DELETE FROM targets%'";
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while server.query(waits).await.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "nobody waits");
    }
    writer.query_drop("UPDATE incidents SET reason = 'new'").await.unwrap();
    writer.query_drop("COMMIT").await.unwrap();
    deleting.await.unwrap().unwrap();
    assert!(server.query("SELECT 1 FROM incidents").await.is_empty());
}

#[tokio::test]
async fn texts_are_the_same_whatever_a_server_takes_them_for() {
    for (charset, collation) in [("utf8mb4", "utf8mb4_unicode_ci"), ("latin1", "latin1_swedish_ci")] {
        let charset = format!("--character-set-server={charset}");
        let collation = format!("--collation-server={collation}");
        let options = ["--skip-character-set-client-handshake", &charset, &collation];
        let server = MariaDb::start_with(&options).await;
        let store = store::open(&server.settings()).await.unwrap();
        let id = add(&store, "東京").await;
        store.write(&packet(1, id, begins("no such host: 東京").1)).await.unwrap();
        let rows = server.query("SELECT HEX(name), HEX(status_description) FROM targets").await;
        let found: (String, String) = mysql_async::from_row(rows.into_iter().next().unwrap());
        let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
        assert_eq!(found, (hex("東京"), hex("no such host: 東京")), "{collation}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_denied_and_not_shown() {
    let server = MariaDb::start().await;
    let wrong = server.settings_of(USER, "hunter2-wrong", DATABASE);
    let error = store::open(&wrong).await.err().unwrap();
    assert!(matches!(error, OpenError::Denied(_)), "{error:?}");
    assert!(!format!("{error:?} {wrong:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_password_may_stand_in_a_file() {
    let server = MariaDb::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{PASSWORD}\n")).unwrap();
    let named = format!("file:{}", file.path().display());
    store::open(&server.settings_of(USER, &named, DATABASE)).await.unwrap();
    let missing = store::open(&server.settings_of(USER, "file:/no/such/file", DATABASE)).await.err();
    assert!(matches!(missing, Some(OpenError::Secret(_))), "{missing:?}");
}

#[tokio::test]
async fn nobody_who_listens_is_unavailable() {
    let mut server = MariaDb::start().await;
    server.stop();
    let opened = store::open(&server.settings()).await.err();
    assert!(matches!(opened, Some(OpenError::Unavailable(_))), "{opened:?}");
}

#[tokio::test]
async fn the_unix_socket_is_used_where_the_url_names_it() {
    let server = MariaDb::start().await;
    let mut settings = server.settings();
    if let DatabaseUrl::Mysql { socket, host, port, .. } = &mut settings.url {
        *socket = Some(server.socket());
        *host = "192.0.2.1".to_owned();
        *port = 1;
    }
    let store = store::open(&settings).await.unwrap();
    add(&store, "home").await;
}

#[tokio::test]
async fn tls_is_used_as_the_settings_say() {
    let plain = MariaDb::start().await;
    let with = |server: &MariaDb, tls| Database { tls, ..server.settings() };
    store::open(&with(&plain, DatabaseTls::Prefer)).await.unwrap();
    let required = store::open(&with(&plain, DatabaseTls::Require)).await.err();
    assert!(matches!(required, Some(OpenError::Denied(_))), "{required:?}");

    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let (ca, certificate, key) = certificates(folder.path());
    let options = [format!("--ssl-cert={certificate}"), format!("--ssl-key={key}"), format!("--ssl-ca={ca}")];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = MariaDb::start_with(&options).await;
    server.sql(&format!("ALTER USER '{USER}'@'%' REQUIRE SSL")).await;
    store::open(&with(&server, DatabaseTls::Prefer)).await.unwrap();
    store::open(&with(&server, DatabaseTls::Require)).await.unwrap();
    let off = store::open(&with(&server, DatabaseTls::Off)).await.err();
    assert!(matches!(off, Some(OpenError::Denied(_))), "{off:?}");
    let unknown = store::open(&with(&server, DatabaseTls::Verify)).await.err();
    assert!(matches!(unknown, Some(OpenError::Denied(_))), "{unknown:?}");
    let known = Database { ca_file: Some(ca.into()), ..with(&server, DatabaseTls::Verify) };
    store::open(&known).await.unwrap();
}

/// A private CA and a certificate for 127.0.0.1, as files that the server can read.
fn certificates(folder: &Path) -> (String, String, String) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let write = |name: &str, pem: String| {
        let path = folder.join(name);
        fs::write(&path, pem).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path.display().to_string()
    };
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    (
        write("ca.pem", ca_pem),
        write("server.pem", certificate.pem()),
        write("server.key", key.serialize_pem()),
    )
}

#[tokio::test]
async fn errors_and_settings_show_no_secret() {
    let server = MariaDb::start().await;
    let store = store::open(&server.settings()).await.unwrap();
    let mut definition = TargetDefinition::new("n".repeat(300), "http://h/");
    definition.authn_parms = Some(Secret::new("password=hunter2"));
    let refused = store.add_target(&definition).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
    assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
}
