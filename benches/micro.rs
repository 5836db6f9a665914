//! What the steps of a result cost by themselves: to find out which of them a change made dearer.
//!
//! `cargo bench --bench micro`, with a part of a name to run only some.

use std::{hint::black_box, sync::Arc};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use skypunch::{clock::SystemClock, sink::Sinks};
use skypunch_actors::{
    domain::{
        Batch, Minutes, NotifierDefinition, NotifierId, NotifierRow, Outcome, PassResult, RawResult, Secret,
        Slots, TargetId, TargetNews,
    },
    event::ProbeCompleted,
    logger,
    port::plan_sink,
    target::Memory,
    testing::fixtures::{probe_completed, raw_result},
};

/// As many as one courier carries at a time where ten thousand targets are probed every second.
const RESULTS: u64 = 250;

fn outcome() -> Outcome {
    Outcome { http_status: Some(200), ..Outcome::pass("200 OK") }
}

fn results() -> Vec<ProbeCompleted> {
    (1..=RESULTS).map(|id| probe_completed(id, outcome())).collect()
}

/// Of an answer that is there: its status, the thresholds, the counters, the incident.
fn judge(c: &mut Criterion) {
    let expected: PassResult = "200-299,404".parse().expect("it is one");
    let event = probe_completed(1, outcome());
    let mut memory = Memory::default();
    c.bench_function("judge a result", |b| {
        b.iter_batched(
            outcome,
            |outcome| {
                black_box(expected.expects(black_box(200)));
                memory.take_in(&event.target, event.at, outcome, Slots::default())
            },
            BatchSize::SmallInput,
        );
    });
}

fn batch(c: &mut Criterion) {
    let results = results();
    c.bench_function("build a batch of 250 results", |b| {
        b.iter(|| {
            let mut batch = Batch::default();
            for ProbeCompleted { target, at, outcome, status, edge, incident, slots, .. } in &results {
                batch.add(target.id, TargetNews::of(outcome, *at, *status, *edge, *incident));
                batch.results.extend(RawResult::of(target, *at, *status, outcome, *slots));
            }
            batch
        });
    });
}

fn minute(c: &mut Criterion) {
    let results: Vec<RawResult> = (0..60_000).map(|n| raw_result(TargetId(n % 1_000), n as i64)).collect();
    c.bench_function("sort 60000 results into minutes and sum them up", |b| {
        b.iter_batched(
            || results.clone(),
            |results| {
                let minutes = Minutes::from_iter(results).sorted();
                minutes.iter().map(|minute| minute.rollup().done).sum::<u64>()
            },
            BatchSize::LargeInput,
        );
    });
}

fn log_line(c: &mut Criterion) {
    let event = probe_completed(1, outcome());
    c.bench_function("write a log line", |b| b.iter(|| logger::line(black_box(&event))));
}

/// Reading a row renders its template with every event.
fn template(c: &mut Criterion) {
    let sinks = Sinks::new(Vec::new(), Arc::new(SystemClock));
    let definition = NotifierDefinition {
        options: Some(Secret::new(r#"{"template": "{{ target.name }} is {{ status }}: {{ reason }}"}"#)),
        ..NotifierDefinition::new("ops", "SLACK", "https://hooks.slack.com/services/T/B/x")
    };
    let row = NotifierRow { id: NotifierId(1), definition, pass_count: 0, fail_count: 0 };
    assert!(plan_sink(&sinks, &row).is_ok());
    c.bench_function("render a template for every event", |b| b.iter(|| plan_sink(&sinks, &row).is_ok()));
}

criterion_group!(steps, judge, batch, minute, log_line, template);
criterion_main!(steps);
