//! Every kind of authentication against real servers: a real Keystone, and stand-ins where none will do.

use std::{fs, sync::Arc, thread, time::Duration};

use futures_util::future::join_all;
use skypunch::{net::Client, probe::Probers};
use skypunch_actors::{
    domain::{Cause, Fault, Outcome, Secret, TargetDefinition, TargetId},
    port::{Clock, Prober, Tracer, plan_probe},
    testing::TestClock,
};
use tokio::time::Instant;

use crate::support::{
    digest::DigestSite,
    http::{Act, Server, answer, send},
    keystone::{Keystone, PASSWORD},
    tls::Ca,
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";

/// The targets of one process, which share their tokens.
fn process() -> Probers {
    Probers::new("skypunch/test", Client::new(&[])).unwrap()
}

fn row(url: &str, authn: &str, parms: &str) -> TargetDefinition {
    let mut definition = TargetDefinition::new("guarded", url);
    definition.authn = authn.to_owned();
    definition.authn_parms = Some(Secret::new(parms));
    definition
}

fn prober(process: &Probers, definition: &TargetDefinition) -> Box<dyn Prober> {
    plan_probe(process, TargetId(1), definition).1.unwrap()()
}

fn tracer() -> Tracer {
    Tracer::start(&(Arc::new(TestClock::default()) as Arc<dyn Clock>))
}

/// Probes once, and sees to it that no secret of these tests is shown.
async fn probe(prober: &dyn Prober) -> Outcome {
    let outcome = prober.probe(tracer()).await;
    assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
    outcome
}

async fn look(definition: &TargetDefinition) -> Outcome {
    probe(&*prober(&process(), definition)).await
}

fn assert_pass(outcome: &Outcome) {
    assert_eq!((outcome.failure, outcome.reason.as_str()), (None, "200 OK"), "{}", outcome.trace);
}

fn assert_fail(outcome: &Outcome, cause: Cause, reason: &str) {
    assert_eq!((outcome.failure, outcome.reason.as_str()), (Some(cause), reason), "{}", outcome.trace);
}

fn has_step(outcome: &Outcome, step: &str) -> bool {
    outcome.trace.lines().any(|line| line.contains(step))
}

fn header(requests: &[String], name: &str) -> Vec<String> {
    let of = |request: &String| {
        let line = request.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")));
        line.map_or_else(String::new, |line| line[name.len() + 2..].to_owned())
    };
    requests.iter().map(of).collect()
}

fn json(status: &str, headers: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    answer(format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    ))
}

