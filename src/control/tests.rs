//! The methods and the socket, over actors that are fakes.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    time::timeout,
};

use super::{
    BindError, CallError, Client, ConnectError, LINE_MAX, Server, ServerHandle,
    fake::{Fake, daemon},
    server::{Limits, serve_one},
};

/// How long anything may take before the test says that it hangs.
const HANGS: Duration = Duration::from_secs(10);

fn params(params: Value) -> Map<String, Value> {
    params.as_object().unwrap().clone()
}

async fn try_call(client: &mut Client, method: &str, with: Value) -> Result<Value, CallError> {
    timeout(HANGS, client.call(method, &params(with), &mut |_| {})).await.unwrap()
}

async fn call(client: &mut Client, method: &str, with: Value) -> Value {
    try_call(client, method, with).await.unwrap()
}

async fn code(client: &mut Client, method: &str, with: Value) -> (i32, String) {
    match try_call(client, method, with).await {
        Err(CallError::Refused(error)) => (error.code, error.message),
        other => panic!("{method} was not refused: {other:?}"),
    }
}

#[actix::test]
async fn lists_show_every_row_and_no_secret() {
    let mut client = daemon();
    let targets = call(&mut client, "targets.list", json!({})).await;
    assert_eq!(targets.as_array().unwrap().len(), 4);
    assert_eq!(targets[1]["status"], "FAIL");
    let notifiers = call(&mut client, "notifiers.list", json!({})).await;
    assert_eq!(notifiers[0]["params"], "password=***,server=mail.example.org");
    assert!(!format!("{targets}{notifiers}").contains("hunter2"));
}

#[actix::test]
async fn a_row_is_meant_by_its_id_or_its_name() {
    let mut client = daemon();
    for reference in [json!(2), json!("2"), json!("shop")] {
        let found = call(&mut client, "targets.get", json!({"target": reference})).await;
        assert_eq!(found["id"], 2);
    }
    let (code, message) = code(&mut client, "targets.get", json!({"target": "twin"})).await;
    assert_eq!(code, -32_000);
    assert_eq!(message, "2 targets are called `twin`: say which by its id (5, 7)");
}

#[actix::test]
async fn a_name_of_digits_is_found_where_no_row_has_that_id() {
    let mut fake = Fake::populated();
    fake.rows.targets[0].definition.name = "404".to_owned();
    fake.rows.targets[1].definition.name = "7".to_owned();
    let mut client = Client::in_process(fake.offline());
    assert_eq!(call(&mut client, "targets.get", json!({"target": "404"})).await["id"], 1);
    assert_eq!(call(&mut client, "targets.get", json!({"target": "7"})).await["id"], 7);
}

#[actix::test]
async fn a_detail_adds_the_last_results() {
    let found = call(&mut daemon(), "targets.get", json!({"target": 1})).await;
    assert_eq!(found["last_success"], Value::Null);
    assert_eq!(found["last_failure"]["cause"], "dns");
    let mut offline = Client::in_process(Fake::populated().offline());
    let found = call(&mut offline, "targets.get", json!({"target": 1})).await;
    assert_eq!(found["last_failure"], Value::Null);
}

#[actix::test]
async fn rows_are_disabled_enabled_and_deleted() {
    let mut client = daemon();
    for (family, key) in [("targets", "target"), ("notifiers", "notifier")] {
        let with = json!({ key: 1 });
        let method = |verb| format!("{family}.{verb}");
        let changed = call(&mut client, &method("disable"), with.clone()).await;
        assert_eq!(changed["enabled"], false);
        assert_eq!(call(&mut client, &method("get"), with.clone()).await["enabled"], false);
        let changed = call(&mut client, &method("enable"), with.clone()).await;
        assert_eq!(changed["enabled"], true);
        assert_eq!(call(&mut client, &method("delete"), with.clone()).await["id"], 1);
        let (code, message) = code(&mut client, &method("get"), with).await;
        assert_eq!((code, message), (-32_000, format!("there is no {key} `1`")));
    }
}

