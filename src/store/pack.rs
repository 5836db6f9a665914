//! Packs the results of a minute into one text that SQL can take apart: the view `results` does.
//!
//! A JSON array of arrays, one a result: `[milliseconds since the minute began, status, http_status, dns, connect,
//! tls, ttfb, total, frequency, cause, late, skipped]`, the phases in microseconds. The last three are left out
//! as far as there is nothing to tell.

use std::fmt::Write;

use serde::Deserialize;
use skypunch_actors::domain::{Cause, RawResult, Status, TargetId};
use time::OffsetDateTime;

/// The statuses by their number in a pack.
const STATUSES: [Status; 4] = [Status::New, Status::Pass, Status::Fail, Status::Unknown];

#[derive(Deserialize)]
struct Packed {
    ms: i64,
    status: usize,
    http_status: Option<u16>,
    dns_us: Option<u32>,
    connect_us: Option<u32>,
    tls_us: Option<u32>,
    ttfb_us: Option<u32>,
    total_us: u32,
    frequency_s: u32,
    #[serde(default)]
    cause: Option<Cause>,
    #[serde(default)]
    late: u8,
    #[serde(default)]
    skipped: u32,
}

/// Packs results of the minute that begins at `start`.
pub(super) fn pack(start: OffsetDateTime, results: &[RawResult]) -> String {
    let mut pack = String::with_capacity(2 + 48 * results.len());
    for result in results {
        pack.push(if pack.is_empty() { '[' } else { ',' });
        write_result(&mut pack, start, result).expect("a String takes all");
    }
    if pack.is_empty() {
        pack.push('[');
    }
    pack.push(']');
    pack
}

fn write_result(pack: &mut String, start: OffsetDateTime, result: &RawResult) -> std::fmt::Result {
    let status = STATUSES.iter().position(|status| *status == result.status).expect("all are there");
    write!(pack, "[{},{status}", result.at_ms - milliseconds(start))?;
    let phases = [result.dns_us, result.connect_us, result.tls_us, result.ttfb_us];
    for number in [result.http_status.map(u32::from)].into_iter().chain(phases) {
        match number {
            Some(number) => write!(pack, ",{number}")?,
            None => pack.push_str(",null"),
        }
    }
    write!(pack, ",{},{}", result.total_us, result.frequency_s)?;
    let delayed = result.late || result.skipped > 0;
    match result.cause {
        Some(cause) => write!(pack, ",\"{cause}\"")?,
        None if delayed => pack.push_str(",null"),
        None => {}
    }
    if delayed {
        write!(pack, ",{},{}", u8::from(result.late), result.skipped)?;
    }
    pack.push(']');
    Ok(())
}

/// Unpacks the results of a target; none where the text is not that of a pack.
pub(super) fn unpack(target: TargetId, start: OffsetDateTime, pack: &str) -> Vec<RawResult> {
    let packed: Vec<Packed> = serde_json::from_str(pack).unwrap_or_default();
    let unpacked = packed.into_iter().map(|packed| RawResult {
        target,
        at_ms: milliseconds(start).saturating_add(packed.ms),
        status: STATUSES.get(packed.status).copied().unwrap_or(Status::Unknown),
        cause: packed.cause,
        http_status: packed.http_status,
        dns_us: packed.dns_us,
        connect_us: packed.connect_us,
        tls_us: packed.tls_us,
        ttfb_us: packed.ttfb_us,
        total_us: packed.total_us,
        late: packed.late != 0,
        skipped: packed.skipped,
        frequency_s: packed.frequency_s,
    });
    unpacked.collect()
}

fn milliseconds(at: OffsetDateTime) -> i64 {
    at.unix_timestamp() * 1_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use skypunch_actors::testing::fixtures::raw_result;
    use time::macros::datetime;

    use super::*;

    const START: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

    fn result(at_ms: i64) -> RawResult {
        raw_result(TargetId(7), milliseconds(START) + at_ms)
    }

    #[test]
    fn a_pack_says_no_more_than_there_is_to_tell() {
        let failed = RawResult {
            status: Status::Fail,
            cause: Some(Cause::Timeout),
            http_status: None,
            ..result(59_999)
        };
        let late = RawResult { late: true, ..result(2) };
        let expected = "[[1,1,200,null,2104,null,9000,12345,1],\
                        [59999,2,null,null,2104,null,9000,12345,1,\"timeout\"],\
                        [2,1,200,null,2104,null,9000,12345,1,null,1,0]]";
        assert_eq!(pack(START, &[result(1), failed, late]), expected);
        assert_eq!(pack(START, &[]), "[]");
    }

    #[test]
    fn what_is_no_pack_holds_no_results() {
        for text in ["", "[", "{}", "[[1]]", "[[1,1,\"x\",null,null,null,null,1,1]]"] {
            assert!(unpack(TargetId(7), START, text).is_empty(), "{text}");
        }
    }

    fn any_result() -> impl Strategy<Value = RawResult> {
        let words = (0..4usize, prop::option::of(0..10usize), any::<Option<u16>>());
        let phases: [_; 4] = std::array::from_fn(|_| any::<Option<u32>>());
        (0..60_000i64, words, phases, any::<(u32, bool, u32, u32)>()).prop_map(
            |(at, (status, cause, http_status), [dns_us, connect_us, tls_us, ttfb_us], rest)| RawResult {
                status: STATUSES[status],
                cause: cause.map(|at| Cause::ALL[at]),
                http_status,
                dns_us,
                connect_us,
                tls_us,
                ttfb_us,
                total_us: rest.0,
                late: rest.1,
                skipped: rest.2,
                frequency_s: rest.3,
                ..result(at)
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(results in prop::collection::vec(any_result(), 0..80)) {
            prop_assert_eq!(unpack(TargetId(7), START, &pack(START, &results)), results);
        }

        #[test]
        fn any_text_is_a_pack_or_none(text: String) {
            drop(unpack(TargetId(7), START, &text));
        }
    }
}
