//! Puts the layers together and reads every key of them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    value::{Dict, Value},
};
use skypunch_actors::domain::Retention;

use super::{
    Daemon, Database, Fault, Journal, Loaded, Log, Notify, Overrides, Probe, Settings, SettingsError,
    Surroundings, Web,
    key::{self, Form, Key},
    layer::{self, Layer, Origin},
    state_dir,
    surroundings::CONFIG_VARIABLE,
};

/// How much of a wrong value is shown.
const SHOWN_CHARACTERS: usize = 60;

pub(super) fn load(overrides: &Overrides, surroundings: &Surroundings) -> Result<Loaded, SettingsError> {
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    let file = find_file(overrides, surroundings)?;

    let mut figment = Figment::new();
    for (key, default) in key::ALL {
        figment = figment.merge(Layer::one(Origin::Default, key, default));
    }
    if let Some((path, text)) = &file {
        let values = parse_file(path, text)?;
        check_names(path, &values, &mut faults);
        figment = figment.merge(Layer::new(Origin::File, values));
    }
    for layer in layer::environment(surroundings, &mut faults, &mut warnings) {
        figment = figment.merge(layer);
    }
    if let Some(path) = &overrides.state_dir {
        match path.to_str() {
            Some(text) => figment = figment.merge(Layer::one(Origin::CommandLine, key::STATE_DIR.name, text)),
            None => faults.push(Fault::new("--state-dir", "not UTF-8")),
        }
    }

    let file = file.map(|(path, _)| path);
    let mut reader = Reader { figment, file: file.as_deref(), faults };
    let settings = read(&mut reader, surroundings)?;
    match reader.faults {
        faults if faults.is_empty() => Ok(Loaded { settings, file, warnings }),
        faults => Err(SettingsError::Invalid(faults)),
    }
}

/// The file to read, and its text. One that somebody named must exist.
fn find_file(
    overrides: &Overrides,
    surroundings: &Surroundings,
) -> Result<Option<(PathBuf, String)>, SettingsError> {
    let named = overrides.config.as_deref().or(surroundings.variable(CONFIG_VARIABLE).map(Path::new));
    let candidates = match named {
        Some(path) => vec![path],
        None => vec![Path::new("conf/skypunch.toml"), &surroundings.system_file],
    };
    for path in candidates {
        let path = surroundings.directory.join(path);
        match fs::read_to_string(&path) {
            Ok(text) => return Ok(Some((path, text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {}
            Err(source) => return Err(SettingsError::Read { path, source }),
        }
    }
    Ok(None)
}

fn parse_file(path: &Path, text: &str) -> Result<Dict, SettingsError> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        SettingsError::Malformed {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: error.message().replace('\n', ": "),
        }
    })
}

/// Finds the keys that do not exist, and the sections that are values.
fn check_names(path: &Path, values: &Dict, faults: &mut Vec<Fault>) {
    for (name, value) in values {
        let inside: Vec<&str> = key::in_section(name).collect();
        match value {
            Value::Dict(_, section) if !inside.is_empty() => {
                for key in section.keys().filter(|key| !inside.contains(&key.as_str())) {
                    let place = format!("{}: {name}.{key}", path.display());
                    faults.push(Fault::new(place, key::unknown(key, &format!("[{name}]"), &inside)));
                }
            }
            _ if !inside.is_empty() => {
                let problem = format!("a section: write [{name}] and its keys below");
                faults.push(Fault::new(format!("{}: {name}", path.display()), problem));
            }
            _ if key::names().any(|key| key == name) => {}
            _ => {
                let known: Vec<&str> = key::top_level().collect();
                let problem = key::unknown(name, "the top level", &known);
                faults.push(Fault::new(format!("{}: {name}", path.display()), problem));
            }
        }
    }
}

