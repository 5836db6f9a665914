//! Delivers to one notifier, one attempt at a time.
//!
//! - hears: [`Deliver`], [`Refit`], [`Hurry`], [`Drain`], [`Stop`]
//! - says: [`Attempted`] and [`ChildExited`] to the Notifier
//! - owns: the sink, and what waits for it
//! - timer: the next attempt
//!
//! # Design notes
//!
//! 2026-11: what one target has to tell is told in order: a recovery waits for its failure. Of different targets
//! nothing waits for each other, unless the receiver is down for all of them, or asked for a pause.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use futures_util::FutureExt;
use log::{error, info, warn};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{
    message::{Attempted, Deliver, Hurry, Refit},
    queue::{Queue, Waiting, name},
};
use crate::{
    domain::{Alert, Backoff, Delivery, DeliveryState, Fault, NotifierId, text},
    lifecycle::{ChildExited, Drain, Stop},
    port::{Clock, Receipt, Sink, SinkError},
};

/// How long one attempt may take.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(120);
/// The waits between attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(5 * 60) };
/// The longest wait that a receiver may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);
/// After so many failed attempts in a row the receiver is taken to be down for all.
const FAILURES: u32 = 3;

/// How long a notification is tried that is too old already when it comes: it waited for a daemon, or somebody
/// wants it sent again.
const LAST_CHANCE: Duration = Duration::from_secs(10 * 60);

/// What a worker needs for its life.
pub struct Post {
    /// The notifier.
    pub id: NotifierId,
    /// Its sink.
    pub fit: Refit,
    /// How long a notification is tried.
    pub give_up_after: Duration,
    /// Hears how deliveries go.
    pub attempted: Recipient<Attempted>,
    /// Hears of the end.
    pub parent: Recipient<ChildExited<NotifierId, ()>>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// Delivers to one notifier.
pub struct SinkWorker {
    post: Post,
    sink: Result<Rc<dyn Sink>, String>,
    queue: Queue,
    /// Failed attempts in a row, whatever they were about.
    failures: u32,
    /// The receiver is left alone until then.
    rests_until: Option<Instant>,
    /// What is being tried.
    attempting: Option<Uuid>,
    timer: Option<SpawnHandle>,
    drained: Option<oneshot::Sender<usize>>,
    /// Whether a drain was answered: what is left then is for the next life.
    ending: bool,
}

impl SinkWorker {
    /// A worker with nothing to do yet.
    pub fn new(post: Post) -> Self {
        Self {
            post,
            sink: Err("it was not made yet".to_owned()),
            queue: Queue::default(),
            failures: 0,
            rests_until: None,
            attempting: None,
            timer: None,
            drained: None,
            ending: false,
        }
    }

    /// Makes the sink, here on the thread where it will live.
    fn fit(&mut self) {
        let never = Err(vec![Fault::new("type", "was not made yet")]);
        self.sink = match std::mem::replace(&mut self.post.fit.sink, never) {
            Ok(build) => {
                let built = catch_unwind(AssertUnwindSafe(build));
                built.map(Rc::from).map_err(|_| "skypunch failed: the sink panicked".to_owned())
            }
            Err(faults) => Err(Fault::join(&faults)),
        };
        if let Err(why) = &self.sink {
            warn!("{} cannot be used: {why}", self.post.fit.label);
        }
    }

    /// Begins the next attempt, if one is due and none is under way.
    fn next(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if self.attempting.is_some() || self.ending {
            return;
        }
        self.expire();
        let now = Instant::now();
        let Some((at, due)) = self.queue.next(now) else {
            self.answer_drain();
            return;
        };
        let sink = match &self.sink {
            Ok(sink) => sink.clone(),
            // Whoever mends the row wants what waited to be told.
            Err(why) => {
                let reason = format!("it cannot be used: {why}");
                self.note_fault(&reason);
                self.answer_drain();
                self.next_after(BACKOFF.longest, ctx);
                return;
            }
        };
        let due = self.rests_until.map_or(due, |rest| rest.max(due));
        if due > now {
            self.answer_drain();
            self.next_after(due - now, ctx);
            return;
        }
        self.attempt(at, sink, ctx);
    }

