//! `tcp://host:port`: a connection, and if asked for, what is said over it.
//!
//! Options: `send`, a text that is sent after connecting; `expect`, a regular expression that must be found in
//! what comes back, of which 64 KiB are read at most. Without `expect`, being connected is a pass.

use futures_util::future::LocalBoxFuture;
use regex::bytes::Regex;
use skypunch_actors::{
    domain::{Cause, Fault, Target, TargetDefinition},
    port::ProberBuilder,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use super::{
    Probers,
    row::Row,
    run::{self, Failure, Look, failure},
};
use crate::net::{Client, Place, Progress};

/// The most that is read while `expect` is looked for, in bytes.
const READ_MAX: usize = 1 << 16;
/// The most of it that a reason shows, in bytes.
const SHOWN_MAX: usize = 80;

struct Tcp {
    client: Client,
    place: Place,
    send: Option<String>,
    expect: Option<Regex>,
}

/// Reads a row, or names all that is wrong with it.
pub(super) fn prepare(
    probers: &Probers,
    definition: &TargetDefinition,
    target: &Target,
) -> Result<ProberBuilder, Vec<Fault>> {
    let mut row = Row::of(definition, target);
    let (place, limits) = (row.place(None), row.limits);
    row.ends_after_the_host();
    let send = row.options.take::<String>("send", "a text");
    let pattern = row.options.take::<String>("expect", "a text: a regular expression");
    let expect = pattern.and_then(|pattern| {
        let regex = Regex::new(&pattern);
        if regex.is_err() {
            row.options.fault("expect", "is not a regular expression");
        }
        regex.ok()
    });
    match (place, row.finish()) {
        (Some(place), faults) if faults.is_empty() => {
            let client = limits.client(&probers.client);
            Ok(run::prober(target, limits, Tcp { client, place, send, expect }))
        }
        (_, faults) => Err(faults),
    }
}

impl Look for Tcp {
    fn look<'a>(&'a self, progress: &'a mut Progress) -> LocalBoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            let (mut stream, peer) = self.client.connect_to(&self.place, progress).await.map_err(failure)?;
            if let Some(text) = &self.send {
                progress.talking(format!("connected to {peer}, sending {} bytes", text.len()));
                let sent = stream.write_all(text.as_bytes()).await;
                sent.map_err(|error| (Cause::Protocol, format!("{error} while sending to {peer}")))?;
                progress.step(format!("Sent {} bytes", text.len()));
            }
            match &self.expect {
                None => Ok(format!("connected to {peer}")),
                Some(expect) => self.wait_for(expect, &mut stream, progress).await,
            }
        })
    }
}

impl Tcp {
    async fn wait_for(
        &self,
        expect: &Regex,
        stream: &mut TcpStream,
        progress: &mut Progress,
    ) -> Result<String, Failure> {
        let asked = Instant::now();
        let mut read = Vec::new();
        let why = loop {
            if read.len() >= READ_MAX {
                break "was not found".to_owned();
            }
            progress.talking(format!("connected, waiting for `{expect}`{}", self.shown(&read)));
            let mut more = [0; 4096];
            let room = more.len().min(READ_MAX - read.len());
            match stream.read(&mut more[..room]).await {
                Ok(0) => break "did not come before the connection was closed".to_owned(),
                Ok(bytes) => {
                    if read.is_empty() {
                        progress.answered_after(asked.elapsed());
                    }
                    read.extend_from_slice(&more[..bytes]);
                }
                Err(error) => break format!("did not come: {error}"),
            }
            if expect.is_match(&read) {
                return Ok(format!("`{expect}` found in {} bytes", read.len()));
            }
        };
        Err((Cause::Assertion, format!("`{expect}` {why}{}", self.shown(&read))))
    }

    /// What came, in words. A server may echo what it was sent, which may be a secret.
    fn shown(&self, read: &[u8]) -> String {
        if read.is_empty() {
            return ": nothing came".to_owned();
        }
        let bytes = read.len();
        if self.send.is_some() {
            return format!(": {bytes} bytes came");
        }
        let begin = String::from_utf8_lossy(&read[..bytes.min(SHOWN_MAX)]);
        let more = if bytes > SHOWN_MAX { " …" } else { "" };
        format!(": {bytes} bytes came, {:?}{more}", begin.trim_end())
    }
}
