//! The watched service: one thread that answers `/t/<id>` and notes when each target was visited. It is also
//! who is told of failures, at `/told`.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::LocalSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    arrivals::{TICKS_PER_S, Visits},
    plan::Plan,
    scenario::{Connection, Scenario},
    tls::Identity,
    told::Notice,
};

/// Its name among the threads of this process.
pub const THREAD: &str = "load-server";

/// So many that the ports of no pair of addresses run out.
const ADDRESSES: u8 = 32;

const TELLING: &[u8] = b"POST /told ";
const PASS: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n";
const FAIL: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n";

/// A running server; it ends with the value.
pub struct Server {
    pub addresses: Vec<SocketAddr>,
    pub authority_pem: Option<String>,
    shared: Arc<Shared>,
    /// `None` once it ended.
    thread: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

struct Shared {
    begun: Instant,
    scenario: Scenario,
    pass: String,
    fail: String,
    plan: OnceLock<Plan>,
    visited: AtomicUsize,
    visits: Mutex<Vec<Visits>>,
    notices: Mutex<Vec<Notice>>,
}

impl Server {
    /// Starts a server for the targets of a scenario.
    pub fn start(scenario: &Scenario) -> Result<Self> {
        let connection = match scenario.connection {
            Connection::KeepAlive => "\r\n",
            Connection::Fresh | Connection::Tls => "connection: close\r\n\r\n",
        };
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            scenario: scenario.clone(),
            pass: format!("{PASS}{connection}ok"),
            fail: format!("{FAIL}{connection}no"),
            plan: OnceLock::new(),
            visited: AtomicUsize::new(0),
            visits: Mutex::new(vec![Visits::new(); scenario.targets]),
            notices: Mutex::new(Vec::new()),
        });
        let listeners = (1..=ADDRESSES).map(listen).collect::<io::Result<Vec<_>>>()?;
        let addresses = listeners.iter().map(std::net::TcpListener::local_addr);
        let addresses = addresses.collect::<io::Result<Vec<SocketAddr>>>()?;
        let identity = match scenario.connection {
            Connection::Tls => {
                Some(Identity::new(addresses.iter().map(|address| address.ip().to_string()).collect())?)
            }
            Connection::Fresh | Connection::KeepAlive => None,
        };
        let authority_pem = identity.as_ref().map(|identity| identity.authority_pem.clone());
        let acceptor = identity.map(|identity| identity.acceptor);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let of_thread = Arc::clone(&shared);
        let serve = move || {
            let local = LocalSet::new();
            for listener in listeners {
                local.spawn_local(accept(listener, acceptor.clone(), Arc::clone(&of_thread)));
            }
            runtime.block_on(local.run_until(async { drop(stopped.await) }));
        };
        let thread = thread::Builder::new().name(THREAD.to_owned()).spawn(serve)?;
        Ok(Self { addresses, authority_pem, shared, thread: Some((stop, thread)) })
    }

    /// The URL of a target.
    pub fn url(&self, id: usize) -> String {
        let scheme = if self.authority_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/t/{id}", self.addresses[id % self.addresses.len()])
    }

    /// Where to tell of failures.
    pub fn told_url(&self) -> String {
        format!("http://{}/told", self.addresses[0])
    }

    /// Lets the answers change from `from` on, as the scenario wants it; until now all pass.
    pub fn begin(&self, from: f64) {
        self.shared.plan.get_or_init(|| Plan::new(&self.shared.scenario, from));
    }

    /// The time on the clock of the arrivals, in seconds.
    pub fn now(&self) -> f64 {
        self.shared.begun.elapsed().as_secs_f64()
    }

    /// How many targets were visited at least once.
    pub fn visited(&self) -> usize {
        self.shared.visited.load(Ordering::Relaxed)
    }

    /// Ends it, and tells what it has seen.
    pub fn finish(mut self) -> Result<Seen> {
        self.end();
        let shared = Arc::clone(&self.shared);
        drop(self);
        let shared = Arc::into_inner(shared).context("the server has not ended")?;
        Ok(Seen {
            visits: shared.visits.into_inner().unwrap_or_default(),
            notices: shared.notices.into_inner().unwrap_or_default(),
            plan: shared.plan.into_inner(),
        })
    }

    fn end(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            // A panic of it has been printed, and is seen as arrivals that are missing.
            thread.join().ok();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// All that a server has seen.
pub struct Seen {
    /// A list for each target in the order of the ids.
    pub visits: Vec<Visits>,
    pub notices: Vec<Notice>,
    pub plan: Option<Plan>,
}

impl Shared {
    fn visits(&self) -> MutexGuard<'_, Vec<Visits>> {
        self.visits.lock().expect("nobody panics with the lock")
    }

    fn now(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// Notes an arrival and says how to answer it.
    fn visit(&self, id: usize, at: f64) -> &str {
        if let Some(visits) = self.visits().get_mut(id - 1) {
            if visits.is_empty() {
                self.visited.fetch_add(1, Ordering::Relaxed);
            }
            visits.push((at * TICKS_PER_S) as u32);
        }
        if self.plan.get().is_some_and(|plan| plan.fails(id, self.now())) { &self.fail } else { &self.pass }
    }
}

fn listen(last_octet: u8) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::new(127, 0, 77, last_octet), 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn accept(
    listener: std::net::TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            // No descriptor is left, until some connection ends.
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let at = shared.now();
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        // A client that leaves early is seen as an arrival that is missing.
        tokio::task::spawn_local(async move {
            stream.set_nodelay(true)?;
            let Some(acceptor) = acceptor else { return serve(&mut stream, at, &shared).await };
            serve_tls(&acceptor, stream, at, &shared).await
        });
    }
}

async fn serve_tls(acceptor: &TlsAcceptor, stream: TcpStream, at: f64, shared: &Shared) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    serve(&mut stream, at, shared).await?;
    stream.shutdown().await
}

/// Answers what comes on one connection, which was there `at`.
async fn serve<S>(stream: &mut S, mut at: f64, shared: &Shared) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = [0; 1_024];
    loop {
        let mut length = 0;
        // Of a notification, the beginning is enough here: its end is not that of the head.
        while !(head[..length].ends_with(b"\r\n\r\n") || head[..length].starts_with(TELLING)) {
            let read = stream.read(&mut head[length..]).await?;
            if read == 0 {
                return Ok(());
            }
            // Of a connection that is used again, the request is what arrives.
            if at.is_nan() {
                at = shared.now();
            }
            length += read;
        }
        if head.starts_with(TELLING) {
            return note(stream, head[..length].to_vec(), shared).await;
        }
        let Some(id) = target_of(&head[..length]) else { return Ok(()) };
        let answer = shared.visit(id, at);
        if shared.scenario.hangs(id) {
            while stream.read(&mut head).await? > 0 {}
            return Ok(());
        }
        stream.write_all(answer.as_bytes()).await?;
        if shared.scenario.connection != Connection::KeepAlive {
            return Ok(());
        }
        at = f64::NAN;
    }
}

/// Takes a notification, of which the beginning was read.
async fn note<S>(stream: &mut S, mut request: Vec<u8>, shared: &Shared) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        if let Some(notice) = Notice::read(&request, shared.now()) {
            shared.notices.lock().expect("nobody panics with the lock").push(notice);
            return stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
        }
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
}

/// The id in `GET /t/<id> …`.
fn target_of(head: &[u8]) -> Option<usize> {
    let path = head.strip_prefix(b"GET /t/")?;
    let end = path.iter().position(|byte| *byte == b' ')?;
    std::str::from_utf8(&path[..end]).ok()?.parse().ok().filter(|id| *id > 0)
}
