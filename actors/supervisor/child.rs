//! One child of the supervisor: what it shall run by, and how it lives.

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{
    Links,
    budget::{Budget, DEATHS, WINDOW},
};
use crate::{
    domain::{Cause, Outcome, Slots, Tally, TargetDefinition, TargetId, TargetRow},
    event::ProbeCompleted,
    lifecycle::{ChildExited, Stop},
    port::plan_probe,
    target::{Life, Memory, Post, Pulse, Recount, TargetActor},
};

/// How long a target may be overdue before it is taken for dead.
const SILENCE: Duration = Duration::from_secs(30);

pub(super) struct Child {
    /// What it shall run by; `None`: it shall not run.
    pub wanted: Option<TargetDefinition>,
    /// What the next life begins from, where the last one left it.
    pub memory: Memory,
    /// Counters that somebody reset while the last life was ending.
    reset: Option<Tally>,
    /// How soon the next life probes first.
    pub first_within: Duration,
    pub budget: Budget,
    pub state: ChildState,
    /// How often it hung: its successor gets another thread.
    hung: usize,
    /// Whether it was silent when it was last looked at.
    silent: bool,
}

pub(super) enum ChildState {
    Running {
        life: Life,
        addr: Addr<TargetActor>,
        pulse: Pulse,
    },
    /// Was told to stop; its successor, if it is to have one, begins when it is gone.
    Ending {
        life: Life,
        since: Instant,
    },
    /// Nobody waits for its end any more, and it is being found out what its successor goes on from.
    Lost {
        life: Life,
    },
    /// Does not run: died too often, or did not begin yet.
    Idle,
}

impl Child {
    /// A child of this row, not yet begun.
    pub fn new(row: &TargetRow, first_within: Duration) -> Self {
        Self {
            wanted: Some(row.definition.clone()),
            memory: Memory::stored(&row.state),
            reset: None,
            first_within,
            budget: Budget::default(),
            state: ChildState::Idle,
            hung: 0,
            silent: false,
        }
    }

    /// Shall run by its row as it stands now; whether a life must end before.
    pub fn change(&mut self, row: &TargetRow, first_within: Duration) -> bool {
        self.wanted = Some(row.definition.clone());
        self.first_within = first_within;
        self.budget = Budget::default();
        self.end()
    }

    /// Begins a life, which tells `parent` when it ends.
    pub fn begin(&mut self, life: Life, links: &Links, parent: Recipient<ChildExited<Life, Memory>>) {
        let Some(definition) = &self.wanted else {
            return;
        };
        let (target, prober) = plan_probe(&*links.probers, life.target, definition);
        let pulse = Pulse::new(self.first_within);
        let threads = &links.threads;
        // Mixed, as ids that are enabled together may have a stride.
        let mixed = (life.target.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize;
        let thread = &threads[(mixed + self.hung) % threads.len()];
        let post = Post {
            life,
            target: Arc::new(target),
            prober,
            first_within: self.first_within,
            memory: self.memory.clone(),
            gate: thread.gate.clone(),
            hearer: thread.courier.clone(),
            parent,
            pulse: pulse.clone(),
            clock: links.clock.clone(),
        };
        let addr = TargetActor::start_in_arbiter(&thread.arbiter, |_| TargetActor::new(post));
        self.state = ChildState::Running { life, addr, pulse };
    }

    /// Tells the present life to stop; whether there was one.
    pub fn end(&mut self) -> bool {
        if let ChildState::Running { life, addr, .. } = &self.state {
            #[expect(clippy::disallowed_methods, reason = "once a life")]
            addr.do_send(Stop);
            self.state = ChildState::Ending { life: *life, since: Instant::now() };
        }
        !matches!(self.state, ChildState::Idle)
    }

    /// Whether its life seems to be over although nobody heard of its end.
    ///
    /// Only the second look believes it: when the whole process stood still, nobody was heard for as long.
    pub fn is_silent(&mut self) -> bool {
        let silent = match &self.state {
            ChildState::Running { addr, pulse, .. } => !addr.connected() || pulse.overdue() > SILENCE,
            ChildState::Ending { since, .. } => since.elapsed() > SILENCE,
            ChildState::Lost { .. } | ChildState::Idle => false,
        };
        std::mem::replace(&mut self.silent, silent) && silent
    }

    /// Waits no longer for the end of a silent life. Should its thread ever go on, there would be two of it.
    pub fn give_up(&mut self) -> Option<Life> {
        self.end();
        let ChildState::Ending { life, .. } = self.state else { return None };
        self.state = ChildState::Lost { life };
        self.hung += 1;
        Some(life)
    }

    /// Goes on from the counters of its row, which somebody reset.
    pub fn recount(&mut self, tally: Tally) {
        match &self.state {
            #[expect(clippy::disallowed_methods, reason = "at most one a scan")]
            ChildState::Running { addr, .. } => addr.do_send(Recount(tally)),
            ChildState::Ending { .. } | ChildState::Lost { .. } => self.reset = Some(tally),
            ChildState::Idle => self.memory.recount(tally),
        }
    }

    /// A life is over, and left this.
    pub fn inherit(&mut self, mut left: Memory) {
        if let Some(tally) = self.reset.take() {
            left.recount(tally);
        }
        self.memory = left;
    }

    /// What is told of a child that died too often.
    pub fn suspension(&mut self, id: TargetId, how: &str, at: OffsetDateTime) -> Option<ProbeCompleted> {
        let (mut target, _) = self.wanted.as_ref()?.read(id);
        // Nobody looks any more, so no further result will come to confirm this one.
        target.options.failure_threshold = None;
        let minutes = WINDOW.as_secs() / 60;
        let reason = format!(
            "skypunch failed: the actor of this target {how} more than {DEATHS} times within {minutes} minutes; \
             change the row to try again"
        );
        let outcome = Outcome::fail(Cause::Internal, reason);
        self.memory.take_in(&Arc::new(target), at, outcome, Slots::default())
    }
}
