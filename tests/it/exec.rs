//! Commands as notifiers.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use serde_json::Value;
use skypunch::sink::Sinks;
use skypunch_actors::{
    domain::{Fault, Notification, NotifierDefinition, Params, Secret, TargetDefinition},
    port::{Clock, Receipt, Sink, SinkError, SinkFactory},
    testing::{TestClock, fixtures::failure},
};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{
    harness::{CONFIG, Home},
    support::wait::wait_until,
};

fn notification() -> Notification {
    let mut definition = TargetDefinition::new("Zürich $(id) \"`id`", "http://localhost:81/");
    definition.options = Some(Secret::new(r#"{"tags":["a","b"]}"#));
    failure(&definition, TestClock::default().now(), "connection refused by ::1:81")
}

fn plan(allowed: bool, address: &str, params: &str) -> Result<Box<dyn Sink>, String> {
    let sinks = Sinks::new(Vec::new(), Arc::new(TestClock::default())).allowing_exec(allowed);
    let definition = NotifierDefinition::new("ops", "exec", address);
    let builder = sinks.prepare(&definition, &Params::parse(params).unwrap());
    builder.map(|builder| builder()).map_err(|faults| Fault::join(&faults))
}

/// A folder with a script.
fn script(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a script");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let quoted = format!("'{}' '{}'", path.display(), folder.path().display());
    (folder, quoted)
}

async fn run(text: &str) -> Result<Receipt, SinkError> {
    let (_folder, command) = script(text);
    plan(true, &command, "").unwrap().deliver(&notification()).await
}

fn read(folder: &Path, name: &str) -> Option<String> {
    fs::read_to_string(folder.join(name)).ok().filter(|text| text.ends_with('\n'))
}

/// Whether a process is no more, or waits for somebody to notice its end.
fn has_ended(pid: &str) -> Option<()> {
    let state = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    state.map_or(Some(()), |state| state.contains(") Z ").then_some(()))
}

#[actix_rt::test]
async fn a_command_gets_the_event_as_json_and_in_its_environment() {
    let (folder, command) =
        script("cat > \"$1/json\"; echo >> \"$1/json\"; env | sort > \"$1/env\"; echo paged");
    let command = format!("{command} 'two words' \"$HOME\" ; true");
    let notification = notification();
    let told = plan(true, &command, "").unwrap().deliver(&notification).await;
    assert_eq!(told, Ok(Receipt("paged".into())));
    let json: Value = serde_json::from_str(&read(folder.path(), "json").unwrap()).unwrap();
    assert_eq!((&json["id"], &json["event"]), (&notification.id.to_string().into(), &"FAIL".into()));
    assert_eq!(json["target"]["name"], "Zürich $(id) \"`id`");
    let env = read(folder.path(), "env").unwrap();
    let alert: Vec<&str> = env.lines().filter(|line| line.starts_with("ALERT_")).collect();
    assert_eq!(
        alert[..4],
        [
            "ALERT_AT=2026-01-02T03:04:05.678Z",
            "ALERT_CAUSE=connect",
            "ALERT_EVENT=FAIL",
            "ALERT_HTTP_STATUS=",
        ]
    );
    assert!(env.contains("\nALERT_TARGET_NAME=Zürich $(id) \"`id`\n"), "{env}");
    assert!(env.contains("\nALERT_TARGET_TAGS=a,b\n"), "{env}");
    assert!(!env.contains("CARGO"), "nothing of the daemon's environment is left: {env}");
}

#[actix_rt::test]
async fn the_exit_code_says_whether_another_attempt_is_worth_it() {
    assert_eq!(run("exit 0").await, Ok(Receipt("the command ended with 0".into())));
    for (text, again, told) in [
        ("echo no such number >&2; exit 65", false, "the command ended with 65: no such number"),
        ("echo later; exit 75", true, "the command ended with 75: later"),
        ("exit 1", true, "the command ended with 1: "),
        ("kill -9 $$", true, "the command was killed: "),
    ] {
        let error = run(text).await.unwrap_err();
        assert_eq!(error.to_string(), told);
        assert_eq!(matches!(error, SinkError::Transient { .. }), again, "{text}");
    }
    let error = plan(true, "/no/such/program", "").unwrap().deliver(&notification()).await.unwrap_err();
    assert_eq!(
        error,
        SinkError::Transient {
            reason: "the command cannot be started: entity not found".into(),
            retry_after: None
        }
    );
}

#[actix_rt::test]
async fn what_a_command_says_is_one_line_of_bounded_length_without_its_arguments() {
    let (_folder, command) = script("echo \"$2 is secret\"; yes | head -c 1000000; echo end >&2");
    let sink = plan(true, &format!("{command} hunter2"), "").unwrap();
    let Receipt(said) = sink.deliver(&notification()).await.unwrap();
    assert!(said.starts_with(r"*** is secret\ny\ny") && said.chars().count() <= 512, "{said}");
    assert!(!said.contains("hunter2"));
}

#[actix_rt::test]
async fn a_command_that_hangs_is_killed_with_all_that_it_started() {
    let (folder, command) = script("sleep 1000 & echo $! > \"$1/child\"; wait");
    let sink = plan(true, &command, "timeout_s=1").unwrap();
    let error = sink.deliver(&notification()).await.unwrap_err();
    assert_eq!(error.to_string(), "the command did not end within 1 s");
    let child = read(folder.path(), "child").unwrap();
    wait_until("its child is gone", || has_ended(&child)).await;
}

#[actix_rt::test]
async fn a_command_that_nobody_waits_for_any_more_is_killed_too() {
    let (folder, command) = script("echo $$ > \"$1/self\"; sleep 1000");
    let sink = plan(true, &command, "timeout_s=110").unwrap();
    let notification = notification();
    let mut delivery = sink.deliver(&notification);
    let own = tokio::select! {
        _ = &mut delivery => panic!("it hangs"),
        own = wait_until("it runs", || read(folder.path(), "self")) => own,
    };
    drop(delivery);
    wait_until("it is gone", || has_ended(&own)).await;
}

#[actix_rt::test]
async fn what_a_command_leaves_behind_is_not_waited_for() {
    let (folder, command) = script("sleep 1000 & echo $! > \"$1/child\"; echo started");
    let sink = plan(true, &command, "").unwrap();
    let told = timeout(Duration::from_secs(15), sink.deliver(&notification())).await;
    assert_eq!(told.expect("it does not hang"), Ok(Receipt("started".into())));
    let child = read(folder.path(), "child").unwrap();
    assert!(
        std::process::Command::new("kill").arg(child.trim()).status().unwrap().success(),
        "it still runs"
    );
}

#[test]
fn each_way_to_be_wrong_is_named() {
    let faults = |address, params| plan(true, address, params).err().unwrap_or_default();
    let path = "address: must be the path of a program from / on, and its arguments, quoted rightly";
    assert_eq!(faults("/bin/true 'a b'", "timeout_s=110"), "");
    for address in ["", "true", "./true", "/bin/true 'a"] {
        assert_eq!(faults(address, ""), path);
    }
    assert_eq!(
        faults("/bin/true", "timeout_s=0,shell=hunter2"),
        "params: `shell` is not known: timeout_s; params: `timeout_s` must be 1 to 110"
    );
    let off = "type: EXEC is off: `allow_exec = true` in `[notify]` turns it on";
    assert_eq!(plan(false, "/bin/true", "").err().unwrap(), off);
}

#[test]
fn only_the_configuration_allows_commands() {
    let add = ["add", "notifier", "page", "EXEC", "/bin/echo a b"];
    let said = Home::new().skypunch(&add);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("EXEC is off"), "{}", said.stderr);
    let home = Home::with_config(&format!("{CONFIG}[notify]\nallow_exec = true\n"));
    assert_eq!(home.json(&add)["address"], "***");
    let said = home.skypunch(&["notifiers", "page", "test"]);
    assert_eq!((said.code, said.stdout.as_str()), (0, "delivered: a b\n"), "{}", said.stderr);
}
