//! The stream below awc: mends what awc would misread, and notes what awc would not tell.
//!
//! Of the answer, it drops interim heads (1xx but 101), has awc read a body without a length to its end
//! (by calling the answer HTTP/1.0), and notes times, framing and end of stream, so that the reader
//! can tell a whole body from a torn one. Of the request, it drops the `date` header that awc adds.

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_rt::net::{ActixStream, Ready};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::head::{Framing, Inspected, inspect};

/// A connection: TCP, or TLS on TCP.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// What the filter notes, shared with whoever waits for the answer.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// When the last byte of the request was handed to the system.
    pub(super) sent: Cell<Option<Instant>>,
    /// When the first byte of the answer came.
    pub(super) first_byte: Cell<Option<Instant>>,
    /// The peer ended the stream, after so many bytes of a head that never ended.
    pub(super) ended: Cell<Option<usize>>,
    /// How the body ends, once the head came.
    pub(super) framing: Cell<Option<Framing>>,
    /// The reason phrase of the answer.
    pub(super) phrase: RefCell<String>,
    /// What is wrong with the head.
    pub(super) malformed: RefCell<Option<String>>,
}

/// The filter around one connection, for one exchange.
pub(super) struct Filter {
    io: Box<dyn Duplex>,
    wire: Rc<Wire>,
    /// Whether the request has the method HEAD.
    bodiless: bool,
    incoming: Incoming,
    outgoing: Outgoing,
}

enum Incoming {
    /// Bytes of heads, up to the end of the final one.
    Head(Vec<u8>),
    /// A head, and what came with it, from this byte on still to be handed up.
    Held(Vec<u8>, usize),
    /// The body.
    Through,
}

enum Outgoing {
    /// Nothing was written yet.
    Head,
    /// The head as it goes out, from this byte on still to be written.
    Held(Vec<u8>, usize),
    /// The rest of the body.
    Through,
}

impl Filter {
    pub(super) fn new(io: Box<dyn Duplex>, bodiless: bool, wire: Rc<Wire>) -> Self {
        Self { io, wire, bodiless, incoming: Incoming::Head(Vec::new()), outgoing: Outgoing::Head }
    }

    /// Reads what is there, with the times and the end noted.
    fn poll_wire(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let before = buf.filled().len();
        match ready!(Pin::new(&mut self.io).poll_read(cx, buf)) {
            Ok(()) => {}
            // Many servers end TLS without saying so. Whether something is missing shows in the body.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        let fresh = buf.filled().len() - before;
        if fresh == 0 {
            let torn = if let Incoming::Head(head) = &self.incoming { head.len() } else { 0 };
            self.wire.ended.set(Some(torn));
        } else if self.wire.first_byte.get().is_none() {
            self.wire.first_byte.set(Some(Instant::now()));
        }
        Poll::Ready(Ok(fresh))
    }

    /// Writes what is held back of the head.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Outgoing::Held(head, written) = &mut self.outgoing {
            if *written == head.len() {
                self.outgoing = Outgoing::Through;
                break;
            }
            match ready!(Pin::new(&mut self.io).poll_write(cx, &head[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Filter {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.incoming {
                Incoming::Through => return this.poll_wire(cx, buf).map_ok(|_| ()),
                Incoming::Held(bytes, given) => {
                    if *given == bytes.len() {
                        this.incoming = Incoming::Through;
                        continue;
                    }
                    let end = bytes.len().min(*given + buf.remaining());
                    buf.put_slice(&bytes[*given..end]);
                    *given = end;
                    return Poll::Ready(Ok(()));
                }
                Incoming::Head(_) => {}
            }
            let before = buf.filled().len();
            if ready!(this.poll_wire(cx, buf))? == 0 {
                return Poll::Ready(Ok(()));
            }
            let Incoming::Head(head) = &mut this.incoming else { continue };
            head.extend_from_slice(&buf.filled()[before..]);
            buf.set_filled(before);
            match inspect(head, this.bodiless) {
                Ok(Inspected::Incomplete) => {}
                Ok(Inspected::Complete { framing, phrase }) => {
                    this.wire.framing.set(Some(framing));
                    this.wire.phrase.replace(phrase);
                    this.incoming = Incoming::Held(std::mem::take(head), 0);
                }
                Err(error) => {
                    this.wire.malformed.replace(Some(error.to_string()));
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
            }
        }
    }
}

impl AsyncWrite for Filter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // awc writes the whole head at once.
        if let Outgoing::Head = this.outgoing {
            this.outgoing = Outgoing::Held(without_date(buf), 0);
            return Poll::Ready(Ok(buf.len()));
        }
        ready!(this.poll_held(cx))?;
        Pin::new(&mut this.io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_held(cx))?;
        ready!(Pin::new(&mut this.io).poll_flush(cx))?;
        this.wire.sent.set(Some(Instant::now()));
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// awc wants to be able to ask whether the stream is ready, and never does: only its TLS would.
impl ActixStream for Filter {
    fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::READABLE))
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::WRITABLE))
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("wire", &self.wire).finish_non_exhaustive()
    }
}

/// A request without the `date` header that actix writes last into every head.
fn without_date(request: &[u8]) -> Vec<u8> {
    let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(0, |at| at + 2);
    let (head, rest) = request.split_at(end);
    let mut kept = Vec::with_capacity(request.len());
    head.split_inclusive(|&byte| byte == b'\n')
        .filter(|line| !line.starts_with(b"date: "))
        .for_each(|line| kept.extend_from_slice(line));
    kept.extend_from_slice(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_date_is_dropped_from_a_request() {
        let request = b"GET / HTTP/1.1\r\nhost: h\r\ndate: now\r\n\r\ndate: body\r\n";
        assert_eq!(without_date(request), b"GET / HTTP/1.1\r\nhost: h\r\n\r\ndate: body\r\n");
        assert_eq!(without_date(b"date: torn"), b"date: torn");
    }
}
