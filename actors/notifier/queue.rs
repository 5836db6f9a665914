//! What waits for one notifier.

use std::collections::{HashSet, VecDeque};

use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::{Event, Notification, Parcel, text};

/// A notification that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) parcel: Parcel,
    /// When it is given up.
    pub(super) expires: Instant,
    /// When it may be tried.
    pub(super) due: Instant,
}

/// What waits, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Waiting>);

impl Queue {
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.0.push_back(waiting);
    }

    /// Takes out the one at that place.
    pub(super) fn remove(&mut self, at: usize) {
        self.0.remove(at);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn at(&mut self, at: usize) -> &mut Waiting {
        &mut self.0[at]
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Waiting> {
        self.0.iter_mut()
    }

    /// Where the notification of that id is.
    pub(super) fn place_of(&self, id: Uuid) -> Option<usize> {
        self.0.iter().position(|waiting| waiting.parcel.notification.id == id)
    }

    /// One that has waited too long.
    pub(super) fn expired(&self, now: Instant) -> Option<usize> {
        self.0.iter().position(|waiting| waiting.expires <= now)
    }

    /// Whose turn it is, and when that is: the first of its target that is due the soonest; of those that are due
    /// already, the oldest.
    pub(super) fn next(&self, now: Instant) -> Option<(usize, Instant)> {
        let mut earlier = HashSet::new();
        let waiting = self.0.iter().enumerate();
        let firsts = waiting.filter(|(_, w)| earlier.insert(w.parcel.notification.alert.target.id));
        firsts.map(|(at, waiting)| (at, waiting.due.max(now))).min_by_key(|&(at, due)| (due, at))
    }
}

/// What the log calls a notification.
pub(super) fn name(notification: &Notification) -> String {
    let alert = &notification.alert;
    let event = match alert.event {
        Event::Fail => "failure",
        Event::Recovery => "recovery",
        Event::Test => "test",
    };
    format!("{event} of target {} ({})", alert.target.id, text::escape_controls(&alert.target.name))
}
