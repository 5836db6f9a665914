//! What operators ask the Persister to change.

use actix::prelude::*;

use super::Persister;
use crate::{
    domain::{NotifierDefinition, NotifierId, TargetDefinition, TargetId},
    port::{StoreError, within_deadline},
};

/// An operator's change of one row.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub enum Change {
    /// Sets `enabled` of a target.
    EnableTarget(TargetId, bool),
    /// Deletes a target.
    DeleteTarget(TargetId),
    /// Sets `enabled` of a notifier.
    EnableNotifier(NotifierId, bool),
    /// Deletes a notifier.
    DeleteNotifier(NotifierId),
}

/// Add a target whose definition was checked.
#[derive(Debug, Message)]
#[rtype(result = "Result<TargetId, StoreError>")]
pub struct AddTarget(pub TargetDefinition);

/// Add a notifier whose definition was checked.
#[derive(Debug, Message)]
#[rtype(result = "Result<NotifierId, StoreError>")]
pub struct AddNotifier(pub NotifierDefinition);

/// Give a target another definition, which was checked.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct UpdateTarget(pub TargetId, pub TargetDefinition);

/// Give a notifier another definition, which was checked.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct UpdateNotifier(pub NotifierId, pub NotifierDefinition);

impl Handler<Change> for Persister {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, change: Change, _: &mut Context<Self>) -> Self::Result {
        let store = self.store.clone();
        Box::pin(within_deadline(async move {
            match change {
                Change::EnableTarget(id, enabled) => store.enable_target(id, enabled).await,
                Change::DeleteTarget(id) => store.delete_target(id).await,
                Change::EnableNotifier(id, enabled) => store.enable_notifier(id, enabled).await,
                Change::DeleteNotifier(id) => store.delete_notifier(id).await,
            }
        }))
    }
}

impl Handler<AddTarget> for Persister {
    type Result = ResponseFuture<Result<TargetId, StoreError>>;

    fn handle(&mut self, AddTarget(definition): AddTarget, _: &mut Context<Self>) -> Self::Result {
        let store = self.store.clone();
        Box::pin(within_deadline(async move { store.add_target(&definition).await }))
    }
}

impl Handler<AddNotifier> for Persister {
    type Result = ResponseFuture<Result<NotifierId, StoreError>>;

    fn handle(&mut self, AddNotifier(definition): AddNotifier, _: &mut Context<Self>) -> Self::Result {
        let store = self.store.clone();
        Box::pin(within_deadline(async move { store.add_notifier(&definition).await }))
    }
}

impl Handler<UpdateTarget> for Persister {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, UpdateTarget(id, definition): UpdateTarget, _: &mut Context<Self>) -> Self::Result {
        let store = self.store.clone();
        Box::pin(within_deadline(async move { store.update_target(id, &definition).await }))
    }
}

impl Handler<UpdateNotifier> for Persister {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(
        &mut self,
        UpdateNotifier(id, definition): UpdateNotifier,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let store = self.store.clone();
        Box::pin(within_deadline(async move { store.update_notifier(id, &definition).await }))
    }
}
