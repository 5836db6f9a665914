//! The newest batches, which the database lacks: so that they need not be read from the journal.

use std::{collections::VecDeque, sync::Arc};

use uuid::Uuid;

use crate::{domain::Batch, port::Packet};

/// The batches that stay in memory; more are read from the journal when their turn comes.
const BATCHES_MAX: usize = 256;

/// The end of the journal, as far as it is in memory.
#[derive(Debug, Default)]
pub(super) struct Tail {
    entries: VecDeque<Entry>,
    /// Whether all that the database lacks is here. What an earlier life left is in the journal alone.
    whole: bool,
}

/// One batch.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    /// What waits for this batch waits for this ticket.
    pub(super) ticket: u64,
    pub(super) batch: Arc<Batch>,
    /// Whether the journal has it.
    pub(super) kept: bool,
}

impl Tail {
    /// Takes in a batch that the journal does not have yet.
    pub(super) fn push(&mut self, number: u64, ticket: u64, batch: Arc<Batch>) {
        self.entries.push_back(Entry { number, ticket, batch, kept: false });
        if self.entries.len() > BATCHES_MAX {
            self.entries.retain(|entry| !entry.kept);
            self.whole = false;
        }
    }

    /// The journal has the batch of that number.
    pub(super) fn kept(&mut self, number: u64) {
        let entry = self.entries.iter_mut().find(|entry| entry.number == number);
        entry.into_iter().for_each(|entry| entry.kept = true);
    }

    /// The batch that the journal does not have; there is one at the most, and it is the newest.
    pub(super) fn unkept(&self) -> Option<&Entry> {
        self.entries.back().filter(|entry| !entry.kept)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn batch(&self, number: u64) -> Option<Arc<Batch>> {
        self.entries.iter().find(|entry| entry.number == number).map(|entry| entry.batch.clone())
    }

    /// Whether all that the database lacks is in memory.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The journal is being read: what is pushed out meanwhile makes it incomplete again.
    pub(super) fn begin_reading(&mut self) {
        self.whole = true;
    }

    /// The journal could not be read.
    pub(super) fn break_off(&mut self) {
        self.whole = false;
    }

    /// All of it as one packet, what the journal does not have `with_unkept` only; `None` is nothing to write.
    pub(super) fn packet(&self, node: Uuid, with_unkept: bool) -> Option<Arc<Packet>> {
        let entries = self.entries.iter().filter(|entry| entry.kept || with_unkept);
        packet(node, entries.map(|entry| (entry.number, (*entry.batch).clone())))
    }

    /// What was read from the journal as one packet.
    pub(super) fn packet_of(&mut self, node: Uuid, read: Vec<(u64, Batch)>) -> Option<Arc<Packet>> {
        // There may be more.
        self.whole &= read.is_empty();
        packet(node, read)
    }

    /// The database has the batches up to `through`; tells how many single results go with those that the journal
    /// never had.
    pub(super) fn forget(&mut self, through: u64) -> usize {
        let gone = self.entries.iter().filter(|entry| entry.number <= through && !entry.kept);
        let lost = gone.map(|entry| entry.batch.results.len()).sum();
        self.entries.retain(|entry| entry.number > through);
        lost
    }
}

fn packet(node: Uuid, batches: impl IntoIterator<Item = (u64, Batch)>) -> Option<Arc<Packet>> {
    let mut batches = batches.into_iter();
    let (first, batch) = batches.next()?;
    let mut packet = Packet { node, first, through: first, batch };
    // They are history, which is written by itself.
    packet.batch.results.clear();
    for (number, mut batch) in batches {
        batch.results.clear();
        packet.batch.merge(batch);
        packet.through = number;
    }
    Some(Arc::new(packet))
}
