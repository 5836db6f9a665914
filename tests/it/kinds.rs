//! The kinds of probes beside HTTP, against real servers.

use std::{process::Command, sync::Arc, time::Duration};

use futures_util::future::join_all;
use hickory_resolver::proto::{op::ResponseCode, rr::RecordType};
use rustls::ServerConfig;
use serde_json::json;
use skypunch::{
    net::{Client, Resolver},
    probe::Probers,
};
use skypunch_actors::{
    domain::{Cause, Fault, Outcome, Secret, TargetDefinition, TargetId},
    port::{Clock, Prober, ProberFactory, Tracer, plan_probe},
    testing::TestClock,
};
use tempfile::TempDir;

use crate::support::{
    dns::{DnsServer, Reply, a, aaaa, mx},
    http::{Act, Server, answer, send},
    tls::{Ca, now, self_signed},
};

/// A row of a kind, and the machine that probes it.
struct Row {
    definition: TargetDefinition,
    timeout: Duration,
    client: Client,
}

impl Row {
    fn new(url: impl Into<String>) -> Self {
        let definition = TargetDefinition::new("home", url);
        Self { definition, timeout: Duration::from_secs(30), client: Client::new(&[]) }
    }

    fn options(mut self, options: serde_json::Value) -> Self {
        self.definition.options = Some(Secret::new(options.to_string()));
        self
    }

    /// Shorter than a row may have it.
    fn within(self, millis: u64) -> Self {
        Self { timeout: Duration::from_millis(millis), ..self }
    }

    fn by(self, client: Client) -> Self {
        Self { client, ..self }
    }

    fn probers(&self) -> Probers {
        Probers::new("skypunch/test", self.client.clone()).unwrap()
    }

    fn prober(&self) -> Box<dyn Prober> {
        let (mut target, _) = self.definition.read(TargetId(1));
        target.timeout = self.timeout;
        self.probers().prepare(&self.definition, &target).unwrap()()
    }

    async fn probe(&self) -> Outcome {
        let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
        self.prober().probe(Tracer::start(&clock)).await
    }

    fn faults(&self) -> String {
        let planned = plan_probe(&self.probers(), TargetId(1), &self.definition).1;
        planned.err().map_or_else(String::new, |faults| Fault::join(&faults))
    }
}

/// What an outcome says, with the port of its server as `PORT`.
fn told(outcome: &Outcome, port: u16) -> (Option<Cause>, String) {
    assert_eq!(outcome.http_status, None);
    (outcome.failure, outcome.reason.replace(&format!(":{port}"), ":PORT"))
}

fn pass(reason: &str) -> (Option<Cause>, String) {
    (None, reason.to_owned())
}

fn fail(cause: Cause, reason: &str) -> (Option<Cause>, String) {
    (Some(cause), reason.to_owned())
}

/// The steps of a trace without their times.
fn steps(outcome: &Outcome, port: u16) -> String {
    let lines: Vec<String> = outcome.trace.lines().map(|line| line[16..].to_owned()).collect();
    lines.join("\n").replace(&format!(":{port}"), ":PORT")
}

/// Probes a TCP server that follows `script`.
async fn tcp(script: Vec<Act>, options: serde_json::Value) -> (Option<Cause>, String) {
    let server = Server::start(script).await;
    let row = Row::new(format!("tcp://{}", server.address())).options(options);
    told(&row.within(300).probe().await, server.port())
}

