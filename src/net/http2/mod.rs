//! HTTP/2 over a connection that is there, by `h2`.
//!
//! # Design notes
//!
//! - 2026-11: awc speaks HTTP/2 too, by a task of its own that sends a stray `GET /` when its connection is
//!   dropped, and takes a reset in the body for its end. `h2`, which awc is built on, says what happened.
//! - 2026-11: the connection is driven by whoever waits for something of it. Nothing runs between two
//!   probes: pings of a kept connection are answered, and its end is heard of, when it is used again.
//! - 2026-11: the windows are as small as they are for memory's sake: what the server may send before it is
//!   read lies in ours.

mod frames;

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_http::{
    Method, StatusCode, Uri,
    header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue},
};
use bytes::Bytes;
use futures_util::FutureExt;
use h2::{
    Reason, RecvStream,
    client::{Builder, Connection, SendRequest},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use self::frames::Frames;
use super::{
    NetError, Progress, Request,
    error::{Unanswered, broken},
    head::{HEAD_MAX, HEADERS_MAX, HeadError},
    stream::Duplex,
};

/// What the server may send of a body before it is read, in bytes.
const WINDOW: u32 = 20 * 1024;
/// How much of what a peer says that speaks no HTTP/2 is shown, in bytes.
const BEGINNING: usize = 16;
/// The kind of frame that a server must begin with.
const SETTINGS: u8 = 4;

/// A connection, and the right to ask over it.
pub(super) struct Link {
    sender: SendRequest<Bytes>,
    /// Until it is over.
    connection: Option<Connection<Tap, Bytes>>,
    heard: Rc<Heard>,
}

/// The head of an answer.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// The body of an answer, as it comes.
pub(super) struct Incoming {
    link: Box<Link>,
    body: RecvStream,
    /// What the head promises.
    length: Option<u64>,
    /// Whether there is none, whatever the head promises.
    bodiless: bool,
    peer: SocketAddr,
    piece: Bytes,
}

/// What `h2` does not tell of a connection.
#[derive(Default)]
struct Heard {
    /// The first bytes of the peer.
    beginning: RefCell<Vec<u8>>,
    /// What went wrong below HTTP.
    failure: RefCell<Option<io::Error>>,
    /// The peer ended the stream.
    ended: Cell<bool>,
    frames: RefCell<Frames>,
    /// Why the connection is over.
    over: RefCell<Option<h2::Error>>,
}

/// The stream below `h2`.
struct Tap {
    stream: Box<dyn Duplex>,
    heard: Rc<Heard>,
}

impl Link {
    /// Begins to speak.
    pub(super) async fn open(stream: Box<dyn Duplex>, peer: SocketAddr) -> Result<Box<Self>, NetError> {
        let heard = Rc::new(Heard::default());
        let tap = Tap { stream, heard: Rc::clone(&heard) };
        let head_max = u32::try_from(HEAD_MAX).expect("a head is shorter than that");
        let opened = Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW)
            .max_header_list_size(head_max)
            .handshake(tap)
            .await;
        match opened {
            Ok((sender, connection)) => Ok(Box::new(Self { sender, connection: Some(connection), heard })),
            Err(error) => Err(heard.explain(&error, peer, "before a response came")),
        }
    }

    /// Whether a request over it is worth a try. Hears what the peer said meanwhile.
    pub(super) async fn is_open(&mut self) -> bool {
        let Self { sender, connection, heard } = self;
        // The first time, the stream may only pause.
        for _ in 0..2 {
            driving(connection, heard, async {}).await;
        }
        let refused = poll_fn(|cx| Poll::Ready(matches!(sender.poll_ready(cx), Poll::Ready(Err(_))))).await;
        connection.is_some() && !refused
    }

    /// Sends a request, and waits for the head of its answer.
    pub(super) async fn ask(
        mut self: Box<Self>,
        request: Request,
        peer: SocketAddr,
        progress: &mut Progress,
    ) -> Result<(Head, Incoming), Unanswered> {
        let bodiless = request.is_head();
        let head = head_of(&request).map_err(|error| Unanswered { error, stale: false })?;
        let Self { sender, connection, heard } = &mut *self;
        let asked = async {
            poll_fn(|cx| sender.poll_ready(cx)).await?;
            let (answer, mut body) = sender.send_request(head, request.body.is_empty())?;
            if !request.body.is_empty() {
                body.send_data(request.body.clone(), true)?;
            }
            progress.sent("Request sent by HTTP/2");
            let sent = Instant::now();
            Ok((answer.await?, sent))
        };
        let (answer, sent) =
            driving(connection, heard, asked).await.map_err(|error: h2::Error| Unanswered {
                stale: heard.is_stale(&error),
                error: heard.explain(&error, peer, "before a response came"),
            })?;
        let (answer, body) = answer.into_parts();
        progress.answered(answer.status, sent.elapsed());
        if answer.headers.len() > HEADERS_MAX {
            let error = HeadError::Malformed(httparse::Error::TooManyHeaders);
            return Err(Unanswered { error: NetError::Protocol(error.to_string()), stale: false });
        }
        let (status, headers) = (answer.status, HeaderMap::from(answer.headers));
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let bodiless = bodiless || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        Ok((
            Head { status, headers },
            Incoming { link: self, body, length, bodiless, peer, piece: Bytes::new() },
        ))
    }

    /// Says goodbye, as far as the peer takes it at once.
    fn close(self) {
        drop(self.sender);
        if let Some(connection) = self.connection {
            // It is over, whatever comes of it.
            drop(connection.now_or_never());
        }
    }
}

