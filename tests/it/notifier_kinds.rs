//! The kinds of notifiers that are files, against servers that answer as the files say.

use std::{fs, sync::Arc, time::Duration};

use serde_json::{Value, json};
use skypunch::sink::Sinks;
use skypunch_actors::{
    domain::{
        Alert, AlertTarget, Cause, Event, Fault, Incident, Notification, NotifierDefinition, NotifierId,
        Outcome, Params, Secret, Status, Tally, TargetDefinition, TargetId,
    },
    port::{Clock, Receipt, Sink, SinkError, SinkFactory},
};
use time::{OffsetDateTime, macros::datetime};
use toml::{Table, Value as Toml};

use crate::{
    harness::{CONFIG, Home},
    repository::root,
    support::{
        http::{Act, Server, answer},
        tls::Ca,
    },
};

/// An event of an incident whose id is known.
fn notification(event: Event) -> Notification {
    let at = datetime!(2026-11-22 06:10:58 UTC);
    let begun = Incident { id: 1_795_327_858_000_008, started_at: at, ended_at: None, failed_probes: 1 };
    let (status, incident, outcome) = match event {
        Event::Fail => {
            (Status::Fail, Some(begun), Outcome::fail(Cause::Connect, "connection refused by ::1:81"))
        }
        Event::Recovery => {
            (Status::Pass, Some(begun.end(at + Duration::from_secs(90))), Outcome::pass("200 OK"))
        }
        Event::Test => (Status::New, None, Outcome::pass("this is a test")),
    };
    let target = TargetDefinition::new("Zürich", "http://localhost:81/").read(TargetId(8)).0;
    Notification::new(
        NotifierId(1),
        Arc::new(Alert {
            event,
            at,
            target: AlertTarget::from(&target),
            status,
            previous_status: Status::New,
            incident,
            outcome: Arc::new(outcome),
            tally: Tally::default(),
        }),
    )
}

/// It stands still: the waits of the examples are told from this moment.
struct Standing;

impl Clock for Standing {
    fn now(&self) -> OffsetDateTime {
        datetime!(2026-11-22 06:14:20.25 UTC)
    }
}

fn sinks() -> Sinks {
    Sinks::new(Vec::new(), Arc::new(Standing))
}

fn plan_by(sinks: &Sinks, definition: &NotifierDefinition) -> Result<Box<dyn Sink>, String> {
    let params = Params::parse(definition.params.expose()).unwrap();
    let builder = sinks.prepare(definition, &params);
    builder.map(|builder| builder()).map_err(|faults| Fault::join(&faults))
}

fn plan(kind: &str, address: &str, params: &Value) -> Result<Box<dyn Sink>, String> {
    let mut definition = NotifierDefinition::new("ops", kind, address);
    definition.params = Secret::new(params.to_string());
    plan_by(&sinks(), &definition)
}

/// Every file of `conf/sinks/` that speaks HTTP.
fn files() -> Vec<Table> {
    let files = fs::read_dir(root().join("conf/sinks")).unwrap();
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    texts.map(|text| text.parse().unwrap()).filter(|file: &Table| file.contains_key("request")).collect()
}

/// A row as the examples of a file have it, but for its servers; and what of it is secret.
fn row(file: &Table, server: &Server) -> (NotifierDefinition, Vec<String>) {
    let local = format!("http://{}", server.address());
    let (mut address, mut params, mut secrets) = (String::new(), json!({}), Vec::new());
    for (name, param) in file["params"].as_table().unwrap() {
        let text = |key: &str| param.get(key).and_then(Toml::as_str).unwrap_or_default();
        let value = match (text("form"), text("example")) {
            ("base", _) => local.clone(),
            ("url", example) => {
                let url: url::Url = example.parse().unwrap();
                format!("{local}{}", &url[url::Position::BeforePath..])
            }
            (_, example) => example.to_owned(),
        };
        if param.get("secret").is_some_and(|secret| secret.as_bool().unwrap()) {
            let parts = value.strip_prefix(&local).unwrap_or(&value);
            // Short words of a path are no secrets.
            secrets
                .extend(parts.split(['/', '?', '&', '=']).filter(|part| part.len() > 9).map(str::to_owned));
        }
        if file["address"].as_str() == Some(name) {
            address = value;
        } else if !value.is_empty() {
            params[name] = value.into();
        }
    }
    let mut definition = NotifierDefinition::new("ops", file["kind"].as_str().unwrap(), address);
    definition.params = Secret::new(params.to_string());
    (definition, secrets)
}

