//! How actors end.

use actix::prelude::*;

/// Stop now, whatever is under way.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Finish what was taken on, take on nothing new, and answer when it is done: with what is left.
///
/// The asker sets the deadline.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "usize")]
pub struct Drain;

/// A child of the hearer is gone.
#[derive(Debug)]
pub struct ChildExited<Id, Left> {
    /// Which.
    pub child: Id,
    /// Whether it panicked.
    pub panicked: bool,
    /// What its successor goes on from.
    pub left: Left,
}

impl<Id: 'static, Left: 'static> Message for ChildExited<Id, Left> {
    type Result = ();
}
