//! Where the database is: `sqlite:PATH`, or `mysql://user:password@host:3306/skypunch?socket=PATH`.

use std::{
    fmt,
    net::Ipv6Addr,
    path::{Path, PathBuf},
};

use percent_encoding::percent_decode_str;
use skypunch_actors::domain::Secret;

const MYSQL_PORT: u16 = 3306;

/// Where the database is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`
    Sqlite(PathBuf),
    /// `mysql://user:password@host:3306/skypunch`
    Mysql {
        /// Host name or address, without the brackets of IPv6.
        host: String,
        /// Port.
        port: u16,
        /// User.
        user: String,
        /// Password, or where to find it.
        password: Option<Secret>,
        /// Name of the database.
        database: String,
        /// The server's Unix socket (`?socket=PATH`), in place of host and port.
        socket: Option<PathBuf>,
    },
}

/// Why a text says no database. Quotes nothing of it: where a URL is wrong, any part may be the password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum DatabaseUrlError {
    /// Neither kind.
    #[error("it begins with neither `sqlite:` nor `mysql://`")]
    Scheme,
    /// `sqlite:` without a path, or with the slashes of a URL.
    #[error("`sqlite:` must be followed by a path, without `//`")]
    Path,
    /// No `@`, or nothing before it.
    #[error("the user is missing")]
    User,
    /// Nothing between `@` and `/`.
    #[error("the host is missing")]
    Host,
    /// Brackets without an IPv6 address in them.
    #[error("what stands in brackets is no IPv6 address")]
    Ipv6,
    /// Not a port.
    #[error("the port is not a number from 1 to 65535; write an IPv6 address in brackets")]
    Port,
    /// Nothing behind the host's `/`, or a further `/`.
    #[error("the name of the database is missing, or holds a `/`")]
    Database,
    /// Percent-encoding of something that is not text.
    #[error("what is percent-encoded is not UTF-8")]
    Encoding,
    /// A parameter that is not `socket`, or a relative path.
    #[error("only `?socket=` and an absolute path may follow")]
    Query,
}

/// As people write it, but for the password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Mysql { user, database, socket: Some(socket), .. } => {
                write!(f, "mysql://{user}@/{database}?socket={}", socket.display())
            }
            Self::Mysql { host, port, user, database, .. } if host.contains(':') => {
                write!(f, "mysql://{user}@[{host}]:{port}/{database}")
            }
            Self::Mysql { host, port, user, database, .. } => {
                write!(f, "mysql://{user}@{host}:{port}/{database}")
            }
        }
    }
}

impl DatabaseUrl {
    /// The same, with a relative path of SQLite below `directory`.
    pub(super) fn below(self, directory: &Path) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(directory.join(path)),
            mysql @ Self::Mysql { .. } => mysql,
        }
    }

    /// Reads a URL; a path may be relative.
    pub(super) fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            if path.is_empty() || path.starts_with("//") {
                return Err(DatabaseUrlError::Path);
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        parse_mysql(text.strip_prefix("mysql://").ok_or(DatabaseUrlError::Scheme)?)
    }
}

fn parse_mysql(rest: &str) -> Result<DatabaseUrl, DatabaseUrlError> {
    // The last `@`: a password may hold others, and the path of a `file:` its slashes and colons.
    let (login, place) = rest.rsplit_once('@').ok_or(DatabaseUrlError::User)?;
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    let user = decode(user)?;
    if user.is_empty() {
        return Err(DatabaseUrlError::User);
    }

    let (place, query) = place.split_once('?').unwrap_or((place, ""));
    let socket = parse_query(query)?;
    let (address, database) = place.split_once('/').ok_or(DatabaseUrlError::Database)?;
    let database = decode(database)?;
    if database.is_empty() || database.contains('/') {
        return Err(DatabaseUrlError::Database);
    }
    let (host, port) = match address {
        "" if socket.is_some() => ("localhost".to_owned(), MYSQL_PORT),
        address => parse_address(address)?,
    };
    let password = password.map(parse_password).transpose()?;
    Ok(DatabaseUrl::Mysql { host, port, user, password, database, socket })
}

/// A reference (`env:NAME`, `file:PATH`) stands as it is; a password itself is percent-decoded.
fn parse_password(text: &str) -> Result<Secret, DatabaseUrlError> {
    if text.starts_with("env:") || text.starts_with("file:") {
        return Ok(Secret::new(text));
    }
    decode(text).map(Secret::new)
}

fn parse_address(text: &str) -> Result<(String, u16), DatabaseUrlError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']').ok_or(DatabaseUrlError::Ipv6)?;
            host.parse::<Ipv6Addr>().map_err(|_| DatabaseUrlError::Ipv6)?;
            match port {
                "" => (host, None),
                port => (host, Some(port.strip_prefix(':').ok_or(DatabaseUrlError::Port)?)),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err(DatabaseUrlError::Host);
    }
    let port = port.map(str::parse).transpose().map_err(|_| DatabaseUrlError::Port)?;
    match port.unwrap_or(MYSQL_PORT) {
        0 => Err(DatabaseUrlError::Port),
        port => Ok((decode(host)?, port)),
    }
}

