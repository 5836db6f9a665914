//! Every option of an HTTP target, against real servers.

use std::{fs, io::Write, time::Duration};

use serde_json::json;
use skypunch_actors::domain::{Cause, Outcome};

use crate::support::{
    http::{Act, Server, answer, send},
    http2::Say,
    row::{OK, Row, assert_fail, assert_pass, steps},
    tls::{Ca, now, speaking},
};

/// A secret that stands in a row, and must be shown nowhere.
const PLANTED: &str = "hunter2-planted";

fn assert_hidden(outcome: &Outcome) {
    let shown = format!("{outcome:?} {}", outcome.trace);
    assert!(!shown.contains(PLANTED), "{shown}");
}

#[actix_rt::test]
async fn headers_and_body_are_sent_with_the_method() {
    let server = Server::start(answer(OK)).await;
    let options = json!({
        "headers": {"Host": "other.example", "X-Key": PLANTED, "user-agent": "mine", "Accept": "text/plain"},
        "body": "a=b",
    });
    let outcome = Row::at(&server).method("POST").options(options).probe().await;
    assert_pass(&outcome, "200 OK");
    assert_hidden(&outcome);
    let request = server.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "a=b");
    let mut lines: Vec<&str> = head.lines().collect();
    lines.sort_unstable();
    let key = format!("x-key: {PLANTED}");
    assert_eq!(
        lines,
        [
            "POST / HTTP/1.1",
            "accept-encoding: identity",
            "accept: text/plain",
            "connection: close",
            "content-length: 3",
            "host: other.example",
            "user-agent: mine",
            &key,
        ]
    );
}

#[actix_rt::test]
async fn what_a_server_echoes_of_a_row_is_masked() {
    let server = Server::start(answer(format!(
        "HTTP/1.1 520 token {PLANTED}-body is wrong\r\ncontent-length: 0\r\n\r\n"
    )))
    .await;
    let options = json!({"headers": {"authorization": format!("Bearer {PLANTED}")}, "body": "x"});
    let row = Row::at(&server).options(options).expecting("520");
    let outcome = row.probe().await;
    assert_pass(&outcome, "520 token ***-body is wrong");
    assert_hidden(&outcome);
}

#[actix_rt::test]
async fn a_body_is_read_up_to_the_limit_of_the_row() {
    let endless = vec![Act::Read, send("HTTP/1.1 200 OK\r\n\r\n"), Act::Flood(vec![b'x'; 8192])];
    let server = Server::start(endless).await;
    for limit in [0, 10, 100_000] {
        let outcome = Row::at(&server).options(json!({"body_limit": limit})).probe().await;
        assert_pass(&outcome, "200 OK");
        assert!(steps(&outcome).contains(&format!("Body [OK] {limit} bytes\n")), "{}", outcome.trace);
    }
}

#[actix_rt::test]
async fn an_answer_that_takes_too_long_fails_though_it_came() {
    let slow = vec![Act::Read, Act::Pause(Duration::from_millis(30)), send(OK)];
    let server = Server::start(slow).await;
    let outcome = Row::at(&server).options(json!({"max_response_ms": 20})).probe().await;
    assert_eq!((outcome.failure, outcome.http_status), (Some(Cause::Assertion), Some(200)));
    assert!(outcome.reason.starts_with("answered in "), "{}", outcome.reason);
    assert!(outcome.reason.ends_with(" ms, more than 20 ms"), "{}", outcome.reason);
    let outcome = Row::at(&server).options(json!({"max_response_ms": 9000})).probe().await;
    assert_pass(&outcome, "200 OK");
}

