//! The way into the database, which follows the journal.

use actix::prelude::*;
use log::error;

use super::{BACKOFF, Persister, READ_BYTES, ahead::bring_up_to_date};
use crate::{
    domain::text,
    port::{StoreError, within_deadline},
};

impl Persister {
    /// Begins a write if none is under way and there is something to write.
    pub(super) fn flush(&mut self, ctx: &mut Context<Self>) {
        let Some(progress) = self.progress.filter(|_| !self.write_in_flight) else {
            return;
        };
        if self.packet.is_some() {
            self.write(ctx);
        } else if self.tail.is_whole() {
            // A batch of which the journal does not know yet is left to it, unless it fails.
            self.packet = self.tail.packet(self.journal.node(), self.journaling.away().is_some());
            match self.packet {
                Some(_) => self.write(ctx),
                None => self.rest(ctx),
            }
        } else {
            self.write_in_flight = true;
            let journal = self.journal.clone();
            self.tail.begin_reading();
            let read = within_deadline(async move { journal.read(progress.rows, READ_BYTES).await });
            ctx.spawn(read.into_actor(self).map(|read, actor, ctx| {
                actor.write_in_flight = false;
                match read {
                    Ok(batches) => actor.packet = actor.tail.packet_of(actor.journal.node(), batches),
                    Err(error) => {
                        error!("the journal cannot be read: {}", text::chain(&error));
                        actor.tail.break_off();
                    }
                }
                match actor.packet {
                    Some(_) => actor.write(ctx),
                    None if actor.tail.is_whole() => actor.flush(ctx),
                    None => actor.rest(ctx),
                }
            }));
        }
    }

    fn write(&mut self, ctx: &mut Context<Self>) {
        let Some(packet) = self.packet.clone() else {
            return;
        };
        self.write_in_flight = true;
        self.journal.mark(packet.through);
        let (store, turn) = (self.store.clone(), self.turn.clone());
        let written = async move {
            let turn = turn.write_owned().await;
            (within_deadline(store.write(&packet)).await, turn)
        };
        ctx.spawn(written.into_actor(self).map(|(result, _turn), actor, ctx| {
            actor.write_in_flight = false;
            actor.wrote(result, ctx);
        }));
    }

    fn wrote(&mut self, result: Result<Vec<String>, StoreError>, ctx: &mut Context<Self>) {
        self.writing.saw(&result);
        if let Err(StoreError::Refused(_)) = &result {
            // Another life of this daemon wrote a part of it: what is left is found out anew.
            self.packet = None;
            self.progress = None;
            self.tail.break_off();
        }
        let Ok(refused) = result else {
            if self.drained.is_some() {
                self.answer_drain();
            }
            let wait = BACKOFF.wait(self.writing.failures());
            match self.progress {
                Some(_) => ctx.run_later(wait, Self::flush),
                None => ctx.run_later(wait, Self::recover),
            };
            return;
        };
        for row in refused {
            error!("the database refused news, which are lost: {row}");
        }
        if let Some(packet) = self.packet.take() {
            self.ahead.remove(packet.through, &packet.batch);
            let lost = self.tail.forget(packet.through);
            self.drop_results(lost as u64);
            self.progress.iter_mut().for_each(|progress| progress.rows = packet.through);
            if let Some(rows) = &mut self.rows {
                bring_up_to_date(rows, &packet.batch);
            }
        }
        // What the journal did not take, the database may have now.
        self.hurry(ctx);
        if self.drained.is_some() || !self.tail.is_whole() {
            self.flush(ctx);
        } else {
            ctx.run_later(self.flush_interval, Self::flush);
        }
    }

    /// Everything is written for now.
    fn rest(&mut self, ctx: &mut Context<Self>) {
        self.answer_drain();
        ctx.run_later(self.flush_interval, Self::flush);
    }

    /// Answers who waits for the end, if what is left is durable.
    pub(super) fn answer_drain(&mut self) {
        if self.append_in_flight || !self.pending.is_empty() || self.tail.unkept().is_some() {
            return;
        }
        let left = self.waiting();
        for waiting in self.drained.iter_mut().flat_map(std::mem::take) {
            // Whoever waited may have left at its deadline.
            waiting.send(left).ok();
        }
    }
}
