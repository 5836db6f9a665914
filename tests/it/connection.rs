//! Which connections a probe speaks over, and in which version of HTTP.

use std::time::Duration;

use h2::Reason;
use serde_json::{Value, json};
use skypunch_actors::{
    domain::{Cause, Outcome},
    port::Prober,
};

use crate::support::{
    http::{Act, Server, answer, send},
    http2::Say,
    row::{OK, Row, assert_fail, assert_pass, steps, tracer},
    tls::{Ca, now, speaking},
    wait::wait_until,
};

const KEPT: &str = "Connection [OK] kept from before, to 127.0.0.1:PORT";
const CLOSED: &str = "Kept connection was closed by 127.0.0.1:PORT: connecting anew";

fn reuse() -> Value {
    json!({"connection": "reuse"})
}

/// A server that answers over a connection as long as the client likes.
fn answering(text: &str) -> Vec<Act> {
    let mut script: Vec<Act> = (0..9).flat_map(|_| answer(text)).collect();
    script.push(Act::Hang);
    script
}

async fn twice(prober: &dyn Prober) -> (Outcome, Outcome) {
    (prober.probe(tracer()).await, prober.probe(tracer()).await)
}

/// What a prober of the second of two probes did, after a first that passed.
async fn second(row: &Row) -> Outcome {
    let (first, second) = twice(&*row.prober()).await;
    assert!(!first.trace.to_string().contains("kept from before"), "{}", first.trace);
    second
}

fn assert_kept(outcome: &Outcome) {
    let timings = outcome.timings;
    assert_eq!((timings.dns, timings.connect, timings.tls), (None, None, None), "{}", outcome.trace);
    assert!(timings.ttfb.is_some());
    assert!(steps(outcome).contains(KEPT), "{}", outcome.trace);
}

fn assert_fresh(outcome: &Outcome) {
    assert!(outcome.timings.connect.is_some(), "{}", outcome.trace);
    assert!(!steps(outcome).contains("kept from before"), "{}", outcome.trace);
}

#[actix_rt::test]
async fn a_connection_is_fresh_unless_the_row_wants_it_used_again() {
    let server = Server::start(answering(OK)).await;
    for (options, connections) in [(json!({}), 2), (json!({"connection": "fresh"}), 4)] {
        assert_fresh(&second(&Row::at(&server).options(options)).await);
        assert_eq!(server.connections(), connections);
    }
    assert!(server.requests().iter().all(|request| request.contains("connection: close\r\n")));
}

#[actix_rt::test]
async fn a_failure_that_is_looked_at_again_at_once_is_confirmed_over_a_fresh_connection() {
    let server = Server::start(answering(OK)).await;
    let failing = json!([{"body_contains": "not there"}]);
    for (retries, confirmed_afresh) in [(json!(null), false), (json!(500), true)] {
        let mut options = json!({"connection": "reuse", "assertions": failing, "retry_interval_ms": retries});
        if retries.is_null() {
            options.as_object_mut().unwrap().remove("retry_interval_ms");
        }
        let (first, second) = twice(&*Row::at(&server).options(options).prober()).await;
        assert_eq!((first.failure, second.failure), (Some(Cause::Assertion), Some(Cause::Assertion)));
        assert_eq!(second.timings.connect.is_some(), confirmed_afresh, "{}", second.trace);
    }
}

