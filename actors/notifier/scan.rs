//! Looks through the journal for what was left behind.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use actix::prelude::*;
use log::warn;
use uuid::Uuid;

use super::{Notifier, QUEUE_MAX};
use crate::{
    domain::{NotifierId, Parcel, text},
    port::JournalError,
    query::LoadUndelivered,
};

/// How often the journal is looked through for what was left behind.
const SCAN_EVERY: Duration = Duration::from_secs(60);

/// Look through the journal now, apart from the timer.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Rescan;

impl Notifier {
    /// Looks through the journal for what nobody delivers.
    pub(super) fn scan(&mut self, ctx: &mut Context<Self>) {
        ctx.run_later(SCAN_EVERY, Self::scan);
        self.look(ctx);
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.looking, true) {
            return;
        }
        self.ended.clear();
        self.skipped.clear();
        let known: Vec<_> = self.parcels.values().flatten().map(|parcel| parcel.notification.id).collect();
        let loaded = self.links.undelivered.send(LoadUndelivered { most: QUEUE_MAX });
        ctx.spawn(loaded.into_actor(self).map(move |loaded, actor, ctx| {
            actor.looking = false;
            let gone = |error: MailboxError| JournalError(error.into());
            match loaded.map_err(gone).flatten() {
                Ok(parcels) => actor.compare(&known, parcels, ctx),
                Err(error) => warn!("undelivered notifications cannot be looked up: {}", text::chain(&error)),
            }
        }));
    }

    /// Makes one what is `known` here and what was found in the journal.
    fn compare(&mut self, known: &[Uuid], parcels: Vec<Parcel>, ctx: &mut Context<Self>) {
        let mut found: HashMap<NotifierId, HashSet<Uuid>> = HashMap::new();
        for Parcel { notification, .. } in &parcels {
            found.entry(notification.notifier).or_default().insert(notification.id);
        }
        let truncated = found.iter().filter(|(_, ids)| ids.len() >= QUEUE_MAX).map(|(id, _)| *id);
        self.backlogs = truncated.chain(self.skipped.drain()).collect();
        let known = known.iter().filter(|id| !self.ended.contains(id));
        let lost: Vec<_> = known.filter_map(|id| self.not_among(&found, *id)).collect();
        for (notifier, id, is_final) in lost {
            match is_final {
                // The journal has its end by now.
                true => self.forget(notifier, id, ctx),
                // The database had it before the journal could take it.
                false => self.record_anew(notifier, id, ctx),
            }
        }
        for parcel in parcels {
            if !self.ended.contains(&parcel.notification.id) {
                self.take_up(parcel, ctx);
            }
        }
        if self.backlogs.iter().any(|id| !self.parcels.contains_key(id)) {
            ctx.notify(Rescan);
        }
    }

    /// The notification with that id, if it should have been found and was not.
    fn not_among(
        &self,
        found: &HashMap<NotifierId, HashSet<Uuid>>,
        id: Uuid,
    ) -> Option<(NotifierId, Uuid, bool)> {
        let parcel = self.parcels.values().flatten().find(|parcel| parcel.notification.id == id)?;
        let notifier = parcel.notification.notifier;
        let is_lost = !self.backlogs.contains(&notifier)
            && found.get(&notifier).is_none_or(|found| !found.contains(&id));
        is_lost.then_some((notifier, id, parcel.delivery.state.is_final()))
    }
}

impl Handler<Rescan> for Notifier {
    type Result = ();

    fn handle(&mut self, _: Rescan, ctx: &mut Context<Self>) {
        self.look(ctx);
    }
}
