//! The methods that tell the past: the history and the incidents of a target, and notifications.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use futures_util::future::try_join;
use serde::Deserialize;
use serde_json::Value;
use skypunch_actors::{
    domain::{Notification, NotifierRow, Resolution, Stretch, recent, stretches, text},
    historian::{GetHistory, GetIncidents, GetNotifications, GetResults},
    notifier::RetryNow,
    persister::Resend,
    port::{NotificationFilter, NotificationRow},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    api::{Api, OfTarget, Reference, ask, refused},
    past,
    protocol::RpcError,
};

/// The longest history in entries: a week by the minute.
const ENTRIES_MAX: u64 = 7 * 24 * 60 + 1;
/// The newest slots that are told one by one: enough for the width of a terminal.
const RECENT: usize = 240;
/// The notifications in a list, unless somebody says how many, and the most that may be asked for.
const LISTED: usize = 100;
const LISTED_MAX: usize = 1_000;

/// The parameters of `targets.history`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfHistory {
    target: Reference,
    since: Option<String>,
    by: Option<String>,
}

/// The parameters of `notifications.list`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfList {
    target: Option<Reference>,
    #[serde(default)]
    failed: bool,
    limit: Option<usize>,
}

/// The parameters of what is about one notification.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfNotification {
    id: String,
}

impl Api {
    pub(super) async fn history(&self, asked: OfHistory) -> Result<Value, RpcError> {
        let since = asked.since.as_deref().unwrap_or("24h");
        let since = humantime::parse_duration(since)
            .map_err(|_| RpcError::invalid_params("since: must be a time such as 90min, 24h or 7days"))?;
        let by = match asked.by {
            Some(word) => word.parse().map_err(|_| RpcError::invalid_params("by: minute, hour or day"))?,
            None => resolution_of(since),
        };
        let until = self.0.clock.now();
        let from = within_reach(since, by).and_then(|()| before(until, since)).ok_or_else(|| {
            let most = humantime::format_duration(by.length() * ENTRIES_MAX as u32);
            RpcError::invalid_params(format!("since: by the {by}, the history goes back {most} at the most"))
        })?;
        let row = self.target(asked.target).await?;
        let frequency = row.definition.read(row.id).0.frequency;
        let entries = GetHistory { target: row.id, from: before(from, frequency).unwrap_or(from), until, by };
        let slots = before(until, frequency * RECENT as u32).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let results = GetResults { target: row.id, from: slots, until };
        let (entries, results) =
            try_join(ask(&self.0.history, entries), ask(&self.0.results, results)).await?;
        let stretches = stretches(&entries.map_err(refused)?, by, from, until, frequency);
        let results = results.map_err(refused)?;
        let sum = Stretch::sum(&stretches, by.start_of(from), until);
        Ok(past::history(&row, by, &stretches, &sum, &recent(&results, until, RECENT)).into())
    }

    pub(super) async fn incidents(&self, asked: OfTarget) -> Result<Value, RpcError> {
        let row = self.target(asked.target).await?;
        let told = try_join(ask(&self.0.incidents, GetIncidents(row.id)), self.rows());
        let (incidents, rows) = told.await?;
        let now = self.0.clock.now();
        let shown = incidents.map_err(refused)?;
        Ok(shown.iter().map(|(row, told)| past::incident(row, told, &rows.notifiers, now)).collect())
    }

    pub(super) async fn notifications(&self, asked: OfList) -> Result<Value, RpcError> {
        let most = asked.limit.unwrap_or(LISTED);
        if !(1..=LISTED_MAX).contains(&most) {
            return Err(RpcError::invalid_params(format!("limit: must be from 1 to {LISTED_MAX}")));
        }
        let target = match asked.target {
            Some(reference) => Some(self.target(reference).await?.id),
            None => None,
        };
        let filter = NotificationFilter { target, failed: asked.failed, ..NotificationFilter::newest(most) };
        let (rows, notifiers) = self.look_up(filter).await?;
        Ok(rows.iter().map(|row| past::notification(row, &notifiers)).collect())
    }

    pub(super) async fn notification(&self, asked: OfNotification) -> Result<Value, RpcError> {
        let (row, notifiers) = self.find(&asked.id).await?;
        Ok(past::notification_in_full(&row, &notifiers).into())
    }

