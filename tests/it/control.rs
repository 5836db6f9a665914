//! The control socket of the real daemon, and clients that mean no good.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use rustix::{process::geteuid, thread::set_thread_res_uid};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};

use crate::{
    harness::{Daemon, Home},
    support::wait::wait_until,
};

async fn connect(daemon: &Daemon) -> BufReader<UnixStream> {
    BufReader::new(UnixStream::connect(daemon.home.state("skypunch.sock")).await.unwrap())
}

async fn receive(stream: &mut BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    serde_json::from_str(&line).unwrap()
}

fn descriptors(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.pid().as_raw_nonzero())).unwrap().count()
}

#[tokio::test]
async fn another_program_can_speak_to_the_daemon() {
    let daemon = Daemon::start().await;
    let mut stream = connect(&daemon).await;
    stream.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"status\"}\n").await.unwrap();
    let answer = receive(&mut stream).await;
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&"2.0".into(), &"x".into()));
    assert_eq!(answer["result"]["pid"], daemon.pid().as_raw_nonzero().get());
}

#[tokio::test]
async fn clients_that_mean_no_good_cost_the_daemon_nothing() {
    let daemon = Daemon::start().await;
    let before = descriptors(&daemon);
    let mut idle = Vec::new();
    for n in 0..200 {
        let mut stream = connect(&daemon).await;
        // Some are cut off while they write: that is what is tried.
        match n % 4 {
            0 => stream.write_all(b"{\"half\":").await.ok(),
            1 => stream.write_all(&vec![b'x'; 1_000_000]).await.ok(),
            2 => stream.write_all(b"\x00\xff\n[[[[\n").await.ok(),
            _ => None,
        };
        idle.push(stream);
    }
    // Those who are connected keep their places for a while; nobody else suffers but by a clear answer.
    assert!(descriptors(&daemon) < before + 70, "{} descriptors", descriptors(&daemon));
    drop(idle);
    wait_until("the daemon answers", || (daemon.home.skypunch(&["status"]).code == 0).then_some(())).await;
    wait_until("the descriptors are closed", || (descriptors(&daemon) <= before).then_some(())).await;
}

#[tokio::test]
async fn nobody_but_root_and_the_owner_is_answered() {
    let home = Home::with_config("[daemon]\nsocket_mode = \"0666\"\n[web]\nlisten = \"\"\n");
    let daemon = Daemon::start_in(home).await;
    let socket = daemon.home.state("skypunch.sock");
    for dir in [daemon.home.path(), &daemon.home.state("")] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
    match ask_as_nobody(&socket) {
        Some(answer) => {
            assert!(geteuid().is_root());
            assert_eq!(answer, "");
            assert!(daemon.home.log().contains("was refused"), "{}", daemon.home.log());
        }
        None => assert!(!geteuid().is_root(), "root may become anybody"),
    }
}

/// What the daemon answers to the user `nobody`; `None` if this process may not become that user.
fn ask_as_nobody(socket: &Path) -> Option<String> {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
    };
    let socket = socket.to_owned();
    let asked = std::thread::spawn(move || {
        let nobody = rustix::process::Uid::from_raw(65_534);
        // On Linux this is the thread's alone.
        set_thread_res_uid(nobody, nobody, nobody).ok()?;
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // The daemon may have closed it already.
        stream.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"targets.list\"}\n").ok();
        let mut answer = String::new();
        match stream.read_to_string(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        Some(answer)
    });
    asked.join().unwrap()
}
