//! Rows of HTTP targets, and what their probes find.

use std::{sync::Arc, time::Duration};

use rustls::pki_types::CertificateDer;
use serde_json::Value;
use skypunch::{net::Client, probe::Probers};
use skypunch_actors::{
    domain::{Cause, Fault, Outcome, Secret, TargetDefinition, TargetId},
    port::{Clock, Prober, ProberFactory, Tracer, plan_probe},
    testing::TestClock,
};

use super::{http::Server, tls::Ca};

/// A tracer of a probe that begins now.
pub fn tracer() -> Tracer {
    Tracer::start(&(Arc::new(TestClock::default()) as Arc<dyn Clock>))
}

/// A row, and who its prober trusts.
pub struct Row {
    /// The row.
    pub definition: TargetDefinition,
    /// Who its prober trusts.
    pub roots: Vec<CertificateDer<'static>>,
    /// Shorter than a row may have it.
    pub timeout: Option<Duration>,
}

impl Row {
    /// A row with its defaults, whose prober trusts nobody.
    pub fn new(url: impl Into<String>) -> Self {
        let definition = TargetDefinition::new("home", url);
        Self { definition, roots: Vec::new(), timeout: None }
    }

    /// A row for a plain server.
    pub fn at(server: &Server) -> Self {
        Self::new(format!("http://{}/", server.address()))
    }

    /// A row for a TLS server, under a name of it.
    pub fn tls(server: &Server, host: &str, ca: &Ca) -> Self {
        let row = Self::new(format!("https://{host}:{}/", server.port()));
        Self { roots: ca.roots(), ..row }
    }

    /// With a method.
    pub fn method(mut self, method: &str) -> Self {
        self.definition.method = method.to_owned();
        self
    }

    /// With statuses that pass.
    pub fn expecting(mut self, pass_result: &str) -> Self {
        self.definition.pass_result = pass_result.to_owned();
        self
    }

    /// With BASIC credentials.
    pub fn basic(mut self, parms: &str) -> Self {
        self.definition.authn = "BASIC".to_owned();
        self.definition.authn_parms = Some(Secret::new(parms));
        self
    }

    /// With options.
    pub fn options(mut self, options: Value) -> Self {
        self.definition.options = Some(Secret::new(options.to_string()));
        self
    }

    /// Shorter than a row may have it.
    pub fn within(self, millis: u64) -> Self {
        Self { timeout: Some(Duration::from_millis(millis)), ..self }
    }

    /// Its prober.
    pub fn prober(&self) -> Box<dyn Prober> {
        let probers = Probers::new("skypunch/test", Client::new(&self.roots)).unwrap();
        let Some(timeout) = self.timeout else {
            return plan_probe(&probers, TargetId(1), &self.definition).1.unwrap()();
        };
        let (mut target, _) = self.definition.read(TargetId(1));
        target.timeout = timeout;
        probers.prepare(&self.definition, &target).unwrap()()
    }

    /// Probes once.
    pub async fn probe(&self) -> Outcome {
        self.prober().probe(tracer()).await
    }

    /// What is wrong with it.
    pub fn faults(&self) -> String {
        let probers = Probers::new("skypunch/test", Client::new(&self.roots)).unwrap();
        let planned = plan_probe(&probers, TargetId(1), &self.definition).1;
        planned.err().map_or_else(String::new, |faults| Fault::join(&faults))
    }
}

/// An answer that passes.
pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// The steps of a trace without their times, and with every port as `PORT`.
pub fn steps(outcome: &Outcome) -> String {
    let lines: Vec<String> = outcome.trace.lines().map(|line| line[16..].to_owned()).collect();
    without_ports(&lines.join("\n"))
}

/// A text with every port of 127.0.0.1 as `PORT`.
pub fn without_ports(text: &str) -> String {
    let mut shown = String::new();
    for (n, part) in text.split("127.0.0.1:").enumerate() {
        if n == 0 {
            shown.push_str(part);
        } else {
            shown.push_str("127.0.0.1:PORT");
            shown.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
    }
    shown
}

/// It passed, for this reason.
pub fn assert_pass(outcome: &Outcome, reason: &str) {
    assert_eq!((outcome.failure, outcome.reason.as_str()), (None, reason), "{}", outcome.trace);
}

/// It failed with this cause, for this reason.
pub fn assert_fail(outcome: &Outcome, cause: Cause, reason: &str) {
    let found = (outcome.failure, without_ports(&outcome.reason));
    assert_eq!(found, (Some(cause), reason.to_owned()), "{}", outcome.trace);
}