#[actix_rt::test]
async fn a_connection_is_used_again_and_the_trace_says_so() {
    for body in ["content-length: 2\r\n\r\nok", "transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"] {
        let server = Server::start(answering(&format!("HTTP/1.1 200 OK\r\n{body}"))).await;
        let row = Row::new(format!("http://localhost:{}/", server.port())).options(reuse());
        let outcome = second(&row).await;
        assert_pass(&outcome, "200 OK");
        assert_kept(&outcome);
        assert_eq!((server.connections(), server.requests().len()), (1, 2));
        assert!(!server.requests()[1].contains("connection:"), "{}", server.requests()[1]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(steps(&outcome).replace(&server.port().to_string(), "PORT"), @r"
            Connecting to http://localhost:PORT/ ....
            Connection [OK] kept from before, to 127.0.0.1:PORT
            Request sent
            Head [OK] 200
            Body [OK] 2 bytes
            Response [OK] 200 OK
            ");
        }
    }
}

#[actix_rt::test]
async fn what_the_handshake_showed_holds_as_long_as_the_connection() {
    let ca = Ca::new();
    let end = now() + Duration::from_secs(5 * 86_400 + 600);
    let server = Server::start_tls(answering(OK), ca.server_until("127.0.0.1", end)).await;
    let options = json!({"connection": "reuse", "cert_expiry_days": 6});
    let outcome = second(&Row::tls(&server, "127.0.0.1", &ca).options(options)).await;
    assert_kept(&outcome);
    assert!(steps(&outcome).contains(&format!("{KEPT} by TLSv1.3")), "{}", outcome.trace);
    assert_eq!(outcome.failure, Some(Cause::Tls));
    assert!(outcome.reason.contains("expires in 5 days"), "{}", outcome.reason);
    assert_eq!(server.connections(), 1);
}

#[actix_rt::test]
async fn a_connection_that_the_server_closed_meanwhile_is_replaced() {
    let ca = Ca::new();
    for (script, tls) in
        [(answer(OK), false), (answer(OK), true), (vec![Act::Read, send(OK), Act::Reset], false)]
    {
        let config = tls.then(|| ca.server("127.0.0.1"));
        let server = Server::start_on("127.0.0.1:0", script, config).await;
        let row = if tls { Row::tls(&server, "127.0.0.1", &ca) } else { Row::at(&server) };
        let prober = row.options(reuse()).prober();
        assert_pass(&prober.probe(tracer()).await, "200 OK");
        wait_until("the server to close", || (server.closed() == 1).then_some(())).await;
        // Whether its end was heard of before or after the request makes no difference.
        let outcome = prober.probe(tracer()).await;
        assert_pass(&outcome, "200 OK");
        assert!(steps(&outcome).contains(CLOSED), "{}", outcome.trace);
        assert!(outcome.timings.connect.is_some());
        assert_eq!(server.connections(), 2);
    }
}

#[actix_rt::test]
async fn a_connection_that_closes_while_a_request_is_under_way_is_replaced_once() {
    for leaving in [vec![Act::Read], vec![Act::Read, Act::Reset]] {
        let script = [answer(OK), leaving.clone()].concat();
        let server = Server::start(script).await;
        let outcome = second(&Row::at(&server).method("POST").options(reuse())).await;
        assert_pass(&outcome, "200 OK");
        assert!(steps(&outcome).contains(&format!("{KEPT}\nRequest sent\n{CLOSED}")), "{}", outcome.trace);
        assert_eq!(server.connections(), 2);
    }
    // Over the fresh one, it is a failure.
    let server = Server::start(vec![Act::Read]).await;
    let outcome = Row::at(&server).options(reuse()).probe().await;
    assert_fail(&outcome, Cause::Protocol, "closed by 127.0.0.1:PORT before a response came");
    assert_eq!(server.connections(), 1);
}

#[actix_rt::test]
async fn a_connection_that_breaks_within_an_answer_is_a_failure() {
    let script = [answer(OK), answer("HTTP/1.1 200 OK\r\nx: ")].concat();
    let server = Server::start(script).await;
    let outcome = second(&Row::at(&server).options(reuse())).await;
    assert_fail(&outcome, Cause::Protocol, "closed by 127.0.0.1:PORT within the response head");
    assert_eq!(server.connections(), 1);
}

#[actix_rt::test]
async fn only_a_connection_whose_answer_came_to_its_end_is_kept() {
    let small = json!({"connection": "reuse", "body_limit": 1});
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n{}", "x".repeat(20_000));
    for (what, text, options) in [
        ("the server closes", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", reuse()),
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", reuse()),
        ("more than the body", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nok", reuse()),
        ("more than chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nok", reuse()),
        ("a part of the body", &long, small),
    ] {
        let server = Server::start(answering(text)).await;
        let outcome = second(&Row::at(&server).options(options)).await;
        assert_pass(&outcome, "200 OK");
        assert_fresh(&outcome);
        assert_eq!(server.connections(), 2, "{what}");
    }
    // What fails for another reason is kept.
    let server = Server::start(answering("HTTP/1.1 503 Oops\r\ncontent-length: 2\r\n\r\nno")).await;
    let outcome = second(&Row::at(&server).options(reuse())).await;
    assert_fail(&outcome, Cause::Status, "status 503, expected 200");
    assert_kept(&outcome);
}

#[actix_rt::test]
async fn a_connection_is_dropped_with_a_probe_that_ran_out_of_time() {
    let server = Server::start([answer(OK), vec![Act::Read, Act::Hang]].concat()).await;
    let prober = Row::at(&server).options(reuse()).within(200).prober();
    assert_pass(&prober.probe(tracer()).await, "200 OK");
    let outcome = prober.probe(tracer()).await;
    assert_eq!(outcome.failure, Some(Cause::Timeout));
    assert_kept_without_answer(&outcome);
    assert_pass(&prober.probe(tracer()).await, "200 OK");
    assert_eq!(server.connections(), 2);
}

fn assert_kept_without_answer(outcome: &Outcome) {
    assert!(steps(outcome).contains(KEPT) && outcome.timings.ttfb.is_none(), "{}", outcome.trace);
    assert!(outcome.reason.ends_with("connected, waiting for the response head"), "{}", outcome.reason);
}

#[actix_rt::test]
async fn redirects_are_followed_over_the_connections_of_their_hosts() {
    let last = Server::start(answering(OK)).await;
    let to = |port: u16| {
        format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{port}/\r\ncontent-length: 2\r\n\r\nno")
    };
    let first = Server::start(answering(&to(last.port()))).await;
    let options = json!({"connection": "reuse", "follow_redirects": true});
    let outcome = second(&Row::at(&first).options(options)).await;
    assert_pass(&outcome, "200 OK");
    assert_kept(&outcome);
    assert_eq!(steps(&outcome).matches(KEPT).count(), 2, "{}", outcome.trace);
    assert_eq!((first.connections(), last.connections()), (1, 1));
}

#[actix_rt::test]
async fn a_401_is_answered_with_credentials_once_a_probe() {
    let challenge = "HTTP/1.1 401 Go\r\nwww-authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\ncontent-length: 0\r\n\r\n";
    let redirect = "HTTP/1.1 302 Found\r\nlocation: /next\r\ncontent-length: 0\r\n\r\n";
    let script = [answer(challenge), answer(redirect), answer(challenge), answer(OK)].concat();
    let server = Server::start(script).await;
    let options = json!({"connection": "reuse", "follow_redirects": true});
    let mut row = Row::at(&server).options(options).basic("user=bob,password=hunter2");
    row.definition.authn = "DIGEST".to_owned();
    assert_fail(&row.probe().await, Cause::Status, "status 401, expected 200");
    assert_eq!((server.requests().len(), server.connections()), (3, 1));
}

fn two(says: Vec<Say>) -> Vec<Act> {
    vec![Act::Http2(says)]
}

fn whole() -> Vec<Say> {
    vec![Say::Head(200, vec![]), Say::Data(b"ok".to_vec())]
}

async fn start_two(ca: &Ca, says: Vec<Say>) -> Server {
    Server::start_tls(two(says), speaking(ca.server("localhost"), &["h2", "http/1.1"])).await
}

#[actix_rt::test]
async fn http_2_is_spoken_where_the_server_chooses_it() {
    let ca = Ca::new();
    let server = start_two(&ca, whole()).await;
    let options = json!({
        "headers": {"X-Key": "a", "Host": "www.example.org", "user-agent": "mine"},
        "body": "a=b",
    });
    let row = Row::tls(&server, "localhost", &ca).method("POST").options(options);
    let outcome = row.basic("user=a,password=b").probe().await;
    assert_pass(&outcome, "200 OK");
    let timings = outcome.timings;
    assert!(timings.dns.is_some() && timings.connect.is_some() && timings.tls.is_some());
    assert!(timings.ttfb.unwrap() <= timings.total);
    let steps = steps(&outcome);
    for step in [
        "TLS handshake [OK] TLSv1.3, h2 by ALPN\n",
        "Request sent by HTTP/2\nHead [OK] 200\nBody [OK] 2 bytes\n",
    ] {
        assert!(steps.contains(step), "{steps}");
    }
    let request = server.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    lines.sort_unstable();
    assert_eq!(body, "a=b");
    assert_eq!(
        lines,
        [
            "POST https://www.example.org/ HTTP/2",
            "accept-encoding: identity",
            "accept: */*",
            "authorization: Basic YTpi",
            "content-length: 3",
            "user-agent: mine",
            "x-key: a",
        ]
    );
    // Nothing is sent behind it, nor when the connection ends.
    wait_until("the client to leave", || (server.left() == 1).then_some(())).await;
    assert_eq!(server.requests().len(), 1);
}

#[actix_rt::test]
async fn a_long_body_goes_through_the_windows_of_http_2() {
    let ca = Ca::new();
    let long = vec![Say::Head(200, vec![]), Say::Data(vec![b'x'; 300_000]), Say::Data(b"end".to_vec())];
    let server = start_two(&ca, long).await;
    let options = json!({"body": "Z".repeat(60_000), "assertions": [{"body_matches": "xend$"}]});
    let outcome = Row::tls(&server, "localhost", &ca).method("PUT").options(options).probe().await;
    assert_pass(&outcome, "200 OK");
    assert!(steps(&outcome).contains("Body [OK] 300003 bytes\n"));
    assert_eq!(server.requests()[0].matches('Z').count(), 60_000);
}

#[actix_rt::test]
async fn a_connection_of_http_2_is_used_again() {
    let ca = Ca::new();
    let server = start_two(&ca, whole()).await;
    let row = Row::tls(&server, "localhost", &ca).options(reuse());
    let outcome = second(&row).await;
    assert_pass(&outcome, "200 OK");
    assert_kept(&outcome);
    assert!(steps(&outcome).contains(&format!("{KEPT} by TLSv1.3, h2 by ALPN")), "{}", outcome.trace);
    assert_eq!((server.connections(), server.requests().len()), (1, 2));
    // Without TLS, too.
    let server = Server::start(two(whole())).await;
    let row = Row::at(&server).options(json!({"connection": "reuse", "http_version": "2"}));
    assert_kept(&second(&row).await);
    assert_eq!((server.connections(), server.requests().len()), (1, 2));
}

#[actix_rt::test]
async fn a_connection_of_http_2_that_takes_no_more_is_replaced() {
    let ca = Ca::new();
    let server = start_two(&ca, [whole(), vec![Say::Last]].concat()).await;
    let prober = Row::tls(&server, "localhost", &ca).options(reuse()).prober();
    assert_pass(&prober.probe(tracer()).await, "200 OK");
    wait_until("the server to close", || (server.closed() + server.left() == 1).then_some(())).await;
    let outcome = prober.probe(tracer()).await;
    assert_pass(&outcome, "200 OK");
    assert!(steps(&outcome).contains(CLOSED), "{}", outcome.trace);
    assert_eq!(server.connections(), 2);
}

#[actix_rt::test]
async fn redirects_are_followed_over_one_connection_of_http_2() {
    let ca = Ca::new();
    let server = start_two(&ca, vec![Say::Head(302, vec![("location", "/".to_owned())])]).await;
    let options = json!({"connection": "reuse", "follow_redirects": true, "max_redirects": 3});
    let outcome = Row::tls(&server, "localhost", &ca).options(options).probe().await;
    let reason = format!("more than 3 redirects, the last to https://localhost:{}/", server.port());
    assert_fail(&outcome, Cause::Protocol, &reason);
    assert_eq!((server.connections(), server.requests().len()), (1, 4));
}

#[actix_rt::test]
async fn why_a_connection_was_given_up_is_told_though_no_goodbye_is_heard() {
    let ca = Ca::new();
    let server = start_two(&ca, vec![Say::GiveUp(Reason::ENHANCE_YOUR_CALM)]).await;
    let row = Row::tls(&server, "localhost", &ca);
    for _ in 0..20 {
        let reason = "connection given up by 127.0.0.1:PORT before a response came: \
                      detected excessive load generating behavior";
        assert_fail(&row.probe().await, Cause::Protocol, reason);
    }
}
