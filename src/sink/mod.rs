//! The kinds of notifiers: a file a kind, and one table from the name to what prepares it. Most kinds are
//! data, see [`template`].

mod exec;
mod facts;
mod http;
mod manual;
mod message;
mod own;
mod smtp;
mod template;
mod tweet;
mod webhook;

use std::sync::Arc;

use rustls::{RootCertStore, pki_types::CertificateDer};
use serde_json::{Map, Value};
use skypunch_actors::{
    domain::{Fault, NotifierDefinition, Params, Secret, text},
    port::{Clock, SinkBuilder, SinkFactory},
};

use self::template::Pacer;
pub use self::{
    manual::{Manual, ParamManual, Public},
    template::{Catalogue, FileFault, KindsError},
};
use crate::{
    fields::Fields,
    net::{Client, TlsOptions},
};

/// What the table knows of a kind.
struct Kind {
    /// What the column `type` says.
    name: &'static str,
    manual: fn() -> Manual,
    prepare: Prepare,
}

type Prepare = fn(&Sinks, &NotifierDefinition, &Params, &mut Fields<'_>) -> Result<SinkBuilder, Vec<Fault>>;

/// Every kind that is no file, a line each.
const KINDS: &[Kind] = &[
    Kind { name: exec::KIND, manual: exec::manual, prepare: exec::prepare },
    Kind { name: smtp::KIND, manual: smtp::manual, prepare: smtp::prepare },
    Kind { name: tweet::KIND, manual: tweet::manual, prepare: tweet::prepare },
    Kind { name: webhook::KIND, manual: webhook::manual, prepare: webhook::prepare },
];

/// The names of the kinds that are no files, and that no file can replace.
pub fn built_in() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name).collect()
}

fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name.eq_ignore_ascii_case(name.trim()))
}

/// Knows every kind, and what they share.
pub struct Sinks {
    roots: Vec<CertificateDer<'static>>,
    client: Client,
    clock: Arc<dyn Clock>,
    catalogue: Catalogue,
    pacer: Arc<Pacer>,
    allow_exec: bool,
}

impl Sinks {
    /// `roots` are the authorities whose certificates are trusted; those that cannot be read are left
    /// out, since systems ship some.
    pub fn new(roots: Vec<CertificateDer<'static>>, clock: Arc<dyn Clock>) -> Self {
        let readable = |root: &CertificateDer<'static>| RootCertStore::empty().add(root.clone()).is_ok();
        let client = Client::new(&roots);
        let roots = roots.into_iter().filter(readable).collect();
        let catalogue = Catalogue::compiled_in();
        Self { roots, client, clock, catalogue, pacer: Arc::default(), allow_exec: false }
    }

    /// The same, with these files.
    pub fn knowing(self, catalogue: Catalogue) -> Self {
        Self { catalogue, ..self }
    }

    /// The same, which run commands if that is allowed.
    pub fn allowing_exec(self, allow_exec: bool) -> Self {
        Self { allow_exec, ..self }
    }

    /// What people are told of every kind, by name.
    pub fn manuals(&self) -> Vec<Manual> {
        let files = self.catalogue.names().filter_map(|name| self.catalogue.find(name));
        let mut manuals: Vec<Manual> = files.map(|kind| kind.manual()).collect();
        manuals.extend(KINDS.iter().map(|kind| (kind.manual)()));
        manuals.sort_by(|a, b| a.kind.cmp(&b.kind));
        manuals
    }

    /// What of a row of this kind may be shown to people.
    pub fn public(&self, kind: &str) -> Public {
        let built_in = find(kind).map(|kind| (kind.manual)());
        let manual = built_in.or_else(|| Some(self.catalogue.find(kind)?.manual()));
        manual.map(|manual| manual.public()).unwrap_or_default()
    }

    /// The client of a row, which may want its TLS otherwise.
    fn client(&self, options: &mut Fields<'_>) -> Client {
        match options.raw("tls").filter(|tls| !tls.is_null()).map(TlsOptions::read) {
            None => self.client.clone(),
            Some(Ok(tls)) => self.client.with_tls(&tls),
            Some(Err(faults)) => {
                options.extend(faults);
                self.client.clone()
            }
        }
    }
}

