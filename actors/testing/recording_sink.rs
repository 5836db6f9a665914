//! Sinks that take notifications down and answer what a test says.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::LocalBoxFuture};

use super::script::Script;
use crate::{
    domain::{Fault, Notification, NotifierDefinition, Params},
    port::{Receipt, Sink, SinkBuilder, SinkError, SinkFactory},
};

/// What the receiver answers to one attempt.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It takes the notification.
    Delivered,
    /// It wants another attempt, perhaps after a while that it names.
    Transient(Option<Duration>),
    /// It will never take it.
    Permanent,
    /// It never answers.
    Hang,
}

/// Makes sinks that follow a script and record every attempt.
///
/// Each notifier has its own place in the script, which outlives its sink; the last answer is repeated
/// for ever. A row whose type is empty is refused.
#[derive(Clone, Debug)]
pub struct RecordingSinks(Arc<Mutex<Record>>);

#[derive(Debug)]
struct Record {
    of_all: Vec<Answer>,
    of_name: HashMap<String, Arc<Script<Answer>>>,
    attempts: Vec<(String, Notification)>,
    delivered: Vec<(String, Notification)>,
}

impl RecordingSinks {
    /// Every notifier gets `answers`.
    pub fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let of_all = answers.into_iter().collect();
        let (attempts, delivered) = Default::default();
        Self(Arc::new(Mutex::new(Record { of_all, of_name: HashMap::new(), attempts, delivered })))
    }

    /// The notifier called `name` gets `answers` instead, from its next sink on.
    pub fn script(&self, name: &str, answers: impl IntoIterator<Item = Answer>) {
        self.lock().of_name.insert(name.to_owned(), Arc::new(Script::new(answers)));
    }

    /// Every attempt so far: the name of the notifier, and what it was told.
    pub fn attempts(&self) -> Vec<(String, Notification)> {
        self.lock().attempts.clone()
    }

    /// The attempts that were answered with [`Answer::Delivered`].
    pub fn delivered(&self) -> Vec<(String, Notification)> {
        self.lock().delivered.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SinkFactory for RecordingSinks {
    fn prepare(&self, definition: &NotifierDefinition, _: &Params) -> Result<SinkBuilder, Vec<Fault>> {
        if definition.kind.is_empty() {
            return Err(vec![Fault::new("type", "is empty")]);
        }
        let name = definition.name.clone();
        let mut record = self.lock();
        let answers = record.of_all.clone();
        let script = record.of_name.entry(name.clone()).or_insert_with(|| Arc::new(Script::new(answers)));
        let sink = RecordingSink { name, script: script.clone(), sinks: self.clone() };
        Ok(Box::new(move || Box::new(sink)))
    }
}

struct RecordingSink {
    name: String,
    script: Arc<Script<Answer>>,
    sinks: RecordingSinks,
}

impl Sink for RecordingSink {
    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<Receipt, SinkError>> {
        let attempt = (self.name.clone(), notification.clone());
        self.sinks.lock().attempts.push(attempt.clone());
        async move {
            match self.script.next() {
                Answer::Delivered => {
                    self.sinks.lock().delivered.push(attempt);
                    Ok(Receipt("250 taken".to_owned()))
                }
                Answer::Transient(retry_after) => {
                    Err(SinkError::Transient { reason: "451 not now".to_owned(), retry_after })
                }
                Answer::Permanent => Err(SinkError::Permanent("550 never".to_owned())),
                Answer::Hang => pending().await,
            }
        }
        .boxed_local()
    }
}
