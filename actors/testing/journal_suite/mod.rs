//! The contract of [`Journal`]: one function a guarantee, run over every journal by [`journal_contract!`].
//!
//! [`journal_contract!`]: crate::journal_contract

mod given;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;

pub use self::given::{announcing, batch, notification, rest, sum};
use self::given::{append, come_to, ids, numbers};
use crate::{
    domain::{Batch, DeliveryState},
    port::Journal,
};

/// More than any test writes.
pub const ROOMY: u64 = 1 << 30;

/// Where a journal is kept.
#[async_trait]
pub trait Disk: Send + Sync {
    /// Opens the journal, and makes it the first time; that which was open before was dropped.
    async fn open(&self, max_bytes: u64) -> Arc<dyn Journal>;
    /// Spoils the bytes of a batch while nobody has the journal open.
    async fn spoil(&self, number: u64);
}

/// Makes a test of every guarantee in a module `$name`; `$disk` is a [`Disk`] without a journal.
///
/// [`Disk`]: crate::testing::journal_suite::Disk
#[macro_export]
macro_rules! journal_contract {
    ($name:ident, $disk:expr) => {
        mod $name {
            use super::*;

            $crate::journal_contract! { @tests $disk;
                a_new_journal_is_empty
                batches_come_back_as_they_were_and_in_order
                it_is_the_same_journal_after_a_restart
                a_batch_that_it_has_is_taken_for_done
                what_is_forgotten_is_gone_and_its_numbers_stay_used
                as_much_is_read_as_is_asked_for_and_one_batch_at_least
                a_notification_is_undelivered_until_it_has_come_to_its_end
                of_each_notifier_the_oldest_come_in_the_order_of_their_arrival
                news_of_an_unknown_notification_are_nothing_to_deliver
                when_it_is_full_the_oldest_results_go_and_nothing_else
                what_becomes_one_does_not_reach_across_a_mark
                a_batch_that_cannot_be_read_is_passed_over
                a_dropped_call_harms_no_later_one
            }
        }
    };
    (@tests $disk:expr; $($test:ident)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                $crate::testing::journal_suite::$test(&$disk).await;
            }
        )*
    };
}

/// There is nothing yet.
pub async fn a_new_journal_is_empty(disk: &impl Disk) {
    let journal = disk.open(ROOMY).await;
    assert_eq!(journal.last(), 0);
    assert!(rest(&journal, 0).await.is_empty());
    assert!(ids(&journal, 10).await.is_empty());
    journal.forget(7).await.expect("nothing can be forgotten");
}

/// Not a value changes, nor is anything rounded.
pub async fn batches_come_back_as_they_were_and_in_order(disk: &impl Disk) {
    let journal = disk.open(ROOMY).await;
    let mut written = Vec::new();
    for number in [1, 2, 5, 1_000, 1 << 40] {
        let mut batch = batch(number, number % 50);
        batch.merge(announcing(&notification(7, number % 100)));
        append(&journal, number, &batch).await;
        written.push((number, batch));
    }
    assert_eq!(format!("{:?}", rest(&journal, 0).await), format!("{written:?}"));
    assert_eq!(numbers(&rest(&journal, 5).await), [1_000, 1 << 40]);
}

/// Nothing is lost, and the database knows it by its name.
pub async fn it_is_the_same_journal_after_a_restart(disk: &impl Disk) {
    let journal = disk.open(ROOMY).await;
    let node = journal.node();
    append(&journal, 1, &batch(1, 3)).await;
    let waiting = notification(7, 1);
    append(&journal, 2, &announcing(&waiting)).await;
    drop(journal);
    let journal = disk.open(ROOMY).await;
    assert_eq!((journal.node(), journal.last()), (node, 2));
    assert_eq!(numbers(&rest(&journal, 0).await), [1, 2]);
    assert_eq!(ids(&journal, 10).await, [waiting.id]);
}

/// A caller whose answer was lost may say the same again.
pub async fn a_batch_that_it_has_is_taken_for_done(disk: &impl Disk) {
    let journal = disk.open(ROOMY).await;
    append(&journal, 1, &batch(1, 1)).await;
    append(&journal, 2, &batch(2, 1)).await;
    append(&journal, 2, &batch(77, 5)).await;
    // What it was about is not known any more.
    assert!(journal.append(1, &batch(77, 5)).await.is_err());
    let batches = rest(&journal, 0).await;
    assert_eq!(numbers(&batches), [1, 2]);
    assert_eq!(batches[1].1.results, batch(2, 1).results);
    journal.forget(2).await.expect("batches are forgotten");
    append(&journal, 2, &batch(2, 1)).await;
    assert!(rest(&journal, 0).await.is_empty());
}

