//! The watched service: one thread that answers `/t/<id>` and notes when each target was visited.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::LocalSet,
};

/// Several, so that no port range of one pair of addresses runs out.
const ADDRESSES: usize = 8;

const PASS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
const FAIL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";

/// A running server; it ends with the process.
pub struct Server {
    pub addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
}

struct Shared {
    begun: Instant,
    /// Seconds since `begun`, for each target.
    arrivals: Mutex<Vec<Vec<f64>>>,
    odd_ones_fail: AtomicBool,
}

impl Server {
    /// Starts a server for targets with the ids 1 to `targets`.
    pub fn start(targets: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            arrivals: Mutex::new(vec![Vec::new(); targets]),
            odd_ones_fail: AtomicBool::new(false),
        });
        let listeners = (0..ADDRESSES)
            .map(|n| {
                let octet = u8::try_from(n).expect("there are few addresses");
                let listener = std::net::TcpListener::bind((Ipv4Addr::new(127, 0, 77, 1 + octet), 0))?;
                listener.set_nonblocking(true)?;
                Ok(listener)
            })
            .collect::<io::Result<Vec<_>>>()?;
        let addresses = listeners.iter().map(std::net::TcpListener::local_addr).collect::<io::Result<_>>()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            let local = LocalSet::new();
            for listener in listeners {
                local.spawn_local(accept(listener, Arc::clone(&of_thread)));
            }
            runtime.block_on(local);
        });
        Ok(Self { addresses, shared })
    }

    /// The URL of a target.
    pub fn url(&self, id: usize) -> String {
        format!("http://{}/t/{id}", self.addresses[id % self.addresses.len()])
    }

    /// From now on, every target with an odd id fails.
    pub fn let_odd_ones_fail(&self) {
        self.shared.odd_ones_fail.store(true, Ordering::Relaxed);
    }

    /// The time on the clock of the arrivals.
    pub fn now(&self) -> f64 {
        self.shared.begun.elapsed().as_secs_f64()
    }

    /// All arrivals so far, a list for each target in the order of the ids.
    pub fn arrivals(&self) -> Vec<Vec<f64>> {
        self.shared.lock().clone()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<f64>>> {
        self.arrivals.lock().expect("nobody panics with the lock")
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let at = shared.begun.elapsed().as_secs_f64();
        // A client that leaves early is seen as an arrival that is missing.
        tokio::task::spawn_local(serve(stream, at, Arc::clone(&shared)));
    }
}

async fn serve(mut stream: TcpStream, at: f64, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = [0; 2_048];
    let mut length = 0;
    while !head[..length].ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut head[length..]).await?;
        if read == 0 {
            return Ok(());
        }
        length += read;
    }
    let Some(id) = target_of(&head[..length]) else {
        return Ok(());
    };
    if let Some(visits) = shared.lock().get_mut(id - 1) {
        visits.push(at);
    }
    let fails = id % 2 == 1 && shared.odd_ones_fail.load(Ordering::Relaxed);
    stream.write_all(if fails { FAIL } else { PASS }).await
}

/// The id in `GET /t/<id> …`.
fn target_of(head: &[u8]) -> Option<usize> {
    let path = std::str::from_utf8(head).ok()?.split(' ').nth(1)?;
    path.strip_prefix("/t/")?.parse().ok().filter(|id| *id > 0)
}
