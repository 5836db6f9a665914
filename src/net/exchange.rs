//! One request and its answer, over a connection of their own.

use std::{
    cell::Cell,
    future::{Future, poll_fn, ready},
    io,
    net::SocketAddr,
    pin::pin,
    rc::Rc,
};

use actix_http::{
    BoxedPayloadStream, ConnectionType, Method, Payload, RequestHead, RequestHeadType, ResponseHead,
    StatusCode, Uri,
    body::{self, BoxBody},
    error::{ParseError, PayloadError},
    header::{HOST, HeaderMap, HeaderName, HeaderValue},
};
use actix_service::{Service, fn_service};
use actix_tls::connect::{ConnectError as TcpError, ConnectInfo, Connection};
use awc::error::{ConnectError, SendRequestError};
use bytes::Bytes;
use futures_util::StreamExt;
use rustls::pki_types::CertificateDer;

use super::{
    Endpoint, IpProtocol, NetError, Progress, Resolver, Session, TlsOptions,
    decode::{Body, Undecodable, foreign_coding},
    dial::dial,
    error::trouble_with,
    filter::{Duplex, Filter, Wire},
    head::Framing,
    tls::{Tls, explain_tls, tls_error},
};

/// Makes exchanges, each over a fresh connection.
#[derive(Clone)]
pub struct Client {
    pub(super) tls: Tls,
    pub(super) ip: IpProtocol,
    pub(super) resolver: Resolver,
}

/// What is sent; cheap to clone.
#[derive(Clone)]
pub struct Request {
    endpoint: Rc<Endpoint>,
    head: Rc<RequestHead>,
    /// Headers of this copy alone, which replace those of the head.
    extra: Option<HeaderMap>,
    body: Bytes,
}

/// An answer whose head came; its body is still to be read.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// Who answered.
    pub peer: SocketAddr,
    /// What was agreed on where TLS was spoken.
    pub session: Option<Session>,
    payload: Payload,
    wire: Rc<Wire>,
}

/// A connection that is ready to be spoken over.
pub struct Connected {
    /// The connection.
    pub stream: Box<dyn Duplex>,
    /// Who is at its other end.
    pub peer: SocketAddr,
    /// What was agreed on where TLS is spoken.
    pub session: Option<Session>,
}

