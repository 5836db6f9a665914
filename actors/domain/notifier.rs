//! A notifier: its row, and what is wrong with it whatever its kind.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Fault, NotifierOptions, Params, Secret,
    target::{NAME_MAX, TEXT_MAX, check_length, check_name},
};

/// The longest address, in characters.
pub const ADDRESS_MAX: usize = 2_048;

/// The id of a row of `notifiers`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct NotifierId(pub u64);

impl fmt::Display for NotifierId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The columns that operators own, just as they stand in the row; see [`super::TargetDefinition`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotifierDefinition {
    /// `name`
    pub name: String,
    /// `type`: the kind of its sink.
    pub kind: String,
    /// `address`; of some kinds it is a URL that holds a token.
    pub address: Secret,
    /// `params`
    pub params: Secret,
    /// `enabled`
    pub enabled: bool,
    /// `options`, a JSON object
    pub options: Option<Secret>,
}

impl NotifierDefinition {
    /// A definition with the defaults of the schema.
    pub fn new(name: impl Into<String>, kind: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            address: Secret::new(address),
            params: Secret::default(),
            enabled: true,
            options: None,
        }
    }

    /// Reads the parameters, with all that is wrong with the row whatever its kind.
    pub fn read(&self) -> (Params, Vec<Fault>) {
        let mut faults = Vec::new();
        check_name(&self.name, &mut faults);
        check_length("type", &self.kind, NAME_MAX, &mut faults);
        check_length("address", self.address.expose(), ADDRESS_MAX, &mut faults);
        check_length("params", self.params.expose(), TEXT_MAX, &mut faults);
        let options = self.options.as_ref().map_or("", Secret::expose);
        check_length("options", options, TEXT_MAX, &mut faults);
        faults.extend(NotifierOptions::read(self.options.as_ref()).err());
        let params = Params::parse(self.params.expose()).unwrap_or_else(|error| {
            faults.push(Fault::new("params", error.to_string()));
            Params::default()
        });
        (params, faults)
    }
}

/// A row of `notifiers`.
#[derive(Clone, Debug)]
pub struct NotifierRow {
    /// `id`
    pub id: NotifierId,
    /// What operators own.
    pub definition: NotifierDefinition,
    /// `pass_count`: notifications that were delivered.
    pub pass_count: u64,
    /// `fail_count`: notifications that were refused, or ran out of time.
    pub fail_count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_of_a_row_are_named_at_once() {
        let mut definition = NotifierDefinition::new("", "SMTP", "x".repeat(3_000));
        definition.params = Secret::new("hunter2");
        let faults = Fault::join(&definition.read().1);
        assert!(faults.contains("name: is empty"), "{faults}");
        assert!(faults.contains("address: is longer than 2048 characters"), "{faults}");
        assert!(faults.contains("params: item 1 has no `=`"), "{faults}");
        assert!(!faults.contains("hunter2"), "{faults}");
    }
}
