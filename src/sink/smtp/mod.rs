//! `KIND` SMTP: a mail to each recipient, text and HTML, through one server.
//!
//! - Credentials and the mail cross an unencrypted connection only where the row says `security=none`.
//! - A connection a delivery; each step of the dialogue has its deadline and is named in the error.
//! - A recipient who is refused for good keeps no other from being told; the receipt names them. One
//!   who is refused for now fails the attempt before anybody was told, so the next tells each once.
//!
//! # Design notes
//!
//! 2026-11: the dialogue is spoken here, over lettre's connection, and not by its transport. That one
//! fails a mail that was accepted when the QUIT after it fails (so it would be sent twice), has no
//! deadline but for connecting, gives up at the first refused recipient, and does not say which.

mod config;
mod mail;

use std::{error::Error, fmt, future::Future, io, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::{FutureExt, future::LocalBoxFuture};
use lettre::{
    Address,
    transport::smtp::{
        self,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailParameter},
        response::Response,
    },
};
use rustls::pki_types::CertificateDer;
use skypunch_actors::{
    domain::{Fault, MASK, Notification, NotifierDefinition, Params, Secret, text},
    port::{Receipt, Sink, SinkBuilder, SinkError},
};
use tokio::time::timeout;

pub(super) use self::config::KEYS;
use self::config::{Login, Security, SmtpConfig};
use super::{
    Sinks,
    manual::{Manual, ParamManual},
    own::Own,
};
use crate::{fields::Fields, secret};

/// What the column `type` says.
pub const KIND: &str = "SMTP";

/// How long one address of the server may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long any other step may take: some servers greet late on purpose. Below the deadline of the
/// callers, so that it is this error that is seen.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// The mail is accepted by then, and nothing depends on the answer.
const QUIT_WITHIN: Duration = Duration::from_secs(1);

/// Reads a row.
pub(super) fn prepare(
    sinks: &Sinks,
    definition: &NotifierDefinition,
    params: &Params,
    options: &mut Fields<'_>,
) -> Result<SinkBuilder, Vec<Fault>> {
    let own = Own::read(options);
    let config = SmtpConfig::read(definition, params)?;
    let tls = trust(&sinks.roots, &config.server);
    Ok(Box::new(move || Box::new(SmtpSink { config, own, tls, answer_within: ANSWER_WITHIN })))
}

/// What people are told of the kind.
pub(super) fn manual() -> Manual {
    let param = ParamManual::new;
    Manual {
        kind: KIND.to_owned(),
        title: "Mail".to_owned(),
        docs: String::new(),
        note: "A password is never sent unencrypted unless `security=none` says so.".to_owned(),
        address: param("address", "mail addresses, separated by commas").required("ops@example.org"),
        params: vec![
            param("from", "whom mails are from").default("skypunch@ the host's name"),
            param("password", "to log in with").secret(),
            param("port", "of the server").default("587, or 465 with security=tls"),
            param("security", "starttls, tls (from the first byte) or none").default("starttls"),
            param("server", "the mail server: a host name or an address").required("mail.example.org"),
            param("user", "to log in as; without it, nobody logs in"),
        ],
    }
}

