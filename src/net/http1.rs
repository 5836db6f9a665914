//! HTTP/1 over a connection that is there: awc sends the request, and the answer is read by ourselves.

use std::{
    cell::Cell,
    future::{Future, poll_fn, ready},
    net::SocketAddr,
    ops::Range,
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
};

use actix_http::{
    Method, RequestHeadType, Uri,
    body::{self, BoxBody},
    error::ParseError,
};
use actix_service::{Service, fn_service};
use actix_tls::connect::{ConnectError as TcpError, ConnectInfo, Connection};
use awc::error::{ConnectError, SendRequestError};
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::{
    NetError, Progress, Request,
    chunks::Chunks,
    error::{Unanswered, broken},
    filter::{Filter, Wire},
    head::{Framing, Head},
    stream::Duplex,
};

/// How much is read of a body at once, in bytes.
const PIECE: usize = 8 * 1024;

/// The body of an answer, as it comes.
pub(super) struct Incoming {
    stream: Box<dyn Duplex>,
    peer: SocketAddr,
    /// What was read, and which part of it is still to be looked at.
    buffer: Vec<u8>,
    unread: Range<usize>,
    left: Left,
    stays: bool,
}

/// What is still to come of a body.
enum Left {
    Nothing,
    /// So many bytes, of so many.
    Bytes(u64, u64),
    Chunks(Chunks),
    /// Whatever comes until the connection ends.
    UntilEnd,
}

/// Sends a request, and waits for the head of its answer.
pub(super) async fn ask(
    stream: Box<dyn Duplex>,
    request: Request,
    peer: SocketAddr,
    progress: &mut Progress,
) -> Result<(Head, Incoming), Unanswered> {
    let wire = Rc::new(Wire::new(stream));
    let filter = Filter::new(&request, Rc::clone(&wire));
    let mut answering = pin!(speak(filter, request));
    let mut sent = false;
    let answered = poll_fn(|cx| {
        let polled = answering.as_mut().poll(cx);
        if !sent && wire.sent.get().is_some() {
            sent = true;
            progress.sent("Request sent");
        }
        polled
    });
    let answered = answered.await;
    let unanswered = |error| Unanswered {
        // It left before, and was only now heard to.
        stale: wire.first_byte.get().is_none(),
        error,
    };
    let head = match (wire.head.take(), answered) {
        (Some(Ok(head)), Ok(())) => head,
        (Some(Err(error)), _) => return Err(unanswered(NetError::Protocol(error.to_string()))),
        (_, Err(error)) => return Err(unanswered(explain(error, &wire, peer))),
        (None, Ok(())) => unreachable!("awc has an answer, which was made of the head"),
    };
    // A server may answer before it has read the request.
    let took = wire.first_byte.get().zip(wire.sent.get()).map(|(came, sent)| came.duration_since(sent));
    progress.answered(head.status, took.unwrap_or_default());
    let stream = wire.stream.take().expect("only taken here");
    let incoming = Incoming::new(stream, peer, wire.bytes.take().to_vec(), &head);
    Ok((head, incoming))
}

/// Has awc speak over `stream`: its connector finds the stream already there.
async fn speak(stream: Filter, request: Request) -> Result<(), SendRequestError> {
    let stream = Rc::new(Cell::new(Some(stream)));
    let at_hand = fn_service(move |info: ConnectInfo<Uri>| {
        let stream = stream.take().ok_or(TcpError::Unresolved);
        ready(stream.map(|stream| Connection::new(info.request().clone(), stream)))
    });
    // The scheme chooses HTTP/1; the authority, only the key of a pool that is never used again.
    let uri = Uri::from_static("http://dialled:80/");
    let connector = awc::Connector::new().connector(at_hand).finish();
    let connection = connector.call(awc::Connect { uri, addr: None }).await?;
    let body = boxed_body(&request);
    let answered = connection.send_request(RequestHeadType::Rc(request.head, request.extra), body).await;
    answered.map(|_| ())
}

/// A method that usually has a body says so even where it is empty; others do not.
fn boxed_body(request: &Request) -> BoxBody {
    let expected = matches!(request.head.method, Method::POST | Method::PUT | Method::PATCH);
    if request.body.is_empty() && !expected {
        return BoxBody::new(body::None::new());
    }
    BoxBody::new(request.body.clone())
}

