//! A world to watch: many services on one port that fail and recover when a test says so, and that remember every
//! answer they gave; and a receiver of webhooks that remembers every message.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use time::OffsetDateTime;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Services and a receiver; they end when this is dropped.
pub struct World {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    services: Vec<Service>,
    messages: Vec<Message>,
    /// What the receiver answers instead of taking the message.
    refusal: Option<&'static str>,
}

#[derive(Clone, Default)]
struct Service {
    fails: bool,
    answers: Vec<Answer>,
}

/// One answer of a service, written to the last byte.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub at: OffsetDateTime,
    pub passed: bool,
}

/// One message that the receiver took.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub event: String,
    pub target: String,
    pub incident: u64,
}

impl World {
    /// A world of so many services, all well.
    pub async fn start(services: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { services: vec![Service::default(); services], ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let state = shared.clone();
                // Whoever leaves half-way, such as a daemon that is killed, was not answered.
                tokio::spawn(async move { serve(stream, state).await.ok() });
            }
        });
        Self { address, state, task }
    }

    /// Where a service is.
    pub fn url(&self, service: usize) -> String {
        format!("http://{}/service/{service}", self.address)
    }

    /// Where messages are taken.
    pub fn hook(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Has a service fail from now on, or pass.
    pub fn set(&self, service: usize, fails: bool) {
        self.state.lock().unwrap().services[service].fails = fails;
    }

    /// Has the receiver answer with this head from now on, or take messages.
    pub fn refuse(&self, refusal: Option<&'static str>) {
        self.state.lock().unwrap().refusal = refusal;
    }

    /// Every answer that a service gave.
    pub fn answers(&self, service: usize) -> Vec<Answer> {
        self.state.lock().unwrap().services[service].answers.clone()
    }

    /// Every message that was taken.
    pub fn messages(&self) -> Vec<Message> {
        self.state.lock().unwrap().messages.clone()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let request = read(&mut stream).await?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    if let Some(service) = path.strip_prefix("/service/") {
        let service: usize = service.parse().unwrap();
        let passed = !state.lock().unwrap().services[service].fails;
        let status = if passed { "200 OK" } else { "500 Internal Server Error" };
        stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await?;
        #[expect(clippy::disallowed_methods, reason = "a test has no clock of its own")]
        let at = OffsetDateTime::now_utc();
        state.lock().unwrap().services[service].answers.push(Answer { at, passed });
    } else {
        let refusal = state.lock().unwrap().refusal;
        if refusal.is_none() {
            let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            state.lock().unwrap().messages.push(Message {
                id: text(&body["id"]),
                event: text(&body["event"]),
                target: text(&body["target"]["name"]),
                incident: body["incident"]["id"].as_u64().unwrap(),
            });
        }
        let head = refusal.unwrap_or("HTTP/1.1 204 No Content");
        stream
            .write_all(format!("{head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())
            .await?;
    }
    Ok(())
}

/// Reads a request with its body.
async fn read(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut request = Vec::new();
    loop {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).await?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        request.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Ok(text.into_owned());
            }
        }
    }
}
