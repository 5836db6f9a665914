//! Reads `authn_parms`: what is missing, unknown or contradictory is named all at once, values never.

use std::collections::BTreeMap;

use actix_http::header::HeaderValue;
use skypunch_actors::domain::{Fault, Params, Secret, text};

use super::{AuthError, Means};
use crate::secret;

/// The parameters of one kind as a row gives them. An empty value is one that is not given.
#[derive(Clone, Debug, Default)]
pub(super) struct Parms(BTreeMap<String, Secret>);

impl Parms {
    /// Reads the column. The second part names what `known` does not hold.
    pub(super) fn read(column: Option<&Secret>, known: &[&str]) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        let params =
            Params::parse(column.map_or("", Secret::expose)).map_err(|e| vec![fault(e.to_string())])?;
        let unknown = params.keys().filter(|key| !known.contains(key));
        let unknown = unknown
            .map(|key| fault(format!("`{}` is not known: {}", text::reason(key), known.join(", "))))
            .collect();
        let given = params.keys().filter_map(|key| {
            let value = params.get(key).filter(|value| !value.expose().is_empty());
            value.map(|value| (key.to_owned(), value.clone()))
        });
        Ok((Self(given.collect()), unknown))
    }

    /// Reads a column that holds every one of `needed` and perhaps some of `optional`.
    pub(super) fn require(
        column: Option<&Secret>,
        needed: &[&str],
        optional: &[&str],
    ) -> Result<Self, Vec<Fault>> {
        let (parms, unknown) = Self::read(column, &[needed, optional].concat())?;
        let missing = needed.iter().filter(|key| !parms.has(key));
        let mut faults: Vec<_> = missing.map(|key| fault(format!("`{key}` is missing"))).collect();
        faults.extend(unknown);
        if faults.is_empty() { Ok(parms) } else { Err(faults) }
    }

    /// Those of `keys`, and all others.
    pub(super) fn split(self, keys: &[&str]) -> (Self, Self) {
        let (those, others) = self.0.into_iter().partition(|(key, _)| keys.contains(&key.as_str()));
        (Self(those), Self(others))
    }

    /// Whether `key` is given.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The value of `key`, empty if it is not given.
    pub(super) fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", Secret::expose)
    }

    /// The value of `key` if it is known now: it is given, and does not only name where it stands.
    pub(super) fn known_now(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(Secret::expose).filter(|value| !is_named(value))
    }

    /// Every key that is given.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The values of these keys, to be masked wherever somebody else's words are shown.
    pub(super) fn secrets(&self, keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| self.get(key)).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    /// All of it as one text, which tells one set of credentials, or one way to show them, from another.
    pub(super) fn identity(&self, kind: &str, means: &Means<'_>) -> Secret {
        let given: BTreeMap<_, _> = self.0.iter().map(|(key, value)| (key, value.expose())).collect();
        Secret::new(format!("{kind} {given:?} {}", means.route))
    }

    /// The same with what `env:` and `file:` name, read now.
    pub(super) async fn resolve(&self) -> Result<Self, AuthError> {
        let mut resolved = BTreeMap::new();
        for (key, value) in &self.0 {
            let value = secret::resolve_off_thread(value).await;
            let value = value.map_err(|error| AuthError::config(format!("{key}: {error}")))?;
            resolved.insert(key.clone(), value);
        }
        Ok(Self(resolved))
    }
}

/// A fault of the column.
pub(super) fn fault(problem: impl Into<String>) -> Fault {
    Fault::new("authn_parms", problem)
}

/// What is named by `env:` or `file:` is seen only when it is resolved.
fn is_named(value: &str) -> bool {
    value.starts_with("env:") || value.starts_with("file:")
}

/// A header that carries credentials, and does not show them.
pub(super) fn sensitive(key: &str, value: &str) -> Result<HeaderValue, AuthError> {
    let value = HeaderValue::from_str(value);
    let mut value =
        value.map_err(|_| AuthError::config(format!("{key}: holds characters that no header can carry")))?;
    value.set_sensitive(true);
    Ok(value)
}
