//! A file that was read: the parameters of its kind, and how it sends.

use std::{collections::BTreeMap, hash::Hash};

use minijinja::{Environment, context};
use skypunch_actors::domain::{Fault, NotifierDefinition, Params, Secret, text};
use time::macros::datetime;
use toml::Spanned;

use super::{
    fault::{Faults, FileFault},
    file::{Content, File, Form, Param},
    recipe::{Recipe, Values},
    write::{self, SMTP},
};
use crate::{
    net::Endpoint,
    sink::{
        http::tokens,
        manual::{Manual, ParamManual},
    },
};

/// A kind, read.
pub(in crate::sink) struct Kind {
    name: String,
    title: String,
    docs: String,
    note: String,
    /// The parameter that the column `address` is.
    pub address: String,
    params: BTreeMap<String, Param>,
    pub(super) transport: Transport,
}

/// How a kind sends.
pub(super) enum Transport {
    Http(Box<Recipe>),
    /// As mail, with these parameters of SMTP.
    Smtp(Box<Environment<'static>>),
}

impl Kind {
    /// Reads a file, or names all that is wrong with it. Its name is that of its kind.
    pub fn read(path: &str, stem: &str, source: &str) -> Result<Self, Vec<FileFault>> {
        let mut faults = Faults::of(path, source);
        let file: File = match toml::from_str(source) {
            Ok(file) => file,
            Err(error) => {
                faults.at(error.span().unwrap_or(0..0), &error.message().replace('\n', ": "));
                return Err(faults.into_found());
            }
        };
        check_names(&file, stem, &mut faults);
        let transport = match (&file.request, &file.smtp) {
            (Some(_), None) => Recipe::read(&file, &mut faults).map(Box::new).map(Transport::Http),
            (None, Some(smtp)) => Some(Transport::Smtp(Box::new(preset(smtp, &file.params, &mut faults)))),
            _ => {
                faults.whole("either [request] or [smtp] is needed");
                None
            }
        };
        if let Some(Transport::Http(recipe)) = &transport {
            for example in &file.examples {
                recipe.judge.check(example, datetime!(2026-11-22 06:14:20.25 UTC), &mut faults);
            }
        }
        let params = file.params.into_iter().map(|(name, param)| (name.into_inner(), param)).collect();
        match transport {
            Some(transport) if faults.is_empty() => Ok(Self {
                name: file.kind.into_inner(),
                title: file.title,
                docs: file.docs,
                note: file.note,
                address: file.address.into_inner(),
                params,
                transport,
            }),
            _ => Err(faults.into_found()),
        }
    }

    /// What people are told of the kind.
    pub fn manual(&self) -> Manual {
        let param = |(name, param): (&String, &Param)| ParamManual {
            name: name.clone(),
            about: param.about.clone(),
            required: param.required,
            secret: param.secret,
            default: param.default.clone(),
            example: param.example.clone(),
        };
        let address = self.params.get_key_value(&self.address).expect("the address is a parameter");
        let others = self.params.iter().filter(|(name, _)| **name != self.address);
        Manual {
            kind: self.name.clone(),
            title: self.title.clone(),
            docs: self.docs.clone(),
            note: self.note.clone(),
            address: param(address),
            params: others.map(param).collect(),
        }
    }

    /// The parameters of a row, each with its default, or all that is wrong with them.
    pub fn given(
        &self,
        definition: &NotifierDefinition,
        params: &Params,
    ) -> Result<BTreeMap<String, Secret>, Vec<Fault>> {
        let mut faults = Vec::new();
        let others = || self.params.keys().filter(|name| **name != self.address);
        for key in params.keys().filter(|key| !others().any(|name| name == key)) {
            let known: Vec<&str> = others().map(String::as_str).collect();
            let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
            let shown = text::reason(&text::cut(key, 40));
            faults.push(Fault::new("params", format!("`{shown}` is not known: {known}")));
        }
        let mut given = BTreeMap::new();
        for (name, param) in &self.params {
            let (column, said) = if *name == self.address {
                ("address", Some(definition.address.expose().trim()))
            } else {
                ("params", params.get(name).map(Secret::expose))
            };
            match (said.filter(|said| !said.is_empty()), &param.default) {
                (Some(said), _) => {
                    let named = said.starts_with("env:") || said.starts_with("file:");
                    if let (false, Err(problem)) = (named, self.check_value(name, said)) {
                        let problem =
                            if column == "address" { problem } else { format!("`{name}` {problem}") };
                        faults.push(Fault::new(column, problem));
                    }
                    given.insert(name.clone(), Secret::new(said));
                }
                (None, Some(default)) => drop(given.insert(name.clone(), Secret::new(default.clone()))),
                (None, None) if param.required => {
                    let what = if column == "address" { "is empty" } else { "is missing" };
                    let name = if column == "address" { String::new() } else { format!("`{name}` ") };
                    faults.push(Fault::new(column, format!("{name}{what}: {}", param.about)));
                }
                (None, None) => {}
            }
        }
        if faults.is_empty() { Ok(given) } else { Err(faults) }
    }

