//! Every key: its default, and what it may be.

use std::{net::SocketAddr, num::NonZero, ops::RangeInclusive, path::PathBuf, thread, time::Duration};

use super::{DatabaseTls, DatabaseUrl};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A key whose values are read as `T`.
pub(super) struct Key<T> {
    /// Section and name, separated by a dot.
    pub name: &'static str,
    /// Its value where nobody gives one.
    pub default: &'static str,
    /// What TOML calls its type.
    pub form: Form,
    /// What it may be, for people.
    pub allowed: &'static str,
    /// Whether what was found may be shown.
    pub shown: bool,
    /// Reads a value, or says why it is none.
    pub parse: fn(&str) -> Result<T, String>,
}

/// How a value is written in TOML. Variables are text always.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    Text,
    Number,
    Truth,
}

impl<T> Key<T> {
    const fn text(
        name: &'static str,
        default: &'static str,
        allowed: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Self {
        Self { name, default, form: Form::Text, allowed, shown: true, parse }
    }

    const fn entry(&self) -> (&'static str, &'static str) {
        (self.name, self.default)
    }
}

/// Name and default of every key.
pub(super) const ALL: [(&str, &str); 21] = [
    STATE_DIR.entry(),
    DATABASE_URL.entry(),
    DATABASE_TLS.entry(),
    DATABASE_CA_FILE.entry(),
    DATABASE_FLUSH_INTERVAL.entry(),
    JOURNAL_MAX_BYTES.entry(),
    DAEMON_RELOAD_INTERVAL.entry(),
    DAEMON_SOCKET.entry(),
    DAEMON_SOCKET_MODE.entry(),
    DAEMON_SHUTDOWN_TIMEOUT.entry(),
    PROBE_THREADS.entry(),
    PROBE_USER_AGENT.entry(),
    HISTORY_RAW.entry(),
    HISTORY_MINUTE.entry(),
    HISTORY_HOUR.entry(),
    HISTORY_DAY.entry(),
    LOG_CONFIG.entry(),
    WEB_LISTEN.entry(),
    NOTIFY_GIVE_UP_AFTER.entry(),
    NOTIFY_SINKS_DIR.entry(),
    NOTIFY_ALLOW_EXEC.entry(),
];

pub(super) const STATE_DIR: Key<Option<PathBuf>> =
    Key::text("state_dir", "", "a directory, or \"\" for the usual one", optional_path);

pub(super) const DATABASE_URL: Key<DatabaseUrl> = Key {
    shown: false,
    ..Key::text(
        "database.url",
        "sqlite:skypunch.db",
        "sqlite:PATH, or mysql://USER:PASSWORD@HOST:PORT/DATABASE",
        |text| DatabaseUrl::parse(text).map_err(|error| error.to_string()),
    )
};

pub(super) const DATABASE_TLS: Key<DatabaseTls> =
    Key::text("database.tls", "prefer", "off, prefer, require or verify", tls);

pub(super) const DATABASE_CA_FILE: Key<Option<PathBuf>> =
    Key::text("database.ca_file", "", "a file of certificates (PEM), or \"\" for none", optional_path);

pub(super) const DATABASE_FLUSH_INTERVAL: Key<Duration> =
    Key::text("database.flush_interval", "500ms", "a duration from 10ms to 60s", |text| {
        duration(text, Duration::from_millis(10)..=Duration::from_secs(60))
    });

pub(super) const JOURNAL_MAX_BYTES: Key<u64> =
    Key::text("journal.max_bytes", "1GiB", "a size from 1MiB to 1TiB", |text| {
        size(text, bytesize::MIB..=bytesize::TIB)
    });

pub(super) const DAEMON_RELOAD_INTERVAL: Key<Duration> =
    Key::text("daemon.reload_interval", "1s", "a duration from 100ms to 1h", |text| {
        duration(text, Duration::from_millis(100)..=Duration::from_secs(3600))
    });

pub(super) const DAEMON_SOCKET: Key<PathBuf> = Key::text("daemon.socket", "skypunch.sock", "a path", path);

pub(super) const DAEMON_SOCKET_MODE: Key<u32> =
    Key::text("daemon.socket_mode", "0600", "octal digits in quotes, \"000\" to \"0777\"", octal_mode);

pub(super) const DAEMON_SHUTDOWN_TIMEOUT: Key<Duration> =
    Key::text("daemon.shutdown_timeout", "10s", "a duration from 1s to 10min", |text| {
        duration(text, Duration::from_secs(1)..=Duration::from_secs(600))
    });

pub(super) const PROBE_THREADS: Key<usize> = Key {
    form: Form::Number,
    ..Key::text("probe.threads", "0", "a whole number from 1 to 256, or 0 for one a core", threads)
};

pub(super) const PROBE_USER_AGENT: Key<String> = Key::text(
    "probe.user_agent",
    concat!("skypunch/", env!("CARGO_PKG_VERSION")),
    "printable ASCII, not blank",
    header_value,
);

pub(super) const HISTORY_RAW: Key<Option<Duration>> =
    Key::text("history.raw", "7d", "a duration from 1h, or \"forever\"", |text| retention(text, HOUR));

pub(super) const HISTORY_MINUTE: Key<Option<Duration>> =
    Key::text("history.minute", "30d", "a duration from 1d, or \"forever\"", |text| retention(text, DAY));

pub(super) const HISTORY_HOUR: Key<Option<Duration>> =
    Key::text("history.hour", "1y", "a duration from 2d, or \"forever\"", |text| retention(text, 2 * DAY));

pub(super) const HISTORY_DAY: Key<Option<Duration>> =
    Key::text("history.day", "forever", "a duration from 2d, or \"forever\"", |text| {
        retention(text, 2 * DAY)
    });

pub(super) const NOTIFY_GIVE_UP_AFTER: Key<Duration> =
    Key::text("notify.give_up_after", "24h", "a duration from 1min to 30d", |text| {
        duration(text, Duration::from_secs(60)..=30 * DAY)
    });

pub(super) const LOG_CONFIG: Key<Option<PathBuf>> =
    Key::text("log.config", "", "a log4rs YAML file, or \"\" for the built-in log", optional_path);

pub(super) const WEB_LISTEN: Key<Option<SocketAddr>> =
    Key::text("web.listen", "127.0.0.1:8900", "ADDRESS:PORT, or \"\" for none", optional_address);

pub(super) const NOTIFY_SINKS_DIR: Key<Option<PathBuf>> =
    Key::text("notify.sinks_dir", "", "a directory, or \"\" for none", optional_path);

pub(super) const NOTIFY_ALLOW_EXEC: Key<bool> = Key {
    form: Form::Truth,
    ..Key::text("notify.allow_exec", "false", "true or false", |text| {
        text.parse().map_err(|_| "no such choice".to_owned())
    })
};

/// The name of every key.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.into_iter().map(|(name, _)| name)
}