#[actix::test]
async fn what_is_added_is_checked_first() {
    let mut client = daemon();
    let added = call(&mut client, "targets.add", json!({"name": "new", "url": "http://h/"})).await;
    assert_eq!((&added["id"], &added["frequency"]), (&json!(100), &json!(60)));
    let bad = json!({"name": "bad", "url": "ftp://h/", "frequency": 0});
    let (number, message) = code(&mut client, "targets.add", bad).await;
    assert_eq!(number, -32_602);
    assert!(message.contains("frequency: 0 is not allowed"), "{message}");
    assert!(message.contains("url: must begin with http"), "{message}");
    let taken = json!({"name": "home", "url": "http://h/"});
    assert_eq!(
        code(&mut client, "targets.add", taken).await,
        (-32_000, "the name `home` is taken".to_owned())
    );
    let (number, _) =
        code(&mut client, "notifiers.add", json!({"name": "p", "type": "PIGEON", "address": ""})).await;
    assert_eq!(number, -32_602);
}

#[actix::test]
async fn a_test_tells_each_step_before_its_verdict() {
    let mut steps = Vec::new();
    let with = params(json!({"target": "shop"}));
    let seen = daemon().call("targets.test", &with, &mut |step| steps.push(step.to_owned())).await.unwrap();
    assert_eq!(json!(steps), seen["trace"]);
    assert_eq!(steps.len(), 2);
    assert_eq!((&seen["status"], &seen["cause"]), (&json!("FAIL"), &json!("connect")));
    let sent = call(&mut daemon(), "notifiers.test", json!({"notifier": "ops"})).await;
    assert_eq!(sent, json!({"delivered": true, "answer": "250 queued"}));
}

#[actix::test]
async fn the_status_has_its_keys() {
    let mut status = call(&mut daemon(), "status", json!({})).await;
    assert_eq!(status["pid"], std::process::id());
    status["pid"] = json!(0);
    insta::assert_snapshot!(serde_json::to_string_pretty(&status).unwrap());
}

#[actix::test]
async fn a_stop_reaches_the_daemon_and_a_reload_says_what_it_did() {
    let (api, mut stopped) = Fake::populated().daemon();
    let mut client = Client::in_process(api);
    let reloaded = call(&mut client, "reload", json!({})).await;
    assert_eq!(reloaded, json!({"started": 1, "replaced": 2, "stopped": 3}));
    assert_eq!(call(&mut client, "stop", json!({})).await, json!({"pid": std::process::id()}));
    assert_eq!(timeout(HANGS, stopped.recv()).await.unwrap(), Some(()));
}

#[actix::test]
async fn without_a_daemon_only_the_database_is_at_hand() {
    let mut offline = Client::in_process(Fake::populated().offline());
    for method in ["status", "reload", "stop"] {
        let refusal = code(&mut offline, method, json!({})).await;
        assert_eq!(refusal, (-32_000, "no daemon is running".to_owned()));
    }
}

#[actix::test]
async fn unknown_methods_and_wrong_parameters_get_the_standard_codes() {
    let mut client = daemon();
    for method in ["", "targets", "targets.", "targets.drop", "notifiers.get.x", "Status", "\n"] {
        assert_eq!(code(&mut client, method, json!({})).await.0, -32_601, "{method}");
    }
    for (method, with) in [
        ("status", json!({"x": 1})),
        ("targets.list", json!({"target": 1})),
        ("targets.get", json!({})),
        ("targets.get", json!({"target": -1})),
        ("targets.get", json!({"target": null})),
        ("targets.get", json!({"target": 1, "x": 1})),
        ("targets.get", json!({"notifier": 1})),
        ("targets.add", json!({"name": "x"})),
        ("targets.add", json!({"name": "x", "url": "http://h/", "frequency": "often"})),
        ("notifiers.test", json!({"target": 1})),
        ("targets.history", json!({})),
        ("targets.incidents", json!({"target": 1, "since": "1h"})),
        ("notifications.list", json!({"failed": "yes"})),
        ("notifications.get", json!({"id": 1})),
        ("notifications.retry", json!({})),
        ("definitions.export", json!({"targets": []})),
        ("definitions.plan", json!({"targets": [1]})),
        ("definitions.apply", json!({"rows": []})),
        ("definitions.prune", json!({"targets": ["home"]})),
    ] {
        assert_eq!(code(&mut client, method, with.clone()).await.0, -32_602, "{method} {with}");
    }
}

