//! What the kinds over HTTP have in common: what is not shown, and how long to wait.

use std::time::Duration;

use actix_http::header::{HeaderMap, RETRY_AFTER};
use skypunch_actors::{
    domain::{MASK, Secret, text},
    port::SinkError,
};
use time::{OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description};

/// What skypunch calls itself.
pub(super) const USER_AGENT: &str = concat!("skypunch/", env!("CARGO_PKG_VERSION"));
/// The status says it all; its text is waited for no longer than this.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// The most of an answer that is shown, in characters.
const ANSWER_SHOWN: usize = 200;
/// A part of the URL from this length on may be a token.
const TOKEN_MIN: usize = 4;

const RFC3339_MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A time as other programs read it: RFC 3339, UTC, milliseconds.
pub(super) fn rfc3339(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC).format(RFC3339_MILLIS).expect("every time has a date")
}

/// Another attempt may succeed.
pub(super) fn transient(reason: &str, retry_after: Option<Duration>) -> SinkError {
    SinkError::Transient { reason: text::reason(reason), retry_after }
}

/// Every part of path and query that may be a token, the longest first.
pub(super) fn tokens(address: &str) -> Vec<Secret> {
    let behind = address.split_once("://").map_or(address, |(_, behind)| behind);
    let target = behind.find(['/', '?', '#']).map_or("", |at| &behind[at..]);
    let mut parts: Vec<&str> =
        target.split(['/', '?', '&', '=', '#']).filter(|part| part.len() >= TOKEN_MIN).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts.into_iter().map(Secret::new).collect()
}

/// What a receiver answered, without the secrets that it may have echoed.
pub(super) fn show<'a>(
    status_line: &str,
    said: &str,
    secrets: impl IntoIterator<Item = &'a Secret>,
) -> String {
    let mut shown = format!("{status_line}: {}", said.trim());
    for secret in secrets {
        shown = shown.replace(secret.expose(), MASK);
    }
    // Cut last: half a secret would not be recognised.
    text::reason(&text::cut(shown.trim_end_matches([':', ' ']), ANSWER_SHOWN))
}

/// `Retry-After` is a number of seconds or a date.
pub(super) fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    wait_until(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// How long to wait until a moment, said as seconds since 1970. One that has passed is no wait.
pub(super) fn wait_until_unix(said: &str, now: OffsetDateTime) -> Option<Duration> {
    let at: f64 = said.trim().parse().ok()?;
    let now_ms = now.unix_timestamp_nanos() / 1_000_000;
    Duration::try_from_secs_f64((at * 1000.0 - now_ms as f64).max(0.0) / 1000.0).ok()
}

/// How long to wait, said as seconds, a date of HTTP or a time of RFC 3339.
pub(super) fn wait_until(said: &str, now: OffsetDateTime) -> Option<Duration> {
    let said = said.trim();
    if let Ok(seconds) = said.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let rfc3339 = || OffsetDateTime::parse(said, &time::format_description::well_known::Rfc3339).ok();
    let at = httpdate::parse_http_date(said).map(OffsetDateTime::from).ok().or_else(rfc3339)?;
    // A date that has passed is no wait.
    Some((at - now).try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use actix_http::header::HeaderValue;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_to_retry_is_a_number_or_a_date() {
        let wait = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            retry_after(&headers, datetime!(1994-11-06 08:49:00 UTC))
        };
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("0.25"), Some(Duration::from_millis(250)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(37)));
        assert_eq!(wait("1994-11-06T08:50:00.000Z"), Some(Duration::from_secs(60)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:48:37 GMT"), Some(Duration::ZERO));
        for nonsense in ["soon", "-1", "inf", "NaN", "1e300"] {
            assert_eq!(wait(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn tokens_are_every_long_part_of_path_and_query() {
        let found = tokens("https://example.org:80/hooks/T0/s3cretpath?key=s3cret&x=1#s3cretfragment");
        let found: Vec<_> = found.iter().map(Secret::expose).collect();
        assert_eq!(found, ["s3cretfragment", "s3cretpath", "s3cret", "hooks"]);
        assert!(tokens("https://example.org").is_empty());
    }
}
