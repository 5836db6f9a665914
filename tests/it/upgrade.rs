//! What an earlier build wrote opens in this one.
//!
//! `make test-faults` builds the commit before this one and names it in `SKYPUNCH_TEST_PREVIOUS`; elsewhere this build
//! opens what it wrote itself.

use std::{path::PathBuf, process::Command};

use rustix::process::Signal;

use crate::{
    harness::{Daemon, Home},
    support::{
        operator::{Operator, on_mariadb, on_sqlite},
        wait::wait_until,
        world::World,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn faults_the_embedded_database_of_an_earlier_build_is_taken_over() {
    let (operator, home) = on_sqlite();
    taken_over(operator, home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_the_mariadb_of_an_earlier_build_is_taken_over() {
    let (operator, home) = on_mariadb().await;
    taken_over(operator, home).await;
}

fn previous() -> PathBuf {
    let named = std::env::var_os("SKYPUNCH_TEST_PREVIOUS").map(PathBuf::from);
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_skypunch").into())
}

async fn taken_over(operator: Operator, home: Home) {
    let world = World::start(2).await;
    world.refuse(Some("HTTP/1.1 500 Internal Server Error"));
    world.set(1, true);
    let mut earlier: std::process::Child =
        in_place_of_this(&previous(), home.command(&["run", "--quiet"])).spawn().unwrap();
    let status =
        || in_place_of_this(&previous(), home.command(&["status"])).output().unwrap().status.success();
    wait_until("the earlier build serves", || status().then_some(())).await;
    for (table, name, rest) in [
        ("target", "up", [world.url(0), "--frequency".to_owned(), "1".to_owned()].to_vec()),
        ("target", "down", [world.url(1), "--frequency".to_owned(), "1".to_owned()].to_vec()),
        ("notifier", "hook", ["WEBHOOK".to_owned(), world.hook()].to_vec()),
    ] {
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let added = in_place_of_this(&previous(), home.command(&[&["add", table, name][..], &rest].concat()));
        assert!({ added }.output().unwrap().status.success(), "{name}");
    }
    operator.wait_for("SELECT status FROM targets WHERE name = 'down'", "FAIL").await;
    operator.wait_for("SELECT status FROM targets WHERE name = 'up'", "PASS").await;
    rustix::process::kill_process(rustix::process::Pid::from_child(&earlier), Signal::TERM).unwrap();
    assert!(earlier.wait().unwrap().success());
    let count = "SELECT sum(pass_count + fail_count) FROM targets";
    let before: u64 = operator.ask(count).await.unwrap().parse().unwrap();
    assert!(before > 1);

    let daemon = Daemon::start_in(home).await;
    let rows = daemon.home.json(&["targets"]);
    assert_eq!((&rows[0]["status"], &rows[1]["status"]), (&"PASS".into(), &"FAIL".into()));
    world.refuse(None);
    world.set(1, false);
    operator.wait_for("SELECT status FROM targets WHERE name = 'down'", "PASS").await;
    operator.wait_for("SELECT count(*) FROM incidents WHERE ended_at IS NOT NULL", "1").await;
    let recovery = || world.messages().iter().any(|message| message.event == "RECOVERY").then_some(());
    wait_until("the recovery is told", recovery).await;
    let after: u64 = operator.ask(count).await.unwrap().parse().unwrap();
    assert!(after > before);
}

/// The same command of another build.
fn in_place_of_this(program: &std::path::Path, command: Command) -> Command {
    let mut other = Command::new(program);
    other.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other
}
