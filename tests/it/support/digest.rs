//! A site behind `Digest`, in Python, so that what we hash is checked by somebody else.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// Answers bob, whose password is `hunter2`, with a fresh nonce wherever a request has none; ends with its
/// input.
const SITE: &str = r#"
import hashlib, http.server, os, re, sys, threading
name, nonces = sys.argv[1], {}
def h(text):
    return hashlib.new("md5" if name.startswith("MD5") else "sha256", text.encode()).hexdigest()
class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        told = dict((k, a or b) for k, a, b in re.findall(r'(\w+)=(?:"([^"]*)"|([^,]*))', self.headers.get("Authorization", "")))
        ok = bool(told) and self.fits(told)
        self.send_response(200 if ok else 401)
        if not ok:
            nonce = os.urandom(8).hex()
            nonces[nonce] = 0
            self.send_header("WWW-Authenticate", 'Basic realm="no"')
            self.send_header("WWW-Authenticate", f'Digest realm="a, realm", nonce="{nonce}", qop="auth,auth-int", algorithm={name}, opaque="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()
    def fits(self, t):
        secret = h(f"bob:{t['realm']}:hunter2")
        if name.endswith("-sess"):
            secret = h(f"{secret}:{t['nonce']}:{t['cnonce']}")
        wanted = h(f"{secret}:{t['nonce']}:{t['nc']}:{t['cnonce']}:auth:" + h(f"{self.command}:{self.path}"))
        count, last = int(t["nc"], 16), nonces.get(t["nonce"], 1 << 32)
        fits = (t["username"], t["uri"], t["qop"], t["algorithm"], t["opaque"]) == ("bob", self.path, "auth", name, "x")
        if fits and wanted == t["response"] and count > last:
            nonces[t["nonce"]] = count
            return True
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
"#;

/// A running site; it ends when this is dropped.
pub struct DigestSite {
    process: Child,
    port: u16,
}

impl DigestSite {
    /// A site that wants this algorithm.
    pub fn start(algorithm: &str) -> Self {
        let mut python = Command::new("python3");
        python.args(["-c", SITE, algorithm]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = python.spawn().expect("python3 is installed: `make deps`");
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { process, port: line.trim().parse().unwrap() }
    }

    /// A page of it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/a/page?b=c", self.port)
    }
}

impl Drop for DigestSite {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().expect("python ends with its input");
    }
}
