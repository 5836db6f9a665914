//! What is guaranteed of the history.

use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;
use tokio::time::timeout;

use super::{
    Subject,
    given::{
        NODE, NOON, OTHER_NODE, add_target, answered, minutes, only, record, result, rollups, targets, write,
    },
};
use crate::{
    domain::{Cause, Period, RawResult, Resolution, Rollup, Status, TargetId},
    port::{Kept, Progress, RollupRow, Stale, Store, StoreError, Targets},
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn sum<'a>(results: impl IntoIterator<Item = &'a RawResult>) -> Rollup {
    let mut sum = Rollup::default();
    results.into_iter().for_each(|result| sum.add(result));
    sum
}

async fn results(store: &Arc<dyn Store>, target: TargetId) -> Vec<RawResult> {
    store.results(target, NOON - DAY, NOON + 400 * DAY).await.expect("results can be read")
}

async fn stale(store: &Arc<dyn Store>) -> Vec<Stale> {
    store.stale().await.expect("it can be read")
}

async fn purge(store: &Arc<dyn Store>, what: Kept, before: OffsetDateTime) -> bool {
    store.purge(what, before).await.expect("the old ones are deleted")
}

/// A result of every shape comes back as it was, by time.
pub async fn results_are_kept_as_they_were(Subject { store, .. }: &Subject) {
    let (home, other) = (add_target(store, "home").await, add_target(store, "other").await);
    let mut kept: Vec<RawResult> = Cause::ALL
        .into_iter()
        .zip(0..)
        .map(|(cause, number)| RawResult {
            status: Status::Fail,
            cause: Some(cause),
            http_status: None,
            skipped: number,
            ..result(home, seconds(7 * u64::from(number)))
        })
        .collect();
    kept.push(RawResult { late: true, tls_us: Some(u32::MAX), ..result(home, seconds(120)) });
    kept.push(RawResult { status: Status::Unknown, frequency_s: 2_678_400, ..result(home, seconds(121)) });
    let mut sent = kept.clone();
    sent.reverse();
    sent.push(result(other, seconds(1)));
    record(store, 1, &sent).await;
    assert_eq!(results(store, home).await, kept);
    assert_eq!(results(store, other).await, [result(other, seconds(1))]);
}

/// From the first moment on, until before the last.
pub async fn results_are_cut_at_their_times(Subject { store, .. }: &Subject) {
    let home = add_target(store, "home").await;
    let sent: Vec<_> = (0..180).map(|second| result(home, seconds(second))).collect();
    record(store, 1, &sent).await;
    for (from, until) in [(0, 1), (59, 61), (60, 120), (30, 150), (179, 400), (7, 7)] {
        let found = store.results(home, NOON + seconds(from), NOON + seconds(until)).await;
        let expected = &sent[from as usize..(until as usize).min(sent.len())];
        assert_eq!(found.expect("results can be read"), expected, "{from} to {until}");
    }
    let between = store.results(home, NOON + Duration::from_millis(500), NOON + seconds(1)).await;
    assert!(between.expect("results can be read").is_empty());
}

/// A write whose answer was lost can be sent again; one that is older is taken for written.
pub async fn results_count_once_however_often_they_are_sent(Subject { store, .. }: &Subject) {
    let home = add_target(store, "home").await;
    for number in [1, 2, 2, 1, 5, 4, 5] {
        record(store, number, &[result(home, seconds(number))]).await;
    }
    assert_eq!(results(store, home).await.len(), 3);
    assert_eq!(only(rollups(store, Resolution::Minute, home).await).rollup.done, 3);
    let torn = store.write_minutes(NODE, 5..=6, minutes([result(home, seconds(6))])).await;
    assert!(matches!(torn, Err(StoreError::Refused(_))), "{torn:?}");
    assert_eq!(results(store, home).await.len(), 3);
}

/// What a minute comes to is the sum of its parts.
pub async fn results_of_one_minute_may_come_in_parts(Subject { store, .. }: &Subject) {
    let home = add_target(store, "home").await;
    let mut sent: Vec<_> = (0..120).map(|second| result(home, seconds(second))).collect();
    sent[3].cause = Some(Cause::Dns);
    for (number, part) in (1..).zip(sent.chunks(50)) {
        record(store, number, part).await;
    }
    let expected = [(0, 60), (60, 120)].map(|(from, until)| RollupRow {
        target: home,
        start: NOON + seconds(from),
        rollup: sum(&sent[from as usize..until]),
    });
    assert_eq!(rollups(store, Resolution::Minute, home).await, expected);
    assert_eq!(results(store, home).await, sent);
}

