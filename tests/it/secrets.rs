//! No secret leaves the places that hold one.

use std::{fs, path::Path};

use crate::{
    harness::{Daemon, Home},
    support::{
        http::{Server, answer},
        mariadb::PASSWORD,
        operator::on_mariadb,
        wait::wait_until,
    },
};

/// In every secret that is planted.
const MARK: &str = "S3CR3T";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_program_writes_holds_a_planted_secret() {
    let echo = "HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nno";
    let target = Server::start(answer(echo)).await;
    let hook = Server::start(answer("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let (operator, mut home) = on_mariadb().await;
    home.env("TARGET_PASSWORD", format!("{MARK}-env"));
    let file = home.path().join("secret-file");
    fs::write(&file, format!("{MARK}-file\n")).unwrap();
    let daemon = Daemon::start_in(home).await;
    let home = &daemon.home;
    let url = format!("http://127.0.0.1:{}/", target.port());
    operator
        .sql(&format!(
            "INSERT INTO targets (name, url, authn, authn_parms, frequency, options) VALUES
               ('plain', '{url}', 'BASIC', 'user=eve,password={MARK}-plain', 1, NULL),
               ('env', '{url}', 'BASIC', 'user=eve,password=env:TARGET_PASSWORD', 1, NULL),
               ('file', '{url}', 'BASIC', 'user=eve,password=file:{file}', 1, NULL),
               ('torn', '{url}', 'BASIC', '{MARK}-torn', 1, NULL),
               ('json', '{url}', 'BASIC', '{{\"user\":\"eve\",\"password\":\"{MARK}-json\"', 1, NULL),
               ('url', 'http://eve:{MARK}-url@127.0.0.1:9/', 'NONE', NULL, 1, NULL),
               ('options', '{url}', 'NONE', NULL, 1, '{{\"headers\":{{\"x\":\"{MARK}-header\"}}}}');
             INSERT INTO notifiers (name, type, address, params) VALUES
               ('mail', 'SMTP', 'a@example.org', 'server=127.0.0.1,port=9,security=none,user=u,password={MARK}-mail'),
               ('torn', 'SMTP', 'a@example.org', '{MARK}-torn'),
               ('dead', 'WEBHOOK', 'http://127.0.0.1:9/{MARK}-path?token={MARK}-query', 'secret={MARK}-signing'),
               ('telegram', 'TELEGRAM', '7', 'endpoint=http://127.0.0.1:9,token=7:{MARK}-token'),
               ('slack', 'SLACK', 'http://127.0.0.1:9/services/{MARK}-path', ''),
               ('tweet', 'TWEET', '', 'endpoint=http://127.0.0.1:9/,consumer_key={MARK}-a,consumer_secret={MARK}-b,access_token={MARK}-c,access_token_secret={MARK}-d'),
               ('hook', 'WEBHOOK', 'http://127.0.0.1:{hook}/{MARK}-path', 'secret={MARK}-signing');",
            file = file.display(),
            hook = hook.port(),
        ))
        .await;
    operator.wait_for("SELECT count(*) FROM targets WHERE status = 'FAIL'", "7").await;
    wait_until("an alert of each target", || (hook.requests().len() >= 7).then_some(())).await;

    let mut written = vec![read_all(home)];
    for request in hook.requests() {
        // The path is the receiver's own.
        written.push(request.split_once("\r\n").unwrap().1.to_owned());
    }
    let names = ["plain", "env", "file", "torn", "json", "url", "options"];
    let lists = ["targets", "notifiers", "notifications", "status", "check", "export"];
    let mut commands: Vec<Vec<&str>> = lists.map(|list| vec![list]).into();
    commands.extend(names.map(|name| vec!["targets", name]));
    for action in ["test", "history", "incidents"] {
        commands.extend(names.map(|name| vec!["targets", name, action]));
    }
    let sent = home.json(&["notifications"]);
    let ids: Vec<&str> = sent.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert!(!ids.is_empty());
    commands.extend(ids.iter().map(|id| vec!["notifications", id]));
    let told = ["mail", "torn", "dead", "telegram", "slack", "tweet"];
    commands.extend(told.iter().chain(&["hook"]).map(|name| vec!["notifiers", name]));
    commands.extend(told.map(|name| vec!["notifiers", name, "test"]));
    for command in &commands {
        for format in [&[][..], &["--json"]] {
            let said = home.skypunch_beside(&[command, format].concat()).await;
            assert!(!said.stdout.is_empty() || !said.stderr.is_empty(), "{command:?} says something");
            written.extend([said.stdout, said.stderr]);
        }
    }
    written.push(read_all(home));
    for text in written {
        for secret in [MARK, PASSWORD, "RVZFOl", &base64_of(&format!("eve:{MARK}"))] {
            assert!(!text.contains(secret), "{secret} stands in {text}");
        }
    }
}

/// The beginning of what an Authorization header would be.
fn base64_of(text: &str) -> String {
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
    encoded[..8].to_owned()
}

/// All that the daemon wrote: log, standard error, whatever else is in its folder.
fn read_all(home: &Home) -> String {
    fn walk(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, text);
            } else if let Ok(bytes) = fs::read(&path) {
                text.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
    }
    let mut text = fs::read_to_string(home.path().join("stderr")).unwrap();
    walk(&home.path().join("state"), &mut text);
    assert!(text.contains("FAIL"), "the log was written");
    text
}
