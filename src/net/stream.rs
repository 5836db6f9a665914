//! A connection that hears the peer out.
//!
//! A peer that refuses us says why and closes, often before it has read what we send: then writing fails
//! while its words are still to be read. So what cannot be written is dropped here, and the failure is told
//! where the peer has nothing more to say.
//!
//! Nor is the peer heard without a pause: one that always has more to say would keep its probe from its deadline,
//! and the other probes of the thread from theirs.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection: TCP, or TLS on TCP.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// How much is read before others have their turn, in bytes.
const AT_ONCE: usize = 32 * 1024;

/// The connection, and why nothing can be written any more.
pub(super) struct HearingOut<S> {
    stream: S,
    failure: Option<io::Error>,
    /// How much was read since others had their turn.
    read: usize,
}

impl<S> HearingOut<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, failure: None, read: 0 }
    }
}

impl<S: Duplex> AsyncRead for HearingOut<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read >= AT_ONCE {
            this.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        let fresh = buf.filled().len() - before;
        // Whoever waits lets others have their turn.
        this.read = if polled.is_pending() { 0 } else { this.read + fresh };
        let ended = match ready!(polled) {
            Ok(()) => fresh == 0 && buf.remaining() > 0,
            // Many servers end TLS without saying so. Whether something is missing shows in what came.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => true,
            Err(error) => return Poll::Ready(Err(error)),
        };
        Poll::Ready(match this.failure.take() {
            Some(failure) if ended => Err(failure),
            failure => {
                this.failure = failure;
                Ok(())
            }
        })
    }
}

impl<S: Duplex> AsyncWrite for HearingOut<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.failure.is_none() {
            match ready!(Pin::new(&mut this.stream).poll_write(cx, buf)) {
                Ok(written) => return Poll::Ready(Ok(written)),
                Err(error) => this.failure = Some(error),
            }
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.failure.is_none() {
            this.failure = ready!(Pin::new(&mut this.stream).poll_flush(cx)).err();
        }
        Poll::Ready(Ok(()))
    }

    /// A goodbye that nobody hears is no failure: it would be told in place of what the peer said.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        drop(ready!(Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn the_peer_is_heard_out_before_a_failure_is_told() {
        let (ours, mut theirs) = duplex(64);
        theirs.write_all(b"go away").await.unwrap();
        drop(theirs);
        let mut stream = HearingOut::new(ours);
        stream.write_all(b"a request").await.unwrap();
        stream.flush().await.unwrap();
        let mut said = Vec::new();
        let error = stream.read_to_end(&mut said).await.unwrap_err();
        assert_eq!((&said[..], error.kind()), (&b"go away"[..], io::ErrorKind::BrokenPipe));
    }

    #[tokio::test]
    async fn a_peer_that_never_pauses_does_not_keep_others_from_their_turn() {
        let mut stream = HearingOut::new(tokio::io::join(tokio::io::repeat(7), tokio::io::sink()));
        let mut read = 0;
        let polled = std::future::poll_fn(|cx| {
            let mut piece = [0; 1024];
            let mut piece = ReadBuf::new(&mut piece);
            while Pin::new(&mut stream).poll_read(cx, &mut piece).is_ready() {
                read += piece.filled().len();
                piece.clear();
            }
            Poll::Ready(read)
        });
        assert_eq!(polled.await, AT_ONCE);
        assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 9);
    }

    #[tokio::test]
    async fn a_peer_that_just_leaves_is_no_failure() {
        let (ours, theirs) = duplex(64);
        drop(theirs);
        assert_eq!(HearingOut::new(ours).read(&mut [0; 9]).await.unwrap(), 0);
    }
}
