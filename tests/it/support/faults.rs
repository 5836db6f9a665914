//! How long the tests that break things go on.

/// So many rounds in `make test`, so many in `make test-faults`.
pub fn rounds(short: usize, long: usize) -> usize {
    if std::env::var_os("SKYPUNCH_TEST_FAULTS").is_some() { long } else { short }
}
