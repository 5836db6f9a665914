//! What MySQL's errors mean to the callers.

use mysql_async::{DriverError, Error, IoError, ServerError};
use skypunch_actors::port::StoreError;

use crate::store::error::OpenError;

/// `ER_BAD_DB_ERROR`
const NO_DATABASE: u16 = 1049;
/// `ER_DBACCESS_DENIED_ERROR`: the user has no rights there, whether it exists or not.
const DATABASE_DENIED: u16 = 1044;
/// `ER_NO_SUCH_TABLE`
const NO_TABLE: u16 = 1146;

/// Only what the data themselves make impossible is refused. All else, a right or a table that is missing
/// too, somebody may mend: what waits to be written must live until then.
pub(super) fn store(error: Error) -> StoreError {
    if is_refusal(&error) { StoreError::Refused(error.into()) } else { StoreError::Unavailable(error.into()) }
}

/// Whether the same statement will be refused again. Nothing else of its transaction is lost then.
pub(super) fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Server(server) if is_about_data(server))
}

/// Data exceptions, violated constraints, and `SIGNAL` of a trigger; then the same without a class:
/// a column without default, a text of another character set, a violated `CHECK`.
fn is_about_data(server: &ServerError) -> bool {
    ["22", "23", "45"].iter().any(|class| server.state.starts_with(class))
        || matches!(server.code, 1364 | 1366 | 3819)
}

pub(super) fn open(error: Error) -> OpenError {
    let denied = match &error {
        // Wrong user or password, wrong plugin, missing rights, no access.
        Error::Server(server) => matches!(server.code, 1044 | 1045 | 1142 | 1143 | 1227 | 1251 | 1698),
        Error::Io(IoError::Tls(_)) => true,
        // What the handshake says of a certificate comes wrapped.
        Error::Io(IoError::Io(e)) => e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()),
        Error::Driver(driver) => matches!(
            driver,
            DriverError::NoClientSslFlagFromServer
                | DriverError::UnknownAuthPlugin { .. }
                | DriverError::MysqlOldPasswordDisabled
                | DriverError::CleartextPluginDisabled
        ),
        _ => false,
    };
    if denied { OpenError::Denied(error.into()) } else { OpenError::Unavailable(error.into()) }
}

pub(super) fn has_no_tls(error: &Error) -> bool {
    matches!(error, Error::Driver(DriverError::NoClientSslFlagFromServer))
}

pub(super) fn has_no_database(error: &Error) -> bool {
    matches!(error, Error::Server(server) if matches!(server.code, NO_DATABASE | DATABASE_DENIED))
}

pub(super) fn has_no_table(error: &Error) -> bool {
    matches!(error, Error::Server(server) if server.code == NO_TABLE)
}

/// The statement was run before: the column or key is there already, or gone already.
pub(super) fn is_done_already(error: &Error) -> bool {
    matches!(error, Error::Server(server) if matches!(server.code, 1060 | 1061 | 1091))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16, state: &str) -> Error {
        Error::Server(ServerError { code, message: String::new(), state: state.to_owned() })
    }

    #[test]
    fn only_what_the_data_make_impossible_is_refused() {
        for (code, state) in
            [(1406, "22001"), (1264, "22003"), (1062, "23000"), (1366, "HY000"), (1644, "45000")]
        {
            assert!(matches!(store(server(code, state)), StoreError::Refused(_)), "{code}");
        }
        for (code, state) in [
            (1213, "40001"),
            (1205, "HY000"),
            (1047, "08S01"),
            (1040, "08004"),
            (1290, "HY000"),
            (1045, "28000"),
            (1142, "42000"),
            (1146, "42S02"),
        ] {
            assert!(matches!(store(server(code, state)), StoreError::Unavailable(_)), "{code}");
        }
    }

    #[test]
    fn a_wrong_password_is_denied_and_a_full_server_is_not() {
        assert!(matches!(open(server(1045, "28000")), OpenError::Denied(_)));
        assert!(matches!(open(server(1040, "08004")), OpenError::Unavailable(_)));
    }
}
