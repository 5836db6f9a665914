//! Tells systemd how the daemon is: that it serves, in a word how it is, and that it lives.
//!
//! It lives while its main loop goes round and the Persister answers. Where systemd has not started it, nobody
//! is told anything.

use std::{env, rc::Rc, time::Duration};

use actix::prelude::*;
use log::warn;
use sd_notify::NotifyState;
use skypunch_actors::{
    domain::Status,
    notifier::GetWaiting,
    persister::{GetPersistence, Persistence},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};

/// How long the Persister may take to show that it lives.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// How often a word that has changed is told.
const STATUS_EVERY: Duration = Duration::from_secs(3);

/// Says something to systemd.
type Voice = Rc<dyn Fn(&[NotifyState<'_>])>;

/// It serves, for the first time or after a reload.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// It reads its rows anew, until it is [`ready`].
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => warn!("this machine does not tell its monotonic time: {error}"),
    }
}

/// It ends.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!("systemd cannot be told how the daemon is: {error}");
    }
}

/// Whom the word depends on.
pub(super) struct Witnesses {
    pub(super) persistence: Recipient<GetPersistence>,
    pub(super) waiting: Recipient<GetWaiting>,
}

/// Tells systemd that the daemon lives, as often as the main loop beats.
pub(super) struct Heart {
    beats: mpsc::Sender<()>,
    telling: JoinHandle<()>,
}

impl Heart {
    /// A heart that asks these witnesses; `None` where nobody listens.
    pub(super) fn start(witnesses: Witnesses) -> Option<Self> {
        env::var_os("NOTIFY_SOCKET")?;
        Some(Self::telling(Rc::new(notify), witnesses, sd_notify::watchdog_enabled()))
    }

    fn telling(voice: Voice, witnesses: Witnesses, watchdog: Option<Duration>) -> Self {
        // A beat that finds another under way adds nothing to it.
        let (beats, beaten) = mpsc::channel(1);
        Self { beats, telling: actix::spawn(tell(voice, witnesses, watchdog, beaten)) }
    }

    /// The main loop has gone round.
    pub(super) fn beat(&self) {
        self.beats.try_send(()).ok();
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.telling.abort();
    }
}

async fn tell(
    voice: Voice,
    witnesses: Witnesses,
    watchdog: Option<Duration>,
    mut beaten: mpsc::Receiver<()>,
) {
    let (mut told, mut told_at, mut lived_at) = (String::new(), None::<Instant>, None::<Instant>);
    while beaten.recv().await.is_some() {
        let Ok(Ok(persistence)) = timeout(ANSWER_WITHIN, witnesses.persistence.send(GetPersistence)).await
        else {
            continue;
        };
        let is_due = |at: Option<Instant>, after| at.is_none_or(|at| at.elapsed() >= after);
        // Half of the time, less the second or so until the next beat.
        if watchdog.is_some_and(|every| is_due(lived_at, (every / 2).saturating_sub(super::daemon::PULSE))) {
            voice(&[NotifyState::Watchdog]);
            lived_at = Some(Instant::now());
        }
        if is_due(told_at, STATUS_EVERY) {
            let waiting = timeout(ANSWER_WITHIN, witnesses.waiting.send(GetWaiting)).await;
            let word = word(&persistence, waiting.ok().and_then(Result::ok));
            if word != told {
                voice(&[NotifyState::Status(&word)]);
                (told, told_at) = (word, Some(Instant::now()));
            }
        }
    }
}

/// How the daemon is, on one line.
fn word(persistence: &Persistence, notifications: Option<usize>) -> String {
    let targets: Vec<String> = Status::ALL
        .into_iter()
        .zip(persistence.targets)
        .filter(|(_, count)| *count > 0)
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    let targets = if targets.is_empty() { "no".to_owned() } else { targets.join(", ") };
    let database = if persistence.away.is_some() { "away" } else { "up" };
    let journal = if persistence.journal_away.is_some() { "; journal not written" } else { "" };
    let notifications = notifications.map_or_else(|| "?".to_owned(), |count| count.to_string());
    format!(
        "{targets} targets; database {database}{journal}; waiting: results of {}, {notifications} notifications",
        persistence.results_waiting
    )
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::advance;

    use super::*;

    /// Stands for the Persister, and for the notifier; hangs when it is told to.
    #[derive(Default)]
    struct Witness {
        hangs: bool,
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Hang(bool);

    impl Actor for Witness {
        type Context = Context<Self>;
    }

    impl Handler<Hang> for Witness {
        type Result = ();

        fn handle(&mut self, Hang(hangs): Hang, _: &mut Context<Self>) {
            self.hangs = hangs;
        }
    }

    impl Handler<GetPersistence> for Witness {
        type Result = ResponseFuture<Persistence>;

        fn handle(&mut self, _: GetPersistence, _: &mut Context<Self>) -> Self::Result {
            let hangs = self.hangs;
            Box::pin(async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Persistence {
                    backend: "memory",
                    away: None,
                    journal_away: None,
                    journal_bytes: 0,
                    results_dropped: 0,
                    results_waiting: 3,
                    targets: [0, 7, 1, 0],
                }
            })
        }
    }

    impl Handler<GetWaiting> for Witness {
        type Result = usize;

        fn handle(&mut self, _: GetWaiting, _: &mut Context<Self>) -> usize {
            2
        }
    }

    #[actix::test]
    async fn it_lives_only_while_the_persister_answers() {
        tokio::time::pause();
        let said = Rc::new(RefCell::new(Vec::new()));
        let heard: Rc<RefCell<Vec<String>>> = said.clone();
        let voice: Voice = Rc::new(move |states| {
            heard.borrow_mut().extend(states.iter().map(ToString::to_string));
        });
        let witness = Witness::default().start();
        let witnesses =
            Witnesses { persistence: witness.clone().recipient(), waiting: witness.clone().recipient() };
        let heart = Heart::telling(voice, witnesses, Some(Duration::from_secs(10)));
        let beat_for = async |seconds| {
            for _ in 0..seconds {
                heart.beat();
                advance(Duration::from_secs(1)).await;
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
            }
            said.take()
        };
        let status = "STATUS=7 PASS, 1 FAIL targets; database up; waiting: results of 3, 2 notifications";
        assert_eq!(beat_for(13).await, ["WATCHDOG=1", status, "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
        witness.send(Hang(true)).await.unwrap();
        assert_eq!(beat_for(60).await, [""; 0]);
        witness.send(Hang(false)).await.unwrap();
        assert_eq!(beat_for(4).await, ["WATCHDOG=1"]);
        assert_eq!(beat_for(0).await, [""; 0]);
        advance(Duration::from_secs(60)).await;
        assert_eq!(beat_for(0).await, [""; 0], "the main loop does not go round");
    }
}