    /// Says what is wrong with a value; never shows it.
    pub fn check_value(&self, name: &str, value: &str) -> Result<(), String> {
        match self.params.get(name).map(|param| param.form) {
            Some(Form::Url | Form::Base) => {
                Endpoint::parse(value).map(drop).map_err(|error| error.to_string())
            }
            // It may have to stand in a header.
            _ if value.chars().any(char::is_control) => Err("holds control characters".to_owned()),
            _ => Ok(()),
        }
    }

    /// What the receiver knows the row by: its secrets, or its address where it has none.
    pub fn credential<'a>(&'a self, given: &'a BTreeMap<String, Secret>) -> impl Hash + 'a {
        let secret = |name: &str| self.params.get(name).is_some_and(|param| param.secret);
        let mut known: Vec<&Secret> =
            given.iter().filter(|(name, _)| secret(name)).map(|(_, value)| value).collect();
        if known.is_empty() {
            known.extend(given.get(&self.address));
        }
        (&self.name, known)
    }

    /// The values that are not shown, and the parts of URLs that may be tokens.
    pub fn secrets(&self, values: &Values) -> Vec<Secret> {
        let mut secrets = Vec::new();
        for (name, value) in values {
            let Some(param) = self.params.get(name).filter(|param| param.secret) else {
                continue;
            };
            match param.form {
                Form::Text => secrets.push(Secret::new(value)),
                Form::Url | Form::Base => secrets.extend(tokens(value)),
            }
        }
        secrets
    }

    /// The parameters of SMTP that a row of this kind has.
    pub fn smtp_params(&self, given: &BTreeMap<String, Secret>) -> Result<Params, String> {
        let mut params = serde_json::Map::new();
        for (name, value) in given.iter().filter(|(name, _)| **name != self.address) {
            params.insert(name.clone(), value.expose().into());
        }
        if let Transport::Smtp(preset) = &self.transport {
            let values: Values =
                given.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
            for (name, template) in preset.templates() {
                let name = name.strip_prefix(SMTP).unwrap_or(name);
                let value = template.render(context! { params => &values });
                let value = value.map_err(|_| format!("`{name}` of the mail server cannot be made"))?;
                params.insert(name.to_owned(), value.into());
            }
            // What only makes up others means nothing to SMTP.
            params.retain(|name, _| super::smtp::KEYS.contains(&name.as_str()));
        }
        Params::parse(&serde_json::Value::Object(params).to_string()).map_err(|error| error.to_string())
    }
}

fn check_names(file: &File, stem: &str, faults: &mut Faults<'_>) {
    let kind = file.kind.get_ref();
    if *kind != stem.to_uppercase()
        || !kind.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    {
        let problem = "`kind` must be the name of its file in capitals, letters and digits only";
        faults.at(file.kind.span(), problem);
    }
    if !file.params.keys().any(|name| name.get_ref() == file.address.get_ref()) {
        faults.at(file.address.span(), "`address` must name one of the parameters");
    }
    for (name, param) in &file.params {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        if !name.get_ref().bytes().all(plain) {
            faults.at(name.span(), "the name of a parameter is made of small letters, digits and `_`");
        }
        if param.required && param.default.is_some() {
            faults.at(name.span(), "what has a default is not required");
        }
        if param.required && param.example.is_none() {
            faults.at(name.span(), "what is required needs an `example`");
        }
    }
}

fn preset(
    smtp: &BTreeMap<Spanned<String>, Spanned<String>>,
    params: &BTreeMap<Spanned<String>, Param>,
    faults: &mut Faults<'_>,
) -> Environment<'static> {
    let mut environment = write::environment(Content::Text);
    let samples: BTreeMap<&str, String> =
        params.iter().map(|(name, param)| (name.get_ref().as_str(), param.sample())).collect();
    for (name, template) in smtp {
        if !super::smtp::KEYS.contains(&name.get_ref().as_str()) {
            faults.at(name.span(), "SMTP has no such parameter");
        }
        let full = format!("{SMTP}{}", name.get_ref());
        let tried = environment
            .add_template_owned(full.clone(), template.get_ref().clone())
            .and_then(|()| environment.get_template(&full)?.render(context! { params => &samples }));
        if let Err(error) = tried {
            faults.template(&full, template, &error);
        }
    }
    environment
}
