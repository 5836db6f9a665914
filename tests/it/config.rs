//! Where settings come from, which comes first, and what is said of wrong ones.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    time::Duration,
};

use skypunch::settings::{DatabaseUrl, Loaded, Overrides, Settings, SettingsError, Surroundings};
use tempfile::TempDir;

const CONF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/skypunch.toml");
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/config");

/// A machine of its own: a working directory, a system file, an environment.
struct Machine {
    temp: TempDir,
    surroundings: Surroundings,
    overrides: Overrides,
}

impl Machine {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let directory = temp.path().join("work");
        fs::create_dir(&directory).unwrap();
        let system_file = temp.path().join("skypunch.toml");
        let surroundings = Surroundings { variables: [].into(), directory, system_file, root: true };
        Self { temp, surroundings, overrides: Overrides::default() }
    }

    fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.surroundings.variables.insert(name.into(), value.into());
        self
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn config(mut self, path: &str) -> Self {
        self.overrides.config = Some(path.into());
        self
    }

    fn state_dir(mut self, path: &str) -> Self {
        self.overrides.state_dir = Some(path.into());
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.temp.path().join(path)
    }

    fn load(&self) -> Result<Loaded, SettingsError> {
        Settings::load_in(&self.overrides, &self.surroundings)
    }

    fn settings(&self) -> Settings {
        self.load().unwrap().settings
    }

    fn error(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

fn listen(port: u16) -> String {
    format!("[web]\nlisten = \"127.0.0.1:{port}\"\n")
}

fn port(settings: &Settings) -> u16 {
    settings.web.listen.unwrap().port()
}

#[test]
fn defaults_alone_are_enough() {
    let machine = Machine::new();
    let Loaded { settings, file, warnings } = machine.load().unwrap();
    assert_eq!((file, warnings), (None, vec![]));
    assert_eq!(settings.state_dir, Path::new("/var/lib/skypunch"));
    assert_eq!(settings.database.url, DatabaseUrl::Sqlite("/var/lib/skypunch/skypunch.db".into()));
    assert_eq!(settings.database.flush_interval, Duration::from_millis(500));
    assert_eq!(settings.journal.max_bytes, 1 << 30);
    assert_eq!(settings.journal_dir(), Path::new("/var/lib/skypunch/journal"));
    assert_eq!(settings.daemon.socket, Path::new("/var/lib/skypunch/skypunch.sock"));
    assert_eq!(settings.daemon.socket_mode, 0o600);
    assert_eq!(settings.history.raw, Some(Duration::from_secs(7 * 24 * 3600)));
    assert_eq!(settings.history.day, None);
    assert_eq!(settings.notify.give_up_after, Duration::from_secs(24 * 3600));
    assert_eq!(settings.log.config, None);
    assert_eq!(port(&settings), 8900);
}

#[test]
fn the_nearest_file_is_read_and_no_other() {
    let machine = Machine::new().file("skypunch.toml", &listen(1));
    assert_eq!(port(&machine.settings()), 1);
    let machine = machine.file("work/conf/skypunch.toml", &listen(2));
    assert_eq!(port(&machine.settings()), 2);
    let machine = machine.file("work/named.toml", &listen(3)).variable("SKYPUNCH_CONFIG", "named.toml");
    assert_eq!(port(&machine.settings()), 3);
    let machine = machine.file("work/given.toml", &listen(4)).config("given.toml");
    assert_eq!(port(&machine.settings()), 4);
    assert_eq!(machine.load().unwrap().file, Some(machine.path("work/given.toml")));
}

#[test]
fn a_file_that_somebody_names_must_exist() {
    let missing = Machine::new().config("missing.toml");
    assert!(missing.error().contains("work/missing.toml"), "{}", missing.error());
    let missing = Machine::new().variable("SKYPUNCH_CONFIG", "missing.toml");
    assert!(missing.error().contains("work/missing.toml"), "{}", missing.error());
}

#[test]
fn the_command_line_beats_the_environment_which_beats_the_file() {
    let file = format!("state_dir = \"/file\"\n{}", listen(1));
    let machine = Machine::new().file("skypunch.toml", &file);
    assert_eq!(machine.settings().state_dir, Path::new("/file"));
    let machine =
        machine.variable("SKYPUNCH_STATE_DIR", "/variable").variable("SKYPUNCH_WEB__LISTEN", "127.0.0.1:2");
    assert_eq!(machine.settings().state_dir, Path::new("/variable"));
    assert_eq!(port(&machine.settings()), 2);
    assert_eq!(machine.state_dir("/option").settings().state_dir, Path::new("/option"));
}

#[test]
fn a_variable_is_text_whatever_it_looks_like() {
    let machine = Machine::new()
        .variable("SKYPUNCH_DAEMON__SOCKET_MODE", "0660")
        .variable("SKYPUNCH_PROBE__USER_AGENT", "true")
        .variable("SKYPUNCH_PROBE__THREADS", "3")
        .variable("SKYPUNCH_DATABASE__URL", "mysql://eve:[1,2]@db/skypunch")
        .variable("SKYPUNCH_WEB__LISTEN", "");
    let settings = machine.settings();
    assert_eq!(settings.daemon.socket_mode, 0o660);
    assert_eq!(settings.probe.user_agent, "true");
    assert_eq!(settings.probe.threads, 3);
    assert_eq!(settings.web.listen, None);
    let DatabaseUrl::Mysql { password, .. } = settings.database.url else { panic!("not MySQL") };
    assert_eq!(password.unwrap().expose(), "[1,2]");
}

#[test]
fn relative_paths_are_below_the_state_or_beside_the_file() {
    let file = r#"
        state_dir = "state"
        [database]
        url = "sqlite:db/a.db"
        ca_file = "ca.pem"
        [daemon]
        socket = "run.sock"
        [log]
        config = "log4rs.yaml"
    "#;
    let machine = Machine::new().file("etc/a.toml", file).config("../etc/a.toml");
    let beside = machine.path("work/../etc");
    let settings = machine.settings();
    assert_eq!(settings.state_dir, beside.join("state"));
    assert_eq!(settings.database.url, DatabaseUrl::Sqlite(beside.join("state/db/a.db")));
    assert_eq!(settings.daemon.socket, beside.join("state/run.sock"));
    assert_eq!(settings.database.ca_file, Some(beside.join("ca.pem")));
    assert_eq!(settings.log.config, Some(beside.join("log4rs.yaml")));

    let settings = machine.state_dir("here").settings();
    assert_eq!(settings.state_dir.file_name().unwrap(), "here");
    assert_eq!(settings.state_dir.parent().unwrap().file_name().unwrap(), "work");
}

#[test]
fn a_variable_that_names_no_setting_is_a_warning() {
    let machine = Machine::new()
        .variable("SKYPUNCH_DATABASE_URL", "mysql://eve:hunter2@db/skypunch")
        .variable("SKYPUNCH_COLOUR", "blue")
        .variable("SKYPUNCH_TEST_MYSQL_URL", "mysql://root@db/test")
        .variable("SKYPUNCHER", "no");
    let warnings = machine.load().unwrap().warnings;
    assert_eq!(
        warnings,
        [
            "the variable SKYPUNCH_COLOUR names no setting",
            "the variable SKYPUNCH_DATABASE_URL names no setting; did you mean SKYPUNCH_DATABASE__URL?",
        ]
    );
}

#[test]
fn a_wrong_variable_or_option_is_named() {
    let machine = Machine::new()
        .variable("SKYPUNCH_PROBE__THREADS", "many")
        .variable("SKYPUNCH_DATABASE__URL", "mysql://eve:hunter2@db:x/skypunch")
        .variable("SKYPUNCH_DAEMON__SOCKET", OsString::from_vec(vec![b'/', 0xff]));
    insta::assert_snapshot!(machine.error());
}

#[test]
fn every_fault_of_a_file_is_named_with_what_is_allowed() {
    let mut seen = 0;
    for entry in fs::read_dir(FIXTURES).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(name.starts_with("invalid-"), "{name}");
        let machine = Machine::new().config(path.to_str().unwrap());
        let error = machine.error().replace(FIXTURES, "/etc");
        assert!(!error.contains("hunter2"), "{error}");
        insta::assert_snapshot!(name, error);
        seen += 1;
    }
    assert!(seen >= 5);
}

#[test]
fn the_documented_file_names_every_key_with_its_default() {
    let text = fs::read_to_string(CONF).unwrap();
    let said: String = text.lines().map(|line| format!("{}\n", uncommented(line))).collect();
    let machine = Machine::new();
    let defaults = machine.settings();
    let machine = machine.file("work/conf/skypunch.toml", &said);
    assert_eq!(machine.settings(), defaults);
    let machine = machine.file("work/conf/skypunch.toml", &text);
    assert_eq!(machine.settings(), defaults);

    let documented = said.lines().filter(|line| is_key(line)).count();
    assert_eq!(documented, Settings::keys().count(), "keys in conf/skypunch.toml");
}

/// A default is written `#key = value`, prose `# like this`.
fn uncommented(line: &str) -> &str {
    line.strip_prefix('#').filter(|rest| is_key(rest)).unwrap_or(line)
}

fn is_key(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_lowercase()) && line.contains(" = ")
}
