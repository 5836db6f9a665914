//! What is wrong with files, each thing with its line.

use std::{fmt, io, ops::Range, path::PathBuf};

use skypunch_actors::domain::text;
use toml::Spanned;

use crate::sink::own;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileFault {
    /// The file.
    pub file: String,
    /// Where in it, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.file, self.line, self.problem)
    }
}

/// Why the kinds of the operator cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KindsError {
    /// The folder or a file of it cannot be read.
    #[error("cannot read {}, which `notify.sinks_dir` says", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Files are wrong: all that is wrong with them, a line each.
    #[error("{}", .0.iter().map(FileFault::to_string).collect::<Vec<_>>().join("\n"))]
    Faulty(Vec<FileFault>),
}

/// Gathers what is wrong with one file.
pub(super) struct Faults<'a> {
    file: &'a str,
    source: &'a str,
    found: Vec<FileFault>,
}

impl<'a> Faults<'a> {
    pub fn of(file: &'a str, source: &'a str) -> Self {
        Self { file, source, found: Vec::new() }
    }

    /// Something is wrong in a part of the file.
    pub fn at(&mut self, span: Range<usize>, problem: &str) {
        let line = self.line(span.start);
        self.push(line, problem);
    }

    /// Something is wrong with the file as a whole.
    pub fn whole(&mut self, problem: &str) {
        self.push(1, problem);
    }

    /// A template is wrong; the error knows the line within it.
    pub fn template(&mut self, name: &str, template: &Spanned<String>, error: &minijinja::Error) {
        let span = template.span();
        let written = self.source.get(span.clone()).unwrap_or_default();
        // The first line break of a long text is not part of it.
        let long = ["'''", "\"\"\""]
            .iter()
            .any(|quotes| written.strip_prefix(quotes).is_some_and(|text| text.starts_with(['\n', '\r'])));
        let line = self.line(span.start) + usize::from(long) + error.line().unwrap_or(1) - 1;
        self.push(line, &format!("`{name}`: {}", own::problem(error)));
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub fn into_found(self) -> Vec<FileFault> {
        self.found
    }

    fn line(&self, at: usize) -> usize {
        self.source.get(..at).unwrap_or_default().matches('\n').count() + 1
    }

    fn push(&mut self, line: usize, problem: &str) {
        let fault = FileFault { file: self.file.to_owned(), line, problem: text::reason(problem) };
        // A template that is wrong for one event is usually wrong for all.
        if !self.found.contains(&fault) {
            self.found.push(fault);
        }
    }
}
