//! The past, in memory.

use std::{collections::BTreeSet, ops::RangeInclusive};

use async_trait::async_trait;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{MemoryStore, claim, purge};
use crate::{
    domain::{DeliveryState, HistoryMinute, Period, RawResult, Resolution, Rollup, TargetId},
    port::{
        History, IncidentRow, Kept, NotificationFilter, NotificationRow, RollupRow, Stale, StoreError,
        Targets,
    },
};

#[async_trait]
impl History for MemoryStore {
    async fn write_minutes(
        &self,
        node: Uuid,
        batches: RangeInclusive<u64>,
        minutes: Vec<HistoryMinute>,
    ) -> Result<(), StoreError> {
        let mut tables = self.lock();
        let written = &mut tables.progress.entry(node).or_default().history;
        if !claim(written, *batches.start(), *batches.end())? {
            return Ok(());
        }
        for minute in minutes {
            tables.mark(Period {
                resolution: Resolution::Hour,
                start: Resolution::Hour.start_of(minute.start),
            });
            if tables.targets.contains_key(&minute.target) {
                let results = tables.minutes.entry((minute.start, minute.target)).or_default();
                results.extend(minute.results.iter().cloned());
                let period = Period { resolution: Resolution::Minute, start: minute.start };
                tables.rollups.entry((period, minute.target)).or_default().merge(&minute.rollup());
            }
        }
        Ok(())
    }

    async fn stale(&self) -> Result<Vec<Stale>, StoreError> {
        Ok(self.lock().stale.iter().map(|(&period, &mark)| Stale { period, mark }).collect())
    }

    async fn rollups(
        &self,
        resolution: Resolution,
        from: OffsetDateTime,
        until: OffsetDateTime,
        targets: Targets,
    ) -> Result<Vec<RollupRow>, StoreError> {
        let tables = self.lock();
        let entries = tables.rollups.iter().filter(|((period, target), _)| {
            period.resolution == resolution
                && (from..until).contains(&period.start)
                && match targets {
                    Targets::One(one) => *target == one,
                    Targets::After { id, .. } => *target > id && tables.targets.contains_key(target),
                }
        });
        let mut rows: Vec<_> = entries
            .map(|((period, target), rollup)| RollupRow {
                target: *target,
                start: period.start,
                rollup: rollup.clone(),
            })
            .collect();
        rows.sort_by_key(|row| (row.target, row.start));
        if let Targets::After { most, .. } = targets {
            let found: BTreeSet<TargetId> = rows.iter().map(|row| row.target).collect();
            let first: BTreeSet<TargetId> = found.into_iter().take(most).collect();
            rows.retain(|row| first.contains(&row.target));
        }
        Ok(rows)
    }

    async fn write_rollups(&self, of: Stale, rows: &[(TargetId, Rollup)]) -> Result<bool, StoreError> {
        let mut tables = self.lock();
        if !tables.holds(of) {
            return Ok(false);
        }
        for (target, rollup) in rows {
            if tables.targets.contains_key(target) {
                tables.rollups.insert((of.period, *target), rollup.clone());
            }
        }
        Ok(true)
    }

    async fn summed_up(&self, of: Stale) -> Result<(), StoreError> {
        let mut tables = self.lock();
        if tables.holds(of) {
            tables.stale.remove(&of.period);
            if let Some(resolution) = of.period.resolution.coarser() {
                tables.mark(Period { resolution, start: resolution.start_of(of.period.start) });
            }
        }
        Ok(())
    }

    async fn purge(&self, what: Kept, before: OffsetDateTime) -> Result<bool, StoreError> {
        let mut tables = self.lock();
        Ok(match what {
            Kept::Raw => purge(&mut tables.minutes, |(start, _)| {
                Period { resolution: Resolution::Minute, start: *start }.end() <= before
            }),
            Kept::Rollup(resolution) => purge(&mut tables.rollups, |(period, _)| {
                period.resolution == resolution && period.end() <= before
            }),
        })
    }

    async fn results(
        &self,
        target: TargetId,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<RawResult>, StoreError> {
        let tables = self.lock();
        let of_target = tables.minutes.iter().filter(|((_, of), _)| *of == target);
        let results = of_target.flat_map(|(_, results)| results).filter(|r| (from..until).contains(&r.at()));
        let mut results: Vec<RawResult> = results.cloned().collect();
        results.sort_by_key(|result| result.at_ms);
        Ok(results)
    }

    async fn incidents(&self, target: TargetId, most: usize) -> Result<Vec<IncidentRow>, StoreError> {
        let tables = self.lock();
        let of_target = tables.incidents.range((target, 0)..=(target, u64::MAX)).rev();
        Ok(of_target.take(most).map(|(_, row)| row.clone()).collect())
    }

    async fn notifications(&self, filter: &NotificationFilter) -> Result<Vec<NotificationRow>, StoreError> {
        let tables = self.lock();
        let meant = tables.notifications.values().rev().filter(|row| is_meant(row, filter));
        Ok(meant.take(filter.most).cloned().collect())
    }
}

fn is_meant(row: &NotificationRow, filter: &NotificationFilter) -> bool {
    let alert = row.alert.as_ref();
    let state = row.delivery.state;
    filter.ids.as_ref().is_none_or(|ids| ids.contains(&row.id))
        && filter.target.is_none_or(|target| alert.is_some_and(|alert| alert.target.id == target))
        && filter.incident.is_none_or(|incident| {
            alert.and_then(|alert| alert.incident).is_some_and(|told| told.id == incident)
        })
        && (!filter.failed || matches!(state, DeliveryState::Refused | DeliveryState::Expired))
}
