//! The options that every kind of probe knows: which addresses are tried, and how slow is too slow.

use std::time::Duration;

use crate::{
    fields::Fields,
    net::{Client, IpProtocol},
};

/// What a row allows of a probe of whatever kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Limits {
    /// Which addresses of a host are tried.
    pub(super) ip_protocol: IpProtocol,
    /// The longest that a probe may take and pass.
    max_response_ms: Option<u64>,
}

impl Limits {
    /// Reads `ip_protocol` and `max_response_ms`.
    pub(super) fn read(options: &mut Fields<'_>) -> Self {
        let allowed = "a whole number of milliseconds, at least 1";
        Self {
            ip_protocol: options.take("ip_protocol", r#""any", "4" or "6""#).unwrap_or_default(),
            max_response_ms: options.take_if("max_response_ms", allowed, |ms| *ms > 0),
        }
    }

    /// A client that tries only these addresses.
    pub(super) fn client(self, client: &Client) -> Client {
        client.clone().over(self.ip_protocol)
    }

    /// Why a probe that took so long fails.
    pub(super) fn slow(self, took: Duration) -> Option<String> {
        let allowed = self.max_response_ms?;
        let took = took.as_secs_f64() * 1000.0;
        (took > allowed as f64).then(|| format!("answered in {took:.1} ms, more than {allowed} ms"))
    }
}