/// A server on a socket of its own, for tests that speak to it byte by byte.
struct Socket {
    path: PathBuf,
    handle: ServerHandle,
    _dir: tempfile::TempDir,
}

impl Socket {
    fn open(change: impl FnOnce(&mut Server)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("skypunch.sock");
        let mut server = Server::bind(&path, 0o600).unwrap();
        change(&mut server);
        let handle = server.start(Fake::populated().daemon().0);
        Self { path, handle, _dir: dir }
    }

    fn impatient() -> Self {
        let short = Duration::from_millis(100);
        Self::open(|server| server.limits = Limits { idle: short, read: short, ..server.limits })
    }

    async fn connect(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(&self.path).await.unwrap())
    }

    /// Whether the daemon still answers others.
    async fn is_well(&self) -> bool {
        let mut client = Client::connect(&self.path).await.unwrap();
        call(&mut client, "status", json!({})).await["version"].is_string()
    }
}

async fn send(stream: &mut BufReader<UnixStream>, bytes: &[u8]) {
    timeout(HANGS, stream.write_all(bytes)).await.unwrap().unwrap();
}

/// The next line; `None` is a connection that was closed.
async fn receive(stream: &mut BufReader<UnixStream>) -> Option<Value> {
    let mut line = String::new();
    match timeout(HANGS, stream.read_line(&mut line)).await.unwrap() {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(serde_json::from_str(&line).unwrap()),
    }
}

#[actix::test]
async fn garbage_is_answered_and_the_next_line_is_read() {
    let socket = Socket::open(|_| {});
    let mut stream = socket.connect().await;
    send(&mut stream, b"GET / HTTP/1.1\n[]\n{\"jsonrpc\":\"2.0\",\"method\":\"nope\",\"id\":\"a\"}\n").await;
    for (id, code) in [(Value::Null, -32_700), (Value::Null, -32_600), (json!("a"), -32_601)] {
        let answer = receive(&mut stream).await.unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(code)));
        assert_eq!(answer["jsonrpc"], "2.0");
    }
    send(&mut stream, b"\xff\xfe\n").await;
    assert_eq!(receive(&mut stream).await.unwrap()["error"]["code"], -32_700);
    assert!(socket.is_well().await);
}

