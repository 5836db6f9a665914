//! A private Keystone for one test, and a service that it guards: own folder and ports, gone with the test.
//!
//! Installing it takes a minute. A shell stands between each server and
//! the test: it kills the server when the test's end of a pipe is closed, which even a SIGKILL does.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    python::{self, run},
    wait::wait_until,
};

/// The password of the user `admin`, who has the project `admin`.
pub const PASSWORD: &str = "hunter2-of-keystone";

/// The lifetime of most tokens, in seconds.
const HOUR: u32 = 3600;

const PACKAGES: [&str; 3] = ["keystone==30.0.0", "keystonemiddleware==13.0.1", "gunicorn==27.0.1"];

/// Keystone takes the arguments of its server for its own.
const KEYSTONE: &str = "import sys
sys.argv[1:] = []
from keystone.wsgi.api import application
";

/// A service that notes the token and the path it was last called with.
const GUARDED: &str = r#"import os
from keystonemiddleware.auth_token import AuthProtocol

def service(environ, start_response):
    with open("token", "w") as file:
        file.write(environ["HTTP_X_AUTH_TOKEN"])
    with open("path", "w") as file:
        file.write(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["HTTP_X_USER_NAME"].encode()]

application = AuthProtocol(service, {
    "auth_type": "password", "auth_url": os.environ["KEYSTONE"], "www_authenticate_uri": os.environ["KEYSTONE"],
    "username": "admin", "password": os.environ["PASSWORD"], "user_domain_id": "default",
    "project_name": "admin", "project_domain_id": "default", "token_cache_time": "-1",
})
"#;

/// A Keystone and its guarded service. Dropping it kills both.
pub struct Keystone {
    folder: TempDir,
    port: u16,
    guarded: u16,
    keystone: Option<Child>,
    service: Option<Child>,
}

impl Keystone {
    /// Starts them; tokens live for an hour.
    pub async fn start() -> Self {
        let template = template();
        let folder = tempfile::tempdir().unwrap();
        let mut keystone =
            Self { folder, port: free_port(), guarded: free_port(), keystone: None, service: None };
        let inside = keystone.folder.path();
        let copied = Command::new("cp").arg("-r").arg(template.join("data")).arg(inside).status().unwrap();
        assert!(copied.success());
        configure(inside, HOUR);
        fs::write(inside.join("keystone_app.py"), KEYSTONE).unwrap();
        fs::write(inside.join("guarded_app.py"), GUARDED).unwrap();
        let mut bootstrap = vec!["bootstrap", "--bootstrap-password", PASSWORD];
        let url = keystone.url();
        for interface in ["--bootstrap-public-url", "--bootstrap-internal-url", "--bootstrap-admin-url"] {
            bootstrap.extend([interface, &url]);
        }
        manage(inside, &bootstrap);
        keystone.launch(HOUR).await;
        keystone.service = Some(keystone.serve("guarded_app", keystone.guarded).await);
        // Its first answer takes it seconds; a wrong token will do.
        curl(&["-H", "X-Auth-Token: none", &keystone.guarded_url()]);
        keystone
    }

