//! The sinks against real servers.

use std::{sync::Arc, time::Duration};

use mail_parser::MessageParser;
use skypunch::sink::Sinks;
use skypunch_actors::{
    domain::{
        Alert, AlertTarget, Cause, Event, Incident, Notification, NotifierDefinition, NotifierId, Outcome,
        Params, Secret, Status, Tally, TargetDefinition, TargetId,
    },
    port::{Receipt, Sink, SinkError, SinkFactory},
    testing::TestClock,
};
use time::macros::datetime;
use tokio::time::timeout;

use crate::support::postfix::{self, PASSWORD, Postfix, USER};

/// A notification of a failure, with a name and a reason that would like to be headers.
fn notification(name: &str, reason: &str) -> Notification {
    let definition = TargetDefinition::new(name, "http://localhost:81/");
    let at = datetime!(2026-11-22 06:10:58.061 UTC);
    Notification::new(
        NotifierId(1),
        Arc::new(Alert {
            event: Event::Fail,
            at,
            target: AlertTarget::from(&definition.read(TargetId(8)).0),
            status: Status::Fail,
            previous_status: Status::Pass,
            incident: Some(Incident::begin(at, 0)),
            outcome: Arc::new(Outcome { reason: reason.to_owned(), ..Outcome::fail(Cause::Connect, "") }),
            tally: Tally::default(),
        }),
    )
}

fn refusal() -> Notification {
    notification("Zürich 東京", "connection refused by 127.0.0.1:81")
}

/// A sink that trusts the server's authority.
fn sink(server: &Postfix, address: &str, port: u16, more: &str) -> Box<dyn Sink> {
    sink_of(&Sinks::new(vec![server.ca()], Arc::new(TestClock::default())), server, address, port, more)
}

fn sink_of(sinks: &Sinks, server: &Postfix, address: &str, port: u16, more: &str) -> Box<dyn Sink> {
    let mut definition = NotifierDefinition::new("ops", "smtp", address);
    definition.params =
        Secret::new(format!("server={},port={port},from=skypunch@example.org,{more}", server.ip()));
    let params = Params::parse(definition.params.expose()).unwrap();
    let builder = sinks.prepare(&definition, &params);
    builder.map_err(|faults| panic!("{faults:?}")).unwrap()()
}

fn login(security: &str, password: &str) -> String {
    format!("security={security},user={USER},password={password}")
}

fn transient(result: Result<Receipt, SinkError>) -> String {
    match result.unwrap_err() {
        SinkError::Transient { reason, .. } => reason,
        SinkError::Permanent(reason) => panic!("permanent: {reason}"),
    }
}

fn permanent(result: Result<Receipt, SinkError>) -> String {
    match result.unwrap_err() {
        SinkError::Permanent(reason) => reason,
        SinkError::Transient { reason, .. } => panic!("transient: {reason}"),
    }
}