/// What Keystone v3 answers, with a lifetime of an hour.
fn v3_token() -> Vec<Act> {
    let times = r#""issued_at":"2013-11-22T12:00:00.000000Z","expires_at":"2013-11-22T13:00:00.000000Z""#;
    json("201 Created", "x-subject-token: hunter2-token\r\n", &format!(r#"{{"token":{{{times}}}}}"#))
}

fn v3_at(keystone: &Server) -> String {
    format!("osauthendpoint=http://{}/v3,user=admin,password=hunter2", keystone.address())
}

#[actix_rt::test]
async fn keystone_v3_opens_a_guarded_service() {
    let mut keystone = Keystone::start().await;
    let (_, about) = keystone.administrator();
    let project = about["project"]["id"].as_str().unwrap().to_owned();
    let user = about["user"]["id"].as_str().unwrap().to_owned();
    let (id, secret) = keystone.application_credential();
    let at = format!("osauthendpoint={}", keystone.url());
    let url = keystone.guarded_url();
    let mut expected = 0;
    for parms in [
        format!("{at},user=admin,password={PASSWORD},projectname=admin,projectdomain=Default"),
        format!("{at},userid={user},password={PASSWORD},projectid={project}"),
        format!("{at},user=admin,userdomainid=default,password={PASSWORD}"),
        format!("{at},applicationcredentialid={id},applicationcredentialsecret={secret}"),
    ] {
        let (process, row) = (process(), row(&url, "OPENSTACK", &parms));
        let first = prober(&process, &row);
        let outcome = probe(&*first).await;
        assert_pass(&outcome);
        assert!(
            has_step(&outcome, &format!("Token fetched from {} in", keystone.url())),
            "{}",
            outcome.trace
        );
        let outcome = probe(&*prober(&process, &row)).await;
        assert_pass(&outcome);
        assert!(has_step(&outcome, "Token from the cache"), "{}", outcome.trace);
        expected += 1;
        assert_eq!(keystone.fetches("skypunch/test"), expected);
        let shown = format!("{:?}", outcome);
        assert!(!shown.contains(&secret) && !shown.contains(&keystone.seen_token()));
    }

    let wrong = row(&url, "OPENSTACK", &format!("{at},user=admin,password=hunter2"));
    let refused = format!(
        "{} refused the credentials: 401 Unauthorized (The request you have made requires authentication.)",
        keystone.url()
    );
    let process = process();
    for _ in 0..3 {
        assert_fail(&probe(&*prober(&process, &wrong)).await, Cause::Auth, &refused);
    }

    let parms = format!("{at},user=admin,password={PASSWORD},projectname=admin");
    let guarded_row = row(&url, "OPENSTACK", &parms);
    let guarded = prober(&process, &guarded_row);
    assert_pass(&probe(&*guarded).await);
    let fetches = keystone.fetches("skypunch/test");
    keystone.revoke(&keystone.seen_token());
    let outcome = probe(&*guarded).await;
    assert_pass(&outcome);
    assert!(has_step(&outcome, "Token refused with 401"), "{}", outcome.trace);
    assert_eq!(keystone.fetches("skypunch/test"), fetches + 1);

    keystone.kill().await;
    let address = keystone.url().replace("http://", "").replace("/v3", "");
    let dead = format!("no token from {}: connection refused by {address}", keystone.url());
    let fresh = row(&url, "OPENSTACK", &format!("{parms},projectdomainid=default"));
    for _ in 0..100 {
        assert_fail(&probe(&*prober(&process, &fresh)).await, Cause::Auth, &dead);
    }
    let lifetime = 20;
    keystone.launch(lifetime).await;
    let fresh = prober(&process, &fresh);
    let begun = Instant::now();
    while probe(&*fresh).await.failure.is_some() {
        assert!(begun.elapsed() < Duration::from_secs(240), "Keystone is back and not asked");
    }

    // Over the end of a token's life: every probe passes.
    let fetches = keystone.fetches("skypunch/test");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs((lifetime + 1).into()) {
        assert_pass(&probe(&*fresh).await);
    }
    assert!(keystone.fetches("skypunch/test") > fetches);
}

#[actix_rt::test]
async fn the_catalogue_of_keystone_says_where_a_service_is() {
    let keystone = Keystone::start().await;
    let compute = format!("{}v2.1", keystone.guarded_url());
    keystone.list("compute", "RegionOne", "public", &format!("{compute}/"));
    let parms = format!("osauthendpoint={},user=admin,password={PASSWORD},projectname=admin", keystone.url());
    let process = process();
    let at = |path: &str, more: &str| {
        prober(&process, &row(path, "OPENSTACK", &format!("{parms},service={more}")))
    };
    let kept = at("/", "identity");
    let outcome = probe(&*at("/servers?limit=1", "compute,region=RegionOne,interface=public")).await;
    assert_pass(&outcome);
    assert_eq!(keystone.seen_path(), "/v2.1/servers");
    for step in [
        "Looking up /servers?limit=1 in the catalogue ....".to_owned(),
        format!("Token fetched from {} in", keystone.url()),
        format!("Connecting to {compute}/servers?… ...."),
    ] {
        assert!(has_step(&outcome, &step), "{step} is not in {}", outcome.trace);
    }
    assert_pass(&probe(&*at("/servers", "compute")).await);
    assert_pass(&probe(&*kept).await);
    let plain = row(&keystone.guarded_url(), "OPENSTACK", &parms);
    assert_pass(&probe(&*prober(&process, &plain)).await);

    for (more, what) in [
        ("image", "has no service `image`: it has compute, identity"),
        ("compute,region=Mars", "has no `compute` in the region `Mars`: it has RegionOne"),
        ("compute,interface=admin", "has no interface `admin` of `compute`: it has public"),
    ] {
        let reason = format!("the catalogue of {} {what}", keystone.url());
        assert_fail(&probe(&*at("/servers", more)).await, Cause::Auth, &reason);
    }
    assert_eq!(keystone.fetches("skypunch/test"), 1);
}

#[actix_rt::test]
async fn the_catalogue_of_v2_says_where_a_service_is() {
    let target = Server::start(answer(OK)).await;
    let url = format!("http://{}/v2/t1", target.address());
    let endpoint =
        format!(r#"{{"region":"RegionOne","publicURL":"http://127.0.0.1:9/","adminURL":"{url}"}}"#);
    let token =
        r#"{"id":"hunter2-token","issued_at":"2013-11-22T12:00:00.12","expires":"2013-11-22T13:00:00Z"}"#;
    let catalogue = format!(r#"[{{"type":"compute","name":"nova","endpoints":[{endpoint}]}}]"#);
    let body = format!(r#"{{"access":{{"token":{token},"serviceCatalog":{catalogue}}}}}"#);
    let keystone = Server::start(json("200 OK", "", &body)).await;
    let parms =
        format!("user=bob,password=hunter2,osauthendpoint=http://{}/v2.0,tenantid=t1", keystone.address());
    let at = |more: &str| row("/servers", "OPENSTACK", &format!("{parms},service=compute,{more}"));
    assert_pass(&look(&at("interface=admin,region=RegionOne")).await);
    assert!(target.requests()[0].starts_with("GET /v2/t1/servers HTTP/1.1\r\n"), "{:?}", target.requests());
    let reason = format!(
        "the catalogue of http://{}/v2.0 has no interface `internal` of `compute`: it has admin, public",
        keystone.address()
    );
    assert_fail(&look(&at("interface=internal")).await, Cause::Auth, &reason);
}

#[actix_rt::test]
async fn what_the_catalogue_gives_is_judged_as_a_url_of_the_row_is() {
    for (url, cause, reason) in [
        ("ftp://h/", Cause::Auth, "has no usable URL of `compute`: the scheme is neither http nor https"),
        ("http://bob:hunter2@h/", Cause::Auth, "has no usable URL of `compute`: holds credentials"),
        ("http://h/?x", Cause::Auth, "has no usable URL of `compute`: it ends in a query or a fragment"),
        (
            "http://127.0.0.1:9/v2",
            Cause::Config,
            "options: `cert_expiry_days` wants a url that begins with https://, and not",
        ),
    ] {
        let times = r#""issued_at":"2013-11-22T12:00:00.000000Z","expires_at":"2013-11-22T13:00:00.000000Z""#;
        let endpoint = format!(r#"{{"interface":"public","region":"R","url":"{url}"}}"#);
        let catalogue = format!(r#""catalog":[{{"type":"compute","endpoints":[{endpoint}]}}]"#);
        let body = format!(r#"{{"token":{{{times},{catalogue}}}}}"#);
        let keystone = Server::start(json("201 Created", "x-subject-token: hunter2-token\r\n", &body)).await;
        let mut row = row("/servers", "OPENSTACK", &format!("{},service=compute", v3_at(&keystone)));
        row.options = Some(Secret::new(r#"{"cert_expiry_days": 7}"#));
        let outcome = look(&row).await;
        assert_eq!(outcome.failure, Some(cause), "{}", outcome.reason);
        assert!(outcome.reason.contains(reason), "{}", outcome.reason);
    }
}

#[test]
fn a_path_and_a_service_go_together() {
    let faults = |url: &str, authn: &str, parms: &str| {
        let planned = plan_probe(&process(), TargetId(1), &row(url, authn, parms)).1;
        planned.err().map_or_else(String::new, |faults| Fault::join(&faults))
    };
    let parms = "osauthendpoint=http://h/v3,userid=u,password=hunter2";
    let with = format!("{parms},service=compute");
    assert_eq!(faults("/servers", "OPENSTACK", &with), "");
    assert_eq!(faults("https://h/servers", "OPENSTACK", parms), "");
    assert!(
        faults("/servers", "OPENSTACK", parms).starts_with("url: is a path, which needs authn OPENSTACK")
    );
    assert!(faults("/servers", "NONE", "").starts_with("url: is a path, which needs authn OPENSTACK"));
    assert!(faults("https://h/", "OPENSTACK", &with).starts_with("url: must be a path such as /servers"));
    assert!(faults("servers", "OPENSTACK", &with).starts_with("url: is not a URL that can be probed"));
}

#[actix_rt::test]
async fn keystone_v2_is_spoken_to_as_in_2013() {
    let token = r#"{"id":"hunter2-token","issued_at":"2013-11-22T12:00:00.12","expires":"2013-11-22T13:00:00Z",
        "tenant":{"id":"t1","name":"ops","enabled":true,"description":null}}"#;
    let body = format!(r#"{{"access":{{"token":{token},"user":{{"roles":[]}},"serviceCatalog":[]}}}}"#);
    let keystone = Server::start(json("200 OK", "vary: X-Auth-Token\r\n", &body)).await;
    let target = Server::start(answer(OK)).await;
    let parms =
        format!("user=bob,password=hunter2,osauthendpoint=http://{}/v2.0/,tenantid=t1", keystone.address());
    let outcome = look(&row(&format!("http://{}/", target.address()), "openstack", &parms)).await;
    assert_pass(&outcome);
    assert_eq!(header(&target.requests(), "x-auth-token"), ["hunter2-token"]);
    let [request] = &keystone.requests()[..] else { panic!("{:?}", keystone.requests()) };
    assert!(request.starts_with("POST /v2.0/tokens HTTP/1.1\r\n"), "{request}");
    let credentials = r#"{"username":"bob","password":"hunter2"}"#;
    let asked = format!(r#"{{"auth":{{"passwordCredentials":{credentials},"tenantId":"t1"}}}}"#);
    assert!(request.ends_with(&format!("\r\n\r\n{asked}")), "{request}");
}

#[actix_rt::test]
async fn a_thousand_targets_on_several_threads_fetch_one_token() {
    let keystone = Server::start(v3_token()).await;
    let target = Server::start(answer(OK)).await;
    let row = row(&format!("http://{}/", target.address()), "OPENSTACK", &v3_at(&keystone));
    let process = process();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (process, row) = (process.clone(), row.clone());
            thread::spawn(move || {
                actix_rt::System::new().block_on(async {
                    let probers: Vec<_> = (0..250).map(|_| prober(&process, &row)).collect();
                    join_all(probers.iter().map(|prober| probe(&**prober))).await
                })
            })
        })
        .collect();
    let outcomes = actix_rt::task::spawn_blocking(|| {
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let outcomes = outcomes.await.unwrap();
    assert_eq!(outcomes.len(), 1000);
    outcomes.iter().for_each(assert_pass);
    assert_eq!(keystone.requests().len(), 1);
}

#[actix_rt::test]
async fn a_row_that_trusts_the_wrong_authority_leaves_the_tokens_of_others_alone() {
    let (ca, other, folder) = (Ca::new(), Ca::new(), tempfile::tempdir().unwrap());
    let keystone = Server::start_tls(v3_token(), ca.server("localhost")).await;
    let target = Server::start(answer(OK)).await;
    let process = process();
    let trusting = |file: &str, ca: &Ca| {
        let path = folder.path().join(file);
        fs::write(&path, ca.pem()).unwrap();
        let at = format!("osauthendpoint=https://localhost:{}/v3", keystone.port());
        let url = format!("http://{}/", target.address());
        let mut row = row(&url, "OPENSTACK", &format!("{at},user=admin,password=hunter2"));
        row.options = Some(Secret::new(format!(r#"{{"tls": {{"ca_file": {path:?}}}}}"#)));
        prober(&process, &row)
    };
    let (right, wrong) = (trusting("right.pem", &ca), trusting("wrong.pem", &other));
    let reason = format!(
        "no token from https://localhost:{}/v3: certificate of localhost is not signed by ",
        keystone.port()
    );
    for step in ["Token fetched from", "Token from the cache", "Token from the cache"] {
        let outcome = probe(&*wrong).await;
        assert_eq!(outcome.failure, Some(Cause::Auth), "{}", outcome.reason);
        assert!(outcome.reason.starts_with(&reason), "{}", outcome.reason);
        let outcome = probe(&*right).await;
        assert_pass(&outcome);
        assert!(has_step(&outcome, step), "{step} is not in {}", outcome.trace);
    }
    assert_eq!(keystone.requests().len(), 1);
}

#[actix_rt::test]
async fn an_outage_of_keystone_is_one_reason_and_few_fetches() {
    let keystone = Server::start(answer("HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n")).await;
    let target = Server::start(answer(OK)).await;
    let row = row(&format!("http://{}/", target.address()), "OPENSTACK", &v3_at(&keystone));
    let process = process();
    let probers: Vec<_> = (0..100).map(|_| prober(&process, &row)).collect();
    let reason =
        format!("no token from http://{}/v3: it answered 503 Service Unavailable", keystone.address());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        for outcome in join_all(probers.iter().map(|prober| probe(&**prober))).await {
            assert_fail(&outcome, Cause::Auth, &reason);
            assert!(has_step(&outcome, "Authentication [FAIL] reason: no token from"), "{}", outcome.trace);
        }
    }
    // At once, after one second, and after two more.
    assert_eq!(keystone.requests().len(), 3);
    assert_eq!(target.requests().len(), 0);
}

#[actix_rt::test]
async fn each_way_that_a_token_fails_has_its_reason() {
    let html =
        format!("HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n<html>{}hunter2", "x".repeat(5000));
    let echo = r#"{"error":{"code":400,"title":"Bad\nRequest","message":"No\n hunter2 here, hunter2!"}}"#;
    let issued = r#"{"token":{"issued_at":"2013-11-22T12:00:00Z"}}"#;
    for (script, reason) in [
        (answer(html), "no token from KEYSTONE: it answered 404 Not Found, an HTML page of 5013 bytes"),
        (
            json("400 Bad Request", "", echo),
            "no token from KEYSTONE: it answered 400 Bad Request (No *** here, ***!)",
        ),
        (
            json("403 Forbidden", "", r#"{"error":{"message":"Disabled."}}"#),
            "KEYSTONE refused the credentials: 403 Forbidden (Disabled.)",
        ),
        (json("201 Created", "", issued), "malformed answer from KEYSTONE: no X-Subject-Token"),
        (
            json("201 Created", "x-subject-token: hunter2-token\r\n", issued),
            "malformed answer from KEYSTONE: no `expires_at` of its token",
        ),
        (answer(OK), "malformed answer from KEYSTONE: no JSON, a text of 2 bytes"),
        (
            vec![Act::Read, send("HTTP/1.1 200 OK\r\n\r\n"), Act::Flood(b"hunter2".repeat(1000))],
            "malformed answer from KEYSTONE: more than 1048576 bytes",
        ),
        (vec![Act::Read], "no token from KEYSTONE: closed by ADDRESS before a response came"),
        (
            answer("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhunter"),
            "no token from KEYSTONE: body ended after 6 of 9 bytes",
        ),
    ] {
        let keystone = Server::start(script).await;
        let outcome = look(&row("http://127.0.0.1:9/", "OPENSTACK", &v3_at(&keystone))).await;
        let address = keystone.address().to_string();
        let reason = reason.replace("KEYSTONE", &format!("http://{address}/v3")).replace("ADDRESS", &address);
        assert_fail(&outcome, Cause::Auth, &reason);
    }
}

#[actix_rt::test]
async fn a_silent_keystone_is_waited_for_no_longer_than_the_target_may_take() {
    let keystone = Server::start(vec![Act::Read, Act::Hang]).await;
    let mut row = row("http://127.0.0.1:9/", "OPENSTACK", &v3_at(&keystone));
    row.timeout = 1;
    let process = process();
    let reason = format!("no answer within 1 s: waiting for the token of http://{}/v3", keystone.address());
    for _ in 0..2 {
        assert_fail(&probe(&*prober(&process, &row)).await, Cause::Auth, &reason);
    }
    assert_eq!(keystone.requests().len(), 1);
}

#[actix_rt::test]
async fn a_target_that_always_answers_401_is_asked_again_once() {
    let keystone = Server::start(v3_token()).await;
    let target = Server::start(answer(UNAUTHORIZED)).await;
    let row = row(&format!("http://{}/", target.address()), "OPENSTACK", &v3_at(&keystone));
    let prober = prober(&process(), &row);
    assert_fail(&probe(&*prober).await, Cause::Status, "status 401, expected 200");
    assert_eq!((keystone.requests().len(), target.requests().len()), (2, 2));
}

#[actix_rt::test]
async fn what_the_row_names_and_is_not_there_is_a_fault_of_the_row() {
    let parms = "osauthendpoint=http://127.0.0.1:9/v3,user=a,password=env:SKYPUNCH_NO_SUCH";
    let outcome = look(&row("http://127.0.0.1:9/", "OPENSTACK", parms)).await;
    let reason =
        "authn_parms: password: the environment variable SKYPUNCH_NO_SUCH is not set, or is not UTF-8";
    assert_fail(&outcome, Cause::Config, reason);
}

#[actix_rt::test]
async fn bearer_and_basic_are_refused_at_once() {
    let target = Server::start(answer(UNAUTHORIZED)).await;
    for (authn, parms) in [("BEARER", "token=hunter2"), ("BASIC", "user=bob,password=hunter2")] {
        let outcome = look(&row(&format!("http://{}/", target.address()), authn, parms)).await;
        assert_fail(&outcome, Cause::Status, "status 401, expected 200");
    }
    let sent = header(&target.requests(), "authorization");
    assert_eq!(sent, ["Bearer hunter2", "Basic Ym9iOmh1bnRlcjI="]);
}

#[actix_rt::test]
async fn oauth2_shows_its_client_and_sends_the_token() {
    let body = r#"{"access_token":"hunter2-token","token_type":"Bearer","expires_in":3600}"#;
    let issuer = Server::start(json("200 OK", "", body)).await;
    let target = Server::start(answer(OK)).await;
    let url = format!("http://{}/", target.address());
    let parms = format!(
        "token_url=http://{}/oauth/token,client_id=sky,client_secret=hunter2,scope=read write",
        issuer.address()
    );
    let process = process();
    for _ in 0..2 {
        assert_pass(&probe(&*prober(&process, &row(&url, "OAUTH2", &parms))).await);
    }
    assert_eq!(header(&target.requests(), "authorization"), ["Bearer hunter2-token"; 2]);
    let requests = issuer.requests();
    assert_eq!(header(&requests, "authorization").len(), 2);
    assert!(requests[0].ends_with("\r\n\r\ngrant_type=client_credentials&scope=read+write"), "{requests:?}");

    let refusing =
        json("401 Unauthorized", "", r#"{"error":"invalid_client","error_description":"hunter2?"}"#);
    let issuer = Server::start(refusing).await;
    let token_url = format!("http://{}/oauth/token", issuer.address());
    let parms = format!("token_url={token_url},client_id=sky,client_secret=hunter2");
    let reason = format!("{token_url} refused the credentials: 401 Unauthorized (***?)");
    assert_fail(&look(&row(&url, "OAUTH2", &parms)).await, Cause::Auth, &reason);
}

#[actix_rt::test]
async fn digest_opens_a_site_that_hashes_by_itself() {
    for algorithm in ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess"] {
        let site = DigestSite::start(algorithm);
        let bob = prober(&process(), &row(&site.url(), "DIGEST", "user=bob,password=hunter2"));
        let outcome = probe(&*bob).await;
        assert_pass(&outcome);
        let met = format!("Digest challenge [OK] {algorithm}");
        assert!(outcome.trace.lines().any(|line| line.ends_with(&met)), "{}", outcome.trace);
        let outcome = probe(&*bob).await;
        assert_pass(&outcome);
        assert!(!has_step(&outcome, "Digest challenge"), "{}", outcome.trace);
        let wrong = look(&row(&site.url(), "DIGEST", "user=bob,password=hunter22")).await;
        assert_fail(&wrong, Cause::Status, "status 401, expected 200");
    }
}
