//! `KIND` EXEC: runs a command, which gets the notification as JSON and in its environment.
//!
//! - Off unless `notify.allow_exec` says otherwise: rows are data, and these can do whatever the daemon's user can.
//! - No shell: `address` is the path of a program and its arguments, quoted as a shell would have them.
//! - On standard input is the body of a webhook; in the environment are `ALERT_…` and hardly anything else, none
//!   of the daemon's own variables.
//! - Exit code 0 is delivered. 64 to 78 is a refusal, as in sysexits.h, but for 75. Anything else, or no end
//!   in time, is worth another attempt.
//! - What runs too long is killed, with all that it started.

use std::{env, io, process::Stdio, sync::Arc, time::Duration};

use futures_util::future::LocalBoxFuture;
use rustix::process::{Pid, Signal, kill_process_group};
use skypunch_actors::{
    domain::{Fault, MASK, Notification, NotifierDefinition, Params, Secret, text},
    port::{Clock, Receipt, Sink, SinkBuilder, SinkError},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};

use super::{
    Sinks,
    facts::Facts,
    http::transient,
    manual::{Manual, ParamManual},
    webhook,
};
use crate::fields::Fields;

/// What the column `type` says.
pub(super) const KIND: &str = "EXEC";

const TIMEOUT: &str = "timeout_s";
const TIMEOUT_DEFAULT: u64 = 20;
/// Below the deadline of the callers, so that it is this one that is seen.
const TIMEOUT_MAX: u64 = 110;
/// Of its own variables, those that the daemon leaves to a command.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ"];
/// The most of what a command says that is shown, in bytes.
const SAID_MAX: usize = 1_024;
/// How long its last words are waited for: something that it left behind may hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// An argument from this length on may be a secret.
const SECRET_MIN: usize = 4;

/// What people are told of the kind.
pub(super) fn manual() -> Manual {
    let param = ParamManual::new;
    Manual {
        kind: KIND.to_owned(),
        title: "A command".to_owned(),
        docs: String::new(),
        note: "Off unless `allow_exec` of `[notify]` is true.".to_owned(),
        address: param("address", "the path of a program, and its arguments")
            .required("/usr/local/bin/page --now")
            .secret(),
        params: vec![
            param(TIMEOUT, "seconds that it may take, 1 to 110").default(&TIMEOUT_DEFAULT.to_string()),
        ],
    }
}

/// Reads a row, or names all that is wrong with it.
pub(super) fn prepare(
    sinks: &Sinks,
    definition: &NotifierDefinition,
    params: &Params,
    _: &mut Fields<'_>,
) -> Result<SinkBuilder, Vec<Fault>> {
    if !sinks.allow_exec {
        return Err(vec![Fault::new("type", "EXEC is off: `allow_exec = true` in `[notify]` turns it on")]);
    }
    let mut faults = Vec::new();
    for key in params.keys().filter(|key| *key != TIMEOUT) {
        let shown = text::reason(&text::cut(key, 40));
        faults.push(Fault::new("params", format!("`{shown}` is not known: {TIMEOUT}")));
    }
    let within = params.get(TIMEOUT).map_or(Ok(TIMEOUT_DEFAULT), |said| said.expose().trim().parse());
    let within = within.ok().filter(|within| (1..=TIMEOUT_MAX).contains(within));
    if within.is_none() {
        faults.push(Fault::new("params", format!("`{TIMEOUT}` must be 1 to {TIMEOUT_MAX}")));
    }
    let words = shlex::split(definition.address.expose()).unwrap_or_default();
    if !words.first().is_some_and(|program| program.starts_with('/')) {
        faults.push(Fault::new(
            "address",
            "must be the path of a program from / on, and its arguments, quoted rightly",
        ));
    }
    let (Some(within), true) = (within, faults.is_empty()) else {
        return Err(faults);
    };
    let words = words.into_iter().map(Secret::new).collect();
    let (clock, within) = (Arc::clone(&sinks.clock), Duration::from_secs(within));
    Ok(Box::new(move || Box::new(ExecSink { clock, words, within })))
}

struct ExecSink {
    clock: Arc<dyn Clock>,
    /// The program and its arguments.
    words: Vec<Secret>,
    within: Duration,
}