fn read(reader: &mut Reader<'_>, surroundings: &Surroundings) -> Result<Settings, SettingsError> {
    // Beside the file is where its author sees it; without a file the working directory is all there is.
    let beside = reader.file.and_then(Path::parent).unwrap_or(&surroundings.directory).to_owned();
    let state_dir = match reader.read(&key::STATE_DIR) {
        Some(path) if Origin::of(&reader.figment, key::STATE_DIR.name) == Some(Origin::File) => {
            beside.join(path)
        }
        Some(path) => surroundings.directory.join(path),
        None => state_dir::default_in(surroundings)?,
    };
    Ok(Settings {
        database: Database {
            url: reader.read(&key::DATABASE_URL).below(&state_dir),
            tls: reader.read(&key::DATABASE_TLS),
            ca_file: reader.read(&key::DATABASE_CA_FILE).map(|path| beside.join(path)),
            flush_interval: reader.read(&key::DATABASE_FLUSH_INTERVAL),
        },
        journal: Journal { max_bytes: reader.read(&key::JOURNAL_MAX_BYTES) },
        daemon: Daemon {
            reload_interval: reader.read(&key::DAEMON_RELOAD_INTERVAL),
            socket: state_dir.join(reader.read(&key::DAEMON_SOCKET)),
            socket_mode: reader.read(&key::DAEMON_SOCKET_MODE),
            shutdown_timeout: reader.read(&key::DAEMON_SHUTDOWN_TIMEOUT),
        },
        probe: Probe {
            threads: reader.read(&key::PROBE_THREADS),
            user_agent: reader.read(&key::PROBE_USER_AGENT),
        },
        history: Retention {
            raw: reader.read(&key::HISTORY_RAW),
            minute: reader.read(&key::HISTORY_MINUTE),
            hour: reader.read(&key::HISTORY_HOUR),
            day: reader.read(&key::HISTORY_DAY),
        },
        log: Log { config: reader.read(&key::LOG_CONFIG).map(|path| beside.join(path)) },
        web: Web { listen: reader.read(&key::WEB_LISTEN) },
        notify: Notify {
            give_up_after: reader.read(&key::NOTIFY_GIVE_UP_AFTER),
            sinks_dir: reader.read(&key::NOTIFY_SINKS_DIR).map(|path| beside.join(path)),
            allow_exec: reader.read(&key::NOTIFY_ALLOW_EXEC),
        },
        state_dir,
    })
}

/// Reads key after key and collects what is wrong.
struct Reader<'a> {
    figment: Figment,
    file: Option<&'a Path>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    /// The value of `key`; where it is wrong, a fault, and the default so that the others are read too.
    fn read<T>(&mut self, key: &Key<T>) -> T {
        // A key cannot be found where its section is a value, which is a fault already.
        let found = self.figment.find_value(key.name).unwrap_or_else(|_| key.default.into());
        let origin = Origin::of(&self.figment, key.name).unwrap_or(Origin::Default);
        let parsed = match (&found, key.form) {
            (Value::String(_, text), form) if form == Form::Text || origin != Origin::File => {
                let found = if key.shown { format!("{:?}: ", cut(text)) } else { String::new() };
                (key.parse)(text).map_err(|problem| format!("{found}{problem}"))
            }
            (number @ Value::Num(..), Form::Number) if number.to_f64().is_none() => {
                let text = number.to_i128().map(|n| n.to_string()).unwrap_or_default();
                (key.parse)(&text).map_err(|problem| format!("{text}: {problem}"))
            }
            (Value::Bool(_, truth), Form::Truth) => (key.parse)(&truth.to_string()),
            (_, Form::Text) => Err("must be a text in quotes".to_owned()),
            (_, Form::Number) => Err("must be a whole number".to_owned()),
            (_, Form::Truth) => Err("must be true or false, without quotes".to_owned()),
        };
        parsed.unwrap_or_else(|problem| {
            let place = match origin {
                Origin::CommandLine => "--state-dir".to_owned(),
                Origin::Environment => layer::variable(key.name),
                Origin::Default => key.name.to_owned(),
                Origin::File => {
                    let file = self.file.expect("a value of the file has a file");
                    format!("{}: {}", file.display(), key.name)
                }
            };
            self.faults.push(Fault::new(place, format!("{problem}; allowed: {}", key.allowed)));
            (key.parse)(key.default).expect("a default is allowed")
        })
    }
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN_CHARACTERS).collect()
}
