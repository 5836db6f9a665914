//! The kinds of notifiers: a file a kind, and one table from the name to what prepares it.

mod message;
mod smtp;
mod webhook;

use std::sync::Arc;

use rustls::{RootCertStore, pki_types::CertificateDer};
use skypunch_actors::{
    domain::{Fault, NotifierDefinition, Params, text},
    port::{Clock, SinkBuilder, SinkFactory},
};

use crate::net::Client;

/// What the table knows of a kind.
struct Kind {
    /// What the column `type` says.
    name: &'static str,
    /// The parameters that may be shown.
    public_params: &'static [&'static str],
    prepare: fn(&Sinks, &NotifierDefinition, &Params) -> Result<SinkBuilder, Vec<Fault>>,
}

/// Every kind, a line each.
const KINDS: &[Kind] = &[
    Kind { name: smtp::KIND, public_params: smtp::PUBLIC_PARAMS, prepare: smtp::prepare },
    Kind { name: webhook::KIND, public_params: &[], prepare: webhook::prepare },
];

/// The parameters of `kind` that may be shown to people: all others are secrets.
pub fn public_params(kind: &str) -> &'static [&'static str] {
    find(kind).map_or(&[], |kind| kind.public_params)
}

fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name.eq_ignore_ascii_case(name.trim()))
}

/// Knows every kind, and what they share.
pub struct Sinks {
    roots: Vec<CertificateDer<'static>>,
    client: Client,
    clock: Arc<dyn Clock>,
}

impl Sinks {
    /// `roots` are the authorities whose certificates are trusted; those that cannot be read are left
    /// out, since systems ship some.
    pub fn new(roots: Vec<CertificateDer<'static>>, clock: Arc<dyn Clock>) -> Self {
        let readable = |root: &CertificateDer<'static>| RootCertStore::empty().add(root.clone()).is_ok();
        let client = Client::new(&roots);
        Self { roots: roots.into_iter().filter(readable).collect(), client, clock }
    }
}

impl SinkFactory for Sinks {
    fn prepare(&self, definition: &NotifierDefinition, params: &Params) -> Result<SinkBuilder, Vec<Fault>> {
        let kind = find(&definition.kind).ok_or_else(|| vec![unknown(&definition.kind)])?;
        let built = (kind.prepare)(self, definition, params);
        match options_fault(kind, definition) {
            Some(fault) => Err([vec![fault], built.err().unwrap_or_default()].concat()),
            None => built,
        }
    }
}

/// No kind has options yet, and one that is ignored would be taken for one that works.
fn options_fault(kind: &Kind, definition: &NotifierDefinition) -> Option<Fault> {
    let options = definition.options.as_ref().map_or("", |options| options.expose().trim());
    let none = matches!(options, "" | "null" | "{}");
    (!none).then(|| Fault::new("options", format!("{} has no options", kind.name)))
}

fn unknown(name: &str) -> Fault {
    let known: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    let shown = text::reason(&text::cut(name, 40));
    Fault::new("type", format!("`{shown}` is not known: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use skypunch_actors::{domain::Secret, testing::TestClock};

    use super::*;

    fn prepare(kind: &str) -> Result<SinkBuilder, Vec<Fault>> {
        read(&NotifierDefinition::new("ops", kind, "ops@example.org"), "server=mail.example.org")
    }

    fn read(definition: &NotifierDefinition, params: &str) -> Result<SinkBuilder, Vec<Fault>> {
        let params = Params::parse(params).unwrap();
        Sinks::new(Vec::new(), Arc::new(TestClock::default())).prepare(definition, &params)
    }

    #[test]
    fn a_kind_is_matched_without_case() {
        assert!(prepare("SMTP").is_ok());
        assert!(prepare("smtp").is_ok());
    }

    #[test]
    fn an_unknown_kind_is_told_the_known_ones() {
        let faults = prepare("PIGEON\n").err().unwrap();
        let told = Fault::join(&faults);
        assert!(told.starts_with(r"type: `PIGEON\n` is not known: "), "{told}");
        assert!(told.contains(smtp::KIND), "{told}");
    }

    #[test]
    fn an_option_is_not_silently_ignored() {
        for (kind, address, params) in
            [("SMTP", "a@example.org", "server=m"), ("WEBHOOK", "https://example.org/", "")]
        {
            let mut definition = NotifierDefinition::new("ops", kind, address);
            definition.options = Some(Secret::new(r#"{"tls":{}}"#));
            let faults = read(&definition, params).err().unwrap();
            assert_eq!(Fault::join(&faults), format!("options: {kind} has no options"));
            definition.options = Some(Secret::new(" {} "));
            assert!(read(&definition, params).is_ok());
        }
    }

    #[test]
    fn no_kind_shows_its_password() {
        assert!(public_params("smtp").contains(&"user"));
        assert!(!public_params("smtp").contains(&"password"));
        assert!(public_params("pigeon").is_empty());
    }
}
