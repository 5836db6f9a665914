//! The sources of settings; each layer hides what those before it say.

use figment::{
    Figment, Metadata, Profile, Provider,
    util::nest,
    value::{Dict, Map},
};

use super::{Fault, Surroundings, key, surroundings::CONFIG_VARIABLE};

const PREFIX: &str = "SKYPUNCH_";

/// Variables of the tests, which the daemon does not read.
const TEST_PREFIX: &str = "SKYPUNCH_TEST_";

/// Who says something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    Default,
    File,
    Environment,
    CommandLine,
}

impl Origin {
    const ALL: [Self; 4] = [Self::Default, Self::File, Self::Environment, Self::CommandLine];

    /// Who says what figment found at `key`; nobody, where the key is missing.
    pub(super) fn of(figment: &Figment, key: &str) -> Option<Self> {
        let name = &figment.find_metadata(key)?.name;
        Self::ALL.into_iter().find(|origin| origin.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::CommandLine => "command line",
        }
    }
}

/// What one source says.
pub(super) struct Layer {
    origin: Origin,
    values: Dict,
}

impl Layer {
    /// Many values, in sections.
    pub(super) fn new(origin: Origin, values: Dict) -> Self {
        Self { origin, values }
    }

    /// One value.
    pub(super) fn one(origin: Origin, key: &str, text: &str) -> Self {
        Self { origin, values: nest(key, text.into()).into_dict().unwrap_or_default() }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.name())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// What the variables say. One with our prefix that names no setting is warned of.
pub(super) fn environment(
    surroundings: &Surroundings,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<String>,
) -> Vec<Layer> {
    let mut layers = Vec::new();
    for (name, value) in &surroundings.variables {
        let name = name.to_string_lossy();
        if !name.starts_with(PREFIX) || name.starts_with(TEST_PREFIX) || name == CONFIG_VARIABLE {
            continue;
        }
        match (key::names().find(|key| variable(key) == name), value.to_str()) {
            (Some(key), Some(text)) => layers.push(Layer::one(Origin::Environment, key, text)),
            (Some(_), None) => faults.push(Fault::new(name, "not UTF-8")),
            (None, _) => warnings.push(unknown(&name)),
        }
    }
    layers
}

/// The variable that sets `key`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

fn unknown(name: &str) -> String {
    let known: Vec<String> = key::names().map(variable).collect();
    let hint = key::nearest(name, known.iter().map(String::as_str));
    let hint = hint.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    format!("the variable {name} names no setting{hint}")
}
