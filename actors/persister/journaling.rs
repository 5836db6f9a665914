//! The way into the journal: results gather, become durable together, and are accepted; people are told.

use std::sync::Arc;

use actix::prelude::*;
use log::warn;

use super::{BACKOFF, Persister, RESULTS_MAX, tail::Entry};
use crate::{
    domain::{Batch, DeliveryState, Notification},
    event::Announced,
    port::{Appended, JournalError, within_deadline},
};

impl Persister {
    /// Has the pending batch become durable, and resolves when it has; to `false` where the journal fails.
    pub(super) fn accept(&mut self, ctx: &mut Context<Self>) -> ResponseFuture<bool> {
        let ticket = self.ticket;
        if self.journaling.away().is_some() {
            self.pass_on_unkept();
        }
        self.hurry(ctx);
        let mut kept = self.kept.subscribe();
        Box::pin(async move {
            // A persister that is gone ends the daemon.
            kept.wait_for(|kept| kept.accepted >= ticket).await.is_ok_and(|kept| kept.durable >= ticket)
        })
    }

    /// Accepts what waits although it is not durable: people are told, and targets go on.
    fn pass_on_unkept(&mut self) {
        self.announce(&self.pending);
        self.kept.send_modify(|kept| kept.accepted = self.ticket);
        let surplus = self.pending.results.len().saturating_sub(RESULTS_MAX);
        if surplus > 0 {
            self.pending.results.drain(..surplus);
            self.drop_results(surplus as u64);
        }
    }

    pub(super) fn drop_results(&mut self, dropped: u64) {
        if dropped > 0 {
            self.results_dropped += dropped;
            warn!(
                "the journal has no room for {dropped} single results: they count, but are not in the history"
            );
        }
    }

    /// Hands what gathered to the journal, which has all before it, as soon as that is free.
    pub(super) fn hurry(&mut self, ctx: &mut Context<Self>) {
        if self.append_in_flight || self.pending.is_empty() || self.tail.unkept().is_some() {
            return;
        }
        self.number += 1;
        let batch = Arc::new(std::mem::take(&mut self.pending));
        self.ahead.add(self.number, &batch);
        self.tail.push(self.number, self.ticket, batch);
        self.ticket += 1;
        self.keep(ctx);
    }

    /// Hands the newest batch to the journal, for the first time or again.
    fn keep(&mut self, ctx: &mut Context<Self>) {
        let Some(entry) = self.tail.unkept().filter(|_| !self.append_in_flight) else {
            return;
        };
        let Entry { number, ticket, batch, .. } = entry.clone();
        let journal = self.journal.clone();
        self.append_in_flight = true;
        let appended = within_deadline(async move { journal.append(number, &batch).await });
        ctx.spawn(appended.into_actor(self).map(move |result, actor, ctx| {
            actor.append_in_flight = false;
            actor.appended(number, ticket, result, ctx);
        }));
    }

    fn appended(
        &mut self,
        number: u64,
        ticket: u64,
        result: Result<Appended, JournalError>,
        ctx: &mut Context<Self>,
    ) {
        let first_failure = result.is_err() && self.journaling.away().is_none();
        self.journaling.saw(&result);
        let is_durable = result.is_ok();
        if let Ok(appended) = result {
            self.journal_state = appended;
            self.drop_results(appended.dropped);
            self.tail.kept(number);
        } else {
            let wait = BACKOFF.wait(self.journaling.failures());
            ctx.run_later(wait, Self::keep);
        }
        // Once a number, however often it is tried; the Notifier knows what was passed on before.
        if let Some(batch) = self.tail.batch(number).filter(|_| self.announced < number) {
            self.announced = number;
            self.announce(&batch);
        }
        self.kept.send_modify(|kept| {
            kept.accepted = kept.accepted.max(ticket);
            if is_durable {
                kept.durable = kept.durable.max(ticket);
            }
        });
        if first_failure {
            self.pass_on_unkept();
        }
        self.hurry(ctx);
        if self.drained.is_some() {
            if self.progress.is_none() {
                self.answer_drain();
            }
            self.flush(ctx);
        }
    }

    /// Tells the listener of the notifications that are new in `batch`.
    fn announce(&self, batch: &Batch) {
        let new =
            batch.notifications.iter().filter(|(_, news)| news.delivery.state == DeliveryState::Pending);
        let new: Vec<_> = new
            .filter_map(|(&id, news)| {
                Some(Notification { id, notifier: news.notifier, alert: news.alert.clone()? })
            })
            .collect();
        if let Some(listener) = self.listener.as_ref().filter(|_| !new.is_empty()) {
            #[expect(
                clippy::disallowed_methods,
                reason = "one a batch with an edge; it bounds its own queues"
            )]
            listener.do_send(Announced(new));
        }
    }
}
