//! The load benchmark, in small: that it counts, compares and judges, whatever the times are.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use self::load::{
    arrivals::{Arrivals, Span, TICKS_PER_S, Visits},
    bare,
    measure::measure,
    overload::{Overload, Phases},
    plan::{Plan, Turn},
    scenario::{SCENARIOS, Scenario, Trouble},
    told::{Notice, Told},
};
use crate::support;

#[path = "../../benches/load/mod.rs"]
#[allow(dead_code, reason = "some of it is for the command line of the bench alone")]
mod load;

fn visits(at: impl IntoIterator<Item = f64>) -> Visits {
    at.into_iter().map(|at| (at * TICKS_PER_S).round() as u32).collect()
}

fn judge(visits: &[Visits], seconds: u32, frequency_s: u32) -> Arrivals {
    Arrivals::judge(visits.iter(), 100.0, seconds, frequency_s)
}

#[test]
fn slots_that_were_kept_are_kept_and_late_ones_late() {
    let late = visits((98..125).map(|n| f64::from(n) + if n == 110 { 0.35 } else { 0.3 }));
    let judged = judge(&[visits((98..125).map(f64::from)), late], 20, 1);
    assert_eq!((judged.slots_expected, judged.slots_missed, judged.slots_doubled), (40, 0, 0));
    assert!(judged.lateness_ms.p50 < 0.1, "{judged:?}");
    assert!((judged.lateness_ms.max - 50.0).abs() < 0.1, "{judged:?}");
    assert!((judged.longest_gap_s - 1.05).abs() < 1e-4, "{judged:?}");
    assert!(judged.mean_gap_off_percent.abs() < 1e-3, "{judged:?}");
    assert_eq!((judged.windows.count, judged.windows.with_a_miss), (2, 0));
}

#[test]
fn a_missing_slot_is_missed_where_it_is_and_an_extra_one_doubled() {
    let without = visits((98..125).filter(|n| *n != 113).map(f64::from));
    let judged = judge(&[without], 20, 1);
    assert_eq!((judged.slots_missed, judged.windows.with_a_miss), (1, 1));
    assert!((judged.probed_percent - 95.0).abs() < 1e-9, "{judged:?}");
    assert!((judged.longest_gap_s - 2.0).abs() < 1e-4, "{judged:?}");

    let twice =
        (98..125).map(f64::from).flat_map(|at| if at == 105.0 { vec![at, at + 0.5] } else { vec![at] });
    assert_eq!(judge(&[visits(twice)], 20, 1).slots_doubled, 1);

    let judged = judge(&[Vec::new()], 20, 1);
    assert_eq!((judged.slots_missed, judged.windows.with_a_miss), (20, 2));
}

#[test]
fn a_slot_is_as_long_as_the_frequency() {
    let judged = judge(&[visits([93.0, 103.02, 113.0])], 20, 10);
    assert_eq!((judged.slots_expected, judged.slots_missed, judged.windows.count), (2, 0, 2));
    assert!((judged.lateness_ms.max - 20.0).abs() < 0.1, "{judged:?}");
    assert_eq!(judge(&[visits([93.0, 113.0])], 20, 10).slots_missed, 1);
    let late_at_last = judge(&[visits([103.0, 113.4])], 20, 10);
    assert_eq!((late_at_last.slots_missed, late_at_last.slots_doubled), (0, 0));
}

fn troubled(trouble: Trouble) -> Scenario {
    Scenario { trouble, targets: 1_000, ..Scenario::named("flapping").unwrap() }.lasting(1_000)
}

#[test]
fn what_fails_begins_in_the_first_half_and_goes_on() {
    let plan = Plan::new(&troubled(Trouble::Failing), 5.0);
    for id in 1..=1_000 {
        let turns: Vec<Turn> = plan.turns(id).collect();
        assert_eq!(turns.len(), usize::from(id % 20 == 0));
        for turn in turns {
            assert!((5.0..505.0).contains(&turn.at) && turn.fails);
            assert!(!plan.fails(id, turn.at - 0.001) && plan.fails(id, turn.at) && plan.fails(id, 9e9));
        }
    }
}

#[test]
fn what_flaps_changes_every_few_minutes_and_no_more_after_the_end() {
    let plan = Plan::new(&troubled(Trouble::Flapping), 5.0);
    let mut changes = 0;
    for id in 1..=1_000 {
        for (n, turn) in plan.turns(id).enumerate() {
            changes += 1;
            assert!(turn.at < 1_005.0 && turn.fails == (n % 2 == 0));
            assert_eq!(plan.fails(id, turn.at + 0.001), turn.fails);
            assert_ne!(plan.fails(id, turn.at - 0.001), turn.fails);
        }
        assert_eq!(plan.fails(id, 1_005.0), plan.fails(id, 9e9));
    }
    assert!((3_000..8_000).contains(&changes), "{changes} in 1,000 s of 1,000 targets");
}

