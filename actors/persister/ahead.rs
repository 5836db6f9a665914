//! What has happened and does not stand in the database yet, as far as rows show it: one entry a row, however
//! long the database is away.

use std::collections::HashMap;

use crate::{
    domain::{Batch, NotifierId, NotifierNews, Status, TargetId, TargetNews},
    query::Rows,
};

/// The sum of the batches that the database lacks.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// With the number of the newest batch that has news of it.
    targets: HashMap<TargetId, (u64, TargetNews)>,
    notifiers: HashMap<NotifierId, (u64, NotifierNews)>,
}

impl Ahead {
    /// Takes in the batch of that number.
    pub(super) fn add(&mut self, number: u64, batch: &Batch) {
        for (&id, news) in &batch.targets {
            let entry = self.targets.entry(id).and_modify(|(newest, sum)| {
                *newest = number;
                sum.merge(news.clone());
            });
            let (_, sum) = entry.or_insert_with(|| (number, news.clone()));
            // Rows show the incident that goes on, and no earlier one.
            sum.incidents.drain(..sum.incidents.len().saturating_sub(1));
        }
        for (id, news) in batch.notifiers() {
            let (newest, sum) = self.notifiers.entry(id).or_default();
            *newest = number;
            sum.delivered += news.delivered;
            sum.failed += news.failed;
        }
    }

    /// The database has the batches up to `through`, which came to `batch`.
    pub(super) fn remove(&mut self, through: u64, batch: &Batch) {
        for (id, news) in &batch.targets {
            if let Some((_, sum)) = self.targets.get_mut(id) {
                sum.counted.subtract(&news.counted);
            }
        }
        for (id, news) in batch.notifiers() {
            if let Some((_, sum)) = self.notifiers.get_mut(&id) {
                sum.delivered -= news.delivered.min(sum.delivered);
                sum.failed -= news.failed.min(sum.failed);
            }
        }
        self.targets.retain(|_, (newest, _)| *newest > through);
        self.notifiers.retain(|_, (newest, _)| *newest > through);
    }

    /// The targets that have news.
    pub(super) fn targets(&self) -> impl Iterator<Item = TargetId> {
        self.targets.keys().copied()
    }

    /// The status of a target, if there is news of it.
    pub(super) fn status(&self, target: TargetId) -> Option<Status> {
        self.targets.get(&target).map(|(_, news)| news.status)
    }

    /// Changes rows of the database to what they will be.
    pub(super) fn apply(&self, rows: &mut Rows) {
        for row in &mut rows.targets {
            if let Some((_, news)) = self.targets.get(&row.id) {
                news.apply(&mut row.state);
            }
        }
        for row in &mut rows.notifiers {
            if let Some((_, news)) = self.notifiers.get(&row.id) {
                row.pass_count += news.delivered;
                row.fail_count += news.failed;
            }
        }
    }
}

/// Changes rows as writing the batch changes the database.
pub(super) fn bring_up_to_date(rows: &mut Rows, batch: &Batch) {
    let mut news = Ahead::default();
    news.add(0, batch);
    news.apply(rows);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::{
        domain::{Cause, Outcome},
        testing::fixtures::target_row,
    };

    fn batch(results: &[bool]) -> Batch {
        let mut batch = Batch::default();
        for &passed in results {
            let outcome = if passed { Outcome::pass("up") } else { Outcome::fail(Cause::Dns, "down") };
            let status = if passed { Status::Pass } else { Status::Fail };
            let at = datetime!(2026-01-01 0:00 UTC);
            batch.add(TargetId(1), TargetNews::of(&outcome, at, status, None, None));
        }
        batch
    }

    fn rows() -> Rows {
        Rows { targets: vec![target_row(1, "home")], notifiers: Vec::new() }
    }

    proptest! {
        #[test]
        fn rows_look_the_same_however_far_the_database_has_followed(
            batches in prop::collection::vec(prop::collection::vec(any::<bool>(), 1..5), 1..20),
            written: prop::sample::Index,
        ) {
            let batches: Vec<_> = batches.iter().map(|results| batch(results)).collect();
            let mut expected = rows();
            batches.iter().for_each(|batch| bring_up_to_date(&mut expected, batch));

            let (mut ahead, mut database) = (Ahead::default(), rows());
            (1..).zip(&batches).for_each(|(number, batch)| ahead.add(number, batch));
            let written = written.index(batches.len());
            let mut packet = Batch::default();
            batches[..written].iter().for_each(|batch| packet.merge(batch.clone()));
            bring_up_to_date(&mut database, &packet);
            ahead.remove(written as u64, &packet);
            ahead.apply(&mut database);
            prop_assert_eq!(format!("{:?}", database.targets), format!("{:?}", expected.targets));

            let mut rest = Batch::default();
            batches[written..].iter().for_each(|batch| rest.merge(batch.clone()));
            ahead.remove(batches.len() as u64, &rest);
            prop_assert_eq!(ahead.targets().count(), 0);
        }
    }
}
