//! The Unix socket: who may use it, and what a client may cost.
//!
//! # Design notes
//!
//! 2026-11-23: the mode is set on the descriptor before it is bound, so that the file never has wider
//! permissions than configured. A change of the umask would do the same to files of other threads.

use std::{
    fs, io,
    os::unix::{fs::FileTypeExt, net::UnixStream as StdStream},
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::StreamExt;
use log::{error, warn};
use rustix::fs::Mode;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{UnixListener, UnixSocket, UnixStream},
    sync::mpsc::unbounded_channel,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::{
    codec::{FramedRead, LinesCodec, LinesCodecError},
    sync::CancellationToken,
};

use super::{
    api::Api,
    protocol::{self, LINE_MAX, RpcError},
};

/// Clients that wait to be accepted.
const BACKLOG: u32 = 64;
/// How long clients may take to get the answers that are under way when the server stops.
const FINISH_WITHIN: Duration = Duration::from_secs(2);
/// How long no client is accepted after that failed, so that it does not fail a thousand times a second.
const PAUSE: Duration = Duration::from_millis(500);

/// What clients may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Clients at a time.
    pub clients: usize,
    /// The longest time until the next request is there, whole.
    pub idle: Duration,
    /// The longest time that a client takes to read a line.
    pub read: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { clients: 64, idle: Duration::from_secs(30), read: Duration::from_secs(10) }
    }
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon listens there.
    #[error("another daemon listens on {}", .0.display())]
    InUse(PathBuf),
    /// Something else has that name.
    #[error("{} exists and is no socket", .0.display())]
    NoSocket(PathBuf),
    /// The system refused.
    #[error("cannot listen on {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A socket that is bound, and does not answer yet.
pub struct Server {
    listener: UnixListener,
    file: SocketFile,
    pub(super) limits: Limits,
    pub(super) may_use: fn(uid: u32) -> bool,
}

/// A server that answers.
pub struct ServerHandle {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Takes the socket out of the file system with it.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Whoever took it away before wanted the same.
        fs::remove_file(&self.0).ok();
    }
}

impl Server {
    /// Binds `path` with the permissions `mode`. A socket that nobody listens on any more is replaced.
    pub fn bind(path: &Path, mode: u32) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { path: path.to_owned(), source };
        make_way(path)?;
        let socket = UnixSocket::new_stream().map_err(failed)?;
        let mode = Mode::from_raw_mode(mode);
        rustix::fs::fchmod(&socket, mode).map_err(|error| failed(error.into()))?;
        socket.bind(path).map_err(failed)?;
        let file = SocketFile(path.to_owned());
        // The umask may have taken some permissions away.
        rustix::fs::chmod(path, mode).map_err(|error| failed(error.into()))?;
        let listener = socket.listen(BACKLOG).map_err(failed)?;
        Ok(Self { listener, file, limits: Limits::default(), may_use: is_root_or_us })
    }

    /// Answers clients until it is stopped.
    pub fn start(self, api: Api) -> ServerHandle {
        let stop = CancellationToken::new();
        let task = tokio::spawn(self.serve(api, stop.clone()));
        ServerHandle { stop, task }
    }

    async fn serve(self, api: Api, stop: CancellationToken) {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = clients.join_next() => log_panic(ended),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => self.welcome(stream, &api, &stop, &mut clients),
                    Err(error) => {
                        warn!("the control socket accepts no client: {error}");
                        sleep(PAUSE).await;
                    }
                },
            }
        }
        // Nobody new; those who wait for an answer get it. The rest ends with the set.
        drop(self.listener);
        drop(self.file);
        let finish = async { while clients.join_next().await.is_some() {} };
        timeout(FINISH_WITHIN, finish).await.ok();
    }

    /// Lets a client in, or closes its connection: without a word, if it has no right to one.
    fn welcome(&self, stream: UnixStream, api: &Api, stop: &CancellationToken, clients: &mut JoinSet<()>) {
        match stream.peer_cred() {
            Ok(peer) if (self.may_use)(peer.uid()) => {}
            Ok(peer) => {
                warn!(uid = peer.uid(); "a client of the control socket was refused");
                return;
            }
            Err(error) => {
                warn!("a client of the control socket was refused: {error}");
                return;
            }
        }
        if clients.len() >= self.limits.clients {
            // A new socket has room for this line; a client that is gone needs none.
            let line = protocol::response_line(&Value::Null, Err(RpcError::busy()));
            stream.try_write(line.as_bytes()).ok();
            return;
        }
        let (api, stop, limits) = (api.clone(), stop.clone(), self.limits);
        clients.spawn(async move { converse(stream, &api, &stop, limits).await });
    }
}

