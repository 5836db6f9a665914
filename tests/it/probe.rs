//! The HTTP probe against real servers, over TCP and TLS.

use std::time::Duration;

use skypunch_actors::domain::{Cause, Outcome};

use crate::support::{
    http::{Act, Server, answer, send},
    row::{OK, Row, assert_fail, assert_pass, steps, tracer},
    tls::Ca,
    wait::wait_until,
};

/// Probes a server that follows `script`.
async fn look(script: Vec<Act>) -> Outcome {
    let server = Server::start(script).await;
    Row::at(&server).probe().await
}

#[actix_rt::test]
async fn an_answer_as_expected_passes_with_its_phases() {
    let server = Server::start(answer(OK)).await;
    let outcome = Row::at(&server).probe().await;
    assert_pass(&outcome, "200 OK");
    assert_eq!(outcome.http_status, Some(200));
    let timings = outcome.timings;
    assert_eq!((timings.dns, timings.tls), (None, None));
    let (connect, ttfb) = (timings.connect.unwrap(), timings.ttfb.unwrap());
    assert!(connect > Duration::ZERO && connect + ttfb <= timings.total, "{timings:?}");
    insta::assert_snapshot!(steps(&outcome), @r"
    Connecting to http://127.0.0.1:PORT/ ....
    Connected to 127.0.0.1:PORT
    Connection [OK]
    Request sent
    Head [OK] 200
    Body [OK] 2 bytes
    Response [OK] 200 OK
    ");
}

#[actix_rt::test]
async fn a_request_says_what_it_must_and_no_more() {
    let server = Server::start(answer(OK)).await;
    Row::new(format!("http://localhost:{}/a%20b?c=d#e", server.port())).probe().await;
    let request = server.requests().remove(0);
    let (line, headers) = request.split_once("\r\n").unwrap();
    assert_eq!(line, "GET /a%20b?c=d HTTP/1.1");
    let mut headers: Vec<&str> = headers.lines().filter(|line| !line.is_empty()).collect();
    headers.sort_unstable();
    let host = format!("host: localhost:{}", server.port());
    assert_eq!(
        headers,
        ["accept-encoding: identity", "accept: */*", "connection: close", &host, "user-agent: skypunch/test"]
    );
}

#[actix_rt::test]
async fn each_method_is_sent() {
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let server = Server::start(answer("HTTP/1.1 204 No Content\r\n\r\n")).await;
        let outcome = Row::at(&server).method(&method.to_lowercase()).expecting("2xx").probe().await;
        assert_pass(&outcome, "204 No Content");
        assert!(server.requests()[0].starts_with(&format!("{method} / HTTP/1.1\r\n")));
    }
}