/// TLS that trusts `roots` and nothing else.
fn trust(roots: &[CertificateDer<'static>], server: &str) -> TlsParameters {
    let none = TlsParameters::builder(server.to_owned()).certificate_store(CertificateStore::None);
    let certificates = roots.iter().filter_map(|root| Certificate::from_der(root.to_vec()).ok());
    let all = certificates.fold(none, |builder, root| builder.add_root_certificate(root));
    all.build().expect("every root was read before")
}

struct SmtpSink {
    config: SmtpConfig,
    own: Own,
    tls: TlsParameters,
    answer_within: Duration,
}

impl Sink for SmtpSink {
    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<Receipt, SinkError>> {
        async move {
            let login = self.resolve_login().await?;
            let mail = mail::compose(notification, &self.config, &self.own);
            // Cut last: half a secret would not be recognised.
            let clean = |text: String| text::reason(&scrub(text, login.as_ref()));
            match self.send(login.as_ref(), &mail).await {
                Ok(told) => Ok(Receipt(clean(told))),
                Err(SinkError::Permanent(reason)) => Err(SinkError::Permanent(clean(reason))),
                Err(SinkError::Transient { reason, .. }) => Err(transient(clean(reason))),
            }
        }
        .boxed_local()
    }
}

impl SmtpSink {
    /// Fails for now only: the secret may be put right without a change of the row.
    async fn resolve_login(&self) -> Result<Option<Login>, SinkError> {
        let Some(login) = &self.config.login else {
            return Ok(None);
        };
        let user = resolve("user", &login.user).await?;
        let password = resolve("password", &login.password).await?;
        Ok(Some(Login { user, password }))
    }

    /// Hands the mail to the server, and says what it answered.
    async fn send(&self, login: Option<&Login>, mail: &[u8]) -> Result<String, SinkError> {
        let mut connection = self.connect(login).await?;
        let refused = self.name_recipients(&mut connection).await?;
        self.step("DATA", connection.command(Data)).await?;
        // No deadline of its own: the server may have the mail although its answer is late, and each
        // attempt that ends before the answer sends another copy.
        let accepted = connection.message(mail).await.map_err(|error| self.judge("the mail", &error))?;
        // It has the mail; what becomes of the connection changes nothing.
        drop(timeout(QUIT_WITHIN, connection.quit()).await);
        Ok([vec![words(&accepted)], refused].concat().join("; "))
    }

    /// Connects, protects the connection as the row says, and logs in.
    async fn connect(&self, login: Option<&Login>) -> Result<AsyncSmtpConnection, SinkError> {
        let SmtpConfig { server, port, security, .. } = &self.config;
        let hello = ClientId::default();
        let wrapped = (*security == Security::Tls).then(|| self.tls.clone());
        let address = (server.as_str(), *port);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT_WITHIN), &hello, wrapped, None);
        let mut connection = self.step("the connection", connecting).await?;
        if *security == Security::StartTls {
            self.step("STARTTLS", connection.starttls(self.tls.clone(), &hello)).await?;
        }
        if let Some(Login { user, password }) = login {
            let credentials = Credentials::new(user.expose().to_owned(), password.expose().to_owned());
            let logged_in = connection.auth(DEFAULT_MECHANISMS, &credentials);
            self.step("the login", logged_in).await.map_err(|error| match error {
                SinkError::Permanent(reason) => {
                    SinkError::Permanent(format!("{reason}; check `user` and `password`"))
                }
                other => other,
            })?;
        }
        Ok(connection)
    }

    /// Names the sender and every recipient; returns who was refused for good, if not all were.
    async fn name_recipients(&self, connection: &mut AsyncSmtpConnection) -> Result<Vec<String>, SinkError> {
        let recipients: Vec<&Address> = self.config.to.iter().map(|mailbox| &mailbox.email).collect();
        let from = &self.config.from.email;
        let ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
        let mut parameters = Vec::new();
        if !ascii(from) || !recipients.iter().copied().all(ascii) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(SinkError::Permanent(format!("{self}: takes only ASCII addresses")));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let sender = Mail::new(Some(from.clone()), parameters);
        self.step(&format!("the sender {from}"), connection.command(sender)).await?;

        let mut refused = Vec::new();
        for recipient in &recipients {
            let step = format!("the recipient {recipient}");
            let named = connection.command(Rcpt::new((*recipient).clone(), Vec::new()));
            match self.step(&step, named).await {
                Ok(_) => (),
                Err(SinkError::Permanent(reason)) => refused.push(reason),
                Err(error) => return Err(error),
            }
        }
        if refused.len() == recipients.len() {
            return Err(SinkError::Permanent(refused.join("; ")));
        }
        Ok(refused)
    }

    /// Waits for the answer to one step, and says of a failure at which step it came.
    async fn step<T>(
        &self,
        step: &str,
        doing: impl Future<Output = Result<T, smtp::Error>>,
    ) -> Result<T, SinkError> {
        match timeout(self.answer_within, doing).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.judge(step, &error)),
            Err(_) => {
                let within = self.answer_within.as_secs_f64();
                Err(transient(format!("{self}: no answer to {step} within {within} s")))
            }
        }
    }

    /// Only a clear refusal is permanent.
    fn judge(&self, step: &str, error: &smtp::Error) -> SinkError {
        match error.status() {
            Some(code) => {
                let said = error.source().map(ToString::to_string).unwrap_or_default();
                let reason = format!("{self}: answered {code} {said} to {step}");
                if error.is_permanent() { SinkError::Permanent(reason) } else { transient(reason) }
            }
            None => transient(format!("{self}: {step} failed: {}", root_cause(error))),
        }
    }
}

impl fmt::Display for SmtpSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.config.server, self.config.port)
    }
}

async fn resolve(key: &str, value: &Secret) -> Result<Secret, SinkError> {
    let resolved = secret::resolve_off_thread(value).await;
    resolved.map_err(|error| transient(text::reason(&format!("`{key}`: {error}"))))
}

