//! What people are told of a kind.

use serde::Serialize;

/// What a kind is, and what a row of it says.
#[derive(Clone, Debug, Serialize)]
pub struct Manual {
    /// What the column `type` says.
    pub kind: String,
    /// How people call it.
    pub title: String,
    /// Where it is documented.
    pub docs: String,
    /// What somebody who sets it up should know.
    pub note: String,
    /// What the column `address` is.
    pub address: ParamManual,
    /// What `params` may say.
    pub params: Vec<ParamManual>,
}

/// What a parameter is.
#[derive(Clone, Debug, Serialize)]
pub struct ParamManual {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it is never shown.
    pub secret: bool,
    /// What it is where it is not given.
    pub default: Option<String>,
    /// What it may look like.
    pub example: Option<String>,
}

/// What of a row may be shown to people; all else is secret.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Public {
    /// Whether the address may be, whatever it is.
    pub address: bool,
    /// The parameters that may be.
    pub params: Vec<String>,
}

impl Manual {
    /// What of a row of this kind may be shown.
    pub fn public(&self) -> Public {
        let params = self.params.iter().filter(|param| !param.secret);
        Public { address: !self.address.secret, params: params.map(|param| param.name.clone()).collect() }
    }
}

impl ParamManual {
    /// A parameter that may be left out.
    pub(super) fn new(name: &str, about: &str) -> Self {
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
            required: false,
            secret: false,
            default: None,
            example: None,
        }
    }

    /// The same, never shown.
    pub(super) fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// The same, which must be given.
    pub(super) fn required(self, example: &str) -> Self {
        Self { required: true, example: Some(example.to_owned()), ..self }
    }

    /// The same, with what it is where it is not given.
    pub(super) fn default(self, default: &str) -> Self {
        Self { default: Some(default.to_owned()), ..self }
    }
}
