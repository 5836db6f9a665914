//! The stream below awc, which has it send the request and takes the answer from it.
//!
//! awc would take an interim head for the final one, and a torn body for a whole one; and it reads ahead into
//! buffers of 32 KiB. So the head is read here, the body above, and awc is told that an answer came, and no more.
//! Of the request, the `date` header that awc adds is dropped, and `connection: close` is added: awc would start
//! a task for closing what it no longer has.

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_rt::net::{ActixStream, Ready};
use bytes::BytesMut;
use memchr::{memchr, memmem};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    Request,
    head::{Head, HeadError, take_head},
    stream::Duplex,
};

/// The answer, as awc has it.
const ANSWERED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// The connection of one exchange, and what is noted of it, shared with whoever waits for the answer.
pub(super) struct Wire {
    /// Taken once the answer came.
    pub(super) stream: RefCell<Option<Box<dyn Duplex>>>,
    /// When the last byte of the request was handed to the system.
    pub(super) sent: Cell<Option<Instant>>,
    /// When the first byte of the answer came.
    pub(super) first_byte: Cell<Option<Instant>>,
    /// The peer ended the stream within or before the head.
    pub(super) ended: Cell<bool>,
    /// The bytes of heads, up to the end of the final one; then what came after it.
    pub(super) bytes: RefCell<BytesMut>,
    /// The head of the answer, or what is wrong with it.
    pub(super) head: RefCell<Option<Result<Head, HeadError>>>,
}

/// The filter around one connection, for one exchange.
pub(super) struct Filter {
    wire: Rc<Wire>,
    /// Whether the request has the method HEAD.
    bodiless: bool,
    /// Whether the connection closes after the answer.
    closes: bool,
    outgoing: Outgoing,
}

enum Outgoing {
    /// Nothing was written yet.
    Head,
    /// The head as it goes out, from this byte on still to be written.
    Held(Vec<u8>, usize),
    /// The rest of the body.
    Through,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Duplex>) -> Self {
        Self {
            stream: RefCell::new(Some(stream)),
            sent: Cell::default(),
            first_byte: Cell::default(),
            ended: Cell::default(),
            bytes: RefCell::default(),
            head: RefCell::default(),
        }
    }

    /// Does something with the connection, as long as it was not taken.
    fn poll<T>(&self, work: impl FnOnce(Pin<&mut dyn Duplex>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &mut *self.stream.borrow_mut() {
            Some(stream) => work(Pin::new(&mut **stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl Filter {
    pub(super) fn new(request: &Request, wire: Rc<Wire>) -> Self {
        let (bodiless, closes) = (request.is_head(), request.keeper.is_none());
        Self { wire, bodiless, closes, outgoing: Outgoing::Head }
    }

    /// Reads on, with `buf` as the place to read into; whether the head is over, for better or worse.
    fn poll_head(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let (wire, before) = (&self.wire, buf.filled().len());
        ready!(wire.poll(|stream| stream.poll_read(cx, buf)))?;
        let fresh = &buf.filled()[before..];
        if fresh.is_empty() {
            wire.ended.set(true);
            return Poll::Ready(Ok(true));
        }
        if wire.first_byte.get().is_none() {
            wire.first_byte.set(Some(Instant::now()));
        }
        let mut bytes = wire.bytes.borrow_mut();
        bytes.extend_from_slice(fresh);
        buf.set_filled(before);
        let head = take_head(&mut bytes, self.bodiless).transpose();
        let over = head.is_some();
        wire.head.replace(head);
        Poll::Ready(Ok(over))
    }

    /// Writes what is held back of the head.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Outgoing::Held(head, written) = &mut self.outgoing {
            if *written == head.len() {
                self.outgoing = Outgoing::Through;
                break;
            }
            match ready!(self.wire.poll(|stream| stream.poll_write(cx, &head[*written..])))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Filter {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while !ready!(self.poll_head(cx, buf))? {}
        if let Some(Ok(_)) = &*self.wire.head.borrow() {
            buf.put_slice(ANSWERED);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Filter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // awc writes the whole head at once.
        if let Outgoing::Head = this.outgoing {
            this.outgoing = Outgoing::Held(amended(buf, this.closes), 0);
            return Poll::Ready(Ok(buf.len()));
        }
        ready!(this.poll_held(cx))?;
        this.wire.poll(|stream| stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_held(cx))?;
        ready!(this.wire.poll(|stream| stream.poll_flush(cx)))?;
        this.wire.sent.set(Some(Instant::now()));
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll(|stream| stream.poll_shutdown(cx))
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
        f.write_str("Filter")
    }
}

/// A request without the `date` header that actix writes last into every head. One over a connection that
/// closes says so: the server then closes first, and keeps the memory of the connection in our place.
fn amended(request: &[u8], closes: bool) -> Vec<u8> {
    const CLOSE: &[u8] = b"connection: close\r\n";
    let Some(end) = memmem::find(request, b"\r\n\r\n").map(|at| at + 2) else {
        return request.to_vec();
    };
    let (head, rest) = request.split_at(end);
    let mut amended = Vec::with_capacity(request.len() + CLOSE.len());
    let date = memmem::rfind(head, b"\r\ndate: ").map_or(end, |at| at + 2);
    let after = memchr(b'\n', &head[date..]).map_or(end, |at| date + at + 1);
    amended.extend_from_slice(&head[..date]);
    amended.extend_from_slice(&head[after..]);
    if closes {
        amended.extend_from_slice(CLOSE);
    }
    amended.extend_from_slice(rest);
    amended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_request_is_amended_and_nothing_else() {
        let request = b"GET / HTTP/1.1\r\nhost: h\r\ndate: now\r\n\r\ndate: body\r\n";
        assert_eq!(amended(request, false), b"GET / HTTP/1.1\r\nhost: h\r\n\r\ndate: body\r\n");
        assert_eq!(
            amended(request, true),
            b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\ndate: body\r\n"
        );
        assert_eq!(amended(b"date: torn", true), b"date: torn");
    }
}
