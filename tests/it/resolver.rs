//! Names and their addresses, against real servers of DNS.

use std::{fs, path::PathBuf, time::Duration};

use futures_util::future::join_all;
use hickory_resolver::proto::{op::ResponseCode, rr::RecordType};
use skypunch::net::Resolver;
use skypunch_actors::domain::Cause;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use crate::support::{
    dns::{DnsServer, Reply, a, aaaa},
    wait::wait_until,
};

/// The files that set a resolver up.
struct Files {
    folder: TempDir,
    port: u16,
}

impl Files {
    fn new(resolv_conf: &str, hosts: &str, port: u16) -> Self {
        let files = Self { folder: TempDir::new().unwrap(), port };
        fs::write(files.resolv_conf(), resolv_conf).unwrap();
        fs::write(files.hosts(), hosts).unwrap();
        files
    }

    fn of(server: &DnsServer) -> Self {
        Self::new("nameserver 127.0.0.1\noptions timeout:1\n", "", server.port())
    }

    fn resolv_conf(&self) -> PathBuf {
        self.folder.path().join("resolv.conf")
    }

    fn hosts(&self) -> PathBuf {
        self.folder.path().join("hosts")
    }

    fn resolver(&self) -> Resolver {
        Resolver::reading(&self.resolv_conf(), &self.hosts(), self.port)
    }
}

async fn addresses(resolver: &Resolver, host: &str) -> Vec<String> {
    let found = resolver.addresses(host).await.unwrap();
    found.iter().map(ToString::to_string).collect()
}

async fn reason(resolver: &Resolver, host: &str, port: u16) -> String {
    let error = resolver.addresses(host).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Dns);
    error.to_string().replace(&format!(":{port}"), ":PORT")
}

/// A server that has one IPv4 address for every name.
fn one(ttl: u32) -> impl Fn(&str, RecordType) -> Reply + Send + Sync {
    move |_, kind| match kind {
        RecordType::A => Reply::Records(ttl, vec![a("192.0.2.1")]),
        _ => Reply::Code(ResponseCode::NoError),
    }
}

#[tokio::test]
async fn both_families_are_asked_for_and_take_turns() {
    let server = DnsServer::start(|_, kind| match kind {
        RecordType::A => Reply::Records(60, vec![a("192.0.2.1"), a("192.0.2.2")]),
        _ => Reply::Records(60, vec![aaaa("2001:db8::1"), aaaa("2001:db8::2")]),
    })
    .await;
    let mut found = addresses(&Files::of(&server).resolver(), "example.test").await;
    assert_ne!(found[0].contains(':'), found[1].contains(':'), "{found:?}");
    found.sort_unstable();
    assert_eq!(found, ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]);
}

#[tokio::test]
async fn an_answer_is_kept_as_long_as_it_says() {
    let server = DnsServer::start(|name, kind| match (name, kind) {
        ("kept.test", RecordType::A) => Reply::Records(60, vec![a("192.0.2.1")]),
        (_, RecordType::A) => Reply::Records(0, vec![a("192.0.2.1")]),
        _ => Reply::Code(ResponseCode::NoError),
    })
    .await;
    let resolver = Files::of(&server).resolver();
    for _ in 0..5 {
        assert_eq!(addresses(&resolver, "kept.test").await, ["192.0.2.1"]);
        assert_eq!(addresses(&resolver, "fleeting.test").await, ["192.0.2.1"]);
    }
    let asked = server.asked();
    let times = |question: &str| asked.iter().filter(|asked| *asked == question).count();
    assert_eq!((times("kept.test A"), times("kept.test AAAA")), (1, 1));
    assert_eq!((times("fleeting.test A"), times("fleeting.test AAAA")), (5, 1));
}

#[tokio::test]
async fn a_thousand_who_want_the_same_name_ask_once() {
    let server = DnsServer::start(one(60)).await;
    let resolver = Files::of(&server).resolver();
    let found = join_all((0..1000).map(|_| resolver.addresses("example.test"))).await;
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(server.asked(), ["example.test A", "example.test AAAA"]);
}

#[tokio::test]
async fn each_way_to_find_nothing_has_its_reason() {
    let server = DnsServer::start(|name, _| match name {
        "absent.test" => Reply::Code(ResponseCode::NXDomain),
        "empty.test" => Reply::Code(ResponseCode::NoError),
        "broken.test" => Reply::Code(ResponseCode::ServFail),
        "refused.test" => Reply::Code(ResponseCode::Refused),
        _ => Reply::Silence,
    })
    .await;
    let resolver = Files::of(&server).resolver();
    let told = async |host| reason(&resolver, host, server.port()).await;
    assert_eq!(told("absent.test").await, "no such host: absent.test");
    assert_eq!(told("empty.test").await, "empty.test has no address");
    assert_eq!(told("broken.test").await, "cannot resolve broken.test: 127.0.0.1:PORT answered SERVFAIL");
    assert_eq!(told("refused.test").await, "cannot resolve refused.test: 127.0.0.1:PORT answered REFUSED");
    assert_eq!(told("silent.test").await, "the resolver 127.0.0.1:PORT does not answer");
    assert_eq!(told("a..test").await, "no such host: a..test");
}