/// A number never means two things.
pub async fn what_is_forgotten_is_gone_and_its_numbers_stay_used(disk: &impl Disk) {
    let journal = disk.open(ROOMY).await;
    for number in 1..=10 {
        append(&journal, number, &batch(number, 2)).await;
    }
    journal.forget(4).await.expect("batches are forgotten");
    assert_eq!(numbers(&rest(&journal, 0).await), [5, 6, 7, 8, 9, 10]);
    journal.forget(10).await.expect("batches are forgotten");
    let full = journal.append(11, &Batch::default()).await.expect("a batch is taken");
    journal.forget(11).await.expect("batches are forgotten");
    assert!(full.bytes < 100, "{} bytes", full.bytes);
    drop(journal);
    let journal = disk.open(ROOMY).await;
    assert_eq!(journal.last(), 11);
    assert!(rest(&journal, 0).await.is_empty());
}

/// So that memory is bounded, and yet there is progress.
pub async fn as_much_is_read_as_is_asked_for_and_one_batch_at_least(disk: &impl Disk) {
    let journal = disk.open(ROOMY).await;
    for number in 1..=20 {
        append(&journal, number, &batch(number, 100)).await;
    }
    let read = async |after, bytes| numbers(&journal.read(after, bytes).await.expect("batches can be read"));
    assert_eq!(read(3, 0).await, [4]);
    assert_eq!(read(3, 1).await, [4]);
    let some = read(3, 30_000).await;
    assert!((2..15).contains(&some.len()), "{some:?}");
    assert_eq!(read(3, usize::MAX).await.len(), 17);
    assert!(read(20, 1).await.is_empty());
    assert!(read(u64::MAX, 1).await.is_empty());
}

/// Whatever becomes of the batch that it came with.
pub async fn a_notification_is_undelivered_until_it_has_come_to_its_end(disk: &impl Disk) {
    for (at, end) in
        [DeliveryState::Delivered, DeliveryState::Refused, DeliveryState::Expired].into_iter().enumerate()
    {
        let first = 1 + at as u64 * 10;
        let journal = disk.open(ROOMY).await;
        let waiting = notification(7, 1);
        append(&journal, first, &announcing(&waiting)).await;
        journal.forget(first).await.expect("batches are forgotten");
        append(&journal, first + 1, &come_to(&waiting, DeliveryState::Sending, 3)).await;
        drop(journal);
        let journal = disk.open(ROOMY).await;
        let parcels = journal.undelivered(1).await.expect("the outbox can be read");
        let [parcel] = &parcels[..] else { panic!("{parcels:?}") };
        assert_eq!(format!("{:?}", parcel.notification), format!("{waiting:?}"));
        assert_eq!((parcel.delivery.state, parcel.delivery.attempts), (DeliveryState::Sending, 3));
        assert_eq!(parcel.delivery.last_error.as_deref(), Some("attempt 3"));
        append(&journal, first + 2, &come_to(&waiting, end, 4)).await;
        assert!(ids(&journal, 1).await.is_empty());
        drop(journal);
        assert!(ids(&disk.open(ROOMY).await, 1).await.is_empty());
    }
}

/// A notifier that has many does not hide another's; a clock that stepped back changes no order.
pub async fn of_each_notifier_the_oldest_come_in_the_order_of_their_arrival(disk: &impl Disk) {
    let journal = disk.open(ROOMY).await;
    let told: Vec<_> = [(7, 50), (7, 10), (8, 60), (7, 70), (8, 5), (7, 20)]
        .into_iter()
        .map(|(notifier, second)| notification(notifier, second))
        .collect();
    for (number, notification) in (1..).zip(&told) {
        append(&journal, number, &announcing(notification)).await;
    }
    append(&journal, 10, &come_to(&told[0], DeliveryState::Sending, 1)).await;
    let expected = |places: &[usize]| places.iter().map(|&place| told[place].id).collect::<Vec<_>>();
    assert_eq!(ids(&journal, 100).await, expected(&[0, 1, 2, 3, 4, 5]));
    assert_eq!(ids(&journal, 2).await, expected(&[0, 1, 2, 4]));
    assert_eq!(ids(&journal, 1).await, expected(&[0, 2]));
    assert!(ids(&journal, 0).await.is_empty());
}

/// It has come to its end before, or is new and at its end at once.
pub async fn news_of_an_unknown_notification_are_nothing_to_deliver(disk: &impl Disk) {
    let journal = disk.open(ROOMY).await;
    let unknown = notification(7, 1);
    append(&journal, 1, &come_to(&unknown, DeliveryState::Sending, 1)).await;
    let mut at_once = announcing(&unknown);
    at_once.merge(come_to(&unknown, DeliveryState::Delivered, 1));
    append(&journal, 2, &at_once).await;
    assert!(ids(&journal, 9).await.is_empty());
    assert_eq!(rest(&journal, 0).await.len(), 2);
}