/// The keys of a section, without its name; none where there is no such section.
pub(super) fn in_section(section: &str) -> impl Iterator<Item = &'static str> {
    names().filter_map(move |name| name.strip_prefix(section)?.strip_prefix('.'))
}

/// The sections, and the keys outside of any.
pub(super) fn top_level() -> impl Iterator<Item = &'static str> {
    let mut names: Vec<&str> =
        names().map(|name| name.split_once('.').map_or(name, |(top, _)| top)).collect();
    names.dedup();
    names.into_iter()
}

/// Says that `name` is no key of `place`, and which are.
pub(super) fn unknown(name: &str, place: &str, known: &[&str]) -> String {
    let hint = nearest(name, known.iter().copied()).map(|near| format!("did you mean {near}? "));
    format!("no such key; {}{place} has {}", hint.unwrap_or_default(), known.join(", "))
}

/// The known name that `name` is probably a slip of.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let known = known.map(|known| (strsim::damerau_levenshtein(name, known), known));
    known.filter(|(distance, _)| *distance <= 2).min().map(|(_, known)| known)
}

fn path(text: &str) -> Result<PathBuf, String> {
    optional_path(text)?.ok_or_else(|| "empty".to_owned())
}

fn optional_path(text: &str) -> Result<Option<PathBuf>, String> {
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

fn tls(text: &str) -> Result<DatabaseTls, String> {
    match text {
        "off" => Ok(DatabaseTls::Off),
        "prefer" => Ok(DatabaseTls::Prefer),
        "require" => Ok(DatabaseTls::Require),
        "verify" => Ok(DatabaseTls::Verify),
        _ => Err("no such choice".to_owned()),
    }
}

fn duration(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if range.contains(&duration) { Ok(duration) } else { Err("out of range".to_owned()) }
}

/// What is summed up from entries must have seen them before they go.
fn retention(text: &str, shortest: Duration) -> Result<Option<Duration>, String> {
    if text == "forever" {
        return Ok(None);
    }
    duration(text, shortest..=Duration::MAX).map(Some)
}

fn size(text: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let size = text.parse::<bytesize::ByteSize>().map_err(|_| "not a size".to_owned())?.as_u64();
    if range.contains(&size) { Ok(size) } else { Err("out of range".to_owned()) }
}

fn octal_mode(text: &str) -> Result<u32, String> {
    let octal = matches!(text.len(), 3..=4) && text.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    let mode = octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
    mode.filter(|mode| *mode <= 0o777).ok_or_else(|| "no such permissions".to_owned())
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse::<i64>() {
        Ok(0) => Ok(thread::available_parallelism().map_or(1, NonZero::get)),
        Ok(threads @ 1..=256) => Ok(threads as usize),
        Ok(_) => Err("out of range".to_owned()),
        Err(_) => Err("not a whole number".to_owned()),
    }
}

fn header_value(text: &str) -> Result<String, String> {
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if printable && !text.trim().is_empty() {
        Ok(text.to_owned())
    } else {
        Err("not fit for a header".to_owned())
    }
}

fn optional_address(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| "not an address and a port".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts<T>(key: &Key<T>, good: &[&str], bad: &[&str]) {
        assert!((key.parse)(key.default).is_ok(), "{}: its default", key.name);
        for text in good {
            assert!((key.parse)(text).is_ok(), "{} takes {text}", key.name);
        }
        for text in bad {
            assert!((key.parse)(text).is_err(), "{} refuses {text}", key.name);
        }
    }

    #[test]
    fn ranges_end_where_their_description_says() {
        accepts(&DATABASE_FLUSH_INTERVAL, &["10ms", "60s", "1min"], &["9ms", "60s 1ms", "1", ""]);
        accepts(&DAEMON_RELOAD_INTERVAL, &["100ms", "1h"], &["99ms", "61min", "-1s"]);
        accepts(&DAEMON_SHUTDOWN_TIMEOUT, &["1s", "10min"], &["999ms", "601s", "forever"]);
        accepts(
            &JOURNAL_MAX_BYTES,
            &["1MiB", "1048576", "1.5 GiB", "2gb", "1TiB"],
            &["1023KiB", "1025GiB", "1", "-1MiB", "1 parsec", ""],
        );
        accepts(&HISTORY_RAW, &["1h", "forever", "10y"], &["59min", "0", "never", ""]);
        accepts(&HISTORY_MINUTE, &["1d", "forever"], &["23h"]);
        accepts(&HISTORY_HOUR, &["2d", "forever"], &["47h"]);
        accepts(&HISTORY_DAY, &["2d", "400d"], &["1d", "Forever"]);
        accepts(&NOTIFY_GIVE_UP_AFTER, &["1min", "30d"], &["59s", "31d", "forever"]);
        accepts(&PROBE_THREADS, &["0", "1", "256"], &["257", "-1", "1.5", "four"]);
        accepts(&DAEMON_SOCKET_MODE, &["0600", "660", "0777"], &["0800", "1777", "77", "0o600", "+600"]);
    }

    #[test]
    fn words_and_addresses_are_what_they_say() {
        accepts(&DATABASE_TLS, &["off", "verify"], &["Off", "on", ""]);
        accepts(&WEB_LISTEN, &["", "[::1]:8900", "0.0.0.0:0"], &["8900", "localhost:8900", "127.0.0.1"]);
        accepts(&PROBE_USER_AGENT, &["a b/1"], &["", "  ", "a\nb", "ä"]);
        accepts(&DAEMON_SOCKET, &["/run/s"], &[""]);
        accepts(&NOTIFY_ALLOW_EXEC, &["true", "false"], &["True", "yes", "1", ""]);
    }

    #[test]
    fn no_threads_are_one_a_core() {
        assert!((PROBE_THREADS.parse)("0").unwrap() >= 1);
    }
}