#[actix::test]
async fn a_mail_arrives_over_starttls() {
    let server = Postfix::start().await;
    let sink = sink(&server, "Ops <ops@example.org>", postfix::STARTTLS, &login("starttls", PASSWORD));
    let notification = refusal();
    let Receipt(said) = sink.deliver(&notification).await.unwrap();
    assert!(said.starts_with("250 2.0.0 Ok: queued as"), "{said}");

    let mail = server.mail_to("ops").await;
    let mail = MessageParser::default().parse(&mail).unwrap();
    let subject = "[skypunch] FAIL Zürich 東京: connection refused by 127.0.0.1:81";
    assert_eq!(mail.subject(), Some(subject));
    assert_eq!(mail.message_id(), Some(format!("{}@example.org", notification.id).as_str()));
    assert_eq!(mail.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
    assert_eq!(mail.date().unwrap().to_timestamp(), notification.alert.at.unix_timestamp());
    assert_eq!(mail.to().unwrap().first().unwrap().name(), Some("Ops"));
    assert!(mail.body_text(0).unwrap().starts_with("Zürich 東京 fails"));
    assert!(mail.body_html(0).unwrap().contains("<h1"));
    assert_eq!((mail.text_body_count(), mail.html_body_count()), (1, 1));
    let commands = server.commands_of_client().await;
    assert!(commands.contains("ehlo=2 starttls=1 auth=1 mail=1 rcpt=1 data=1 quit=1"), "{commands}");
}

#[actix::test]
async fn a_mail_arrives_over_implicit_tls() {
    let server = Postfix::start().await;
    let sink = sink(&server, "ops@example.org", postfix::TLS, &login("tls", PASSWORD));
    sink.deliver(&refusal()).await.unwrap();
    server.mail_to("ops").await;
}

#[actix::test]
async fn a_mail_arrives_unencrypted_where_the_row_says_so() {
    let server = Postfix::start().await;
    let without_login = sink(&server, "ops@example.org", postfix::PLAIN, "security=none");
    without_login.deliver(&refusal()).await.unwrap();
    server.mail_to("ops").await;
    let with_login = sink(&server, "jane@example.org", postfix::PLAIN_LOGIN, &login("none", PASSWORD));
    with_login.deliver(&refusal()).await.unwrap();
    server.mail_to("jane").await;
}

#[actix::test]
async fn a_wrong_password_is_refused_and_not_told() {
    let server = Postfix::start().await;
    let wrong = "hunter3-marked";
    let sink = sink(&server, "ops@example.org", postfix::STARTTLS, &login("starttls", wrong));
    let reason = permanent(sink.deliver(&refusal()).await);
    assert!(reason.contains("answered 535 5.7.8"), "{reason}");
    assert!(reason.contains("to the login; check `user` and `password`"), "{reason}");
    assert!(!reason.contains(wrong), "{reason}");
}

#[actix::test]
async fn a_password_is_looked_up_at_each_attempt() {
    let server = Postfix::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_path_buf();
    let named = format!("file:{}", path.display());
    let sink = sink(&server, "ops@example.org", postfix::STARTTLS, &login("starttls", &named));
    drop(file);
    let reason = transient(sink.deliver(&refusal()).await);
    assert!(reason.contains("`password`: cannot read the file"), "{reason}");
    std::fs::write(&path, format!("{PASSWORD}\n")).unwrap();
    sink.deliver(&refusal()).await.unwrap();
    std::fs::remove_file(&path).unwrap();
}

#[actix::test]
async fn a_stranger_with_a_certificate_learns_no_password() {
    let server = Postfix::start().await;
    let trusting_nobody = Sinks::new(Vec::new(), Arc::new(TestClock::default()));
    for (port, security) in [(postfix::STARTTLS, "starttls"), (postfix::TLS, "tls")] {
        let login = login(security, PASSWORD);
        let sink = sink_of(&trusting_nobody, &server, "ops@example.org", port, &login);
        let reason = transient(sink.deliver(&refusal()).await);
        assert!(reason.contains("invalid peer certificate"), "{reason}");
        let commands = server.commands_of_client().await;
        assert!(!commands.contains("auth=") && !commands.contains("mail="), "{commands}");
    }
}

#[actix::test]
async fn a_server_without_starttls_learns_no_password() {
    let server = Postfix::start().await;
    let sink = sink(&server, "ops@example.org", postfix::PLAIN, &login("starttls", PASSWORD));
    let reason = transient(sink.deliver(&refusal()).await);
    assert!(reason.contains("STARTTLS"), "{reason}");
    let commands = server.commands_of_client().await;
    assert!(!commands.contains("auth=") && !commands.contains("mail="), "{commands}");
}

#[actix::test]
async fn a_refusal_for_good_is_permanent_and_one_for_now_is_not() {
    let server = Postfix::start().await;
    let to = |port| sink(&server, "ops@example.org", port, "security=none");
    let reason = permanent(to(postfix::REJECT).deliver(&refusal()).await);
    assert!(reason.contains("answered 554 5.7.1"), "{reason}");
    assert!(reason.contains("to the recipient ops@example.org"), "{reason}");
    let reason = transient(to(postfix::DEFER).deliver(&refusal()).await);
    assert!(reason.contains("answered 450 4.3.2"), "{reason}");
}

#[actix::test]
async fn a_refused_recipient_keeps_no_other_in_the_dark() {
    let server = Postfix::start().await;
    let to = |address| sink(&server, address, postfix::PLAIN, "security=none");
    let both = to("gone@example.org, ops@example.org");
    let Receipt(said) = both.deliver(&refusal()).await.unwrap();
    assert!(said.starts_with("250 ") && said.contains("to the recipient gone@example.org"), "{said}");
    server.mail_to("ops").await;
    let reason = permanent(to("gone@example.org, left@example.org").deliver(&refusal()).await);
    assert!(reason.contains("gone@example.org") && reason.contains("left@example.org"), "{reason}");
}

#[actix::test]
async fn a_server_that_hangs_is_left_when_the_caller_has_waited_enough() {
    let server = Postfix::start().await;
    let sink = sink(&server, "ops@example.org", postfix::HANG, "security=none");
    let notification = refusal();
    let waited = timeout(Duration::from_millis(500), sink.deliver(&notification)).await;
    assert!(waited.is_err());
}

#[actix::test]
async fn a_closed_port_is_named() {
    let server = Postfix::start().await;
    let sink = sink(&server, "ops@example.org", 1, "security=none");
    let reason = transient(sink.deliver(&refusal()).await);
    assert_eq!(reason, format!("{}:1: the connection failed: connection refused", server.ip()));
}

#[actix::test]
async fn a_name_and_a_reason_cannot_add_a_header() {
    let server = Postfix::start().await;
    let sink = sink(&server, "ops@example.org", postfix::PLAIN, "security=none");
    let evil = "x\r\nBcc: jane@example.org\r\n\r\n<script>";
    sink.deliver(&notification(evil, evil)).await.unwrap();
    let mail = server.mail_to("ops").await;
    let mail = MessageParser::default().parse(&mail).unwrap();
    assert!(mail.header("Bcc").is_none());
    assert!(mail.subject().unwrap().contains(r"x\r\nBcc: jane@example.org"));
    assert!(!mail.body_html(0).unwrap().contains("<script>"));
}