impl Request {
    /// A request over a connection that closes after it. `Host` comes from the endpoint, unless `headers`
    /// has it.
    pub fn new(endpoint: Endpoint, method: Method, headers: HeaderMap, body: Bytes) -> Self {
        let mut head = RequestHead::default();
        head.method = method;
        head.uri = endpoint.target.clone();
        head.headers = headers;
        if !head.headers.contains_key(HOST) {
            head.headers.insert(HOST, endpoint.authority.clone());
        }
        // The server then closes first, and keeps the memory of the connection in our place.
        head.set_connection_type(ConnectionType::Close);
        Self { endpoint: Rc::new(endpoint), head: Rc::new(head), extra: None, body }
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

    fn is_head(&self) -> bool {
        self.head.method == Method::HEAD
    }

    /// A method that usually has a body says so even where it is empty; others do not.
    fn boxed_body(&self) -> BoxBody {
        let expected = matches!(self.head.method, Method::POST | Method::PUT | Method::PATCH);
        if self.body.is_empty() && !expected {
            return BoxBody::new(body::None::new());
        }
        BoxBody::new(self.body.clone())
    }
}

impl Client {
    /// A client that trusts the authorities whose certificates these are.
    pub fn new(trusted: &[CertificateDer<'static>]) -> Self {
        Self { tls: Tls::new(trusted), ip: IpProtocol::Any, resolver: Resolver::system() }
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

    /// Connects, encrypted where the endpoint has it so.
    pub async fn connect(&self, endpoint: &Endpoint, progress: &mut Progress) -> Result<Connected, NetError> {
        let (stream, peer) = dial(&self.resolver, &endpoint.place(), self.ip, progress).await?;
        let Some(name) = &endpoint.tls else {
            return Ok(Connected { stream: Box::new(stream), peer, session: None });
        };
        let (stream, session) = self.tls.handshake(stream, name, peer, progress).await?;
        Ok(Connected { stream: Box::new(stream), peer, session: Some(session) })
    }

    /// Sends a request, and waits for the head of its answer.
    pub async fn send(&self, request: Request, progress: &mut Progress) -> Result<Answer, NetError> {
        let Connected { stream, peer, session } = self.connect(&request.endpoint, progress).await?;
        let wire = Rc::new(Wire::default());
        let filter = Filter::new(stream, request.is_head(), Rc::clone(&wire));
        let mut answering = pin!(speak(filter, request));
        let mut sent = false;
        let answered = poll_fn(|cx| {
            let polled = answering.as_mut().poll(cx);
            if !sent && wire.sent.get().is_some() {
                sent = true;
                progress.sent();
            }
            polled
        });
        let (head, payload) = answered.await.map_err(|error| explain(error, &wire, peer))?;
        progress.answered(wire.sent.get(), wire.first_byte.get());
        Ok(Answer { status: head.status, headers: head.headers, peer, session, payload, wire })
    }
}

/// Has awc speak HTTP/1 over `stream`: its connector finds the stream already there.
async fn speak(stream: Filter, request: Request) -> Result<(ResponseHead, Payload), SendRequestError> {
    let stream = Rc::new(Cell::new(Some(stream)));
    let at_hand = fn_service(move |info: ConnectInfo<Uri>| {
        let stream = stream.take().ok_or(TcpError::Unresolved);
        ready(stream.map(|stream| Connection::new(info.request().clone(), stream)))
    });
    // The scheme chooses HTTP/1; the authority, only the key of a pool that is never used again.
    let uri = Uri::from_static("http://dialled:80/");
    let connector = awc::Connector::new().connector(at_hand).finish();
    let connection = connector.call(awc::Connect { uri, addr: None }).await?;
    let body = request.boxed_body();
    connection.send_request(RequestHeadType::Rc(request.head, request.extra), body).await
}

fn explain(error: SendRequestError, wire: &Wire, peer: SocketAddr) -> NetError {
    if let Some(malformed) = wire.malformed.take() {
        return NetError::Protocol(malformed);
    }
    match error {
        SendRequestError::Send(error)
        | SendRequestError::Connect(ConnectError::Io(error))
        | SendRequestError::Response(ParseError::Io(error)) => broken(&error, peer, "before a response came"),
        SendRequestError::Response(error) => NetError::Protocol(format!("malformed response head: {error}")),
        SendRequestError::Connect(ConnectError::Disconnected) => NetError::Protocol(match wire.ended.get() {
            Some(1..) => format!("closed by {peer} within the response head"),
            _ => format!("closed by {peer} before a response came"),
        }),
        error => NetError::Protocol(error.to_string()),
    }
}

/// A connection that broke, `when`. TLS 1.3 refuses a client only after its handshake.
fn broken(error: &io::Error, peer: SocketAddr, when: &str) -> NetError {
    match tls_error(error) {
        Some(error) => NetError::Tls(explain_tls(error, peer)),
        None => NetError::Protocol(format!("{} {when}", trouble_with(peer, error))),
    }
}

impl Answer {
    /// The status as people know it: `200 OK`. A status without a standard phrase has the server's.
    pub fn status_line(&self) -> String {
        let code = self.status.as_str();
        match self.status.canonical_reason() {
            Some(phrase) => format!("{code} {phrase}"),
            None => format!("{code} {}", self.wire.phrase.borrow()).trim_end().to_owned(),
        }
    }

    /// The content coding of the body, where it is one that [`Answer::read`] cannot undo.
    pub fn foreign_coding(&self) -> Option<String> {
        foreign_coding(&self.headers)
    }

    /// Reads the body to its end, or to `limit` bytes, without its content coding. A body that ends too soon,
    /// or is not what its coding says, is an error.
    pub async fn read(self, limit: usize, progress: &mut Progress) -> Result<Vec<u8>, NetError> {
        let framing = self.wire.framing.get().unwrap_or(Framing::Bodiless);
        let (mut body, mut received) = (Body::new(&self.headers, limit), 0);
        // awc would wait for a body that the head promises and the method or the status rules out.
        if let (false, Payload::Stream { payload }) = (framing == Framing::Bodiless, self.payload) {
            let read = read_stream(payload, &mut body, &mut received, progress).await;
            let whole = match read {
                Ok(()) if body.is_full() => Ok(()),
                Ok(()) => complete(framing, received, &self.wire).and_then(|()| Ok(body.finish()?)),
                Err(torn) => Err(torn),
            };
            whole.map_err(|torn| torn.explain(received, self.peer))?;
        }
        progress.read_all(body.len());
        Ok(body.into_bytes())
    }
}

/// Why a body ended before its end.
enum Torn {
    Short(u64),
    WithinChunks,
    BadChunk,
    Undecodable(Undecodable),
    Broken(io::Error),
}

impl From<Undecodable> for Torn {
    fn from(undecodable: Undecodable) -> Self {
        Self::Undecodable(undecodable)
    }
}

impl Torn {
    fn explain(self, read: usize, peer: SocketAddr) -> NetError {
        NetError::Protocol(match self {
            Self::Short(length) => format!("body ended after {read} of {length} bytes"),
            Self::WithinChunks => format!("body ended after {read} bytes, before its last chunk"),
            Self::BadChunk => format!("malformed chunk in the body, after {read} bytes"),
            Self::Undecodable(Undecodable(coding)) => {
                format!("body cannot be decoded as {coding} ({read} bytes came)")
            }
            Self::Broken(error) => return broken(&error, peer, &format!("after {read} bytes of the body")),
        })
    }
}

async fn read_stream(
    mut payload: BoxedPayloadStream,
    body: &mut Body,
    received: &mut usize,
    progress: &mut Progress,
) -> Result<(), Torn> {
    while !body.is_full() {
        let Some(chunk) = payload.next().await else { return Ok(()) };
        let chunk = chunk.map_err(|error| match error {
            PayloadError::Io(error) | PayloadError::Incomplete(Some(error))
                // What awc makes of chunks that it cannot decode.
                if error.kind() != io::ErrorKind::InvalidInput =>
            {
                Torn::Broken(error)
            }
            _ => Torn::BadChunk,
        })?;
        *received += chunk.len();
        body.feed(&chunk)?;
        progress.read(*received);
    }
    Ok(())
}

/// awc takes the end of the stream for the end of the body.
fn complete(framing: Framing, read: usize, wire: &Wire) -> Result<(), Torn> {
    match framing {
        Framing::Length(length) if (read as u64) < length => Err(Torn::Short(length)),
        Framing::Chunked if wire.ended.get().is_some() => Err(Torn::WithinChunks),
        _ => Ok(()),
    }
}