impl Sink for ExecSink {
    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<Receipt, SinkError>> {
        Box::pin(async move {
            let now = self.clock.now();
            let mut child = self.command(&Facts::of(notification, now)).spawn().map_err(|error| {
                transient(&format!("the command cannot be started: {}", error.kind()), None)
            })?;
            // Whatever ends this before the command ends, also ends that.
            let group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
            let input = webhook::json(notification, now);
            let Ok(ended) = timeout(self.within, run(&mut child, &input)).await else {
                drop(group);
                child.wait().await.ok();
                let within = self.within.as_secs();
                return Err(transient(&format!("the command did not end within {within} s"), None));
            };
            group.release();
            let (status, said) = ended.map_err(|error| {
                transient(&format!("the command cannot be followed: {}", error.kind()), None)
            })?;
            let said = self.show(&said);
            match status {
                Some(0) if said.is_empty() => Ok(Receipt("the command ended with 0".to_owned())),
                Some(0) => Ok(Receipt(said)),
                Some(code @ (64..=74 | 76..=78)) => {
                    Err(SinkError::Permanent(text::reason(&format!("the command ended with {code}: {said}"))))
                }
                Some(code) => Err(transient(&format!("the command ended with {code}: {said}"), None)),
                None => Err(transient(&format!("the command was killed: {said}"), None)),
            }
        })
    }
}

impl ExecSink {
    fn command(&self, facts: &Facts) -> Command {
        let (program, arguments) = self.words.split_first().expect("there is a program");
        let mut command = Command::new(program.expose());
        command.args(arguments.iter().map(Secret::expose));
        command.env_clear().envs(INHERITED.into_iter().filter_map(|name| Some((name, env::var_os(name)?))));
        command.envs(variables(facts)).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, which can be killed as a whole.
        command.process_group(0);
        command
    }

    /// What a command said, without its own arguments.
    fn show(&self, said: &[u8]) -> String {
        let mut shown = String::from_utf8_lossy(said).trim().to_owned();
        let arguments = self.words.iter().skip(1).map(Secret::expose);
        for argument in arguments.filter(|argument| argument.len() >= SECRET_MIN) {
            shown = shown.replace(argument, MASK);
        }
        text::reason(&text::cut(&shown, 200))
    }
}

fn variables(facts: &Facts) -> [(&'static str, String); 18] {
    let Facts { target, .. } = facts;
    [
        ("ALERT_ID", facts.id.clone()),
        ("ALERT_INCIDENT", facts.key.clone()),
        ("ALERT_EVENT", facts.event.to_owned()),
        ("ALERT_TITLE", facts.title.clone()),
        ("ALERT_TEXT", facts.text.clone()),
        ("ALERT_TARGET_ID", target.id.to_string()),
        ("ALERT_TARGET_NAME", target.name.clone()),
        ("ALERT_TARGET_URL", target.url.clone()),
        ("ALERT_TARGET_TAGS", target.tags.join(",")),
        ("ALERT_STATUS", facts.status.clone()),
        ("ALERT_PREVIOUS_STATUS", facts.previous_status.clone()),
        ("ALERT_CAUSE", facts.cause.clone()),
        ("ALERT_REASON", facts.reason.clone()),
        ("ALERT_HTTP_STATUS", facts.http_status.clone()),
        ("ALERT_AT", facts.at.clone()),
        ("ALERT_SINCE", facts.since.clone()),
        ("ALERT_UNTIL", facts.until.clone()),
        ("ALERT_LASTED", facts.lasted.clone()),
    ]
}

/// Feeds a command and follows it to its end: its exit code, if it was not killed, and what it said.
async fn run(child: &mut Child, input: &[u8]) -> io::Result<(Option<i32>, Vec<u8>)> {
    let stdin = child.stdin.take();
    let feeding = async {
        if let Some(mut stdin) = stdin {
            // A command need not want it.
            stdin.write_all(input).await.ok();
        }
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut said = (Vec::new(), Vec::new());
    let listening = async {
        tokio::join!(listen(stdout, &mut said.0), listen(stderr, &mut said.1));
    };
    let mut listening = Box::pin(listening);
    let mut heard = false;
    let ending = async { tokio::join!(feeding, child.wait()).1 };
    let mut ending = Box::pin(ending);
    let status = loop {
        tokio::select! {
            status = &mut ending => break status?,
            () = &mut listening, if !heard => heard = true,
        }
    };
    if !heard {
        timeout(LAST_WORDS, &mut listening).await.ok();
    }
    drop(listening);
    let (mut said, complaints) = said;
    said.extend(complaints);
    Ok((status.code(), said))
}

/// Keeps the beginning of what is said, and hears the rest, so that nobody waits to say it.
async fn listen(pipe: Option<impl AsyncRead + Unpin>, said: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else {
        return;
    };
    let mut part = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut part).await {
        let room = SAID_MAX.saturating_sub(said.len());
        said.extend_from_slice(&part[..read.min(room)]);
    }
}

/// The processes of a command. Dropping it kills them.
struct Group(Option<Pid>);

impl Group {
    /// The command has ended: its number may be somebody else's by now.
    fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Where they are gone, all is well.
            kill_process_group(leader, Signal::KILL).ok();
        }
    }
}
