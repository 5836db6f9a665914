//! Delivers to one notifier.
//!
//! - hears: [`Deliver`], [`Refit`], [`Drain`], [`Stop`]
//! - says: [`DeliveryEnded`] to the Persister, [`ChildExited`] to its parent
//! - owns: the sink, and the notifications that wait for it, oldest first; one attempt at a time
//! - timer: the next attempt after one that failed

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::prelude::*;
use futures_util::FutureExt;
use log::{error, info, warn};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use crate::{
    domain::{Backoff, Event, Fault, Notification, NotifierId, text},
    event::DeliveryEnded,
    lifecycle::{ChildExited, Drain, Stop},
    port::{Receipt, Sink, SinkBuilder, SinkError},
};

/// How long one attempt may take.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(120);
/// How long a notification is tried.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// The waits between attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(5 * 60) };
/// The longest wait that a receiver may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);
/// The notifications that may wait for one notifier.
const QUEUE_MAX: usize = 10_000;

/// Deliver this, after those before it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Deliver(pub Notification);

/// Deliver through this sink from now on, or not at all while the row is at fault.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Refit {
    /// How the notifier is called in the log.
    pub label: String,
    /// Its sink, or what is wrong with its row.
    pub sink: Result<SinkBuilder, Vec<Fault>>,
}

/// A notification in the queue.
#[derive(Debug)]
pub struct Waiting {
    notification: Notification,
    since: Instant,
    attempts: u32,
}

impl Waiting {
    /// A notification that waits from now on.
    pub fn new(notification: Notification) -> Self {
        Self { notification, since: Instant::now(), attempts: 0 }
    }
}

/// What a worker leaves to its successor.
pub type Queue = VecDeque<Waiting>;

/// Delivers to one notifier.
pub struct SinkWorker {
    id: NotifierId,
    label: String,
    fitting: Option<Result<SinkBuilder, Vec<Fault>>>,
    sink: Result<Rc<dyn Sink>, String>,
    queue: Queue,
    /// Counts what waits for all workers together.
    waiting: Arc<AtomicUsize>,
    ended: Recipient<DeliveryEnded>,
    parent: Recipient<ChildExited<NotifierId, Queue>>,
    attempting: bool,
    timer: Option<SpawnHandle>,
    drained: Option<oneshot::Sender<usize>>,
}

impl SinkWorker {
    /// A worker that goes on with `queue`.
    pub fn new(
        id: NotifierId,
        fit: Refit,
        queue: Queue,
        waiting: Arc<AtomicUsize>,
        ended: Recipient<DeliveryEnded>,
        parent: Recipient<ChildExited<NotifierId, Queue>>,
    ) -> Self {
        Self {
            id,
            label: fit.label,
            fitting: Some(fit.sink),
            sink: Err("it was not made yet".to_owned()),
            queue,
            waiting,
            ended,
            parent,
            attempting: false,
            timer: None,
            drained: None,
        }
    }

    /// Makes the sink, here on the thread where it will live.
    fn fit(&mut self) {
        match self.fitting.take() {
            Some(Ok(build)) => {
                let built = catch_unwind(AssertUnwindSafe(build));
                self.sink = built.map(Rc::from).map_err(|_| "skypunch failed: the sink panicked".to_owned());
            }
            Some(Err(faults)) => self.sink = Err(Fault::join(&faults)),
            None => {}
        }
        if let Err(why) = &self.sink {
            warn!("{} cannot be used: {why}", self.label);
        }
    }

    /// Begins the next attempt, if there is something to deliver and none is under way or waited for.
    fn next(&mut self, ctx: &mut Context<Self>) {
        if self.attempting || self.timer.is_some() {
            return;
        }
        let Some(front) = self.queue.front() else {
            self.answer_drain();
            return;
        };
        let sink = match &self.sink {
            Ok(sink) => sink.clone(),
            // Whoever mends the row wants what waited to be told.
            Err(why) => {
                let reason = format!("it cannot be used: {why}");
                self.retry(reason, None, ctx);
                return;
            }
        };
        let notification = front.notification.clone();
        let attempt = async move { sink.deliver(&notification).await };
        let attempt = timeout(ATTEMPT_WITHIN, AssertUnwindSafe(attempt).catch_unwind());
        self.attempting = true;
        ctx.spawn(attempt.into_actor(self).map(|result, actor, ctx| {
            actor.attempting = false;
            match result {
                Ok(Ok(result)) => actor.judge(result, ctx),
                Ok(Err(_panic)) => actor.end(Err("skypunch failed: the sink panicked".to_owned()), ctx),
                Err(_elapsed) => {
                    let reason = format!("no answer within {} s", ATTEMPT_WITHIN.as_secs());
                    actor.judge(Err(SinkError::Transient { reason, retry_after: None }), ctx);
                }
            }
        }));
    }