#[test]
fn each_change_has_a_notification_of_its_own() {
    let scenario = Scenario { targets: 1, ..Scenario::named("flapping").unwrap() }.lasting(2_000);
    let plan = Plan::new(&scenario, 0.0);
    let notice = |turn: Turn| Notice { target: 1, fails: turn.fails, at: turn.at + 0.25 };
    let mut notices: Vec<Notice> = plan.turns(1).map(notice).collect();
    let told = Told::judge(&plan, 1, &notices);
    assert_eq!((told.changes, told.never, told.in_excess), (notices.len(), 0, 0));
    assert!((told.after_ms.p50 - 250.0).abs() < 1.0, "{told:?}");

    notices.pop();
    notices.insert(0, Notice { target: 1, fails: true, at: 0.0 });
    let told = Told::judge(&plan, 1, &notices);
    assert_eq!((told.never, told.in_excess), (1, 1));
}

#[test]
fn a_notification_is_read_when_it_is_whole() {
    let request = b"POST /told HTTP/1.1\r\nhost: x\r\n\r\n{\"event\":\"RECOVERY\",\"target\":{\"id\":7}}";
    assert_eq!(Notice::read(&request[..request.len() - 1], 1.0), None);
    assert_eq!(Notice::read(request, 1.0), Some(Notice { target: 7, fails: false, at: 1.0 }));
}

#[test]
fn an_overload_is_over_with_the_last_gap() {
    let scenario = Scenario { targets: 10, ..Scenario::named("overload").unwrap() };
    let phases = Phases {
        calm: Span { from: 0.0, to: 5.0 },
        overload: Span { from: 5.0, to: 10.0 },
        relief: Span { from: 10.0, to: 15.0 },
    };
    let starved = |of_first: &[f64]| {
        let mut all: Vec<Visits> = (1..10).map(|n| visits([1.0, 6.0 + f64::from(n) / 10.0])).collect();
        all.insert(0, visits([1.5, 7.0].into_iter().chain(of_first.iter().copied())));
        Overload::judge(&scenario, &all, &phases, Some(4.0), 3)
    };
    let recovered = starved(&[10.2, 12.5, 13.5, 14.5]);
    assert_eq!(recovered.recovered_after_s, Some(2.5));
    assert_eq!((recovered.probes_per_target.min, recovered.probes_per_target.max), (1, 1));
    assert_eq!(
        (recovered.probes_per_s, recovered.percent_of_best, recovered.ratio_to_bare),
        (2.0, 100.0, Some(0.5))
    );
    assert_eq!(recovered.faults(1.0), [""; 0]);
    assert_eq!(recovered.faults(1e6).len(), 1);
    let lost = starved(&[10.2, 11.2]);
    assert_eq!((lost.recovered_after_s, lost.faults(1.0).len()), (None, 1));
}

#[test]
fn scenarios_have_names_of_their_own_and_whole_slots() {
    for scenario in SCENARIOS {
        assert_eq!(Scenario::named(scenario.name).unwrap().about, scenario.about);
        assert_eq!(scenario.clone().lasting(scenario.seconds).seconds, scenario.seconds);
    }
    assert_eq!(Scenario::own(10, 7, load::scenario::Backend::Sqlite).lasting(20).seconds, 21);
}

#[test]
#[ignore = "runs as a process of its own, which the next test starts"]
fn visits_as_the_bare_client() {
    bare::run().unwrap();
}

#[tokio::test]
async fn a_scenario_is_measured_and_reported() {
    let mut client = Command::new(std::env::current_exe().unwrap());
    client.args(["--ignored", "--exact", "bench::visits_as_the_bare_client"]).stdout(Stdio::null());
    let scenario = Scenario { targets: 20, ..Scenario::named("failing").unwrap() }.lasting(3);
    let report = measure(scenario, Some(client)).await.unwrap();

    // That a slot was missed says more about the machine than about the bench.
    let faults: Vec<&String> = report.faults.iter().filter(|fault| !fault.ends_with("missed")).collect();
    assert_eq!(faults, [""; 0]);
    let json: Value = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    for client in ["daemon", "bare"] {
        let client = &json[client];
        assert_eq!(client["arrivals"]["slots_expected"], 60);
        assert!(client["arrivals"]["probed_percent"].as_f64().unwrap() > 0.0, "{client}");
        for figure in ["probes_per_s", "cpu_ms_per_probe", "server_cpu_ms_per_probe"] {
            assert!(client[figure].is_number(), "{figure}: {client}");
        }
        assert!(client["rss_mib"]["max"].as_f64().unwrap() > 1.0, "{client}");
        assert!(client["open_files"]["end"].as_f64().unwrap() > 3.0, "{client}");
    }
    assert!(json["cpu_ratio"].is_number());
    assert!(json["all_probed_after_s"].as_f64().unwrap() > 0.0);
    assert!(json["threads_cpu_ms_per_probe"]["sqlite"].is_number(), "{json}");
    assert!(json["database"]["cpu_ms_per_result"].is_number());
    assert!(json["database"]["mib"]["end"].as_f64().unwrap() > 0.0);
    assert!(json["queues"]["last"]["slots"]["done"].as_u64().unwrap() > 0);
    assert!(json["integrity"]["probes_counted"].as_u64().unwrap() >= 60);
    assert_eq!(json["told"]["changes"], 1);
    assert!(json["told"]["after_ms"]["max"].as_f64().unwrap() > 0.0);
    assert_eq!(json["scenario"]["name"], "failing");

    let table = report.to_string();
    for line in
        ["slots probed (%)", "CPU a probe (ms)", "changes told", "1 of 1", "20 targets at 1 s for 3 s"]
    {
        assert!(table.contains(line), "no {line} in\n{table}");
    }
}