#[actix_rt::test]
async fn a_port_that_listens_passes_with_its_phases() {
    let server = Server::start(vec![Act::Hang]).await;
    let outcome = Row::new(format!("tcp://localhost:{}", server.port())).probe().await;
    assert_eq!(told(&outcome, server.port()), pass("connected to 127.0.0.1:PORT"));
    let timings = outcome.timings;
    assert!(timings.dns.is_some() && timings.connect.is_some() && timings.ttfb.is_none(), "{timings:?}");
    insta::assert_snapshot!(steps(&outcome, server.port()), @r"
    Connecting to tcp://localhost:PORT ....
    Resolved localhost to 127.0.0.1
    Connected to 127.0.0.1:PORT
    Connection [OK]
    Response [OK] connected to 127.0.0.1:PORT
    ");
}

#[actix_rt::test]
async fn a_port_where_nobody_listens_is_said_to_be_closed() {
    let outcome = Row::new("tcp://127.0.0.1:1/").probe().await;
    assert_eq!(told(&outcome, 0), fail(Cause::Connect, "connection refused by 127.0.0.1:1"));
    let outcome = Row::new("tcp://[::1]:1").probe().await;
    assert_eq!(told(&outcome, 0), fail(Cause::Connect, "connection refused by [::1]:1"));
}

#[actix_rt::test]
async fn what_is_expected_may_be_asked_for_and_come_in_pieces() {
    let banner = vec![send("220 mail.exa"), send("mple.org ESMTP\r\n"), Act::Hang];
    let found = tcp(banner, json!({"expect": "^220 .*ESMTP"})).await;
    assert_eq!(found, pass("`^220 .*ESMTP` found in 28 bytes"));
    let ping = json!({"send": "PING\r\n\r\n", "expect": r"^\+PONG"});
    let found = tcp(vec![Act::Read, send("+PONG\r\n"), Act::Hang], ping).await;
    assert_eq!(found, pass(r"`^\+PONG` found in 7 bytes"));
}

#[actix_rt::test]
async fn what_is_expected_and_does_not_come_is_told_with_what_came() {
    let expect = json!({"expect": "^220"});
    assert_eq!(
        tcp(vec![send("554 no\u{1b} service\r\n")], expect.clone()).await,
        fail(
            Cause::Assertion,
            r#"`^220` did not come before the connection was closed: 17 bytes came, "554 no\u{1b} service""#
        )
    );
    assert_eq!(
        tcp(vec![], expect.clone()).await,
        fail(Cause::Assertion, "`^220` did not come before the connection was closed: nothing came")
    );
    assert_eq!(
        tcp(vec![send("hello"), Act::Hang], expect.clone()).await,
        fail(
            Cause::Timeout,
            r#"no answer within 0.3 s: connected, waiting for `^220`: 5 bytes came, "hello""#
        )
    );
    let flood = tcp(vec![Act::Flood(vec![b'x'; 1024])], expect).await;
    assert!(flood.1.starts_with("`^220` was not found: 65536 bytes came, \"xxx"), "{flood:?}");
}

#[actix_rt::test]
async fn what_is_sent_is_not_shown_where_a_server_echoes_it() {
    let server = Server::start(answer("unknown command: AUTH hunter2\r\n")).await;
    let options = json!({"send": "AUTH hunter2\r\n\r\n", "expect": "^OK"});
    let outcome = Row::new(format!("tcp://{}", server.address())).options(options).probe().await;
    assert_eq!(outcome.failure, Some(Cause::Assertion));
    assert!(!format!("{} {}", outcome.reason, outcome.trace).contains("hunter2"), "{}", outcome.trace);
}

/// Probes a TLS server by a client that trusts `ca`.
async fn tls(config: ServerConfig, ca: &Ca, options: serde_json::Value) -> Outcome {
    let server = Server::start_tls(vec![Act::Hang], config).await;
    let row = Row::new(format!("tls://localhost:{}", server.port())).options(options);
    row.by(Client::new(&ca.roots())).probe().await
}

#[actix_rt::test]
async fn a_trusted_certificate_passes_and_is_told() {
    let ca = Ca::new();
    let end = now() + Duration::from_secs(864_000);
    let outcome = tls(ca.server_until("localhost", end), &ca, json!({})).await;
    assert_eq!(told(&outcome, 0), pass(&format!("TLSv1.3, certificate until {}", end.date())));
    let timings = outcome.timings;
    assert!(timings.connect.is_some() && timings.tls.is_some() && timings.ttfb.is_none(), "{timings:?}");
    let lines = steps(&outcome, 0);
    assert!(lines.contains("TLS handshake [OK] TLSv1.3\nCertificate for localhost"), "{lines}");
    let outcome = tls(ca.server_of_tls12("localhost"), &ca, json!({})).await;
    assert!(outcome.reason.starts_with("TLSv1.2, "), "{}", outcome.reason);
}

#[actix_rt::test]
async fn a_server_of_another_protocol_is_not_told_that_we_speak_http() {
    let ca = Ca::new();
    let mut config = ca.server("localhost");
    config.alpn_protocols = vec![b"imap".to_vec()];
    assert_eq!(tls(config, &ca, json!({})).await.failure, None);
}

#[actix_rt::test]
async fn a_certificate_that_is_not_right_fails_with_its_reason() {
    let ca = Ca::new();
    let fails = async |config, options, reason: &str| {
        let outcome = tls(config, &ca, options).await;
        assert_eq!(outcome.failure, Some(Cause::Tls), "{}", outcome.reason);
        assert!(outcome.reason.contains(reason), "{}", outcome.reason);
    };
    let day = Duration::from_secs(86_400);
    fails(ca.server_until("localhost", now() - 3 * day), json!({}), "expired 3 days ago").await;
    fails(ca.server("example.test"), json!({}), "not for localhost but for example.test").await;
    fails(self_signed("localhost"), json!({}), "self-signed").await;
    let soon = || ca.server_until("localhost", now() + 10 * day);
    fails(soon(), json!({"cert_expiry_days": 14}), "certificate of localhost expires in ").await;
    fails(ca.server_of_tls12("localhost"), json!({"tls": {"min_version": "1.3"}}), "TLS").await;
    assert_eq!(tls(soon(), &ca, json!({"cert_expiry_days": 7})).await.failure, None);
    let skipping = json!({"tls": {"insecure_skip_verify": true}});
    assert_eq!(tls(self_signed("elsewhere"), &ca, skipping).await.failure, None);
    let named = json!({"tls": {"server_name": "example.test"}});
    assert_eq!(tls(ca.server("example.test"), &ca, named).await.failure, None);
}

#[actix_rt::test]
async fn what_does_not_speak_tls_is_told_from_what_is_silent() {
    let by = |server: &Server| {
        let row = Row::new(format!("tls://{}", server.address()));
        row.by(Client::new(&Ca::new().roots())).within(300)
    };
    let silent = Server::start(vec![Act::Hang]).await;
    let outcome = by(&silent).probe().await;
    let reason = "no answer within 0.3 s: connected to 127.0.0.1:PORT, waiting for the TLS handshake";
    assert_eq!(told(&outcome, silent.port()), fail(Cause::Timeout, reason));
    let plain = Server::start(vec![send("220 mail ESMTP\r\n"), Act::Hang]).await;
    assert_eq!(by(&plain).probe().await.failure, Some(Cause::Tls));
    let outcome = Row::new("tls://127.0.0.1:1").by(Client::new(&Ca::new().roots())).probe().await;
    assert_eq!(told(&outcome, 0), fail(Cause::Connect, "connection refused by 127.0.0.1:1"));
}

/// A client whose resolver is at `server`, with a hosts file.
fn resolved_by(server: &DnsServer, folder: &TempDir, names: &str) -> Client {
    Client::new(&[]).resolving_by(resolver_at(server, folder, names))
}

fn resolver_at(server: &DnsServer, folder: &TempDir, names: &str) -> Resolver {
    let (resolv_conf, hosts) = (folder.path().join("resolv.conf"), folder.path().join("hosts"));
    std::fs::write(&hosts, names).unwrap();
    std::fs::write(&resolv_conf, "nameserver 127.0.0.1\noptions timeout:1\n").unwrap();
    Resolver::reading(&resolv_conf, &hosts, server.port())
}

#[actix_rt::test]
async fn many_targets_of_a_silent_resolver_hold_no_other_back() {
    let (silent, folder) = (DnsServer::start(|_, _| Reply::Silence).await, TempDir::new().unwrap());
    let client = resolved_by(&silent, &folder, "");
    let server = Server::start(vec![Act::Hang]).await;
    let held = (0..300).map(|n| {
        let row = Row::new(format!("http://n{n}.test/")).by(client.clone()).within(900);
        async move { row.probe().await }
    });
    let others = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..50 {
            let row = Row::new(format!("tcp://{}", server.address())).by(client.clone());
            let outcome = row.probe().await;
            assert_eq!(outcome.failure, None, "{}", outcome.reason);
            slowest = slowest.max(outcome.timings.total);
        }
        slowest
    };
    let (held, slowest) = tokio::join!(join_all(held), others);
    // Whichever of the two loses patience first.
    let expected = |n| {
        let timeout = fail(Cause::Timeout, &format!("no answer within 0.9 s: resolving n{n}.test"));
        [timeout, fail(Cause::Dns, "the resolver 127.0.0.1:PORT does not answer")]
    };
    for (n, outcome) in held.iter().enumerate() {
        assert!(expected(n).contains(&told(outcome, silent.port())), "{}", outcome.reason);
    }
    let quickest = held.iter().map(|outcome| outcome.timings.total).min();
    assert!(Some(slowest) < quickest, "{slowest:?}, {quickest:?}");
}

