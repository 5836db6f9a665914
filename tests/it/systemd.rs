//! What systemd is told, over a socket like its own.

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;

use crate::{
    harness::{Daemon, Home},
    support::wait::wait_until,
};

/// Stands for systemd: keeps what it is told, message by message.
struct Manager {
    socket: UnixDatagram,
    told: Vec<String>,
}

impl Manager {
    fn listen(home: &mut Home) -> Self {
        let path = home.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        home.env("NOTIFY_SOCKET", path.to_str().unwrap());
        Self { socket, told: Vec::new() }
    }

    fn told(&mut self) -> &[String] {
        let mut message = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut message) {
            self.told.push(String::from_utf8(message[..length].to_vec()).unwrap());
        }
        &self.told
    }

    async fn hears(&mut self, what: &str, count: usize) {
        wait_until(what, || {
            (self.told().iter().filter(|said| said.contains(what)).count() >= count).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_how_the_daemon_is_from_its_start_to_its_end() {
    let mut home = Home::new();
    let mut systemd = Manager::listen(&mut home);
    home.env("WATCHDOG_USEC", "4000000");
    let daemon = Daemon::start_in(home).await;
    systemd.hears("READY=1", 1).await;
    systemd.hears("STATUS=no targets; database up; waiting: results of 0, 0 notifications", 1).await;
    systemd.hears("WATCHDOG=1", 3).await;

    daemon.home.skypunch(&["add", "target", "dead", "http://127.0.0.1:9/", "--frequency", "1"]);
    systemd.hears("STATUS=1 FAIL targets; database up;", 1).await;

    daemon.signal(Signal::HUP);
    systemd.hears("RELOADING=1\nMONOTONIC_USEC=", 1).await;
    systemd.hears("READY=1", 2).await;

    daemon.signal(Signal::TERM);
    let (status, _home) = daemon.ends();
    assert!(status.success());
    assert_eq!(systemd.told().last().map(String::as_str), Some("STOPPING=1\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_watchdog_none_is_told() {
    let mut home = Home::new();
    let mut systemd = Manager::listen(&mut home);
    let _daemon = Daemon::start_in(home).await;
    systemd.hears("STATUS=", 1).await;
    assert!(!systemd.told().concat().contains("WATCHDOG"));
}
