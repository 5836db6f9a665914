//! What happened, as the command line tells it: a service that fails and recovers, people who are told of it, and a
//! time during which nobody looked.

use serde_json::{Value, json};

use crate::{
    harness::{Daemon, Home},
    repository::root,
    support::{
        operator::{on_mariadb, on_sqlite},
        wait::wait_until,
        world::World,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_database_tells_what_happened() {
    let (_operator, home) = on_sqlite();
    what_happened_is_told(home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_tells_what_happened() {
    let (_operator, home) = on_mariadb().await;
    what_happened_is_told(home).await;
}

async fn what_happened_is_told(home: Home) {
    let world = World::start(1).await;
    world.refuse(Some("HTTP/1.1 410 Gone"));
    let daemon = Daemon::start_in(home).await;
    let home = &daemon.home;
    home.json(&["add", "notifier", "ops", "WEBHOOK", &world.hook()]);
    home.json(&["add", "target", "home", &world.url(0), "--frequency", "1"]);
    status_is(home, "PASS").await;
    world.set(0, true);
    status_is(home, "FAIL").await;
    let incident = home.json(&["targets", "home"])["incident"].clone();
    assert!(incident["failed_probes"].as_u64().unwrap() > 0, "{incident}");
    world.set(0, false);
    status_is(home, "PASS").await;
    assert_eq!(home.json(&["targets", "home"])["incident"], Value::Null);

    refused_notifications_are_sent_again(home, &world).await;
    incident_is_told(home, &incident["id"]).await;
    let told = home.json(&["targets", "home", "history"]);
    let (total, entries) = (&told["total"], told["entries"].as_array().unwrap());
    assert_eq!((&told["target"], &told["by"]), (&json!({"id": 1, "name": "home"}), &json!("hour")));
    assert_eq!(total["failed"], total["causes"]["status"]);
    assert!(total["failed"].as_u64().unwrap() > 0 && total["passed"].as_u64().unwrap() > 1, "{total}");
    assert!(total["p50_ms"].as_f64().unwrap() > 0.0 && total["p99_ms"].as_f64() <= total["max_ms"].as_f64());
    assert_eq!((&entries[0]["observed"], &entries[0]["uptime"]), (&json!(0.0), &Value::Null));
    let failures = slots(&told).into_iter().filter(|status| status == "FAIL").count();
    assert_eq!(total["failed"], failures);

    let home = stop(daemon);
    nobody_looks(&home).await;
    let daemon = Daemon::start_in(home).await;
    gap_is_told(&daemon.home).await;
}

async fn status_is(home: &Home, status: &str) {
    wait_until(status, || (home.json(&["targets", "home"])["status"] == status).then_some(())).await;
}

async fn refused_notifications_are_sent_again(home: &Home, world: &World) {
    let failed = || home.json(&["notifications", "--failed", "--target", "home"]).as_array().unwrap().clone();
    let refused = wait_until("two refusals", || Some(failed()).filter(|rows| rows.len() == 2)).await;
    let events: Vec<_> = refused.iter().map(|row| row["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["RECOVERY", "FAIL"]);
    assert_eq!((&refused[0]["state"], &refused[0]["attempts"]), (&json!("refused"), &json!(1)));
    assert!(refused[0]["last_error"].as_str().unwrap().contains("410"), "{}", refused[0]);

    world.refuse(None);
    let id = refused[1]["id"].as_str().unwrap();
    let beginning = &id[..18];
    let said = home.skypunch(&["notifications", beginning, "retry"]);
    assert_eq!((said.code, said.stdout), (0, format!("notification {id} is tried again\n")));
    let delivered = wait_until("the delivery", || {
        let row = home.json(&["notifications", beginning]);
        (row["state"] == "delivered").then_some(row)
    })
    .await;
    assert_eq!((&delivered["id"], &delivered["cause"]), (&json!(id), &json!("status")));
    let messages = world.messages();
    let taken: Vec<_> =
        messages.iter().map(|message| (message.id.as_str(), message.event.as_str())).collect();
    assert_eq!(taken, [(id, "FAIL")]);
}

async fn incident_is_told(home: &Home, id: &Value) {
    let told = home.json(&["targets", "home", "incidents"]);
    let [incident] = &told.as_array().unwrap()[..] else { panic!("{told} is one incident") };
    assert_eq!((&incident["id"], &incident["cause"]), (id, &json!("status")));
    assert!(incident["ended_at"].as_str() > incident["started_at"].as_str(), "{incident}");
    assert!(!incident["trace"].as_array().unwrap().is_empty(), "{incident}");
    let states: Vec<_> = incident["notifications"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["refused", "delivered"]);
    let said = home.skypunch(&["targets", "home", "incidents"]).stdout;
    assert!(said.contains("1 delivered, 1 refused") && said.contains("Connecting to "), "{said}");
}

fn stop(daemon: Daemon) -> Home {
    daemon.home.json(&["stop"]);
    let (status, home) = daemon.ends();
    assert!(status.success(), "{status}");
    home
}

/// Waits until some slots have passed without a daemon.
async fn nobody_looks(home: &Home) {
    wait_until("slots that nobody looked at", || {
        let slots = slots(&home.json(&["targets", "home", "history"]));
        slots.ends_with(&["UNKNOWN"; 4].map(str::to_owned)).then_some(())
    })
    .await;
    let said = home.skypunch(&["notifications", "0", "retry"]);
    assert_eq!((said.code, said.stdout.as_str()), (1, ""));
    assert_eq!(said.stderr, "skypunch: no daemon is running: start it with `skypunch start`\n");
    let said = home.skypunch(&["notifications"]);
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (0, "no daemon is running; reading the database directly\n")
    );
    assert!(said.stdout.contains("| delivered |"), "{}", said.stdout);
}

async fn gap_is_told(home: &Home) {
    let told = wait_until("a probe after the gap", || {
        let told = home.json(&["targets", "home", "history", "--since", "1h"]);
        slots(&told).ends_with(&["UNKNOWN", "PASS"].map(str::to_owned)).then_some(told)
    })
    .await;
    assert_eq!(told["by"], "minute");
    assert!(told["total"]["observed"].as_f64().unwrap() < 1.0, "{}", told["total"]);
    let said = home.skypunch(&["targets", "home", "history"]).stdout;
    let bar = said.lines().rev().nth(1).unwrap();
    assert!(bar.contains("????."), "{bar}");
    assert!(said.contains("UNKNOWN") && said.contains("… nobody looked for "), "{said}");
}

fn slots(history: &Value) -> Vec<String> {
    let slots = history["recent"].as_array().unwrap();
    slots.iter().map(|slot| slot["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_of_the_history_names_every_key() {
    let world = World::start(1).await;
    let daemon = Daemon::start().await;
    let home = &daemon.home;
    home.json(&["add", "notifier", "ops", "WEBHOOK", &world.hook()]);
    home.json(&["add", "target", "home", &world.url(0), "--frequency", "1"]);
    world.set(0, true);
    let list = wait_until("a notification", || {
        let list = home.json(&["notifications"]);
        (!list.as_array().unwrap().is_empty()).then_some(list)
    })
    .await;
    let history = home.json(&["targets", "home", "history"]);
    let incidents = home.json(&["targets", "home", "incidents"]);
    let full = home.json(&["notifications", list[0]["id"].as_str().unwrap()]);
    let text = std::fs::read_to_string(root().join("docs/history.md")).unwrap();
    for object in [&history, &history["total"], &history["recent"][0], &incidents[0], &full] {
        for key in object.as_object().unwrap().keys() {
            assert!(text.contains(&format!("`{key}`")), "{key}");
        }
    }
}
