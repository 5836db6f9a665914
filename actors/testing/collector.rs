//! Hears messages and keeps them.

use std::sync::{Arc, Mutex, PoisonError};

use actix::prelude::*;

/// Keeps every message of one type, for a test to look at.
pub struct Collector<M>(Arc<Mutex<Vec<M>>>);

impl<M> Clone for Collector<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Default for Collector<M> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<M: Message<Result = ()> + Clone + Send + Unpin + 'static> Collector<M> {
    /// Where to send what is to be kept.
    pub fn recipient(&self) -> Recipient<M> {
        self.clone().start().recipient()
    }

    /// Everything heard so far.
    pub fn heard(&self) -> Vec<M> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<M: Unpin + 'static> Actor for Collector<M> {
    type Context = Context<Self>;
}

impl<M: Message<Result = ()> + Unpin + 'static> Handler<M> for Collector<M> {
    type Result = ();

    fn handle(&mut self, message: M, _: &mut Context<Self>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }
}
