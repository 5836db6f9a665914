//! One request and its answer.

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use actix_http::{
    Method, RequestHead, StatusCode, Uri,
    header::{HOST, HeaderMap, HeaderName, HeaderValue},
};
use bytes::Bytes;
use futures_util::FutureExt;
use rustls::pki_types::CertificateDer;

use super::{
    Endpoint, HttpVersion, IpProtocol, Keeper, NetError, Progress, Resolver, Session, TlsOptions,
    decode::{Body, Undecodable, foreign_coding},
    dial::dial,
    http1, http2,
    keep::{Line, Speech},
    stream::{Duplex, HearingOut},
    tls::Tls,
};

/// The most of an answer that is read only so that its connection may be kept, in bytes.
const REST_MAX: usize = 16 * 1024;

/// Makes exchanges.
#[derive(Clone)]
pub struct Client {
    pub(super) tls: Tls,
    pub(super) ip: IpProtocol,
    pub(super) resolver: Resolver,
    version: HttpVersion,
}

/// What is sent; cheap to clone.
#[derive(Clone)]
pub struct Request {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) head: Rc<RequestHead>,
    /// Headers of this copy alone, which replace those of the head.
    pub(super) extra: Option<HeaderMap>,
    pub(super) body: Bytes,
    pub(super) keeper: Option<Rc<Keeper>>,
}

/// An answer whose head came; its body is still to be read.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// Who answered.
    pub peer: SocketAddr,
    /// What was agreed on where TLS is spoken.
    pub session: Option<Rc<Session>>,
    /// The reason phrase, which may be empty.
    pub(super) phrase: String,
    pub(super) incoming: Incoming,
    /// Who keeps the connection, and as one to where.
    pub(super) home: Option<(Rc<Keeper>, Arc<Endpoint>)>,
}

/// The body of an answer, as it comes.
pub(super) enum Incoming {
    Http1(http1::Incoming),
    Http2(Box<http2::Incoming>),
}

impl Request {
    /// A request over a connection that closes after it. `Host` comes from the endpoint, unless `headers`
    /// has it.
    pub fn new(endpoint: impl Into<Arc<Endpoint>>, method: Method, headers: HeaderMap, body: Bytes) -> Self {
        let endpoint = endpoint.into();
        let mut head = RequestHead::default();
        head.method = method;
        head.uri = endpoint.target.clone();
        head.headers = headers;
        if !head.headers.contains_key(HOST) {
            head.headers.insert(HOST, endpoint.authority.clone());
        }
        Self { endpoint, head: Rc::new(head), extra: None, body, keeper: None }
    }

    /// The same over a connection that `keeper` has, or gets.
    pub fn kept_by(self, keeper: &Rc<Keeper>) -> Self {
        Self { keeper: Some(Rc::clone(keeper)), ..self }
    }

    /// Sets a header of this copy.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.extra.get_or_insert_with(HeaderMap::new).insert(name, value);
        self
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// Path and query, as they stand in the request line.
    pub fn target(&self) -> &Uri {
        &self.head.uri
    }

    pub(super) fn is_head(&self) -> bool {
        self.head.method == Method::HEAD
    }
}