#[actix_rt::test]
async fn another_status_fails_at_once() {
    // The body never ends: the status has said it all.
    let script =
        vec![Act::Read, send("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\n"), Act::Hang];
    let outcome = look(script).await;
    assert_fail(&outcome, Cause::Status, "status 503, expected 200");
    assert_eq!(outcome.http_status, Some(503));
    insta::assert_snapshot!(steps(&outcome), @r"
    Connecting to http://127.0.0.1:PORT/ ....
    Connected to 127.0.0.1:PORT
    Connection [OK]
    Request sent
    Head [OK] 503
    Response [FAIL] reason: status 503, expected 200
    ");
}

#[actix_rt::test]
async fn a_redirect_is_not_followed() {
    let server =
        Server::start(answer("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n")).await;
    assert_pass(&Row::at(&server).expecting("301-303").probe().await, "302 Found");
    assert_eq!(server.requests().len(), 1);
}

#[actix_rt::test]
async fn a_status_without_a_standard_phrase_shows_the_servers() {
    let server =
        Server::start(answer("HTTP/1.1 520 Web Server\u{1b}[31m\r\ncontent-length: 0\r\n\r\n")).await;
    let outcome = Row::at(&server).expecting("520").probe().await;
    assert!(outcome.reason.is_ascii() && !outcome.reason.contains('\u{1b}'), "{}", outcome.reason);
    let server = Server::start(answer("HTTP/1.1 520 Odd\r\ncontent-length: 0\r\n\r\n")).await;
    assert_pass(&Row::at(&server).expecting("520").probe().await, "520 Odd");
}

#[actix_rt::test]
async fn a_closed_port_is_named() {
    let server = Server::start(vec![]).await;
    let row = Row::at(&server);
    let port = server.port();
    drop(server);
    let closed = || std::net::TcpStream::connect(("127.0.0.1", port)).err();
    wait_until("the port to be closed", closed).await;
    let outcome = row.probe().await;
    assert_fail(&outcome, Cause::Connect, "connection refused by 127.0.0.1:PORT");
    assert_eq!(outcome.http_status, None);
    insta::assert_snapshot!(steps(&outcome), @r"
    Connecting to http://127.0.0.1:PORT/ ....
    Connection [FAIL] reason: connection refused by 127.0.0.1:PORT
    ");
}

#[actix_rt::test]
async fn every_address_of_a_name_is_tried() {
    let server = Server::start(answer(OK)).await;
    // Where `localhost` is ::1 first, nobody listens there.
    let outcome = Row::new(format!("http://localhost:{}/", server.port())).probe().await;
    assert_pass(&outcome, "200 OK");
    assert!(outcome.timings.dns.is_some());
    assert!(steps(&outcome).contains("Resolved localhost to "), "{}", outcome.trace);
}

#[actix_rt::test]
async fn bodies_are_read_up_to_their_limit() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 2097152\r\n\r\n";
    let long = vec![Act::Read, send(head), Act::Send(vec![b'x'; 2 << 20])];
    let endless = vec![Act::Read, send("HTTP/1.1 200 OK\r\n\r\n"), Act::Flood(vec![b'x'; 8192])];
    for script in [long, endless] {
        let outcome = look(script).await;
        assert_pass(&outcome, "200 OK");
        assert!(steps(&outcome).contains("Body [OK] 1048576 bytes"), "{}", outcome.trace);
    }
}

#[actix_rt::test]
async fn a_trickling_body_ends_at_the_deadline_with_its_status_known() {
    let script = vec![Act::Read, send("HTTP/1.1 200 OK\r\n\r\n"), Act::Trickle(b"x".to_vec())];
    let server = Server::start(script).await;
    let outcome = Row::at(&server).within(300).probe().await;
    assert_eq!((outcome.failure, outcome.http_status), (Some(Cause::Timeout), Some(200)));
    assert!(outcome.reason.starts_with("no answer within 0.3 s: reading the body ("), "{}", outcome.reason);
    assert!(outcome.timings.ttfb.is_some() && outcome.timings.total >= Duration::from_millis(300));
}

#[actix_rt::test]
async fn a_probe_that_is_dropped_closes_its_socket_and_the_next_one_works() {
    let server = Server::start(vec![Act::Hang]).await;
    let prober = Row::at(&server).prober();
    for n in 1..=3 {
        let probe = tokio::time::timeout(Duration::from_millis(100), prober.probe(tracer()));
        assert!(probe.await.is_err());
        wait_until("the socket to be closed", || (server.left() == n).then_some(())).await;
    }
}

#[actix_rt::test]
async fn probes_leave_no_descriptor_behind() {
    let ca = Ca::new();
    let plain = Server::start(answer(OK)).await;
    let tls = Server::start_tls(answer(OK), ca.server("127.0.0.1")).await;
    let torn = Server::start(answer("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")).await;
    let probers = [Row::at(&plain), Row::at(&torn), Row::tls(&tls, "127.0.0.1", &ca)].map(|row| row.prober());
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    for _ in 0..100 {
        for prober in &probers {
            prober.probe(tracer()).await;
        }
    }
    wait_until("the descriptors to be closed", || (descriptors() <= before).then_some(())).await;
}

#[actix_rt::test]
async fn an_ipv6_address_needs_no_resolving() {
    let ca = Ca::new();
    for tls in [false, true] {
        let config = tls.then(|| ca.server("::1"));
        let server = Server::start_on("[::1]:0", answer(OK), config).await;
        let scheme = if tls { "https" } else { "http" };
        let row = Row::new(format!("{scheme}://[::1]:{}/", server.port()));
        let outcome = Row { roots: ca.roots(), ..row }.probe().await;
        assert_pass(&outcome, "200 OK");
        assert_eq!(outcome.timings.dns, None);
        let host = format!("\r\nhost: [::1]:{}\r\n", server.port());
        assert!(server.requests()[0].contains(&host), "{:?}", server.requests());
    }
}

#[actix_rt::test]
async fn basic_credentials_are_sent_and_nowhere_shown() {
    let server = Server::start(answer("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")).await;
    let outcome = Row::at(&server).basic("user=bob,password=hunter2").probe().await;
    assert!(server.requests()[0].contains("\r\nauthorization: Basic Ym9iOmh1bnRlcjI=\r\n"));
    assert_fail(&outcome, Cause::Status, "status 401, expected 200");
    let shown = format!("{outcome:?} {}", outcome.trace);
    assert!(!shown.contains("hunter2") && !shown.contains("Ym9iOmh1bnRlcjI="), "{shown}");
}

#[actix_rt::test]
async fn credentials_are_resolved_at_each_probe() {
    let server = Server::start(answer(OK)).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let prober =
        Row::at(&server).basic(&format!("user=bob,password=file:{}", file.path().display())).prober();
    for (password, sent) in [("hunter2\n", "Ym9iOmh1bnRlcjI="), ("new", "Ym9iOm5ldw==")] {
        std::fs::write(file.path(), password).unwrap();
        assert_pass(&prober.probe(tracer()).await, "200 OK");
        assert!(server.requests().last().unwrap().contains(sent));
    }
    drop(file);
    let outcome = prober.probe(tracer()).await;
    assert_eq!(outcome.failure, Some(Cause::Config));
    assert!(outcome.reason.starts_with("authn_parms: password: cannot read the file"), "{}", outcome.reason);
    assert_eq!(server.requests().len(), 2);
}

#[actix_rt::test]
async fn tls_is_spoken_with_whom_a_trusted_authority_vouches_for() {
    let ca = Ca::new();
    let server = Server::start_tls(answer(OK), ca.server("localhost")).await;
    let outcome = Row::tls(&server, "localhost", &ca).probe().await;
    assert_pass(&outcome, "200 OK");
    let timings = outcome.timings;
    assert!(timings.dns.is_some() && timings.connect.is_some() && timings.tls.is_some());
    let shown = "\nTLS handshake [OK] TLSv1.3\n\
        Certificate for localhost (CN=rcgen self signed cert), issued by CN=an authority of tests, valid until ";
    assert!(steps(&outcome).contains(shown), "{}", outcome.trace);
}

#[actix_rt::test]
async fn a_system_without_certificates_says_so_only_when_one_is_wanted() {
    let ca = Ca::new();
    let tls = Server::start_tls(answer(OK), ca.server("127.0.0.1")).await;
    let row = Row::tls(&tls, "127.0.0.1", &ca);
    let outcome = Row { roots: Vec::new(), ..row }.probe().await;
    assert_eq!(outcome.failure, Some(Cause::Tls));
    assert!(outcome.reason.contains("SSL_CERT_FILE"), "{}", outcome.reason);
    assert!(steps(&outcome).contains("\nConnection [FAIL] reason: "), "{}", outcome.trace);
}
