//! `/healthz` over actors that are fakes, spoken to byte by byte.

use std::time::Duration;

use actix::prelude::*;
use serde_json::{Value, json};
use skypunch_actors::{
    meter::{GetMeasures, Measures},
    notifier::GetWaiting,
    persister::{Away, GetPersistence, Persistence},
};
use time::macros::datetime;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{Health, Web, bind};

/// How long anything may take before the test says that it hangs.
const HANGS: Duration = Duration::from_secs(20);

/// Every core actor in one.
#[derive(Clone, Default)]
struct Core {
    away: bool,
    journal_away: bool,
    hangs: bool,
}

impl Actor for Core {
    type Context = Context<Self>;
}

impl Handler<GetPersistence> for Core {
    type Result = ResponseFuture<Persistence>;

    fn handle(&mut self, _: GetPersistence, _: &mut Context<Self>) -> Self::Result {
        let since = datetime!(2026-01-02 03:04:05.678901 UTC);
        let away = |is_away: bool, reason: &str| is_away.then(|| Away { since, reason: reason.to_owned() });
        let journal_away = away(self.journal_away, "no room is left");
        let away = away(self.away, "connection refused");
        let hangs = self.hangs;
        Box::pin(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Persistence {
                backend: "sqlite",
                away,
                journal_away,
                targets: [0, 3, 1, 0],
                ..Persistence::default()
            }
        })
    }
}

impl Handler<GetWaiting> for Core {
    type Result = usize;

    fn handle(&mut self, _: GetWaiting, _: &mut Context<Self>) -> usize {
        0
    }
}

impl Handler<GetMeasures> for Core {
    type Result = MessageResult<GetMeasures>;

    fn handle(&mut self, _: GetMeasures, _: &mut Context<Self>) -> Self::Result {
        MessageResult(Measures::default())
    }
}

/// A server whose persister is `persister`; the other actors are well.
fn serve(persister: &Addr<Core>) -> Web {
    let well = Core::default().start();
    let health = Health {
        persistence: persister.clone().recipient(),
        waiting: well.clone().recipient(),
        measures: well.recipient(),
    };
    bind("127.0.0.1:0".parse().unwrap()).unwrap().start(health).unwrap()
}

/// Sends `request` and returns everything that comes back until the connection ends.
async fn exchange(web: &Web, request: &str) -> String {
    let mut stream = TcpStream::connect(web.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(HANGS, stream.read_to_end(&mut answer)).await.expect("the connection ends").ok();
    String::from_utf8(answer).unwrap()
}

async fn get(web: &Web, path: &str) -> (String, Value) {
    let answer = exchange(web, &format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
}

#[actix::test]
async fn a_daemon_that_works_is_well() {
    let web = serve(&Core::default().start());
    let (status, body) = get(&web, "/healthz").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    let expected = json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "database": {"backend": "sqlite", "state": "up"},
        "journal": {"state": "up"},
        "targets": {"NEW": 0, "PASS": 3, "FAIL": 1, "UNKNOWN": 0},
    });
    assert_eq!(body, expected);
    let head = exchange(&web, "HEAD /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[actix::test]
async fn a_database_that_is_away_is_a_problem() {
    let web = serve(&Core { away: true, ..Core::default() }.start());
    let (status, body) = get(&web, "/healthz").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(body["status"], "failing");
    assert_eq!(
        body["problems"],
        json!(["the database is away since 2026-01-02T03:04:05.678Z: connection refused"])
    );
    assert_eq!(body["database"]["state"], "away");
}

#[actix::test]
async fn a_journal_that_is_not_written_is_a_problem() {
    let web = serve(&Core { journal_away: true, ..Core::default() }.start());
    let (status, body) = get(&web, "/healthz").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(
        body["problems"],
        json!(["the journal is not written since 2026-01-02T03:04:05.678Z: no room is left"])
    );
    assert_eq!((&body["database"]["state"], &body["journal"]["state"]), (&json!("up"), &json!("away")));
}

#[actix::test]
async fn an_actor_that_hangs_or_is_gone_is_a_problem() {
    let web = serve(&Core { hangs: true, ..Core::default() }.start());
    assert_eq!(get(&web, "/healthz").await.1["problems"], json!(["the persister does not answer"]));

    let elsewhere = Arbiter::new();
    let gone = Core::start_in_arbiter(&elsewhere.handle(), |_| Core::default());
    elsewhere.stop();
    elsewhere.join().unwrap();
    let (status, body) = get(&serve(&gone), "/healthz").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(body["problems"], json!(["the persister is gone"]));
}

#[actix::test]
async fn there_is_nothing_else() {
    let web = serve(&Core::default().start());
    for path in ["/", "/metrics", "/healthz/", "/../etc/passwd"] {
        let (status, body) = get(&web, path).await;
        assert_eq!(status, "HTTP/1.1 404 Not Found");
        assert_eq!(body, json!({"error": "there is nothing here but /healthz"}));
    }
}

#[actix::test]
async fn malformed_oversized_and_slow_clients_are_closed() {
    let web = serve(&Core::default().start());
    assert!(exchange(&web, "nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    let endless = format!("GET /healthz HTTP/1.1\r\nHost: h\r\nX: {}", "x".repeat(1_000_000));
    let answer = exchange(&web, &endless).await;
    assert!(!answer.contains("200 OK"), "{answer}");
    // Half a head, and then silence.
    let answer = exchange(&web, "GET /healthz HTTP/1.1\r\nHo").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(get(&web, "/healthz").await.0, "HTTP/1.1 200 OK");
}

#[actix::test]
async fn a_server_that_stops_lets_go_of_its_address() {
    let web = serve(&Core::default().start());
    let address = web.address;
    let idle = TcpStream::connect(address).await.unwrap();
    timeout(HANGS, web.stop()).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    drop(idle);
}

#[actix::test]
async fn an_address_that_is_taken_is_named() {
    let web = serve(&Core::default().start());
    let error = bind(web.address).err().unwrap();
    assert_eq!(error.to_string(), format!("cannot listen on {}, which `web.listen` says", web.address));
}
