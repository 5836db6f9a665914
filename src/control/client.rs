//! Calls a server: the daemon's over its socket, or one within this process.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::StreamExt;
use serde_json::{Map, Value};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    net::UnixStream,
    time::timeout,
};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use super::{
    api::Api,
    protocol::{self, Reply, RpcError},
    server,
};

/// The longest silence of a server that is well: it asks up to four of its actors, each with a deadline.
const SILENCE: Duration = Duration::from_secs(85);
/// The longest silence during a test. Somewhat longer than the longest timeout of a target.
const SILENCE_OF_TEST: Duration = Duration::from_secs(3_660);
/// The buffer between client and server within a process.
const BUFFER: usize = 64 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to a server.
pub struct Client {
    // The daemon is trusted with the length of its lines: a list holds every row.
    lines: FramedRead<ReadHalf<Box<dyn Stream>>, LinesCodec>,
    write: WriteHalf<Box<dyn Stream>>,
    calls: u64,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens.
    #[error("no daemon listens on {}", .0.display())]
    NoDaemon(PathBuf),
    /// Somebody may listen, and cannot be reached.
    #[error("cannot connect to {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a call brought no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server says why.
    #[error(transparent)]
    Refused(#[from] RpcError),
    /// The connection broke.
    #[error("the connection to the daemon broke")]
    Broken(#[source] io::Error),
    /// The server says nothing.
    #[error("the daemon does not answer within {} s; if that lasts, end it with `kill`", .0.as_secs())]
    Silent(Duration),
    /// The server closed the connection.
    #[error("the daemon closed the connection: only root and the user who runs it may use it, or it stops")]
    Closed,
    /// The server speaks something else.
    #[error("the daemon's answer is not understood")]
    Nonsense,
}

impl Client {
    /// Connects to the daemon that listens on `socket`.
    pub async fn connect(socket: &Path) -> Result<Self, ConnectError> {
        match UnixStream::connect(socket).await {
            Ok(stream) => Ok(Self::over(Box::new(stream))),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ConnectError::NoDaemon(socket.to_owned())
                }
                _ => ConnectError::Io { path: socket.to_owned(), source: error },
            }),
        }
    }

    /// Calls `api` in this process; the same way, so that nothing is answered differently.
    pub fn in_process(api: Api) -> Self {
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        tokio::spawn(server::serve_one(theirs, api));
        Self::over(Box::new(ours))
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self { lines: FramedRead::new(read, LinesCodec::new()), write, calls: 0 }
    }

    /// Calls a method and waits for its result. Each step of a trace goes to `watch` as it happens.
    pub async fn call(
        &mut self,
        method: &str,
        params: &Map<String, Value>,
        watch: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Value, CallError> {
        self.calls += 1;
        let silence = patience(method);
        let line = protocol::request_line(self.calls, method, params);
        match self.write.write_all(line.as_bytes()).await {
            // A server that has no place says so and closes: what it said can still be read.
            Err(error) if !is_closed(&error) => return Err(CallError::Broken(error)),
            _ => {}
        }
        loop {
            let line = timeout(silence, self.lines.next()).await;
            let line = match line.map_err(|_| CallError::Silent(silence))? {
                Some(Ok(line)) => line,
                Some(Err(LinesCodecError::Io(error))) if is_closed(&error) => return Err(CallError::Closed),
                Some(Err(_)) => return Err(CallError::Nonsense),
                None => return Err(CallError::Closed),
            };
            match protocol::read_reply(&line).ok_or(CallError::Nonsense)? {
                Reply::Trace(step) => watch(&step),
                Reply::Answer(answer) => return Ok(answer?),
            }
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// How long a server may say nothing while it does what is asked.
fn patience(method: &str) -> Duration {
    if method.ends_with(".test") { SILENCE_OF_TEST } else { SILENCE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_test_may_take_as_long_as_the_longest_timeout_of_a_target() {
        for method in ["targets.test", "notifiers.test"] {
            assert!(patience(method) > Duration::from_secs(3_600), "{method}");
        }
        for method in ["status", "stop", "reload", "targets.list", "targets.get", "targets.add"] {
            assert!(patience(method) < Duration::from_secs(90), "{method}");
        }
    }
}
