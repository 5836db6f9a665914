//! Probers that find what a test says.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::LocalBoxFuture};

use super::script::Script;
use crate::{
    domain::{Fault, Outcome, Target, TargetDefinition, TargetId},
    port::{Prober, ProberBuilder, ProberFactory, Tracer},
};

/// What one probe does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Finds this at once.
    See(Outcome),
    /// Finds this after a while.
    After(Duration, Outcome),
    /// Never ends.
    Hang,
    /// Panics while it looks.
    Panic,
    /// Panics in the hands of its actor, which dies of it.
    Die,
}

/// Makes probers that follow a script, and counts their probes.
///
/// Each target has its own place in the script, which outlives its prober: the successor of one that
/// panicked goes on behind the panic. The last step is repeated for ever. A row whose URL is empty is
/// refused.
#[derive(Clone, Debug)]
pub struct ScriptedProbers(Arc<Mutex<Scripts>>);

#[derive(Debug)]
struct Scripts {
    of_all: Vec<Step>,
    of_name: HashMap<String, Vec<Step>>,
    running: HashMap<TargetId, Arc<Progress>>,
}

#[derive(Debug)]
struct Progress {
    script: Script<Step>,
    probes: Mutex<usize>,
}

impl ScriptedProbers {
    /// Every target follows `steps`.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let of_all = steps.into_iter().collect();
        Self(Arc::new(Mutex::new(Scripts { of_all, of_name: HashMap::new(), running: HashMap::new() })))
    }

    /// The target called `name` follows `steps` instead, from their beginning, from its next prober on.
    pub fn script(&self, name: &str, steps: impl IntoIterator<Item = Step>) {
        let mut scripts = self.lock();
        scripts.of_name.insert(name.to_owned(), steps.into_iter().collect());
        scripts.running.clear();
    }

    /// How many probes of the target have begun.
    pub fn probes(&self, id: TargetId) -> usize {
        let probes =
            |progress: &Arc<Progress>| *progress.probes.lock().unwrap_or_else(PoisonError::into_inner);
        self.lock().running.get(&id).map_or(0, probes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Scripts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProberFactory for ScriptedProbers {
    fn prepare(&self, definition: &TargetDefinition, target: &Target) -> Result<ProberBuilder, Vec<Fault>> {
        if definition.url.expose().is_empty() {
            return Err(vec![Fault::new("url", "is empty")]);
        }
        let mut scripts = self.lock();
        let steps = scripts.of_name.get(&target.name).unwrap_or(&scripts.of_all).clone();
        let begin = || Arc::new(Progress { script: Script::new(steps), probes: Mutex::new(0) });
        let progress = scripts.running.entry(target.id).or_insert_with(begin).clone();
        Ok(Box::new(move || Box::new(ScriptedProber(progress))))
    }
}

struct ScriptedProber(Arc<Progress>);

impl Prober for ScriptedProber {
    fn probe(&self, mut tracer: Tracer) -> LocalBoxFuture<'static, Outcome> {
        *self.0.probes.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let step = self.0.script.next();
        assert!(!matches!(step, Step::Die), "the script says so");
        async move {
            tracer.step(format!("{step:?}"));
            let outcome = match step {
                Step::See(outcome) => outcome,
                Step::After(wait, outcome) => {
                    tokio::time::sleep(wait).await;
                    outcome
                }
                Step::Hang => pending().await,
                Step::Panic | Step::Die => panic!("the script says so"),
            };
            Outcome { trace: tracer.finish(), ..outcome }
        }
        .boxed_local()
    }
}
