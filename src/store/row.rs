//! Reads rows, whatever an operator wrote into them: an odd value is read as something, never refused,
//! so that it hurts no other row. What is wrong with it is found later, where all rows are judged.

use std::{borrow::Cow, sync::LazyLock};

use skypunch_actors::domain::{
    ADDRESS_MAX, Incident, NAME_MAX, NotifierDefinition, NotifierId, NotifierRow, Secret, Status, TEXT_MAX,
    Tally, TargetDefinition, TargetId, TargetRow, TargetState, URL_MAX, text::REASON_MAX,
};
use time::{
    OffsetDateTime, PrimitiveDateTime, UtcOffset, format_description::BorrowedFormatItem,
    macros::format_description,
};

/// Every target with its open incidents, by id; a text one character above its limit is cut there.
pub(super) static SELECT_TARGETS: LazyLock<String> = LazyLock::new(|| {
    let cut = |column: &str, max: usize| format!("substr(t.{column}, 1, {})", max + 1);
    let columns = [
        cut("name", NAME_MAX),
        cut("tenantid", NAME_MAX),
        cut("url", URL_MAX),
        cut("method", NAME_MAX),
        cut("authn", NAME_MAX),
        cut("authn_parms", TEXT_MAX),
        cut("pass_result", NAME_MAX),
        "t.frequency, t.timeout, t.enabled".to_owned(),
        cut("options", TEXT_MAX),
        cut("status", NAME_MAX),
        cut("status_description", REASON_MAX),
        cut("cause", NAME_MAX),
        cut("previous_status", NAME_MAX),
        "t.last_updated, t.pass_count, t.fail_count, t.count200, t.count300, t.count400, t.count500"
            .to_owned(),
        "t.network_fails, t.repeated_fails, i.id, i.started_at, i.failed_probes".to_owned(),
    ];
    format!(
        "SELECT t.id, {} FROM targets t \
         LEFT JOIN incidents i ON i.target_id = t.id AND i.ended_at IS NULL ORDER BY t.id, i.id",
        columns.join(", ")
    )
});

/// Every notifier, by id, cut likewise.
pub(super) static SELECT_NOTIFIERS: LazyLock<String> = LazyLock::new(|| {
    let cut = |column: &str, max: usize| format!("substr({column}, 1, {})", max + 1);
    let columns = [
        cut("name", NAME_MAX),
        cut("type", NAME_MAX),
        cut("address", ADDRESS_MAX),
        cut("params", TEXT_MAX),
        "enabled".to_owned(),
        cut("options", TEXT_MAX),
        "pass_count, fail_count".to_owned(),
    ];
    format!("SELECT id, {} FROM notifiers ORDER BY id", columns.join(", "))
});

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
}

impl Cell<'_> {
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Integer(number) => Some(number.to_string()),
            Self::Real(number) => Some(number.to_string()),
            Self::Text(text) => Some(text.into_owned()),
        }
    }

    fn integer(self) -> Option<i64> {
        match self {
            Self::Null => None,
            Self::Integer(number) => Some(number),
            Self::Real(number) => Some(number as i64),
            Self::Text(text) => {
                let text = text.trim();
                text.parse().ok().or_else(|| text.parse().ok().map(|number: f64| number as i64))
            }
        }
    }

    /// Zero where there is no number, or a negative one.
    pub(super) fn count(self) -> u64 {
        self.optional_count().unwrap_or(0)
    }

    pub(super) fn optional_count(self) -> Option<u64> {
        self.integer().and_then(|number| u64::try_from(number).ok())
    }

    pub(super) fn time(self) -> Option<OffsetDateTime> {
        let text = self.text()?;
        PrimitiveDateTime::parse(text.trim(), LENIENT).ok().map(PrimitiveDateTime::assume_utc)
    }

    fn secret(self) -> Option<Secret> {
        self.text().map(Secret::new)
    }
}

const LENIENT: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[year]-[month]-[day][first [ ][T]][hour]:[minute]:[second][optional [.[subsecond]]][optional [Z]]"
);

const STRICT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]");

/// A time as both backends hold it: UTC with milliseconds, the rest cut off.
pub(super) fn time_text(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC).format(STRICT).expect("every time has these parts")
}