impl ServerHandle {
    /// Accepts nobody any more, and waits until the answers that are under way are out.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            error!("the control socket's server died: {error}");
        }
    }
}

/// Answers a client within this process, who needs no permission.
pub(super) async fn serve_one(stream: impl AsyncRead + AsyncWrite + Send, api: Api) {
    let limits = Limits { idle: Duration::MAX, read: Duration::MAX, ..Limits::default() };
    converse(stream, &api, &CancellationToken::new(), limits).await;
}

/// One client, from its first line to its last.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send,
    api: &Api,
    stop: &CancellationToken,
    limits: Limits,
) {
    let (read, mut write) = tokio::io::split(stream);
    let mut lines = FramedRead::new(read, LinesCodec::new_with_max_length(LINE_MAX));
    loop {
        // The one point where a client can be left: between two requests.
        let next = tokio::select! {
            () = stop.cancelled() => return,
            next = timeout(limits.idle, lines.next()) => next,
        };
        let Ok(Some(line)) = next else {
            return;
        };
        let (answered, stays) = match line {
            Ok(line) => (answer(&line, api, &mut write, limits).await, true),
            // What follows may be the rest of that line: nothing of it can be understood.
            Err(error) => (refuse(error, &mut write, limits).await, false),
        };
        if answered.is_err() || !stays {
            return;
        }
    }
}

/// Answers one line; the steps of a trace go out as they happen. An error is a client that went away.
async fn answer(
    line: &str,
    api: &Api,
    write: &mut (impl AsyncWrite + Unpin),
    limits: Limits,
) -> io::Result<()> {
    let request = match protocol::read_request(line) {
        Ok(request) => request,
        Err((id, error)) => return send(write, &protocol::response_line(&id, Err(error)), limits).await,
    };
    let (watcher, mut steps) = unbounded_channel();
    let call = api.call(&request.method, request.params, watcher);
    tokio::pin!(call);
    let answer = loop {
        tokio::select! {
            biased;
            Some(step) = steps.recv() => send(write, &protocol::trace_line(&step), limits).await?,
            answer = &mut call => break answer,
        }
    };
    while let Ok(step) = steps.try_recv() {
        send(write, &protocol::trace_line(&step), limits).await?;
    }
    match request.id {
        Some(id) => send(write, &protocol::response_line(&id, answer), limits).await,
        None => Ok(()),
    }
}

async fn refuse(
    error: LinesCodecError,
    write: &mut (impl AsyncWrite + Unpin),
    limits: Limits,
) -> io::Result<()> {
    let error = match error {
        LinesCodecError::MaxLineLengthExceeded => {
            RpcError::invalid_request(format!("a line is at most {LINE_MAX} bytes long"))
        }
        LinesCodecError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            RpcError::parse("not UTF-8")
        }
        LinesCodecError::Io(error) => return Err(error),
    };
    send(write, &protocol::response_line(&Value::Null, Err(error)), limits).await
}

async fn send(write: &mut (impl AsyncWrite + Unpin), line: &str, limits: Limits) -> io::Result<()> {
    timeout(limits.read, write.write_all(line.as_bytes())).await?
}

/// Removes a socket that nobody listens on any more, and nothing else.
fn make_way(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(BindError::NoSocket(path.to_owned())),
        Ok(_) => {}
    }
    match StdStream::connect(path) {
        Ok(_) => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

fn is_root_or_us(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!("a client of the control socket was left without an answer: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_our_own_user_are_let_in() {
        let own = rustix::process::geteuid().as_raw();
        assert!(is_root_or_us(0) && is_root_or_us(own));
        assert!(!is_root_or_us(own + 1));
    }
}