#[actix_rt::test]
async fn a_target_that_waits_long_enough_learns_that_the_resolver_is_silent() {
    let (silent, folder) = (DnsServer::start(|_, _| Reply::Silence).await, TempDir::new().unwrap());
    let outcome = Row::new("tcp://a.test:1").by(resolved_by(&silent, &folder, "")).probe().await;
    let reason = "the resolver 127.0.0.1:PORT does not answer";
    assert_eq!(told(&outcome, silent.port()), fail(Cause::Dns, reason));
}

/// A resolver of example.test.
async fn zone() -> DnsServer {
    DnsServer::start(|name, kind| match (name, kind) {
        ("example.test", RecordType::A) => Reply::Records(60, vec![a("192.0.2.2"), a("192.0.2.1")]),
        ("example.test", RecordType::AAAA) => Reply::Records(60, vec![aaaa("2001:db8::1")]),
        ("example.test", RecordType::MX) => Reply::Records(60, vec![mx(10, "Mail.example.test.")]),
        ("example.test", _) => Reply::Code(ResponseCode::NoError),
        ("long.test", _) => Reply::OverTcp(vec![a("192.0.2.1")]),
        ("forged.test", _) => Reply::Forged(vec![a("192.0.2.1")]),
        ("noise.test", _) => Reply::Noise,
        ("broken.test", _) => Reply::Code(ResponseCode::ServFail),
        ("silent.test", _) => Reply::Silence,
        _ => Reply::Code(ResponseCode::NXDomain),
    })
    .await
}