    /// Has one that is on its way tried at once; one that has come to its end begins anew.
    pub(super) async fn retry(&self, asked: OfNotification) -> Result<Value, RpcError> {
        let daemon = self.daemon()?;
        let (row, notifiers) = self.find(&asked.id).await?;
        if !ask(&daemon.retry, RetryNow(row.id)).await? {
            ask(&daemon.resend, Resend(again(&row, &notifiers)?)).await?;
        }
        Ok(past::notification(&row, &notifiers).into())
    }

    async fn look_up(
        &self,
        filter: NotificationFilter,
    ) -> Result<(Vec<NotificationRow>, Vec<NotifierRow>), RpcError> {
        let both = try_join(ask(&self.0.notifications, GetNotifications(filter)), self.rows());
        let (found, rows) = both.await?;
        Ok((found.map_err(refused)?, rows.notifiers))
    }

    /// Finds the one notification that is meant by the beginning of its id.
    async fn find(&self, beginning: &str) -> Result<(NotificationRow, Vec<NotifierRow>), RpcError> {
        let shown = text::cut(beginning, 100);
        let ids = ids(beginning).ok_or_else(|| {
            RpcError::invalid_params(format!("id: `{shown}` is not the beginning of an id"))
        })?;
        let filter = NotificationFilter { ids: Some(ids), ..NotificationFilter::newest(2) };
        let (mut found, notifiers) = self.look_up(filter).await?;
        match (found.pop(), found.pop()) {
            (Some(row), None) => Ok((row, notifiers)),
            (None, _) => Err(RpcError::failed(format!("there is no notification `{shown}`"))),
            _ => Err(RpcError::failed(format!(
                "several notifications begin with `{shown}`: say more of the id"
            ))),
        }
    }
}

/// The notification of a row, if it can be sent again.
fn again(row: &NotificationRow, notifiers: &[NotifierRow]) -> Result<Notification, RpcError> {
    let id = row.id;
    if !row.delivery.state.is_final() {
        return Err(RpcError::failed(format!(
            "notification {id} waits: older ones of its notifier come first"
        )));
    }
    let notifier = notifiers.iter().find(|notifier| notifier.id == row.notifier);
    match (notifier, &row.alert) {
        (None, _) => Err(RpcError::failed("its notifier was deleted")),
        (Some(notifier), _) if !notifier.definition.enabled => {
            Err(RpcError::failed("its notifier is disabled: enable it first"))
        }
        (_, None) => Err(RpcError::failed("what it told cannot be read any more")),
        (_, Some(alert)) => Ok(Notification { id, notifier: row.notifier, alert: Arc::new(alert.clone()) }),
    }
}

/// What a history of this length is summed up by, unless somebody says.
fn resolution_of(since: Duration) -> Resolution {
    match since.as_secs().div_ceil(60 * 60) {
        ..=3 => Resolution::Minute,
        ..=168 => Resolution::Hour,
        _ => Resolution::Day,
    }
}

fn within_reach(since: Duration, by: Resolution) -> Option<()> {
    (since.as_secs() / by.length().as_secs() < ENTRIES_MAX).then_some(())
}

fn before(at: OffsetDateTime, duration: Duration) -> Option<OffsetDateTime> {
    at.checked_sub(duration.try_into().ok()?)
}

/// The ids that begin so; `None` if none can.
fn ids(beginning: &str) -> Option<RangeInclusive<Uuid>> {
    let digits: String = beginning.chars().filter(|c| *c != '-').collect();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let (first, last) = (format!("{digits:0<32}"), format!("{digits:f<32}"));
    Some(Uuid::parse_str(&first).ok()?..=Uuid::parse_str(&last).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_history_is_summed_up_by_more() {
        let by = |hours: u64| resolution_of(Duration::from_secs(hours * 60 * 60));
        assert_eq!([by(3), by(4)], [Resolution::Minute, Resolution::Hour]);
        assert_eq!([by(7 * 24), by(7 * 24 + 1)], [Resolution::Hour, Resolution::Day]);
    }

    #[test]
    fn the_beginning_of_an_id_is_a_range_of_ids() {
        let range = |beginning| ids(beginning).map(|ids| format!("{} {}", ids.start(), ids.end()));
        let all = "019b7d4f-0000-0000-0000-000000000000 019b7d4f-ffff-ffff-ffff-ffffffffffff";
        assert_eq!(range("019B7D4F").as_deref(), Some(all));
        assert_eq!(range("019b7d4f-").as_deref(), Some(all));
        let id = "019b7d4f-1b3a-7000-8000-000000000001";
        assert_eq!(range(id), Some(format!("{id} {id}")));
        for wrong in ["", "-", "xyz", "019b7d4f-1b3a-7000-8000-0000000000011", "'; --"] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }
}
