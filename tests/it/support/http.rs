//! A TCP or TLS server that follows a script on every connection, right or wrong as it may be.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use super::http2::{Say, speak};

/// One thing that the server does. After the last one it closes the connection.
#[derive(Clone, Debug)]
pub enum Act {
    /// Reads a request, with its body if it has a length.
    Read,
    /// Reads what comes first, whatever it is.
    Take,
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends bytes again and again, as fast as they are taken.
    Flood(Vec<u8>),
    /// Sends bytes again and again, with a pause between.
    Trickle(Vec<u8>),
    /// Sends bytes one by one, with a pause between.
    Drip(Vec<u8>, Duration),
    /// Waits before the next act.
    Pause(Duration),
    /// Is silent until the client leaves.
    Hang,
    /// Speaks HTTP/2 from here on, and says this to every request.
    Http2(Vec<Say>),
    /// Closes the connection with a reset.
    Reset,
    /// Closes the connection without the goodbye of TLS.
    Leave,
}

/// Sends a text.
pub fn send(text: impl Into<String>) -> Act {
    Act::Send(text.into().into_bytes())
}

/// Reads a request and sends a text: the shape of nearly every script.
pub fn answer(text: impl Into<String>) -> Vec<Act> {
    vec![Act::Read, send(text)]
}

/// A running server; it ends when this is dropped.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
    left: AtomicUsize,
    closed: AtomicUsize,
}

impl Server {
    /// A server of `script` on a port of 127.0.0.1.
    pub async fn start(script: Vec<Act>) -> Self {
        Self::start_on("127.0.0.1:0", script, None).await
    }

    /// A server with a script for each connection in turn; the last one is that of all others too.
    pub async fn start_in_turn(scripts: Vec<Vec<Act>>) -> Self {
        Self::serve("127.0.0.1:0", scripts, None).await
    }

    /// The same behind TLS.
    pub async fn start_tls(script: Vec<Act>, config: ServerConfig) -> Self {
        Self::start_on("127.0.0.1:0", script, Some(config)).await
    }

    /// The same at an address of choice.
    pub async fn start_on(address: &str, script: Vec<Act>, tls: Option<ServerConfig>) -> Self {
        Self::serve(address, vec![script], tls).await
    }

    async fn serve(address: &str, scripts: Vec<Vec<Act>>, tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let task = tokio::spawn(accept(listener, scripts, acceptor, Arc::clone(&seen)));
        Self { address, seen, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every request so far, heads with their bodies.
    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// How many connections the server closed.
    pub fn closed(&self) -> usize {
        self.seen.closed.load(Ordering::Relaxed)
    }

    /// How many clients left while the server was not done.
    pub fn left(&self) -> usize {
        self.seen.left.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, scripts: Vec<Vec<Act>>, tls: Option<TlsAcceptor>, seen: Arc<Seen>) {
    let mut turn = 0;
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        seen.connections.fetch_add(1, Ordering::Relaxed);
        let script = scripts.get(turn).or(scripts.last()).cloned().unwrap_or_default();
        turn += 1;
        let (tls, seen) = (tls.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            if script.iter().any(|act| matches!(act, Act::Reset)) {
                reset_on_close(&stream);
            }
            let done = match tls {
                None => play(stream, script, &seen).await,
                // A client that refuses the certificate leaves here.
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => play(stream, script, &seen).await,
                    Err(_) => false,
                },
            };
            let counter = if done { &seen.closed } else { &seen.left };
            counter.fetch_add(1, Ordering::Relaxed);
        });
    }
}

fn reset_on_close(stream: &TcpStream) {
    stream.set_zero_linger().unwrap();
}

/// Whether the server came to the end of its script; the connection is closed then.
async fn play<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, script: Vec<Act>, seen: &Seen) -> bool {
    for act in script {
        let stayed = match act {
            Act::Read => match read_request(&mut stream).await {
                Some(request) => {
                    seen.requests.lock().unwrap().push(request);
                    true
                }
                None => false,
            },
            Act::Take => matches!(stream.read(&mut [0; 4096]).await, Ok(1..)),
            Act::Send(bytes) => stream.write_all(&bytes).await.is_ok(),
            Act::Flood(bytes) => {
                while stream.write_all(&bytes).await.is_ok() {}
                false
            }
            Act::Trickle(bytes) => {
                while stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok() {
                    sleep(Duration::from_millis(10)).await;
                }
                false
            }
            Act::Drip(bytes, pause) => drip(&mut stream, &bytes, pause).await.is_ok(),
            Act::Pause(pause) => {
                sleep(pause).await;
                true
            }
            Act::Hang => {
                let mut rest = [0; 1024];
                while matches!(stream.read(&mut rest).await, Ok(1..)) {}
                false
            }
            Act::Http2(says) => {
                speak(&mut stream, says, |request| seen.requests.lock().unwrap().push(request)).await;
                false
            }
            Act::Reset | Act::Leave => return true,
        };
        if !stayed {
            return false;
        }
    }
    // Of TLS, the end is said; of TCP, it is the end.
    drop(stream.shutdown().await);
    true
}

async fn drip<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8], pause: Duration) -> io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        sleep(pause).await;
    }
    Ok(())
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text.into_owned());
            }
        }
        let mut more = [0; 4096];
        match stream.read(&mut more).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => request.extend_from_slice(&more[..read]),
        }
    }
}