    /// The identity service, v3.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v3", self.port)
    }

    /// The guarded service.
    pub fn guarded_url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.guarded)
    }

    /// Starts Keystone where it was; its tokens live for so many seconds from now on.
    pub async fn launch(&mut self, lifetime: u32) {
        configure(self.folder.path(), lifetime);
        self.keystone = Some(self.serve("keystone_app", self.port).await);
    }

    /// Kills Keystone, but not the service.
    pub async fn kill(&mut self) {
        end(&mut self.keystone);
        // Its workers may outlive it by a moment.
        wait_until("Keystone is gone", || TcpStream::connect(("127.0.0.1", self.port)).err()).await;
    }

    /// How many tokens a user agent asked for.
    pub fn fetches(&self, user_agent: &str) -> usize {
        let log = fs::read_to_string(self.folder.path().join("keystone_app.access")).unwrap();
        let fetch = |line: &&str| line.contains("POST /v3/auth/tokens") && line.contains(user_agent);
        log.lines().filter(fetch).count()
    }

    /// The token that the service was last called with.
    pub fn seen_token(&self) -> String {
        fs::read_to_string(self.folder.path().join("token")).unwrap()
    }

    /// The path that the service was last called with.
    pub fn seen_path(&self) -> String {
        fs::read_to_string(self.folder.path().join("path")).unwrap()
    }

    /// Puts a service into the catalogue, with one endpoint.
    pub fn list(&self, service: &str, region: &str, interface: &str, url: &str) {
        let (token, _) = self.administrator();
        let (_, made) =
            self.post("/services", &token, &json!({"service": {"type": service, "name": service}}));
        let endpoint = json!({
            "service_id": made["service"]["id"], "region": region, "interface": interface, "url": url,
        });
        self.post("/endpoints", &token, &json!({ "endpoint": endpoint }));
    }

    /// A token of the administrator, and all that is said about it.
    pub fn administrator(&self) -> (String, Value) {
        let user = json!({"name": "admin", "domain": {"id": "default"}, "password": PASSWORD});
        let scope = json!({"project": {"name": "admin", "domain": {"id": "default"}}});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let body = json!({"auth": {"identity": identity, "scope": scope}});
        let (head, json) = self.post("/auth/tokens", "", &body);
        let token = head.lines().find_map(|line| line.strip_prefix("X-Subject-Token: ")).unwrap();
        (token.to_owned(), json["token"].clone())
    }

    /// Makes an application credential of the administrator: its id and its secret.
    pub fn application_credential(&self) -> (String, String) {
        let (token, about) = self.administrator();
        let path = format!("/users/{}/application_credentials", about["user"]["id"].as_str().unwrap());
        let (_, json) = self.post(&path, &token, &json!({"application_credential": {"name": "skypunch"}}));
        let made = &json["application_credential"];
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        (text("id"), text("secret"))
    }

    /// Makes a token worthless.
    pub fn revoke(&self, token: &str) {
        let (by, _) = self.administrator();
        let (by, token) = (format!("X-Auth-Token: {by}"), format!("X-Subject-Token: {token}"));
        curl(&["-f", "-X", "DELETE", "-H", &by, "-H", &token, &format!("{}/auth/tokens", self.url())]);
    }

    fn post(&self, path: &str, token: &str, body: &Value) -> (String, Value) {
        let (token, body) = (format!("X-Auth-Token: {token}"), body.to_string());
        let json = "Content-Type: application/json";
        let answer = curl(&["-i", "-H", json, "-H", &token, "-d", &body, &format!("{}{path}", self.url())]);
        let answer = answer.replace("\r\n", "\n");
        let (head, body) = answer.split_once("\n\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 201"), "{answer}");
        (head.to_owned(), serde_json::from_str(body).unwrap())
    }

    async fn serve(&self, app: &str, port: u16) -> Child {
        let inside = self.folder.path();
        let path = |ending: &str| inside.join(format!("{app}.{ending}")).display().to_string();
        let mut command = Command::new("sh");
        let watch = r#"setsid "$@" & server=$!; read -r _; kill -KILL -$server; wait $server"#;
        command.args(["-c", watch, "sh"]).arg(template().join("bin/python3"));
        command.args(["-m", "gunicorn"]);
        command.args(["--workers", "1", "--threads", "8", "--bind", &format!("127.0.0.1:{port}")]);
        command.args([
            "--access-logfile",
            &path("access"),
            "--no-control-socket",
            &format!("{app}:application"),
        ]);
        command.current_dir(inside).env("OS_KEYSTONE_CONFIG_FILES", inside.join("keystone.conf"));
        command.env("KEYSTONE", self.url()).env("PASSWORD", PASSWORD);
        command.env("NO_PROXY", "127.0.0.1");
        let console = fs::File::create(path("console")).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(console);
        let child = command.spawn().expect("sh starts");
        wait_until(&format!("{app} answers"), || TcpStream::connect(("127.0.0.1", port)).ok()).await;
        child
    }
}

impl Drop for Keystone {
    fn drop(&mut self) {
        end(&mut self.keystone);
        end(&mut self.service);
    }
}

fn end(server: &mut Option<Child>) {
    if let Some(mut shell) = server.take() {
        drop(shell.stdin.take());
        shell.wait().expect("the shell ends after its server");
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port()
}

/// A virtual environment with Keystone, and an empty database beside it in `data`.
fn template() -> PathBuf {
    python::environment(&PACKAGES, |template| {
        let working = tempfile::tempdir_in(template).unwrap();
        let inside = working.path();
        fs::create_dir(inside.join("data")).unwrap();
        configure(inside, HOUR);
        manage_with(template, inside, &["db_sync"]);
        for keys in ["fernet_setup", "credential_setup"] {
            let me = Command::new("id").arg("-un").output().unwrap().stdout;
            let me = String::from_utf8(me).unwrap();
            let me = me.trim();
            manage_with(template, inside, &[keys, "--keystone-user", me, "--keystone-group", me]);
        }
        fs::rename(inside.join("data"), template.join("data")).unwrap();
    })
}

fn configure(inside: &Path, lifetime: u32) {
    let data = inside.join("data");
    let data = data.display();
    let text = format!(
        "[DEFAULT]\nlog_file = {data}/log\n\
         [database]\nconnection = sqlite:///{data}/keystone.db\n\
         [token]\nprovider = fernet\nexpiration = {lifetime}\nallow_expired_window = 0\n\
         [fernet_tokens]\nkey_repository = {data}/fernet\n\
         [credential]\nkey_repository = {data}/credential\n\
         [cache]\nenabled = false\n\
         [identity]\npassword_hash_rounds = 4\n"
    );
    fs::write(inside.join("keystone.conf"), text).unwrap();
}

fn manage(inside: &Path, arguments: &[&str]) {
    manage_with(&template(), inside, arguments);
}

fn manage_with(template: &Path, inside: &Path, arguments: &[&str]) {
    // Through Python, since scripts know where they were installed, and a build folder may be moved.
    let mut command = Command::new(template.join("bin/python3"));
    command.arg(template.join("bin/keystone-manage"));
    command.arg("--config-file").arg(inside.join("keystone.conf")).args(arguments);
    run(&mut command, "keystone-manage does as it is told");
}

fn curl(arguments: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*"]).args(arguments);
    let output = curl.output().expect("curl is installed: `make deps`");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