/// A count as both backends hold it.
pub(super) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Reads a row of [`SELECT_TARGETS`]; an id below zero is none.
pub(super) fn target<'a>(cells: impl IntoIterator<Item = Cell<'a>>) -> Option<TargetRow> {
    let mut cells = cells.into_iter();
    let mut next = || cells.next().unwrap_or(Cell::Null);
    let id = TargetId(u64::try_from(next().integer()?).ok()?);
    let definition = TargetDefinition {
        name: next().text().unwrap_or_default(),
        tenantid: next().text().unwrap_or_default(),
        url: next().secret().unwrap_or_default(),
        method: next().text().unwrap_or_default(),
        authn: next().text().unwrap_or_default(),
        authn_parms: next().secret(),
        pass_result: next().text().unwrap_or_default(),
        frequency: next().integer().unwrap_or_default(),
        timeout: next().integer().unwrap_or_default(),
        enabled: next().integer().unwrap_or_default() != 0,
        options: next().secret(),
    };
    let status = |word: Option<String>| Status::from(word.unwrap_or_default().as_str());
    let state = TargetState {
        status: status(next().text()),
        status_description: next().text().unwrap_or_default(),
        cause: next().text().and_then(|word| word.parse().ok()),
        previous_status: status(next().text()),
        last_updated: next().time(),
        tally: Tally {
            pass_count: next().count(),
            fail_count: next().count(),
            count200: next().count(),
            count300: next().count(),
            count400: next().count(),
            count500: next().count(),
            network_fails: next().count(),
            repeated_fails: next().count(),
        },
        incident: match (next().optional_count(), next().time(), next().count()) {
            (Some(id), Some(started_at), failed_probes) => {
                Some(Incident { id, started_at, ended_at: None, failed_probes })
            }
            _ => None,
        },
    };
    Some(TargetRow { id, definition, state })
}

/// Leaves one row a target: the last, which has its newest incident.
pub(super) fn one_each(mut rows: Vec<TargetRow>) -> Vec<TargetRow> {
    rows.dedup_by(|later, kept| {
        let is_same = later.id == kept.id;
        if is_same {
            std::mem::swap(later, kept);
        }
        is_same
    });
    rows.shrink_to_fit();
    rows
}

/// Reads a row of [`SELECT_NOTIFIERS`]; an id below zero is none.
pub(super) fn notifier<'a>(cells: impl IntoIterator<Item = Cell<'a>>) -> Option<NotifierRow> {
    let mut cells = cells.into_iter();
    let mut next = || cells.next().unwrap_or(Cell::Null);
    let id = NotifierId(u64::try_from(next().integer()?).ok()?);
    let definition = NotifierDefinition {
        name: next().text().unwrap_or_default(),
        kind: next().text().unwrap_or_default(),
        address: next().secret().unwrap_or_default(),
        params: next().secret().unwrap_or_default(),
        enabled: next().integer().unwrap_or_default() != 0,
        options: next().secret(),
    };
    Some(NotifierRow { id, definition, pass_count: next().count(), fail_count: next().count() })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn cell(text: &str) -> Cell<'_> {
        Cell::Text(text.into())
    }

    #[test]
    fn a_time_is_read_as_either_backend_or_a_person_writes_it() {
        let at = datetime!(2026-01-02 03:04:05.678 UTC);
        assert_eq!(time_text(at), "2026-01-02 03:04:05.678");
        assert_eq!(cell("2026-01-02 03:04:05.678").time(), Some(at));
        assert_eq!(cell("2026-01-02T03:04:05.678Z").time(), Some(at));
        assert_eq!(cell("2026-01-02 03:04:05").time(), Some(datetime!(2026-01-02 03:04:05 UTC)));
        assert_eq!(cell("0000-00-00 00:00:00.000").time(), None);
        assert_eq!(cell("yesterday").time(), None);
    }

    #[test]
    fn a_time_of_another_zone_is_written_in_utc_and_cut_not_rounded() {
        assert_eq!(time_text(datetime!(2026-01-02 03:04:05.9999 +2)), "2026-01-02 01:04:05.999");
    }

    #[test]
    fn numbers_are_read_from_whatever_holds_them() {
        assert_eq!(cell(" 12 ").integer(), Some(12));
        assert_eq!(cell("12.5").integer(), Some(12));
        assert_eq!(cell("twelve").integer(), None);
        assert_eq!(Cell::Real(2.9).integer(), Some(2));
        assert_eq!(Cell::Integer(-3).count(), 0);
    }

    #[test]
    fn a_row_of_nulls_is_a_row() {
        let row = target([Cell::Integer(7)]).unwrap();
        assert_eq!((row.id, row.definition.enabled, row.state.status), (TargetId(7), false, Status::New));
        assert!(notifier([Cell::Integer(7)]).is_some());
        assert!(target([Cell::Integer(-7)]).is_none());
    }

    #[test]
    fn of_two_open_incidents_the_newer_is_shown() {
        let row = |id: i64| target([Cell::Integer(id)]).unwrap();
        let mut newer = row(1);
        newer.state.status_description = "newer".to_owned();
        let each = one_each(vec![row(1), newer, row(2)]);
        assert_eq!(each.len(), 2);
        assert_eq!(each[0].state.status_description, "newer");
    }
}