/// Several daemons may probe one target.
pub async fn results_of_two_nodes_add_up(Subject { store, operator }: &Subject) {
    let home = add_target(store, "home").await;
    let second = operator.second_store().await;
    let (ours, theirs) = (result(home, seconds(1)), result(home, seconds(2)));
    record(store, 1, std::slice::from_ref(&ours)).await;
    second.write_minutes(OTHER_NODE, 1..=1, minutes([theirs.clone()])).await.expect("minutes are written");
    assert_eq!(only(rollups(store, Resolution::Minute, home).await).rollup, sum([&ours, &theirs]));
    assert_eq!(results(store, home).await, [ours, theirs]);
}

/// A caller may give up at any moment, and send the same again.
pub async fn a_history_write_that_was_given_up_counts_once(Subject { store, .. }: &Subject) {
    let home = add_target(store, "home").await;
    for number in 1..=40 {
        let sent = minutes((0..90).map(|second| result(home, seconds(90 * number + second))));
        let patience = Duration::from_micros(number * 60);
        if timeout(patience, store.write_minutes(NODE, number..=number, sent.clone())).await.is_err() {
            store.write_minutes(NODE, number..=number, sent).await.expect("minutes are written");
        }
        let done: u64 =
            rollups(store, Resolution::Minute, home).await.iter().map(|row| row.rollup.done).sum();
        assert_eq!(done, 90 * number);
    }
    assert_eq!(results(store, home).await.len(), 90 * 40);
}

/// Rows are written soon, the history when there is time for it.
pub async fn rows_and_history_follow_a_journal_by_themselves(Subject { store, .. }: &Subject) {
    let home = add_target(store, "home").await;
    write(store, 7, [(home, answered(200, None))]).await;
    store.write_minutes(NODE, 2..=4, minutes([result(home, seconds(1))])).await.expect("minutes are written");
    let progress = async || store.progress(NODE).await.expect("it can be read");
    assert_eq!(progress().await, Progress { rows: 7, history: 4 });
    record(store, 9, &[]).await;
    assert_eq!(progress().await, Progress { rows: 7, history: 9 });
    assert_eq!(only(targets(store).await).state.tally.pass_count, 1);
}

/// What comes late of a target that is gone is passed over, and hurts no other.
pub async fn a_deleted_target_gets_no_history(Subject { store, operator }: &Subject) {
    let (home, other) = (add_target(store, "home").await, add_target(store, "other").await);
    operator.delete_target(home).await;
    record(store, 1, &[result(home, seconds(1)), result(other, seconds(1))]).await;
    assert!(results(store, home).await.is_empty());
    assert!(rollups(store, Resolution::Minute, home).await.is_empty());
    assert_eq!(results(store, other).await.len(), 1);
    let hour = only(stale(store).await);
    let rows = [(home, sum(&[result(home, seconds(1))])), (other, sum(&[result(other, seconds(1))]))];
    assert!(store.write_rollups(hour, &rows).await.expect("rollups are written"));
    assert!(rollups(store, Resolution::Hour, home).await.is_empty());
    assert_eq!(rollups(store, Resolution::Hour, other).await.len(), 1);
}

/// With the target goes its past, however long that is.
pub async fn a_deleted_target_takes_its_history_along(Subject { store, .. }: &Subject) {
    let (home, other) = (add_target(store, "home").await, add_target(store, "other").await);
    let sent: Vec<_> = (0..2_500)
        .flat_map(|minute| [home, other].map(|target| result(target, seconds(60 * minute))))
        .collect();
    record(store, 1, &sent).await;
    store.delete_target(home).await.expect("it is there");
    assert!(results(store, home).await.is_empty());
    assert!(rollups(store, Resolution::Minute, home).await.is_empty());
    assert_eq!(results(store, other).await.len(), 2_500);
    assert_eq!(rollups(store, Resolution::Minute, other).await.len(), 2_500);
}

