//! The daemon is killed at any instant, again and again: no event is lost, and none is counted twice.
//!
//! In `make test` a few times; `make test-faults` does it for as long as it takes to be sure.

mod checks;
mod machine;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use time::OffsetDateTime;

use self::checks::{counters_agree, events_are_told_once, incidents_agree, name};
use crate::{
    harness::{CONFIG, Daemon, Home},
    support::{
        chance::Chance,
        faults::rounds,
        mariadb::{DATABASE, MariaDb, PASSWORD, USER},
        operator::{Operator, on_mariadb, on_sqlite},
        proxy::{Line, Proxy},
        wait::wait_until,
        world::World,
    },
};

const SERVICES: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn faults_a_daemon_that_is_killed_loses_nothing_on_the_embedded_database() {
    let (operator, home) = on_sqlite();
    killed_again_and_again(operator, home, rounds(6, 100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_a_daemon_that_is_killed_loses_nothing_on_mariadb() {
    let (operator, home) = on_mariadb().await;
    killed_again_and_again(operator, home, rounds(6, 100)).await;
}

async fn killed_again_and_again(operator: Operator, home: Home, kills: usize) {
    let world = World::start(SERVICES).await;
    let mut chance = Chance::new();
    let mut daemon = Daemon::start_in(home).await;
    watch_all(&daemon.home, &world);
    let mut killed_at = Vec::new();
    let mut failing = HashSet::new();
    for _ in 0..kills {
        pass_time(chance.below(2_500)).await;
        toggle(&world, &mut failing, &mut chance);
        // Often in the midst of what the change of a service sets off.
        pass_time(chance.below(1_500)).await;
        killed_at.push(now());
        daemon = Daemon::start_in(daemon.kill()).await;
    }
    end_well(&operator, &world, daemon, kills, &killed_at).await;
}

/// Has every service probed once a second, and every event told to the receiver.
fn watch_all(home: &Home, world: &World) {
    let hook = home.skypunch(&["add", "notifier", "hook", "WEBHOOK", &world.hook()]);
    assert_eq!(hook.code, 0, "{}", hook.stderr);
    for service in 0..SERVICES {
        let added = ["add", "target", &name(service), &world.url(service), "--frequency", "1"];
        assert_eq!(home.skypunch(&added).code, 0);
    }
}

/// Has one service fail that passed, or pass that failed.
fn toggle(world: &World, failing: &mut HashSet<usize>, chance: &mut Chance) {
    let service = usize::try_from(chance.below(SERVICES as u64)).unwrap();
    let fails = !failing.remove(&service);
    world.set(service, fails);
    if fails {
        failing.insert(service);
    }
}

async fn pass_time(milliseconds: u64) {
    let instant = Instant::now() + Duration::from_millis(milliseconds);
    wait_until("time passes", || (Instant::now() >= instant).then_some(())).await;
}

#[expect(clippy::disallowed_methods, reason = "a test has no clock of its own")]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Lets everything recover, stops the daemon, and holds what it kept against what the world saw.
async fn end_well(
    operator: &Operator,
    world: &World,
    daemon: Daemon,
    kills: usize,
    killed_at: &[OffsetDateTime],
) {
    (0..SERVICES).for_each(|service| world.set(service, false));
    // A row that the database could not take yet may say PASS from before.
    wait_until("the recovery is seen", || all_passed_twice(world).then_some(())).await;
    let all_written = || (daemon.home.json(&["status"])["results_waiting"] == 0).then_some(());
    wait_until("all is written", all_written).await;
    operator.wait_for("SELECT count(*) FROM targets WHERE status = 'PASS'", &SERVICES.to_string()).await;
    let all_told = || (daemon.home.json(&["status"])["notifications_waiting"] == 0).then_some(());
    wait_until("all is told", all_told).await;
    daemon.signal(Signal::TERM);
    let (_, home) = daemon.ends();
    for service in 0..SERVICES {
        counters_agree(operator, world, service, kills).await;
        incidents_agree(operator, world, service, killed_at).await;
    }
    events_are_told_once(operator, world).await;
    drop(home);
}

/// Whether the last two answers of every service passed, so that the daemon has judged the first of them.
fn all_passed_twice(world: &World) -> bool {
    (0..SERVICES).all(|service| {
        let answers = world.answers(service);
        answers.iter().rev().take_while(|answer| answer.passed).count() >= 2
    })
}

/// A home whose database is behind this port of 127.0.0.1.
fn home_on(port: u16) -> Home {
    let url = format!("mysql://{USER}:env:DATABASE_PASSWORD@127.0.0.1:{port}/{DATABASE}");
    let mut home = Home::with_config(&CONFIG.replace("[database]", &format!("[database]\nurl = {url:?}")));
    home.env("DATABASE_PASSWORD", PASSWORD);
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_a_bad_line_to_the_database_costs_no_result_and_counts_none_twice() {
    let world = World::start(SERVICES).await;
    let database = MariaDb::start().await;
    let proxy = Proxy::start(database.port()).await;
    let home = home_on(proxy.port());
    let operator = Operator::MariaDb(database);
    let mut chance = Chance::new();
    let daemon = Daemon::start_in(home).await;
    watch_all(&daemon.home, &world);
    let mut failing = HashSet::new();
    for _ in 0..rounds(8, 120) {
        proxy.set(match chance.below(5) {
            0 => Line::Slow(Duration::from_millis(chance.below(400))),
            1 => Line::Swallows,
            2 | 3 => Line::Cut,
            _ => Line::Good,
        });
        toggle(&world, &mut failing, &mut chance);
        pass_time(chance.below(2_500)).await;
    }
    proxy.set(Line::Good);
    end_well(&operator, &world, daemon, 0, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_a_daemon_that_is_killed_while_its_database_is_down_too_loses_nothing() {
    let world = World::start(SERVICES).await;
    let (mut operator, home) = on_mariadb().await;
    let mut chance = Chance::new();
    let mut daemon = Daemon::start_in(home).await;
    watch_all(&daemon.home, &world);
    let mut killed_at = Vec::new();
    let mut failing = HashSet::new();
    let kills = rounds(2, 25);
    for _ in 0..kills {
        let probed = world.answers(0).len();
        wait_until("probes go on", || (world.answers(0).len() > probed + 1).then_some(())).await;
        let Operator::MariaDb(database) = &mut operator else { unreachable!("it is one") };
        database.stop();
        let told = world.messages().len();
        toggle(&world, &mut failing, &mut chance);
        wait_until("people are told all the same", || (world.messages().len() > told).then_some(())).await;
        pass_time(chance.below(3_000)).await;
        killed_at.push(now());
        let home = daemon.kill();
        let said = home.skypunch(&["run", "--quiet"]);
        assert_eq!(said.code, 1, "it says that there is no database: {}", said.stderr);
        let Operator::MariaDb(database) = &mut operator else { unreachable!("it is one") };
        database.launch().await;
        daemon = Daemon::start_in(home).await;
    }
    end_well(&operator, &world, daemon, kills, &killed_at).await;
}