#[actix_rt::test]
async fn a_resolver_is_judged_by_its_code_and_its_answers() {
    let server = zone().await;
    let ask = async |question: &str, options: serde_json::Value| {
        let row = Row::new(format!("dns://{}/{question}", server.address())).options(options);
        told(&row.within(400).probe().await, server.port())
    };
    assert_eq!(ask("example.test", json!({})).await, pass("NOERROR 192.0.2.1, 192.0.2.2"));
    assert_eq!(ask("Example.test.?type=mx", json!({})).await, pass("NOERROR 10 Mail.example.test"));
    let both = json!({"answers": ["192.0.2.2", "192.0.2.1"]});
    assert_eq!(ask("example.test", both.clone()).await, pass("NOERROR 192.0.2.1, 192.0.2.2"));
    let mail = json!({"answers": ["10 mail.example.test."]});
    assert_eq!(ask("example.test?type=MX", mail).await, pass("NOERROR 10 Mail.example.test"));
    let six = json!({"answers": ["2001:DB8:0::1"]});
    assert_eq!(ask("example.test?type=AAAA", six).await, pass("NOERROR 2001:db8::1"));
    assert_eq!(ask("absent.test", json!({"rcode": "nxdomain"})).await, pass("NXDOMAIN"));
    assert_eq!(ask("example.test?type=TXT", json!({"answers": []})).await, pass("NOERROR"));
    assert_eq!(ask("long.test", json!({})).await, pass("NOERROR 192.0.2.1"));
    assert_eq!(ask("forged.test", json!({})).await, pass("NOERROR 192.0.2.1"));
    assert_eq!(
        ask("example.test", json!({"answers": ["192.0.2.1"]})).await,
        fail(Cause::Assertion, "found 192.0.2.1, 192.0.2.2, expected 192.0.2.1")
    );
    assert_eq!(
        ask("example.test?type=TXT", json!({})).await,
        fail(Cause::Assertion, "NOERROR, but example.test. has no TXT record")
    );
    assert_eq!(ask("broken.test", json!({})).await, fail(Cause::Status, "SERVFAIL, expected NOERROR"));
    let silent = fail(Cause::Timeout, "no answer within 0.4 s: waiting for the answer of 127.0.0.1:PORT");
    assert_eq!(ask("silent.test", json!({})).await, silent);
    assert_eq!(ask("noise.test", json!({})).await, silent);
}

#[actix_rt::test]
async fn a_question_lost_on_the_way_is_asked_again() {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let server =
        DnsServer::start(move |_, _| match seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Reply::Silence,
            _ => Reply::Records(60, vec![a("192.0.2.1")]),
        })
        .await;
    let outcome = Row::new(format!("dns://localhost:{}/a.test", server.port())).probe().await;
    assert_eq!(told(&outcome, server.port()), pass("NOERROR 192.0.2.1"));
    assert!(outcome.timings.dns.is_some() && outcome.timings.ttfb >= Some(Duration::from_secs(1)));
    insta::assert_snapshot!(steps(&outcome, server.port()), @r"
    Connecting to dns://localhost:PORT/a.test ....
    Resolved localhost to 127.0.0.1
    Asking 127.0.0.1:PORT
    No answer yet, asking again
    Response [OK] NOERROR 192.0.2.1
    ");
}