impl Incoming {
    /// The next piece of the body, of which so many bytes came; none after its end.
    pub(super) async fn next(&mut self, received: u64) -> Result<Option<&[u8]>, NetError> {
        let Self { link, body, length, bodiless, peer, piece } = self;
        *piece = Bytes::new();
        if *bodiless {
            return Ok(None);
        }
        match driving(&mut link.connection, &link.heard, poll_fn(|cx| body.poll_data(cx))).await {
            Some(Ok(data)) => {
                // It only fails where it was released already.
                drop(body.flow_control().release_capacity(data.len()));
                *piece = data;
                Ok(Some(piece))
            }
            None => Ok(None),
            // The server has said all, and does not want the rest of the request.
            Some(Err(error)) if error.is_remote() && error.reason() == Some(Reason::NO_ERROR) => {
                match *length {
                    Some(length) if received < length => Err(short(received, length)),
                    _ => Ok(None),
                }
            }
            // What `h2` finds wrong with a body is that it has another length.
            Some(Err(error)) if error.is_library() && error.is_reset() && length.is_some() => {
                Err(short(received, length.unwrap_or_default()))
            }
            Some(Err(error)) => {
                Err(link.heard.explain(&error, *peer, &format!("after {received} bytes of the body")))
            }
        }
    }

    /// The connection, if all of the answer was read.
    pub(super) fn take_back(self, keep: bool) -> Option<Box<Link>> {
        let Self { link, body, .. } = self;
        let over = body.is_end_stream();
        drop(body);
        if keep && over {
            return Some(link);
        }
        link.close();
        None
    }
}

fn short(received: u64, length: u64) -> NetError {
    NetError::Protocol(format!(
        "body has other than the {length} bytes of its content-length: {received} came"
    ))
}

/// The head of a request, as HTTP/2 has it.
fn head_of(request: &Request) -> Result<http::Request<()>, NetError> {
    let unfit = |what: &str| NetError::Protocol(format!("HTTP/2 cannot carry the {what} of the request"));
    let mut headers = request.head.headers.clone();
    for (name, value) in request.extra.iter().flatten() {
        headers.insert(name.clone(), value.clone());
    }
    let host = headers.remove(HOST).next().unwrap_or_else(|| request.endpoint.authority.clone());
    let expected = matches!(request.head.method, Method::POST | Method::PUT | Method::PATCH);
    if expected || !request.body.is_empty() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
    }
    let uri = Uri::builder()
        .scheme(if request.endpoint.is_tls() { "https" } else { "http" })
        .authority(host.as_bytes())
        .path_and_query(request.head.uri.to_string())
        .build()
        .map_err(|_| unfit("host"))?;
    let mut head = http::Request::new(());
    *head.method_mut() = request.head.method.clone();
    *head.uri_mut() = uri;
    *head.version_mut() = http::Version::HTTP_2;
    *head.headers_mut() = headers.into();
    Ok(head)
}

