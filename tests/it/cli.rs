//! The command line, on the real program.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    harness::{Daemon, Home},
    support::{
        http::{Server, answer},
        wait::wait_until,
    },
};

/// A URL where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1/";

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn start_returns_when_it_serves_and_stop_when_it_is_gone() {
    let home = Home::new();
    let started = home.skypunch(&["start"]);
    assert_eq!((started.code, started.stderr.as_str()), (0, ""));
    let pid = home.json(&["status"])["pid"].as_u64().unwrap();
    assert_eq!(started.stdout, format!("the daemon serves (pid {pid})\n"));

    let again = home.skypunch(&["start"]);
    assert_eq!(again.code, 1);
    assert_eq!(again.stderr, format!("skypunch: the daemon is already running (pid {pid})\n"));
    let second = home.skypunch(&["run"]);
    assert_eq!(second.code, 1);
    let state = home.path().join("state");
    let refusal = format!("skypunch: another daemon runs on {} (pid {pid})\n", state.display());
    assert_eq!(second.stderr, refusal);

    let restarted = home.json(&["restart"]);
    assert_ne!(restarted["pid"], pid);
    assert_eq!(home.json(&["reload"]), json!({"started": 0, "replaced": 0, "stopped": 0}));
    assert_eq!(home.json(&["stop"])["pid"], restarted["pid"]);
    assert!(!home.state("skypunch.pid").exists() && !home.state("skypunch.sock").exists());

    for (command, told) in [
        ("stop", "skypunch: the daemon is not running\n"),
        ("status", "skypunch: no daemon is running: start it with `skypunch start`\n"),
        ("reload", "skypunch: no daemon is running: start it with `skypunch start`\n"),
    ] {
        let said = home.skypunch(&[command]);
        assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (1, "", told));
    }
}

#[tokio::test]
async fn what_a_crash_leaves_behind_is_recovered_from() {
    let home = Daemon::start().await.kill();
    assert!(home.state("skypunch.pid").exists() && home.state("skypunch.sock").exists());
    assert_eq!(home.skypunch(&["stop"]).stderr, "skypunch: the daemon is not running\n");
    assert_eq!(home.skypunch(&["targets"]).code, 0);
    let daemon = Daemon::start_in(home).await;
    assert_eq!(daemon.home.json(&["targets"]), json!([]));
}

#[test]
fn start_says_why_the_daemon_does_not_come_up() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let home = Home::with_config(&format!("[web]\nlisten = \"{address}\"\n"));
    let said = home.skypunch(&["start"]);
    assert_eq!(said.code, 1);
    let mut lines = said.stderr.lines();
    assert_eq!(lines.next(), Some("skypunch: the daemon did not start (exit status: 1)"));
    assert!(said.stderr.contains(&format!("cannot listen on {address}")), "{}", said.stderr);
    assert!(said.stderr.contains("its log ("), "{}", said.stderr);
    assert!(!home.log().contains("panicked"), "{}", home.log());
    assert!(!home.state("skypunch.pid").exists() && !home.state("skypunch.sock").exists());
}

#[tokio::test]
async fn a_daemon_that_is_told_to_stop_by_a_signal_ends_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let daemon = Daemon::start().await;
        daemon.signal(signal);
        let (status, home) = daemon.ends();
        assert!(status.success(), "{status}");
        assert!(!home.state("skypunch.sock").exists());
    }
}

#[test]
fn an_exit_code_holds_where_nothing_can_be_said() {
    let home = Home::with_config("[database]\nurl = \"sqlite:/no/such/directory/skypunch.db\"\n");
    for (args, code) in [(&["punch"][..], 2), (&["targets"], 1), (&["status"], 1)] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = home.command(args).stdout(Stdio::null()).stderr(full).status().unwrap();
        assert_eq!(ended.code(), Some(code), "{args:?}");
    }
}

#[test]
fn a_daemon_that_still_waits_for_its_database_can_be_stopped() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let home = Home::with_config(&format!("[database]\nurl = \"mysql://bob@127.0.0.1:{port}/skypunch\"\n"));
    let mut daemon = home.command(&["run", "--quiet"]).spawn().unwrap();
    let _connection = silent.accept().unwrap();
    let told = Instant::now();
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    assert!(daemon.wait().unwrap().success());
    assert!(told.elapsed() < Duration::from_secs(9), "{:?}", told.elapsed());
}

