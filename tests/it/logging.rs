//! The log as it stands on the disk: its lines, its rotation, its permissions, and what is said of a wrong one.

use std::{
    error::Error,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use log::{Level, Log, Record};
use skypunch::{
    logging::{self, Terminal},
    settings::{Overrides, Settings, Surroundings},
};
use tempfile::TempDir;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::support::wait::wait_until;

const BUILT_IN: &str = include_str!("../../conf/log4rs.yaml");

/// A state directory, and the settings that put the log there.
struct Place {
    temp: TempDir,
    settings: Settings,
}

impl Place {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let overrides = Overrides { state_dir: Some(temp.path().join("state")), config: None };
        let surroundings = Surroundings {
            directory: temp.path().into(),
            system_file: temp.path().join("none.toml"),
            ..Surroundings::default()
        };
        let settings = Settings::load_in(&overrides, &surroundings).unwrap().settings;
        Self { temp, settings }
    }

    /// One whose log is configured by a file of its own.
    fn with_config(text: &str) -> Self {
        let mut place = Self::new();
        let path = place.temp.path().join("log4rs.yaml");
        fs::write(&path, text).unwrap();
        place.settings.log.config = Some(path);
        place
    }

    fn begin(&self) -> log4rs::Logger {
        logging::logger(&self.settings, Terminal::Hidden).unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.settings.state_dir.join("log/skypunch.log")
    }

    fn log_dir(&self) -> Vec<String> {
        let entries = fs::read_dir(self.settings.state_dir.join("log")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn write(logger: &log4rs::Logger, level: Level, text: &str) {
    logger.log(
        &Record::builder()
            .target("skypunch_actors::logger")
            .level(level)
            .args(format_args!("{text}"))
            .build(),
    );
}

fn unzipped(path: &Path) -> String {
    let output = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(output.status.success(), "{}", path.display());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_line_is_stamp_level_and_message_and_nothing_else() {
    let place = Place::new();
    let logger = place.begin();
    write(
        &logger,
        Level::Info,
        "[1] Google Dot COM                 GET https://www.google.com PASS (200 OK)",
    );
    write(&logger, Level::Error, "[8] Localhost nginx test           GET http://localhost/ FAIL (…)");

    let log = fs::read_to_string(place.log_file()).unwrap();
    let (stamps, rest): (Vec<&str>, Vec<&str>) =
        log.split_inclusive('\n').map(|line| line.split_at(24)).unzip();
    assert_eq!(
        rest,
        [
            " INFO [1] Google Dot COM                 GET https://www.google.com PASS (200 OK)\n",
            " ERROR [8] Localhost nginx test           GET http://localhost/ FAIL (…)\n",
        ]
    );
    let written = OffsetDateTime::from(fs::metadata(place.log_file()).unwrap().modified().unwrap());
    for stamp in stamps {
        assert!(stamp.ends_with('Z') && stamp.as_bytes()[19] == b'.', "{stamp}");
        let age = written - OffsetDateTime::parse(stamp, &Rfc3339).unwrap();
        assert!(age.abs() < time::Duration::seconds(20), "{stamp}");
    }
}

#[tokio::test]
async fn full_files_are_compressed_and_only_five_are_kept() {
    let place = Place::with_config(&BUILT_IN.replace("limit: 10 mb", "limit: 2 kb"));
    let logger = place.begin();
    let last = 400;
    for number in 1..=last {
        write(
            &logger,
            Level::Info,
            &format!("[{number}] a line that is about half a hundred characters long"),
        );
    }
    let kept: Vec<String> = (1..=5).map(|number| format!("skypunch.{number}.log.gz")).collect();
    let mut whole = kept.clone();
    whole.push("skypunch.log".to_owned());
    wait_until("five compressed files and the log", || (place.log_dir() == whole).then_some(())).await;

    // Newest last: what is kept must be the end of what was written, without a gap.
    let folder = place.settings.state_dir.join("log");
    let mut text: String = kept.iter().rev().map(|name| unzipped(&folder.join(name))).collect();
    text.push_str(&fs::read_to_string(place.log_file()).unwrap());
    let numbers: Vec<u32> =
        text.lines().map(|line| line[31..].split_once(']').unwrap().0.parse().unwrap()).collect();
    let expected: Vec<u32> = (last + 1 - numbers.len() as u32..=last).collect();
    assert_eq!(numbers, expected);
    assert!(numbers.len() > 100, "five files of 2 KiB hold more than {} lines", numbers.len());
}

#[test]
fn the_log_is_for_its_owner_alone() {
    let place = Place::new();
    logging::init(&place.settings, Terminal::Hidden).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.log_file()), 0o600);
    assert_eq!(mode(place.log_file().parent().unwrap()), 0o700);
    log::info!(target: "skypunch", "begun");
    assert!(fs::read_to_string(place.log_file()).unwrap().ends_with(" INFO begun\n"));
    assert!(logging::init(&place.settings, Terminal::Hidden).is_err());
}

#[test]
fn a_check_names_the_fault_and_creates_nothing() {
    logging::check(&Place::new().settings).unwrap();

    let place = Place::with_config("appenders: {}\nroot: { level: info, appender: [file] }\n");
    let error = logging::check(&place.settings).unwrap_err();
    assert!(error.to_string().contains("log4rs.yaml"), "{error}");
    let source = error.source().unwrap().to_string();
    assert!(source.contains("unknown field `appender`") && source.contains("line 2"), "{source}");

    let place = Place::with_config(&BUILT_IN.replace("{m}", "{weather}"));
    let error = logging::check(&place.settings).unwrap_err().to_string();
    assert!(error.contains("log4rs.yaml: appender file (log/skypunch.log)"), "{error}");
    assert!(error.contains("weather"), "{error}");
    assert!(!place.settings.state_dir.exists());
}

#[test]
fn a_file_that_cannot_be_opened_is_named_in_full() {
    let place = Place::new();
    fs::write(&place.settings.state_dir, "a file where the directory should be").unwrap();
    let error = logging::logger(&place.settings, Terminal::Hidden).unwrap_err().to_string();
    assert!(error.contains(&place.log_file().display().to_string()), "{error}");
}

#[test]
fn a_missing_configuration_is_named() {
    let mut place = Place::new();
    place.settings.log.config = Some("/no/such/log4rs.yaml".into());
    let error = logging::check(&place.settings).unwrap_err().to_string();
    assert!(error.contains("/no/such/log4rs.yaml"), "{error}");
}
