//! Whatever Keystone answers, a probe comes to a verdict that is not our own failure and shows no password.
//!
//! The first byte chooses the version and the status, the rest is the body.

#![no_main]

#[path = "../serve.rs"]
mod serve;

use std::{path::Path, sync::Arc};

use libfuzzer_sys::fuzz_target;
use skypunch::{
    net::{Client, Resolver},
    probe::Probers,
};
use skypunch_actors::{
    domain::{Cause, Secret, TargetDefinition, TargetId},
    port::{Clock, Tracer, plan_probe},
    testing::TestClock,
};

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    let (version, status) =
        [("v2.0", "200 OK"), ("v3", "201 Created"), ("v3", "400 Bad Request"), ("v3", "401 Unauthorized")]
            [usize::from(choice % 4)];
    let head = format!("HTTP/1.1 {status}\r\nx-subject-token: t\r\ncontent-length: {}\r\n\r\n", body.len());
    // On IPv6, which is then all that the row allows: a catalogue must not lead to others.
    let port = serve::answering("::1", [head.as_bytes(), body].concat());
    let outcome = actix_rt::System::new().block_on(async {
        let nobody = Resolver::reading(Path::new("/dev/null"), Path::new("/dev/null"), 9);
        let client = Client::new(&[]).resolving_by(nobody);
        let probers = Probers::new("skypunch/fuzz", client).expect("it is fit for a header");
        let definition = TargetDefinition {
            authn: "OPENSTACK".to_owned(),
            authn_parms: Some(Secret::new(format!(
                "osauthendpoint=http://[::1]:{port}/{version},user=u,password=hunter2,tenantid=t,service=compute"
            ))),
            options: Some(Secret::new(r#"{"ip_protocol": "6", "cert_expiry_days": 1}"#)),
            ..TargetDefinition::new("home", "/servers")
        };
        let planned = plan_probe(&probers, TargetId(1), &definition).1;
        let prober = planned.expect("the row is right")();
        prober.probe(Tracer::start(&(Arc::new(TestClock::default()) as Arc<dyn Clock>))).await
    });
    assert_ne!(outcome.failure, Some(Cause::Internal), "{}", outcome.reason);
    assert!(!outcome.reason.contains("hunter2"), "{}", outcome.reason);
});
