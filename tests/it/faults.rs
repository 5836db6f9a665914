//! What breaks, and what goes on all the same.

use serde_json::Value;

use crate::{
    harness::Daemon,
    support::{
        http::{Act, Server, answer},
        operator::{Operator, on_mariadb},
        site::Site,
        wait::wait_until,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn probing_and_alerts_go_on_while_the_database_is_away_and_the_rows_are_right_afterwards() {
    let hook = Server::start(answer("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let mut site = Site::start().await;
    let steady = Server::start(answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let (operator, home) = on_mariadb().await;
    let Operator::MariaDb(mut database) = operator else { unreachable!("it is one") };
    let daemon = Daemon::start_in(home).await;
    let home = &daemon.home;
    home.skypunch(&["add", "target", "site", &site.url(), "--frequency", "1"]);
    let url = format!("http://127.0.0.1:{}/", steady.port());
    home.skypunch(&["add", "target", "steady", &url, "--frequency", "1"]);
    home.skypunch(&["add", "notifier", "hook", "WEBHOOK", &format!("http://127.0.0.1:{}/", hook.port())]);
    let passing = |home: &crate::harness::Home| home.json(&["status"])["targets"]["PASS"] == 2;
    wait_until("both pass", || passing(home).then_some(())).await;
    wait_until("the notifier is loaded", || (home.json(&["notifiers"])[0]["id"] == 1).then_some(())).await;

    database.stop();
    let away = || (home.json(&["status"])["database"]["state"] != "up").then_some(());
    wait_until("the daemon sees that the database is away", away).await;
    let before = steady.requests().len();
    site.kill();
    wait_until("the alert", || (!hook.requests().is_empty()).then_some(())).await;
    wait_until("probes of the other", || (steady.requests().len() > before + 3).then_some(())).await;
    let alert = hook.requests()[0].clone();
    let body: Value = serde_json::from_str(alert.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&body["event"], &body["cause"]), (&"FAIL".into(), &"connect".into()));
    let rows = home.json(&["targets"]);
    assert_eq!((&rows[0]["status"], &rows[1]["status"]), (&"FAIL".into(), &"PASS".into()));
    assert!(home.json(&["status"])["results_waiting"].as_u64().unwrap() <= 6);

    database.launch().await;
    let back = || (home.json(&["status"])["database"]["state"] == "up").then_some(());
    wait_until("the daemon sees that the database is back", back).await;
    let operator = Operator::MariaDb(database);
    operator.wait_for("SELECT status FROM targets WHERE name = 'site'", "FAIL").await;
    operator.wait_for("SELECT pass_count FROM notifiers", "1").await;
    let log = home.log();
    let said = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(said("the database cannot be written"), 1, "{log}");
    assert_eq!(said("the database can be written again"), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_probe_of_an_outage_is_counted_once() {
    let server = Server::start(answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let (operator, home) = on_mariadb().await;
    let Operator::MariaDb(mut database) = operator else { unreachable!("it is one") };
    let daemon = Daemon::start_in(home).await;
    let url = format!("http://127.0.0.1:{}/", server.port());
    daemon.home.skypunch(&["add", "target", "home", &url, "--frequency", "1"]);
    for _ in 0..3 {
        let seen = server.requests().len();
        wait_until("a probe", || (server.requests().len() > seen).then_some(())).await;
        database.restart().await;
    }
    database.freeze().await;
    let seen = server.requests().len();
    wait_until("a probe", || (server.requests().len() > seen + 2).then_some(())).await;
    database.thaw();
    drop(daemon);
    let counted = Operator::MariaDb(database).ask("SELECT pass_count FROM targets").await.unwrap();
    let counted: usize = counted.parse().unwrap();
    // The one that was under way at the end may have arrived, and its result not.
    assert!((0..=1).contains(&(server.requests().len() - counted)), "{counted} are counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_hangs_delays_no_other_and_no_end() {
    let slow = Server::start(vec![Act::Read, Act::Hang]).await;
    let quick = Server::start(answer("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let daemon = Daemon::start().await;
    let home = &daemon.home;
    for (name, server) in [("slow", &slow), ("quick", &quick)] {
        home.skypunch(&["add", "notifier", name, "WEBHOOK", &format!("http://127.0.0.1:{}/", server.port())]);
    }
    home.skypunch(&["add", "target", "dead", "http://127.0.0.1:9/", "--frequency", "1"]);
    wait_until("the quick one is told", || (!quick.requests().is_empty()).then_some(())).await;
    wait_until("the slow one is tried", || (!slow.requests().is_empty()).then_some(())).await;
    assert_eq!(home.json(&["status"])["notifications_waiting"], 1);
}

#[test]
fn a_database_that_cannot_be_made_is_found_by_a_check() {
    let home = crate::harness::Home::with_config("[database]\nurl = \"sqlite:/no/such/folder/sky.db\"\n");
    let check = home.skypunch(&["check"]);
    assert_eq!(check.code, 1);
    assert!(check.stderr.contains("cannot make the database in /no/such/folder"), "{}", check.stderr);
}

#[test]
fn a_target_that_would_tell_nobody_is_found_by_a_check() {
    let home = crate::harness::Home::new();
    let add = ["add", "target", "home", "http://127.0.0.1:9/", "--options", r#"{"notify": ["nobdy"]}"#];
    assert_eq!(home.skypunch(&add).code, 0);
    let check = home.skypunch(&["check"]);
    assert_eq!(check.code, 1);
    assert!(check.stderr.contains("notify: no notifier has the name \"nobdy\""), "{}", check.stderr);
}

#[test]
fn a_wrong_configuration_of_the_log_exits_with_2() {
    let home = crate::harness::Home::with_config("[log]\nconfig = \"/no/such/file.yaml\"\n");
    let said = home.skypunch(&["run"]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("/no/such/file.yaml"), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_at_the_start_is_a_clear_error() {
    let home = crate::harness::Home::with_config(
        "[database]\nurl = \"mysql://sky:hunter2@127.0.0.1:9/sky\"\n[web]\nlisten = \"\"\n",
    );
    let said = home.skypunch(&["run"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("127.0.0.1:9"), "{}", said.stderr);
    assert!(!said.stderr.contains("hunter2"), "{}", said.stderr);
    let check = home.skypunch(&["check"]);
    assert_eq!(check.code, 1);
    assert!(check.stderr.contains("database"), "{}", check.stderr);
}
