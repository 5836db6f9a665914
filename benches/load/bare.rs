//! The yardstick: a client that does nothing but connect, ask and read, on the daemon's schedule.
//!
//! It is a process of its own, so that its cost can be told from the server's.

use std::{io, net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    task::LocalSet,
    time::{Instant, MissedTickBehavior, interval_at},
};

use crate::server::Server;

/// The first argument of the process.
pub const ARGUMENT: &str = "bare-client";

/// Starts the process; it ends with the value.
pub fn spawn(server: &Server, targets: usize) -> Result<Child> {
    let addresses: Vec<String> = server.addresses.iter().map(SocketAddr::to_string).collect();
    Command::new(std::env::current_exe()?)
        .args([ARGUMENT, &targets.to_string(), &addresses.join(",")])
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the bare client")
}

/// Is the process.
pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let targets: u32 = arguments.next().context("how many targets?")?.parse()?;
    let addresses = arguments.next().context("which addresses?")?;
    let addresses = addresses.split(',').map(str::parse).collect::<Result<Vec<SocketAddr>, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let begun = Instant::now() + Duration::from_millis(100);
    for id in 1..=targets {
        let address = addresses[id as usize % addresses.len()];
        let phase = Duration::from_secs(1) * (id - 1) / targets;
        local.spawn_local(watch(id, address, begun + phase));
    }
    runtime.block_on(local);
    Ok(())
}

async fn watch(id: u32, address: SocketAddr, from: Instant) {
    let mut slots = interval_at(from, Duration::from_secs(1));
    slots.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        slots.tick().await;
        // A failure is seen by the server, as an arrival that is missing.
        visit(id, address).await.ok();
    }
}

async fn visit(id: u32, address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = format!("GET /t/{id} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(256);
    stream.read_to_end(&mut answer).await?;
    Ok(())
}
