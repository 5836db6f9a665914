//! The state of a target, and why a probe failed: the two closed vocabularies.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a target's last confirmed result says of it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Never judged yet.
    #[default]
    New,
    /// Answers as expected.
    Pass,
    /// Fails.
    Fail,
    /// Nobody could look.
    Unknown,
}

impl Status {
    /// Every status, in the order in which people read them.
    pub const ALL: [Self; 4] = [Self::New, Self::Pass, Self::Fail, Self::Unknown];

    /// The word in the database, the log and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads what a row holds. Anything unknown, such as the empty string of an old row, is `NEW`.
impl From<&str> for Status {
    fn from(word: &str) -> Self {
        Self::ALL.into_iter().find(|s| s.as_str().eq_ignore_ascii_case(word)).unwrap_or_default()
    }
}

/// Why a probe failed. The same word in the log, the database, the API and the metrics.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The name did not resolve.
    Dns,
    /// No connection could be made.
    Connect,
    /// The TLS handshake or a certificate failed.
    Tls,
    /// The time was up.
    Timeout,
    /// The answer was not the protocol.
    Protocol,
    /// The answer had another status than expected.
    Status,
    /// The answer broke an assertion.
    Assertion,
    /// No credentials could be had for the target.
    Auth,
    /// The row cannot be probed at all.
    Config,
    /// skypunch itself failed.
    Internal,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 10] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Protocol,
        Self::Status,
        Self::Assertion,
        Self::Auth,
        Self::Config,
        Self::Internal,
    ];

    /// The word in the database, the log and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Status => "status",
            Self::Assertion => "assertion",
            Self::Auth => "auth",
            Self::Config => "config",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The word is not one of [`Cause::ALL`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a cause")]
pub struct UnknownCause(String);

impl FromStr for Cause {
    type Err = UnknownCause;

    fn from_str(word: &str) -> Result<Self, UnknownCause> {
        let known = Self::ALL.into_iter().find(|c| c.as_str() == word);
        known.ok_or_else(|| UnknownCause(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself() {
        assert!(Status::ALL.into_iter().all(|s| Status::from(s.as_str()) == s));
        assert!(Cause::ALL.into_iter().all(|c| c.as_str().parse::<Cause>().unwrap() == c));
    }

    #[test]
    fn an_unknown_status_of_an_old_row_is_new() {
        assert_eq!(Status::from(""), Status::New);
        assert_eq!(Status::from("pass"), Status::Pass);
    }
}
