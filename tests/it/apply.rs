//! Definitions as a file, both ways, on the real program.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    harness::{Daemon, Home, Said},
    repository::root,
    support::{
        http::{Server, answer},
        operator::{Operator, on_mariadb, on_sqlite},
    },
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn file(home: &Home, text: &str) -> String {
    let path = home.path().join("targets.toml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// What a command said, which must have succeeded.
fn done(said: Said) -> String {
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{}", said.stdout);
    said.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_the_rows_of_the_embedded_database() {
    let (operator, home) = on_sqlite();
    a_file_becomes_the_rows(operator, home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_the_rows_of_mariadb() {
    let (operator, home) = on_mariadb().await;
    a_file_becomes_the_rows(operator, home).await;
}

async fn a_file_becomes_the_rows(operator: Operator, home: Home) {
    let server = Server::start(answer(OK)).await;
    let url = format!("http://{}/", server.address());
    let daemon = Daemon::start_in(home).await;
    let home = &daemon.home;
    operator.sql("INSERT INTO targets (name, url) VALUES ('old', 'http://127.0.0.1:1/')").await;
    operator.wait_for("SELECT status FROM targets WHERE name = 'old'", "FAIL").await;
    let text = format!(
        r#"
        [[targets]]
        name = "home"
        url = "{url}"
        frequency = 1
        authn = "BASIC"
        authn_parms = {{ user = "bob", password = "hunter2,\"x" }}
        options = {{ headers = {{ X-Key = "hunter2", Accept = "*/*" }}, tags = ["z", "a"], max_response_ms = 9000 }}

        [[notifiers]]
        name = "ops"
        type = "WEBHOOK"
        address = "{url}hunter2"
        params = "secret=hunter2"
        "#
    );
    let path = file(home, &text);

    let plan = home.json(&["apply", &path, "--dry-run", "--prune"]);
    assert_eq!(plan["dry_run"], true);
    assert_eq!(plan["targets"][0], json!({"name": "home", "action": "add"}));
    assert_eq!(plan["targets"][1], json!({"name": "old", "action": "delete", "id": 1}));
    assert_eq!(operator.ask("SELECT count(*) FROM targets").await.unwrap(), "1");

    let said = done(home.skypunch_beside(&["apply", &path]).await);
    let expected = "added notifier ops (id 1)\nadded target home (id 2)\n2 added, 0 changed, 0 deleted, 0 as they were\n";
    assert_eq!(said, expected);
    operator.wait_for("SELECT status FROM targets WHERE name = 'home'", "PASS").await;
    let said = done(home.skypunch_beside(&["apply", &path]).await);
    assert_eq!(said, "0 added, 0 changed, 0 deleted, 2 as they were\n");

    // What the daemon knows of the row stays.
    let count = "SELECT pass_count > 0 FROM targets WHERE name = 'home'";
    operator.sql("UPDATE targets SET pass_count = 1000 WHERE name = 'home'").await;
    let path = file(home, &text.replace("frequency = 1", "timeout = 7"));
    let said = done(home.skypunch_beside(&["apply", &path, "--prune"]).await);
    let expected = "changed target home (id 2): frequency, timeout\ndeleted target old (id 1)\n\
                    0 added, 1 changed, 1 deleted, 1 as they were\n";
    assert_eq!(said, expected);
    operator.wait_for(count, "1").await;
    operator.wait_for("SELECT frequency FROM targets WHERE name = 'home'", "60").await;
    operator.wait_for("SELECT count(*) FROM targets", "1").await;

    // What is exported holds no secret, and changes nothing.
    let exported = done(home.skypunch_beside(&["export"]).await);
    assert!(!exported.contains("hunter2") && exported.contains("\"***\""), "{exported}");
    let path = file(home, &exported);
    let said = done(home.skypunch_beside(&["apply", &path, "--prune"]).await);
    assert_eq!(said, "0 added, 0 changed, 0 deleted, 2 as they were\n");
    let path = file(home, &exported.replace("user = \"bob\"", "user = \"eve\""));
    let said = done(home.skypunch_beside(&["apply", &path]).await);
    assert!(said.starts_with("changed target home (id 2): authn_parms\n"), "{said}");
    let parms = operator.ask("SELECT authn_parms FROM targets").await.unwrap();
    assert_eq!(parms, r#"password="hunter2,""x",user=eve"#);
}

#[test]
fn one_wrong_row_keeps_every_other_from_being_taken() {
    let home = Home::new();
    home.skypunch(&["migrate"]);
    let right = "[[targets]]\nname = \"right\"\nurl = \"http://h/\"\n";
    let wrong = format!(
        "{right}\n[[targets]]\nname = \"wrong\"\npass_result = \"hunter2x\"\nfrequency = \"hunter2\"\n\
         colour = \"hunter2\"\n\n[[notifiers]]\nname = \"new\"\ntype = \"SMTP\"\naddress = \"a@example.org\"\n\
         params = {{ server = \"m\", password = \"***\" }}\n"
    );
    let path = file(&home, &wrong);
    let said = home.skypunch(&["apply", &path]);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    let told: Vec<&str> = said.stderr.lines().collect();
    let [offline, faults @ ..] = &told[..] else { panic!("{told:?}") };
    assert_eq!(*offline, "no daemon is running; reading the database directly");
    let expected = [
        "5: target wrong: url: is missing",
        "7: target wrong: pass_result: `hunter2x` is not a status",
        "8: target wrong: frequency: must be a whole number of seconds",
        "9: target wrong: colour: is no column",
        "15: notifier new: params: `password` is ***, and the database has nothing in its place",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.starts_with(&format!("skypunch: {path}:{expected}")), "{fault}");
    }
    assert_eq!(home.json(&["targets"]), json!([]));

    for (text, why) in [("a = ", ":1: is not TOML: "), ("\n[[target]]\n", ":2: `target` is not known: ")] {
        let path = file(&home, text);
        let said = home.skypunch(&["apply", &path]);
        assert_eq!(said.code, 2);
        assert!(said.stderr.starts_with(&format!("skypunch: {path}{why}")), "{}", said.stderr);
    }
    let said = home.skypunch(&["apply", "/no/such/file"]);
    assert_eq!(said.code, 2);
    assert!(said.stderr.starts_with("skypunch: /no/such/file: No such file"), "{}", said.stderr);
    let said = home.skypunch(&["apply"]);
    assert_eq!(said.code, 2);
}

#[test]
fn rows_that_share_a_name_are_left_to_people() {
    let home = Home::new();
    home.skypunch(&["migrate"]);
    let database = rusqlite::Connection::open(home.state("skypunch.db")).unwrap();
    let twice = "INSERT INTO targets (name, url) VALUES ('twin', 'http://a/'), ('twin', 'http://b/')";
    database.execute_batch(twice).unwrap();
    let path = file(&home, "[[targets]]\nname = \"twin\"\nurl = \"http://c/\"\n");
    let said = home.skypunch(&["apply", &path]);
    assert_eq!(said.code, 2);
    assert!(
        said.stderr.contains(":2: target twin: name: 2 targets are called so (1, 2): rename"),
        "{said:?}"
    );
}

#[test]
fn many_rows_are_taken_in_portions() {
    let home = Home::new();
    home.skypunch(&["migrate"]);
    let body = "x".repeat(500);
    let rows = (0..350).map(|n| {
        format!("[[targets]]\nname = \"{n}\"\nurl = \"http://h/{n}\"\noptions.body = \"{body}\"\nenabled = false\n")
    });
    let path = file(&home, &rows.collect::<String>());
    assert_eq!(home.json(&["apply", &path])["targets"].as_array().unwrap().len(), 350);
    assert_eq!(home.json(&["targets"]).as_array().unwrap().len(), 350);
    let path = file(&home, "");
    let said = home.skypunch(&["apply", &path, "--prune"]);
    assert!(said.stdout.ends_with("0 added, 0 changed, 350 deleted, 0 as they were\n"), "{}", said.stdout);
}

#[test]
fn the_sample_can_be_applied_as_it_is() {
    let sample: PathBuf = root().join("conf/targets.toml");
    let home = Home::new();
    home.skypunch(&["migrate"]);
    let plan: Value = home.json(&["apply", &sample.display().to_string()]);
    for table in ["targets", "notifiers"] {
        assert!(plan[table].as_array().unwrap().iter().all(|step| step["action"] == "add"), "{plan}");
    }
    let said = home.skypunch(&["export"]);
    let path = file(&home, &said.stdout);
    let plan = home.json(&["apply", &path, "--prune"]);
    for table in ["targets", "notifiers"] {
        assert!(plan[table].as_array().unwrap().iter().all(|step| step["action"] == "keep"), "{plan}");
    }
}

#[test]
fn a_file_without_rows_changes_nothing() {
    let home = Home::new();
    home.skypunch(&["migrate"]);
    let path = file(&home, "");
    for _ in 0..5 {
        let said = home.skypunch(&["apply", &path]);
        assert_eq!(said.code, 0);
        assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
    }
}
