//! A private Postfix: own configuration, queue, log, mailboxes and certificate.
//!
//! It listens on a loopback address of its own, taken for as long as it runs, so that tests in parallel
//! never meet, in one process or in many. Postfix starts as root only.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use super::wait::wait_until;

/// Who may log in, in the realm that is the default.
pub const USER: &str = "bob";
/// The password, marked to be found wherever it should not be.
pub const PASSWORD: &str = "hunter2-marked";

/// Needs STARTTLS and a login.
pub const STARTTLS: u16 = 2587;
/// Needs TLS from the first byte and a login.
pub const TLS: u16 = 2465;
/// Takes mail from everybody, unencrypted.
pub const PLAIN: u16 = 2525;
/// Unencrypted, and takes logins all the same.
pub const PLAIN_LOGIN: u16 = 2526;
/// Refuses everybody for good.
pub const REJECT: u16 = 2550;
/// Refuses everybody for now.
pub const DEFER: u16 = 2450;
/// Says nothing for an hour.
pub const HANG: u16 = 2999;
/// Nobody serves there: whoever listens has the address.
const TAKEN: u16 = 2000;

/// The services, as `master.cf` names them.
fn services(ip: IpAddr) -> String {
    let smtpd = |port: u16, options: &str| format!("{ip}:{port} inet n - n - - smtpd {options}\n");
    let logged_in =
        "-o smtpd_sasl_auth_enable=yes -o smtpd_client_restrictions=permit_sasl_authenticated,reject";
    [
        smtpd(STARTTLS, &format!("-o smtpd_tls_security_level=encrypt {logged_in}")),
        smtpd(TLS, &format!("-o smtpd_tls_wrappermode=yes {logged_in}")),
        smtpd(PLAIN, ""),
        smtpd(PLAIN_LOGIN, &format!("-o smtpd_tls_auth_only=no {logged_in}")),
        smtpd(REJECT, "-o smtpd_recipient_restrictions=reject"),
        smtpd(DEFER, "-o smtpd_recipient_restrictions=defer"),
        smtpd(HANG, "-o smtpd_delay_reject=no -o { smtpd_client_restrictions = sleep 3600 }"),
        "cleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\n\
         rewrite unix - - n - - trivial-rewrite\n\
         bounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\n\
         trace unix - - n - 0 bounce\n\
         proxymap unix - - n - - proxymap\n\
         error unix - - n - - error\n\
         retry unix - - n - - error\n\
         virtual unix - n n - - virtual\n\
         anvil unix - - n - 1 anvil\n\
         postlog unix-dgram n - n - 1 postlogd\n"
            .to_owned(),
    ]
    .concat()
}

/// A running server; it ends with this value.
pub struct Postfix {
    starter: Child,
    home: TempDir,
    ip: IpAddr,
    _taken: TcpListener,
    ca: CertificateDer<'static>,
}

impl Postfix {
    /// Starts a server with the mailboxes `ops@example.org` and `jane@example.org`.
    pub async fn start() -> Self {
        assert!(
            Path::new("/usr/sbin/postfix").exists() && Path::new("/usr/sbin/saslpasswd2").exists(),
            "postfix or sasl2-bin is not installed: run `make deps`"
        );
        assert!(rustix::process::geteuid().is_root(), "Postfix starts as root only: run the tests as root");
        let home = tempfile::Builder::new().prefix("postfix-").tempdir().unwrap();
        // Its daemons are another user, and reach their folders through this one.
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (ip, taken) = own_address();
        let ca = write_certificate(home.path(), ip);
        write_configuration(home.path(), ip);
        write_passwords(home.path());
        let log = fs::File::create(home.path().join("start.log")).unwrap();
        let starter = Command::new("/usr/sbin/postfix")
            .arg("-c")
            .arg(home.path())
            .arg("start-fg")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self { starter, home, ip, _taken: taken, ca };
        server.wait_until_it_serves().await;
        server
    }

