//! What is written of a journal, and what is not yet.

use skypunch_actors::port::StoreError;

/// What follows a journal by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Rows,
    History,
}

impl Kind {
    /// The word in the column `kind`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::History => "history",
        }
    }
}

/// What is known of some batches that are to be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Claim {
    /// None was written.
    New,
    /// All were written.
    Written,
    /// Some were, up to this one.
    Torn(u64),
}

impl Claim {
    /// The claim to batches `through` the last of which does not come after `written`.
    pub(super) fn of(written: u64, through: u64) -> Self {
        if written >= through { Self::Written } else { Self::Torn(written) }
    }

    /// Whether there is something to write.
    pub(super) fn is_new(self) -> Result<bool, StoreError> {
        match self {
            Self::New => Ok(true),
            Self::Written => Ok(false),
            Self::Torn(written) => {
                let why = format!("batches up to {written} were written already, the later ones were not");
                Err(StoreError::Refused(why.into()))
            }
        }
    }
}