/// Does `work`, and meanwhile what the connection has to do for it.
async fn driving<T>(
    connection: &mut Option<Connection<Tap, Bytes>>,
    heard: &Heard,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Some(Poll::Ready(over)) = connection.as_mut().map(|connection| Pin::new(connection).poll(cx)) {
            heard.over.replace(over.err());
            *connection = None;
        }
        work.as_mut().poll(cx)
    })
    .await
}

impl Heard {
    /// Whether the peer had left before it heard of the request.
    fn is_stale(&self, error: &h2::Error) -> bool {
        let refused = error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM);
        self.head_error().is_none() && error.is_io() || error.is_remote() && refused
    }

    /// What is wrong with a head, where that is what went wrong.
    fn head_error(&self) -> Option<String> {
        let failure = self.failure.borrow();
        failure.as_ref()?.get_ref()?.downcast_ref::<HeadError>().map(HeadError::to_string)
    }

    fn explain(&self, error: &h2::Error, peer: SocketAddr, when: &str) -> NetError {
        if let Some(error) = self.head_error() {
            return NetError::Protocol(error);
        }
        if let Some(failure) = &*self.failure.borrow() {
            return broken(failure, peer, when);
        }
        let beginning = self.beginning.borrow();
        NetError::Protocol(match &beginning[..] {
            [0x15 | 0x16, 0x03, ..] => HeadError::Tls.to_string(),
            [_, _, _, kind, ..] if *kind != SETTINGS => {
                let begins = String::from_utf8_lossy(&beginning);
                format!("the answer is not HTTP/2: it begins with `{begins}`")
            }
            // What becomes of the stream is the consequence of what became of the connection.
            _ => match &*self.over.borrow() {
                Some(over) if over.is_remote() => self.fault(over, peer, when),
                _ => self.fault(error, peer, when),
            },
        })
    }

    fn fault(&self, error: &h2::Error, peer: SocketAddr, when: &str) -> String {
        let why = error.reason().map_or_else(|| error.to_string(), |reason| reason.to_string());
        if error.is_remote() && error.is_reset() {
            format!("stream reset by {peer} {when}: {why}")
        } else if error.is_remote() {
            format!("connection given up by {peer} {when}: {why}")
        } else if self.ended.get() {
            format!("closed by {peer} {when}")
        } else if error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM) {
            // `h2` refuses nothing else.
            HeadError::TooLong.to_string()
        } else {
            format!("malformed HTTP/2 from {peer} {when}: {why}")
        }
    }

    fn hear(&self, bytes: &[u8]) -> io::Result<()> {
        let mut beginning = self.beginning.borrow_mut();
        let wanted = BEGINNING - beginning.len();
        beginning.extend_from_slice(&bytes[..bytes.len().min(wanted)]);
        if bytes.is_empty() {
            self.ended.set(true);
        }
        self.frames.borrow_mut().follow(bytes).map_err(|error| self.fail(io::Error::other(error)))
    }

    /// Keeps what went wrong, of which `h2` would tell the kind alone.
    fn fail(&self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.failure.replace(Some(error));
        kind.into()
    }
}

impl AsyncRead for Tap {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, heard } = self.get_mut();
        let before = buf.filled().len();
        let read = ready!(Pin::new(stream).poll_read(cx, buf));
        Poll::Ready(match read {
            Ok(()) => heard.hear(&buf.filled()[before..]),
            Err(error) => Err(heard.fail(error)),
        })
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