fn parse_query(query: &str) -> Result<Option<PathBuf>, DatabaseUrlError> {
    if query.is_empty() {
        return Ok(None);
    }
    let path = PathBuf::from(decode(query.strip_prefix("socket=").ok_or(DatabaseUrlError::Query)?)?);
    if path.is_absolute() { Ok(Some(path)) } else { Err(DatabaseUrlError::Query) }
}

fn decode(text: &str) -> Result<String, DatabaseUrlError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| DatabaseUrlError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DatabaseUrl, DatabaseUrlError> {
        DatabaseUrl::parse(text)
    }

    fn mysql(host: &str, port: u16, password: Option<&str>, socket: Option<&str>) -> DatabaseUrl {
        DatabaseUrl::Mysql {
            host: host.into(),
            port,
            user: "eve".into(),
            password: password.map(Secret::new),
            database: "skypunch".into(),
            socket: socket.map(PathBuf::from),
        }
    }

    #[test]
    fn a_url_is_shown_as_it_was_written_but_for_the_password() {
        let shown = |text| parse(text).unwrap().to_string();
        assert_eq!(shown("sqlite:/var/lib/sky.db"), "sqlite:/var/lib/sky.db");
        assert_eq!(shown("mysql://sky:hunter2@db/sky"), "mysql://sky@db:3306/sky");
        assert_eq!(shown("mysql://sky:hunter2@[::1]:3307/sky"), "mysql://sky@[::1]:3307/sky");
        assert_eq!(shown("mysql://sky@/sky?socket=/run/my.sock"), "mysql://sky@/sky?socket=/run/my.sock");
    }

    #[test]
    fn sqlite_has_a_path() {
        assert_eq!(parse("sqlite:a/b.db"), Ok(DatabaseUrl::Sqlite("a/b.db".into())));
        assert_eq!(parse("sqlite:/a/b.db"), Ok(DatabaseUrl::Sqlite("/a/b.db".into())));
    }

    #[test]
    fn mysql_has_a_default_port_and_may_have_no_password() {
        assert_eq!(parse("mysql://eve@db/skypunch"), Ok(mysql("db", 3306, None, None)));
        assert_eq!(parse("mysql://eve:@db:3307/skypunch"), Ok(mysql("db", 3307, Some(""), None)));
        assert_eq!(parse("mysql://eve@[::1]/skypunch"), Ok(mysql("::1", 3306, None, None)));
        assert_eq!(parse("mysql://eve@[::1]:3307/skypunch"), Ok(mysql("::1", 3307, None, None)));
    }

    #[test]
    fn a_password_may_hold_anything_or_name_where_it_is() {
        for (written, password) in [
            ("p%40ss%2Fw%3Ard%25", "p@ss/w:rd%"),
            ("p@ss:word?", "p@ss:word?"),
            ("env:DB_PASSWORD", "env:DB_PASSWORD"),
            ("file:/run/secrets/db@home%20", "file:/run/secrets/db@home%20"),
        ] {
            let url = parse(&format!("mysql://eve:{written}@db/skypunch"));
            assert_eq!(url, Ok(mysql("db", 3306, Some(password), None)), "{written}");
        }
    }

    #[test]
    fn a_socket_takes_the_place_of_the_host() {
        let url = parse("mysql://eve@/skypunch?socket=/run/my%20sql.sock");
        assert_eq!(url, Ok(mysql("localhost", 3306, None, Some("/run/my sql.sock"))));
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_quoted() {
        use DatabaseUrlError as Error;
        for (text, error) in [
            ("", Error::Scheme),
            ("postgres://eve:hunter2@db/skypunch", Error::Scheme),
            ("sqlite:", Error::Path),
            ("sqlite://hunter2", Error::Path),
            ("mysql://hunter2/skypunch", Error::User),
            ("mysql://:hunter2@db/skypunch", Error::User),
            ("mysql://eve:hunter2@/skypunch", Error::Host),
            ("mysql://eve:hunter2@:3306/skypunch", Error::Host),
            ("mysql://eve@[hunter2]/skypunch", Error::Ipv6),
            ("mysql://eve@db:hunter2/skypunch", Error::Port),
            ("mysql://eve@db:0/skypunch", Error::Port),
            ("mysql://eve@::1/skypunch", Error::Host),
            ("mysql://eve:hunter2@db", Error::Database),
            ("mysql://eve:hunter2@db/", Error::Database),
            ("mysql://eve:hunter2@db/a/b", Error::Database),
            ("mysql://eve:hunter2%ff@db/skypunch", Error::Encoding),
            ("mysql://eve@db/skypunch?password=hunter2", Error::Query),
            ("mysql://eve@db/skypunch?socket=hunter2", Error::Query),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn debug_does_not_show_the_password() {
        assert!(!format!("{:?}", parse("mysql://eve:hunter2@db/skypunch").unwrap()).contains("hunter2"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(mysql://|sqlite:)?[ -~]{0,40}") {
            drop(parse(&text));
        }
    }
}
