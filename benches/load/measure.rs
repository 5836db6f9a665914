//! One scenario from its beginning to its end: the bare client, then the daemon, then what to make of them.

use anyhow::{Context, Result};
use tokio::process::Command;

use super::{
    arrivals::{Visits, seconds},
    overload::Overload,
    process::load_average,
    report::{Integrity, Report, Storage},
    run::{self, Watched},
    scenario::{Backend, Scenario},
    told::Told,
};

/// The thread of the daemon that is its embedded database.
const EMBEDDED: &str = "sqlite";

/// Measures a scenario. `bare` is a command that comes to [`super::bare::run`]; without it there is no yardstick.
pub async fn measure(scenario: Scenario, bare: Option<Command>) -> Result<Report> {
    let load_before = load_average();
    let bare = match bare {
        Some(command) => Some(run::bare(&scenario, command).await?),
        None => None,
    };
    let Watched { spawned, work, phases, queues, database_mib, journal_mib, rows, seen } =
        run::daemon(&scenario).await?;
    let plan = seen.plan.context("the answers had no plan")?;
    let visits = &seen.visits;
    let daemon = work.client(&scenario, visits);

    let probes = work.probes(visits) as f64;
    let per_probe = |cpu_s: f64| cpu_s * 1e3 / probes;
    let database_cpu_s = match scenario.backend {
        Backend::Sqlite => work.threads.get(EMBEDDED).copied(),
        Backend::Mysql => work.database_cpu_s,
    };
    let of_threads = work.threads.iter().map(|(name, cpu_s)| (name.clone(), per_probe(*cpu_s)));
    let hanging: Vec<&Visits> =
        (1..).zip(visits).filter(|(id, _)| scenario.hangs(*id)).map(|(_, visits)| visits).collect();
    let bare_probes_per_s = bare.as_ref().map(|bare| bare.probes_per_s);
    let report = Report {
        cores: std::thread::available_parallelism()?.get(),
        load_average: [load_before, load_average()],
        cpu_ratio: bare.as_ref().map(|bare| daemon.cpu_ms_per_probe / bare.cpu_ms_per_probe),
        all_probed_after_s: all_probed(&scenario, visits).map(|at| at - spawned),
        lateness_drift_ms: work.drift(&scenario, visits),
        threads_cpu_ms_per_probe: of_threads.collect(),
        database: Storage {
            cpu_ms_per_result: database_cpu_s.map(per_probe),
            mib: database_mib,
            journal_mib,
        },
        hanging: (!hanging.is_empty()).then(|| work.arrivals(&scenario, hanging.into_iter())),
        told: scenario.tells().then(|| Told::judge(&plan, scenario.targets, &seen.notices)),
        overload: phases.map(|phases| {
            Overload::judge(&scenario, visits, &phases, bare_probes_per_s, queues.slots_skipped)
        }),
        integrity: Integrity::judge(&scenario, &rows, visits, &plan),
        daemon,
        bare,
        queues,
        scenario,
        faults: Vec::new(),
    };
    Ok(report.judged())
}

/// When the last of the targets that are enabled at the start was probed for the first time.
fn all_probed(scenario: &Scenario, visits: &[Visits]) -> Option<f64> {
    let enabled = (1..).zip(visits).filter(|(id, _)| scenario.begins_enabled(*id));
    let first = enabled.map(|(_, visits)| visits.first().copied());
    first.collect::<Option<Vec<u32>>>()?.into_iter().max().map(seconds)
}
