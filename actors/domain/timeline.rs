//! The past without holes: time during which nobody looked is named as such, and is neither up nor down.

use std::{collections::BTreeMap, time::Duration};

use time::OffsetDateTime;

use super::{RawResult, Resolution, Rollup};

/// Some time, and what the results of it come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// When it begins.
    pub start: OffsetDateTime,
    /// When it is over.
    pub end: OffsetDateTime,
    /// What the results come to.
    pub rollup: Rollup,
    /// The share of the time that somebody looked at.
    pub observed: f64,
}

impl Stretch {
    /// What these stretches come to, from `start` until `end`.
    pub fn sum(stretches: &[Self], start: OffsetDateTime, end: OffsetDateTime) -> Self {
        let mut rollup = Rollup::default();
        stretches.iter().for_each(|stretch| rollup.merge(&stretch.rollup));
        let seconds: f64 = stretches.iter().map(Self::seconds).sum();
        let observed: f64 = stretches.iter().map(|stretch| stretch.seconds() * stretch.observed).sum();
        let observed = if seconds > 0.0 { observed / seconds } else { 0.0 };
        Self { start, end, rollup, observed }
    }

    /// Whether nobody looked at all.
    pub fn is_gap(&self) -> bool {
        self.observed <= 0.0
    }

    fn of(start: OffsetDateTime, end: OffsetDateTime, rollup: Rollup) -> Self {
        let mut stretch = Self { start, end, rollup, observed: 0.0 };
        stretch.look();
        stretch
    }

    fn look(&mut self) {
        if self.rollup.done > 0 {
            self.observed = self.rollup.coverage((self.end - self.start).unsigned_abs());
        }
    }

    fn seconds(&self) -> f64 {
        (self.end - self.start).as_seconds_f64()
    }
}

/// The entries of a target from `from` until `until`, in order and without a hole.
///
/// An entry lasts until the next one, as long as its results speak for that time; from then on it is a gap, which is
/// one stretch however long it is. `entries` may begin earlier, by the `frequency` of the target: what was seen
/// then may speak for the beginning.
pub fn stretches(
    entries: &BTreeMap<OffsetDateTime, Rollup>,
    by: Resolution,
    from: OffsetDateTime,
    until: OffsetDateTime,
    frequency: Duration,
) -> Vec<Stretch> {
    let from = by.start_of(from);
    let seen = |(start, rollup): &(&OffsetDateTime, &Rollup)| **start < from && rollup.done > 0;
    let before = entries.iter().rev().find(seen);
    let mut spoken_for = before.map(|(start, rollup)| *start + speaks_for(rollup));
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut start = from;
    while start < until {
        let end = (start + by.length()).min(until);
        let last = stretches.last_mut();
        match entries.get(&start).filter(|rollup| rollup.done > 0) {
            Some(rollup) => {
                spoken_for = Some(start + speaks_for(rollup));
                stretches.push(Stretch::of(start, end, rollup.clone()));
            }
            None if spoken_for.is_some_and(|spoken_for| start < spoken_for) => match last {
                Some(last) => {
                    last.end = end;
                    last.look();
                }
                None => {
                    stretches.push(Stretch { observed: 1.0, ..Stretch::of(start, end, Rollup::default()) })
                }
            },
            None => match last {
                Some(gap) if gap.is_gap() => gap.end = end,
                // Its first probe may not be due yet.
                Some(_) if (until - start).unsigned_abs() < frequency.min(by.length()) => {}
                _ => stretches.push(Stretch::of(start, end, Rollup::default())),
            },
        }
        start += by.length();
    }
    stretches
}

/// How long one result of these speaks for.
fn speaks_for(rollup: &Rollup) -> Duration {
    Duration::from_secs(rollup.covered_s / rollup.done.max(1))
}

/// One slot of a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slot<'a> {
    /// What was found.
    Seen(&'a RawResult),
    /// Nobody looked when it was due.
    Unseen(OffsetDateTime),
}

