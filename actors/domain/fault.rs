//! What is wrong with a row.

use std::fmt;

/// One thing that keeps a row from being used, and what is allowed instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The column at fault.
    pub column: &'static str,
    /// What is wrong with it; never shows a secret.
    pub problem: String,
}

impl Fault {
    /// A fault of `column`.
    pub fn new(column: &'static str, problem: impl Into<String>) -> Self {
        Self { column, problem: problem.into() }
    }

    /// All faults of a row as one reason.
    pub fn join(faults: &[Self]) -> String {
        faults.iter().map(Self::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.column, self.problem)
    }
}