    fn judge(&mut self, result: Result<Receipt, SinkError>, ctx: &mut Context<Self>) {
        match result {
            Ok(receipt) => self.end(Ok(receipt), ctx),
            Err(SinkError::Permanent(reason)) => self.end(Err(reason), ctx),
            Err(SinkError::Transient { reason, retry_after }) => self.retry(reason, retry_after, ctx),
        }
    }

    fn retry(&mut self, reason: String, retry_after: Option<Duration>, ctx: &mut Context<Self>) {
        let Some(front) = self.queue.front_mut() else {
            return;
        };
        if front.since.elapsed() >= GIVE_UP_AFTER {
            let reason = format!("given up after {} attempts: {reason}", front.attempts + 1);
            self.end(Err(reason), ctx);
            return;
        }
        front.attempts += 1;
        let chance = front.notification.id.as_u64_pair().1.wrapping_mul(front.attempts.into());
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let wait = BACKOFF.wait(front.attempts, chance).max(asked);
        if front.attempts == 1 {
            let what = name(&front.notification);
            let reason = text::reason(&reason);
            warn!("{what} not delivered to {} yet, will be tried again: {reason}", self.label);
        }
        if self.drained.is_some() {
            self.answer_drain();
            return;
        }
        self.next_after(wait, ctx);
    }

    /// The oldest notification is delivered, or will never be.
    fn end(&mut self, result: Result<Receipt, String>, ctx: &mut Context<Self>) {
        if let Some(front) = self.queue.pop_front() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.tell_end(&front.notification, &result, ctx);
        }
        // Not at once: as many calls within calls as the queue is long would take more stack than there is.
        self.next_after(Duration::ZERO, ctx);
    }

    fn next_after(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        self.timer = Some(ctx.run_later(wait, |actor, ctx| {
            actor.timer = None;
            actor.next(ctx);
        }));
    }

    fn tell_end(
        &self,
        notification: &Notification,
        result: &Result<Receipt, String>,
        ctx: &mut Context<Self>,
    ) {
        let what = name(notification);
        match result {
            Ok(Receipt(answer)) => {
                info!("{what} delivered to {}: {}", self.label, text::reason(answer));
            }
            Err(reason) => error!("{what} not delivered to {}: {}", self.label, text::reason(reason)),
        }
        let told = self.ended.send(DeliveryEnded { notifier: self.id, delivered: result.is_ok() });
        ctx.spawn(told.into_actor(self).map(|_, _, _| ()));
    }

    fn answer_drain(&mut self) {
        if let Some(drained) = self.drained.take() {
            // Whoever waited may have left at its deadline.
            drained.send(self.queue.len()).ok();
        }
    }
}

/// What the log calls a notification.
fn name(notification: &Notification) -> String {
    let alert = &notification.alert;
    let event = match alert.event {
        Event::Fail => "failure",
        Event::Recovery => "recovery",
        Event::Test => "test",
    };
    format!("{event} of target {} ({})", alert.target.id, text::escape_controls(&alert.target.name))
}

impl Actor for SinkWorker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.fit();
        self.next(ctx);
    }

    // Also runs while a panic unwinds: a panic in here would abort the process.
    fn stopped(&mut self, _: &mut Context<Self>) {
        let left = std::mem::take(&mut self.queue);
        let exited = ChildExited { child: self.id, panicked: std::thread::panicking(), left };
        #[expect(clippy::disallowed_methods, reason = "once a life; nobody is left to await it")]
        self.parent.do_send(exited);
    }
}

impl Handler<Deliver> for SinkWorker {
    type Result = ();

    fn handle(&mut self, Deliver(notification): Deliver, ctx: &mut Context<Self>) {
        if self.queue.len() >= QUEUE_MAX {
            let reason = format!("{QUEUE_MAX} notifications wait already");
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.tell_end(&notification, &Err(reason), ctx);
            return;
        }
        self.queue.push_back(Waiting::new(notification));
        self.next(ctx);
    }
}

impl Handler<Refit> for SinkWorker {
    type Result = ();

    fn handle(&mut self, fit: Refit, ctx: &mut Context<Self>) {
        self.label = fit.label;
        self.fitting = Some(fit.sink);
        self.fit();
        // Whoever changed the row wants to see it work, not wait for the next attempt.
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.next(ctx);
    }
}

/// Tries what waits once more, until one fails; answers how many are left.
impl Handler<Drain> for SinkWorker {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: Drain, ctx: &mut Context<Self>) -> Self::Result {
        let (drained, done) = oneshot::channel();
        self.drained = Some(drained);
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.next(ctx);
        Box::pin(async move { done.await.unwrap_or(0) })
    }
}

impl Handler<Stop> for SinkWorker {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}
