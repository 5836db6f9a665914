//! The double of a journal.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use uuid::Uuid;

use super::Fault;
use crate::{
    domain::{Batch, Notification, NotificationNews, Parcel},
    port::{Appended, Journal, JournalError},
};

/// About what a result takes up; nothing else counts.
const RESULT_BYTES: u64 = 64;

/// Keeps batches in memory. [`MemoryJournal::reopen`] is a restart.
#[derive(Clone, Debug)]
pub struct MemoryJournal {
    shared: Arc<Mutex<Shared>>,
    max_bytes: u64,
    node: Uuid,
}

#[derive(Debug)]
struct Shared {
    last: u64,
    batches: BTreeMap<u64, Batch>,
    /// In the order of their arrival.
    outbox: Vec<(Uuid, NotificationNews)>,
    fault: Fault,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::of(u64::MAX)
    }
}

impl MemoryJournal {
    /// A journal that may hold `max_bytes`.
    pub fn of(max_bytes: u64) -> Self {
        let shared = Shared { last: 0, batches: BTreeMap::new(), outbox: Vec::new(), fault: Fault::None };
        Self { shared: Arc::new(Mutex::new(shared)), max_bytes, node: Uuid::now_v7() }
    }

    /// The same journal as a new process finds it, free of faults.
    pub fn reopen(&self) -> Self {
        let mut shared = self.lock();
        shared.fault = Fault::None;
        self.clone()
    }

    /// The same journal, which may hold `max_bytes` from now on.
    pub fn holding(self, max_bytes: u64) -> Self {
        Self { max_bytes, ..self }
    }

    /// Sets what is wrong in all later calls.
    pub fn set(&self, fault: Fault) {
        self.lock().fault = fault;
    }

    /// The batches that it holds, whatever is wrong with it.
    pub fn batches(&self) -> Vec<(u64, Batch)> {
        self.lock().batches.iter().map(|(number, batch)| (*number, batch.clone())).collect()
    }

    /// Loses a batch as if it could not be read.
    pub fn lose(&self, number: u64) {
        self.lock().batches.remove(&number);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call<T>(
        &self,
        writes: bool,
        work: impl FnOnce(&mut Shared) -> T + Send,
    ) -> Result<T, JournalError> {
        let fault = self.lock().fault;
        match fault {
            Fault::RefusesWrites if writes => return Err(failed()),
            Fault::None | Fault::RefusesWrites | Fault::LosesAnswers => {}
            Fault::Unavailable => return Err(failed()),
            Fault::Hangs => pending().await,
            Fault::Panics => panic!("the test says so"),
            Fault::Slow(wait) => tokio::time::sleep(wait).await,
        }
        let done = work(&mut self.lock());
        if fault == Fault::LosesAnswers { Err(failed()) } else { Ok(done) }
    }
}

impl Shared {
    fn bytes(&self) -> u64 {
        self.batches.values().map(bytes).sum()
    }

    fn drop_results(&mut self, max_bytes: u64) -> u64 {
        let mut dropped = 0;
        while self.bytes() > max_bytes {
            let Some(oldest) = self.batches.values_mut().find(|batch| !batch.results.is_empty()) else {
                break;
            };
            dropped += oldest.results.len() as u64;
            oldest.results.clear();
        }
        dropped
    }

    fn tell(&mut self, id: Uuid, news: &NotificationNews) {
        let place = self.outbox.iter().position(|(known, _)| *known == id);
        match place {
            Some(place) if news.delivery.state.is_final() => drop(self.outbox.remove(place)),
            Some(place) => self.outbox[place].1.delivery = news.delivery.clone(),
            None if news.alert.is_some() && !news.delivery.state.is_final() => {
                self.outbox.push((id, news.clone()));
            }
            None => {}
        }
    }

    fn undelivered(&self, most: usize) -> Vec<Parcel> {
        let mut taken = BTreeMap::new();
        let parcels = self.outbox.iter().filter_map(|(id, news)| {
            let notification = Notification { id: *id, notifier: news.notifier, alert: news.alert.clone()? };
            Some(Parcel { notification, delivery: news.delivery.clone() })
        });
        let mut is_one_of_the_oldest = |parcel: &Parcel| {
            let taken = taken.entry(parcel.notification.notifier).or_insert(0);
            *taken += 1;
            *taken <= most
        };
        parcels.filter(|parcel| is_one_of_the_oldest(parcel)).collect()
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    fn node(&self) -> Uuid {
        self.node
    }

    fn last(&self) -> u64 {
        self.lock().last
    }

    async fn append(&self, number: u64, batch: &Batch) -> Result<Appended, JournalError> {
        let appended = self.call(true, |shared| {
            if number < shared.last {
                return Err(JournalError("the number was passed already".into()));
            }
            let mut dropped = 0;
            if number > shared.last {
                shared.last = number;
                shared.batches.insert(number, batch.clone());
                batch.notifications.iter().for_each(|(id, news)| shared.tell(*id, news));
                dropped = shared.drop_results(self.max_bytes);
            }
            Ok(Appended { dropped, bytes: shared.bytes() })
        });
        appended.await.flatten()
    }

    async fn read(&self, after: u64, most: usize) -> Result<Vec<(u64, Batch)>, JournalError> {
        self.call(false, |shared| {
            let mut size = 0;
            let later = shared.batches.range(after.saturating_add(1)..);
            let fitting = later.take_while(|(_, batch)| {
                let before = size;
                size += bytes(batch);
                before == 0 || before < most as u64
            });
            fitting.map(|(number, batch)| (*number, batch.clone())).collect()
        })
        .await
    }

    /// Batches stay apart here.
    fn mark(&self, _: u64) {}

    async fn forget(&self, through: u64) -> Result<(), JournalError> {
        self.call(true, |shared| shared.batches.retain(|number, _| *number > through)).await
    }

    async fn undelivered(&self, most: usize) -> Result<Vec<Parcel>, JournalError> {
        self.call(false, |shared| shared.undelivered(most)).await
    }
}

fn bytes(batch: &Batch) -> u64 {
    batch.results.len() as u64 * RESULT_BYTES
}

fn failed() -> JournalError {
    JournalError("the test says so".into())
}