/// Everything that the server says to a client that sends `bytes` and then only listens.
fn answers_to(bytes: &[u8]) -> Vec<Value> {
    actix::System::new().block_on(async {
        let (mut ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(serve_one(theirs, Fake::populated().daemon().0));
        ours.write_all(bytes).await.unwrap();
        ours.shutdown().await.unwrap();
        let mut said = String::new();
        timeout(HANGS, ours.read_to_string(&mut said)).await.unwrap().unwrap();
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_get_standard_errors(bytes in vec(prop_oneof![any::<u8>(), Just(b'\n')], 0..300)) {
        for answer in answers_to(&bytes) {
            let code = answer["error"]["code"].as_i64().unwrap();
            prop_assert!((-32_700..=-32_600).contains(&code), "{answer}");
        }
    }
}

#[actix::test]
async fn a_notification_is_done_and_not_answered() {
    let socket = Socket::open(|_| {});
    let mut stream = socket.connect().await;
    send(&mut stream, b"{\"jsonrpc\":\"2.0\",\"method\":\"targets.disable\",\"params\":{\"target\":1}}\n")
        .await;
    send(
        &mut stream,
        b"{\"jsonrpc\":\"2.0\",\"method\":\"targets.get\",\"params\":{\"target\":1},\"id\":1}\n",
    )
    .await;
    let answer = receive(&mut stream).await.unwrap();
    assert_eq!((&answer["id"], &answer["result"]["enabled"]), (&json!(1), &json!(false)));
}

#[actix::test]
async fn a_line_may_have_64_kib_and_no_more() {
    let socket = Socket::open(|_| {});
    let mut stream = socket.connect().await;
    let request = br#"{"jsonrpc":"2.0","method":"status","id":1}"#;
    let mut line = [request.as_slice(), &vec![b' '; LINE_MAX - request.len()], b"\n"].concat();
    send(&mut stream, &line).await;
    assert_eq!(receive(&mut stream).await.unwrap()["id"], 1);
    line.insert(0, b' ');
    send(&mut stream, &line).await;
    let answer = receive(&mut stream).await.unwrap();
    assert_eq!(answer["error"]["code"], -32_600);
    assert_eq!(answer["error"]["message"], "a line is at most 65536 bytes long");
    assert_eq!(receive(&mut stream).await, None);
    assert!(socket.is_well().await);
}

#[actix::test]
async fn half_a_line_and_then_silence_is_closed() {
    let socket = Socket::impatient();
    let mut stream = socket.connect().await;
    send(&mut stream, br#"{"jsonrpc":"2.0","#).await;
    assert_eq!(receive(&mut stream).await, None);
    assert!(socket.is_well().await);
}

#[actix::test]
async fn a_client_that_never_reads_is_closed() {
    let socket = Socket::impatient();
    let (_read, mut write) = UnixStream::connect(&socket.path).await.unwrap().into_split();
    let flood = async {
        while write.write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"targets.list\",\"id\":1}\n").await.is_ok() {
        }
    };
    timeout(HANGS, flood).await.expect("the connection is closed");
    assert!(socket.is_well().await);
}

#[actix::test]
async fn more_clients_than_there_is_room_for_are_told_so() {
    let socket = Socket::open(|server| server.limits.clients = 3);
    let mut idle = Vec::new();
    for _ in 0..3 {
        let mut stream = socket.connect().await;
        send(&mut stream, b"{}\n").await;
        assert!(receive(&mut stream).await.is_some());
        idle.push(stream);
    }
    let mut client = Client::connect(&socket.path).await.unwrap();
    let (_, message) = code(&mut client, "status", json!({})).await;
    assert!(message.starts_with("too many clients"), "{message}");
    idle.clear();
    let well = async { while !one_gets_in(&socket.path).await {} };
    timeout(HANGS, well).await.expect("those who left make room");
}

async fn one_gets_in(socket: &std::path::Path) -> bool {
    let mut client = Client::connect(socket).await.unwrap();
    try_call(&mut client, "status", json!({})).await.is_ok()
}

#[actix::test]
async fn a_refused_peer_is_closed_without_an_answer() {
    let socket = Socket::open(|server| server.may_use = |_| false);
    let mut stream = UnixStream::connect(&socket.path).await.unwrap();
    let mut said = Vec::new();
    timeout(HANGS, stream.read_to_end(&mut said)).await.unwrap().unwrap();
    assert_eq!(said, b"");
    let mut client = Client::connect(&socket.path).await.unwrap();
    assert!(matches!(try_call(&mut client, "status", json!({})).await, Err(CallError::Closed)));
}

#[actix::test]
async fn a_server_that_stops_lets_go_of_its_clients_and_its_file() {
    let socket = Socket::open(|_| {});
    let mut idle = socket.connect().await;
    send(&mut idle, b"{}\n").await;
    assert!(receive(&mut idle).await.is_some());
    timeout(HANGS, socket.handle.stop()).await.unwrap();
    assert_eq!(receive(&mut idle).await, None);
    assert!(matches!(Client::connect(&socket.path).await, Err(ConnectError::NoDaemon(_))));
    assert!(!socket.path.exists());
}

#[actix::test]
async fn the_socket_has_the_permissions_that_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    for mode in [0o600, 0o660, 0o666] {
        let path = dir.path().join(format!("{mode:o}.sock"));
        let _server = Server::bind(&path, mode).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode);
    }
}

#[actix::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("skypunch.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(Client::connect(&path).await, Err(ConnectError::NoDaemon(_))));
    let live = Server::bind(&path, 0o600).unwrap();
    assert!(matches!(Server::bind(&path, 0o600), Err(BindError::InUse(_))));
    drop(live);
    fs::write(&path, "precious").unwrap();
    assert!(matches!(Server::bind(&path, 0o600), Err(BindError::NoSocket(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}
