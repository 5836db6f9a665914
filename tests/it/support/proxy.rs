//! A bad line: stands before a server, and cuts, delays or swallows what passes.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// How the line is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Line {
    /// Good.
    Good,
    /// Every piece takes this long.
    Slow(Duration),
    /// Nothing comes through, and nobody is told.
    Swallows,
    /// Every connection is closed, at once.
    Cut,
}

/// A line to one server; it ends when this is dropped.
pub struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A good line to a port of 127.0.0.1.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (line, lines) = watch::channel(Line::Good);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, to, lines.clone()));
            }
        });
        Self { address, line, task }
    }

    /// Its own port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How the line is from now on.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, to: u16, lines: watch::Receiver<Line>) {
    let cut_off = *lines.borrow() == Line::Cut;
    if cut_off {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let mut cut = lines.clone();
    tokio::select! {
        () = pass(from_client, to_server, lines.clone()) => {}
        () = pass(from_server, to_client, lines) => {}
        _ = cut.wait_for(|line| *line == Line::Cut) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut lines: watch::Receiver<Line>,
) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let line = *lines.borrow();
        if let Line::Slow(wait) = line {
            sleep(wait).await;
        }
        // What was swallowed comes late, as on a line that drops packets for a while.
        let through = lines.wait_for(|line| *line != Line::Swallows).await.is_ok();
        if !through {
            return;
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
