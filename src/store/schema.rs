//! The versions of the schema, and the way from one to the next.

use std::fmt;

use super::error::OpenError;

/// The schema that this program works on.
pub const SCHEMA: Version = Version { major: 2, minor: 1 };

/// A version of the schema, as `versions` holds it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// Programs older than it cannot work on the schema.
    pub major: i64,
    /// Counts the changes since.
    pub minor: i64,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What a look at a database found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Inspection {
    /// The name of the backend.
    pub backend: &'static str,
    /// The version of the schema; `None` is a database, or a file, that the first start will make.
    pub schema: Option<Version>,
}

/// What was done to a database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Migrated {
    /// The version before; `None` is an empty database.
    pub from: Option<Version>,
    /// The version now.
    pub to: Version,
    /// The migrations that were run.
    pub applied: Vec<&'static str>,
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            Some(from) if from == self.to => write!(f, "the schema is {} already", self.to),
            Some(from) => write!(f, "the schema was {from} and is {} now", self.to),
            None => write!(f, "the database was made, with the schema {}", self.to),
        }
    }
}

/// One step, in the words of one backend.
#[derive(Debug)]
pub(super) struct Migration {
    /// The file's name.
    pub name: &'static str,
    /// The version that it leads to.
    pub version: Version,
    /// Its statements.
    pub sql: &'static str,
}

macro_rules! migrations {
    ($backend:literal: $(($major:literal, $minor:literal) $name:literal,)*) => {
        [$(Migration {
            name: $name,
            version: Version { major: $major, minor: $minor },
            sql: include_str!(concat!("../../sql/", $backend, "/", $name, ".sql")),
        },)*]
    };
}

pub(super) const SQLITE: [Migration; 3] = migrations! { "sqlite":
    (1, 0) "0001_schema_1_0",
    (2, 0) "0002_schema_2_0",
    (2, 1) "0003_schema_2_1",
};

pub(super) const MYSQL: [Migration; 3] = migrations! { "mysql":
    (1, 0) "0001_schema_1_0",
    (2, 0) "0002_schema_2_0",
    (2, 1) "0003_schema_2_1",
};

impl Migration {
    /// Its statements, each with the comment before it.
    pub fn statements(&self) -> impl Iterator<Item = &'static str> {
        self.sql.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
    }
}

/// Chooses what is to be run on a database of the version `found`. One that is too new is refused.
pub(super) fn plan(
    migrations: &'static [Migration],
    found: Option<Version>,
) -> Result<Vec<&'static Migration>, OpenError> {
    match found {
        Some(found) if found > SCHEMA => Err(OpenError::TooNew { found, known: SCHEMA }),
        _ => Ok(migrations.iter().filter(|migration| Some(migration.version) > found).collect()),
    }
}

/// The report of what was done.
pub(super) fn done(from: Option<Version>, applied: &[&'static Migration]) -> Migrated {
    Migrated { from, to: SCHEMA, applied: applied.iter().map(|migration| migration.name).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(found: Option<(i64, i64)>) -> Vec<&'static str> {
        let found = found.map(|(major, minor)| Version { major, minor });
        plan(&SQLITE, found).unwrap().iter().map(|migration| migration.name).collect()
    }

    #[test]
    fn every_version_has_its_way_up() {
        assert_eq!(planned(None), ["0001_schema_1_0", "0002_schema_2_0", "0003_schema_2_1"]);
        assert_eq!(planned(Some((1, 0))), ["0002_schema_2_0", "0003_schema_2_1"]);
        assert_eq!(planned(Some((1, 7))), ["0002_schema_2_0", "0003_schema_2_1"]);
        assert_eq!(planned(Some((2, 0))), ["0003_schema_2_1"]);
        assert_eq!(planned(Some((2, 1))), [""; 0]);
    }

    #[test]
    fn a_newer_minor_or_major_is_too_new() {
        for (major, minor) in [(2, 2), (3, 0)] {
            let found = Version { major, minor };
            assert!(matches!(plan(&MYSQL, Some(found)), Err(OpenError::TooNew { .. })));
        }
    }

    #[test]
    fn both_backends_have_the_same_migrations_and_end_at_the_schema() {
        let names = |migrations: &[Migration]| migrations.iter().map(|m| m.name).collect::<Vec<_>>();
        assert_eq!(names(&SQLITE), names(&MYSQL));
        for last in [SQLITE.last().unwrap(), MYSQL.last().unwrap()] {
            assert_eq!(last.version, SCHEMA);
            let set = format!("UPDATE versions SET major = {}, minor = {}", SCHEMA.major, SCHEMA.minor);
            assert_eq!(last.statements().last(), Some(set.as_str()));
        }
    }
}
