//! The load benchmark: its command line. docs/performance.md says how to use it and how to read it.
//!
//! Ends with 1 if a scenario is not as it must be, with 2 if it is not used as it should be.

#[path = "mod.rs"]
mod load;
mod support;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use argh::{FromArgValue, FromArgs};
use tokio::process::Command;

use self::load::{
    bare,
    measure::measure,
    process::allow_many_files,
    report::Report,
    scenario::{Backend, OUTAGE_S, SCENARIOS, Scenario, Trouble},
};

/// The first argument of a process that is the bare client.
const BARE_CLIENT: &str = "bare-client";

/// Measures skypunch under load. Without arguments it goes through the usual scenarios, in a short form.
#[derive(FromArgs)]
struct Arguments {
    /// scenarios, by name
    #[argh(positional)]
    names: Vec<String>,
    /// say which scenarios there are
    #[argh(switch)]
    list: bool,
    /// how long to measure each, whatever it says itself
    #[argh(option)]
    seconds: Option<u32>,
    /// write the reports to this file, too, as JSON
    #[argh(option)]
    json: Option<PathBuf>,
    /// a scenario of your own: how many targets (1000)
    #[argh(option)]
    targets: Option<usize>,
    /// a scenario of your own: seconds between two probes of a target (1)
    #[argh(option)]
    frequency: Option<u32>,
    /// a scenario of your own: sqlite or mysql (sqlite)
    #[argh(option)]
    backend: Option<Backend>,
}

impl FromArgValue for Backend {
    fn from_arg_value(value: &str) -> Result<Self, String> {
        match value {
            "sqlite" => Ok(Self::Sqlite),
            "mysql" => Ok(Self::Mysql),
            _ => Err("sqlite or mysql".to_owned()),
        }
    }
}

impl Arguments {
    /// What to run.
    fn scenarios(&self) -> Result<Vec<Scenario>> {
        let own = self.targets.is_some() || self.frequency.is_some() || self.backend.is_some();
        let chosen: Vec<Scenario> = match (own, self.names.as_slice()) {
            (true, []) => {
                let (targets, frequency) = (self.targets.unwrap_or(1_000), self.frequency.unwrap_or(1));
                if targets == 0 || frequency == 0 {
                    bail!("--targets and --frequency are at least 1");
                }
                vec![Scenario::own(targets, frequency, self.backend.unwrap_or(Backend::Sqlite))]
            }
            (true, _) => bail!("a scenario is either named or your own"),
            (false, []) => SCENARIOS
                .into_iter()
                .filter_map(|scenario| Some(scenario.clone().lasting(scenario.short?)))
                .collect(),
            (false, names) => {
                let named = |name: &String| {
                    Scenario::named(name).with_context(|| format!("no scenario is `{name}`: see --list"))
                };
                names.iter().map(named).collect::<Result<_>>()?
            }
        };
        let seconds = |scenario: Scenario| {
            let seconds = self.seconds.unwrap_or(scenario.seconds);
            scenario.lasting(seconds)
        };
        let chosen: Vec<Scenario> = chosen.into_iter().map(seconds).collect();
        if chosen.iter().any(|it| it.trouble == Trouble::Outage && it.seconds < OUTAGE_S + 30) {
            bail!("an outage takes {} s or more", OUTAGE_S + 30);
        }
        Ok(chosen)
    }
}

fn main() -> Result<ExitCode> {
    // What cargo adds is for harnesses of its own.
    let given: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if given.first().is_some_and(|first| first == BARE_CLIENT) {
        bare::run()?;
        return Ok(ExitCode::SUCCESS);
    }
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let arguments = match Arguments::from_args(&["cargo bench --bench load --"], &given) {
        Ok(arguments) => arguments,
        Err(early) => {
            println!("{}", early.output);
            return Ok(if early.status.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(2) });
        }
    };
    if arguments.list {
        for scenario in SCENARIOS {
            println!("{:<14}{:>6} s  {}", scenario.name, scenario.seconds, scenario.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let scenarios = match arguments.scenarios() {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(2));
        }
    };
    allow_many_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(scenarios, arguments.json))
}

async fn run(scenarios: Vec<Scenario>, json: Option<PathBuf>) -> Result<ExitCode> {
    let mut reports = Vec::<Report>::new();
    let mut all_hold = true;
    for scenario in scenarios {
        let name = scenario.name;
        let mut client = Command::new(std::env::current_exe()?);
        client.arg(BARE_CLIENT);
        match measure(scenario, Some(client)).await {
            Ok(report) => {
                println!("{report}\n");
                all_hold &= report.holds();
                reports.push(report);
            }
            // The others may work all the same.
            Err(error) => {
                println!("{name}: {error:#}\n");
                all_hold = false;
            }
        }
        if let Some(json) = &json {
            let text = serde_json::to_string_pretty(&reports)?;
            fs::write(json, text + "\n").with_context(|| format!("cannot write {}", json.display()))?;
        }
    }
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
