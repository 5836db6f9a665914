//! `http` and `https`: one request over a fresh connection, judged by its answer.
//!
//! Everything from DNS to the last byte of the body happens within the target's timeout. The body is read up to
//! `body_limit`; one that ends too soon is a failure, a longer one is not. Redirects are followed only where
//! `follow_redirects` says so: then each timing is the sum over all hops, and what the row sends in confidence
//! (credentials, headers of its own) stays with the scheme, host and port of its URL. A body goes along where the
//! method does, as 307 and 308 have it.
//!
//! What fails is judged in this order: connection, status, body, `cert_expiry_days`; then `max_response_ms` and
//! the assertions, which are all looked at and named together.

mod assertion;
mod config;
mod hop;
mod json_assertion;
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

use self::{
    assertion::{Assertion, Evidence},
    config::Config,
    scrub::Secrets,
};
use super::Probers;
use crate::net::{Answer, Client, NetError, Progress, Request, Session};

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
    /// What is wrong with a certificate that was shown, though it is still good.
    expiring: Option<String>,
}

/// Why a probe failed.
type Failure = (Cause, String);

impl Probe {
    fn new(config: Config, client: Client) -> Self {
        Self { client, request: config.request(&config.first_hop()), secrets: config.secrets(), config }
    }

    async fn run(&self, tracer: Tracer) -> Outcome {
        let deadline = tracer.begun() + self.config.timeout;
        let progress = Progress::new(tracer);
        let mut sight = Sight { progress, status: None, secrets: self.secrets.clone(), expiring: None };
        sight.progress.step(format!("Connecting to {} ....", self.config.url));
        let found = match timeout_at(deadline, self.look(&mut sight)).await {
            Ok(found) => found,
            Err(_) => {
                let limit = self.config.timeout.as_secs_f64();
                Err((Cause::Timeout, format!("no answer within {limit} s: {}", sight.progress.stage())))
            }
        };
        let Sight { mut progress, status, .. } = sight;
        let outcome = match found {
            Ok(reason) => Outcome::pass(reason),
            Err((cause, reason)) => {
                let phase = if progress.is_connected() { "Response" } else { "Connection" };
                progress.step(format!("{phase} [FAIL] reason: {reason}"));
                Outcome::fail(cause, reason)
            }
        };
        let (timings, trace) = progress.finish();
        Outcome { http_status: status.map(|status| status.as_u16()), timings, trace, ..outcome }
    }

    /// Looks, and judges what is found in the order in which it is found.
    async fn look(&self, sight: &mut Sight) -> Result<String, Failure> {
        let options = &self.config.options;
        let answer = self.follow(sight).await?;
        judge(&self.config.expected, answer.status)?;
        let reason = sight.secrets.scrub(&answer.status_line()).into_owned();
        sight.progress.step(format!("Response [OK] {reason}"));
        let foreign = answer.foreign_coding();
        let headers = if options.assertions.is_empty() { None } else { Some(answer.headers.clone()) };
        let body = answer.read(options.body_limit, &mut sight.progress).await;
        let body = body.map_err(|error| failure(&error, &sight.secrets))?;
        if let Some(reason) = sight.expiring.take() {
            return Err((Cause::Tls, reason));
        }
        let mut findings: Vec<String> = self.slow(&sight.progress).into_iter().collect();
        if let Some(headers) = headers {
            let wants_body = options.assertions.iter().any(Assertion::wants_body);
            if let (Some(coding), true) = (foreign, wants_body) {
                let reason = format!("body cannot be judged: its coding `{coding}` was not asked for");
                return Err((Cause::Protocol, reason));
            }
            let evidence = Evidence { headers: &headers, body: &body, secrets: &sight.secrets };
            findings.extend(evidence.against(&options.assertions));
        }
        if findings.is_empty() {
            return Ok(reason);
        }
        Err((Cause::Assertion, findings.join("; ")))
    }

    /// Asks, and goes where redirects lead as far as the row wants it.
    ///
    /// The status is noted as soon as it is known, since the body may outlast the deadline.
    async fn follow(&self, sight: &mut Sight) -> Result<Answer, Failure> {
        let mut answer = self.ask(self.request.clone(), true, sight).await?;
        if self.config.options.redirects == 0 {
            return Ok(answer);
        }
        let mut hop = self.config.first_hop();
        let mut followed = 0;
        loop {
            let next = hop.next(answer.status, &answer.headers);
            let Some(next) =
                next.map_err(|lost| (Cause::Protocol, sight.secrets.scrub(&lost.to_string()).into_owned()))?
            else {
                return Ok(answer);
            };
            let shown = sight.secrets.scrub(&next.shown()).into_owned();
            if followed == self.config.options.redirects {
                return Err((
                    Cause::Protocol,
                    format!("more than {followed} redirects, the last to {shown}"),
                ));
            }
            followed += 1;
            sight.progress.step(format!("Redirected by {} to {shown}", answer.status.as_u16()));
            hop = next;
            answer = self.ask(self.config.request(&hop), hop.at_home, sight).await?;
        }
    }

    /// Sends one request, with the row's credentials where it is `at_home`.
    async fn ask(&self, request: Request, at_home: bool, sight: &mut Sight) -> Result<Answer, Failure> {
        let request = if at_home { self.authorize(request, &mut sight.secrets).await? } else { request };
        let answer = self.client.send(request, &mut sight.progress).await;
        let answer = answer.map_err(|error| failure(&error, &sight.secrets))?;
        sight.status = Some(answer.status);
        if sight.expiring.is_none() {
            sight.expiring = self.expiring(answer.session.as_ref());
        }
        Ok(answer)
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

/// What a server said stands in quotes; the rest of the text is ours.
fn failure(error: &NetError, secrets: &Secrets) -> Failure {
    let text = error.to_string();
    let reason = match text.split_once('`') {
        Some((ours, theirs)) => format!("{ours}`{}", secrets.scrub(theirs)),
        None => text,
    };
    (error.cause(), reason)
}

fn judge(expected: &PassResult, status: StatusCode) -> Result<(), Failure> {
    if expected.expects(status.as_u16()) {
        return Ok(());
    }
    Err((Cause::Status, format!("status {}, expected {expected}", status.as_u16())))
}
