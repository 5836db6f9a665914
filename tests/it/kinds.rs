//! The kinds of probes beside HTTP, against real servers.

use std::{process::Command, sync::Arc, time::Duration};

use hickory_resolver::proto::{op::ResponseCode, rr::RecordType};
use serde_json::json;
use skypunch::{net::Client, probe::Probers};
use skypunch_actors::{
    domain::{Cause, Fault, Outcome, Secret, TargetDefinition, TargetId},
    port::{Clock, Prober, ProberFactory, Tracer, plan_probe},
    testing::TestClock,
};

use crate::support::{
    dns::{DnsServer, Reply, a, aaaa, mx},
    http::{Act, Server, answer, send},
};

/// A row of a kind.
struct Row {
    definition: TargetDefinition,
    timeout: Duration,
}

impl Row {
    fn new(url: impl Into<String>) -> Self {
        Self { definition: TargetDefinition::new("home", url), timeout: Duration::from_secs(30) }
    }

    fn options(mut self, options: serde_json::Value) -> Self {
        self.definition.options = Some(Secret::new(options.to_string()));
        self
    }

    /// Shorter than a row may have it.
    fn within(self, millis: u64) -> Self {
        Self { timeout: Duration::from_millis(millis), ..self }
    }

    fn prober(&self) -> Box<dyn Prober> {
        let (mut target, _) = self.definition.read(TargetId(1));
        target.timeout = self.timeout;
        probers().prepare(&self.definition, &target).unwrap()()
    }

    async fn probe(&self) -> Outcome {
        let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
        self.prober().probe(Tracer::start(&clock)).await
    }

    fn faults(&self) -> String {
        let planned = plan_probe(&probers(), TargetId(1), &self.definition).1;
        planned.err().map_or_else(String::new, |faults| Fault::join(&faults))
    }
}

fn probers() -> Probers {
    Probers::new("skypunch/test", Client::new(&[])).unwrap()
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
async fn a_machine_without_a_resolver_refuses() {
    let outcome = Row::new("dns://127.0.0.1:1/a.test").probe().await;
    assert_eq!(told(&outcome, 0), fail(Cause::Connect, "connection refused by 127.0.0.1:1"));
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
    for url in ["tcp://example.org:1", "TCP://[::1]:1/", "dns://localhost/a", "icmp://b\u{fc}cher.test"] {
        assert_eq!(faults(url), "", "{url}");
    }
    let options = |url: &str, options| Row::new(url).options(options).faults();
    assert_eq!(
        options("tcp://a:1", json!({"send": 1, "expect": "(", "expct": "x"})),
        "options: `send` must be a text; options: `expect` is not a regular expression; options: unknown \
         option `expct`: known are tags, notify, failure_threshold, success_threshold, send, expect"
    );
    assert_eq!(
        options("dns://a/b", json!({"rcode": "FINE", "answers": "x"})),
        "options: `rcode` must be one of NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED; options: \
         `answers` must be a list of texts"
    );
}

#[test]
fn all_faults_of_a_row_are_named_at_once() {
    for url in ["tcp://bob:hunter2@a", "dns://:x/", "icmp://a:1/x?y"] {
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
