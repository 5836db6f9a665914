//! `http` and `https`: one request over a fresh connection, judged by the status of its answer.
//!
//! Everything from DNS to the last byte of the body happens within the target's timeout. Redirects are
//! not followed. The body is read up to `body_limit`; one that ends too soon is a failure, a longer one is
//! not.

mod config;
mod options;
mod scrub;

use std::rc::Rc;

use actix_http::StatusCode;
use futures_util::future::LocalBoxFuture;
use skypunch_actors::{
    domain::{Cause, Fault, Outcome, PassResult, Target, TargetDefinition},
    port::{Prober, ProberBuilder, Tracer},
};
use tokio::time::timeout_at;

use self::{config::Config, scrub::Secrets};
use super::Probers;
use crate::net::{Client, NetError, Progress, Request, Session};

/// Reads a row, or names all that is wrong with it.
pub(super) fn prepare(
    probers: &Probers,
    definition: &TargetDefinition,
    target: &Target,
) -> Result<ProberBuilder, Vec<Fault>> {
    let config = Config::read(definition, target, &probers.user_agent)?;
    let client = match &config.options.tls {
        Some(options) => probers.client.with_tls(options),
        None => probers.client.clone(),
    };
    let client = client.over(config.options.ip_protocol);
    Ok(Box::new(move || Box::new(HttpProber(Rc::new(Probe::new(config, client))))))
}

struct HttpProber(Rc<Probe>);

impl Prober for HttpProber {
    fn probe(&self, tracer: Tracer) -> LocalBoxFuture<'static, Outcome> {
        let probe = Rc::clone(&self.0);
        Box::pin(async move { probe.run(tracer).await })
    }
}

/// A row made ready, on the thread where it is probed.
struct Probe {
    client: Client,
    request: Request,
    secrets: Secrets,
    config: Config,
}

/// What is known of a probe while it goes on, and holds where its time runs out.
struct Sight {
    progress: Progress,
    status: Option<StatusCode>,
    secrets: Secrets,
}

/// Why a probe failed.
type Failure = (Cause, String);

impl Probe {
    fn new(config: Config, client: Client) -> Self {
        Self { client, request: config.request(), secrets: config.secrets(), config }
    }

    async fn run(&self, tracer: Tracer) -> Outcome {
        let deadline = tracer.begun() + self.config.timeout;
        let progress = Progress::new(tracer);
        let mut sight = Sight { progress, status: None, secrets: self.secrets.clone() };
        sight.progress.step(format!("Connecting to {} ....", self.config.url));
        let found = match timeout_at(deadline, self.look(&mut sight)).await {
            Ok(found) => found,
            Err(_) => {
                let limit = self.config.timeout.as_secs_f64();
                Err((Cause::Timeout, format!("no answer within {limit} s: {}", sight.progress.stage())))
            }
        };
        let Sight { mut progress, status, secrets } = sight;
        let outcome = match found {
            Ok(reason) => Outcome::pass(reason),
            Err((cause, reason)) => {
                let reason = secrets.scrub(&reason);
                let phase = if progress.is_connected() { "Response" } else { "Connection" };
                progress.step(format!("{phase} [FAIL] reason: {reason}"));
                Outcome::fail(cause, reason)
            }
        };
        let (timings, trace) = progress.finish();
        Outcome { http_status: status.map(|status| status.as_u16()), timings, trace, ..outcome }
    }

    /// The status is noted as soon as it is known, since the body may outlast the deadline.
    async fn look(&self, sight: &mut Sight) -> Result<String, Failure> {
        let request = self.authorize(self.request.clone(), &mut sight.secrets).await?;
        let answer = self.client.send(request, &mut sight.progress).await.map_err(failure)?;
        sight.status = Some(answer.status);
        judge(&self.config.expected, answer.status)?;
        let reason = sight.secrets.scrub(&answer.status_line()).into_owned();
        sight.progress.step(format!("Response [OK] {reason}"));
        let options = &self.config.options;
        let expiring = self.expiring(answer.session.as_ref());
        answer.read(options.body_limit, &mut sight.progress).await.map_err(failure)?;
        if let Some(reason) = expiring {
            return Err((Cause::Tls, reason));
        }
        let findings: Vec<String> = self.slow(&sight.progress).into_iter().collect();
        if findings.is_empty() {
            return Ok(reason);
        }
        Err((Cause::Assertion, findings.join("; ")))
    }

    async fn authorize(&self, request: Request, secrets: &mut Secrets) -> Result<Request, Failure> {
        let credentials = self.config.auth.header().await.map_err(|e| (e.cause, e.to_string()))?;
        let Some((name, value)) = credentials else { return Ok(request) };
        secrets.add_header(&value);
        Ok(request.header(name, value))
    }

    /// Any certificate of the chain counts: clients lose their trust with the first that expires.
    fn expiring(&self, session: Option<&Session>) -> Option<String> {
        let limit = self.config.options.cert_expiry_days?;
        session?.certificates.iter().find_map(|certificate| certificate.expires_within(limit))
    }

    fn slow(&self, progress: &Progress) -> Option<String> {
        let allowed = self.config.options.max_response_ms?;
        let took = progress.elapsed().as_secs_f64() * 1000.0;
        (took > allowed as f64).then(|| format!("answered in {took:.1} ms, more than {allowed} ms"))
    }
}

fn failure(error: NetError) -> Failure {
    (error.cause(), error.to_string())
}

fn judge(expected: &PassResult, status: StatusCode) -> Result<(), Failure> {
    if expected.expects(status.as_u16()) {
        return Ok(());
    }
    Err((Cause::Status, format!("status {}, expected {expected}", status.as_u16())))
}