#[actix_rt::test]
async fn only_addresses_of_the_chosen_protocol_are_tried() {
    let server = Server::start(answer(OK)).await;
    let url = format!("http://localhost:{}/", server.port());
    let four = Row::new(&url).options(json!({"ip_protocol": "4"})).probe().await;
    assert_pass(&four, "200 OK");
    assert!(!four.trace.to_string().contains("Connected to [::1]"), "{}", four.trace);
    // Whether `localhost` has an address of IPv6 is up to the system; nobody listens there in any case.
    let six = Row::new(&url).options(json!({"ip_protocol": "6"})).probe().await;
    assert!(matches!(six.failure, Some(Cause::Dns | Cause::Connect)), "{}", six.reason);
    assert_eq!(server.requests().len(), 1);
    let row = Row::at(&server).options(json!({"ip_protocol": "6"}));
    assert_eq!(row.faults(), "options: `ip_protocol` rules out the address in the url");
}

#[actix_rt::test]
async fn a_limit_of_the_row_leaves_other_failures_their_cause() {
    let outcome = Row::at(&Server::start(answer("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n")).await)
        .options(json!({"max_response_ms": 1}))
        .probe()
        .await;
    assert_fail(&outcome, Cause::Status, "status 500, expected 200");
}

#[actix_rt::test]
async fn an_authority_of_the_row_is_trusted_in_place_of_the_systems() {
    let (ca, other) = (Ca::new(), Ca::new());
    let server = Server::start_tls(answer(OK), ca.server("localhost")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    for (named, trusted) in [(&ca, true), (&other, false)] {
        fs::write(&path, named.pem()).unwrap();
        let row = Row::tls(&server, "localhost", &ca).options(json!({"tls": {"ca_file": path}}));
        let outcome = row.probe().await;
        assert_eq!(outcome.passed(), trusted, "{}", outcome.reason);
    }
    let row = Row::tls(&server, "localhost", &other).options(json!({"tls": {"ca_file": "/no/such"}}));
    assert_eq!(row.faults(), "options: `tls.ca_file` cannot be read: /no/such: entity not found");
}

#[actix_rt::test]
async fn a_client_certificate_is_shown_to_who_asks_for_one() {
    let ca = Ca::new();
    let server = Server::start_tls(answer(OK), ca.server_for_clients("localhost")).await;
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let (cert_pem, key_pem) = ca.client();
    fs::write(&cert, cert_pem).unwrap();
    fs::write(&key, key_pem).unwrap();
    let row = Row::tls(&server, "localhost", &ca);
    assert_eq!(row.probe().await.failure, Some(Cause::Tls));
    let row = row.options(json!({"tls": {"cert_file": cert, "key_file": key}}));
    assert_pass(&row.probe().await, "200 OK");
}

#[actix_rt::test]
async fn a_server_name_of_the_row_is_what_the_certificate_must_carry() {
    let ca = Ca::new();
    let server = Server::start_tls(answer(OK), ca.server("inside.example")).await;
    let row = Row::tls(&server, "127.0.0.1", &ca);
    assert_eq!(row.probe().await.failure, Some(Cause::Tls));
    let row = row.options(json!({"tls": {"server_name": "inside.example"}}));
    assert_pass(&row.probe().await, "200 OK");
}

#[actix_rt::test]
async fn verification_can_be_skipped_and_the_facts_are_still_shown() {
    let ca = Ca::new();
    let expired = now() - Duration::from_secs(3 * 86_400 + 60);
    let server = Server::start_tls(answer(OK), ca.server_until("example.org", expired)).await;
    let skip = json!({"tls": {"insecure_skip_verify": true}});
    let outcome = Row::new(format!("https://127.0.0.1:{}/", server.port())).options(skip).probe().await;
    assert_pass(&outcome, "200 OK");
    let until = format!("valid until {}", expired.date());
    assert!(outcome.trace.to_string().contains(&until), "{}", outcome.trace);
}

#[actix_rt::test]
async fn an_older_version_of_tls_than_asked_for_is_refused() {
    let ca = Ca::new();
    let server = Server::start_tls(answer(OK), ca.server_of_tls12("127.0.0.1")).await;
    for (version, passes) in [("1.2", true), ("1.3", false)] {
        let row = Row::tls(&server, "127.0.0.1", &ca).options(json!({"tls": {"min_version": version}}));
        let outcome = row.probe().await;
        assert_eq!(outcome.passed(), passes, "{}", outcome.reason);
        assert!(passes || outcome.failure == Some(Cause::Tls));
    }
}

#[actix_rt::test]
async fn a_certificate_that_ends_too_soon_fails_with_its_date() {
    let ca = Ca::new();
    let end = now() + Duration::from_secs(5 * 86_400 + 600);
    let server = Server::start_tls(answer(OK), ca.server_until("127.0.0.1", end)).await;
    let row = |days: u32| Row::tls(&server, "127.0.0.1", &ca).options(json!({"cert_expiry_days": days}));
    assert_pass(&row(5).probe().await, "200 OK");
    let outcome = row(6).probe().await;
    let date = end.date();
    let reason = format!("certificate of 127.0.0.1 expires in 5 days ({date}), less than 6 days ahead");
    assert_fail(&outcome, Cause::Tls, &reason);
    assert_eq!(outcome.http_status, Some(200));
    let plain = Row::new("http://example.org/").options(json!({"cert_expiry_days": 6}));
    assert_eq!(plain.faults(), "options: `cert_expiry_days` wants a url that begins with https://");
}

fn redirect(status: &str, location: &str) -> Vec<Act> {
    answer(format!("HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"))
}

#[actix_rt::test]
async fn redirects_are_followed_and_each_hop_is_shown() {
    let last = Server::start(answer(OK)).await;
    let location = format!("http://localhost:{}/end?token={PLANTED}", last.port());
    let first = Server::start(redirect("302 Found", &location)).await;
    let outcome = Row::at(&first).options(json!({"follow_redirects": true})).probe().await;
    assert_pass(&outcome, "200 OK");
    assert_hidden(&outcome);
    let hop = format!("Redirected by 302 to http://localhost:{}/end?…", last.port());
    assert!(outcome.trace.to_string().contains(&hop), "{}", outcome.trace);
    assert_eq!(steps(&outcome).matches("Request sent").count(), 2);
    assert!(last.requests()[0].starts_with(&format!("GET /end?token={PLANTED} HTTP/1.1\r\n")));
    // The phases of all hops are summed.
    let timings = outcome.timings;
    assert!(timings.dns.is_some() && timings.connect.unwrap() + timings.ttfb.unwrap() <= timings.total);
}

#[actix_rt::test]
async fn what_a_row_sends_in_confidence_does_not_leave_its_host() {
    let other = Server::start(answer(OK)).await;
    let first = Server::start(redirect("307 Temporary", &format!("http://{}/", other.address()))).await;
    let headers =
        json!({"cookie": PLANTED, "x-key": PLANTED, "user-agent": "mine", "host": "inside.example"});
    let row = Row::at(&first).basic(&format!("user=bob,password={PLANTED}"));
    let options = json!({"follow_redirects": true, "headers": headers});
    let outcome = row.options(options).probe().await;
    assert_pass(&outcome, "200 OK");
    assert_hidden(&outcome);
    assert!(first.requests()[0].contains("authorization: Basic ") && first.requests()[0].contains(PLANTED));
    let request = other.requests().remove(0);
    assert!(!request.contains("authorization") && !request.contains(PLANTED), "{request}");
    assert!(!request.contains("inside.example") && request.contains("user-agent: mine"), "{request}");
}

#[actix_rt::test]
async fn what_a_redirect_echoes_of_a_row_is_masked_wherever_it_leads() {
    let ca = Ca::new();
    let tls = Server::start_tls(answer(OK), ca.server(&format!("{PLANTED}.example"))).await;
    let (port, upper) = (tls.port(), PLANTED.to_uppercase());
    for (location, cause) in [
        (format!("http://{PLANTED}.invalid/"), Some(Cause::Dns)),
        (format!("http://{upper}.invalid/"), Some(Cause::Dns)),
        (format!("https://127.0.0.1:{port}/"), Some(Cause::Tls)),
        (format!("ftp://{PLANTED}/"), Some(Cause::Protocol)),
        (format!("http://127.0.0.1:1/{PLANTED}"), Some(Cause::Connect)),
    ] {
        let server = Server::start(redirect("302 Found", &location)).await;
        let options = json!({
            "headers": {"authorization": format!("Bearer {PLANTED}"), "x": upper},
            "follow_redirects": true,
        });
        let row = Row { roots: ca.roots(), ..Row::at(&server) }.options(options);
        let outcome = row.probe().await;
        assert_eq!(outcome.failure, cause, "{location}: {}", outcome.reason);
        assert_hidden(&outcome);
        assert!(!format!("{outcome:?}").contains(&upper), "{outcome:?}");
        assert!(outcome.trace.to_string().contains("***"), "{}", outcome.trace);
    }
}

#[actix_rt::test]
async fn what_a_server_of_http_2_echoes_of_a_row_is_masked() {
    let ca = Ca::new();
    let says = vec![Say::Head(200, vec![("x-echo", PLANTED.to_owned())]), Say::Data(PLANTED.into())];
    let server = Server::start_tls(vec![Act::Http2(says)], speaking(ca.server("localhost"), &["h2"])).await;
    let assertions = json!([{"header": "x-echo", "matches": "^$"}, {"body_contains": "else"}]);
    let options = json!({"headers": {"x-key": PLANTED}, "assertions": assertions});
    let outcome = Row::tls(&server, "localhost", &ca).options(options).probe().await;
    assert_hidden(&outcome);
    let reason =
        "header x-echo does not match `^$`: it is `***`; body does not contain `else`: it begins with `***`";
    assert_fail(&outcome, Cause::Assertion, reason);
}

#[actix_rt::test]
async fn credentials_stay_with_a_redirect_on_the_same_host() {
    let once =
        vec![Act::Read, send("HTTP/1.1 303 See Other\r\nlocation: /next\r\ncontent-length: 0\r\n\r\n")];
    let server = Server::start(once).await;
    let row = Row::at(&server).method("POST").basic("user=bob,password=hunter2");
    let options = json!({"follow_redirects": true, "max_redirects": 1, "body": "x=y"});
    let outcome = row.options(options).probe().await;
    let reason = "more than 1 redirects, the last to http://127.0.0.1:PORT/next";
    assert_fail(&outcome, Cause::Protocol, reason);
    let requests = server.requests();
    assert!(requests[0].starts_with("POST / ") && requests[0].ends_with("\r\n\r\nx=y"));
    assert!(requests[1].starts_with("GET /next ") && requests[1].contains("authorization: Basic "));
    assert!(requests[1].ends_with("\r\n\r\n"), "{}", requests[1]);
}

#[actix_rt::test]
async fn a_loop_of_redirects_ends() {
    let server = Server::start(redirect("301 Moved", "/")).await;
    let outcome = Row::at(&server).options(json!({"follow_redirects": true})).probe().await;
    let reason = "more than 10 redirects, the last to http://127.0.0.1:PORT/";
    assert_fail(&outcome, Cause::Protocol, reason);
    assert_eq!((server.requests().len(), outcome.http_status), (11, Some(301)));
}

#[actix_rt::test]
async fn a_redirect_to_nowhere_says_why() {
    let server = Server::start(redirect("302 Found", "ftp://other.example/")).await;
    let outcome = Row::at(&server).options(json!({"follow_redirects": true})).probe().await;
    let reason = "redirect to ftp://other.example/ cannot be followed: the scheme is neither http nor https";
    assert_fail(&outcome, Cause::Protocol, reason);
    let closed = Server::start(redirect("302 Found", "http://127.0.0.1:1/")).await;
    let outcome = Row::at(&closed).options(json!({"follow_redirects": true})).probe().await;
    assert_fail(&outcome, Cause::Connect, "connection refused by 127.0.0.1:PORT");
}

#[actix_rt::test]
async fn all_assertions_that_failed_are_named_with_what_was_found() {
    let body = format!(r#"{{"status":"down","nodes":[1,2],"echo":"{PLANTED}"}}"#);
    let length = body.len();
    let text = format!("HTTP/1.1 200 OK\r\nserver: nginx\r\ncontent-length: {length}\r\n\r\n{body}");
    let server = Server::start(answer(text)).await;
    let assertions = json!([
        {"body_contains": "status"},
        {"body_not_matches": "d\\wwn"},
        {"header": "server", "matches": "^apache"},
        {"json_path": "$.status", "op": "==", "value": "ok"},
        {"json_path": "$.nodes[*]", "op": ">", "value": 0},
        {"json_path": "$.echo", "op": "==", "value": "x"},
    ]);
    let options = json!({"assertions": assertions, "headers": {"x-key": PLANTED}});
    let outcome = Row::at(&server).options(options).probe().await;
    assert_hidden(&outcome);
    assert_fail(
        &outcome,
        Cause::Assertion,
        "body must not match `d\\wwn`: there is `down`; header server does not match `^apache`: it is `nginx`; \
         $.status == \"ok\": it is `down`; $.echo == \"x\": it is `***`",
    );
    assert_eq!(outcome.http_status, Some(200));
    let holds = json!({"assertions": [{"json_path": "$.nodes", "op": "exists"}]});
    assert_pass(&Row::at(&server).options(holds).probe().await, "200 OK");
}

#[actix_rt::test]
async fn a_body_that_is_no_json_is_said_once() {
    let server = Server::start(answer(OK)).await;
    let assertion = json!({"json_path": "$.a", "op": "exists"});
    let outcome = Row::at(&server).options(json!({"assertions": [assertion, assertion]})).probe().await;
    assert_fail(&outcome, Cause::Assertion, "body is not JSON (line 1, column 1)");
}

#[actix_rt::test]
async fn an_assertion_that_fails_on_a_part_of_the_body_says_so() {
    let server = Server::start(answer("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nall is ok")).await;
    let options = json!({"body_limit": 6, "assertions": [{"body_contains": "ok"}]});
    let outcome = Row::at(&server).options(options).probe().await;
    assert_fail(
        &outcome,
        Cause::Assertion,
        "only 6 bytes of the body were read (body_limit); body does not contain `ok`: it begins with `all is`",
    );
}

fn coded(coding: &str, body: &[u8]) -> Vec<Act> {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n", body.len());
    vec![Act::Read, send(head), Act::Send(body.to_vec())]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[actix_rt::test]
async fn a_coded_body_is_judged_as_what_it_means() {
    let server = Server::start(coded("gzip", &gzip(b"all is well"))).await;
    let options = json!({"assertions": [{"body_contains": "all is well"}]});
    let outcome = Row::at(&server).options(options.clone()).probe().await;
    assert_pass(&outcome, "200 OK");
    let server = Server::start(coded("br", b"whatever")).await;
    let outcome = Row::at(&server).options(options).probe().await;
    let reason = "body cannot be judged: its coding `br` was not asked for";
    assert_fail(&outcome, Cause::Protocol, reason);
    assert_pass(&Row::at(&server).probe().await, "200 OK");
}

#[actix_rt::test]
async fn a_bomb_is_bounded_and_a_broken_coding_fails() {
    let server = Server::start(coded("gzip", &gzip(&vec![0; 8 << 20]))).await;
    let outcome = Row::at(&server).options(json!({"body_limit": 1000})).probe().await;
    assert_pass(&outcome, "200 OK");
    assert!(steps(&outcome).contains("Body [OK] 1000 bytes\n"), "{}", outcome.trace);
    let whole = gzip(b"text");
    for body in [&whole[..whole.len() - 3], b"no gzip at all"] {
        let server = Server::start(coded("gzip", body)).await;
        let outcome = Row::at(&server).probe().await;
        let reason = format!("body cannot be decoded as gzip ({} bytes came)", body.len());
        assert_fail(&outcome, Cause::Protocol, &reason);
    }
}