fn transient(reason: String) -> SinkError {
    SinkError::Transient { reason, retry_after: None }
}

fn words(response: &Response) -> String {
    let lines: Vec<_> = response.message().collect();
    format!("{} {}", response.code(), lines.join(" "))
}

/// What is at the bottom of an error, in words for people.
fn root_cause(error: &smtp::Error) -> String {
    let mut root: &(dyn Error + 'static) = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let Some(io) = root.downcast_ref::<io::Error>() else {
        return root.to_string();
    };
    if io
        .get_ref()
        .is_some_and(|inner| matches!(inner.downcast_ref(), Some(rustls::Error::InvalidMessage(_))))
    {
        return "the server does not speak TLS here".to_owned();
    }
    match io.raw_os_error() {
        Some(_) => io.kind().to_string(),
        None => io.to_string(),
    }
}

/// Masks the credentials in a text, plain or as they were sent: some servers repeat what they refuse.
fn scrub(text: String, login: Option<&Login>) -> String {
    let Some(Login { user, password }) = login else {
        return text;
    };
    let (user, password) = (user.expose(), password.expose());
    if password.is_empty() {
        return text;
    }
    let plain = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
    text.replace(&plain, MASK).replace(&BASE64_STANDARD.encode(password), MASK).replace(password, MASK)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// A sink to a server that says `greeting` and nothing more.
    async fn sink_to(greeting: &'static str, security: &str) -> SmtpSink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(greeting.as_bytes()).await.unwrap();
            stream.read_to_end(&mut Vec::new()).await.ok();
        });
        let params = format!("server=127.0.0.1,port={port},security={security}");
        let definition = NotifierDefinition::new("ops", KIND, "ops@example.org");
        let config = SmtpConfig::read(&definition, &Params::parse(&params).unwrap()).unwrap();
        let tls = trust(&[], &config.server);
        SmtpSink { config, own: Own::default(), tls, answer_within: Duration::from_millis(100) }
    }

    async fn failure(greeting: &'static str, security: &str) -> SinkError {
        sink_to(greeting, security).await.send(None, b"").await.unwrap_err()
    }

    #[actix::test]
    async fn a_silent_server_costs_one_step() {
        for (greeting, security) in [("", "none"), ("", "tls"), ("220 hello\r\n", "starttls")] {
            let SinkError::Transient { reason, .. } = failure(greeting, security).await else {
                panic!("a silent server may speak later");
            };
            assert!(reason.contains("no answer to the connection within 0.1 s"), "{reason}");
        }
    }

    #[actix::test]
    async fn a_password_in_a_file_that_does_not_answer_stops_no_other_actor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut sink = sink_to("", "none").await;
        let password = Secret::new(format!("file:{}", path.display()));
        sink.config.login = Some(Login { user: Secret::new("bob"), password });
        let resolved = timeout(Duration::from_millis(100), sink.resolve_login()).await;
        assert!(resolved.is_err(), "the thread went on meanwhile");
        std::fs::write(&path, "hunter2").unwrap();
    }

    #[actix::test]
    async fn a_server_that_closes_its_door_is_quoted() {
        let permanent = failure("554 5.3.2 no mail here\r\n", "none").await;
        assert!(permanent.to_string().ends_with("answered 554 5.3.2 no mail here to the connection"));
        assert!(matches!(permanent, SinkError::Permanent(_)));
        let transient = failure("421 4.3.2 later\r\n", "none").await;
        assert!(matches!(transient, SinkError::Transient { .. }));
    }

    #[actix::test]
    async fn a_plain_server_is_told_from_one_that_speaks_tls() {
        let reason = failure("220 hello\r\n", "tls").await.to_string();
        assert!(reason.ends_with("the server does not speak TLS here"), "{reason}");
    }

    #[test]
    fn repeated_credentials_are_masked() {
        let login = Login { user: Secret::new("bob"), password: Secret::new("hunter2") };
        let masked = |text: &str| scrub(text.to_owned(), Some(&login));
        assert_eq!(masked("502 what is AUTH PLAIN AGJvYgBodW50ZXIy?"), "502 what is AUTH PLAIN ***?");
        assert_eq!(masked("aHVudGVyMg== or hunter2"), "*** or ***");
        let empty = Login { user: Secret::new("bob"), password: Secret::default() };
        assert_eq!(scrub("as it is".to_owned(), Some(&empty)), "as it is");
    }
}