fn written(example: &Table, body: &str) -> String {
    let status = example["status"].as_integer().unwrap();
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in example.get("headers").and_then(Toml::as_table).into_iter().flatten() {
        head += &format!("{name}: {}\r\n", value.as_str().unwrap());
    }
    format!("{head}\r\n{body}")
}

#[actix_rt::test]
async fn every_kind_takes_its_answers_for_what_they_are() {
    for file in files() {
        let kind = file["kind"].as_str().unwrap();
        let examples = file["examples"].as_array().unwrap();
        assert!(examples.len() > 2, "{kind} has an answer of each sort");
        for example in examples {
            let example = example.as_table().unwrap();
            let body = example.get("body").and_then(Toml::as_str).unwrap_or_default();
            let server = Server::start(answer(written(example, body))).await;
            let (definition, secrets) = row(&file, &server);
            // A test is the event that needs no question before it.
            let sink = plan_by(&sinks(), &definition).unwrap();
            let result = sink.deliver(&notification(Event::Test)).await;
            let after =
                example.get("after_s").map(|after| Duration::from_secs_f64(after.as_float().unwrap()));
            match (example["is"].as_str().unwrap(), &result) {
                ("delivered", Ok(_)) | ("refused", Err(SinkError::Permanent(_))) => {}
                ("retry", Err(SinkError::Transient { retry_after, .. })) => {
                    assert_eq!(*retry_after, after, "{kind}");
                }
                (expected, _) => panic!("{kind} is to be {expected}: {result:?}"),
            }
            assert_eq!(server.requests().len(), 1, "{kind}");
            let head = server.requests()[0].to_lowercase();
            assert!(
                head.contains("\r\ncontent-type: ") && head.contains("\r\nuser-agent: skypunch/"),
                "{head}"
            );
            let told = format!("{result:?} {definition:?}");
            assert!(!secrets.iter().any(|secret| told.contains(secret)), "{kind}: {told}");
        }
    }
}

#[actix_rt::test]
async fn no_kind_shows_a_secret_that_is_echoed_or_cannot_be_delivered() {
    for file in files() {
        let kind = file["kind"].as_str().unwrap();
        let gone = Server::start(vec![Act::Read, Act::Reset]).await;
        let (definition, secrets) = row(&file, &gone);
        let encoded = secrets.iter().map(|secret| secret.replace(':', "%3A"));
        let echo = secrets.iter().cloned().chain(encoded).collect::<Vec<_>>().join(" ");
        let error =
            plan_by(&sinks(), &definition).unwrap().deliver(&notification(Event::Test)).await.unwrap_err();
        assert!(error.to_string().starts_with("connection reset by"), "{kind}: {error}");

        let echoing = format!("HTTP/1.1 400 Bad\r\ncontent-length: {}\r\n\r\n<{echo}>", echo.len() + 2);
        let server = Server::start(answer(echoing)).await;
        let (definition, _) = row(&file, &server);
        let said =
            plan_by(&sinks(), &definition).unwrap().deliver(&notification(Event::Test)).await.unwrap_err();
        let said = format!("{said:?} {error:?}");
        assert!(!secrets.iter().any(|secret| said.contains(secret)), "{kind}: {said}");
    }
}