    fn attempt(&mut self, at: usize, sink: Rc<dyn Sink>, ctx: &mut Context<Self>) {
        let notification = self.queue.at(at).parcel.notification.clone();
        let id = notification.id;
        self.change(at, |delivery| delivery.state = DeliveryState::Sending);
        let attempt = async move { sink.deliver(&notification).await };
        let attempt = timeout(ATTEMPT_WITHIN, AssertUnwindSafe(attempt).catch_unwind());
        self.attempting = Some(id);
        ctx.spawn(attempt.into_actor(self).map(move |result, actor, ctx| {
            actor.attempting = None;
            let transient = |reason| Err(SinkError::Transient { reason, retry_after: None });
            let result = result.unwrap_or_else(|_elapsed| {
                Ok(transient(format!("no answer within {} s", ATTEMPT_WITHIN.as_secs())))
            });
            let result =
                result.unwrap_or_else(|_panic| transient("skypunch failed: the sink panicked".to_owned()));
            let at = actor.queue.place_of(id);
            actor.judge(at.expect("what is attempted stays in the queue"), result);
            actor.next(ctx);
        }));
    }

    fn judge(&mut self, at: usize, result: Result<Receipt, SinkError>) {
        self.queue.at(at).parcel.delivery.attempts += 1;
        match result {
            Ok(receipt) => {
                self.rest_after(0, None);
                self.end(at, DeliveryState::Delivered, &receipt.0);
            }
            Err(SinkError::Permanent(reason)) => {
                self.rest_after(0, None);
                self.end(at, DeliveryState::Refused, &reason);
            }
            Err(SinkError::Transient { reason, retry_after }) => {
                self.rest_after(self.failures.saturating_add(1), retry_after);
                self.retry(at, &reason);
            }
        }
    }

    /// Leaves the receiver alone for a while, if it asked for that or seems to be down.
    fn rest_after(&mut self, failures: u32, retry_after: Option<Duration>) {
        self.failures = failures;
        let asked = retry_after.map(|asked| asked.min(RETRY_AFTER_MAX));
        let down = failures.checked_sub(FAILURES).map(|n| BACKOFF.wait(n + 1));
        self.rests_until = asked.into_iter().chain(down).max().map(|wait| Instant::now() + wait);
    }

    fn retry(&mut self, at: usize, reason: &str) {
        let waiting = self.queue.at(at);
        let attempts = waiting.parcel.delivery.attempts;
        waiting.due = Instant::now() + BACKOFF.wait(attempts);
        let reason = text::reason(reason);
        if attempts == 1 {
            let what = name(&waiting.parcel.notification);
            warn!("{what} not delivered to {} yet, will be tried again: {reason}", self.post.fit.label);
        }
        self.change(at, |delivery| {
            delivery.state = DeliveryState::Pending;
            delivery.last_error = Some(reason);
        });
        self.answer_drain();
    }

    /// Takes down why nothing can be tried, once.
    fn note_fault(&mut self, reason: &str) {
        let reason = text::reason(reason);
        for at in 0..self.queue.len() {
            if self.queue.at(at).parcel.delivery.last_error.as_ref() != Some(&reason) {
                self.change(at, |delivery| delivery.last_error = Some(reason.clone()));
            }
        }
    }

    /// Gives up what has waited too long.
    fn expire(&mut self) {
        while let Some(at) = self.queue.expired(Instant::now()) {
            let Delivery { attempts, last_error, .. } = &self.queue.at(at).parcel.delivery;
            let last_error = last_error.as_deref().unwrap_or("it was never tried");
            let reason = format!("given up after {attempts} attempts: {last_error}");
            self.end(at, DeliveryState::Expired, &reason);
        }
    }

    /// A notification has come to its end.
    fn end(&mut self, at: usize, state: DeliveryState, answer: &str) {
        let answer = text::reason(answer);
        let what = name(&self.queue.at(at).parcel.notification);
        let label = &self.post.fit.label;
        match state {
            DeliveryState::Delivered => info!("{what} delivered to {label}: {answer}"),
            DeliveryState::Withdrawn => info!("{what} not told to {label}: {answer}"),
            _ => error!("{what} not delivered to {label}: {answer}"),
        }
        self.change(at, |delivery| {
            delivery.state = state;
            delivery.last_error = (state != DeliveryState::Delivered).then_some(answer);
        });
        self.queue.remove(at);
    }