#[actix_rt::test]
async fn a_resolver_with_a_dead_address_is_asked_at_the_next() {
    let (server, folder) = (zone().await, TempDir::new().unwrap());
    let client = resolved_by(&server, &folder, "::1 both.test\n127.0.0.1 both.test\n");
    let row = Row::new(format!("dns://both.test:{}/example.test", server.port())).by(client);
    let outcome = row.probe().await;
    assert_eq!(told(&outcome, 0), pass("NOERROR 192.0.2.1, 192.0.2.2"));
    let lines = steps(&outcome, server.port());
    assert!(lines.contains("connection refused by [::1]:PORT\nAsking 127.0.0.1:PORT"), "{lines}");
}

#[actix_rt::test]
async fn a_machine_without_a_resolver_refuses() {
    let outcome = Row::new("dns://127.0.0.1:1/a.test").probe().await;
    assert_eq!(told(&outcome, 0), fail(Cause::Connect, "connection refused by 127.0.0.1:1"));
}

#[actix_rt::test]
async fn only_addresses_of_the_chosen_protocol_are_tried() {
    let (server, folder, ca) = (zone().await, TempDir::new().unwrap(), Ca::new());
    let resolver = resolver_at(&server, &folder, "::1 both.test\n127.0.0.1 both.test\n");
    let client = Client::new(&ca.roots()).resolving_by(resolver);
    let secure = Server::start_tls(vec![Act::Hang], ca.server("both.test")).await;
    for (url, port) in [
        (format!("tcp://both.test:{}", server.port()), server.port()),
        (format!("dns://both.test:{}/example.test", server.port()), server.port()),
        (format!("tls://both.test:{}", secure.port()), secure.port()),
    ] {
        let over = |ip: &str| Row::new(&url).options(json!({"ip_protocol": ip})).by(client.clone());
        let outcome = over("4").probe().await;
        assert_eq!(outcome.failure, None, "{url}: {}", outcome.reason);
        assert!(!outcome.trace.to_string().contains("[::1]:"), "{}", outcome.trace);
        let refused = fail(Cause::Connect, "connection refused by [::1]:PORT");
        assert_eq!(told(&over("6").probe().await, port), refused, "{url}");
    }
    for url in ["tcp://[::1]:1", "tls://[::1]", "dns://[::1]/a.test", "icmp://[::1]"] {
        let faults = Row::new(url).options(json!({"ip_protocol": "4"})).faults();
        assert_eq!(faults, "options: `ip_protocol` rules out the address in the url", "{url}");
    }
}

#[actix_rt::test]
async fn what_takes_too_long_fails_though_it_came() {
    let late = || vec![Act::Pause(Duration::from_millis(30)), send("220"), Act::Hang];
    let (cause, reason) = tcp(late(), json!({"expect": "^220", "max_response_ms": 20})).await;
    assert_eq!(cause, Some(Cause::Assertion), "{reason}");
    assert!(reason.starts_with("answered in ") && reason.ends_with(" ms, more than 20 ms"), "{reason}");
    let server = Server::start(late()).await;
    let row = Row::new(format!("tcp://{}", server.address()));
    let outcome = row.options(json!({"expect": "^220", "max_response_ms": 29_000})).probe().await;
    assert_eq!(outcome.failure, None, "{}", outcome.reason);
}

const PING_GROUPS: &str = "/proc/sys/net/ipv4/ping_group_range";
const ALONE: &str = "SKYPUNCH_TEST_ALONE";

/// Runs a test of this binary again in a network of its own, whose rules it may set.
fn alone(test: &str) {
    let here = std::env::current_exe().unwrap();
    let script = "ip link set lo up && exec \"$0\" --exact --nocapture \"$1\"";
    let ran = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", script])
        .args([here.as_os_str(), test.as_ref()])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && told.contains("1 passed"), "{told}");
}

