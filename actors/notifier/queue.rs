//! What waits for one notifier.

use std::collections::{HashSet, VecDeque};

use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::{Alert, Event, Notification, Parcel, text};

/// A notification that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) parcel: Parcel,
    /// When it is given up.
    pub(super) expires: Instant,
    /// When its notifier wants to be told.
    pub(super) held_until: Instant,
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

    /// What nobody wants to be told any more now that the last has come, and why: reminders of what is over or told of
    /// again, and a failure together with its end, if that came within the time that failures are held for.
    pub(super) fn outdated(
        &self,
        attempting: Option<Uuid>,
        hold: impl Fn(&Alert) -> time::Duration,
    ) -> Vec<(Uuid, &'static str)> {
        let Some(last) = self.0.back().map(|waiting| &waiting.parcel.notification) else {
            return Vec::new();
        };
        let newest = &last.alert;
        let mut outdated = Vec::new();
        for Parcel { notification: Notification { id, alert, .. }, delivery } in
            self.0.iter().map(|w| &w.parcel)
        {
            // What is being tried may have been delivered: it ends as that says.
            if alert.target.id != newest.target.id || *id == last.id || attempting == Some(*id) {
                continue;
            }
            match (alert.event, newest.event) {
                (Event::Reminder, Event::Reminder | Event::Recovery) => {
                    outdated.push((*id, "a later event says more"));
                }
                (Event::Fail, Event::Recovery) if is_same_incident(alert, newest) => {
                    let hold = hold(alert);
                    if delivery.attempts == 0 && hold.is_positive() && newest.at < alert.at + hold {
                        outdated.push((*id, "it was over before it was to be told"));
                        outdated.push((last.id, "its failure was not told either"));
                    }
                }
                _ => {}
            }
        }
        outdated
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

fn is_same_incident(one: &Alert, other: &Alert) -> bool {
    one.incident.zip(other.incident).is_some_and(|(one, other)| one.id == other.id)
}

/// What the log calls a notification.
pub(super) fn name(notification: &Notification) -> String {
    let alert = &notification.alert;
    let event = match alert.event {
        Event::Fail => "failure",
        Event::Recovery => "recovery",
        Event::Reminder => "reminder",
        Event::Test => "test",
    };
    format!("{event} of target {} ({})", alert.target.id, text::escape_controls(&alert.target.name))
}