    /// Changes a delivery, and tells the Notifier.
    fn change(&mut self, at: usize, change: impl FnOnce(&mut Delivery)) {
        let parcel = &mut self.queue.at(at).parcel;
        change(&mut parcel.delivery);
        parcel.delivery.at = self.post.clock.now();
        let (id, delivery) = (parcel.notification.id, parcel.delivery.clone());
        #[expect(clippy::disallowed_methods, reason = "twice an attempt, and their order matters")]
        self.post.attempted.do_send(Attempted { notifier: self.post.id, id, delivery });
    }

    fn next_after(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        self.timer = Some(ctx.run_later(wait, Self::next));
    }

    fn hurry(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.rests_until = None;
        self.failures = 0;
        self.queue.iter_mut().for_each(|waiting| waiting.due = now.max(waiting.held_until));
        self.next(ctx);
    }

    /// How long until its notifier wants to be told of an alert; less than nothing: since when.
    fn wait(&self, alert: &Alert) -> time::Duration {
        // An alert of the future is one of a clock that stepped back, and is taken for new.
        let age = self.post.clock.now() - alert.at;
        self.hold(alert) - age.max(time::Duration::ZERO)
    }

    /// How long after an alert its notifier wants to be told.
    fn hold(&self, alert: &Alert) -> time::Duration {
        let told_at = self.post.fit.wishes.told_at(alert);
        told_at.map_or(time::Duration::ZERO, |told_at| told_at - alert.at)
    }

    fn answer_drain(&mut self) {
        if let Some(drained) = self.drained.take() {
            // Whoever waited may have left at its deadline.
            drained.send(self.queue.len()).ok();
            self.ending = true;
        }
    }
}

impl Actor for SinkWorker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.fit();
        self.next(ctx);
    }

    // Also runs while a panic unwinds: a panic in here would abort the process.
    fn stopped(&mut self, _: &mut Context<Self>) {
        let exited = ChildExited { child: self.post.id, panicked: std::thread::panicking(), left: () };
        #[expect(clippy::disallowed_methods, reason = "once a life; nobody is left to await it")]
        self.post.parent.do_send(exited);
    }
}

impl Handler<Deliver> for SinkWorker {
    type Result = ();

    fn handle(&mut self, Deliver(parcel): Deliver, ctx: &mut Context<Self>) {
        // The time of day says how old it is only once: from then on it may step.
        let wait = self.wait(&parcel.notification.alert);
        let age = (-wait).try_into().unwrap_or_default();
        let give_up_after = self.post.give_up_after;
        let left = give_up_after.saturating_sub(age).max(give_up_after.min(LAST_CHANCE));
        let held_until = Instant::now() + wait.try_into().unwrap_or_default();
        self.queue.push(Waiting { parcel, expires: held_until + left, held_until, due: held_until });
        for (id, why) in self.queue.outdated(self.attempting, |alert| self.hold(alert)) {
            let at = self.queue.place_of(id).expect("it was found there");
            self.end(at, DeliveryState::Withdrawn, why);
        }
        self.next(ctx);
    }
}

impl Handler<Refit> for SinkWorker {
    type Result = ();

    fn handle(&mut self, fit: Refit, ctx: &mut Context<Self>) {
        self.post.fit = fit;
        self.fit();
        for at in 0..self.queue.len() {
            let alert = self.queue.at(at).parcel.notification.alert.clone();
            let held_until = Instant::now() + self.wait(&alert).try_into().unwrap_or_default();
            let waiting = self.queue.at(at);
            let left = waiting.expires.saturating_duration_since(waiting.held_until.max(Instant::now()));
            (waiting.held_until, waiting.expires) = (held_until, held_until + left);
        }
        // Whoever changed the row wants to see it work, not wait for the next attempt.
        self.hurry(ctx);
    }
}

impl Handler<Hurry> for SinkWorker {
    type Result = ();

    fn handle(&mut self, Hurry(id): Hurry, ctx: &mut Context<Self>) {
        if let Some(at) = self.queue.place_of(id) {
            self.queue.at(at).held_until = Instant::now();
        }
        self.hurry(ctx);
    }
}

/// Tries what waits once more, until one fails; answers how many are left.
impl Handler<Drain> for SinkWorker {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: Drain, ctx: &mut Context<Self>) -> Self::Result {
        let (drained, done) = oneshot::channel();
        self.drained = Some(drained);
        self.hurry(ctx);
        Box::pin(async move { done.await.unwrap_or(0) })
    }
}

impl Handler<Stop> for SinkWorker {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}
