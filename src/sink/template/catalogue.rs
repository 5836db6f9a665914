//! The files that are compiled in, and those of the operator.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, OnceLock},
};

use skypunch_actors::domain::text;

use super::{
    fault::{FileFault, KindsError},
    kind::Kind,
};

macro_rules! compiled_in {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../conf/sinks/", $name, ".toml")))),*]
    };
}

/// Every file of `conf/sinks/` by its name, a line each.
const FILES: &[(&str, &str)] = compiled_in! {
    "alertmanager"
    "apprise"
    "bark"
    "clickup"
    "datadog"
    "dingtalk"
    "discord"
    "feishu"
    "github"
    "gitlab"
    "googlechat"
    "gotify"
    "homeassistant"
    "ifttt"
    "ilert"
    "incidentio"
    "line"
    "mailgun"
    "mastodon"
    "matrix"
    "mattermost"
    "messagebird"
    "n8n"
    "newrelic"
    "ntfy"
    "opsgenie"
    "pagerduty"
    "pushbullet"
    "pushover"
    "rocketchat"
    "sendgrid"
    "ses"
    "signal"
    "signl4"
    "slack"
    "splunkoncall"
    "squadcast"
    "teams"
    "telegram"
    "twilio"
    "vonage"
    "webex"
    "wecom"
    "zapier"
    "zulip"
};

/// All kinds that are data.
pub struct Catalogue {
    kinds: BTreeMap<String, Entry>,
}

/// A file that is read when somebody asks for it: there are many, and few are used.
struct Entry {
    stem: Cow<'static, str>,
    source: &'static str,
    read: OnceLock<Arc<Kind>>,
}

impl Catalogue {
    /// What is compiled in.
    pub fn compiled_in() -> Self {
        let entry = |(stem, source): &(&'static str, &'static str)| {
            (stem.to_uppercase(), Entry { stem: Cow::Borrowed(stem), source, read: OnceLock::new() })
        };
        Self { kinds: FILES.iter().map(entry).collect() }
    }

    /// The same with the files of a folder, which come before those that are compiled in; `taken` are kinds
    /// that no file can be. All that is wrong with all of them is named.
    pub fn with_folder(mut self, folder: &Path, taken: &[&str]) -> Result<Self, KindsError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            |source| KindsError::Read { path, source }
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = entry.map_err(unreadable(folder))?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                paths.push(path);
            }
        }
        paths.sort();
        let mut faults = Vec::new();
        for path in paths {
            let source = fs::read_to_string(&path).map_err(unreadable(&path))?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let (name, file) = (stem.to_uppercase(), text::reason(&path.display().to_string()));
            if taken.contains(&name.as_str()) {
                let problem = format!("{name} is built in, and no file can replace it");
                faults.push(FileFault { file, line: 1, problem });
                continue;
            }
            match Kind::read(&file, &stem, &source) {
                Ok(kind) => {
                    let read = OnceLock::from(Arc::new(kind));
                    self.kinds.insert(name, Entry { stem: Cow::Owned(stem), source: "", read });
                }
                Err(found) => faults.extend(found),
            }
        }
        if faults.is_empty() { Ok(self) } else { Err(KindsError::Faulty(faults)) }
    }

    /// The kind of this name, in any case.
    pub(in crate::sink) fn find(&self, name: &str) -> Option<Arc<Kind>> {
        self.kinds.get(&name.trim().to_uppercase()).map(Entry::kind)
    }

    /// The names of all kinds.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }
}

impl Entry {
    fn kind(&self) -> Arc<Kind> {
        let read = || {
            let path = format!("conf/sinks/{}.toml", self.stem);
            Kind::read(&path, &self.stem, self.source).map(Arc::new)
        };
        Arc::clone(self.read.get_or_init(|| read().expect("the tests read every file that is compiled in")))
    }
}