/// Counters, incidents and notifications are what people rely on.
pub async fn when_it_is_full_the_oldest_results_go_and_nothing_else(disk: &impl Disk) {
    const MAX: u64 = 100_000;
    let journal = disk.open(MAX).await;
    let (mut written, mut dropped, mut told) = (Vec::new(), 0, Vec::new());
    for number in 1..=200 {
        let mut batch = batch(number * 2, 20);
        if number % 50 == 0 {
            let notification = notification(7, number);
            batch.merge(announcing(&notification));
            told.push(notification.id);
        }
        dropped += append(&journal, number, &batch).await;
        written.push(batch);
    }
    assert!(dropped > 0);
    drop(journal);
    let journal = disk.open(MAX).await;
    let batches = rest(&journal, 0).await;
    assert_eq!(sum(batches.iter().map(|(_, batch)| batch)), sum(&written));
    assert_eq!(ids(&journal, 100).await, told);
    let kept: Vec<_> = batches.iter().flat_map(|(_, batch)| batch.results.clone()).collect();
    let all: Vec<_> = written.iter().flat_map(|batch| batch.results.clone()).collect();
    assert_eq!(kept.len() as u64 + dropped, all.len() as u64);
    assert!(!kept.is_empty() && all.ends_with(&kept), "the newest are kept");
}

/// Or the database would count some twice.
pub async fn what_becomes_one_does_not_reach_across_a_mark(disk: &impl Disk) {
    const MAX: u64 = 100_000;
    let mut written = Vec::new();
    let mut marks = vec![0, 90, 120];
    for (numbers, marked) in [(1..=90, 30), (91..=120, 100), (121..=300, 260)] {
        let journal = disk.open(MAX).await;
        for number in numbers {
            let batch = batch(number, 20);
            append(&journal, number, &batch).await;
            written.push(batch);
            if number == marked {
                journal.mark(number);
                marks.push(number);
            }
        }
        if let [(last, _), ..] = journal.read(0, 1).await.expect("batches can be read")[..] {
            marks.push(last);
        }
    }
    let journal = disk.open(MAX).await;
    for mark in marks.into_iter().filter(|mark| ![90, 120].contains(mark)) {
        let batches = rest(&journal, mark).await;
        let at = usize::try_from(mark).expect("a test counts not that far");
        assert_eq!(sum(batches.iter().map(|(_, batch)| batch)), sum(&written[at..]), "after {mark}");
    }
}

/// The others are worth as much as before.
pub async fn a_batch_that_cannot_be_read_is_passed_over(disk: &impl Disk) {
    let journal = disk.open(ROOMY).await;
    for number in 1..=5 {
        append(&journal, number, &batch(number, 20)).await;
    }
    drop(journal);
    disk.spoil(2).await;
    disk.spoil(3).await;
    let journal = disk.open(ROOMY).await;
    assert_eq!(numbers(&journal.read(1, 1).await.expect("batches can be read")), [4]);
    assert_eq!(numbers(&rest(&journal, 0).await), [1, 4, 5]);
    append(&journal, 6, &batch(6, 1)).await;
    journal.forget(4).await.expect("batches are forgotten");
    assert_eq!(numbers(&rest(&journal, 0).await), [5, 6]);
}

/// A caller may give up at any moment, and say the same again.
pub async fn a_dropped_call_harms_no_later_one(disk: &impl Disk) {
    let journal = disk.open(ROOMY).await;
    for number in 1..=40 {
        let batch = batch(number, 10);
        let patience = Duration::from_micros(number * 20);
        let given_up = timeout(patience, journal.append(number, &batch)).await.is_err();
        drop(timeout(patience, journal.read(0, 1)).await);
        if given_up {
            append(&journal, number, &batch).await;
        }
        let newest = journal.read(number - 1, 1).await.expect("batches can be read");
        assert_eq!(newest[0].1.results, batch.results);
    }
    assert_eq!(rest(&journal, 0).await.len(), 40);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryJournal;

    #[async_trait]
    impl Disk for MemoryJournal {
        async fn open(&self, max_bytes: u64) -> Arc<dyn Journal> {
            Arc::new(self.reopen().holding(max_bytes))
        }

        async fn spoil(&self, number: u64) {
            self.lose(number);
        }
    }

    journal_contract!(memory, MemoryJournal::default());
}
