//! Writes one line a probe.
//!
//! - hears: [`ProbesCompleted`]
//! - says: nothing
//! - owns: a thread that writes, and the bounded backlog before it
//! - timer: none
//!
//! # Design notes
//!
//! 2026-11: the log library blocks its caller until the disk took the line. An arbiter for the Logger
//! alone would still hold up every target that waits for its result to be accepted. So a thread writes,
//! and a disk that stalls costs lines, which are counted and told of, but no probe.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use actix::prelude::*;
use log::{Level, log, warn};

use crate::{
    domain::{Status, milliseconds, text},
    event::{ProbeCompleted, ProbesCompleted},
};

/// The lines that may wait for the disk.
const BACKLOG: usize = 20_000;

/// Writes one line a probe.
pub struct Logger {
    results: Sender<Lines>,
    backlog: Arc<Backlog>,
}

/// Results, and how many of them, from the first, are to be written.
type Lines = (Arc<[ProbeCompleted]>, usize);

/// What lies between the actor and the thread.
#[derive(Default)]
struct Backlog {
    /// Lines that wait.
    waiting: AtomicUsize,
    /// Lines that found no room, since that was told last.
    lost: AtomicU64,
}

impl Logger {
    /// Starts the thread that writes through `write`.
    pub fn new(write: impl FnMut(Level, String) + Send + 'static) -> std::io::Result<Self> {
        let (results, waiting) = channel();
        let backlog = Arc::new(Backlog::default());
        let of_thread = backlog.clone();
        thread::Builder::new().name("logger".to_owned()).spawn(move || {
            write_all(&waiting, &of_thread, write);
        })?;
        Ok(Self { results, backlog })
    }

    /// Writes through the `log` crate.
    pub fn to_log() -> std::io::Result<Self> {
        Self::new(|level, line| log!(target: "skypunch::probe", level, "{line}"))
    }
}

fn write_all(results: &Receiver<Lines>, backlog: &Backlog, mut write: impl FnMut(Level, String)) {
    for (events, lines) in results {
        for event in &events[..lines] {
            let level = if event.outcome.passed() { Level::Info } else { Level::Error };
            write(level, line(event));
        }
        backlog.waiting.fetch_sub(lines, Ordering::Relaxed);
        let lost = backlog.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            warn!("{lost} results were not logged: the log could not keep up");
        }
    }
}

impl Actor for Logger {
    type Context = Context<Self>;
}

impl Handler<ProbesCompleted> for Logger {
    type Result = ();

    fn handle(&mut self, ProbesCompleted(events): ProbesCompleted, ctx: &mut Context<Self>) {
        let Backlog { waiting, lost } = &*self.backlog;
        // Only the thread takes away from it meanwhile.
        let room = BACKLOG.saturating_sub(waiting.load(Ordering::Relaxed));
        let lines = events.len().min(room);
        lost.fetch_add((events.len() - lines) as u64, Ordering::Relaxed);
        waiting.fetch_add(lines, Ordering::Relaxed);
        // The thread is gone, and with it all use of this actor: let it be seen.
        if self.results.send((events, lines)).is_err() {
            ctx.stop();
        }
    }
}