fn json_of(body: &Value) -> Vec<Act> {
    let body = body.to_string();
    answer(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

/// What GitHub was asked, a line and a body each, while it had these issues.
async fn tell_github(event: Event, issues: Value) -> (Result<Receipt, SinkError>, Vec<(String, String)>) {
    let server = Server::start_in_turn(vec![json_of(&issues), json_of(&json!({"number": 12}))]).await;
    let params = json!({"token": "ghp_hunter2", "endpoint": format!("http://{}", server.address())});
    let told = plan("github", "example/ops", &params).unwrap().deliver(&notification(event)).await;
    let split = |request: String| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    };
    (told, server.requests().into_iter().map(split).collect())
}

#[actix_rt::test]
async fn an_incident_is_one_issue() {
    let list = "GET /repos/example/ops/issues?labels=skypunch&state=open&per_page=100 HTTP/1.1";
    let others = json!([{"number": 11, "body": "Mark: skypunch-17."}, {"number": 10, "body": null}]);
    let (told, asked) = tell_github(Event::Fail, others.clone()).await;
    assert!(told.is_ok(), "{told:?}");
    assert_eq!([&*asked[0].0, &*asked[1].0], [list, "POST /repos/example/ops/issues HTTP/1.1"]);
    let opened: Value = serde_json::from_str(&asked[1].1).unwrap();
    assert_eq!(opened["title"], "FAIL Zürich: connection refused by ::1:81");

    let both = json!([{"number": 11, "body": "x"}, {"number": 12, "body": opened["body"]}]);
    // Another attempt, after the first one's answer was lost.
    let (_, asked) = tell_github(Event::Fail, both.clone()).await;
    assert_eq!(asked[1].0, "PATCH /repos/example/ops/issues/12 HTTP/1.1");
    let (_, asked) = tell_github(Event::Recovery, both).await;
    assert_eq!(asked[1].0, "PATCH /repos/example/ops/issues/12 HTTP/1.1");
    let closed: Value = serde_json::from_str(&asked[1].1).unwrap();
    assert_eq!(closed["state"], "closed");
    assert_eq!(closed["title"], "RECOVERY Zürich: 200 OK (was failing for 1 min 30 s)");

    let (told, asked) = tell_github(Event::Recovery, others).await;
    assert_eq!(told, Ok(Receipt("there is nothing left to close".into())));
    assert_eq!(asked.len(), 1, "somebody closed it before");
}

#[actix_rt::test]
async fn a_question_that_is_not_answered_tells_nothing_twice() {
    for (script, refused) in [
        (answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[{"), false),
        (answer("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"), false),
        (answer("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"), true),
    ] {
        let server = Server::start(script).await;
        let params = json!({"token": "x", "endpoint": format!("http://{}", server.address())});
        let told = plan("github", "example/ops", &params).unwrap().deliver(&notification(Event::Fail)).await;
        assert_eq!(matches!(told.unwrap_err(), SinkError::Permanent(_)), refused);
        assert_eq!(server.requests().len(), 1);
    }
}

#[actix_rt::test]
async fn a_receiver_that_wants_rest_is_left_alone_by_all_who_share_its_credential() {
    let server =
        Server::start(answer("HTTP/1.1 429 X\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n")).await;
    let sinks = sinks();
    let url = format!("http://{}/hooks/t0ken", server.address());
    let sink = || plan_by(&sinks, &NotifierDefinition::new("ops", "slack", &url)).unwrap();
    let (first, second) = (sink(), sink());
    for sink in [&first, &second, &first] {
        let SinkError::Transient { retry_after, .. } =
            sink.deliver(&notification(Event::Fail)).await.unwrap_err()
        else {
            panic!("it may take it later");
        };
        assert!(retry_after.unwrap() > Duration::from_secs(100), "{retry_after:?}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[actix_rt::test]
async fn who_shares_a_credential_waits_for_a_turn_and_loses_nothing() {
    let server = Server::start(answer("HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\nok")).await;
    let sinks = sinks();
    let url = format!("http://{}/hooks/t0ken", server.address());
    let sink = || plan_by(&sinks, &NotifierDefinition::new("ops", "slack", &url)).unwrap();
    let (first, second) = (sink(), sink());
    let [one, two, three] = [0; 3].map(|_| notification(Event::Fail));
    let told = tokio::join!(first.deliver(&one), second.deliver(&two), first.deliver(&three));
    assert!(told.0.is_ok() && told.1.is_ok() && told.2.is_ok(), "{told:?}");
    assert_eq!(server.requests().len(), 3);
}

#[actix_rt::test]
async fn a_notifier_may_word_it_otherwise_and_trust_somebody_else() {
    let ca = Ca::new();
    let server = Server::start_tls(answer("HTTP/1.1 204 X\r\n\r\n"), ca.server("127.0.0.1")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    fs::write(&path, ca.pem()).unwrap();
    let mut definition = NotifierDefinition::new("ops", "DISCORD", format!("https://{}/x", server.address()));
    let template = "{{ event }} of {{ target.name }}\nby *{{ target.id }}*";
    definition.options =
        Some(Secret::new(json!({"tls": {"ca_file": path}, "template": template}).to_string()));
    let sink = plan_by(&sinks(), &definition).unwrap();
    assert!(sink.deliver(&notification(Event::Fail)).await.is_ok());
    let (_, body) =
        server.requests()[0].split_once("\r\n\r\n").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["content"], "FAIL of Zürich\nby \\*8\\*");
}

#[actix_rt::test]
async fn a_secret_is_looked_up_at_each_attempt() {
    let server = Server::start(answer("HTTP/1.1 200 X\r\ncontent-length: 11\r\n\r\n{\"ok\":true}")).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let named = format!("file:{}", file.path().display());
    let params = json!({"token": named, "endpoint": format!("http://{}", server.address())});
    let sink = plan("telegram", "-100", &params).unwrap();
    for token in ["1:first", "2:second"] {
        fs::write(file.path(), format!("{token}\n")).unwrap();
        assert!(sink.deliver(&notification(Event::Fail)).await.is_ok());
        assert!(server.requests().last().unwrap().starts_with(&format!("POST /bot{token}/sendMessage ")));
    }
    fs::write(file.path(), "3:two\nlines").unwrap();
    let error = sink.deliver(&notification(Event::Fail)).await.unwrap_err();
    assert_eq!(error.to_string(), "params: `token` holds control characters");
    drop(file);
    let error = sink.deliver(&notification(Event::Fail)).await.unwrap_err();
    assert!(error.to_string().starts_with("params: `token`: cannot read the file"), "{error}");
}

#[test]
fn each_way_to_be_wrong_is_named_without_a_secret() {
    let faults = |kind, address, params| plan(kind, address, &params).err().unwrap_or_default();
    assert_eq!(faults("telegram", "7", json!({"token": "t"})), "");
    assert_eq!(
        faults("telegram", "", json!({"tokn": "hunter2", "endpoint": "hunter2"})),
        "params: `tokn` is not known: endpoint, thread, token; \
         address: is empty: the id of a chat, or the @name of a channel; \
         params: `endpoint` is not an absolute URL such as https://example.org/: it has no `://`; \
         params: `token` is missing: the token of the bot"
    );
    assert_eq!(faults("slack", "https://hunter2@h/", json!({})), "address: holds credentials");
    assert!(faults("ses", "a@example.org", json!({"region": "x"})).contains("`user` is missing"));
    assert!(
        faults("ses", "a", json!({"region": "x", "user": "u", "password": "p", "from": "b@c.org"}))
            .contains("`a` is no mail address")
    );
}

/// A home whose configuration names a folder of kinds.
fn home(files: &[(&str, &str)]) -> Home {
    let home = Home::with_config(&format!("{CONFIG}[notify]\nsinks_dir = \"kinds\"\n"));
    let folder = home.path().join("kinds");
    fs::create_dir(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    home
}

const PIGEON: &str = r#"
kind = "PIGEON"
title = "A pigeon"
docs = "https://pigeon.example.org/"
address = "loft"
[params.loft]
about = "where it lives"
required = true
form = "base"
example = "http://127.0.0.1:1"
[params.ring]
about = "its number"
secret = true
[params.colour]
about = "its colour"
default = "grey"
[request]
method = "PUT"
url = "{{ params.loft }}/{{ key }}"
content = "text"
body = "{{ params.colour }}: {{ title }}"
"#;

#[tokio::test]
async fn kinds_of_the_operator_are_used_shown_and_come_first() {
    let server = Server::start(answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")).await;
    let gotify = PIGEON.replace("PIGEON", "GOTIFY").replace("A pigeon", "Another Gotify");
    let home = home(&[("pigeon.toml", PIGEON), ("gotify.toml", &gotify), ("notes.txt", "x")]);
    let kinds = home.json(&["notifiers", "kinds"]);
    let title = |kind: &str| {
        let found = kinds.as_array().unwrap().iter().find(|entry| entry["kind"] == kind);
        found.unwrap()["title"].as_str().unwrap().to_owned()
    };
    assert_eq!([title("PIGEON"), title("GOTIFY"), title("SMTP")], ["A pigeon", "Another Gotify", "Mail"]);
    assert_eq!(home.json(&["notifiers", "kinds", "pigeon"])["params"][1]["secret"], true);
    let said = home.skypunch(&["notifiers", "kinds", "pigeon"]);
    assert!(
        said.stdout.contains("| (address) | needed") && said.stdout.contains("| colour "),
        "{}",
        said.stdout
    );
    let said = home.skypunch(&["notifiers", "kinds", "dove"]);
    let told = "skypunch: there is no kind `dove`: see `skypunch notifiers kinds`\n";
    assert_eq!((said.code, said.stderr.as_str()), (1, told));
    assert_eq!(home.skypunch(&["notifiers", "kinds", "pigeon", "now"]).code, 2);

    let url = format!("http://{}/", server.address());
    home.json(&["add", "notifier", "bird", "PIGEON", &url, "--params", "ring=hunter2,colour=white"]);
    let shown = home.skypunch(&["notifiers", "bird"]).stdout;
    assert!(shown.contains("colour=white,ring=***"), "{shown}");
    let said = home.skypunch_beside(&["notifiers", "bird", "test"]).await;
    assert_eq!((said.code, said.stdout.as_str()), (0, "delivered: 200 OK: ok\n"), "{}", said.stderr);
    let request = &server.requests()[0];
    assert!(request.starts_with("PUT /skypunch-"), "{request}");
    assert!(
        request.ends_with("\r\n\r\nwhite: TEST Test of a notifier: this is a test: nothing failed"),
        "{request}"
    );
}

#[test]
fn bad_files_are_named_with_line_and_reason() {
    let bad = PIGEON.replace("{{ title }}", "{{ title");
    let home =
        home(&[("pigeon.toml", &bad), ("dove.toml", "kind = \"DOVE\"\nlegs = 2\n"), ("smtp.toml", PIGEON)]);
    let folder = home.path().join("kinds");
    let folder = folder.display();
    let told = [
        format!("{folder}/dove.toml, line 2: unknown field `legs`"),
        format!("{folder}/pigeon.toml, line 21: `body`: syntax error"),
        format!("{folder}/smtp.toml, line 1: SMTP is built in, and no file can replace it"),
    ];
    for command in ["run", "check", "targets"] {
        let said = home.skypunch(&[command]);
        assert_eq!(said.code, if command == "check" { 1 } else { 2 }, "{}", said.stderr);
        for fault in &told {
            assert!(said.stderr.contains(fault), "{command}: {fault}: {}", said.stderr);
        }
    }
    let missing = Home::with_config(&format!("{CONFIG}[notify]\nsinks_dir = \"nowhere\"\n"));
    let said = missing.skypunch(&["run"]);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("nowhere, which `notify.sinks_dir` says: "), "{}", said.stderr);
}
