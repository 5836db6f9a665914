//! Servers that misbehave on purpose, and what a probe says of each: the table, and what holds for every
//! row of it.
//!
//! In a reason, `PEER` is the address of the server, and `*` stands for anything.

use std::{
    cell::Cell,
    fs,
    io::Write,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use actix::System;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use futures_util::future::{join, join_all};
use h2::Reason;
use hickory_resolver::proto::{
    op::ResponseCode,
    rr::{RData, RecordType},
};
use rustls::ServerConfig;
use serde_json::{Value, json};
use skypunch::{
    net::{Client, Resolver},
    probe::Probers,
};
use skypunch_actors::{
    domain::{
        Cause::{self, Assertion, Connect, Dns, Protocol, Status, Timeout, Tls},
        Fault, Outcome, Secret, TargetDefinition, TargetId,
    },
    port::{Prober, ProberFactory, plan_probe},
};
use tempfile::NamedTempFile;
use tokio::{net::TcpSocket, runtime::Runtime};

use crate::support::{
    dns::{DnsServer, Reply, a, aaaa},
    http::{Act, Server, answer, send},
    http2::Say,
    memory::peak_of,
    row::{OK, tracer},
    tls::{Ca, now, self_signed, self_signed_authority, speaking},
    wait::wait_until,
};

/// How long a probe of a server that never comes to an end may take.
const PATIENCE: Duration = Duration::from_millis(800);
/// What a busy machine may add to that.
const GRACE: Duration = Duration::from_millis(1_500);
/// How much of a body is read where the row does not say, and what else a server may cost beyond what a
/// small answer does, in bytes.
const BODY_LIMIT: usize = 1 << 20;
const OVERHEAD: usize = 64 << 10;
/// How much of a body is read where little is, in bytes.
const LITTLE: usize = 1_000;
/// How many rows are probed side by side: more would be waiting for the machine.
const AT_ONCE: usize = 12;
const DAY: Duration = Duration::from_secs(86_400);

/// A row of the table.
struct Case {
    what: String,
    /// Where the server listens; nowhere, if nobody does.
    listens: Option<&'static str>,
    script: Vec<Act>,
    tls: Option<ServerConfig>,
    target: TargetDefinition,
    hurried: bool,
    verdict: Verdict,
}

/// One of these causes, or none, and a reason.
struct Verdict(Vec<Cause>, String);

/// A server that plays `script` over TCP.
fn plain(what: impl Into<String>, script: Vec<Act>) -> Case {
    Case {
        what: what.into(),
        listens: Some("127.0.0.1:0"),
        script,
        tls: None,
        target: TargetDefinition::new("home", "http://127.0.0.1:PORT/"),
        hurried: false,
        verdict: Verdict(Vec::new(), "200 OK".to_owned()),
    }
}

/// A server that plays `script` over TLS.
fn tls(what: impl Into<String>, config: ServerConfig, script: Vec<Act>) -> Case {
    Case { tls: Some(config), ..plain(what, script).at("https://127.0.0.1:PORT/") }
}

impl Case {
    fn listening(self, listens: Option<&'static str>) -> Self {
        Self { listens, ..self }
    }

    fn at(mut self, url: &str) -> Self {
        self.target.url = Secret::new(url);
        self
    }

    fn method(mut self, method: &str) -> Self {
        self.target.method = method.to_owned();
        self
    }

    fn expecting(mut self, pass_result: &str) -> Self {
        self.target.pass_result = pass_result.to_owned();
        self
    }

    fn options(mut self, options: Value) -> Self {
        self.target.options = Some(Secret::new(options.to_string()));
        self
    }

    fn passes(self, reason: &str) -> Self {
        Self { verdict: Verdict(Vec::new(), reason.to_owned()), ..self }
    }

    fn fails(self, cause: Cause, reason: impl Into<String>) -> Self {
        Self { verdict: Verdict(vec![cause], reason.into()), ..self }
    }

    /// It depends on who is quicker.
    fn or(mut self, cause: Cause) -> Self {
        self.verdict.0.push(cause);
        self
    }

    /// Nothing but the deadline ends it; `stage` is what the probe waited for.
    fn times_out(self, stage: &str) -> Self {
        let reason = format!("no answer within {} s: {stage}", PATIENCE.as_secs_f64());
        Self { hurried: true, ..self.fails(Timeout, reason) }
    }
}

fn table(ca: &Ca) -> Vec<Case> {
    [
        statuses(),
        connections(),
        heads(),
        bodies(),
        codings(),
        redirects(),
        silences(),
        handshakes(ca),
        certificates(ca),
        names(),
        http2(ca),
        http2_silences(ca),
        versions(ca),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn statuses() -> Vec<Case> {
    let says = |line: &str| plain(line, answer(format!("HTTP/1.1 {line}\r\ncontent-length: 2\r\n\r\nok")));
    vec![
        says("200 OK").passes("200 OK"),
        says("201 Created").fails(Status, "status 201, expected 200"),
        says("302 Found").fails(Status, "status 302, expected 200"),
        says("404 Not Found").fails(Status, "status 404, expected 200"),
        says("503 Service Unavailable").fails(Status, "status 503, expected 200"),
        says("599 Odd").expecting("5xx").passes("599 Odd"),
        says("777 Outside").fails(Status, "status 777, expected 200"),
        says("101 Switching Protocols").fails(Status, "status 101, expected 200"),
        says("404 Not Found").expecting("200-299,404").passes("404 Not Found"),
    ]
}

fn connections() -> Vec<Case> {
    let unanswered = "closed by PEER before a response came";
    vec![
        plain("nobody listens", vec![]).listening(None).fails(Connect, "connection refused by PEER"),
        // Closing on an unread request resets the connection, now and then before it ends.
        plain("accepts, then closes", vec![]).fails(Protocol, "* by PEER*").or(Connect),
        plain("reads, then closes", vec![Act::Read]).fails(Protocol, unanswered),
        plain("accepts, then resets", vec![Act::Reset])
            .fails(Protocol, "connection reset by PEER*")
            .or(Connect),
        plain("reads, then resets", vec![Act::Read, Act::Reset])
            .fails(Protocol, "connection reset by PEER before a response came"),
        plain("resets within the body", {
            vec![Act::Read, send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"), Act::Reset]
        })
        .fails(Protocol, "connection reset by PEER after 2 bytes of the body"),
    ]
}

fn heads() -> Vec<Case> {
    let says = |what: &str, head: &str| plain(what, answer(head));
    let head = |what: &str, lines: &str| says(what, &format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n"));
    let malformed = |why: &str| format!("malformed response head: {why}");
    let many: String = (0..96).map(|n| format!("x-{n}: {}\r\n", "y".repeat(150))).collect();
    vec![
        says("a head that is cut off", "HTTP/1.1 200 OK\r\nx: ")
            .fails(Protocol, "closed by PEER within the response head"),
        says("a status line without a reason", "HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n"),
        says("line feeds alone", "HTTP/1.1 200 OK\ncontent-length: 2\n\nok"),
        says("blank lines before the head", "\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        says("a status that is no number", "HTTP/1.1 2xx\r\n\r\n")
            .fails(Protocol, malformed("invalid response status")),
        says("a status below 100", "HTTP/1.1 099 Low\r\n\r\n")
            .fails(Protocol, malformed("invalid response status")),
        says("a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n")
            .fails(Protocol, malformed("invalid response status")),
        says("a status line that is empty", "HTTP/1.1 \r\n\r\n")
            .fails(Protocol, malformed("invalid response status")),
        says("another version of HTTP", "HTTP/2.0 200 OK\r\n\r\n")
            .fails(Protocol, "the answer is not HTTP/1: it begins with `HTTP/2.0 200 OK\\r`"),
        says("the protocol of mail", "220 mail ESMTP\r\n")
            .fails(Protocol, "the answer is not HTTP/1: it begins with `220 mail ESMTP\\r\\n`"),
        says("what steers a terminal", "\u{1b}[31m\u{7}\r\n")
            .fails(Protocol, "the answer is not HTTP/1: it begins with `\\u{1b}[31m\\u{7}\\r\\n`"),
        head("a header without a colon", "nonsense").fails(Protocol, malformed("invalid header name")),
        head("a header without a name", ": x").fails(Protocol, malformed("invalid header name")),
        head("a header with a NUL", "x: a\0b").fails(Protocol, malformed("invalid header value")),
        head("a header over two lines", "x: a\r\n b").fails(Protocol, malformed("invalid header name")),
        head("97 headers", "x: y\r\n".repeat(97).trim_end()).fails(Protocol, malformed("too many headers")),
        head("a head that is long", &format!("x: {}", "y".repeat(15 << 10))),
        head("a head that is too long", &format!("x: {}", "y".repeat(17 << 10)))
            .fails(Protocol, "the response head is longer than 16 KiB"),
        head("a long head of many headers", many.trim_end()),
        plain("a header without end", {
            vec![Act::Read, send("HTTP/1.1 200 OK\r\nx: "), Act::Flood(vec![b'y'; 4096])]
        })
        .fails(Protocol, "the response head is longer than 16 KiB"),
        says(
            "100 Continue first",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        ),
        says("103 Early Hints first", {
            "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        }),
        says("100 Continue alone", "HTTP/1.1 100 Continue\r\n\r\n")
            .fails(Protocol, "closed by PEER before a response came"),
        head("an upgrade that nobody asked for", "upgrade: websocket\r\ncontent-length: 0"),
    ]
}

fn bodies() -> Vec<Case> {
    let says = |what: &str, text: &str| plain(what, answer(text));
    let length = |what: &str, length: &str, body: &str| {
        plain(what, answer(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")))
    };
    let chunked = |what: &str, chunks: &str| {
        plain(what, answer(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}")))
    };
    let no_length =
        |said: &str| format!("malformed response head: content-length `{said}` is no number of bytes");
    let no_chunk = "malformed chunk in the body, after 2 bytes";
    let floods = |head: &str| vec![Act::Read, send(head), Act::Flood(vec![b'x'; 8192])];
    let promises = |status: &str| {
        vec![Act::Read, send(format!("HTTP/1.1 {status}\r\ncontent-length: 100\r\n\r\n")), Act::Hang]
    };
    vec![
        says("no length, to the end", "HTTP/1.1 200 OK\r\n\r\nuntil the end"),
        says("HTTP/1.0 without a length", "HTTP/1.0 200 OK\r\n\r\nuntil the end"),
        says("HTTP/1.0 with a length", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        plain("no body, and the connection stays", {
            vec![Act::Read, send("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"), Act::Hang]
        }),
        plain("HEAD with a length", promises("200 OK")).method("HEAD"),
        plain("204 with a length", promises("204 No Content")).expecting("204").passes("204 No Content"),
        plain("304 with a length", promises("304 Not Modified")).expecting("304").passes("304 Not Modified"),
        length("a length that is too long", "100", "9 bytes..")
            .fails(Protocol, "body ended after 9 of 100 bytes"),
        length("a length that is too short", "2", "ok, and more"),
        length("a length beyond all", "18446744073709551615", "ok")
            .fails(Protocol, "body ended after 2 of 18446744073709551615 bytes"),
        length("a length beyond all numbers", "18446744073709551616", "ok")
            .fails(Protocol, no_length("18446744073709551616")),
        length("a length that is none", "x", "ok").fails(Protocol, no_length("x")),
        length("a length below zero", "-1", "ok").fails(Protocol, no_length("-1")),
        length("two lengths that differ", "2\r\ncontent-length: 3", "ok").fails(Protocol, no_length("2, 3")),
        chunked("chunks", "2\r\nok\r\n0\r\n\r\n"),
        chunked("chunks with extension and trailer", "2;x=y\r\nok\r\n0\r\ntrailer: x\r\n\r\n"),
        chunked("chunks without the last", "9\r\n9 bytes..\r\n")
            .fails(Protocol, "body ended after 9 bytes, before its last chunk"),
        chunked("a chunk that is cut off", "9\r\nok")
            .fails(Protocol, "body ended after 2 bytes, before its last chunk"),
        chunked("a chunk without a size", "2\r\nok\r\nzz\r\n").fails(Protocol, no_chunk),
        chunked("a chunk without its line break", "2\r\nok!!").fails(Protocol, no_chunk),
        chunked("a chunk beyond all numbers", "2\r\nok\r\n11112222333344445\r\n").fails(Protocol, no_chunk),
        plain("a body without end", floods("HTTP/1.1 200 OK\r\n\r\n")),
        plain("a body without end, of which little is wanted", floods("HTTP/1.1 200 OK\r\n\r\n"))
            .options(json!({"body_limit": 1_000})),
        plain("a huge length, and a body to match", {
            floods("HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775807\r\n\r\n")
        }),
        chunked("a chunk whose extension is long", &format!("2;{}\r\nok\r\n0\r\n\r\n", "x".repeat(40_000))),
        plain(
            "one huge chunk",
            floods("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffff\r\n"),
        ),
    ]
}

fn codings() -> Vec<Case> {
    let coded = |what: &str, coding: &str, bytes: &[u8]| {
        let head = format!("content-encoding: {coding}\r\ncontent-length: {}", bytes.len());
        let mut text = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").into_bytes();
        text.extend_from_slice(bytes);
        plain(what, vec![Act::Read, Act::Send(text)])
    };
    let gzip = |what: &str, bytes: &[u8]| coded(what, "gzip", bytes);
    let small = zipped(100);
    vec![
        gzip("gzip", &small),
        gzip("a gzip bomb", &zipped(64 << 20)),
        gzip("gzip that is cut off", &small[..small.len() - 9])
            .fails(Protocol, "body cannot be decoded as gzip (* bytes came)"),
        coded("a deflate bomb", "deflate", &deflated(64 << 20)),
        coded("deflate that is cut off", "deflate", &deflated(100)[..9])
            .fails(Protocol, "body cannot be decoded as deflate (9 bytes came)"),
        coded("deflate that is none", "deflate", b"plain text")
            .fails(Protocol, "body cannot be decoded as deflate (10 bytes came)"),
        coded("a coding that nobody asked for", "br", b"whatever"),
        coded("a coding that nobody asked for, where the body matters", "br", b"whatever")
            .options(json!({"assertions": [{"body_contains": "up"}]}))
            .fails(Protocol, "body cannot be judged: its coding `br` was not asked for"),
        gzip("gzip that is none", b"plain text")
            .fails(Protocol, "body cannot be decoded as gzip (10 bytes came)"),
        plain("a body that is not as asserted", answer(OK))
            .options(json!({"assertions": [{"body_contains": "up"}, {"json_path": "$.up", "op": "exists"}]}))
            .fails(
                Assertion,
                "body is not JSON (line 1, column 1); body does not contain `up`: it begins with `ok`",
            ),
    ]
}

fn zipped(length: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b'x'; length]).unwrap();
    encoder.finish().unwrap()
}

fn deflated(length: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b'x'; length]).unwrap();
    encoder.finish().unwrap()
}

fn redirects() -> Vec<Case> {
    let leads = |what: &str, location: &str| {
        plain(
            what,
            answer(format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")),
        )
        .options(json!({"follow_redirects": true, "max_redirects": 3}))
    };
    vec![
        leads("a redirect that nobody asked to follow", "/")
            .options(json!({}))
            .fails(Status, "status 302, expected 200"),
        leads("redirects in a loop", "/").fails(Protocol, "more than 3 redirects, the last to http://PEER/"),
        leads("a redirect to another protocol", "ftp://example.org/").fails(
            Protocol,
            "redirect to ftp://example.org/ cannot be followed: the scheme is neither http nor https",
        ),
        leads("a redirect to what is no URL", "http://:99999/")
            .fails(Protocol, "redirect to what is no URL*"),
        leads("a redirect to nobody", "http://foo.invalid/").fails(Dns, "no such host: foo.invalid"),
        plain("a redirect to nowhere", answer("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n"))
            .options(json!({"follow_redirects": true}))
            .fails(Status, "status 302, expected 200"),
    ]
}

fn silences() -> Vec<Case> {
    let waiting = "connected, waiting for the response head";
    let pause = Duration::from_millis(10);
    let begins = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n9 bytes..";
    vec![
        plain("silent before the head", vec![Act::Hang]).times_out(waiting),
        plain("silent within the head", vec![Act::Read, send("HTTP/1.1 200 OK\r\n"), Act::Hang])
            .times_out(waiting),
        plain("silent within the body", vec![Act::Read, send(begins), Act::Hang])
            .times_out("reading the body (9 bytes so far)"),
        plain("a head byte by byte, whole in time", vec![Act::Read, Act::Drip(OK.into(), pause / 10)]),
        plain("a head of one byte a second", {
            vec![Act::Read, Act::Drip(OK.into(), Duration::from_secs(1))]
        })
        .times_out(waiting),
        plain("a body of one byte a second", {
            vec![Act::Read, send("HTTP/1.1 200 OK\r\n\r\n"), Act::Drip(OK.into(), Duration::from_secs(1))]
        })
        .times_out("reading the body (* bytes so far)"),
        plain("a body that trickles", {
            vec![Act::Read, send("HTTP/1.1 200 OK\r\n\r\n"), Act::Trickle(b"x".to_vec())]
        })
        .times_out("reading the body (* bytes so far)"),
        plain("headers that trickle", {
            vec![Act::Read, send("HTTP/1.1 200 OK\r\n"), Act::Trickle(b"x: y\r\n".to_vec())]
        })
        .times_out(waiting),
        plain("early hints without end", {
            vec![Act::Read, Act::Flood(b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec())]
        })
        .times_out(waiting),
        plain("blank lines without end", vec![Act::Read, Act::Flood(b"\r\n\r\n".repeat(64))])
            .times_out(waiting),
        plain("trailers without end", {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n";
            vec![Act::Read, send(head), Act::Flood(b"x: y\r\n".repeat(500))]
        })
        .times_out("reading the body (2 bytes so far)"),
        plain("a status says it all, whatever the body does", {
            vec![Act::Read, send("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\n"), Act::Hang]
        })
        .fails(Status, "status 503, expected 200"),
    ]
}

fn handshakes(ca: &Ca) -> Vec<Case> {
    let whole = || answer(OK);
    let secure = |what: &str, script: Vec<Act>| plain(what, script).at("https://127.0.0.1:PORT/");
    let leaves =
        |what: &str, text: &str| tls(what, ca.server("127.0.0.1"), vec![Act::Read, send(text), Act::Leave]);
    vec![
        tls("TLS as it should be", ca.server("127.0.0.1"), whole()),
        secure("a handshake that hangs", vec![Act::Hang])
            .times_out("connected to PEER, waiting for the TLS handshake"),
        secure("closes during the handshake", vec![Act::Take])
            .fails(Tls, "closed by PEER during the TLS handshake"),
        secure("resets during the handshake", vec![Act::Take, Act::Reset])
            .fails(Tls, "connection reset by PEER during the TLS handshake"),
        secure("a handshake without end", {
            // A ServerHello that promises 16 MiB.
            let record = [&[0x16, 3, 3, 0x40, 0][..], &[2, 0xff, 0xff, 0xff], &[0; (1 << 14) - 4]].concat();
            let more = [&[0x16, 3, 3, 0x40, 0][..], &[0; 1 << 14]].concat();
            vec![Act::Take, Act::Send(record), Act::Flood(more)]
        })
        .fails(Tls, "TLS with PEER failed: *"),
        secure("plain HTTP on a TLS port", vec![Act::Take, send("HTTP/1.1 400 Bad Request\r\n\r\n")])
            .fails(Tls, "PEER does not speak TLS: plain HTTP answered on a TLS port"),
        tls("TLS on a plain port", ca.server("127.0.0.1"), whole())
            .at("http://127.0.0.1:PORT/")
            .fails(Protocol, "TLS answered on a plain HTTP port"),
        secure("TLS 1.0 only, by its hello", vec![Act::Take, Act::Send(tls_1_0_hello()), Act::Hang])
            .fails(Tls, TOO_OLD),
        secure("TLS 1.0 only, by its alert", vec![Act::Take, Act::Send(PROTOCOL_VERSION.into())])
            .fails(Tls, TOO_OLD),
        tls("TLS 1.2 only where 1.3 is asked for", ca.server_of_tls12("127.0.0.1"), whole())
            .options(json!({"tls": {"min_version": "1.3"}}))
            .fails(Tls, TOO_OLD),
        tls("a client certificate is demanded", ca.server_for_clients("127.0.0.1"), whole())
            .fails(Tls, "PEER demands a client certificate"),
        leaves("leaves without the goodbye of TLS", "HTTP/1.1 200 OK\r\n\r\nok"),
        leaves("leaves within the body", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")
            .fails(Protocol, "body ended after 2 of 9 bytes"),
    ]
}

const TOO_OLD: &str = "PEER speaks no version of TLS that is allowed; those before 1.2 never are";
/// The alert of a server that knows no version that the client offered.
const PROTOCOL_VERSION: [u8; 7] = [0x15, 3, 1, 0, 2, 2, 70];

/// A ServerHello that chooses TLS 1.0, which no library here would say.
fn tls_1_0_hello() -> Vec<u8> {
    let mut hello = vec![3, 1];
    hello.extend([0x5a; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let mut record = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38];
    record.extend(hello);
    record
}

fn certificates(ca: &Ca) -> Vec<Case> {
    let shown = |what: &str, config| tls(what, config, answer("HTTP/1.1 200 OK\r\n\r\n"));
    let host = "127.0.0.1";
    let expired = now() - 3 * DAY - Duration::from_secs(60);
    let early = now() + 33 * DAY + Duration::from_secs(60);
    let untrusted =
        format!("certificate of {host} is self-signed, or its issuer is not trusted or its chain incomplete");
    vec![
        shown("an expired certificate", ca.server_until(host, expired))
            .fails(Tls, format!("certificate of {host} expired 3 days ago ({})", expired.date())),
        shown("a certificate not yet valid", ca.server_until(host, early)).fails(
            Tls,
            format!("certificate of {host} is not valid for another 3 days ({})", (early - 30 * DAY).date()),
        ),
        shown("a self-signed certificate", self_signed(host)).fails(Tls, &*untrusted),
        shown("a certificate that is an authority itself", self_signed_authority(host)).fails(
            Tls,
            format!("certificate of {host} is one of an authority, for signing others: often self-signed"),
        ),
        shown("a certificate of an untrusted root", Ca::named("a stranger").server(host))
            .fails(Tls, untrusted),
        shown("a certificate of the namesake of a trusted root", Ca::new().server(host)).fails(
            Tls,
            format!("certificate of {host} is not signed by whom it names: its issuer, or a trusted namesake, is another"),
        ),
        shown("a certificate of another host", ca.server("example.org"))
            .fails(Tls, format!("certificate is not for {host} but for example.org")),
    ]
}

/// Names below `test` are those of [`resolve`].
fn names() -> Vec<Case> {
    let whole = || answer(OK);
    let named = |what: &str, host: &str| plain(what, whole()).at(&format!("http://{host}:PORT/"));
    vec![
        named("a name of the hosts file", "localhost"),
        named("a name in wide letters", "ｌｏｃａｌｈｏｓｔ"),
        named("a name of one address", "one.test"),
        named("a name of another script", "bücher.test"),
        named("an IPv6 address", "[::1]").listening(Some("[::1]:0")),
        named("a name of IPv6 alone", "six.test").listening(Some("[::1]:0")),
        named("a name whose first address is dead", "second.test"),
        named("a name whose addresses are all dead", "dead.test")
            .fails(Connect, "connection refused by 127.0.0.2:*, connection refused by 127.0.0.3:*"),
        named("a name that does not exist", "foo.invalid").fails(Dns, "no such host: foo.invalid"),
        named("a name of another script that does not exist", "bücher.invalid")
            .fails(Dns, "no such host: xn--bcher-kva.invalid"),
        named("a name without an address", "empty.test").fails(Dns, "empty.test has no address"),
        named("a name that the resolver cannot look up", "broken.test")
            .fails(Dns, "cannot resolve broken.test: 127.0.0.1:* answered *"),
        named("a resolver that is silent", "silent.test").listening(None).times_out("resolving silent.test"),
        named("credentials in the URL", "bob:hunter2@127.0.0.1")
            .fails(Cause::Config, "url: holds credentials: put credentials in authn_parms"),
    ]
}

/// A server that speaks HTTP/2 over TLS, and says this to every request.
fn two(what: impl Into<String>, ca: &Ca, says: Vec<Say>) -> Case {
    tls(format!("{} over HTTP/2", what.into()), h2_only(ca), vec![Act::Http2(says)])
}

fn h2_only(ca: &Ca) -> ServerConfig {
    speaking(ca.server("127.0.0.1"), &["h2"])
}

fn head(status: u16) -> Say {
    Say::Head(status, vec![])
}

fn promising(status: u16, length: &str) -> Say {
    Say::Head(status, vec![("content-length", length.to_owned())])
}

fn data(text: &str) -> Say {
    Say::Data(text.into())
}

fn http2(ca: &Ca) -> Vec<Case> {
    let two = |what: &str, says: Vec<Say>| two(what, ca, says);
    let long = |name: usize| Say::Head(200, vec![("x-long", "y".repeat(name))]);
    let names: Vec<&'static str> = (0..97).map(|n| &*format!("x-{n}").leak()).collect();
    let many = |n: usize| Say::Head(200, names.iter().take(n).map(|name| (*name, "y".to_owned())).collect());
    let coded = |bytes: &[u8]| {
        vec![Say::Head(200, vec![("content-encoding", "gzip".to_owned())]), Say::Data(bytes.to_vec())]
    };
    let before = "before a response came";
    let other = |came: usize| format!("body has other than the 100 bytes of its content-length: {came} came");
    vec![
        two("200", vec![head(200), data("ok")]),
        two("no body", vec![head(200)]),
        two("a length that is right", vec![promising(200, "2"), data("ok")]),
        two("trailers", vec![head(200), data("ok"), Say::Trailers]),
        two("a status that is not expected", vec![head(503)]).fails(Status, "status 503, expected 200"),
        two("a status without a phrase", vec![head(599)]).expecting("5xx").passes("599"),
        two("HEAD with a length", vec![promising(200, "100")]).method("HEAD"),
        two("204 with a length", vec![promising(204, "100"), Say::Hang])
            .expecting("204")
            .passes("204 No Content"),
        two("304 with a length", vec![promising(304, "100"), Say::Hang])
            .expecting("304")
            .passes("304 Not Modified"),
        two("a length that is too long", vec![promising(200, "100"), data("9 bytes..")])
            .fails(Protocol, other(9)),
        two("a length that is too short", vec![promising(200, "1"), data("ok")])
            .fails(Protocol, "body has other than the 1 bytes of its content-length: 0 came"),
        two("a length that is none", vec![promising(200, "x"), data("ok")]).fails(
            Protocol,
            format!("malformed HTTP/2 from PEER {before}: unspecific protocol error detected"),
        ),
        two("a reset before the head", vec![Say::Reset(Reason::INTERNAL_ERROR)])
            .fails(Protocol, format!("stream reset by PEER {before}: unexpected internal error encountered")),
        two("a refusal", vec![Say::Reset(Reason::HTTP_1_1_REQUIRED)])
            .fails(Protocol, format!("stream reset by PEER {before}: endpoint requires HTTP/1.1")),
        two("a connection given up before the head", vec![Say::GiveUp(Reason::ENHANCE_YOUR_CALM)]).fails(
            Protocol,
            format!("connection given up by PEER {before}: detected excessive load generating behavior"),
        ),
        two("a last answer", vec![head(200), data("ok"), Say::Last]),
        // What it has not read makes a reset of it, now and then.
        two("closes before the head", vec![Say::Leave]).fails(Protocol, format!("* by PEER {before}")),
        two("closes within the body", vec![head(200), data("ok"), Say::Leave]).fails(Protocol, "* by PEER *"),
        two("96 headers", vec![many(96)]),
        two("97 headers", vec![many(97)]).fails(Protocol, "malformed response head: too many headers"),
        two("a head that is long", vec![long(15 << 10)]),
        two("a head that is too long", vec![long(17 << 10)])
            .fails(Protocol, "the response head is longer than 16 KiB"),
        two("a body without end", vec![head(200), Say::Flood(vec![b'x'; 8192])]),
        two("a body without end, of which little is wanted", vec![head(200), Say::Flood(vec![b'x'; 8192])])
            .options(json!({"body_limit": 1_000})),
        two("gzip", coded(&zipped(100))),
        two("a gzip bomb", coded(&zipped(64 << 20))),
        two("gzip that is none", coded(b"plain text"))
            .fails(Protocol, "body cannot be decoded as gzip (10 bytes came)"),
        two("a body that is not as asserted", vec![head(200), data("down")])
            .options(json!({"assertions": [{"body_contains": "up"}]}))
            .fails(Assertion, "body does not contain `up`: it begins with `down`"),
        two("redirects in a loop", vec![Say::Head(302, vec![("location", "/".to_owned())])])
            .options(json!({"follow_redirects": true, "max_redirects": 3}))
            .fails(Protocol, "more than 3 redirects, the last to https://PEER/"),
    ]
}

/// The settings that a server begins with, all at their defaults.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

fn http2_silences(ca: &Ca) -> Vec<Case> {
    let two = |what: &str, says: Vec<Say>| two(what, ca, says);
    let raw = |what: &str, then: Act| {
        let script = vec![Act::Take, Act::Send(SETTINGS.to_vec()), then, Act::Hang];
        tls(format!("{what} over HTTP/2"), h2_only(ca), script)
    };
    let frames = |frames: &[&[u8]]| frames.concat();
    let waiting = "connected, waiting for the response head";
    // A header frame of stream 1 with a status in full, and one with a status of the static table.
    let hints: &[u8] = &[0, 0, 5, 1, 4, 0, 0, 0, 1, 8, 3, b'1', b'0', b'3'];
    let done: &[u8] = &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88];
    let opened: &[u8] = &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x88];
    let begun: &[u8] = &[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
    let part: &[u8] = &[0, 0, 2, 0, 0, 0, 0, 0, 1, b'o', b'k'];
    let goes_on = frames(&[&[0, 16, 0, 9, 0, 0, 0, 0, 1], &[0; 4096]]);
    vec![
        two("silent before the head", vec![Say::Hang]).times_out(waiting),
        two("silent within the body", vec![head(200), data("9 bytes.."), Say::Hang])
            .times_out("reading the body (9 bytes so far)"),
        two("a body that trickles", vec![head(200), Say::Trickle(b"x".to_vec())])
            .times_out("reading the body (* bytes so far)"),
        raw(
            "a reset within the body",
            Act::Send(frames(&[begun, part, &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8]])),
        )
        .fails(Protocol, "stream reset by PEER after 2 bytes of the body: stream no longer needed"),
        raw("all said, and the request not wanted", {
            Act::Send(frames(&[begun, part, &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0]]))
        }),
        raw("a connection given up within the body", {
            Act::Send(frames(&[begun, part, &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]]))
        })
        .fails(
            Protocol,
            "connection given up by PEER after 2 bytes of the body: unexpected internal error encountered",
        ),
        raw("silent after the settings", Act::Pause(Duration::ZERO)).times_out(waiting),
        raw("103 Early Hints first", Act::Send(frames(&[hints, done]))),
        raw("early hints without end", Act::Flood(hints.repeat(100))).times_out(waiting),
        raw(
            "pings without end",
            Act::Flood([&[0, 0, 8, 6, 0, 0, 0, 0, 0], &[0; 8][..]].concat().repeat(100)),
        )
        .times_out(waiting),
        raw("settings without end", Act::Flood(SETTINGS.repeat(100))).times_out(waiting),
        raw("a head without end", Act::Send(frames(&[opened, &goes_on.repeat(200)])))
            .fails(Protocol, "the response head is longer than 16 KiB"),
        raw("a frame that is too long", Act::Send(vec![0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]))
            .fails(Protocol, "malformed HTTP/2 from PEER before a response came: frame with invalid size"),
        raw("a head that is no code", Act::Send(vec![0, 0, 1, 1, 5, 0, 0, 0, 1, 0xff]))
            .fails(Protocol, "malformed HTTP/2 from PEER before a response came: *"),
    ]
}

fn versions(ca: &Ca) -> Vec<Case> {
    let answers = || Act::Http2(vec![head(200), data("ok")]);
    let config = |protocols: &[&str]| speaking(ca.server("127.0.0.1"), protocols);
    let only = |case: Case, version: &str| case.options(json!({"http_version": version}));
    let none = "PEER speaks no version of HTTP that is allowed (ALPN)";
    vec![
        tls("a server of both versions", config(&["h2", "http/1.1"]), vec![answers()]),
        tls("a server of both versions that prefers the older", config(&["http/1.1", "h2"]), answer(OK)),
        only(tls("only 1.1 of both versions", config(&["h2", "http/1.1"]), answer(OK)), "1.1"),
        only(tls("only 2 of both versions", config(&["http/1.1", "h2"]), vec![answers()]), "2"),
        only(tls("only 1.1, of 2", config(&["h2"]), vec![answers()]), "1.1").fails(Tls, none),
        only(tls("only 2, of 1.1", config(&["http/1.1"]), answer(OK)), "2").fails(Tls, none),
        only(tls("only 2, of a server without ALPN", config(&[]), answer(OK)), "2")
            .fails(Protocol, "PEER does not speak HTTP/2: it chose no protocol by ALPN"),
        only(plain("HTTP/2 without TLS", vec![answers()]), "2"),
        only(
            plain("HTTP/2 without TLS, to a server of 1.1", {
                vec![Act::Take, send("HTTP/1.1 400 Bad Request\r\n\r\n")]
            }),
            "2",
        )
        .fails(Protocol, "the answer is not HTTP/2: it begins with `HTTP/1.1 400 Bad`"),
        only(
            plain("HTTP/2 without TLS, on a TLS port", vec![Act::Take, Act::Send(PROTOCOL_VERSION.into())]),
            "2",
        )
        .fails(Protocol, "TLS answered on a plain HTTP port"),
        only(plain("HTTP/2 without TLS, to whom hangs up", vec![Act::Take]), "2")
            .fails(Protocol, "closed by PEER before a response came"),
        tls("says HTTP/2, and speaks 1.1", h2_only(ca), vec![Act::Take, send(OK), Act::Hang])
            .fails(Protocol, "the answer is not HTTP/2: it begins with `HTTP/1.1 200 OK\\r`"),
        tls(
            "a client certificate is demanded over HTTP/2",
            speaking(ca.server_for_clients("127.0.0.1"), &["h2"]),
            vec![answers()],
        )
        .fails(Tls, "PEER demands a client certificate"),
    ]
}

/// What the resolver of the table says.
fn resolve(name: &str, kind: RecordType) -> Reply {
    let records: &[RData] = match (name, kind) {
        ("silent.test", _) => return Reply::Silence,
        ("broken.test", _) => return Reply::Code(ResponseCode::ServFail),
        ("one.test" | "bücher.test", RecordType::A) => &[a("127.0.0.1")],
        ("six.test", RecordType::AAAA) => &[aaaa("::1")],
        ("second.test", RecordType::A) => &[a("127.0.0.2"), a("127.0.0.1")],
        ("dead.test", RecordType::A) => &[a("127.0.0.2"), a("127.0.0.3")],
        (name, _) if name.ends_with(".test") => &[],
        _ => return Reply::Code(ResponseCode::NXDomain),
    };
    Reply::Records(60, records.to_vec())
}

/// A row whose server runs.
struct Running {
    case: Case,
    address: SocketAddr,
    server: Option<Server>,
    /// Keeps the port of nobody from being somebody's.
    _reserved: Option<TcpSocket>,
}

async fn start(case: Case) -> Running {
    let Some(address) = case.listens else {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        return Running { case, address, server: None, _reserved: Some(socket) };
    };
    let server = Server::start_on(address, case.script.clone(), case.tls.clone()).await;
    Running { case, address: server.address(), server: Some(server), _reserved: None }
}

impl Running {
    fn target(&self) -> TargetDefinition {
        let url = self.case.target.url.expose().replace("PORT", &self.address.port().to_string());
        TargetDefinition { url: Secret::new(url), ..self.case.target.clone() }
    }

    /// Has it read little of a body, unless the row says how much.
    fn read_little(&mut self) {
        let mut options = self.case.target.read(TargetId(1)).0.options.of_kind;
        options.entry("body_limit").or_insert(json!(LITTLE));
        self.case.target.options = Some(Secret::new(Value::Object(options).to_string()));
    }

    fn body_limit(&self) -> usize {
        let options = self.target().read(TargetId(1)).0.options.of_kind;
        let limit = options.get("body_limit").and_then(Value::as_u64);
        limit.map_or(BODY_LIMIT, |limit| limit.try_into().unwrap())
    }

    /// A row that cannot be probed is judged by its faults, as the target's actor does.
    fn prober(&self, probers: &Probers) -> Result<Box<dyn Prober>, String> {
        let definition = self.target();
        let prepared = if self.case.hurried {
            let (mut target, _) = definition.read(TargetId(1));
            target.timeout = PATIENCE;
            probers.prepare(&definition, &target)
        } else {
            plan_probe(probers, TargetId(1), &definition).1
        };
        prepared.map(|build| build()).map_err(|faults| Fault::join(&faults))
    }

    async fn probe(&self, probers: &Probers) -> Outcome {
        match self.prober(probers) {
            Ok(prober) => prober.probe(tracer()).await,
            Err(faults) => Outcome::fail(Cause::Config, faults),
        }
    }

    /// What is wrong with an outcome, if anything is.
    fn complaint(&self, outcome: &Outcome, took: Duration) -> Option<String> {
        let Verdict(causes, reason) = &self.case.verdict;
        let found = outcome.reason.replace(&self.address.to_string(), "PEER");
        let as_expected = outcome.failure.map_or(causes.is_empty(), |cause| causes.contains(&cause));
        let complaint = if !as_expected || !matches(reason, &found) {
            format!("expected {causes:?} {reason:?}\n   found {:?} {found:?}", outcome.failure)
        } else if self.case.hurried && took > PATIENCE + GRACE {
            format!("took {took:?}")
        } else {
            return None;
        };
        Some(format!("{}: {complaint}\n{}", self.case.what, outcome.trace))
    }
}

/// Whether a text is as the pattern has it, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(begin) else { return false };
    (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| matches(rest, &text[at..]))
}

/// The servers of the table on threads of their own, so that only the probes are measured, and
/// what probes them.
fn play<T>(look: impl AsyncFnOnce(Vec<Running>, Probers) -> T) -> T {
    let ca = Ca::new();
    let elsewhere = Runtime::new().unwrap();
    let running = elsewhere.block_on(join_all(table(&ca).into_iter().map(start)));
    let dns = elsewhere.block_on(DnsServer::start(resolve));
    let resolv_conf = NamedTempFile::new().unwrap();
    fs::write(resolv_conf.path(), format!("nameserver {}\n", dns.address().ip())).unwrap();
    let resolver = Resolver::reading(resolv_conf.path(), Path::new("/etc/hosts"), dns.port());
    let client = Client::new(&ca.roots()).resolving_by(resolver);
    let probers = Probers::new("skypunch/test", client).unwrap();
    System::new().block_on(look(running, probers))
}

#[test]
fn each_server_is_judged_in_time_and_holds_no_other_target_back() {
    play(async |running, probers| {
        let neighbour = start(plain("a good neighbour", answer(OK))).await;
        let done = Cell::new(false);
        let judged = async {
            let mut complaints = Vec::new();
            for rows in running.chunks(AT_ONCE) {
                let judged = rows.iter().map(|row| async {
                    let begun = Instant::now();
                    let outcome = row.probe(&probers).await;
                    row.complaint(&outcome, begun.elapsed())
                });
                complaints.extend(join_all(judged).await.into_iter().flatten());
            }
            done.set(true);
            complaints
        };
        let beside = async {
            let mut slowest = Duration::ZERO;
            while !done.get() {
                let outcome = neighbour.probe(&probers).await;
                assert_eq!(outcome.failure, None, "the neighbour: {}", outcome.reason);
                slowest = slowest.max(outcome.timings.total);
            }
            slowest
        };
        let (complaints, slowest) = join(judged, beside).await;
        assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
        assert!(slowest < GRACE, "the neighbour of them all waited {slowest:?}");
        for row in running.iter().filter(|row| row.case.hurried) {
            let left = || row.server.as_ref().is_none_or(|server| server.left() == 1).then_some(());
            wait_until(&format!("{}: the socket to be closed", row.case.what), left).await;
        }
    });
}

#[test]
fn no_server_takes_more_memory_than_the_body_may() {
    play(async |running, probers| {
        // What is made once stays.
        running[0].probe(&probers).await;
        let mut usual = Vec::new();
        for what in ["200 OK", "TLS as it should be", "200 over HTTP/2"] {
            let row = running.iter().find(|row| row.case.what == what).unwrap();
            usual.push(peak_of(row.probe(&probers)).await.1);
        }
        let mut complaints = Vec::new();
        for mut row in running {
            let kind = if row.case.what.contains("HTTP/2") { 2 } else { usize::from(row.case.tls.is_some()) };
            // One that is read until the deadline is read once, which takes long enough.
            for little in [false, true] {
                if little {
                    row.read_little();
                } else if row.case.hurried {
                    continue;
                }
                let (_, peak) = peak_of(row.probe(&probers)).await;
                let allowed = usual[kind] + row.body_limit() + OVERHEAD;
                if peak > allowed {
                    complaints.push(format!("{}: {peak} bytes of {allowed}", row.case.what));
                }
            }
        }
        assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    });
}
