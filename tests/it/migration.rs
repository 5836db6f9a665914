//! From the schema of 2013 to ours: nothing lost, at any moment, by any number of daemons at once.

use std::{fs, path::PathBuf, time::Duration};

use rusqlite::Connection;
use skypunch::{
    settings::{Database, DatabaseTls, DatabaseUrl},
    store::{self, Migrated, OpenError, SCHEMA, Version},
};
use skypunch_actors::{
    domain::{
        Batch, Cause, Edge, Incident, NotifierRow, Outcome, Secret, Status, Tally, TargetDefinition,
        TargetId, TargetNews, TargetRow,
    },
    port::{Packet, Store},
};
use tempfile::TempDir;
use time::macros::datetime;
use uuid::Uuid;

use crate::support::mariadb::{DATABASE, MariaDb, PASSWORD, USER};

const MYSQL_1_0: &str = include_str!("fixtures/schema_1_0_mysql.sql");
const SQLITE_1_0: &str = include_str!("fixtures/schema_1_0_sqlite.sql");
const ROWS_1_0: &str = include_str!("fixtures/rows_1_0.sql");
const MYSQL_TO_2_0: &str = include_str!("../../sql/mysql/0002_schema_2_0.sql");
const SQLITE_TO_2_0: &str = include_str!("../../sql/sqlite/0002_schema_2_0.sql");
const MYSQL_TO_2_1: &str = include_str!("../../sql/mysql/0003_schema_2_1.sql");

/// What a daemon of 2.0 leaves beside the rows of 2013: an incident that is over, one that goes on, and itself.
const ROWS_2_0: &str = "
    INSERT INTO incidents (target_id, id, started_at, ended_at, cause, reason) VALUES
        (4, 1, '2026-01-01 12:00:00.123', '2026-01-01 12:00:30.123', NULL, 'kaputt: Überlauf'),
        (4, 2, '2026-01-01 13:00:00.123', NULL, 'dns', 'no such host');
    INSERT INTO writers (id, sequence, last_write) VALUES
        ('0197a4f0-0000-7000-8000-000000000001', 99, '2026-01-01 13:00:00.123');";

const ONE: Version = Version { major: 1, minor: 0 };
const TWO: Version = Version { major: 2, minor: 0 };

struct Sqlite(TempDir);

impl Sqlite {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// A file as of 2013.
    fn of_2013() -> Self {
        let file = Self::new();
        file.shell().execute_batch(SQLITE_1_0).unwrap();
        file.shell().execute_batch(ROWS_1_0).unwrap();
        file
    }

    /// The same, as 2.0 left it.
    fn of_2_0() -> Self {
        let file = Self::of_2013();
        file.shell().execute_batch(SQLITE_TO_2_0).unwrap();
        file.shell().execute_batch(ROWS_2_0).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("skypunch.db")
    }

