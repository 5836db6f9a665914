//! A stand-in for X, which verifies signatures by another implementation of OAuth 1.0a: Python's oauthlib.
//!
//! It ends when the pipe to it is closed, which even a SIGKILL of the test does.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::python;

const PACKAGES: [&str; 1] = ["oauthlib==3.3.1"];

/// Keys with all that must be escaped.
pub const PARAMS: &str = r#"{"consumer_key": "ck-+/&=", "consumer_secret": "cs %2B", "access_token": "7-at~",
    "access_token_secret": "ats/+="}"#;

/// Refuses a signature, a nonce or a time that is wrong, and a text that it had before.
const SERVER: &str = r#"import json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from oauthlib.oauth1 import RequestValidator, ResourceEndpoint

class Keys(RequestValidator):
    enforce_ssl = False
    nonces = set()
    def check_client_key(self, key): return key == "ck-+/&="
    def check_access_token(self, token): return token == "7-at~"
    def check_nonce(self, nonce): return 8 <= len(nonce) <= 64
    def validate_client_key(self, key, request): return key == "ck-+/&="
    def validate_access_token(self, key, token, request): return token == "7-at~"
    def validate_realms(self, *args, **kwargs): return True
    def get_client_secret(self, key, request): return "cs %2B"
    def get_access_token_secret(self, key, token, request): return "ats/+="
    dummy_client, dummy_access_token = "dummy", "dummy"
    def validate_timestamp_and_nonce(self, key, timestamp, nonce, request, request_token=None, access_token=None):
        seen = (timestamp, nonce) in self.nonces
        self.nonces.add((timestamp, nonce))
        return not seen and abs(time.time() - int(timestamp)) < 300

endpoint, texts = ResourceEndpoint(Keys()), set()

class X(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        url = "http://" + self.headers["host"] + self.path
        valid, _ = endpoint.validate_protected_resource_request(url, "POST", body, dict(self.headers), [])
        if not valid:
            return self.answer(401, {"title": "Unauthorized", "status": 401, "detail": "Unauthorized"})
        text = json.loads(body)["text"]
        if "limit" in text:
            return self.answer(429, {"title": "Too Many Requests", "detail": "Too Many Requests"})
        if text in texts:
            detail = "You are not allowed to create a Tweet with duplicate content."
            return self.answer(403, {"title": "Forbidden", "status": 403, "detail": detail})
        texts.add(text)
        self.answer(201, {"data": {"id": str(len(texts)), "text": text}})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-rate-limit-reset", str(int(time.time()) + 600))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), X)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// A running stand-in. Dropping it ends it.
pub struct X {
    child: Child,
    port: u16,
}

impl X {
    /// Starts it.
    pub fn start() -> Self {
        let python = python::environment(&PACKAGES, |_| {}).join("bin/python3");
        let mut command = Command::new(python);
        command.args(["-c", SERVER]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the environment has Python");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { port: line.trim().parse().expect("it says its port"), child }
    }

    /// Where it takes tweets.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/2/tweets", self.port)
    }
}

impl Drop for X {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("it ends with its pipe");
    }
}