#[tokio::test]
async fn a_silent_resolver_costs_only_those_who_need_it() {
    let server = DnsServer::start(|name, kind| match (name, kind) {
        (name, _) if name.starts_with("silent") => Reply::Silence,
        (_, RecordType::A) => Reply::Records(60, vec![a("192.0.2.1")]),
        _ => Reply::Code(ResponseCode::NoError),
    })
    .await;
    let files =
        Files::new("nameserver 127.0.0.1\noptions timeout:30\n", "192.0.2.7 filed.test\n", server.port());
    let resolver = files.resolver();
    assert_eq!(addresses(&resolver, "kept.test").await, ["192.0.2.1"]);
    let limit = Duration::from_millis(1500);
    let names: Vec<String> = (0..600).map(|n| format!("silent{n}.test")).collect();
    let held = join_all(names.iter().map(|name| timeout(limit, resolver.addresses(name))));
    let others = async {
        let begun = Instant::now();
        for _ in 0..50 {
            assert_eq!(addresses(&resolver, "kept.test").await, ["192.0.2.1"]);
            assert_eq!(addresses(&resolver, "filed.test").await, ["192.0.2.7"]);
        }
        assert_eq!(addresses(&resolver, "another.test").await, ["192.0.2.1"]);
        begun.elapsed()
    };
    let (held, took) = tokio::join!(held, others);
    assert!(held.iter().all(Result::is_err), "each was held until its own timeout");
    assert!(took < limit, "the others took {took:?}");
}

#[tokio::test]
async fn the_hosts_file_goes_before_dns() {
    let server = DnsServer::start(|_, _| Reply::Silence).await;
    let files = Files::new("nameserver 127.0.0.1", "127.0.0.1 localhost home\n::1 home\n", server.port());
    let resolver = files.resolver();
    assert_eq!(addresses(&resolver, "localhost").await, ["127.0.0.1"]);
    assert_eq!(addresses(&resolver, "home").await, ["::1", "127.0.0.1"]);
    assert_eq!(addresses(&resolver, "home.").await, ["::1", "127.0.0.1"]);
    assert_eq!(server.asked(), [""; 0]);
}

#[tokio::test]
async fn localhost_needs_neither_file_nor_server() {
    let server = DnsServer::start(|_, _| Reply::Silence).await;
    assert_eq!(addresses(&Files::of(&server).resolver(), "localhost").await, ["::1", "127.0.0.1"]);
}

#[tokio::test]
async fn a_short_name_is_sought_in_the_search_list() {
    let server = DnsServer::start(|name, kind| match (name, kind) {
        ("db.second.test", RecordType::A) => Reply::Records(60, vec![a("192.0.2.1")]),
        ("db.second.test", _) => Reply::Code(ResponseCode::NoError),
        _ => Reply::Code(ResponseCode::NXDomain),
    })
    .await;
    let resolv_conf = "nameserver 127.0.0.1\nsearch first.test second.test\n";
    let resolver = Files::new(resolv_conf, "", server.port()).resolver();
    assert_eq!(addresses(&resolver, "db").await, ["192.0.2.1"]);
    assert_eq!(reason(&resolver, "absent", server.port()).await, "no such host: absent");
}

#[tokio::test]
async fn changed_files_are_read_again() {
    let old = DnsServer::start(one(60)).await;
    let new = old
        .beside("127.0.0.2", |_, kind| match kind {
            RecordType::A => Reply::Records(60, vec![a("192.0.2.2")]),
            _ => Reply::Code(ResponseCode::NoError),
        })
        .await;
    let files = Files::of(&old);
    let resolver = files.resolver();
    assert_eq!(addresses(&resolver, "example.test").await, ["192.0.2.1"]);
    fs::write(files.resolv_conf(), format!("nameserver {}\n# changed\n", new.address().ip())).unwrap();
    fs::write(files.hosts(), "192.0.2.9 filed.test\n").unwrap();
    let begun = Instant::now();
    wait_until("the new files are read", || (begun.elapsed() > Duration::from_millis(1100)).then_some(()))
        .await;
    assert_eq!(addresses(&resolver, "example.test").await, ["192.0.2.2"]);
    assert_eq!(addresses(&resolver, "filed.test").await, ["192.0.2.9"]);
}

#[tokio::test]
async fn one_resolver_that_fails_is_no_outage() {
    let good = DnsServer::start(one(60)).await;
    let silent = good.beside("127.0.0.2", |_, _| Reply::Silence).await;
    let broken = good.beside("127.0.0.3", |_, _| Reply::Code(ResponseCode::ServFail)).await;
    for bad in [&silent, &broken] {
        let resolv_conf = format!("nameserver {}\nnameserver 127.0.0.1\n", bad.address().ip());
        let resolver = Files::new(&resolv_conf, "", good.port()).resolver();
        for n in 0..5 {
            assert_eq!(addresses(&resolver, &format!("n{n}.test")).await, ["192.0.2.1"]);
        }
    }
    let resolv_conf = "nameserver 127.0.0.2\nnameserver 127.0.0.4\noptions timeout:1\n";
    let told = reason(&Files::new(resolv_conf, "", good.port()).resolver(), "x.test", good.port()).await;
    assert_eq!(told, "no resolver of 127.0.0.2:PORT, 127.0.0.4:PORT answers");
}

#[tokio::test]
async fn an_answer_too_long_for_udp_comes_over_tcp() {
    let many: Vec<_> = (0..100).map(|n| a(&format!("192.0.2.{n}"))).collect();
    let server = DnsServer::start(move |_, kind| match kind {
        RecordType::A => Reply::OverTcp(many.clone()),
        _ => Reply::Code(ResponseCode::NoError),
    })
    .await;
    assert_eq!(addresses(&Files::of(&server).resolver(), "many.test").await.len(), 100);
}