/// Counts, causes, times and percentiles, of a minute as of a day.
pub async fn rollups_keep_all_they_hold(Subject { store, .. }: &Subject) {
    let home = add_target(store, "home").await;
    let mut sent: Vec<_> = (0..60).map(|second| result(home, seconds(second))).collect();
    sent[0].cause = Some(Cause::Timeout);
    sent[1].cause = Some(Cause::Status);
    sent[2].cause = Some(Cause::Timeout);
    sent[3].late = true;
    sent[4].skipped = 17;
    let all_failed = RawResult { cause: Some(Cause::Tls), ..result(home, seconds(60)) };
    sent.push(all_failed.clone());
    record(store, 1, &sent).await;
    let rows = rollups(store, Resolution::Minute, home).await;
    assert_eq!(rows[0].rollup, sum(&sent[..60]));
    assert_eq!(rows[1].rollup, sum(&[all_failed]));
    for quantile in [0.0, 0.5, 0.9, 0.99, 1.0] {
        let told = rows[0].rollup.totals.quantile_us(quantile);
        assert_eq!(told, sum(&sent[..60]).totals.quantile_us(quantile));
    }

    let hour = only(stale(store).await);
    for known in [sum(&sent[..60]), sum(&sent)] {
        assert!(store.write_rollups(hour, &[(home, known.clone())]).await.expect("rollups are written"));
        let row = only(rollups(store, Resolution::Hour, home).await);
        assert_eq!((row.start, row.rollup), (NOON, known), "the later one takes the place of the first");
    }
    assert!(rollups(store, Resolution::Day, home).await.is_empty());
}

/// Who sums up all targets reads some at a time, until there are no more.
pub async fn rollups_are_read_by_pages_of_targets(Subject { store, .. }: &Subject) {
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(add_target(store, &format!("target {number}")).await);
    }
    // More in a row without an entry than a page has targets.
    let with_entries = [ids[0], ids[1], ids[9], ids[10], ids[11]];
    let sent = with_entries.into_iter().flat_map(|id| [result(id, seconds(60)), result(id, seconds(0))]);
    record(store, 1, &sent.collect::<Vec<_>>()).await;
    record(store, 2, &[result(ids[5], HOUR), result(ids[0], seconds(2))]).await;

    let (mut after, mut seen) = (TargetId(0), Vec::new());
    loop {
        let page = Targets::After { id: after, most: 2 };
        let rows =
            store.rollups(Resolution::Minute, NOON, NOON + HOUR, page).await.expect("they can be read");
        let Some(last) = rows.last() else { break };
        after = last.target;
        seen.extend(rows.iter().map(|row| (row.target, row.start, row.rollup.done)));
    }
    let expected: Vec<_> = with_entries
        .into_iter()
        .flat_map(|id| [(id, NOON, if id == ids[0] { 2 } else { 1 }), (id, NOON + seconds(60), 1)])
        .collect();
    assert_eq!(seen, expected);
}

/// However late results come, their hour is summed up again.
pub async fn what_is_written_makes_its_hour_stale(Subject { store, .. }: &Subject) {
    let home = add_target(store, "home").await;
    assert!(stale(store).await.is_empty());
    record(store, 1, &[result(home, 2 * HOUR), result(home, seconds(59)), result(home, seconds(61))]).await;
    let hours: Vec<_> = stale(store).await.iter().map(|stale| stale.period).collect();
    let hour = |start| Period { resolution: Resolution::Hour, start };
    assert_eq!(hours, [hour(NOON), hour(NOON + 2 * HOUR)]);
}

/// Hours come before days, and a day is the end of it.
pub async fn an_hour_that_is_summed_up_makes_its_day_stale(Subject { store, .. }: &Subject) {
    let home = add_target(store, "home").await;
    record(store, 1, &[result(home, seconds(1)), result(home, HOUR)]).await;
    store.summed_up(stale(store).await[0]).await.expect("it is noted");
    let left = stale(store).await;
    let day = Period { resolution: Resolution::Day, start: NOON - 12 * HOUR };
    let hour = Period { resolution: Resolution::Hour, start: NOON + HOUR };
    assert_eq!(left.iter().map(|stale| stale.period).collect::<Vec<_>>(), [hour, day]);
    for stale in left {
        store.summed_up(stale).await.expect("it is noted");
    }
    // Of the day once more, since its second hour was summed up after it was read.
    let again = only(stale(store).await);
    assert_eq!(again.period, day);
    store.summed_up(again).await.expect("it is noted");
    assert!(stale(store).await.is_empty());
}

