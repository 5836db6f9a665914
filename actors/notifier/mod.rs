//! Tells people.

use actix::prelude::*;

use crate::domain::NotifierRow;

/// The notifiers as they stand in the database now.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct NotifiersLoaded(pub Vec<NotifierRow>);

/// How many notifications are not delivered yet?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "usize")]
pub struct GetWaiting;
