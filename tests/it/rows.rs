//! What operators do to rows, and what rows do to the daemon.

use rustix::process::Signal;

use crate::{
    harness::{Daemon, Home},
    support::{
        http::{Server, answer},
        operator::{Operator, on_mariadb, on_sqlite},
        wait::wait_until,
    },
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test(flavor = "multi_thread")]
async fn a_row_changed_by_plain_sql_takes_effect_on_the_embedded_database() {
    let (operator, home) = on_sqlite();
    rows_take_effect(operator, home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_changed_by_plain_sql_takes_effect_on_mariadb() {
    let (operator, home) = on_mariadb().await;
    rows_take_effect(operator, home).await;
}

async fn rows_take_effect(operator: Operator, home: Home) {
    let server = Server::start(answer(OK)).await;
    let _daemon = Daemon::start_in(home).await;
    let status = "SELECT status FROM targets WHERE name = 'home'";
    operator
        .sql(&format!(
            "INSERT INTO targets (name, url) VALUES ('home', 'http://127.0.0.1:{}/')",
            server.port()
        ))
        .await;
    operator.wait_for(status, "PASS").await;

    operator.sql("UPDATE targets SET pass_result = '204', frequency = 1 WHERE name = 'home'").await;
    operator.wait_for(status, "FAIL").await;
    let description = "SELECT status_description FROM targets WHERE name = 'home'";
    operator.wait_for(description, "status 200, expected 204").await;

    operator.sql("UPDATE targets SET pass_result = '2xx', pass_count = 0 WHERE name = 'home'").await;
    operator.wait_for(status, "PASS").await;
    operator.wait_for("SELECT pass_result FROM targets WHERE name = 'home'", "2xx").await;

    operator.sql("UPDATE targets SET enabled = 0 WHERE name = 'home'").await;
    let mut before = usize::MAX;
    wait_until("no more requests", || {
        let now = server.requests().len();
        std::mem::replace(&mut before, now).eq(&now).then_some(())
    })
    .await;

    let requests = server.requests().len();
    operator.sql("UPDATE targets SET enabled = 1 WHERE name = 'home'").await;
    wait_until("requests again", || (server.requests().len() > requests).then_some(())).await;

    operator.sql("DELETE FROM targets WHERE name = 'home'").await;
    operator.wait_for("SELECT count(*) FROM targets", "0").await;
    operator.sql("INSERT INTO targets (name, url) VALUES ('marker', 'nonsense')").await;
    operator.wait_for("SELECT status FROM targets WHERE name = 'marker'", "FAIL").await;
    operator.wait_for("SELECT count(*) FROM targets", "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reloads_at_once() {
    let server = Server::start(answer(OK)).await;
    let home = Home::with_config("[daemon]\nreload_interval = \"1h\"\n[web]\nlisten = \"\"\n");
    let operator = Operator::Sqlite(home.state("skypunch.db"));
    let daemon = Daemon::start_in(home).await;
    let url = format!("http://127.0.0.1:{}/", server.port());
    operator.sql(&format!("INSERT INTO targets (name, url) VALUES ('home', '{url}')")).await;
    daemon.signal(Signal::HUP);
    operator.wait_for("SELECT status FROM targets", "PASS").await;
}

/// Each way to be wrong: what is set in the row, and what is said of it.
const WRONG: [(&str, &str); 11] = [
    ("url = 'nonsense'", "url"),
    ("url = 'http://'", "url"),
    ("url = 'ftp://127.0.0.1/'", "url"),
    ("url = 'http://eve:hunter2@127.0.0.1/'", "put credentials in authn_parms"),
    ("frequency = 0", "frequency: 0 is not allowed: 1 to 2678400 seconds"),
    ("frequency = -5", "frequency: -5 is not allowed"),
    ("method = 'BREW'", "method"),
    ("authn = 'MAGIC'", "authn"),
    ("authn = 'BASIC', authn_parms = 'user=eve'", "password"),
    ("options = '{\"colour\"'", "options: not JSON"),
    ("pass_result = 'fine'", "pass_result"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_row_is_marked_and_hurts_no_other_on_the_embedded_database() {
    let (operator, home) = on_sqlite();
    wrong_rows(operator, home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_row_is_marked_and_hurts_no_other_on_mariadb() {
    let (operator, home) = on_mariadb().await;
    wrong_rows(operator, home).await;
}

async fn wrong_rows(operator: Operator, home: Home) {
    let server = Server::start(answer(OK)).await;
    let daemon = Daemon::start_in(home).await;
    let url = format!("http://127.0.0.1:{}/", server.port());
    // All at once: a row that is not wrong yet would be probed, which is a line of the log too.
    let mut sql = format!("BEGIN; INSERT INTO targets (name, url, frequency) VALUES ('good', '{url}', 1);");
    for (n, (wrong, _)) in WRONG.iter().enumerate() {
        sql.push_str(&format!("INSERT INTO targets (name, url) VALUES ('bad {n}', '{url}');"));
        sql.push_str(&format!("UPDATE targets SET {wrong} WHERE name = 'bad {n}';"));
    }
    // SQLite takes a name of any length; a server of MySQL refuses it by itself.
    let mut count = WRONG.len();
    if let Operator::Sqlite(_) = operator {
        count += 1;
        let endless = "x".repeat(10_000_000);
        sql.push_str(&format!("INSERT INTO targets (name, url) VALUES ('{endless}', '{url}');"));
    }
    sql.push_str("COMMIT;");
    operator.sql(&sql).await;
    operator.wait_for("SELECT count(*) FROM targets WHERE cause = 'config'", &count.to_string()).await;
    operator.wait_for("SELECT status FROM targets WHERE name = 'good'", "PASS").await;
    // Long enough for a fault that is told every second to be told again.
    operator.wait_for("SELECT pass_count > 3 FROM targets WHERE name = 'good'", "1").await;

    let log = daemon.home.log();
    let check = daemon.home.skypunch_beside(&["check"]).await;
    assert_eq!(check.code, 1, "{}", check.stdout);
    for (n, (wrong, said)) in WRONG.iter().enumerate() {
        let name = format!("bad {n}");
        let query = format!("SELECT status_description FROM targets WHERE name = '{name}'");
        let description = operator.ask(&query).await.unwrap();
        assert!(description.contains(said), "{wrong}: {description}");
        let told = log.lines().filter(|line| line.contains(&format!(" {name} "))).count();
        assert_eq!(told, 1, "{wrong} is logged once");
        assert!(check.stderr.contains(&format!("({name})")), "{wrong}: {}", check.stderr);
    }
    assert!(!log.contains("hunter2") && !check.stderr.contains("hunter2"));
    let counted = "SELECT sum(pass_count + fail_count + network_fails) FROM targets WHERE cause = 'config'";
    assert_eq!(operator.ask(counted).await.unwrap(), "0");
}
