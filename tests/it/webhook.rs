//! The webhook sink against real receivers.

use std::{sync::Arc, time::Duration};

use rustls::pki_types::CertificateDer;
use skypunch::sink::Sinks;
use skypunch_actors::{
    domain::{Fault, Notification, NotifierDefinition, Params, TargetDefinition},
    port::{Clock, Receipt, Sink, SinkError, SinkFactory},
    testing::{TestClock, fixtures::failure},
};

use crate::support::{
    http::{Act, Server, answer, send},
    tls::Ca,
};

fn notification() -> Notification {
    let definition = TargetDefinition::new("Zürich", "http://localhost:81/");
    failure(&definition, TestClock::default().now(), "connection refused by 127.0.0.1:81")
}

fn plan(address: &str, params: &str, roots: Vec<CertificateDer<'static>>) -> Result<Box<dyn Sink>, String> {
    let definition = NotifierDefinition::new("ops", "webhook", address);
    let sinks = Sinks::new(roots, Arc::new(TestClock::default()));
    let builder = sinks.prepare(&definition, &Params::parse(params).unwrap());
    builder.map(|builder| builder()).map_err(|faults| Fault::join(&faults))
}

async fn deliver(address: &str, params: &str) -> Result<Receipt, SinkError> {
    plan(address, params, Vec::new()).unwrap().deliver(&notification()).await
}

/// Delivers to a receiver that follows `script`, at a URL that holds a token.
async fn deliver_to(script: Vec<Act>) -> Result<Receipt, SinkError> {
    let server = Server::start(script).await;
    deliver(&format!("http://{}/hooks/t0ken?key=t0ken2", server.address()), "").await
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {request}"))
}

