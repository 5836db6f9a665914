//! Reads the rows of the kinds that are not HTTP: what they have in common, and every fault at once.

use skypunch_actors::domain::{Fault, Target, TargetDefinition, TargetOptions};
use url::{Host, Url};

use super::limits::Limits;
use crate::{fields::Fields, net::Place};

/// A row that is being read.
pub(super) struct Row<'a> {
    /// The options of the kind.
    pub(super) options: Fields<'a>,
    /// The URL, if it is one.
    pub(super) url: Option<Url>,
    /// What all kinds allow.
    pub(super) limits: Limits,
    faults: Vec<Fault>,
}

impl<'a> Row<'a> {
    /// Reads what these kinds have in common. `method` means nothing to them, nor does `pass_result`.
    pub(super) fn of(definition: &TargetDefinition, target: &'a Target) -> Self {
        let mut options = Fields::of(&target.options.of_kind).knowing(TargetOptions::KEYS);
        let limits = Limits::read(&mut options);
        let mut row = Self { options, url: None, limits, faults: Vec::new() };
        match parse(definition.url.expose()) {
            Ok(url) => row.url = Some(url),
            Err(problem) => row.url_fault(problem),
        }
        if !definition.authn.trim().eq_ignore_ascii_case("NONE") {
            row.faults.push(Fault::new("authn", "must be NONE: this kind sends no credentials"));
        }
        if definition.pass_result.trim() != "200" {
            let problem = "means nothing to this kind, which has no status: leave it at 200";
            row.faults.push(Fault::new("pass_result", problem));
        }
        row
    }

    /// Takes down what is wrong with the URL.
    pub(super) fn url_fault(&mut self, problem: impl Into<String>) {
        self.faults.push(Fault::new("url", problem));
    }

    /// Where the URL leads; without `default`, it must say the port.
    pub(super) fn place(&mut self, default: Option<u16>) -> Option<Place> {
        let url = self.url.as_ref()?;
        // `url` knows the hosts of HTTP alone, and leaves those of others as they are.
        let host = url.host_str().filter(|host| !host.is_empty()).map(Host::parse);
        let port = url.port().or(default).filter(|port| *port != 0);
        match (host, port) {
            (Some(Ok(host)), Some(port)) => {
                let place = Place::new(&host, port);
                if !place.can_be(self.limits.ip_protocol) {
                    self.options.fault("ip_protocol", "rules out the address in the url");
                }
                return Some(place);
            }
            (Some(Ok(_)), None) => self.url_fault("says no port, as in tcp://example.org:5432"),
            (Some(Err(error)), _) => self.url_fault(format!("the host is none: {error}")),
            (None, _) => self.url_fault("has no host"),
        }
        None
    }

    /// Refuses what stands behind the host.
    pub(super) fn ends_after_the_host(&mut self) {
        let Some(url) = &self.url else { return };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            self.url_fault("nothing may stand behind the host and the port");
        }
    }

    /// All that is wrong with the row.
    pub(super) fn finish(self) -> Vec<Fault> {
        let options = self.options.finish().into_iter().map(|problem| Fault::new("options", problem));
        self.faults.into_iter().chain(options).collect()
    }
}

fn parse(text: &str) -> Result<Url, String> {
    let malformed = |why: &str| format!("is not a URL: {why}");
    if text.chars().any(char::is_control) {
        return Err(malformed("it holds control characters"));
    }
    let url = Url::parse(text).map_err(|error| malformed(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds credentials: this kind sends none".to_owned());
    }
    Ok(url)
}
