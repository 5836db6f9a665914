//! `http` and `https`: one request over a fresh connection, judged by the status of its answer.
//!
//! Everything from DNS to the last byte of the body happens within the target's timeout. Redirects are
//! not followed. The body is read up to 1 MiB; one that ends too soon is a failure, a longer one is not.

mod config;

use std::rc::Rc;

use actix_http::StatusCode;
use futures_util::future::LocalBoxFuture;
use skypunch_actors::{
    domain::{Cause, Fault, Outcome, PassResult, Target, TargetDefinition},
    port::{Prober, ProberBuilder, Tracer},
};
use tokio::time::timeout_at;

use self::config::Config;
use super::{Probers, auth::Asked};
use crate::net::{Answer, Client, NetError, Progress, Request};

/// The most of a body that is read, in bytes.
const BODY_LIMIT: usize = 1 << 20;

/// Reads a row, or names all that is wrong with it.
pub(super) fn prepare(
    probers: &Probers,
    definition: &TargetDefinition,
    target: &Target,
) -> Result<ProberBuilder, Vec<Fault>> {
    let config = Config::read(definition, target, &probers.user_agent, &probers.means())?;
    let client = probers.client.clone();
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
    config: Config,
}

/// Why a probe failed.
type Failure = (Cause, String);

impl Probe {
    fn new(config: Config, client: Client) -> Self {
        Self { client, request: config.request(), config }
    }

    async fn run(&self, tracer: Tracer) -> Outcome {
        let deadline = tracer.begun() + self.config.timeout;
        let mut progress = Progress::new(tracer);
        let mut status = None;
        progress.step(format!("Connecting to {} ....", self.config.url));
        let found = match timeout_at(deadline, self.look(&mut progress, &mut status)).await {
            Ok(found) => found,
            Err(_) => {
                let limit = self.config.timeout.as_secs_f64();
                Err((Cause::Timeout, format!("no answer within {limit} s: {}", progress.stage())))
            }
        };
        let outcome = match found {
            Ok(reason) => Outcome::pass(reason),
            Err((cause, reason)) => {
                let phase = match cause {
                    Cause::Auth | Cause::Config => "Authentication",
                    _ if progress.is_connected() => "Response",
                    _ => "Connection",
                };
                progress.step(format!("{phase} [FAIL] reason: {reason}"));
                Outcome::fail(cause, reason)
            }
        };
        let (timings, trace) = progress.finish();
        Outcome { http_status: status.map(|status: StatusCode| status.as_u16()), timings, trace, ..outcome }
    }

    /// The status is noted as soon as it is known, since the body may outlast the deadline.
    async fn look(
        &self,
        progress: &mut Progress,
        status: &mut Option<StatusCode>,
    ) -> Result<String, Failure> {
        let mut answer = self.send(progress, status).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.config.auth.refused(&answer.headers, progress) {
            drop(answer);
            answer = self.send(progress, status).await?;
        }
        judge(&self.config.expected, answer.status)?;
        let reason = answer.status_line();
        progress.step(format!("Response [OK] {reason}"));
        answer.read(BODY_LIMIT, progress).await.map_err(failure)?;
        Ok(reason)
    }

    async fn send(
        &self,
        progress: &mut Progress,
        status: &mut Option<StatusCode>,
    ) -> Result<Answer, Failure> {
        let (timeout, deadline) = (self.config.timeout, progress.begun() + self.config.timeout);
        let (method, target) = (self.request.method(), self.request.target());
        let asked = Asked { method, target, deadline, timeout };
        let credentials = self.config.auth.authorize(asked, progress).await;
        let mut request = self.request.clone();
        if let Some((name, value)) = credentials.map_err(|e| (e.cause, e.to_string()))? {
            request = request.header(name, value);
        }
        let answer = self.client.send(request, progress).await.map_err(failure)?;
        *status = Some(answer.status);
        Ok(answer)
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