impl Client {
    /// A client that trusts the authorities whose certificates these are, and speaks HTTP/1.1.
    pub fn new(trusted: &[CertificateDer<'static>]) -> Self {
        Self {
            tls: Tls::new(trusted),
            ip: IpProtocol::Any,
            resolver: Resolver::system(),
            version: HttpVersion::One,
        }
    }

    /// The same, with another resolver than the system's.
    pub fn resolving_by(self, resolver: Resolver) -> Self {
        Self { resolver, ..self }
    }

    /// The same, which tries only the addresses of `ip`.
    pub fn over(self, ip: IpProtocol) -> Self {
        Self { ip, ..self }
    }

    /// The same, which speaks TLS as a row wants it.
    pub fn with_tls(&self, options: &TlsOptions) -> Self {
        Self { tls: self.tls.with(options), ..self.clone() }
    }

    /// The same, which speaks another version of HTTP.
    pub fn speaking(self, version: HttpVersion) -> Self {
        Self { version, ..self }
    }

    /// Sends a request, and waits for the head of its answer.
    pub async fn send(&self, request: Request, progress: &mut Progress) -> Result<Answer, NetError> {
        if let Some(keeper) = request.keeper.clone()
            && let Some(line) = keeper.take(&request.endpoint, progress).await
        {
            let peer = line.peer;
            match line.ask(request.clone(), progress).await {
                Ok(answer) => return Ok(answer),
                // It closed while the request was under way. A fresh one will tell whether the server is well.
                Err(unanswered) if unanswered.stale => {
                    progress.step(format!("Kept connection was closed by {peer}: connecting anew"));
                }
                Err(unanswered) => return Err(unanswered.error),
            }
        }
        let line = self.connect(&request.endpoint, progress).await?;
        line.ask(request, progress).await.map_err(|unanswered| unanswered.error)
    }

    /// Connects, encrypted where the endpoint has it so, and agrees on a version of HTTP.
    async fn connect(&self, endpoint: &Endpoint, progress: &mut Progress) -> Result<Line, NetError> {
        let (stream, peer) = dial(&self.resolver, &endpoint.place(), self.ip, progress).await?;
        let (stream, session): (Box<dyn Duplex>, _) = match &endpoint.tls {
            None => (Box::new(HearingOut::new(stream)), None),
            Some(name) => {
                let (stream, session) =
                    self.tls.handshake(stream, name, self.version.names(), peer, progress).await?;
                (Box::new(HearingOut::new(stream)), Some(Rc::new(session)))
            }
        };
        let chosen = session.as_ref().map(|session| session.alpn.as_deref());
        let speech = if self.version.is_two(chosen, peer)? {
            Speech::Http2(Box::pin(http2::Link::open(stream, peer)).await?)
        } else {
            Speech::Http1(stream)
        };
        Ok(Line { peer, session, speech })
    }
}

impl Answer {
    /// The status as people know it: `200 OK`. A status without a standard phrase has the server's.
    pub fn status_line(&self) -> String {
        let code = self.status.as_str();
        format!("{code} {}", self.status.canonical_reason().unwrap_or(&self.phrase)).trim_end().to_owned()
    }

    /// The content coding of the body, where it is one that [`Answer::read`] cannot undo.
    pub fn foreign_coding(&self) -> Option<String> {
        foreign_coding(&self.headers)
    }

    /// Reads the body to its end, or to `limit` bytes, without its content coding. A body that ends too soon,
    /// or is not what its coding says, is an error.
    pub async fn read(self, limit: usize, progress: &mut Progress) -> Result<Vec<u8>, NetError> {
        let Self { headers, mut incoming, peer, session, home, .. } = self;
        let (mut body, mut received) = (Body::new(&headers, limit), 0);
        // They may be as long as the body may be.
        drop(headers);
        let undecodable = |Undecodable(coding), received: u64| {
            NetError::Protocol(format!("body cannot be decoded as {coding} ({received} bytes came)"))
        };
        while !body.is_full() {
            let Some(piece) = incoming.next(received).await? else {
                body.finish().map_err(|error| undecodable(error, received))?;
                break;
            };
            received += piece.len() as u64;
            body.feed(piece).map_err(|error| undecodable(error, received))?;
            progress.read(received);
        }
        progress.read_all(body.len());
        if let (Some(speech), Some((keeper, endpoint))) = (incoming.take_back(home.is_some()), home) {
            keeper.put(&endpoint, Line { peer, session, speech });
        }
        Ok(body.into_bytes())
    }

    /// Leaves the body alone. The connection is kept where the rest of the answer is there already.
    pub fn leave(self) {
        let Self { mut incoming, peer, session, home, .. } = self;
        let Some((keeper, endpoint)) = home else { return };
        let rest = async {
            let mut received = 0;
            while received < REST_MAX as u64 {
                match incoming.next(received).await {
                    Ok(Some(piece)) => received += piece.len() as u64,
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        };
        if rest.now_or_never().is_some()
            && let Some(speech) = incoming.take_back(true)
        {
            keeper.put(&endpoint, Line { peer, session, speech });
        }
    }
}

impl Incoming {
    /// The next piece of the body, of which so many bytes came; none after its end.
    async fn next(&mut self, received: u64) -> Result<Option<&[u8]>, NetError> {
        match self {
            Self::Http1(incoming) => incoming.next(received).await,
            Self::Http2(incoming) => incoming.next(received).await,
        }
    }

    /// The connection, if it is wanted and all of the answer was read.
    fn take_back(self, keep: bool) -> Option<Speech> {
        match self {
            Self::Http1(incoming) => incoming.take_back(keep).map(Speech::Http1),
            Self::Http2(incoming) => incoming.take_back(keep).map(Speech::Http2),
        }
    }
}