/// The line of a result: `[1] Name, padded to 30 GET https://… PASS (200 OK) total 12.3 ms dns 0.4 …`
///
/// Words of their own, so that log colourers find level, URL and verdict.
pub fn line(event: &ProbeCompleted) -> String {
    let target = &event.target;
    let outcome = &event.outcome;
    let name = text::escape_controls(&target.name);
    let method = text::escape_controls(&target.method);
    let url = text::escape_controls(&target.url);
    let verdict = if outcome.passed() { Status::Pass } else { Status::Fail };
    let mut line = format!("[{}] {name:30} {method} {url} {verdict} ({})", target.id, outcome.reason);
    if let Some(cause) = outcome.failure {
        line.push(' ');
        line.push_str(cause.as_str());
    }
    let timings = outcome.timings;
    line.push_str(&format!(" total {:.1} ms", milliseconds(timings.total)));
    let phases =
        [("dns", timings.dns), ("connect", timings.connect), ("tls", timings.tls), ("ttfb", timings.ttfb)];
    for (phase, took) in phases {
        if let Some(took) = took {
            line.push_str(&format!(" {phase} {:.1}", milliseconds(took)));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;
    use crate::{
        domain::{Cause, Outcome, TargetDefinition, TargetId, Timings},
        testing::fixtures::{alone, probe_completed},
    };

    fn event(id: u64, name: &str, url: &str, outcome: Outcome) -> ProbeCompleted {
        let (target, _) = TargetDefinition::new(name, url).read(TargetId(id));
        ProbeCompleted { target: Arc::new(target), ..probe_completed(id, outcome) }
    }

    fn timings(micros: [Option<u64>; 4], total: u64) -> Timings {
        let [dns, connect, tls, ttfb] = micros.map(|us| us.map(Duration::from_micros));
        Timings { dns, connect, tls, ttfb, total: Duration::from_micros(total) }
    }

    #[test]
    fn a_pass_reads_as_it_did_in_2013_with_timings_behind() {
        let timings = timings([Some(400), Some(2_100), Some(6_000), Some(3_100)], 12_300);
        let event = event(
            1,
            "Google Dot COM",
            "https://www.google.com",
            Outcome { timings, ..Outcome::pass("200 OK") },
        );
        assert_eq!(
            line(&event),
            "[1] Google Dot COM                 GET https://www.google.com PASS (200 OK) \
             total 12.3 ms dns 0.4 connect 2.1 tls 6.0 ttfb 3.1"
        );
    }

    #[test]
    fn a_failure_names_its_cause_behind_its_reason() {
        let timings = timings([Some(100), None, None, None], 200);
        let outcome = Outcome::fail(Cause::Connect, "connection refused by 127.0.0.1:80");
        let event = event(8, "Localhost nginx test", "http://localhost/", Outcome { timings, ..outcome });
        assert_eq!(
            line(&event),
            "[8] Localhost nginx test           GET http://localhost/ FAIL \
             (connection refused by 127.0.0.1:80) connect total 0.2 ms dns 0.1"
        );
    }

    #[test]
    fn neither_a_name_nor_a_reason_can_forge_a_line() {
        let event = event(1, "a\nb", "http://h/\r", Outcome::pass("c\nd"));
        assert!(!line(&event).contains(['\n', '\r']));
    }

    #[actix::test]
    async fn a_stalled_disk_costs_lines_that_are_counted_but_never_a_wait() {
        let (release, released) = mpsc::channel::<()>();
        let logger = Logger::new(move |_, _| released.recv().unwrap_or_default()).unwrap();
        let backlog = logger.backlog.clone();
        let logger = logger.start();
        for id in 0..BACKLOG as u64 + 10 {
            logger.send(alone(probe_completed(id, Outcome::pass("200 OK")))).await.unwrap();
        }
        assert_eq!(backlog.lost.load(Ordering::Relaxed), 10);
        assert_eq!(backlog.waiting.load(Ordering::Relaxed), BACKLOG);
        drop(release);
    }

    #[actix::test]
    async fn of_more_than_there_is_room_for_as_much_is_written_as_there_is_room() {
        let (written, lines) = mpsc::channel();
        let logger = Logger::new(move |_, _| written.send(()).unwrap_or_default()).unwrap().start();
        let many = vec![probe_completed(1, Outcome::pass("200 OK")); BACKLOG + 3];
        logger.send(ProbesCompleted(many.into())).await.unwrap();
        (0..BACKLOG).for_each(|_| lines.recv().unwrap());
        assert!(lines.recv_timeout(Duration::from_millis(50)).is_err());
    }

    #[actix::test]
    async fn a_logger_whose_thread_died_dies_too() {
        let logger = Logger::new(|_, _| panic!("disk on fire")).unwrap().start();
        while logger.connected() {
            logger.send(alone(probe_completed(1, Outcome::pass("200 OK")))).await.unwrap_or_default();
        }
    }
}
