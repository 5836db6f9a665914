//! Whatever a server answers, in either version of HTTP, a probe comes to a verdict that is not our own failure.

#![no_main]

#[path = "../serve.rs"]
mod serve;

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use skypunch::{net::Client, probe::Probers};
use skypunch_actors::{
    domain::{Cause, Secret, TargetDefinition, TargetId},
    port::{Clock, Tracer, plan_probe},
    testing::TestClock,
};

fuzz_target!(|answer: &[u8]| {
    let port = serve::answering("127.0.0.1", answer.to_vec());
    for version in ["1.1", "2"] {
        let outcome = actix_rt::System::new().block_on(async {
            let probers = Probers::new("skypunch/fuzz", Client::new(&[])).expect("it is fit for a header");
            let options = format!(r#"{{"http_version": "{version}", "connection": "reuse"}}"#);
            let definition = TargetDefinition {
                options: Some(Secret::new(options)),
                ..TargetDefinition::new("home", format!("http://127.0.0.1:{port}/"))
            };
            let planned = plan_probe(&probers, TargetId(1), &definition).1;
            let prober = planned.expect("the row has nothing wrong")();
            prober.probe(Tracer::start(&(Arc::new(TestClock::default()) as Arc<dyn Clock>))).await
        });
        assert_ne!(outcome.failure, Some(Cause::Internal), "{}", outcome.reason);
        assert_ne!(outcome.failure, Some(Cause::Timeout), "{}", outcome.reason);
    }
});