fn explain(error: SendRequestError, wire: &Wire, peer: SocketAddr) -> NetError {
    match error {
        SendRequestError::Send(error)
        | SendRequestError::Connect(ConnectError::Io(error))
        | SendRequestError::Response(ParseError::Io(error)) => broken(&error, peer, "before a response came"),
        SendRequestError::Connect(ConnectError::Disconnected) => {
            let within = wire.ended.get() && !wire.bytes.borrow().is_empty();
            let when = if within { "within the response head" } else { "before a response came" };
            NetError::Protocol(format!("closed by {peer} {when}"))
        }
        error => NetError::Protocol(error.to_string()),
    }
}

impl Incoming {
    fn new(stream: Box<dyn Duplex>, peer: SocketAddr, buffer: Vec<u8>, head: &Head) -> Self {
        let unread = 0..buffer.len();
        let left = match head.framing {
            Framing::Bodiless => Left::Nothing,
            Framing::Length(length) => Left::Bytes(length, length),
            Framing::Chunked => Left::Chunks(Chunks::default()),
            Framing::UntilEnd => Left::UntilEnd,
        };
        Self { stream, peer, buffer, unread, left, stays: head.stays }
    }

    /// The next piece of the body, of which so many bytes came; none after its end.
    pub(super) async fn next(&mut self, received: u64) -> Result<Option<&[u8]>, NetError> {
        loop {
            if let Left::Nothing = self.left {
                return Ok(None);
            }
            if self.unread.is_empty() && self.read(received).await? == 0 {
                return self.end(received).map(|()| None);
            }
            let piece = self.take().ok_or_else(|| {
                NetError::Protocol(format!("malformed chunk in the body, after {received} bytes"))
            })?;
            if !piece.is_empty() {
                return Ok(Some(&self.buffer[piece]));
            }
        }
    }

    /// Reads what comes next of the stream.
    async fn read(&mut self, received: u64) -> Result<usize, NetError> {
        self.buffer.resize(PIECE, 0);
        let read = self.stream.read(&mut self.buffer).await;
        let read =
            read.map_err(|error| broken(&error, self.peer, &format!("after {received} bytes of the body")))?;
        self.unread = 0..read;
        Ok(read)
    }

    /// Takes what is the body's of what was read; `None` is no chunk.
    fn take(&mut self) -> Option<Range<usize>> {
        let (start, end) = (self.unread.start, self.unread.end);
        let (piece, used) = match &mut self.left {
            Left::Nothing => (0..0, 0),
            Left::UntilEnd => (0..end - start, end - start),
            Left::Bytes(left, _) => {
                let taken = usize::try_from(*left).map_or(end - start, |left| left.min(end - start));
                *left -= taken as u64;
                (0..taken, taken)
            }
            Left::Chunks(chunks) => chunks.take(&self.buffer[start..end])?,
        };
        self.unread.start += used;
        if matches!(&self.left, Left::Bytes(0, _))
            || matches!(&self.left, Left::Chunks(chunks) if chunks.is_over())
        {
            self.left = Left::Nothing;
        }
        Some(start + piece.start..start + piece.end)
    }

    /// The stream ended.
    fn end(&mut self, received: u64) -> Result<(), NetError> {
        self.stays = false;
        match std::mem::replace(&mut self.left, Left::Nothing) {
            Left::Nothing | Left::UntilEnd => Ok(()),
            Left::Bytes(_, length) => {
                Err(NetError::Protocol(format!("body ended after {received} of {length} bytes")))
            }
            Left::Chunks(_) => {
                Err(NetError::Protocol(format!("body ended after {received} bytes, before its last chunk")))
            }
        }
    }

    /// The connection, if it is wanted, all of the answer was read, nothing came beyond it, and the server goes
    /// on. Else it says goodbye, as far as the peer takes it at once.
    pub(super) fn take_back(mut self, keep: bool) -> Option<Box<dyn Duplex>> {
        let over = matches!(self.left, Left::Nothing) && self.unread.is_empty();
        if keep && over && self.stays {
            return Some(self.stream);
        }
        // It is over, whatever comes of it.
        drop(self.stream.shutdown().now_or_never());
        None
    }
}

/// Whether a request over it is worth a try: nobody left, and nothing came that nobody asked for.
pub(super) async fn is_open(stream: &mut dyn Duplex) -> bool {
    let mut unasked = [0; 1];
    let mut unasked = ReadBuf::new(&mut unasked);
    let mut waits =
        poll_fn(|cx| Poll::Ready(Pin::new(&mut *stream).poll_read(cx, &mut unasked).is_pending()));
    // The first time, it may only pause.
    (&mut waits).await && waits.await
}
