//! `http` and `https`: one request, judged by its answer.
//!
//! Everything from DNS to the last byte of the body happens within the target's timeout. The body is read
//! up to `body_limit`; one that ends too soon is a failure, a longer one is not.
//!
//! Redirects are followed only where `follow_redirects` says so: then each timing is the sum over all hops,
//! and what the row sends in confidence (credentials, headers of its own) stays with the scheme, host and
//! port of its URL. A body goes along where the method does, as 307 and 308 have it.
//!
//! Each request has a connection of its own, unless `connection` says `reuse`: then one that an answer was read
//! from to its end is kept for the next request to the same scheme, host and port.
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

use actix_http::{
    StatusCode,
    header::{HeaderMap, HeaderValue},
};
use futures_util::future::LocalBoxFuture;
use skypunch_actors::{
    domain::{Cause, Fault, PassResult, Target, TargetDefinition},
    port::ProberBuilder,
};

use self::{
    assertion::{Assertion, Evidence},
    config::Config,
    hop::Hop,
    scrub::Secrets,
};
use super::{
    Probers,
    auth::Asked,
    run::{self, Failure, Look},
};
use crate::net::{Answer, Keeper, NetError, Progress, Request, Session};

/// Reads a row, or names all that is wrong with it.
pub(super) fn prepare(
    probers: &Probers,
    definition: &TargetDefinition,
    target: &Target,
) -> Result<ProberBuilder, Vec<Fault>> {
    let config = Config::read(probers, definition, target)?;
    Ok(run::prober_by(target, move || Probe::new(config)))
}

/// A row made ready, on the thread where it is probed.
struct Probe {
    secrets: Secrets,
    /// Has the connections from the probe before, where they are used again.
    keeper: Option<Rc<Keeper>>,
    config: Config,
}

/// What is known of a probe while it goes on.
struct Sight<'a> {
    progress: &'a mut Progress,
    secrets: Secrets,
    /// What is wrong with a certificate that was shown, though it is still good.
    expiring: Option<String>,
    /// Whether a 401 was asked about already.
    refused: bool,
    /// Whether a server has a say in where it goes.
    redirected: bool,
}

impl Sight<'_> {
    /// Where a redirect leads, a server may echo what it was told: in names, paths, certificates.
    fn hide(&mut self) {
        if self.redirected {
            let secrets = self.secrets.as_in_urls();
            self.progress.mask(Box::new(move |text| secrets.scrub(text).into_owned()));
        }
    }
}

impl Look for Probe {
    fn opening(&self, url: &str) -> String {
        match self.config.first_hop() {
            Some(_) => format!("Connecting to {url} ...."),
            None => format!("Looking up {url} in the catalogue ...."),
        }
    }

    fn look<'a>(&'a self, progress: &'a mut Progress) -> LocalBoxFuture<'a, Result<String, Failure>> {
        let secrets = self.secrets.clone();
        let sight = Sight { progress, secrets, expiring: None, refused: false, redirected: false };
        Box::pin(async move {
            let found = self.judge(sight).await;
            // A failure is confirmed on a connection of its own.
            if let (Err(_), true, Some(keeper)) = (&found, self.config.retries, &self.keeper) {
                keeper.clear();
            }
            found
        })
    }
}

impl Probe {
    fn new(config: Config) -> Self {
        let keeper = config.options.reuses.then(Rc::default);
        Self { secrets: config.secrets(), keeper, config }
    }

    /// Looks, and judges what is found in the order in which it is found.
    async fn judge(&self, mut sight: Sight<'_>) -> Result<String, Failure> {
        let options = &self.config.options;
        let answer = self.follow(&mut sight).await?;
        if let Err(failure) = judge(&self.config.expected, answer.status) {
            answer.leave();
            return Err(failure);
        }
        let reason = sight.secrets.scrub(&answer.status_line()).into_owned();
        let foreign = answer.foreign_coding();
        let headers = asserted(&options.assertions, &answer);
        let body = answer.read(options.body_limit, sight.progress).await;
        let body = body.map_err(|error| failure(&error, &sight.secrets))?;
        if let Some(reason) = sight.expiring.take() {
            return Err((Cause::Tls, reason));
        }
        let mut findings: Vec<String> = self.slow(sight.progress).into_iter().collect();
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
        if findings.is_empty() {
            return Ok(reason);
        }
        Err((Cause::Assertion, findings.join("; ")))
    }

