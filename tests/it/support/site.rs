//! A web site of its own process, which can be killed and started again like any service.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use super::wait::wait_until;

/// A running site. Dropping it kills it.
pub struct Site {
    port: u16,
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl Site {
    /// Starts a site on a free port.
    pub async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap().port();
        let mut site = Self { port, folder: tempfile::tempdir().unwrap(), process: None };
        site.launch().await;
        site
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Starts it again where it was.
    pub async fn launch(&mut self) {
        let mut python = Command::new("python3");
        python.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"]).arg(self.folder.path());
        python.arg(self.port.to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(python.spawn().expect("python3 is installed: `make deps`"));
        wait_until("the site answers", || TcpStream::connect(("127.0.0.1", self.port)).ok()).await;
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
    }
}