/// The newest `most` slots until `until`, in order, by the results of a target in their order.
pub fn recent(results: &[RawResult], until: OffsetDateTime, most: usize) -> Vec<Slot<'_>> {
    let mut slots = Vec::new();
    let mut later: Option<&RawResult> = None;
    for result in results.iter().rev() {
        let frequency = Duration::from_secs(result.frequency_s.max(1).into());
        let slots_until = |at: OffsetDateTime| (at - result.at()).as_seconds_f64() / frequency.as_secs_f64();
        let due = match later {
            // What came late is no slot more.
            Some(later) => slots_until(later.at()).round(),
            // The newest one may be under way.
            None => slots_until(until).floor(),
        };
        let unseen = (1..due as u32).rev().map(|slot| Slot::Unseen(result.at() + frequency * slot));
        slots.extend(unseen.take(most));
        slots.push(Slot::Seen(result));
        if slots.len() >= most {
            break;
        }
        later = Some(result);
    }
    slots.truncate(most);
    slots.reverse();
    slots
}

/// The newest `most` slots of a gap, of a target that is due every `frequency`.
pub fn unseen(gap: &Stretch, frequency: Duration, most: usize) -> Vec<Slot<'static>> {
    let due = ((gap.end - gap.start).as_seconds_f64() / frequency.as_secs_f64()) as u32;
    let newest = due.saturating_sub(u32::try_from(most).unwrap_or(u32::MAX));
    (newest..due).map(|slot| Slot::Unseen(gap.start + frequency * slot)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::{
        domain::{Cause, TargetId},
        testing::fixtures::raw_result,
    };

    const NOON: OffsetDateTime = datetime!(2026-01-02 12:00 UTC);

    fn result(after_ms: i64, frequency_s: u32, cause: Option<Cause>) -> RawResult {
        let at_ms = NOON.unix_timestamp() * 1_000 + after_ms;
        RawResult { cause, frequency_s, ..raw_result(TargetId(1), at_ms) }
    }

    /// The stretches of results at these seconds, as `start-end: results, percent observed`, from noon on.
    fn told(by: Resolution, frequency_s: u32, seen_s: &[i64], until_s: i64) -> Vec<String> {
        let mut entries: BTreeMap<OffsetDateTime, Rollup> = BTreeMap::new();
        for at in seen_s {
            let result = result(at * 1_000, frequency_s, None);
            entries.entry(by.start_of(result.at())).or_default().add(&result);
        }
        let until = NOON + time::Duration::seconds(until_s);
        let frequency = Duration::from_secs(frequency_s.into());
        let after = |at: OffsetDateTime| (at - NOON).whole_seconds();
        stretches(&entries, by, NOON, until, frequency)
            .iter()
            .map(|stretch| {
                let Stretch { start, end, rollup, observed } = stretch;
                format!("{}-{}: {}, {:.0}%", after(*start), after(*end), rollup.done, observed * 100.0)
            })
            .collect()
    }

    #[test]
    fn time_during_which_nobody_looked_is_one_stretch() {
        let seen: Vec<i64> = (0..90).chain(270..305).collect();
        assert_eq!(
            told(Resolution::Minute, 1, &seen, 305),
            ["0-60: 60, 100%", "60-120: 30, 50%", "120-240: 0, 0%", "240-300: 30, 50%", "300-305: 5, 100%"]
        );
        assert_eq!(told(Resolution::Minute, 1, &[], 150), ["0-150: 0, 0%"]);
    }

    #[test]
    fn a_result_speaks_for_the_time_until_the_next_one_is_due() {
        let every = ["0-300: 1, 100%", "300-600: 1, 100%", "600-660: 1, 100%"];
        assert_eq!(told(Resolution::Minute, 300, &[10, 310, 610], 660), every);
        assert_eq!(told(Resolution::Minute, 300, &[-50, 250], 300), ["0-240: 0, 100%", "240-300: 1, 100%"]);
        assert_eq!(told(Resolution::Minute, 300, &[10], 600), ["0-300: 1, 100%", "300-600: 0, 0%"]);
    }

    #[test]
    fn a_minute_with_all_the_slots_that_fit_in_is_seen_in_full() {
        let seen: Vec<i64> = (0..10).map(|slot| 5 + slot * 50).collect();
        let told = told(Resolution::Minute, 50, &seen, 480);
        assert!(told.iter().all(|stretch| stretch.ends_with("100%")), "{told:?}");
    }

    #[test]
    fn a_slot_that_is_not_due_yet_is_no_gap() {
        assert_eq!(told(Resolution::Minute, 60, &[40], 65), ["0-60: 1, 100%"]);
        assert_eq!(told(Resolution::Minute, 60, &[40], 125), ["0-60: 1, 100%", "60-125: 0, 0%"]);
    }

    #[test]
    fn a_sum_counts_a_gap_neither_up_nor_down() {
        let mut seen = Rollup::default();
        (0..30).for_each(|n| seen.add(&result(n, 1, (n < 3).then_some(Cause::Dns))));
        let entries = BTreeMap::from([(NOON, seen)]);
        let until = NOON + Duration::from_secs(120);
        let stretches = stretches(&entries, Resolution::Minute, NOON, until, Duration::from_secs(1));
        let sum = Stretch::sum(&stretches, NOON, until);
        assert_eq!((sum.rollup.uptime(), sum.observed), (Some(0.9), 0.25));
        assert_eq!(Stretch::sum(&[], NOON, NOON).observed, 0.0);
    }

    /// The slots of results at these milliseconds, a letter each.
    fn bar(frequency_s: u32, seen_ms: &[i64], until_s: i64, most: usize) -> String {
        let results: Vec<_> = seen_ms.iter().map(|&at| result(at, frequency_s, None)).collect();
        let slots = recent(&results, NOON + time::Duration::seconds(until_s), most);
        slots.iter().map(|slot| if matches!(slot, Slot::Seen(_)) { '.' } else { '?' }).collect()
    }

    #[test]
    fn slots_that_nobody_looked_at_stand_between_those_that_were_seen() {
        assert_eq!(bar(10, &[0, 10_000, 20_700, 50_100, 60_000], 65, 100), "...??..");
        assert_eq!(bar(10, &[0, 10_000], 29, 100), "..");
        assert_eq!(bar(10, &[0, 10_000], 45, 100), "..??");
        assert_eq!(bar(10, &[0, 10_000, 50_000], 50, 4), "???.");
        assert_eq!(bar(1, &[0], 1_000_000_000, 3), "???");
        assert_eq!(bar(1, &[], 10, 3), "");
    }

    #[test]
    fn a_gap_has_slots_that_nobody_looked_at() {
        let gap = Stretch::of(NOON, NOON + Duration::from_secs(59), Rollup::default());
        let slots = |most| unseen(&gap, Duration::from_secs(10), most);
        assert_eq!(slots(9).len(), 5);
        assert_eq!(slots(1), [Slot::Unseen(NOON + Duration::from_secs(40))]);
    }

    proptest! {
        #[test]
        fn stretches_follow_each_other_without_a_hole(
            seen in prop::collection::vec(-400i64..2_000, 0..50), frequency_s in 1u32..400, until_s in 1i64..2_000,
        ) {
            let mut entries: BTreeMap<OffsetDateTime, Rollup> = BTreeMap::new();
            for at in seen {
                let result = result(at * 1_000, frequency_s, None);
                entries.entry(Resolution::Minute.start_of(result.at())).or_default().add(&result);
            }
            let until = NOON + time::Duration::seconds(until_s);
            let frequency = Duration::from_secs(frequency_s.into());
            let told = stretches(&entries, Resolution::Minute, NOON, until, frequency);
            let mut at = NOON;
            for stretch in &told {
                prop_assert_eq!(stretch.start, at);
                prop_assert!((0.0..=1.0).contains(&stretch.observed));
                prop_assert!(!stretch.is_gap() || stretch.rollup.done == 0);
                at = stretch.end;
            }
            prop_assert!(at == until || at < until && (until - at).unsigned_abs() < frequency.min(Duration::from_secs(60)));
            let seen: u64 = entries.range(NOON..until).map(|(_, rollup)| rollup.done).sum();
            prop_assert_eq!(told.iter().map(|stretch| stretch.rollup.done).sum::<u64>(), seen);
        }

        #[test]
        fn a_bar_is_never_longer_than_it_may_be(
            mut seen in prop::collection::vec(0i64..100_000_000, 0..50), frequency_s in 0u32..400, most in 1usize..300,
        ) {
            seen.sort_unstable();
            prop_assert!(bar(frequency_s, &seen, 100_000, most).len() <= most);
        }
    }
}
