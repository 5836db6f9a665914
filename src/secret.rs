//! Finds secrets that a row or the configuration only names: `env:NAME` and `file:PATH`.

use std::{
    env,
    fs::File,
    io::{self, Read},
};

use skypunch_actors::domain::Secret;

/// The longest file that is taken for a secret, in bytes: a device such as `/dev/zero` never ends.
const FILE_MAX: u64 = 64 * 1024;

/// Why a named secret cannot be had. The names are no secrets; what they name is.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// `env:NAME` without such a variable.
    #[error("the environment variable {0} is not set, or is not UTF-8")]
    Env(String),
    /// `file:PATH` without such a file.
    #[error("cannot read the file {path}: {}", source.kind())]
    File {
        /// The path.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// `file:PATH` with a file that is longer than any secret.
    #[error("the file {0} is longer than 64 KiB, which no secret is")]
    TooLong(String),
}

/// Finds what `value` names; any other value is the secret itself.
///
/// Done at each use, so that a secret can be changed without a restart. Of a file, the newline that
/// editors put at its end is left out.
pub fn resolve(value: &Secret) -> Result<Secret, SecretError> {
    let text = value.expose();
    if let Some(name) = text.strip_prefix("env:") {
        return env::var(name).map(Secret::new).map_err(|_| SecretError::Env(name.to_owned()));
    }
    if let Some(path) = text.strip_prefix("file:") {
        let mut read = String::new();
        let length = File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut read));
        return match length {
            Ok(length) if length as u64 > FILE_MAX => Err(SecretError::TooLong(path.to_owned())),
            Ok(_) => Ok(Secret::new(read.trim_end_matches(['\r', '\n']))),
            Err(source) => Err(SecretError::File { path: path.to_owned(), source }),
        };
    }
    Ok(value.clone())
}

/// The same for actors: a file may lie on a disk that does not answer.
pub async fn resolve_off_thread(value: &Secret) -> Result<Secret, SecretError> {
    let Some(path) = value.expose().strip_prefix("file:") else {
        return resolve(value);
    };
    let named = value.clone();
    // Only a runtime that shuts down drops the task.
    tokio::task::spawn_blocking(move || resolve(&named)).await.unwrap_or_else(|_| {
        Err(SecretError::File { path: path.to_owned(), source: io::ErrorKind::Interrupted.into() })
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_without_its_last_newline() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "hunter2\n").unwrap();
        let named = Secret::new(format!("file:{}", file.path().display()));
        assert_eq!(resolve(&named).unwrap().expose(), "hunter2");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |text| resolve(&Secret::new(text)).unwrap_err().to_string();
        assert!(error("env:SKYPUNCH_NO_SUCH_VARIABLE").contains("SKYPUNCH_NO_SUCH_VARIABLE"));
        assert!(error("file:/no/such/file").contains("/no/such/file"));
    }

    #[test]
    fn a_file_without_an_end_is_no_secret() {
        let error = resolve(&Secret::new("file:/dev/zero")).unwrap_err();
        assert!(matches!(error, SecretError::TooLong(_)), "{error}");
    }

    #[test]
    fn a_plain_value_is_the_secret() {
        assert_eq!(resolve(&Secret::new("hunter2")).unwrap().expose(), "hunter2");
    }
}