impl SinkFactory for Sinks {
    fn prepare(&self, definition: &NotifierDefinition, params: &Params) -> Result<SinkBuilder, Vec<Fault>> {
        let file = self.catalogue.find(&definition.kind);
        let built_in = find(&definition.kind);
        if file.is_none() && built_in.is_none() {
            return Err(vec![self.unknown(&definition.kind)]);
        }
        let object = read_options(definition.options.as_ref()).map_err(|fault| vec![fault])?;
        let mut options = Fields::of(&object);
        let built = match (built_in, file) {
            (Some(kind), _) => (kind.prepare)(self, definition, params, &mut options),
            (None, Some(kind)) => template::prepare(self, kind, definition, params, &mut options),
            (None, None) => unreachable!("an unknown kind was refused"),
        };
        let of_options = options.finish();
        if of_options.is_empty() {
            return built;
        }
        let of_options = of_options.into_iter().map(|problem| Fault::new("options", problem));
        Err(of_options.chain(built.err().unwrap_or_default()).collect())
    }
}

impl Sinks {
    fn unknown(&self, name: &str) -> Fault {
        let known: Vec<&str> = built_in().into_iter().chain(self.catalogue.names()).collect();
        let shown = text::reason(&text::cut(name, 40));
        Fault::new("type", format!("`{shown}` is not known: {}", known.join(", ")))
    }
}

fn read_options(column: Option<&Secret>) -> Result<Map<String, Value>, Fault> {
    let text = column.map_or("", Secret::expose).trim();
    if text.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(Fault::new("options", "must be a JSON object")),
        Err(e) => Err(Fault::new("options", format!("not JSON (line {}, column {})", e.line(), e.column()))),
    }
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
        let url = "https://example.org/";
        for (kind, address, params, known) in [
            ("SMTP", "a@example.org", "server=m", "template"),
            ("WEBHOOK", url, "", "tls"),
            ("SLACK", url, "", "template, tls"),
            ("SES", "a@example.org", "region=x,user=u,password=p,from=b@example.org", "template"),
        ] {
            let mut definition = NotifierDefinition::new("ops", kind, address);
            let mut faults = |options: &str| {
                definition.options = Some(Secret::new(options));
                read(&definition, params).err().map(|faults| Fault::join(&faults)).unwrap_or_default()
            };
            assert_eq!(
                faults(r#"{"nonsense":1}"#),
                format!("options: unknown option `nonsense`: known are {known}")
            );
            assert_eq!(faults(" {} "), "");
            assert_eq!(faults("null"), "");
            assert_eq!(faults("[]"), "options: must be a JSON object");
            assert_eq!(faults("{"), "options: not JSON (line 1, column 1)");
        }
    }

    #[test]
    fn all_faults_of_a_row_are_named_at_once() {
        let mut definition = NotifierDefinition::new("ops", "slack", "hunter2");
        definition.options = Some(Secret::new(r#"{"template":"{{ x","tls":{"verify":1}}"#));
        let faults = Fault::join(&read(&definition, "colour=red").err().unwrap());
        for told in [
            "`template` cannot be used",
            "`tls.verify`",
            "`colour` is not known",
            "address: is not an absolute URL",
        ] {
            assert!(faults.contains(told), "{faults}");
        }
        assert!(!faults.contains("hunter2"), "{faults}");
    }

    #[test]
    fn no_kind_shows_its_password() {
        let sinks = Sinks::new(Vec::new(), Arc::new(TestClock::default()));
        let Public { address, params } = sinks.public("smtp");
        assert!(address && params.contains(&"user".to_owned()) && !params.contains(&"password".to_owned()));
        assert!(!sinks.public("webhook").address && !sinks.public("slack").address);
        assert_eq!(sinks.public("pigeon"), Public::default());
    }

    #[test]
    fn every_kind_can_be_told_of() {
        let sinks = Sinks::new(Vec::new(), Arc::new(TestClock::default()));
        let manuals = sinks.manuals();
        let names: Vec<&str> = manuals.iter().map(|manual| manual.kind.as_str()).collect();
        assert!(names.is_sorted() && names.len() > KINDS.len(), "{names:?}");
    }
}
