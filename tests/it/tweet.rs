//! Tweets, against a stand-in for X that verifies who sends them.

use std::{sync::Arc, time::Duration};

use skypunch::{clock::SystemClock, sink::Sinks};
use skypunch_actors::{
    domain::{
        Alert, AlertTarget, Cause, Event, Fault, Notification, NotifierDefinition, NotifierId, Outcome,
        Params, Secret, Status, Tally, TargetDefinition, TargetId,
    },
    port::{Clock, Receipt, Sink, SinkError, SinkFactory},
    testing::TestClock,
};
use time::OffsetDateTime;

use crate::support::{
    http::{Act, Server, answer},
    x::{PARAMS, X},
};

fn notification(at: OffsetDateTime, reason: &str) -> Notification {
    let target = TargetDefinition::new("Zürich", "http://localhost:81/").read(TargetId(8)).0;
    Notification::new(
        NotifierId(1),
        Arc::new(Alert {
            event: Event::Fail,
            at,
            target: AlertTarget::from(&target),
            status: Status::Fail,
            previous_status: Status::Pass,
            incident: None,
            outcome: Arc::new(Outcome::fail(Cause::Connect, reason)),
            tally: Tally::default(),
        }),
    )
}

fn plan(clock: Arc<dyn Clock>, address: &str, params: &str) -> Result<Box<dyn Sink>, String> {
    let mut definition = NotifierDefinition::new("ops", "tweet", address);
    definition.params = Secret::new(params);
    let params = Params::parse(params).unwrap();
    let builder = Sinks::new(Vec::new(), clock).prepare(&definition, &params);
    builder.map(|builder| builder()).map_err(|faults| Fault::join(&faults))
}

/// The parameters of somebody whom X knows.
fn known_at(url: &str) -> String {
    let mut params: serde_json::Value = serde_json::from_str(PARAMS).unwrap();
    params["endpoint"] = url.into();
    params.to_string()
}

#[actix_rt::test]
async fn a_tweet_is_taken_once_from_whom_x_knows() {
    let x = X::start();
    let sink = plan(Arc::new(SystemClock), "@ops", &known_at(&x.url())).unwrap();
    let now = SystemClock.now();
    let (first, later) =
        (notification(now, "refused"), notification(now + Duration::from_secs(1), "refused"));
    assert_eq!(sink.deliver(&first).await, Ok(Receipt("201 Created: tweet 1".into())));
    let SinkError::Permanent(reason) = sink.deliver(&first).await.unwrap_err() else {
        panic!("the same text is refused for good");
    };
    assert!(reason.starts_with("X answered 403 Forbidden: You are not allowed"), "{reason}");
    assert_eq!(
        sink.deliver(&later).await,
        Ok(Receipt("201 Created: tweet 2".into())),
        "the time tells them apart"
    );
    let long = notification(now, &"東京 @everyone https://example.org/a ".repeat(20));
    assert_eq!(sink.deliver(&long).await, Ok(Receipt("201 Created: tweet 3".into())));
}

#[actix_rt::test]
async fn what_x_does_not_believe_is_refused_with_the_likely_cause() {
    let x = X::start();
    let known = known_at(&x.url());
    let stale: Arc<dyn Clock> = Arc::new(TestClock::default());
    for (clock, params) in [
        (Arc::new(SystemClock) as Arc<dyn Clock>, known.replace("cs %2B", "hunter2")),
        (Arc::new(SystemClock), known.replace("ats/+=", "hunter2")),
        (Arc::new(SystemClock), known.replace("7-at~", "hunter2")),
        (stale, known),
    ] {
        let sink = plan(clock, "", &params).unwrap();
        let error = sink.deliver(&notification(SystemClock.now(), "refused")).await.unwrap_err();
        let told =
            "X answered 401 Unauthorized: Unauthorized; check the four keys, and the clock of this machine";
        assert_eq!(error, SinkError::Permanent(told.into()));
    }
}

#[actix_rt::test]
async fn a_limit_is_waited_for() {
    let x = X::start();
    let sink = plan(Arc::new(SystemClock), "", &known_at(&x.url())).unwrap();
    let error = sink.deliver(&notification(SystemClock.now(), "over the limit")).await.unwrap_err();
    let SinkError::Transient { reason, retry_after } = error else {
        panic!("it may be taken later");
    };
    assert_eq!(reason, "X answered 429 Too Many Requests: Too Many Requests");
    let wait = retry_after.unwrap().as_secs();
    assert!((540..=600).contains(&wait), "{wait}");
}

#[actix_rt::test]
async fn no_key_is_shown() {
    let echo = "7-at~ ats/+= cs %2B ck-+/&=";
    let echoing = format!("HTTP/1.1 500 Oops\r\ncontent-length: {}\r\n\r\n{echo}", echo.len());
    for script in [answer(echoing), vec![Act::Read, Act::Reset]] {
        let server = Server::start(script).await;
        let sink =
            plan(Arc::new(SystemClock), "", &known_at(&format!("http://{}/", server.address()))).unwrap();
        let error = sink.deliver(&notification(SystemClock.now(), "x")).await.unwrap_err();
        assert!(matches!(error, SinkError::Transient { .. }), "{error}");
        let told = format!("{error} {error:?}");
        assert!(!echo.split(' ').any(|key| told.contains(key)), "{told}");
    }
}

#[test]
fn each_way_to_be_wrong_is_named() {
    let faults =
        |address, params: &str| plan(Arc::new(SystemClock), address, params).err().unwrap_or_default();
    assert_eq!(faults("", PARAMS), "");
    assert_eq!(faults("ops", PARAMS), "");
    assert_eq!(faults("@ops @boss", PARAMS), "address: must be one @handle or #tag, or empty");
    assert_eq!(
        faults(
            "",
            "consumer_key=hunter2,consumer_secret=hunter2,acces_token=hunter2,endpoint=https://h/?a=b"
        ),
        "params: `acces_token` is not known: consumer_key, consumer_secret, access_token, \
         access_token_secret, endpoint; params: `access_token` is missing; \
         params: `access_token_secret` is missing; params: `endpoint` may have no query"
    );
}