#[actix_rt::test]
async fn a_notification_is_posted_and_signed() {
    let server = Server::start(answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfine\n")).await;
    let notification = notification();
    let url = format!("http://{}/hooks?key=x", server.address());
    let sink = plan(&url, "secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Vec::new()).unwrap();
    for _ in 0..2 {
        assert_eq!(sink.deliver(&notification).await, Ok(Receipt("200 OK: fine".into())));
    }
    let requests = server.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hooks?key=x HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(head, "content-type"), "application/json");
    assert_eq!(header(head, "user-agent"), concat!("skypunch/", env!("CARGO_PKG_VERSION")));
    assert_eq!(header(head, "webhook-timestamp"), "1767323045");
    assert_eq!(header(head, "webhook-id"), notification.id.to_string());
    assert_eq!(header(head, "webhook-id"), header(&requests[1], "webhook-id"));
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["id"], notification.id.to_string());
    assert_eq!(body["target"]["name"], "Zürich");
    assert!(body["incident"].is_null());
    let signed = verify_with_python(&requests[0], "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    assert_eq!(header(head, "webhook-signature"), signed);
}

/// The signature as another implementation computes it from what the receiver got.
fn verify_with_python(request: &str, base64_key: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let script = "import sys, hmac, base64\n\
        key, text = base64.b64decode(sys.argv[1]), sys.argv[2].encode()\n\
        print('v1,' + base64.b64encode(hmac.new(key, text, 'sha256').digest()).decode())";
    let text = format!("{}.{}.{body}", header(head, "webhook-id"), header(head, "webhook-timestamp"));
    let python =
        std::process::Command::new("python3").args(["-c", script, base64_key, &text]).output().unwrap();
    assert!(python.status.success(), "{python:?}");
    String::from_utf8(python.stdout).unwrap().trim().to_owned()
}

#[actix_rt::test]
async fn without_a_secret_nothing_is_signed() {
    let server = Server::start(answer("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let receipt = deliver(&format!("http://{}/", server.address()), "").await;
    assert_eq!(receipt, Ok(Receipt("204 No Content".into())));
    assert!(!server.requests()[0].contains("webhook-signature"));
}

#[actix_rt::test]
async fn the_status_says_whether_another_attempt_is_worth_it() {
    let cases = [
        ("400 Bad Request", false),
        ("404 Not Found", false),
        ("410 Gone", false),
        ("302 Found", false),
        ("408 Request Timeout", true),
        ("429 Too Many Requests", true),
        ("500 Internal Server Error", true),
        ("503 Service Unavailable", true),
    ];
    for (status, again) in cases {
        let head = format!("HTTP/1.1 {status}\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n");
        let reason = format!("the receiver answered {status}");
        let expected = if again {
            SinkError::Transient { reason, retry_after: Some(Duration::from_secs(7)) }
        } else {
            SinkError::Permanent(reason)
        };
        assert_eq!(deliver_to(answer(head)).await, Err(expected));
    }
}

#[actix_rt::test]
async fn what_keeps_an_answer_from_coming_is_worth_another_attempt() {
    let torn = [vec![Act::Read], vec![Act::Read, Act::Reset], answer("nonsense")];
    for script in torn {
        let error = deliver_to(script).await.unwrap_err();
        assert!(matches!(error, SinkError::Transient { retry_after: None, .. }), "{error}");
        assert!(!error.to_string().contains("t0ken"), "{error}");
    }
    let error = deliver("http://127.0.0.1:1/t0ken", "").await.unwrap_err();
    assert_eq!(error.to_string(), "connection refused by 127.0.0.1:1");
}

#[actix_rt::test]
async fn a_token_that_the_receiver_echoes_is_not_shown() {
    let echo = "Cannot POST /hooks/t0ken?key=t0ken2\u{1b}[31m";
    let text = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{echo}", echo.len());
    let error = deliver_to(answer(text)).await.unwrap_err().to_string();
    assert_eq!(error, r"the receiver answered 404 Not Found: Cannot POST /***/***?key=***\u{1b}[31m");
}

#[actix_rt::test]
async fn an_accepted_notification_is_delivered_whatever_follows_its_status() {
    let torn = "HTTP/1.1 202 Accepted\r\ncontent-length: 100\r\n\r\nok";
    let endless = vec![Act::Read, send("HTTP/1.1 202 Accepted\r\n\r\n"), Act::Flood(vec![b'x'; 4096])];
    for script in [answer(torn), vec![Act::Read, send(torn), Act::Hang], endless] {
        let Receipt(said) = deliver_to(script).await.unwrap();
        assert!(said.starts_with("202 Accepted") && said.chars().count() <= 200, "{said}");
    }
}

#[actix_rt::test]
async fn tls_trusts_the_given_authorities() {
    let ca = Ca::new();
    let server = Server::start_tls(answer("HTTP/1.1 204 No Content\r\n\r\n"), ca.server("127.0.0.1")).await;
    let url = format!("https://{}/", server.address());
    let sink = |roots| plan(&url, "", roots).unwrap();
    assert!(sink(ca.roots()).deliver(&notification()).await.is_ok());
    let error = sink(Ca::new().roots()).deliver(&notification()).await.unwrap_err();
    assert!(
        matches!(&error, SinkError::Transient { reason, .. } if reason.starts_with("certificate of")),
        "{error}"
    );
}

#[actix_rt::test]
async fn a_secret_that_cannot_be_resolved_is_named() {
    let error = deliver("http://127.0.0.1:1/", "secret=env:SKYPUNCH_NO_SUCH").await.unwrap_err();
    let reason = "params: secret: the environment variable SKYPUNCH_NO_SUCH is not set, or is not UTF-8";
    assert_eq!(error, SinkError::Transient { reason: reason.into(), retry_after: None });
}

#[test]
fn each_way_to_be_wrong_is_named_without_the_address() {
    let faults = |address, params| plan(address, params, Vec::new()).err().unwrap_or_default();
    let url = "https://example.org/t0ken";
    assert_eq!(faults(url, "secret=x"), "");
    assert_eq!(faults(url, "secrt=t0ken"), "params: `secrt` is not known: secret");
    assert_eq!(
        faults("ftp://t0ken/", "secret=whsec_t0k!en"),
        "address: the scheme is neither http nor https; \
         params: `secret` begins with whsec_ and does not go on with base64"
    );
    assert_eq!(
        faults("https://bob:t0ken@example.org/", ""),
        "address: holds credentials, which a webhook has no place for"
    );
    assert!(faults("t0ken", "").starts_with("address: is not an absolute URL"));
}
