//! The scenarios: what is measured, as data.

use serde::Serialize;

/// One way to load the daemon.
#[derive(Clone, Debug, Serialize)]
pub struct Scenario {
    pub name: &'static str,
    /// What it shows, for people.
    #[serde(skip)]
    pub about: &'static str,
    pub targets: usize,
    pub frequency_s: u32,
    pub backend: Backend,
    pub connection: Connection,
    pub trouble: Trouble,
    /// Whether a missed slot is a fault.
    pub every_slot: bool,
    /// The length of the measurement; a multiple of the frequency.
    pub seconds: u32,
    /// Its length among the usual scenarios; `None` if it is not one of them.
    #[serde(skip)]
    pub short: Option<u32>,
}

/// Where the daemon keeps what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    Sqlite,
    /// A private MariaDB, which the run starts itself.
    Mysql,
}

/// How targets are reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// A new one for each probe.
    Fresh,
    /// A new one with a full TLS handshake.
    Tls,
    /// One for each target, kept open.
    KeepAlive,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trouble {
    None,
    /// One target of twenty accepts and never answers.
    Hanging,
    /// One target of twenty begins to fail in the first half of the measurement, and a webhook is told.
    Failing,
    /// Each target passes and fails for some minutes by turns, and a webhook is told.
    Flapping,
    /// The database is away for a minute, during which every second target begins to fail.
    Outage,
    /// Half of the targets, then all of them, then a tenth.
    Overload,
}

/// The timeout of every target.
pub const TIMEOUT_S: u32 = 1;

/// How long the database is away in an outage.
pub const OUTAGE_S: u32 = 60;

const PLAIN: Scenario = Scenario {
    name: "",
    about: "",
    targets: 1_000,
    frequency_s: 1,
    backend: Backend::Sqlite,
    connection: Connection::Fresh,
    trouble: Trouble::None,
    every_slot: true,
    seconds: 60,
    short: None,
};

/// All of them, in the order in which they are listed and run.
pub const SCENARIOS: [Scenario; 16] = [
    Scenario { name: "sqlite-100", about: "a small installation", targets: 100, ..PLAIN },
    Scenario { name: "sqlite-1000", about: "a usual one", short: Some(20), ..PLAIN },
    Scenario { name: "sqlite-5000", about: "a large one", targets: 5_000, ..PLAIN },
    Scenario { name: "sqlite-10000", about: "a huge one", targets: 10_000, short: Some(20), ..PLAIN },
    Scenario {
        name: "sqlite-20000",
        about: "more than two cores can do, all at once from the start",
        targets: 20_000,
        every_slot: false,
        ..PLAIN
    },
    Scenario { name: "mysql-1000", about: "a usual one on MariaDB", backend: Backend::Mysql, ..PLAIN },
    Scenario {
        name: "mysql-10000",
        about: "a huge one on MariaDB",
        targets: 10_000,
        backend: Backend::Mysql,
        short: Some(20),
        ..PLAIN
    },
    Scenario {
        name: "every-10s",
        about: "many rows, each probed seldom",
        targets: 100_000,
        frequency_s: 10,
        short: Some(20),
        ..PLAIN
    },
    Scenario {
        name: "every-60s",
        about: "a quiet daemon: what it costs while it has little to do",
        frequency_s: 60,
        seconds: 120,
        short: Some(60),
        ..PLAIN
    },
    Scenario {
        name: "hanging",
        about: "5 % accept and never answer; the others must lose nothing",
        targets: 10_000,
        trouble: Trouble::Hanging,
        short: Some(20),
        ..PLAIN
    },
    Scenario {
        name: "failing",
        about: "5 % begin to fail, and a webhook is told",
        targets: 10_000,
        trouble: Trouble::Failing,
        short: Some(20),
        ..PLAIN
    },
    Scenario {
        name: "https",
        about: "a full TLS handshake for each probe",
        targets: 2_000,
        connection: Connection::Tls,
        short: Some(20),
        ..PLAIN
    },
    Scenario {
        name: "keep-alive",
        about: "a connection for each target, kept open",
        targets: 10_000,
        connection: Connection::KeepAlive,
        short: Some(20),
        ..PLAIN
    },
    Scenario {
        name: "overload",
        about: "half of 20,000 targets, then all, then a tenth",
        targets: 20_000,
        trouble: Trouble::Overload,
        every_slot: false,
        short: Some(30),
        ..PLAIN
    },
    Scenario {
        name: "outage",
        about: "a minute without MariaDB, during which every second target begins to fail",
        backend: Backend::Mysql,
        trouble: Trouble::Outage,
        seconds: 120,
        ..PLAIN
    },
    Scenario {
        name: "flapping",
        about: "an hour of targets that pass and fail by turns, and a webhook is told",
        targets: 5_000,
        trouble: Trouble::Flapping,
        seconds: 3_600,
        ..PLAIN
    },
];

impl Scenario {
    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        SCENARIOS.into_iter().find(|scenario| scenario.name == name)
    }

    /// One of somebody's own.
    pub fn own(targets: usize, frequency_s: u32, backend: Backend) -> Self {
        Self { name: "own", targets, frequency_s, backend, ..PLAIN }.lasting(PLAIN.seconds)
    }

    /// The same for another time, which is rounded up to whole slots.
    pub fn lasting(self, seconds: u32) -> Self {
        Self { seconds: seconds.max(1).next_multiple_of(self.frequency_s), ..self }
    }

    /// Whether a target accepts and never answers.
    pub fn hangs(&self, id: usize) -> bool {
        self.trouble == Trouble::Hanging && is_one_of_twenty(id)
    }

    /// Whether a target is probed from the start.
    pub fn begins_enabled(&self, id: usize) -> bool {
        self.trouble != Trouble::Overload || id <= self.targets / 2
    }

    /// Whether a target is probed at the end.
    pub fn ends_enabled(&self, id: usize) -> bool {
        self.trouble != Trouble::Overload || id <= self.remaining()
    }

    /// How many targets remain when the load goes away: the first ones, so that whatever shares targets out by
    /// their ids shares them out evenly at all times.
    pub fn remaining(&self) -> usize {
        self.targets / 10
    }

    /// Whether somebody is told of failures.
    pub fn tells(&self) -> bool {
        matches!(self.trouble, Trouble::Failing | Trouble::Flapping)
    }

    /// What stands in the column `options` of its targets.
    pub fn options(&self, ca_file: &str) -> Option<String> {
        match self.connection {
            Connection::Fresh => None,
            Connection::Tls => Some(format!(r#"{{"tls": {{"ca_file": "{ca_file}"}}}}"#)),
            Connection::KeepAlive => Some(r#"{"connection": "reuse"}"#.to_owned()),
        }
    }
}

/// Picks 5 % of the targets, among them the only twentieth of twenty.
pub fn is_one_of_twenty(id: usize) -> bool {
    id.is_multiple_of(20)
}
