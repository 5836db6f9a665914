//! The HTTP server: `/healthz`, for whoever watches the watcher.

mod health;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};
use log::{error, info};
use serde_json::json;
use tokio::task::JoinHandle;

pub use health::Health;

/// How long a client may take to send the head of a request.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection without a request is kept.
const IDLE: Duration = Duration::from_secs(15);
/// Connections at a time; others wait.
const CONNECTIONS: usize = 128;
/// How long answers that are under way may take when the server stops, in seconds.
const FINISH_WITHIN: u64 = 2;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}, which `web.listen` says")]
pub struct ListenError {
    /// Where it was to listen.
    pub address: SocketAddr,
    /// Why it cannot.
    pub source: io::Error,
}

/// An address that is ours, where nobody is answered yet.
pub struct Listener {
    /// Where it listens: with the port that the system chose, if it was to choose one.
    address: SocketAddr,
    socket: TcpListener,
}

/// A server that answers.
pub struct Web {
    /// Where it listens.
    pub address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

/// Listens on `address`.
pub fn bind(address: SocketAddr) -> Result<Listener, ListenError> {
    let bound = TcpListener::bind(address).and_then(|socket| Ok((socket.local_addr()?, socket)));
    let (bound, socket) = bound.map_err(|source| ListenError { address, source })?;
    Ok(Listener { address: bound, socket })
}

impl Listener {
    /// Answers until it is stopped.
    pub fn start(self, health: Health) -> Result<Web, ListenError> {
        let address = self.address;
        let app = move || {
            App::new()
                .app_data(web::Data::new(health.clone()))
                .service(web::resource("/healthz").get(health::answer).head(health::answer))
                .default_service(web::to(not_found))
        };
        let server = HttpServer::new(app)
            .workers(1)
            .max_connections(CONNECTIONS)
            .client_request_timeout(REQUEST_WITHIN)
            .keep_alive(IDLE)
            .shutdown_timeout(FINISH_WITHIN)
            .disable_signals()
            .listen(self.socket)
            .map_err(|source| ListenError { address, source })?
            .run();
        info!("the web server listens on http://{address}/");
        Ok(Web { address, handle: server.handle(), task: tokio::spawn(server) })
    }
}

impl Web {
    /// Accepts nobody any more, and waits until the answers that are under way are out.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!("the web server ended: {error}"),
            Err(error) => error!("the web server died: {error}"),
        }
    }
}

async fn not_found() -> HttpResponse {
    HttpResponse::NotFound().json(json!({ "error": "there is nothing here but /healthz" }))
}
