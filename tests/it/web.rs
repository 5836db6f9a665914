//! `/healthz` of the real daemon.

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{harness::Daemon, support::wait::wait_until};

async fn get(daemon: &Daemon, path: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(daemon.home.web()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn a_daemon_that_works_says_so_and_can_watch_itself() {
    let daemon = Daemon::start().await;
    let (status, body) = get(&daemon, "/healthz").await;
    assert_eq!((status, &body["status"]), (200, &"ok".into()));
    let url = format!("http://{}/healthz", daemon.home.web());
    daemon.home.json(&["add", "target", "self", &url, "--frequency", "1"]);
    wait_until("the daemon finds itself well", || {
        (daemon.home.json(&["targets", "self"])["status"] == "PASS").then_some(())
    })
    .await;
    assert_eq!(get(&daemon, "/healthz").await.1["targets"]["PASS"], 1);
    assert_eq!(get(&daemon, "/").await.0, 404);
}

#[tokio::test]
async fn a_client_that_talks_nonsense_fills_no_log() {
    let daemon = Daemon::start().await;
    let mut stream = TcpStream::connect(daemon.home.web()).await.unwrap();
    stream.write_all(b"nonsense\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(!daemon.home.log().contains("ERROR"), "{}", daemon.home.log());
}

#[tokio::test]
async fn slow_clients_keep_nobody_out() {
    let daemon = Daemon::start().await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(daemon.home.web()).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHo").await.unwrap();
        slow.push(stream);
    }
    assert_eq!(get(&daemon, "/healthz").await.0, 200);
    drop(slow);
}