/// An hour stays stale if results came to it since it was read, and what was added up before is not written.
pub async fn what_comes_while_an_hour_is_summed_up_is_not_lost(Subject { store, operator }: &Subject) {
    let home = add_target(store, "home").await;
    record(store, 1, &[result(home, seconds(1))]).await;
    let before = only(stale(store).await);
    let rows = [(home, sum(&[result(home, seconds(1))]))];
    let second = operator.second_store().await;
    let more = minutes([result(home, seconds(2))]);
    second.write_minutes(OTHER_NODE, 1..=1, more).await.expect("minutes are written");
    assert!(!store.write_rollups(before, &rows).await.expect("it can be tried"));
    store.summed_up(before).await.expect("it can be tried");
    assert!(rollups(store, Resolution::Hour, home).await.is_empty());
    let now = only(stale(store).await);
    assert_eq!(now.period, before.period);
    assert!(second.write_rollups(now, &rows).await.expect("rollups are written"));
    second.summed_up(now).await.expect("it is noted");
    // Who comes second to sum up the same has nothing to say.
    assert!(!store.write_rollups(now, &rows).await.expect("it can be tried"));
}

/// Each kind by itself; an entry that has not ended by then stays.
pub async fn a_purge_takes_what_is_old_and_no_more(Subject { store, .. }: &Subject) {
    let home = add_target(store, "home").await;
    let sent: Vec<_> = (0..3).map(|minute| result(home, seconds(60 * minute))).collect();
    record(store, 1, &sent).await;
    let hour = only(stale(store).await);
    assert!(store.write_rollups(hour, &[(home, sum(&sent))]).await.expect("rollups are written"));
    let count = async || {
        let mut counts = vec![results(store, home).await.len()];
        for resolution in Resolution::ALL {
            counts.push(rollups(store, resolution, home).await.len());
        }
        counts
    };
    assert_eq!(count().await, [3, 3, 1, 0]);
    assert!(!purge(store, Kept::Raw, NOON + seconds(119)).await);
    assert_eq!(count().await, [2, 3, 1, 0]);
    assert!(!purge(store, Kept::Raw, NOON + seconds(120)).await);
    assert!(!purge(store, Kept::Rollup(Resolution::Minute), NOON + seconds(60)).await);
    assert_eq!(count().await, [1, 2, 1, 0]);
    purge(store, Kept::Rollup(Resolution::Hour), NOON + HOUR - seconds(1)).await;
    assert_eq!(count().await, [1, 2, 1, 0]);
    purge(store, Kept::Rollup(Resolution::Hour), NOON + HOUR).await;
    purge(store, Kept::Rollup(Resolution::Day), NOON + HOUR).await;
    assert_eq!(count().await, [1, 2, 0, 0]);
    assert_eq!(results(store, home).await, sent[2..]);
}

/// Nobody waits long for a step, and there are as many as it takes; the oldest go first.
pub async fn a_purge_goes_by_small_steps(Subject { store, .. }: &Subject) {
    let home = add_target(store, "home").await;
    let sent: Vec<_> = (0..2_500).map(|minute| result(home, seconds(60 * minute))).collect();
    record(store, 1, &sent).await;
    for what in [Kept::Raw, Kept::Rollup(Resolution::Minute)] {
        let left = async || match what {
            Kept::Raw => results(store, home).await.iter().map(RawResult::at).collect::<Vec<_>>(),
            Kept::Rollup(resolution) => {
                rollups(store, resolution, home).await.iter().map(|row| row.start).collect()
            }
        };
        let mut before = left().await;
        while purge(store, what, NOON + 100 * DAY).await {
            let now = left().await;
            assert!((1..=1_000).contains(&(before.len() - now.len())), "{} of {}", now.len(), before.len());
            assert_eq!(now, before[before.len() - now.len()..]);
            before = now;
        }
        assert!(left().await.is_empty(), "{what:?}");
    }
}

/// More than fit into one statement.
pub async fn many_minutes_are_written_at_once(Subject { store, .. }: &Subject) {
    let mut ids = Vec::new();
    for number in 0..700 {
        ids.push(add_target(store, &format!("target {number}")).await);
    }
    let of_target = |id: TargetId| (0..4).map(move |number| result(id, seconds(id.0 % 60 + 60 * number)));
    record(store, 1, &ids.iter().flat_map(|id| of_target(*id)).collect::<Vec<_>>()).await;
    let all = Targets::After { id: TargetId(0), most: 10_000 };
    let rows = store.rollups(Resolution::Minute, NOON, NOON + HOUR, all).await.expect("they can be read");
    let expected = ids.iter().flat_map(|id| of_target(*id)).map(|result| RollupRow {
        target: result.target,
        start: Resolution::Minute.start_of(result.at()),
        rollup: sum([&result]),
    });
    assert_eq!(rows, expected.collect::<Vec<_>>());
    for id in [ids[0], ids[350], ids[699]] {
        assert_eq!(results(store, id).await, of_target(id).collect::<Vec<_>>());
    }
}