    /// Its address, for which its certificate holds.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The authority of its certificate.
    pub fn ca(&self) -> CertificateDer<'static> {
        self.ca.clone()
    }

    /// Waits for a mail to `mailbox`, and returns its text.
    pub async fn mail_to(&self, mailbox: &str) -> Vec<u8> {
        let folder = self.home.path().join("mail").join(mailbox).join("new");
        let mail = wait_until("a mail", || fs::read_dir(&folder).ok()?.next()).await;
        fs::read(mail.unwrap().path()).unwrap()
    }

    /// Waits for a mail to `mailbox` with this in its subject, and returns its text.
    pub async fn mail_about(&self, mailbox: &str, subject: &str) -> String {
        let folder = self.home.path().join("mail").join(mailbox).join("new");
        let about =
            |mail: &String| mail.lines().any(|line| line.starts_with("Subject: ") && line.contains(subject));
        wait_until(&format!("a mail about {subject}"), || {
            let mut mails =
                fs::read_dir(&folder).ok()?.filter_map(|mail| fs::read_to_string(mail.ok()?.path()).ok());
            mails.find(&about)
        })
        .await
    }

    /// The authority of its certificate, as a file.
    pub fn ca_file(&self) -> PathBuf {
        let path = self.home.path().join("ca.pem");
        let base64 = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &self.ca);
        let lines: Vec<&str> =
            base64.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
        fs::write(&path, pem).unwrap();
        path
    }

    /// Waits until a client has left, and returns what the log sums up of its commands.
    pub async fn commands_of_client(&self) -> String {
        let last =
            |log: &str| log.lines().rfind(|line| line.contains(": disconnect from")).map(str::to_owned);
        wait_until("a client that leaves", || last(&self.log())).await
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("mail.log")).unwrap_or_default()
    }

    async fn wait_until_it_serves(&mut self) {
        let started = wait_until("Postfix to start", || {
            if self.log().contains("daemon started") {
                return Some(true);
            }
            self.starter.try_wait().unwrap().map(|_| false)
        });
        let started = started.await;
        let said = fs::read_to_string(self.home.path().join("start.log")).unwrap_or_default();
        assert!(started, "Postfix did not start: {said}{}", self.log());
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // The master leaves the group of who started it, and takes its daemons with it when it ends.
        let pid = fs::read_to_string(self.home.path().join("queue/pid/master.pid")).unwrap_or_default();
        match pid.trim().parse().ok().and_then(Pid::from_raw) {
            Some(pid) => kill_process(pid, Signal::TERM).ok(),
            None => self.starter.kill().ok(),
        };
        self.starter.wait().ok();
    }
}

/// An address that only one server uses, and what keeps others off it.
fn own_address() -> (IpAddr, TcpListener) {
    // Away from where other tests listen; tests in parallel begin far from each other.
    let first = std::process::id() << 4;
    let addresses = (0..1 << 20).map(|n| {
        let [_, a, b, c] = first.wrapping_add(n).to_be_bytes();
        IpAddr::from(Ipv4Addr::new(127, 64 | (a % 64), b, c))
    });
    let mut free = addresses.filter_map(|ip| Some((ip, TcpListener::bind((ip, TAKEN)).ok()?)));
    free.next().expect("a free loopback address")
}

/// Writes a certificate for `ip`; returns its authority's.
fn write_certificate(home: &Path, ip: IpAddr) -> CertificateDer<'static> {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec![ip.to_string()]).unwrap();
    let server = server.signed_by(&key, &authority).unwrap();
    fs::write(home.join("server.pem"), server.pem()).unwrap();
    fs::write(home.join("server.key"), key.serialize_pem()).unwrap();
    authority.der().clone()
}

fn write_configuration(home: &Path, ip: IpAddr) {
    let mail_owner = Command::new("id").args(["-u", "postfix"]).output().unwrap().stdout;
    let mail_owner = String::from_utf8(mail_owner).unwrap();
    let mail_owner = mail_owner.trim();
    let directory = home.display();
    for folder in ["queue", "data", "mail", "sasl"] {
        fs::create_dir(home.join(folder)).unwrap();
    }
    for folder in ["data", "mail"] {
        let owner = Some(mail_owner.parse().unwrap());
        std::os::unix::fs::chown(home.join(folder), owner, None).unwrap();
    }
    let main = format!(
        "compatibility_level = 3.6\n\
         myhostname = mail.example.org\n\
         mydestination =\n\
         inet_interfaces = loopback-only\n\
         inet_protocols = ipv4\n\
         queue_directory = {directory}/queue\n\
         data_directory = {directory}/data\n\
         maillog_file = {directory}/mail.log\n\
         maillog_file_prefixes = {directory}\n\
         cyrus_sasl_config_path = {directory}/sasl\n\
         smtpd_sasl_local_domain = example.org\n\
         smtpd_tls_cert_file = {directory}/server.pem\n\
         smtpd_tls_key_file = {directory}/server.key\n\
         smtpd_tls_auth_only = yes\n\
         smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination\n\
         smtpd_peername_lookup = no\n\
         virtual_mailbox_domains = example.org\n\
         virtual_mailbox_maps = inline:{{ ops@example.org=ops/, jane@example.org=jane/ }}\n\
         virtual_mailbox_base = {directory}/mail\n\
         virtual_minimum_uid = 1\n\
         virtual_uid_maps = static:{mail_owner}\n\
         virtual_gid_maps = static:{mail_owner}\n"
    );
    fs::write(home.join("main.cf"), main).unwrap();
    fs::write(home.join("master.cf"), services(ip)).unwrap();
}

fn write_passwords(home: &Path) {
    let database: PathBuf = home.join("sasldb2");
    let configuration = format!(
        "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}\nmech_list: PLAIN LOGIN\n",
        database.display()
    );
    fs::write(home.join("sasl/smtpd.conf"), configuration).unwrap();
    let mut adding = Command::new("/usr/sbin/saslpasswd2")
        .args(["-p", "-c", "-u", "example.org", "-f"])
        .arg(&database)
        .arg(USER)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut adding.stdin.take().unwrap(), PASSWORD.as_bytes()).unwrap();
    assert!(adding.wait().unwrap().success());
    fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).unwrap();
}
