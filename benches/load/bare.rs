//! The yardstick: a client that does nothing but connect, ask and read, on the daemon's schedule.
//!
//! It is a process of its own, so that its cost can be told from the server's. The schedule comes by its stdin.

use std::{io, net::SocketAddr, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    task::LocalSet,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    process::allow_many_files,
    scenario::{Connection, Scenario, TIMEOUT_S},
    server::Server,
    tls,
};

/// What to do.
#[derive(Deserialize, Serialize)]
struct Schedule {
    targets: u32,
    frequency_s: u32,
    addresses: Vec<SocketAddr>,
    keep_alive: bool,
    authority_pem: Option<String>,
}

/// Starts the process by a command that comes to [`run`]; it ends with the value.
pub async fn spawn(mut command: Command, scenario: &Scenario, server: &Server) -> Result<Child> {
    let schedule = serde_json::to_vec(&Schedule {
        targets: u32::try_from(scenario.targets)?,
        frequency_s: scenario.frequency_s,
        addresses: server.addresses.clone(),
        keep_alive: scenario.connection == Connection::KeepAlive,
        authority_pem: server.authority_pem.clone(),
    })?;
    let mut child = command.stdin(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut stdin = child.stdin.take().context("stdin is a pipe")?;
    stdin.write_all(&schedule).await?;
    Ok(child)
}

/// Is the process.
pub fn run() -> Result<()> {
    let schedule: Schedule = serde_json::from_reader(io::stdin()).context("no schedule")?;
    allow_many_files()?;
    let client = Arc::new(Client {
        tls: schedule.authority_pem.as_deref().map(tls::connector).transpose()?,
        keep_alive: schedule.keep_alive,
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let begun = Instant::now() + Duration::from_millis(100);
    let frequency = Duration::from_secs(schedule.frequency_s.into());
    for id in 1..=schedule.targets {
        let address = schedule.addresses[id as usize % schedule.addresses.len()];
        let from = begun + frequency * (id - 1) / schedule.targets;
        local.spawn_local(Arc::clone(&client).watch(id, address, from, frequency));
    }
    runtime.block_on(local);
    Ok(())
}

struct Client {
    tls: Option<TlsConnector>,
    keep_alive: bool,
}

impl Client {
    async fn watch(self: Arc<Self>, id: u32, address: SocketAddr, from: Instant, frequency: Duration) {
        let mut slots = interval_at(from, frequency);
        slots.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let connection = if self.keep_alive { "" } else { "connection: close\r\n" };
        let request = format!("GET /t/{id} HTTP/1.1\r\nhost: {address}\r\n{connection}\r\n");
        let limit = Duration::from_secs(TIMEOUT_S.into());
        let mut kept = None;
        loop {
            slots.tick().await;
            // A failure is seen by the server, as an arrival that is missing.
            kept =
                timeout(limit, self.visit(kept, address, &request)).await.ok().and_then(Result::ok).flatten();
        }
    }

    /// Visits once, and leaves a connection that can be used again.
    async fn visit(
        &self,
        kept: Option<TcpStream>,
        address: SocketAddr,
        request: &str,
    ) -> io::Result<Option<TcpStream>> {
        let mut stream = match kept {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        if let Some(connector) = &self.tls {
            let mut stream = connector.connect(ServerName::from(address.ip()), stream).await?;
            ask_once(&mut stream, request).await?;
            return Ok(None);
        }
        if self.keep_alive {
            ask(&mut stream, request).await?;
            return Ok(Some(stream));
        }
        ask_once(&mut stream, request).await?;
        Ok(None)
    }
}

/// Asks, and reads to the end of the connection: who closes first holds the port for a minute.
async fn ask_once<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, request: &str) -> io::Result<()> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(256);
    stream.read_to_end(&mut answer).await?;
    Ok(())
}

/// Asks, and reads the answer: a head and two bytes.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, request: &str) -> io::Result<()> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = [0; 256];
    let mut length = 0;
    while !answer[..length.max(2) - 2].ends_with(b"\r\n\r\n") {
        match stream.read(&mut answer[length..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => length += read,
        }
    }
    Ok(())
}