    /// Asks, and goes where redirects lead as far as the row wants it.
    async fn follow(&self, sight: &mut Sight<'_>) -> Result<Answer, Failure> {
        let mut hop = match self.config.first_hop() {
            Some(hop) => hop,
            None => self.locate(sight).await?,
        };
        let mut answer = self.ask(self.request(&hop), true, sight).await?;
        if self.config.options.redirects == 0 {
            return Ok(answer);
        }
        let mut followed = 0;
        loop {
            let next = match hop.next(answer.status, &answer.headers) {
                Ok(None) => return Ok(answer),
                next => next,
            };
            sight.redirected = true;
            sight.hide();
            let Some(next) = next.map_err(|lost| (Cause::Protocol, lost.to_string()))? else {
                return Ok(answer);
            };
            let shown = next.shown();
            if followed == self.config.options.redirects {
                return Err((
                    Cause::Protocol,
                    format!("more than {followed} redirects, the last to {shown}"),
                ));
            }
            followed += 1;
            sight.progress.step(format!("Redirected by {} to {shown}", answer.status.as_u16()));
            answer.leave();
            hop = next;
            answer = self.ask(self.request(&hop), hop.at_home, sight).await?;
        }
    }

    /// Finds where a target is whose URL is a path.
    async fn locate(&self, sight: &mut Sight<'_>) -> Result<Hop, Failure> {
        let locator = self.config.auth.locator().expect("a row whose url is a path has a locator");
        let timeout = self.config.timeout;
        let deadline = sight.progress.begun() + timeout;
        let above = locator.locate(deadline, timeout, sight.progress).await;
        let above = above.map_err(|error| (error.cause, error.to_string()))?;
        let hop = self.config.first_hop_below(&above);
        let hop = hop.map_err(|fault| (Cause::Config, fault.to_string()))?;
        sight.progress.step(format!("Connecting to {} ....", sight.secrets.scrub(&hop.shown())));
        let misfits = self.config.misfits(&hop);
        if !misfits.is_empty() {
            return Err((Cause::Config, format!("{}, and not that of the catalogue", Fault::join(&misfits))));
        }
        Ok(hop)
    }

    /// The request of a hop, but for its credentials.
    fn request(&self, hop: &Hop) -> Request {
        let request = self.config.request(hop);
        match &self.keeper {
            Some(keeper) => request.kept_by(keeper),
            None => request,
        }
    }

    /// Asks with the row's credentials where it is `at_home`, and, once a probe, again where they are worth
    /// another try.
    async fn ask(&self, request: Request, at_home: bool, sight: &mut Sight<'_>) -> Result<Answer, Failure> {
        if !at_home {
            return self.send(request, sight).await;
        }
        let answer = self.send(self.authorize(&request, sight).await?, sight).await?;
        if answer.status != StatusCode::UNAUTHORIZED || std::mem::replace(&mut sight.refused, true) {
            return Ok(answer);
        }
        if !self.config.auth.refused(&answer.headers, sight.progress) {
            return Ok(answer);
        }
        answer.leave();
        self.send(self.authorize(&request, sight).await?, sight).await
    }

    async fn authorize(&self, request: &Request, sight: &mut Sight<'_>) -> Result<Request, Failure> {
        let timeout = self.config.timeout;
        let (method, target) = (request.method(), request.target());
        let asked = Asked { method, target, deadline: sight.progress.begun() + timeout, timeout };
        sight.progress.authorizing();
        let credentials = self.config.auth.authorize(asked, sight.progress).await;
        let credentials = credentials.map_err(|error| (error.cause, error.to_string()))?;
        let Some((name, value)) = credentials else { return Ok(request.clone()) };
        sight.secrets.add_header(&value);
        sight.hide();
        Ok(request.clone().header(name, value))
    }

    async fn send(&self, request: Request, sight: &mut Sight<'_>) -> Result<Answer, Failure> {
        let answer = self.config.client.send(request, sight.progress).await;
        let answer = answer.map_err(|error| failure(&error, &sight.secrets))?;
        if sight.expiring.is_none() {
            sight.expiring = self.expiring(answer.session.as_deref());
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

/// The headers that assertions are about; the others need not be held while the body is read.
fn asserted(assertions: &[Assertion], answer: &Answer) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in assertions.iter().filter_map(Assertion::header) {
        // A name may be asserted twice.
        headers.remove(name).for_each(drop);
        for value in answer.headers.get_all(name) {
            // A copy: the value is a part of all of the head.
            let copy = HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone());
            headers.append(name.clone(), copy);
        }
    }
    headers
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