#[test]
fn a_wrong_command_line_or_configuration_exits_with_2() {
    let home = Home::new();
    for args in [&[][..], &["punch"], &["targets", "1", "punch"], &["add", "target"]] {
        let said = home.skypunch(args);
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{args:?}");
        assert!(said.stderr.contains("skypunch"), "{}", said.stderr);
    }
    let said = home.skypunch(&["--help"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    let wrong = Home::with_config("[web]\nlisten = 1\n");
    for command in ["run", "start", "targets", "check"] {
        let said = wrong.skypunch(&[command]);
        assert_eq!(said.code, 2, "{}", said.stderr);
        assert!(said.stderr.contains("web.listen"), "{}", said.stderr);
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let home = Home::new();
    assert_eq!(home.skypunch(&["version"]).stdout, concat!("skypunch ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(home.json(&["version"]), json!({"version": env!("CARGO_PKG_VERSION")}));
}

#[tokio::test]
async fn rows_are_worked_on_with_a_daemon_and_without_in_the_same_way() {
    let home = Home::new();
    let without = work_on_rows(&home);
    let said = home.skypunch(&["targets"]);
    assert_eq!(said.stderr, "no daemon is running; reading the database directly\n");
    let daemon = Daemon::start().await;
    let with = work_on_rows(&daemon.home);
    assert_eq!(daemon.home.skypunch(&["targets"]).stderr, "");
    assert_eq!(with, without);
}

/// Adds, shows, disables, enables and deletes rows. Returns the shapes of what was printed.
fn work_on_rows(home: &Home) -> Vec<String> {
    let mut shapes = Vec::new();
    let added = home.json(&["add", "target", "home", NOBODY, "--disabled", "--pass-result", "2xx"]);
    assert_eq!((&added["name"], &added["enabled"]), (&json!("home"), &json!(false)));
    let notifier =
        home.json(&["add", "notifier", "ops", "WEBHOOK", "http://127.0.0.1:1/token", "--disabled"]);
    assert_eq!(notifier["address"], "http://127.0.0.1:1/***");
    let detail = home.json(&["targets", "home"]);
    assert_eq!(detail["pass_result"], "2xx");
    shapes.extend([&added, &notifier, &detail].map(|object| keys(object).join(" ")));
    for (rows, name) in [("targets", "home"), ("notifiers", "ops")] {
        assert_eq!(home.json(&[rows, name, "enable"])["enabled"], true);
        assert_eq!(home.json(&[rows])[0]["enabled"], true);
        assert_eq!(home.json(&[rows, name, "disable"])["enabled"], false);
        assert_eq!(home.json(&[rows, "1"])["enabled"], false);
        let said = home.skypunch(&[rows, name, "delete"]);
        shapes.push(said.stdout);
        assert_eq!(home.json(&[rows]), json!([]));
        let said = home.skypunch(&[rows, name]);
        assert_eq!(said.code, 1);
        shapes.push(said.stderr.lines().last().unwrap().to_owned());
    }
    shapes
}

#[tokio::test]
async fn the_documents_have_the_keys_that_are_promised() {
    let daemon = Daemon::start().await;
    let home = &daemon.home;
    home.json(&["add", "target", "home", NOBODY, "--frequency", "1"]);
    let columns = "id name tenantid status status_description previous_status last_updated url method authn \
        authn_parms pass_result frequency timeout pass_count fail_count count200 count300 count400 count500 \
        network_fails repeated_fails enabled options cause";
    assert_eq!(keys(&home.json(&["targets"])[0]).join(" "), columns);
    let failed = wait_until("the target fails", || {
        let target = home.json(&["targets", "home"]);
        (target["status"] == "FAIL").then_some(target)
    })
    .await;
    assert_eq!(keys(&failed).join(" "), format!("{columns} last_success last_failure incident"));
    let result = "at cause reason http_status dns_ms connect_ms tls_ms ttfb_ms total_ms trace";
    assert_eq!(keys(&failed["last_failure"]).join(" "), result);
    assert_eq!(failed["last_success"], Value::Null);
    let status = home.json(&["status"]);
    assert_eq!(
        keys(&status).join(" "),
        "version pid started_at database targets probes_per_s slots results_waiting notifications_waiting journal \
         results_dropped overload"
    );
    assert_eq!(keys(&status["targets"]).join(" "), "NEW PASS FAIL UNKNOWN");
    assert_eq!(keys(&status["slots"]).join(" "), "done late skipped");
}

#[tokio::test]
async fn a_test_prints_its_steps_and_exits_by_its_verdict() {
    let server = Server::start(answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")).await;
    let url = format!("http://{}/", server.address());
    let daemon = Daemon::start().await;
    let home = &daemon.home;
    home.json(&["add", "target", "up", &url, "--disabled"]);
    home.json(&["add", "target", "down", NOBODY, "--disabled"]);
    let said = home.skypunch_beside(&["targets", "up", "test"]).await;
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    let lines: Vec<_> = said.stdout.lines().collect();
    assert!(lines[0].ends_with(&format!(" Connecting to {url} ....")), "{lines:?}");
    assert!(lines.last().unwrap().starts_with("PASS "), "{lines:?}");
    let said = home.skypunch(&["--json", "targets", "down", "test"]);
    assert_eq!(said.code, 1);
    let seen: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&seen["status"], &seen["cause"]), (&json!("FAIL"), &json!("connect")));
    let unchanged = home.json(&["targets", "down"]);
    assert_eq!((&unchanged["status"], &unchanged["fail_count"]), (&json!("NEW"), &json!(0)));
}

#[tokio::test]
async fn add_refuses_what_cannot_work() {
    let daemon = Daemon::start().await;
    let home = &daemon.home;
    home.json(&["add", "target", "home", NOBODY]);
    for (args, told) in [
        (&["target", "home", NOBODY][..], "the name `home` is taken"),
        (&["target", "", NOBODY], "name: is empty"),
        (&["target", "a", "http://bob:hunter2@h/"], "authn_parms"),
        (&["target", "a", "nonsense"], "url: "),
        (&["target", "a", NOBODY, "--frequency", "0"], "frequency: 0 is not allowed"),
        (&["target", "a", NOBODY, "--method", "PUNCH"], "method: "),
        (&["target", "a", NOBODY, "--authn", "BASIC"], "authn_parms: "),
        (&["target", "a", NOBODY, "--options", "{"], "options: not JSON"),
        (&["notifier", "a", "PIGEON", "a"], "type: "),
        (&["notifier", "a", "SMTP", "a@example.org"], "params: "),
    ] {
        let said = home.skypunch(&[&["add"], args].concat());
        assert_eq!((said.code, said.stdout.as_str()), (1, ""), "{args:?}");
        assert!(said.stderr.contains(told) && !said.stderr.contains("hunter2"), "{}", said.stderr);
        assert_eq!(said.stderr.lines().count(), 1, "{}", said.stderr);
    }
    assert_eq!(home.json(&["targets"]).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn no_command_prints_a_secret() {
    let daemon = Daemon::start().await;
    let home = &daemon.home;
    let parms = "user=bob,password=hunter2";
    home.json(&["add", "target", "home", NOBODY, "--authn", "BASIC", "--authn-parms", parms]);
    home.json(&[
        "add",
        "notifier",
        "hook",
        "WEBHOOK",
        "http://127.0.0.1:1/hunter2",
        "--params",
        "secret=hunter2",
    ]);
    let mail = "server=127.0.0.1,port=1,security=none,user=bob,password=hunter2";
    home.json(&["add", "notifier", "mail", "SMTP", "a@example.org", "--params", mail]);
    let mut said = BTreeSet::new();
    for args in [
        &["targets"][..],
        &["targets", "home"],
        &["targets", "home", "test"],
        &["notifiers"],
        &["notifiers", "hook"],
        &["notifiers", "mail"],
        &["notifiers", "hook", "test"],
        &["notifiers", "mail", "test"],
        &["check"],
        &["status"],
        &["notifiers", "hook", "delete"],
        &["targets", "home", "delete"],
    ] {
        for format in [&[][..], &["--json"]] {
            if format.is_empty() && args.ends_with(&["delete"]) {
                continue;
            }
            let printed = home.skypunch(&[args, format].concat());
            said.insert(printed.stdout);
            said.insert(printed.stderr);
        }
    }
    said.insert(home.log());
    assert!(said.len() > 15, "the commands printed what they are to print");
    assert_eq!(said.iter().find(|text| text.contains("hunter2")), None);
}

#[test]
fn a_reader_that_leaves_early_is_no_failure_of_ours() {
    let home = Home::new();
    home.json(&["add", "target", "home", NOBODY]);
    let mut child = home.command(&["targets"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, "no daemon is running; reading the database directly\n");
}

#[test]
fn a_socket_that_cannot_be_reached_is_not_taken_for_no_daemon() {
    let home = Home::new();
    fs::create_dir(home.path().join("state")).unwrap();
    std::os::unix::fs::symlink("skypunch.sock", home.state("skypunch.sock")).unwrap();
    let said = home.skypunch(&["targets"]);
    assert_eq!((said.code, said.stdout.as_str()), (1, ""));
    assert!(said.stderr.starts_with("skypunch: cannot connect to "), "{}", said.stderr);
}
