//! What a row says of its mail server and its recipients.

use lettre::{
    Address,
    message::{Mailbox, Mailboxes},
    transport::smtp::extension::ClientId,
};
use rustls::pki_types::ServerName;
use skypunch_actors::domain::{Fault, NotifierDefinition, Params, Secret, text};

use crate::secret;

/// Every parameter.
pub const KEYS: [&str; 6] = ["from", "password", "port", "security", "server", "user"];

/// How a row says to send its mail.
#[derive(Clone, Debug)]
pub(super) struct SmtpConfig {
    /// Whom to.
    pub to: Mailboxes,
    /// Whom from.
    pub from: Mailbox,
    /// The name or address of the server; certificates are verified for it.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Without it, no AUTH.
    pub login: Option<Login>,
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Security {
    /// It must be upgraded before anything is said.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// Not at all, credentials included.
    None,
}

/// Who to log in as. Either may be `env:NAME` or `file:PATH`, which each attempt resolves.
#[derive(Clone, Debug)]
pub(super) struct Login {
    /// The user.
    pub user: Secret,
    /// The password.
    pub password: Secret,
}

impl SmtpConfig {
    /// Reads a row, or names all that is wrong with it.
    pub fn read(definition: &NotifierDefinition, params: &Params) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        for key in params.keys().filter(|key| !KEYS.contains(key)) {
            let shown = text::reason(&text::cut(key, 40));
            faults.of_params(format!("`{shown}` is not known: {}", KEYS.join(", ")));
        }
        let to = recipients(definition.address.expose(), &mut faults);
        let server = faults.server(params);
        let security = faults.security(params);
        let port = faults.port(params, security);
        let from = faults.sender(params);
        let login = faults.login(params);
        match from {
            Some(from) if faults.0.is_empty() => Ok(Self { to, from, server, port, security, login }),
            _ => Err(faults.0),
        }
    }
}

/// Gathers all faults of a row while its parts are read.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, column: &'static str, problem: String) {
        self.0.push(Fault::new(column, problem));
    }

    fn of_params(&mut self, problem: String) {
        self.add("params", problem);
    }

    /// A value that is used when the row is read, and so resolved then.
    fn value(&mut self, params: &Params, key: &str) -> Option<String> {
        let value = params.get(key)?;
        match secret::resolve(value) {
            Ok(value) => Some(value.expose().trim().to_owned()),
            Err(error) => {
                self.of_params(format!("`{key}`: {error}"));
                None
            }
        }
    }

    fn server(&mut self, params: &Params) -> String {
        if params.get("server").is_none() {
            self.of_params("`server` is missing".to_owned());
        }
        let server = self.value(params, "server");
        if server.as_deref().is_some_and(|server| ServerName::try_from(server).is_err()) {
            self.of_params("`server` must be a host name or an IP address".to_owned());
        }
        server.unwrap_or_default()
    }

    fn security(&mut self, params: &Params) -> Security {
        let word = self.value(params, "security").unwrap_or_default().to_lowercase();
        match word.as_str() {
            "" | "starttls" => Security::StartTls,
            "tls" => Security::Tls,
            "none" => Security::None,
            _ => {
                self.of_params("`security` must be starttls, tls or none".to_owned());
                Security::StartTls
            }
        }
    }

    fn port(&mut self, params: &Params, security: Security) -> u16 {
        let usual = if security == Security::Tls { 465 } else { 587 };
        match self.value(params, "port").map(|port| port.parse()) {
            None => usual,
            Some(Ok(port)) if port > 0 => port,
            Some(_) => {
                self.of_params("`port` must be 1 to 65535".to_owned());
                usual
            }
        }
    }

    fn sender(&mut self, params: &Params) -> Option<Mailbox> {
        let sender = match self.value(params, "from") {
            Some(from) => from.parse().map_err(|_| "`from` is no mail address".to_owned()),
            None => {
                let host = ClientId::default().to_string();
                Address::new("skypunch", &host)
                    .map(Mailbox::from)
                    .map_err(|_| format!("`from` is missing, and the host's name `{host}` makes no address"))
            }
        };
        sender.map_err(|problem| self.of_params(problem)).ok()
    }

    fn login(&mut self, params: &Params) -> Option<Login> {
        match (params.get("user"), params.get("password")) {
            (Some(user), Some(password)) => Some(Login { user: user.clone(), password: password.clone() }),
            (None, None) => None,
            (Some(_), None) => {
                self.of_params("`user` needs a `password`".to_owned());
                None
            }
            (None, Some(_)) => {
                self.of_params("`password` needs a `user`".to_owned());
                None
            }
        }
    }
}

