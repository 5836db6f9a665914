//! The seeds of the fuzz targets, each played once as the fuzzer would.

use std::fs;

use serde_json::json;
use skypunch::{
    control::protocol::{read_reply, read_request, response_line},
    journal::codec,
    net::Client,
    probe::Probers,
};
use skypunch_actors::{
    domain::{Cause, Secret, TargetDefinition, TargetId},
    port::plan_probe,
};

use crate::{
    repository::root,
    support::{
        dns::{DnsServer, Reply},
        http::{Act, Server},
        row::Row,
    },
};

/// The most seeds that are played, so that what a fuzzer found does not make the tests slow.
const SEEDS_MAX: usize = 200;

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(root().join("tests/fuzz/corpus").join(target)).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().take(SEEDS_MAX).map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect()
}

#[test]
fn every_seed_of_a_row_is_a_target_or_is_refused() {
    let probers = Probers::new("skypunch/test", Client::new(&[])).unwrap();
    for (_, seed) in seeds("row") {
        let text = String::from_utf8_lossy(&seed);
        let mut columns = text.splitn(6, '\n');
        let mut next = || columns.next().unwrap_or_default().to_owned();
        let definition = TargetDefinition {
            method: next(),
            authn: next(),
            authn_parms: Some(Secret::new(next())),
            pass_result: next(),
            url: Secret::new(next()),
            options: Some(Secret::new(next())),
            ..TargetDefinition::new("home", "")
        };
        drop(plan_probe(&probers, TargetId(1), &definition));
    }
}

#[actix_rt::test]
async fn every_seed_of_an_answer_comes_to_a_verdict() {
    for (path, seed) in seeds("answer") {
        let server = Server::start(vec![Act::Take, Act::Send(seed)]).await;
        for version in ["1.1", "2"] {
            let outcome = Row::at(&server).options(json!({"http_version": version})).probe().await;
            let by_the_server = [None, Some(Cause::Protocol), Some(Cause::Status)];
            assert!(by_the_server.contains(&outcome.failure), "{path}: {}", outcome.reason);
        }
    }
}

#[test]
fn every_seed_of_the_journal_is_read_again_as_it_was_written_or_is_refused() {
    let mut read = 0;
    for (path, seed) in seeds("journal") {
        if let Ok(batch) = codec::read_batch(codec::FORMAT, &seed) {
            assert_eq!(codec::write_batch(&batch), seed, "{path}");
            read += 1;
        }
        if let Ok(news) = codec::read_notification(codec::FORMAT, &seed) {
            assert_eq!(codec::write_notification(&news), seed, "{path}");
            read += 1;
        }
    }
    assert!(read >= 4, "{read}");
}

#[test]
fn every_seed_of_the_control_socket_is_a_request_or_an_error_of_the_standard() {
    for (path, seed) in seeds("control") {
        let line = String::from_utf8_lossy(&seed);
        drop(read_reply(&line));
        if let Err((id, error)) = read_request(&line) {
            assert!((-32_700..=-32_600).contains(&error.code), "{path}: {error}");
            assert!(read_reply(&response_line(&id, Err(error))).is_some(), "{path}");
        }
    }
}

#[actix_rt::test]
async fn every_seed_of_keystone_comes_to_a_verdict_without_the_password() {
    for (path, seed) in seeds("keystone") {
        let (choice, body) = seed.split_first().unwrap();
        let (version, status) = keystone(*choice);
        let head =
            format!("HTTP/1.1 {status}\r\nx-subject-token: t\r\ncontent-length: {}\r\n\r\n", body.len());
        let server = Server::start(vec![Act::Read, Act::Send([head.as_bytes(), body].concat())]).await;
        let mut row = Row::new("/servers").options(json!({"ip_protocol": "4", "cert_expiry_days": 1}));
        row.definition.authn = "OPENSTACK".to_owned();
        row.definition.authn_parms = Some(Secret::new(format!(
            "osauthendpoint=http://{}/{version},user=u,password=hunter2,tenantid=t,service=compute",
            server.address()
        )));
        let outcome = row.probe().await;
        let by_keystone = [Some(Cause::Auth), Some(Cause::Config)];
        assert!(by_keystone.contains(&outcome.failure), "{path}: {}", outcome.reason);
        assert!(!outcome.reason.contains("hunter2"), "{path}: {}", outcome.reason);
    }
}

/// What the first byte of a seed of Keystone says: who is asked, and what the answer is called.
fn keystone(choice: u8) -> (&'static str, &'static str) {
    [("v2.0", "200 OK"), ("v3", "201 Created"), ("v3", "400 Bad Request"), ("v3", "401 Unauthorized")]
        [usize::from(choice % 4)]
}

#[actix_rt::test]
async fn every_seed_of_dns_comes_to_a_verdict() {
    for (path, seed) in seeds("dns") {
        let (choice, packet) = seed.split_first().unwrap();
        let kind = ["A", "AAAA", "CAA", "CNAME", "MX", "SOA", "SRV", "TXT"][usize::from(choice % 8)];
        let packet = packet.to_vec();
        let server = DnsServer::start(move |_, _| Reply::Raw(packet.clone())).await;
        let outcome = Row::new(format!("dns://{}/example.org?type={kind}", server.address())).probe().await;
        let by_the_server =
            [None, Some(Cause::Status), Some(Cause::Assertion), Some(Cause::Protocol), Some(Cause::Connect)];
        assert!(by_the_server.contains(&outcome.failure), "{path}: {}", outcome.reason);
    }
}