#[actix_rt::test]
async fn a_host_that_echoes_passes_where_the_kernel_allows_pings() {
    if std::env::var_os(ALONE).is_none() {
        return alone("kinds::a_host_that_echoes_passes_where_the_kernel_allows_pings");
    }
    let outcome = Row::new("icmp://127.0.0.1").probe().await;
    let forbidden = "the kernel forbids pings to group 0: set net.ipv4.ping_group_range to hold it, as in \
                     `sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"`";
    assert_eq!(told(&outcome, 0), fail(Cause::Config, forbidden));
    std::fs::write(PING_GROUPS, "0 0").unwrap();
    for (url, ip) in [("icmp://127.0.0.1", "127.0.0.1"), ("icmp://[::1]/", "::1")] {
        let outcome = Row::new(url).probe().await;
        assert_eq!(told(&outcome, 0), pass(&format!("echo from {ip}")));
        assert!(outcome.timings.ttfb.is_some());
        let lines = steps(&outcome, 0);
        assert!(lines.ends_with(&format!("Echo sent to {ip}\nResponse [OK] echo from {ip}")), "{lines}");
    }
    let (server, folder) = (zone().await, TempDir::new().unwrap());
    let client = resolved_by(&server, &folder, "::1 both.test\n127.0.0.1 both.test\n");
    for (protocol, ip) in [("4", "127.0.0.1"), ("6", "::1")] {
        let options = json!({"ip_protocol": protocol, "max_response_ms": 29_000});
        let outcome = Row::new("icmp://both.test").options(options).by(client.clone()).probe().await;
        assert_eq!(told(&outcome, 0), pass(&format!("echo from {ip}")));
    }
    let outcome = Row::new("icmp://192.0.2.1").within(300).probe().await;
    assert_eq!(told(&outcome, 0), fail(Cause::Connect, "Network is unreachable (os error 101) (192.0.2.1)"));
}

#[test]
fn each_way_to_be_wrong_says_what_is_allowed() {
    let faults = |url: &str| Row::new(url).faults();
    assert_eq!(faults("tcp://example.org"), "url: says no port, as in tcp://example.org:5432");
    assert_eq!(faults("tcp://:80"), "url: is not a URL: empty host");
    assert_eq!(faults("tcp://example.org:1/path"), "url: nothing may stand behind the host and the port");
    assert_eq!(faults("tcp://bob:hunter2@example.org:1"), "url: holds credentials: this kind sends none");
    assert_eq!(faults("icmp://example.org:1"), "url: says a port, which ICMP does not have");
    assert!(faults("dns://192.0.2.53").starts_with("url: asks for no name"));
    assert!(faults("dns://192.0.2.53/a?type=x").starts_with("url: asks for an unknown type"));
    for url in [
        "tls://example.org",
        "tcp://example.org:1",
        "TCP://[::1]:1/",
        "dns://localhost/a",
        "icmp://b\u{fc}cher.test",
    ] {
        assert_eq!(faults(url), "", "{url}");
    }
    let options = |url: &str, options| Row::new(url).options(options).faults();
    assert_eq!(
        options("tcp://a:1", json!({"send": 1, "expect": "(", "expct": "x"})),
        "options: `send` must be a text; options: `expect` is not a regular expression; options: unknown \
         option `expct`: known are tags, notify, failure_threshold, success_threshold, retry_interval_ms, \
         reminder_interval_s, ip_protocol, max_response_ms, \
         send, expect"
    );
    assert_eq!(
        options("tls://a", json!({"tls": {"verify": 1}, "cert_expiry_days": "x"})),
        "options: unknown option `tls.verify`: known are ca_file, cert_file, key_file, server_name, \
         insecure_skip_verify, min_version; options: `cert_expiry_days` must be a whole number of days"
    );
    assert_eq!(
        options("dns://a/b", json!({"rcode": "FINE", "answers": "x"})),
        "options: `rcode` must be one of NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED; options: \
         `answers` must be a list of texts"
    );
}

#[test]
fn all_faults_of_a_row_are_named_at_once() {
    for url in ["tcp://bob:hunter2@a", "tls://bob:hunter2@a", "dns://:x/", "icmp://a:1/x?y"] {
        let mut row = Row::new(url).options(json!({"boddy": 1}));
        row.definition.authn = "BASIC".to_owned();
        row.definition.pass_result = "2xx".to_owned();
        row.definition.method = "whatever".to_owned();
        let faults = row.faults();
        for column in ["url: ", "authn: must be NONE", "pass_result: means nothing", "unknown option `boddy`"]
        {
            assert!(faults.contains(column), "{column} is not in {faults}");
        }
        assert!(!faults.contains("hunter2") && !faults.contains("method"), "{faults}");
    }
}
