//! `http` and `https`: one request over a fresh connection, judged by its answer.
//!
//! Everything from DNS to the last byte of the body happens within the target's timeout. The body is read
//! up to `body_limit`; one that ends too soon is a failure, a longer one is not.
//!
//! Redirects are followed only where `follow_redirects` says so: then each timing is the sum over all hops,
//! and what the row sends in confidence (credentials, headers of its own) stays with the scheme, host and
//! port of its URL. A body goes along where the method does, as 307 and 308 have it.
//!
//! Where the URL is a path, the auth's catalogue says below which URL, and all holds as for any other.
//!
//! What fails is judged in this order: connection, status, body, `cert_expiry_days`; then `max_response_ms`
//! and the assertions, which are all looked at and named together.

mod assertion;
mod config;
mod hop;
mod json_assertion;
mod options;
mod scrub;
mod site;

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
    hop::Hop,
    scrub::Secrets,
};
use super::{Probers, auth::Asked};
use crate::net::{Answer, NetError, Progress, Request, Session};

/// Reads a row, or names all that is wrong with it.
pub(super) fn prepare(
    probers: &Probers,
    definition: &TargetDefinition,
    target: &Target,
) -> Result<ProberBuilder, Vec<Fault>> {
    let config = Config::read(probers, definition, target)?;
    Ok(Box::new(move || Box::new(HttpProber(Rc::new(Probe::new(config))))))
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
    /// Where it begins, if that is known beforehand, and with which request.
    first: Option<(Hop, Request)>,
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
    fn new(config: Config) -> Self {
        let first = config.first_hop().map(|hop| (hop.clone(), config.request(&hop)));
        Self { first, secrets: config.secrets(), config }
    }

    async fn run(&self, tracer: Tracer) -> Outcome {
        let deadline = tracer.begun() + self.config.timeout;
        let progress = Progress::new(tracer);
        let mut sight = Sight { progress, status: None, secrets: self.secrets.clone(), expiring: None };
        sight.progress.step(match &self.first {
            Some(_) => format!("Connecting to {} ....", self.config.url),
            None => format!("Looking up {} in the catalogue ....", self.config.url),
        });
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
            let failed = evidence.against(&options.assertions);
            if !failed.is_empty() && wants_body && body.len() >= options.body_limit {
                findings.push(format!("only {} bytes of the body were read (body_limit)", body.len()));
            }
            findings.extend(failed);
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
        let (mut hop, request) = match &self.first {
            Some(first) => first.clone(),
            None => self.locate(sight).await?,
        };
        let mut answer = self.ask(&request, true, sight).await?;
        if self.config.options.redirects == 0 {
            return Ok(answer);
        }
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
            answer = self.ask(&self.config.request(&hop), hop.at_home, sight).await?;
        }
    }

    /// Finds where a target is whose URL is a path.
    async fn locate(&self, sight: &mut Sight) -> Result<(Hop, Request), Failure> {
        let locator = self.config.auth.locator().expect("a row whose url is a path has a locator");
        let timeout = self.config.timeout;
        let deadline = sight.progress.begun() + timeout;
        let above = locator.locate(deadline, timeout, &mut sight.progress).await;
        let above = above.map_err(|error| (error.cause, error.to_string()))?;
        let hop = self.config.first_hop_below(&above);
        let hop = hop.map_err(|fault| (Cause::Config, fault.to_string()))?;
        sight.progress.step(format!("Connecting to {} ....", sight.secrets.scrub(&hop.shown())));
        let misfits = self.config.misfits(&hop);
        if !misfits.is_empty() {
            return Err((Cause::Config, format!("{}, and not that of the catalogue", Fault::join(&misfits))));
        }
        let request = self.config.request(&hop);
        Ok((hop, request))
    }

    /// Asks with the row's credentials where it is `at_home`, and once more where they are worth another try.
    async fn ask(&self, request: &Request, at_home: bool, sight: &mut Sight) -> Result<Answer, Failure> {
        if !at_home {
            return self.send(request.clone(), sight).await;
        }
        let answer = self.send(self.authorize(request, sight).await?, sight).await?;
        let refused = answer.status == StatusCode::UNAUTHORIZED
            && self.config.auth.refused(&answer.headers, &mut sight.progress);
        if !refused {
            return Ok(answer);
        }
        drop(answer);
        self.send(self.authorize(request, sight).await?, sight).await
    }

    async fn authorize(&self, request: &Request, sight: &mut Sight) -> Result<Request, Failure> {
        let timeout = self.config.timeout;
        let (method, target) = (request.method(), request.target());
        let asked = Asked { method, target, deadline: sight.progress.begun() + timeout, timeout };
        let credentials = self.config.auth.authorize(asked, &mut sight.progress).await;
        let credentials = credentials.map_err(|error| (error.cause, error.to_string()))?;
        let Some((name, value)) = credentials else { return Ok(request.clone()) };
        sight.secrets.add_header(&value);
        Ok(request.clone().header(name, value))
    }

    async fn send(&self, request: Request, sight: &mut Sight) -> Result<Answer, Failure> {
        let answer = self.config.client.send(request, &mut sight.progress).await;
        let answer = answer.map_err(|error| failure(&error, &sight.secrets))?;
        sight.status = Some(answer.status);
        if sight.expiring.is_none() {
            sight.expiring = self.expiring(answer.session.as_ref());
        }
        Ok(answer)
    }

    /// Any certificate of the chain counts: clients lose their trust with the first that expires.
    fn expiring(&self, session: Option<&Session>) -> Option<String> {
        let limit = self.config.options.cert_expiry_days?;
        session?.certificates.iter().find_map(|certificate| certificate.expires_within(limit))
    }

    fn slow(&self, progress: &Progress) -> Option<String> {
        self.config.options.limits.slow(progress.elapsed())
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
