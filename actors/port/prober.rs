//! Looks at a target once.

use std::{borrow::Cow, sync::Arc};

use futures_util::future::LocalBoxFuture;
use tokio::{sync::mpsc::UnboundedSender, time::Instant};

use super::Clock;
use crate::domain::{Fault, Target, TargetDefinition, TargetId, Trace};

/// Looks at one target. Lives and stays on the thread of its actor.
pub trait Prober {
    /// Looks once. Ends within the target's timeout, and says everything it found in the outcome.
    fn probe(&self, tracer: Tracer) -> LocalBoxFuture<'static, crate::domain::Outcome>;
}

/// Makes the prober on the thread where it will live; all that can be wrong was found before.
pub type ProberBuilder = Box<dyn FnOnce() -> Box<dyn Prober> + Send>;

/// Knows the kinds of probes.
pub trait ProberFactory: Send + Sync {
    /// Chooses and prepares the prober of a row, or names all that its kind finds wrong with it.
    fn prepare(&self, definition: &TargetDefinition, target: &Target) -> Result<ProberBuilder, Vec<Fault>>;
}

/// Reads a row to the end: the target, and its prober or all faults of the row at once.
pub fn plan_probe(
    factory: &dyn ProberFactory,
    id: TargetId,
    definition: &TargetDefinition,
) -> (Target, Result<ProberBuilder, Vec<Fault>>) {
    let (target, mut faults) = definition.read(id);
    let prepared = match factory.prepare(definition, &target) {
        Ok(builder) if faults.is_empty() => Ok(builder),
        Ok(_) => Err(faults),
        Err(of_kind) => {
            faults.extend(of_kind);
            Err(faults)
        }
    };
    (target, prepared)
}

/// Takes down the steps of one probe, and tells them to whoever watches.
#[derive(Debug)]
pub struct Tracer {
    trace: Trace,
    begun: Instant,
    watcher: Option<UnboundedSender<String>>,
}

impl Tracer {
    /// A tracer of a probe that begins now.
    pub fn start(clock: &Arc<dyn Clock>) -> Self {
        Self { trace: Trace::new(clock.now()), begun: Instant::now(), watcher: None }
    }

    /// Tells each line to `watcher` as it happens.
    pub fn watched_by(self, watcher: UnboundedSender<String>) -> Self {
        Self { watcher: Some(watcher), ..self }
    }

    /// When the probe began.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Takes down a step.
    pub fn step(&mut self, text: impl Into<Cow<'static, str>>) {
        self.trace.push(self.begun.elapsed(), text);
        if let Some(watcher) = &self.watcher {
            // A watcher that left misses nothing it still wants.
            self.trace.last_line().map(|line| watcher.send(line).ok());
        }
    }

    /// The steps so far.
    pub fn finish(self) -> Trace {
        self.trace
    }
}