/// Reads a list of recipients, each with or without a display name.
fn recipients(list: &str, faults: &mut Faults) -> Mailboxes {
    let mut to = Mailboxes::new();
    let mut named = false;
    for one in split(list).map(str::trim).filter(|one| !one.is_empty()) {
        named = true;
        match one.parse() {
            Ok(mailbox) => to.push(mailbox),
            Err(_) => {
                let shown = text::reason(&text::cut(one, 80));
                faults.add("address", format!("`{shown}` is no mail address"));
            }
        }
    }
    if !named {
        faults.add("address", "names no recipient".to_owned());
    }
    to
}

/// Splits at the commas that are not within the quotes of a display name.
fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    list.split(move |c| {
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        c == ',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(address: &str, params: &str) -> Result<SmtpConfig, String> {
        let definition = NotifierDefinition::new("ops", "SMTP", address);
        let params = Params::parse(params).unwrap();
        SmtpConfig::read(&definition, &params).map_err(|faults| Fault::join(&faults))
    }

    #[test]
    fn a_server_and_a_recipient_are_enough() {
        let config = read("ops@example.org", "server=mail.example.org").unwrap();
        assert_eq!((config.port, config.security), (587, Security::StartTls));
        assert!(config.login.is_none());
        assert_eq!(config.from.email.user(), "skypunch");
    }

    #[test]
    fn tls_from_the_first_byte_has_its_own_port() {
        let port = |params| read("a@b.org", params).unwrap().port;
        assert_eq!(port("server=m,security=tls"), 465);
        assert_eq!(port("server=m,security=TLS,port=2465"), 2465);
        assert_eq!(port("server=m,security=none"), 587);
    }

    #[test]
    fn recipients_may_have_names() {
        let list = r#"ops@example.org, "Doe, \"J\" Jane" <jane@example.org>,Zoë <zoe@example.org>,"#;
        let to = read(list, "server=m").unwrap().to;
        let names: Vec<_> = to.iter().map(|mailbox| mailbox.name.as_deref().unwrap_or("-")).collect();
        assert_eq!(names, ["-", r#"Doe, "J" Jane"#, "Zoë"]);
    }

    #[test]
    fn all_faults_of_a_row_are_named_at_once() {
        let faults = read("ops, x@example.org, jane@", "port=0,security=ssl,user=bob,sever=m").unwrap_err();
        assert_eq!(
            faults,
            "params: `sever` is not known: from, password, port, security, server, user; \
             address: `ops` is no mail address; address: `jane@` is no mail address; \
             params: `server` is missing; params: `security` must be starttls, tls or none; \
             params: `port` must be 1 to 65535; params: `user` needs a `password`"
        );
        assert_eq!(read(" , ", "server=m").unwrap_err(), "address: names no recipient");
        assert!(read("a@b.org", "server=m,password=hunter2").unwrap_err().contains("needs a `user`"));
        assert!(read("a@b.org", "server=m,from=ops").unwrap_err().contains("`from`"));
        assert!(read("a@b.org", "server=file:/no/such").unwrap_err().contains("cannot read the file"));
    }

    #[test]
    fn a_password_is_in_no_fault_and_in_no_debug() {
        let config = read("a@b.org", "server=m,user=bob,password=hunter2").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let faults = read("a@b.org", "port=x,user=bob,password=hunter2").unwrap_err();
        assert!(!faults.contains("hunter2"));
    }
}