    fn shell(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn settings(&self) -> Database {
        let url = DatabaseUrl::Sqlite(self.path());
        Database { url, tls: DatabaseTls::Off, ca_file: None, flush_interval: Duration::from_millis(50) }
    }
}

async fn mysql_of_2013() -> MariaDb {
    let server = MariaDb::start().await;
    server.sql(MYSQL_1_0).await;
    server.sql(ROWS_1_0).await;
    server
}

async fn mysql_of_2_0() -> MariaDb {
    let server = mysql_of_2013().await;
    server.sql(MYSQL_TO_2_0).await;
    server.sql(ROWS_2_0).await;
    server
}

async fn load(store: &dyn Store) -> (Vec<TargetRow>, Vec<NotifierRow>) {
    (store.load_targets().await.unwrap(), store.load_notifiers().await.unwrap())
}

/// Everything of `rows_1_0.sql`, as it is to be read now.
async fn assert_all_is_kept(settings: &Database) {
    let store = store::open(settings).await.unwrap();
    let (targets, notifiers) = load(&*store).await;
    let [google, zurich, bare, empty] = <[_; 4]>::try_from(targets).unwrap();

    let plain = |name: &str, url: &str| TargetDefinition {
        authn_parms: Some(Secret::new("")),
        frequency: 5,
        timeout: 3,
        ..TargetDefinition::new(name, url)
    };
    assert_eq!(google.id.0, 1);
    assert_eq!(google.definition, plain("Google Dot COM", "https://www.google.com"));
    assert_eq!((google.state.status, google.state.previous_status), (Status::Pass, Status::New));
    assert_eq!(google.state.status_description, "200 OK");
    assert_eq!(google.state.last_updated, Some(datetime!(2013-11-22 06:10:57 UTC)));
    let counted = Tally {
        pass_count: 1_000,
        fail_count: 20,
        count200: 990,
        count300: 10,
        count400: 5,
        count500: 4,
        network_fails: 11,
        repeated_fails: 0,
    };
    assert_eq!(google.state.tally, counted);

    assert_eq!(zurich.id.0, 4);
    let expected = TargetDefinition {
        tenantid: "7".to_owned(),
        method: "get".to_owned(),
        authn: "OPENSTACK".to_owned(),
        authn_parms: Some(Secret::new("user=bob,password=a=b")),
        pass_result: "301".to_owned(),
        ..TargetDefinition::new("Zürich · 東京", "http://zürich.example/")
    };
    assert_eq!(zurich.definition, expected, "`enabled` of 2 is true");
    assert_eq!(zurich.state.status_description, "kaputt: Überlauf");
    assert_eq!((zurich.state.status, zurich.state.last_updated), (Status::Fail, None));
    assert_eq!((zurich.state.tally.fail_count, zurich.state.tally.repeated_fails), (2_147_483_647, 7));

    assert_eq!(bare.id.0, 9);
    assert_eq!(bare.definition, TargetDefinition { enabled: false, ..TargetDefinition::new("bare", "") });
    assert_eq!((bare.state.status, bare.state.last_updated), (Status::New, None));
    assert_eq!(bare.state.tally, Tally::default());

    let expected = TargetDefinition {
        tenantid: String::new(),
        authn_parms: Some(Secret::new("")),
        pass_result: "0".to_owned(),
        frequency: 0,
        timeout: 0,
        enabled: false,
        ..TargetDefinition::new("", "http://empty/")
    };
    assert_eq!((empty.id.0, empty.definition), (12, expected));
    assert_eq!(empty.state.last_updated, Some(datetime!(2014-02-28 23:59:59 UTC)));

    let [ops, muller] = <[_; 2]>::try_from(notifiers).unwrap();
    assert_eq!((ops.id.0, ops.definition.params.expose()), (2, "server=mail,port=25"));
    assert_eq!((ops.pass_count, ops.fail_count), (7, 3));
    assert_eq!((muller.definition.name.as_str(), muller.definition.kind.as_str()), ("Müller", "TWEET"));
    assert_eq!((muller.definition.address.expose(), muller.definition.params.expose()), ("", ""));
    assert!(muller.definition.enabled);

    let next = store.add_target(&TargetDefinition::new("🗼", "http://h/")).await.unwrap();
    assert!(next.0 > 12);
}

/// The incidents of `ROWS_2_0`, of which the one that goes on can end.
async fn assert_incidents_are_kept(settings: &Database) {
    let store = store::open(settings).await.unwrap();
    let first = Incident::begin(datetime!(2026-01-01 12:00:00.123 UTC), 0);
    let first = Incident { id: 1, ..first }.end(datetime!(2026-01-01 12:00:30.123 UTC));
    let begun = Incident { id: 2, ..Incident::begin(datetime!(2026-01-01 13:00:00.123 UTC), 0) };
    let open = async || {
        let rows = store.load_targets().await.unwrap();
        rows.iter().find(|row| row.id == TargetId(4)).unwrap().state.incident
    };
    assert_eq!(open().await, Some(begun));
    let told = store.incidents(TargetId(4), 9).await.unwrap();
    assert_eq!((told[0].incident, told[1].incident), (begun, first));
    assert_eq!((told[0].cause, told[0].reason.as_str()), (Some(Cause::Dns), "no such host"));
    assert_eq!((told[1].cause, told[1].reason.as_str()), (None, "kaputt: Überlauf"));
    assert!(told.iter().all(|row| row.trace.is_empty()));

    let ended = Incident { failed_probes: 7, ..begun.end(datetime!(2026-01-01 13:30 UTC)) };
    let edge = Edge { from: Status::Fail, to: Status::Pass };
    let outcome = Outcome::pass("200 OK");
    let news = TargetNews::of(&outcome, datetime!(2026-01-01 13:30 UTC), edge.to, Some(edge), Some(ended));
    let batch = Batch { targets: [(TargetId(4), news)].into(), ..Batch::default() };
    store.write(&Packet { node: Uuid::now_v7(), first: 1, through: 1, batch }).await.unwrap();
    assert_eq!(open().await, None);
    let told = store.incidents(TargetId(4), 9).await.unwrap();
    assert_eq!((told.len(), told[0].incident, told[0].reason.as_str()), (2, ended, "no such host"));
}

fn upgrade() -> Migrated {
    Migrated { from: Some(ONE), to: SCHEMA, applied: vec!["0002_schema_2_0", "0003_schema_2_1"] }
}

fn upgrade_of_2_0() -> Migrated {
    Migrated { from: Some(TWO), to: SCHEMA, applied: vec!["0003_schema_2_1"] }
}

fn nothing() -> Migrated {
    Migrated { from: Some(SCHEMA), to: SCHEMA, applied: Vec::new() }
}

fn everything() -> Migrated {
    Migrated {
        from: None,
        to: SCHEMA,
        applied: vec!["0001_schema_1_0", "0002_schema_2_0", "0003_schema_2_1"],
    }
}

#[tokio::test]
async fn a_sqlite_file_of_2013_is_upgraded_with_all_it_holds() {
    let file = Sqlite::of_2013();
    let settings = file.settings();
    assert_eq!(store::inspect(&settings).await.unwrap().schema, Some(ONE));
    assert_eq!(store::migrate(&settings).await.unwrap(), upgrade());
    assert_eq!(store::migrate(&settings).await.unwrap(), nothing());
    assert_all_is_kept(&settings).await;
    assert_eq!(store::inspect(&settings).await.unwrap().schema, Some(SCHEMA));
}

#[tokio::test]
async fn a_mysql_database_of_2013_is_upgraded_with_all_it_holds() {
    let server = mysql_of_2013().await;
    let settings = server.settings();
    assert_eq!(store::inspect(&settings).await.unwrap().schema, Some(ONE));
    assert_eq!(store::migrate(&settings).await.unwrap(), upgrade());
    assert_eq!(store::migrate(&settings).await.unwrap(), nothing());
    assert_all_is_kept(&settings).await;
    assert_eq!(store::inspect(&settings).await.unwrap().schema, Some(SCHEMA));
}

#[tokio::test]
async fn a_sqlite_file_of_2_0_is_upgraded_with_its_incidents() {
    let file = Sqlite::of_2_0();
    let settings = file.settings();
    assert_eq!(store::migrate(&settings).await.unwrap(), upgrade_of_2_0());
    assert_eq!(store::migrate(&settings).await.unwrap(), nothing());
    assert_incidents_are_kept(&settings).await;
}

#[tokio::test]
async fn a_mysql_database_of_2_0_is_upgraded_with_its_incidents() {
    let server = mysql_of_2_0().await;
    let settings = server.settings();
    assert_eq!(store::migrate(&settings).await.unwrap(), upgrade_of_2_0());
    assert_eq!(store::migrate(&settings).await.unwrap(), nothing());
    assert_incidents_are_kept(&settings).await;
}

#[tokio::test]
async fn a_database_of_2013_is_upgraded_on_a_server_that_is_strict_about_dates() {
    let server = mysql_of_2013().await;
    server.sql("SET GLOBAL sql_mode = 'TRADITIONAL', GLOBAL time_zone = '+09:00'").await;
    assert_all_is_kept(&server.settings()).await;
}

#[tokio::test]
async fn tables_without_their_version_are_upgraded_all_the_same() {
    let server = mysql_of_2013().await;
    server.sql("DROP TABLE versions").await;
    assert_eq!(store::migrate(&server.settings()).await.unwrap(), everything());
    assert_all_is_kept(&server.settings()).await;
    let file = Sqlite::of_2013();
    file.shell().execute_batch("DELETE FROM versions").unwrap();
    assert_eq!(store::migrate(&file.settings()).await.unwrap(), everything());
    assert_all_is_kept(&file.settings()).await;
}

/// The columns in their order, and what a bare INSERT puts there.
const COLUMNS: [&str; 25] = [
    "id",
    "name",
    "tenantid",
    "status",
    "status_description",
    "previous_status",
    "last_updated",
    "url",
    "method",
    "authn",
    "authn_parms",
    "pass_result",
    "frequency",
    "timeout",
    "pass_count",
    "fail_count",
    "count200",
    "count300",
    "count400",
    "count500",
    "network_fails",
    "repeated_fails",
    "enabled",
    "options",
    "cause",
];

#[tokio::test]
async fn the_columns_stand_in_the_order_that_is_promised() {
    let server = MariaDb::start().await;
    assert_eq!(store::migrate(&server.settings()).await.unwrap(), everything());
    let rows = server.query("SHOW COLUMNS FROM targets").await;
    let columns: Vec<String> = rows.iter().map(|row| row.get(0).unwrap()).collect();
    assert_eq!(columns, COLUMNS);

    let file = Sqlite::new();
    assert_eq!(store::migrate(&file.settings()).await.unwrap(), everything());
    let shell = file.shell();
    let statement = shell.prepare("SELECT * FROM targets").unwrap();
    assert_eq!(statement.column_names().collect::<Vec<_>>(), COLUMNS);
}

#[tokio::test]
async fn both_backends_upgrade_to_what_they_make_anew() {
    let (old, new) = (mysql_of_2013().await, MariaDb::start().await);
    for server in [&old, &new] {
        store::migrate(&server.settings()).await.unwrap();
        server.sql("DELETE FROM targets; DELETE FROM notifiers").await;
    }
    let shape = "SELECT table_name, column_name, column_type, is_nullable, column_default, collation_name, extra
        FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position";
    assert_eq!(format!("{:#?}", old.query(shape).await), format!("{:#?}", new.query(shape).await));

    let shape = |file: &Sqlite| -> Vec<String> {
        let query = "SELECT name || ': ' || coalesce(sql, '') FROM sqlite_master WHERE tbl_name <> 'versions'
            ORDER BY name";
        let shell = file.shell();
        let mut statement = shell.prepare(query).unwrap();
        statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let (old, new) = (Sqlite::of_2013(), Sqlite::new());
    for file in [&old, &new] {
        store::migrate(&file.settings()).await.unwrap();
    }
    assert_eq!(shape(&old), shape(&new));
}

fn statements(migration: &str) -> Vec<&str> {
    migration.split(";\n").filter(|statement| !statement.trim().is_empty()).collect()
}

#[tokio::test]
async fn an_upgrade_that_was_cut_off_anywhere_is_finished() {
    let server = MariaDb::start().await;
    let (first, second) = (statements(MYSQL_TO_2_0), statements(MYSQL_TO_2_1));
    assert!(first.len() > 10 && second.len() > 5);
    let all = [&first[..], &second[..]].concat();
    let anew = async || {
        let anew =
            format!("DROP DATABASE {DATABASE}; CREATE DATABASE {DATABASE}; USE {DATABASE}; {MYSQL_1_0}");
        server.sql(&anew).await;
        server.sql(ROWS_1_0).await;
    };
    for done in 1..all.len() {
        anew().await;
        server.sql(&all[..done].join(";\n")).await;
        let expected = if done < first.len() { upgrade() } else { upgrade_of_2_0() };
        assert_eq!(store::migrate(&server.settings()).await.unwrap(), expected, "after {done} statements");
        assert_all_is_kept(&server.settings()).await;
    }
    for done in 1..second.len() {
        anew().await;
        server.sql(MYSQL_TO_2_0).await;
        server.sql(ROWS_2_0).await;
        server.sql(&second[..done].join(";\n")).await;
        let migrated = store::migrate(&server.settings()).await;
        assert_eq!(migrated.unwrap(), upgrade_of_2_0(), "after {done} statements");
        assert_incidents_are_kept(&server.settings()).await;
    }
}

#[tokio::test]
async fn an_upgrade_that_a_row_makes_impossible_changes_no_sqlite_file() {
    let file = Sqlite::of_2013();
    // A table in the way of the new one.
    file.shell().execute_batch("CREATE TABLE incidents (id INTEGER)").unwrap();
    let failed = store::migrate(&file.settings()).await.unwrap_err();
    assert!(matches!(failed, OpenError::Migration { migration: "0002_schema_2_0", .. }), "{failed:?}");
    assert_eq!(store::inspect(&file.settings()).await.unwrap().schema, Some(ONE));
    file.shell().execute_batch("DROP TABLE incidents").unwrap();
    assert_all_is_kept(&file.settings()).await;
}

#[tokio::test]
async fn of_daemons_that_start_together_one_migrates() {
    let server = MariaDb::start().await;
    let file = Sqlite::new();
    for settings in [server.settings(), file.settings()] {
        let all = tokio::join!(
            store::migrate(&settings),
            store::migrate(&settings),
            store::migrate(&settings),
            store::migrate(&settings),
        );
        let all = [all.0.unwrap(), all.1.unwrap(), all.2.unwrap(), all.3.unwrap()];
        assert_eq!(all.iter().filter(|done| !done.applied.is_empty()).count(), 1, "{all:?}");
        let (one, two) = tokio::join!(store::open(&settings), store::open(&settings));
        one.unwrap().add_target(&TargetDefinition::new("home", "http://h/")).await.unwrap();
        assert_eq!(two.unwrap().load_targets().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_as_it_is() {
    let server = MariaDb::start().await;
    let settings = server.settings();
    store::open(&settings).await.unwrap();
    server.sql("UPDATE versions SET minor = 2; INSERT INTO targets (name, url) VALUES ('a', 'b')").await;
    let before = server.dump().await;
    assert!(before.contains("targets"), "{before}");
    refused_as_too_new(&settings).await;
    assert_eq!(server.dump().await, before);

    let file = Sqlite::new();
    store::migrate(&file.settings()).await.unwrap();
    file.shell().execute_batch("UPDATE versions SET major = 3; PRAGMA journal_mode = DELETE").unwrap();
    let before = fs::read(file.path()).unwrap();
    refused_as_too_new(&file.settings()).await;
    assert_eq!(fs::read(file.path()).unwrap(), before);
    assert_eq!(fs::read_dir(file.0.path()).unwrap().count(), 1, "no other file was made");
}

async fn refused_as_too_new(settings: &Database) {
    for error in [
        store::open(settings).await.err(),
        store::migrate(settings).await.err(),
        store::inspect(settings).await.err(),
    ] {
        assert!(matches!(error, Some(OpenError::TooNew { known: SCHEMA, .. })), "{error:?}");
        assert!(error.unwrap().to_string().contains("nothing was changed"));
    }
}

#[tokio::test]
async fn a_look_makes_nothing() {
    let file = Sqlite::new();
    assert_eq!(store::inspect(&file.settings()).await.unwrap().schema, None);
    assert!(!file.path().exists());
    let server = MariaDb::start().await;
    assert_eq!(store::inspect(&server.settings()).await.unwrap().schema, None);
    assert_eq!(server.dump().await, "");
    let missing = server.settings_of(USER, PASSWORD, "nowhere");
    assert_eq!(store::inspect(&missing).await.unwrap().schema, None);
}

#[tokio::test]
async fn a_missing_database_is_made_where_the_user_may() {
    let server = MariaDb::start().await;
    server.sql("GRANT ALL PRIVILEGES ON `odd``name`.* TO 'skypunch'@'%'").await;
    let settings = server.settings_of(USER, PASSWORD, "odd`name");
    assert_eq!(store::migrate(&settings).await.unwrap(), everything());
}

#[tokio::test]
async fn a_missing_database_that_we_may_not_make_is_explained_with_what_works() {
    let server = MariaDb::start().await;
    let settings = server.settings_of(USER, PASSWORD, "monitoring");
    let error = store::open(&settings).await.err().unwrap();
    let OpenError::Missing { database, statements } = &error else { panic!("{error:?}") };
    assert_eq!(database, "monitoring");
    assert!(error.to_string().contains(statements.as_str()));
    server.sql(statements).await;
    store::open(&settings).await.unwrap();
}

#[tokio::test]
async fn a_user_without_the_rights_to_migrate_is_told_at_which_statement() {
    let server = mysql_of_2013().await;
    server
        .sql(&format!("CREATE USER reader@'%' IDENTIFIED BY 'x'; GRANT SELECT ON {DATABASE}.* TO reader@'%'"))
        .await;
    let error = store::migrate(&server.settings_of("reader", "x", DATABASE)).await.unwrap_err();
    assert!(matches!(error, OpenError::Migration { statement: 1, .. }), "{error:?}");
}
