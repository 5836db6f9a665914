//! Finds the way in: the password, TLS, and the database, which is made where there is none.

use std::{fs, io, path::Path, time::Duration};

use mysql_async::{
    Conn, Error, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, SslOpts, prelude::Queryable,
};
use rustls::RootCertStore;
use skypunch_actors::domain::Secret;
use tokio::time::timeout;

use super::{error, history};
use crate::{
    secret,
    settings::{Database, DatabaseTls, DatabaseUrl},
    store::error::OpenError,
};

/// How long a server may take to let us in. A frozen one accepts connections and never speaks.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// A reload, a batch, and operators' commands at once, and some that a frozen server holds.
const CONNECTIONS: usize = 8;

/// A server may be told to take every client for one of its own character set.
const SESSION: &str = "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, \
     SESSION time_zone = '+00:00', SESSION sql_mode = 'TRADITIONAL'";

/// Opens a database that has the schema.
pub(super) async fn open(settings: &Database) -> Result<Pool, OpenError> {
    let mut connection = connect(settings).await?;
    history::forget_orphans(&mut connection).await.map_err(error::open)?;
    let constraints = PoolConstraints::new(1, CONNECTIONS).expect("one is less than all");
    // Without a reset, prepared statements live as long as their connection.
    let pool_opts = PoolOpts::new().with_constraints(constraints).with_reset_connection(false);
    Ok(Pool::new(OptsBuilder::from_opts(connection.opts().clone()).pool_opts(pool_opts)))
}

/// Connects to a database that exists.
pub(super) async fn connect(settings: &Database) -> Result<Conn, OpenError> {
    let options = options(settings)?;
    enter(settings, options).await?.map_err(error::open)
}

/// Connects, and makes the database where there is none.
pub(super) async fn connect_or_create(settings: &Database) -> Result<Conn, OpenError> {
    let options = options(settings)?;
    match enter(settings, options.clone()).await? {
        Err(e) if error::has_no_database(&e) => {
            create(settings, options.clone()).await?;
            enter(settings, options).await?.map_err(error::open)
        }
        entered => entered.map_err(error::open),
    }
}

/// Connects to look; `None` is no database.
pub(super) async fn look(settings: &Database) -> Result<Option<Conn>, OpenError> {
    match enter(settings, options(settings)?).await? {
        Err(e) if error::has_no_database(&e) => Ok(None),
        entered => entered.map(Some).map_err(error::open),
    }
}

async fn create(settings: &Database, options: OptsBuilder) -> Result<(), OpenError> {
    let mut connection = enter(settings, options.db_name(None::<String>)).await?.map_err(error::open)?;
    let DatabaseUrl::Mysql { database, .. } = &settings.url else {
        unreachable!("only a MySQL URL has options");
    };
    // A name cannot be bound.
    let quoted = format!("`{}`", database.replace('`', "``"));
    let create =
        format!("CREATE DATABASE IF NOT EXISTS {quoted} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
    match connection.query_drop(&create).await {
        Err(e) if error::has_no_database(&e) => {
            let account: Option<String> =
                connection.query_first("SELECT CURRENT_USER()").await.map_err(error::open)?;
            let account = account.unwrap_or_default().replace('\'', "''").replace('@', "'@'");
            let statements = format!("{create}; GRANT ALL PRIVILEGES ON {quoted}.* TO '{account}';");
            Err(OpenError::Missing { database: database.clone(), statements })
        }
        created => created.map_err(error::open),
    }
}

/// Connects, without TLS where it is only preferred and the server has none. What is worth more than
/// the driver's own error is the outer one.
async fn enter(settings: &Database, options: OptsBuilder) -> Result<Result<Conn, Error>, OpenError> {
    match within(Conn::new(Opts::from(options.clone()))).await? {
        Err(e) if settings.tls == DatabaseTls::Prefer && error::has_no_tls(&e) => {
            within(Conn::new(Opts::from(options.ssl_opts(None)))).await
        }
        entered => Ok(entered),
    }
}

async fn within<T>(connecting: impl Future<Output = T>) -> Result<T, OpenError> {
    let entered = timeout(CONNECT_WITHIN, connecting).await;
    entered.map_err(|_| OpenError::Unavailable(format!("no answer within {CONNECT_WITHIN:?}").into()))
}

fn options(settings: &Database) -> Result<OptsBuilder, OpenError> {
    let DatabaseUrl::Mysql { host, port, user, password, database, socket } = &settings.url else {
        unreachable!("the backend is chosen by the URL");
    };
    let password = password.as_ref().map(secret::resolve).transpose()?;
    let socket = socket.as_ref().map(|path| path.display().to_string());
    Ok(OptsBuilder::default()
        .ip_or_hostname(host.as_str())
        .tcp_port(*port)
        .socket(socket)
        // Else the driver turns TCP to this machine into the server's Unix socket.
        .prefer_socket(false)
        .user(Some(user))
        .pass(password.as_ref().map(Secret::expose))
        .db_name(Some(database))
        // A row that stays as it is was found, all the same.
        .client_found_rows(true)
        .ssl_opts(ssl_options(settings.tls, settings.ca_file.as_deref())?)
        .setup(vec![SESSION]))
}

fn ssl_options(tls: DatabaseTls, ca_file: Option<&Path>) -> Result<Option<SslOpts>, OpenError> {
    match tls {
        DatabaseTls::Off => Ok(None),
        DatabaseTls::Prefer | DatabaseTls::Require => {
            Ok(Some(SslOpts::default().with_danger_accept_invalid_certs(true)))
        }
        DatabaseTls::Verify => {
            let system = rustls_native_certs::load_native_certs().certs.into_iter();
            // One odd certificate among the system's would make the driver refuse them all.
            let system = system.filter(|root| RootCertStore::empty().add(root.clone()).is_ok());
            let mut roots: Vec<Vec<u8>> = system.map(|root| root.to_vec()).collect();
            if let Some(path) = ca_file {
                let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
                roots.push(fs::read(path).map_err(|e| OpenError::Denied(named(e).into()))?);
            }
            let roots = roots.into_iter().map(Into::into).collect();
            Ok(Some(SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots)))
        }
    }
}
