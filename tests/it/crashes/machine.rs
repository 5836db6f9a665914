//! What a machine does to the daemon: its disk is full or read-only, its clock steps, it stands still, it has no more
//! descriptors.

use std::{fs, io::Write, path::Path, process::Command};

use rustix::process::Signal;

use super::{SERVICES, end_well, name, now, pass_time, toggle, watch_all};
use crate::{
    harness::{Daemon, Home},
    support::{
        chance::Chance,
        faults::rounds,
        operator::{Operator, on_mariadb, on_sqlite},
        wait::wait_until,
        world::World,
    },
};

/// A small disk of its own where a daemon keeps its state; it is taken away when this is dropped.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(at: &'a Path, options: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at));
        Self(at)
    }

    fn fill(&self) {
        let mut filler = fs::File::create(self.0.join("filler")).unwrap();
        while filler.write_all(&[b'x'; 4_096]).is_ok() {}
        while filler.write_all(b"x").is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(self.0));
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_a_full_disk_stops_no_alert_and_costs_no_count_on_the_embedded_database() {
    let (_, home) = on_sqlite();
    full_disk(Operator::Sqlite(home.state("skypunch.db")), home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_a_full_disk_stops_no_alert_and_costs_no_count_on_mariadb() {
    let (operator, home) = on_mariadb().await;
    full_disk(operator, home).await;
}

async fn full_disk(operator: Operator, home: Home) {
    let state = home.state("");
    let disk = Disk::mount(&state, "size=12m,mode=0700");
    let world = World::start(SERVICES).await;
    let daemon = Daemon::start_in(home).await;
    watch_all(&daemon.home, &world);
    let all_pass = || (daemon.home.json(&["status"])["targets"]["PASS"] == SERVICES).then_some(());
    wait_until("all pass", all_pass).await;
    let mut chance = Chance::new();
    let mut failing = Default::default();
    for _ in 0..rounds(2, 20) {
        disk.fill();
        let told = world.messages().len();
        toggle(&world, &mut failing, &mut chance);
        wait_until("people are told all the same", || (world.messages().len() > told).then_some(())).await;
        pass_time(3_000).await;
        disk.empty();
        let well = || (daemon.home.json(&["status"])["journal"]["state"] == "up").then_some(());
        wait_until("the journal is written again", well).await;
    }
    end_well(&operator, &world, daemon, 0, &[]).await;
    drop(disk);
}

#[test]
fn a_read_only_state_directory_is_a_clear_error() {
    let home = Home::new();
    let state = home.state("");
    let disk = Disk::mount(&state, "size=1m,ro");
    let said = home.skypunch(&["run"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains(state.to_str().unwrap().trim_end_matches('/')), "{}", said.stderr);
    assert!(said.stderr.contains("Read-only file system"), "{}", said.stderr);
    drop(disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_a_clock_that_steps_changes_neither_pace_nor_alerts() {
    let (operator, mut home) = on_sqlite();
    let offset = home.path().join("offset");
    fs::write(&offset, "+0").unwrap();
    home.env("LD_PRELOAD", library("libfaketime.so.1"));
    home.env("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap());
    home.env("FAKETIME_NO_CACHE", "1");
    home.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let world = World::start(SERVICES).await;
    let daemon = Daemon::start_in(home).await;
    watch_all(&daemon.home, &world);
    let all_pass = || (daemon.home.json(&["status"])["targets"]["PASS"] == SERVICES).then_some(());
    wait_until("all pass", all_pass).await;
    world.refuse(Some("HTTP/1.1 500 Internal Server Error"));
    world.set(0, true);
    wait_until("it fails", || (daemon.home.json(&["status"])["targets"]["FAIL"] == 1).then_some(())).await;
    for step in ["+1h", "-1h", "+0"].iter().cycle().take(rounds(3, 30)) {
        let (begun, seen) = (now(), world.answers(1).len());
        fs::write(&offset, step).unwrap();
        pass_time(3_000).await;
        let (probes, seconds) = (world.answers(1).len() - seen, (now() - begun).as_seconds_f64());
        assert!((seconds - 2.0..seconds + 2.0).contains(&(probes as f64)), "{probes} in {seconds} s");
    }
    let status = daemon.home.json(&["status"]);
    assert_eq!((&status["targets"]["FAIL"], &status["slots"]["skipped"]), (&1.into(), &0.into()));
    assert_eq!(status["notifications_waiting"], 1, "it has not expired");
    world.refuse(None);
    world.set(0, false);
    // The next attempt may be minutes away by now.
    let waiting = daemon.home.json(&["notifications"]);
    let id = waiting[0]["id"].as_str().unwrap();
    assert_eq!(daemon.home.skypunch(&["notifications", id, "retry"]).code, 0);
    let recovered = || (world.messages().len() == 2).then_some(());
    wait_until("failure and recovery are told", recovered).await;
    assert!(world.messages().iter().all(|message| message.target == name(0)));
    drop((operator, daemon));
}

/// Where Debian keeps a library of faketime.
fn library(name: &str) -> String {
    let files = Command::new("dpkg").args(["-L", "libfaketime"]).output().unwrap().stdout;
    let files = String::from_utf8(files).unwrap();
    let path = files.lines().find(|line| line.ends_with(name));
    path.expect("faketime is installed: `make deps`").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_a_daemon_that_stood_still_goes_on_as_if_it_had_blinked() {
    let (operator, home) = on_sqlite();
    let world = World::start(SERVICES).await;
    let daemon = Daemon::start_in(home).await;
    watch_all(&daemon.home, &world);
    let all_pass = || (daemon.home.json(&["status"])["targets"]["PASS"] == SERVICES).then_some(());
    wait_until("all pass", all_pass).await;
    daemon.signal(Signal::STOP);
    pass_time(rounds(5_000, 35_000) as u64).await;
    daemon.signal(Signal::CONT);
    let seen = world.answers(0).len();
    wait_until("probes go on", || (world.answers(0).len() > seen + 2).then_some(())).await;
    let status = daemon.home.json(&["status"]);
    assert_eq!(status["targets"]["PASS"], SERVICES);
    assert!(status["slots"]["skipped"].as_u64().unwrap() >= 3 * SERVICES as u64, "{status}");
    assert!(world.messages().is_empty());
    assert!(!daemon.home.log().contains("hung"), "nobody was replaced");
    end_well(&operator, &world, daemon, 0, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_a_daemon_out_of_descriptors_says_so_and_recovers() {
    let (operator, mut home) = on_sqlite();
    home.limit_files(64);
    let world = World::start(SERVICES).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}/", silent.local_addr().unwrap());
    let daemon = Daemon::start_in(home).await;
    watch_all(&daemon.home, &world);
    // Sixty connections that nobody answers.
    let hanging: Vec<_> = (0..60).map(|n| format!("('hanging {n}', '{silent}', 5, 4)")).collect();
    operator
        .sql(&format!("INSERT INTO targets (name, url, frequency, timeout) VALUES {}", hanging.join(", ")))
        .await;
    let said = || daemon.home.log().contains("Too many open files").then_some(());
    wait_until("the log says what is the matter", said).await;
    operator.sql("DELETE FROM targets WHERE name LIKE 'hanging%'").await;
    let recovered = || (daemon.home.skypunch(&["status"]).code == 0).then_some(());
    wait_until("the socket answers", recovered).await;
    let passing = || (daemon.home.json(&["status"])["targets"]["PASS"] == SERVICES).then_some(());
    wait_until("all pass", passing).await;
    drop(daemon);
}
