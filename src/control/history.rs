//! The methods that tell the past: the history and the incidents of a target, and notifications.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use futures_util::future::try_join;
use serde::Deserialize;
use serde_json::Value;
use skypunch_actors::{
    domain::{Notification, NotifierRow, Resolution, Stretch, recent, stretches, text, unseen},
    historian::{GetHistory, GetIncidents, GetNotifications, GetResults},
    notifier::RetryNow,
    persister::Resend,
    port::{NotificationFilter, NotificationRow},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    api::{Api, OfTarget, ask, refused},
    find::Reference,
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
            Some(word) => {
                word.parse().map_err(|_| RpcError::invalid_params("by: must be minute, hour or day"))?
            }
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
        let mut slots = recent(&results, until, RECENT);
        if let (true, Some(gap)) = (slots.is_empty(), stretches.last().filter(|last| last.is_gap())) {
            slots = unseen(gap, frequency, RECENT);
        }
        Ok(past::history(&row, by, &stretches, &sum, &slots).into())
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
        0..=3 => Resolution::Minute,
        4..=168 => Resolution::Hour,
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
    use serde_json::{Map, json};
    use skypunch_actors::{
        domain::{
            Alert, AlertTarget, Cause, Delivery, DeliveryState, Event, Incident, NotifierId, Outcome,
            RawResult, Rollup, Status, Tally, TargetDefinition, TargetId, Trace,
        },
        port::IncidentRow,
    };
    use time::macros::datetime;

    use super::*;
    use crate::control::{
        CallError, Client,
        fake::{Fake, NOW},
    };

    async fn call(client: &mut Client, method: &str, with: Value) -> Result<Value, String> {
        let with: Map<String, Value> = with.as_object().unwrap().clone();
        match client.call(method, &with, &mut |_| {}).await {
            Ok(answer) => Ok(answer),
            Err(CallError::Refused(error)) => Err(error.message),
            Err(other) => panic!("{method}: {other}"),
        }
    }

    fn result(at: OffsetDateTime, cause: Option<Cause>) -> RawResult {
        RawResult {
            target: TargetId(1),
            at_ms: i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap(),
            status: Status::Pass,
            cause,
            http_status: cause.is_none().then_some(200),
            dns_us: Some(100),
            connect_us: Some(200),
            tls_us: None,
            ttfb_us: Some(11_000),
            total_us: 12_345,
            late: false,
            skipped: 0,
            frequency_s: 60,
        }
    }

    /// Probes every minute, but for the hour from one to two; one of them failed.
    fn looked_at() -> Fake {
        let mut fake = Fake::populated();
        let begun = datetime!(2026-01-02 0:00:10 UTC);
        for minute in (0..184).filter(|minute| !(60..120).contains(minute)) {
            let at = begun + Duration::from_secs(60 * minute);
            let result = result(at, (minute == 182).then_some(Cause::Timeout));
            let mut rollup = Rollup::default();
            rollup.add(&result);
            fake.entries.entry(Resolution::Hour.start_of(at)).or_default().merge(&rollup);
            fake.results.push(result);
        }
        fake
    }

    fn notification(id: u128, notifier: u64, state: DeliveryState) -> NotificationRow {
        let mut trace = Trace::new(NOW);
        trace.push(Duration::ZERO, "Connecting to https://example.org/ ....");
        let target = TargetDefinition::new("home", "https://bob:hunter2@example.org/").read(TargetId(1)).0;
        let alert = Alert {
            event: Event::Fail,
            at: NOW,
            target: AlertTarget::from(&target),
            status: Status::Fail,
            previous_status: Status::Pass,
            incident: Some(Incident::begin(NOW, 7)),
            outcome: Arc::new(Outcome { trace, ..Outcome::fail(Cause::Dns, "no such name") }),
            tally: Tally::default(),
        };
        let last_error = (state != DeliveryState::Delivered).then(|| "421 try again later".to_owned());
        NotificationRow {
            id: Uuid::from_u128(id),
            notifier: NotifierId(notifier),
            alert: Some(alert),
            delivery: Delivery { state, attempts: 2, last_error, at: NOW },
        }
    }

    /// One of each state, and one whose notifier is gone.
    fn told() -> Fake {
        let mut fake = Fake::populated();
        let states = (0x10..).zip(DeliveryState::ALL);
        fake.notifications = states.map(|(id, state)| notification(id << 96, 1, state)).collect();
        fake.notifications.push(notification(0x20 << 96, 9, DeliveryState::Refused));
        fake.underway.push(fake.notifications[0].id);
        fake
    }

    #[actix::test]
    async fn a_history_has_its_keys_and_a_gap_where_nobody_looked() {
        tokio::time::pause();
        let mut client = Client::in_process(looked_at().daemon().0);
        let asked = json!({"target": "home", "since": "3h 4min", "by": "hour"});
        let mut told = call(&mut client, "targets.history", asked).await.unwrap();
        let recent: Vec<Value> = told["recent"].as_array().unwrap().clone();
        let statuses: Vec<_> = recent.iter().map(|slot| slot["status"].as_str().unwrap()).collect();
        assert_eq!(statuses.iter().filter(|status| **status == "UNKNOWN").count(), 60);
        assert_eq!(statuses[statuses.len() - 3..], ["PASS", "FAIL", "PASS"]);
        told["recent"] = recent[59..61].iter().chain(&recent[recent.len() - 2..]).cloned().collect();
        insta::assert_snapshot!(serde_json::to_string_pretty(&told).unwrap());
    }

    #[actix::test]
    async fn a_history_of_nothing_is_one_gap() {
        let mut client = Client::in_process(Fake::populated().offline());
        let told = call(&mut client, "targets.history", json!({"target": 1})).await.unwrap();
        assert_eq!(told["entries"].as_array().unwrap().len(), 1);
        assert_eq!((&told["total"]["uptime"], &told["total"]["observed"]), (&Value::Null, &json!(0.0)));
        let slots = told["recent"].as_array().unwrap();
        assert_eq!((&told["by"], slots.len()), (&json!("hour"), RECENT));
        assert!(slots.iter().all(|slot| slot["status"] == "UNKNOWN"));
    }

    #[actix::test]
    async fn a_history_that_cannot_be_told_is_refused() {
        let mut client = Client::in_process(Fake::populated().daemon().0);
        for (asked, why) in [
            (json!({"target": 1, "since": "yesterday"}), "since: must be a time such as 90min, 24h or 7days"),
            (json!({"target": 1, "by": "week"}), "by: must be minute, hour or day"),
            (json!({"target": 1, "since": "8days", "by": "minute"}), "goes back 7days 1m at the most"),
            (json!({"target": 1, "since": "500years"}), "by the day, the history goes back"),
            (json!({"target": 3}), "there is no target `3`"),
            (json!({"target": 1, "until": "1h"}), "unknown field `until`"),
        ] {
            let refusal = call(&mut client, "targets.history", asked).await.unwrap_err();
            assert!(refusal.contains(why), "{refusal}");
        }
        let asked = json!({"target": 1, "since": "7days", "by": "minute"});
        assert!(call(&mut client, "targets.history", asked).await.is_ok());
    }

    #[actix::test]
    async fn incidents_have_their_keys() {
        let mut fake = told();
        let incident = IncidentRow {
            incident: Incident { failed_probes: 3, ..Incident::begin(NOW - Duration::from_secs(90), 7) },
            cause: Some(Cause::Dns),
            reason: "no such name".to_owned(),
            trace: vec!["03:02:35.678000 Connecting to https://example.org/ ....".to_owned()],
        };
        let notifications = fake.notifications[1..3].to_vec();
        fake.incidents = vec![(incident, notifications)];
        let mut client = Client::in_process(fake.daemon().0);
        let told = call(&mut client, "targets.incidents", json!({"target": "home"})).await.unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&told).unwrap());
    }

    #[actix::test]
    async fn notifications_are_listed() {
        let mut client = Client::in_process(told().offline());
        let all = call(&mut client, "notifications.list", json!({})).await.unwrap();
        assert_eq!(all.as_array().unwrap().len(), 7);
        assert_eq!((&all[0]["notifier"]["name"], &all[6]["notifier"]["name"]), (&json!("ops"), &Value::Null));
        let failed = json!({"failed": true, "limit": 2, "target": "home"});
        let failed = call(&mut client, "notifications.list", failed).await.unwrap();
        assert_eq!((&failed[0]["state"], &failed[1]["state"]), (&json!("refused"), &json!("expired")));
        let of_other = call(&mut client, "notifications.list", json!({"target": "shop"})).await.unwrap();
        assert_eq!(of_other, json!([]));
        for limit in [0, 1_001] {
            let refusal =
                call(&mut client, "notifications.list", json!({ "limit": limit })).await.unwrap_err();
            assert_eq!(refusal, "limit: must be from 1 to 1000");
        }
    }

    #[actix::test]
    async fn a_notification_is_found_by_the_beginning_of_its_id() {
        let mut client = Client::in_process(told().offline());
        let found = call(&mut client, "notifications.get", json!({"id": "00000013"})).await.unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&found).unwrap());
        for (id, why) in [
            ("0000001", "several notifications begin with `0000001`: say more of the id"),
            ("00000030", "there is no notification `00000030`"),
            ("home", "id: `home` is not the beginning of an id"),
        ] {
            let refusal = call(&mut client, "notifications.get", json!({ "id": id })).await.unwrap_err();
            assert_eq!(refusal, why);
        }
        let refusal = call(&mut client, "notifications.retry", json!({"id": "00000013"})).await.unwrap_err();
        assert_eq!(refusal, "no daemon is running");
    }

    #[actix::test]
    async fn what_is_on_its_way_is_hurried_and_what_has_ended_begins_anew() {
        let mut fake = told();
        fake.notifications[4].alert = None;
        let (resent, ended) = (fake.resent.clone(), fake.notifications[3].id);
        let mut client = Client::in_process(fake.daemon().0);
        for (id, done) in [
            ("00000010", Ok("pending")),
            ("00000011", Err("waits: older ones of its notifier come first")),
            ("00000013", Ok("refused")),
            ("00000014", Err("what it told cannot be read any more")),
            ("00000020", Err("its notifier was deleted")),
        ] {
            match (call(&mut client, "notifications.retry", json!({ "id": id })).await, done) {
                (Ok(row), Ok(state)) => assert_eq!(row["state"], state),
                (Err(refusal), Err(why)) => assert!(refusal.contains(why), "{refusal}"),
                (answer, _) => panic!("{id}: {answer:?}"),
            }
        }
        assert_eq!(*resent.lock().unwrap(), [ended]);
        call(&mut client, "notifiers.disable", json!({"notifier": "ops"})).await.unwrap();
        let refusal = call(&mut client, "notifications.retry", json!({"id": "00000013"})).await.unwrap_err();
        assert_eq!(refusal, "its notifier is disabled: enable it first");
    }

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
