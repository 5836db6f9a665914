//! What a server of HTTP/2 says to a request, right or wrong as it may be.

use std::{future::poll_fn, pin::pin, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use h2::{
    Reason, RecvStream, SendStream,
    server::{self, SendResponse},
};
use http::{HeaderMap, Request, Response};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};

/// One thing that the server says. After the last one, the answer ends.
#[derive(Clone, Debug)]
pub enum Say {
    /// A status, and headers.
    Head(u16, Vec<(&'static str, String)>),
    /// A part of the body.
    Data(Vec<u8>),
    /// A part of the body again and again, as fast as it is taken.
    Flood(Vec<u8>),
    /// A part of the body again and again, with a pause between.
    Trickle(Vec<u8>),
    /// Trailers, which end the answer.
    Trailers,
    /// Nothing more, until the client leaves.
    Hang,
    /// The stream is reset.
    Reset(Reason),
    /// The connection is given up.
    GiveUp(Reason),
    /// The connection takes no further request.
    Last,
    /// The connection is closed without a word.
    Leave,
}

/// What an answer means for the connection.
enum After {
    Goes,
    GivesUp(Reason),
    TakesNoMore,
    Closes,
}

/// Answers every request until the client leaves, or the server does.
pub async fn speak<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, says: Vec<Say>, seen: impl Fn(String)) {
    let Ok(mut connection) = server::handshake(stream).await else { return };
    let mut answers = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => answers.push(answer(request, respond, says.clone(), &seen)),
                _ => return,
            },
            Some(after) = answers.next() => match after {
                After::Goes => {}
                After::GivesUp(reason) => connection.abrupt_shutdown(reason),
                After::TakesNoMore => connection.graceful_shutdown(),
                After::Closes => return,
            },
        }
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    says: Vec<Say>,
    seen: &impl Fn(String),
) -> After {
    seen(read(request).await);
    let mut stream: Option<SendStream<Bytes>> = None;
    let mut after = After::Goes;
    for say in says {
        match (say, &mut stream) {
            (Say::Head(status, headers), _) => {
                let mut head = Response::builder().status(status);
                for (name, value) in headers {
                    head = head.header(name, value);
                }
                stream = respond.send_response(head.body(()).unwrap(), false).ok();
            }
            (Say::Data(bytes), Some(stream)) => drop(send(stream, &bytes).await),
            (Say::Flood(bytes), Some(stream)) => while send(stream, &bytes).await.is_some() {},
            (Say::Trickle(bytes), Some(stream)) => {
                while send(stream, &bytes).await.is_some() {
                    sleep(Duration::from_millis(10)).await;
                }
            }
            (Say::Trailers, Some(sending)) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("x-sum", "1".parse().unwrap());
                drop(sending.send_trailers(trailers));
                stream = None;
            }
            (Say::Reset(reason), Some(stream)) => stream.send_reset(reason),
            (Say::Reset(reason), None) => respond.send_reset(reason),
            (Say::GiveUp(reason), _) => return After::GivesUp(reason),
            (Say::Last, _) => after = After::TakesNoMore,
            (Say::Leave, _) => return After::Closes,
            (Say::Hang, _) => std::future::pending().await,
            (say, None) => panic!("{say:?} before the head"),
        }
    }
    if let Some(mut stream) = stream {
        drop(stream.send_data(Bytes::new(), true));
    }
    after
}

/// Waits until the client takes it; none if it never will.
async fn send(stream: &mut SendStream<Bytes>, mut bytes: &[u8]) -> Option<()> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = match stream.capacity() {
            0 => pin!(poll_fn(|cx| stream.poll_capacity(cx))).await?.ok()?,
            room => room,
        };
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        stream.send_data(Bytes::copy_from_slice(now), false).ok()?;
        bytes = later;
    }
    Some(())
}

/// A request as HTTP/1 would have it.
async fn read(request: Request<RecvStream>) -> String {
    let (head, mut body) = request.into_parts();
    let mut text = format!("{} {} HTTP/2\r\n", head.method, head.uri);
    for (name, value) in &head.headers {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    text.push_str("\r\n");
    while let Some(Ok(bytes)) = body.data().await {
        text.push_str(&String::from_utf8_lossy(&bytes));
        body.flow_control().release_capacity(bytes.len()).unwrap();
    }
    text
}
