//! Who is told what: the options of targets and notifiers, over the whole program.

use crate::{
    harness::Daemon,
    support::{wait::wait_until, world::World},
};

#[tokio::test(flavor = "multi_thread")]
async fn each_is_told_what_he_wants_to_know() {
    let (all, failures, patient, shop) =
        (World::start(1).await, World::start(0).await, World::start(0).await, World::start(0).await);
    let daemon = Daemon::start().await;
    let home = &daemon.home;
    for (name, world, options) in [
        ("all", &all, "{}"),
        ("failures", &failures, r#"{"events": ["FAIL"]}"#),
        ("patient", &patient, r#"{"min_duration_s": 3600}"#),
        ("shop", &shop, r#"{"tags": ["shop"]}"#),
    ] {
        home.json(&["add", "notifier", name, "WEBHOOK", &world.hook(), "--options", options]);
    }
    let options = r#"{"tags": ["web"], "reminder_interval_s": 2}"#;
    home.json(&["add", "target", "home", &all.url(0), "--frequency", "1", "--options", options]);
    let passes = || (home.json(&["targets", "home"])["status"] == "PASS").then_some(());
    wait_until("it passes", passes).await;
    all.set(0, true);
    let events =
        |world: &World| world.messages().into_iter().map(|message| message.event).collect::<Vec<_>>();
    let reminded = || (events(&all).iter().filter(|event| *event == "REMINDER").count() >= 2).then_some(());
    wait_until("people are reminded", reminded).await;
    let held = home.json(&["notifications"]);
    let held = held.as_array().unwrap().iter().filter(|row| row["notifier"]["name"] == "patient");
    assert_eq!(held.map(|row| row["state"].as_str().unwrap()).collect::<Vec<_>>(), ["pending"]);
    all.set(0, false);
    let recovered = || (events(&all).last().map(String::as_str) == Some("RECOVERY")).then_some(());
    wait_until("the recovery is told", recovered).await;

    let told = events(&all);
    assert_eq!((told[0].as_str(), told.iter().filter(|event| *event == "FAIL").count()), ("FAIL", 1));
    assert_eq!(events(&failures), ["FAIL"]);
    let withdrawn = || {
        let sent = home.json(&["notifications"]);
        let withdrawn = |row: &&serde_json::Value| row["state"] == "withdrawn";
        (sent.as_array().unwrap().iter().filter(withdrawn).count() == 2).then_some(())
    };
    wait_until("the failure that nobody was told of is withdrawn, and its end", withdrawn).await;
    assert_eq!(home.json(&["status"])["notifications_waiting"], 0);
    assert!(events(&patient).is_empty() && events(&shop).is_empty());
    let patient = home.json(&["notifiers", "patient"]);
    assert_eq!((&patient["pass_count"], &patient["fail_count"]), (&0.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_confirmed_within_a_second_where_the_row_wants_it() {
    let world = World::start(1).await;
    let daemon = Daemon::start().await;
    let home = &daemon.home;
    home.json(&["add", "notifier", "hook", "WEBHOOK", &world.hook()]);
    let options = r#"{"failure_threshold": 3, "retry_interval_ms": 200}"#;
    world.set(0, true);
    home.json(&["add", "target", "home", &world.url(0), "--frequency", "3600", "--options", options]);
    wait_until("the failure is told", || (!world.messages().is_empty()).then_some(())).await;
    assert_eq!(world.answers(0).len(), 3);
    assert_eq!(home.json(&["targets", "home"])["fail_count"], 3);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let home = crate::harness::Home::new();
    let add = |options: &str| {
        let said = home.skypunch(&["add", "notifier", "hook", "WEBHOOK", "http://h/", "--options", options]);
        assert_eq!(said.code, 1, "{}", said.stderr);
        said.stderr
    };
    assert!(add(r#"{"events": ["RECOVERY"]}"#).contains("only who is told of FAIL"));
    let mars = r#"{"quiet_hours": {"from": "22:00", "until": "07:00", "zone": "Mars"}}"#;
    assert!(add(mars).contains("zone is a name such as Europe/Zurich"));
    assert!(add(r#"{"event": ["FAIL"]}"#).contains("unknown option `event`"));
}
