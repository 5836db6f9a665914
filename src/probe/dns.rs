//! `dns://resolver/name?type=A`: one question to one resolver, judged by its code and its answers.
//!
//! The port is 53 and the type `A` unless the URL says another. Options: `rcode` (`NOERROR`), and `answers`, a
//! list of texts: exactly these records of the type, in any order. Without `answers`, `NOERROR` must come with at
//! least one. The question is asked over UDP, again each second, and over TCP where the answer is too long.

use std::{io, net::SocketAddr, time::Duration};

use futures_util::future::LocalBoxFuture;
use hickory_resolver::proto::{
    op::{Message, MessageType, Query},
    rr::{Name, RData, RecordType},
};
use percent_encoding::percent_decode_str;
use skypunch_actors::{
    domain::{Cause, Fault, Target, TargetDefinition},
    port::ProberBuilder,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout},
};

use super::{
    Probers,
    row::Row,
    run::{self, Failure, Look, failure},
};
use crate::net::{Client, Place, Progress};

/// The port of DNS.
const PORT: u16 = 53;
/// How long a packet is taken to be on its way, not lost.
const RESEND_AFTER: Duration = Duration::from_secs(1);
/// The most answers that a reason shows.
const SHOWN_MAX: usize = 8;
/// The codes that a target may expect.
const RCODES: [&str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

struct Dns {
    client: Client,
    resolver: Place,
    name: Name,
    kind: RecordType,
    rcode: String,
    answers: Option<Vec<String>>,
}

/// Reads a row, or names all that is wrong with it.
pub(super) fn prepare(
    probers: &Probers,
    definition: &TargetDefinition,
    target: &Target,
) -> Result<ProberBuilder, Vec<Fault>> {
    let mut row = Row::of(definition, target);
    let (resolver, limits) = (row.place(Some(PORT)), row.limits);
    let question = row.url.as_ref().map(|url| question(url.path(), url.query_pairs().collect()));
    let question = question.and_then(|read| read.map_err(|problem| row.url_fault(problem)).ok());
    let rcode = row.options.take_if::<String>("rcode", &format!("one of {}", RCODES.join(", ")), |code| {
        RCODES.iter().any(|known| known.eq_ignore_ascii_case(code))
    });
    let rcode = rcode.map_or_else(|| "NOERROR".to_owned(), |code| code.to_uppercase());
    let answers = row.options.take::<Vec<String>>("answers", "a list of texts");
    match (resolver, question, row.finish()) {
        (Some(resolver), Some((name, kind)), faults) if faults.is_empty() => {
            let client = limits.client(&probers.client);
            let answers = answers.map(|answers| sorted(answers.iter().map(|text| comparable(text, kind))));
            Ok(run::prober(target, limits, Dns { client, resolver, name, kind, rcode, answers }))
        }
        (_, _, faults) => Err(faults),
    }
}

/// What path and query of the URL ask.
fn question(
    path: &str,
    query: Vec<(std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)>,
) -> Result<(Name, RecordType), String> {
    let name = percent_decode_str(path.strip_prefix('/').unwrap_or(path)).decode_utf8_lossy();
    if name.is_empty() {
        return Err("asks for no name, as in dns://192.0.2.53/example.org?type=A".to_owned());
    }
    let mut name = Name::from_utf8(&*name).map_err(|_| "asks for what is no name in DNS".to_owned())?;
    name.set_fqdn(true);
    let mut kind = RecordType::A;
    for (key, value) in query {
        if key != "type" {
            return Err("asks more than a type: only `type` may stand behind the `?`".to_owned());
        }
        kind = value.to_uppercase().parse().map_err(|_| "asks for an unknown type of record".to_owned())?;
    }
    Ok((name, kind))
}

impl Look for Dns {
    fn look<'a>(&'a self, progress: &'a mut Progress) -> LocalBoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            let resolvers = self.client.resolve(&self.resolver, progress).await.map_err(failure)?;
            let (last, others) = resolvers.split_last().expect("what resolves has an address");
            for resolver in others {
                match timeout(RESEND_AFTER, self.ask(*resolver, progress)).await {
                    Ok(Ok(answer)) => return self.judge(&answer),
                    Ok(Err((_, reason))) => progress.step(reason),
                    Err(_) => progress.step(format!("No answer from {resolver}")),
                }
            }
            let answer = self.ask(*last, progress).await?;
            self.judge(&answer)
        })
    }
}

impl Dns {
    async fn ask(&self, resolver: SocketAddr, progress: &mut Progress) -> Result<Message, Failure> {
        let mut question = Message::query();
        question.metadata.recursion_desired = true;
        question.add_query(Query::query(self.name.clone(), self.kind));
        let bytes =
            question.to_vec().map_err(|error| (Cause::Internal, format!("cannot ask that: {error}")))?;
        progress.talking(format!("waiting for the answer of {resolver}"));
        let asked = Instant::now();
        let over_udp = ask_over_udp(resolver, &question, &bytes, progress).await;
        let mut answer = over_udp.map_err(|error| trouble_with(resolver, &error))?;
        if answer.metadata.truncation {
            progress.step("Answer too long for UDP, asking over TCP");
            progress.talking(format!("waiting for the answer of {resolver} over TCP"));
            let over_tcp = ask_over_tcp(resolver, &question, &bytes).await;
            answer = over_tcp.map_err(|error| trouble_with(resolver, &error))?;
        }
        progress.answered_after(asked.elapsed());
        Ok(answer)
    }

    fn judge(&self, answer: &Message) -> Result<String, Failure> {
        let rcode = format!("{:?}", answer.metadata.response_code).to_uppercase();
        if rcode != self.rcode {
            return Err((Cause::Status, format!("{rcode}, expected {}", self.rcode)));
        }
        let records = answer.answers.iter().filter(|record| record.record_type() == self.kind);
        let found = sorted(records.map(|record| shown(&record.data)));
        match &self.answers {
            Some(expected) if *expected != sorted(found.iter().map(|text| comparable(text, self.kind))) => {
                Err((Cause::Assertion, format!("found {}, expected {}", list(&found), list(expected))))
            }
            None if rcode == "NOERROR" && found.is_empty() => {
                Err((Cause::Assertion, format!("NOERROR, but {} has no {} record", self.name, self.kind)))
            }
            _ if found.is_empty() => Ok(rcode),
            _ => Ok(format!("{rcode} {}", list(&found))),
        }
    }
}

async fn ask_over_udp(
    resolver: SocketAddr,
    question: &Message,
    bytes: &[u8],
    progress: &mut Progress,
) -> io::Result<Message> {
    let any = if resolver.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(resolver).await?;
    let mut packet = [0; 4096];
    progress.step(format!("Asking {resolver}"));
    loop {
        socket.send(bytes).await?;
        let answered = timeout(RESEND_AFTER, async {
            loop {
                let length = socket.recv(&mut packet).await?;
                // What answers another question may be a forgery, and the right answer still come.
                if let Ok(answer) = read(&packet[..length], question) {
                    return io::Result::Ok(answer);
                }
            }
        });
        match answered.await {
            Ok(answer) => return answer,
            Err(_) => progress.step("No answer yet, asking again"),
        }
    }
}

async fn ask_over_tcp(resolver: SocketAddr, question: &Message, bytes: &[u8]) -> io::Result<Message> {
    let mut stream = TcpStream::connect(resolver).await?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
    let mut packet = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut packet).await?;
    read(&packet, question)
}

fn read(packet: &[u8], question: &Message) -> io::Result<Message> {
    let foreign = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let answer = Message::from_vec(packet).map_err(|_| foreign("no DNS message"))?;
    let fits = answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && answer.queries == question.queries;
    fits.then_some(answer).ok_or_else(|| foreign("the answer to another question"))
}

fn trouble_with(resolver: SocketAddr, error: &io::Error) -> Failure {
    match error.kind() {
        // Of UDP, that nobody listens is known only where the machine says so.
        io::ErrorKind::ConnectionRefused => (Cause::Connect, format!("connection refused by {resolver}")),
        io::ErrorKind::InvalidData => (Cause::Protocol, format!("{resolver} sent {error}")),
        io::ErrorKind::UnexpectedEof => (Cause::Protocol, format!("closed by {resolver} within the answer")),
        _ => (Cause::Connect, format!("{error} ({resolver})")),
    }
}

/// A record as people write it.
fn shown(data: &RData) -> String {
    data.to_string().trim_end_matches('.').to_owned()
}

/// Names and addresses have several spellings.
fn comparable(text: &str, kind: RecordType) -> String {
    match (kind, text.trim().parse::<std::net::IpAddr>()) {
        (_, Ok(ip)) => ip.to_string(),
        (RecordType::TXT, _) => text.to_owned(),
        _ => text.trim().trim_end_matches('.').to_lowercase(),
    }
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<String> = texts.collect();
    texts.sort_unstable();
    texts
}

fn list(texts: &[String]) -> String {
    if texts.is_empty() {
        return "nothing".to_owned();
    }
    let more = if texts.len() > SHOWN_MAX { ", …" } else { "" };
    format!("{}{more}", texts[..texts.len().min(SHOWN_MAX)].join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use skypunch_actors::domain::{Outcome, text};

    use super::*;

    #[test]
    fn spellings_of_one_record_compare_equal() {
        for (one, other, kind) in [
            ("2001:DB8:0::1", "2001:db8::1", RecordType::AAAA),
            ("Mail.Example.org.", "mail.example.org", RecordType::CNAME),
            ("10 mx.example.org", "10 MX.example.org.", RecordType::MX),
        ] {
            assert_eq!(comparable(one, kind), comparable(other, kind));
        }
        assert_ne!(comparable("v=A", RecordType::TXT), comparable("v=a", RecordType::TXT));
    }

    #[test]
    fn a_url_asks_one_question() {
        let ask = |path: &str, query: &[(&'static str, &'static str)]| {
            question(path, query.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
        };
        let (name, kind) = ask("/Example.org", &[("type", "mx")]).unwrap();
        assert_eq!((name.to_string(), kind), ("example.org.".to_owned(), RecordType::MX));
        assert_eq!(ask("/_dmarc.example.org", &[]).unwrap().1, RecordType::A);
        assert!(ask("/", &[]).unwrap_err().starts_with("asks for no name"));
        assert!(ask("/a", &[("type", "nonsense")]).unwrap_err().contains("unknown type"));
        assert!(ask("/a", &[("typ", "A")]).unwrap_err().contains("only `type`"));
        assert!(ask("/a..b", &[]).unwrap_err().contains("no name"));
    }

    /// The question for a type of record, and who judges its answer.
    fn asked(kind: RecordType, answers: Option<Vec<String>>) -> (Message, Dns) {
        let name = Name::from_ascii("example.org.").unwrap();
        let mut question = Message::query();
        question.add_query(Query::query(name.clone(), kind));
        let resolver = Place::new(&url::Host::Domain("localhost"), PORT);
        let client = Client::new(&[]);
        (question, Dns { client, resolver, name, kind, rcode: "NOERROR".to_owned(), answers })
    }

    /// The answer to a question: its flags, records of any type and content, and what stands behind them.
    fn answer(question: &Message, flags: u16, records: &[(u16, Vec<u8>)], tail: &[u8]) -> Vec<u8> {
        let asked = question.to_vec().unwrap();
        let count = u16::try_from(records.len()).unwrap();
        let mut packet = asked[..2].to_vec();
        for field in [flags | 0x8000, 1, count, 0, 0] {
            packet.extend(field.to_be_bytes());
        }
        packet.extend(&asked[12..]);
        for (kind, data) in records {
            // The name is the one of the question.
            packet.extend([0xc0, 12]);
            packet.extend(kind.to_be_bytes());
            packet.extend([0, 1, 0, 0, 0, 60]);
            packet.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            packet.extend(data);
        }
        packet.extend(tail);
        packet
    }

    const KINDS: [RecordType; 9] = [
        RecordType::A,
        RecordType::AAAA,
        RecordType::CAA,
        RecordType::CNAME,
        RecordType::MX,
        RecordType::NS,
        RecordType::SOA,
        RecordType::SRV,
        RecordType::TXT,
    ];

    fn data() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::array::uniform4(any::<u8>()).prop_map(Vec::from),
            prop::array::uniform16(any::<u8>()).prop_map(Vec::from),
            // A text, a preference with a name, and three numbers with a name.
            "[ -~]{1,255}".prop_map(|text| [&[text.len() as u8][..], text.as_bytes()].concat()),
            Just(vec![0, 10, 4, b'm', b'a', b'i', b'l', 0xc0, 12]),
            Just(vec![0, 1, 0, 2, 0, 80, 3, b'\n', 0, 0xff, 0]),
        ]
    }

    proptest! {
        #[test]
        fn any_records_come_to_a_verdict_in_one_printable_line(
            kind in prop::sample::select(&KINDS[..]),
            flags: u16,
            records in prop::collection::vec((any::<prop::sample::Index>(), data()), 0..12),
            tail in prop::collection::vec(any::<u8>(), 0..8),
            any_code: bool,
        ) {
            let (question, dns) = asked(kind, None);
            let records = records.iter().map(|(index, data)| (u16::from(*index.get(&KINDS)), data.clone()));
            let records: Vec<_> = records.collect();
            let flags = if any_code { flags } else { flags & !0xf };
            if let Ok(answer) = read(&answer(&question, flags, &records, &tail), &question) {
                let outcome = match dns.judge(&answer) {
                    Ok(reason) => Outcome::pass(reason),
                    Err((cause, reason)) => Outcome::fail(cause, reason),
                };
                prop_assert_ne!(outcome.failure, Some(Cause::Internal));
                prop_assert!(outcome.reason.chars().count() <= text::REASON_MAX);
                prop_assert!(!outcome.reason.chars().any(char::is_control), "{}", outcome.reason);
            }
        }

        #[test]
        fn the_records_that_are_expected_pass_in_any_order(ips in prop::collection::vec(any::<[u8; 4]>(), 1..9)) {
            let texts = ips.iter().rev().map(|ip| std::net::Ipv4Addr::from(*ip).to_string());
            let expected = sorted(texts.map(|text| comparable(&text, RecordType::A)));
            let (question, dns) = asked(RecordType::A, Some(expected));
            let records: Vec<_> = ips.iter().map(|ip| (1, ip.to_vec())).collect();
            let whole = read(&answer(&question, 0, &records, &[]), &question).unwrap();
            prop_assert!(dns.judge(&whole).is_ok());
            let one_less = read(&answer(&question, 0, &records[1..], &[]), &question).unwrap();
            prop_assert_eq!(dns.judge(&one_less).unwrap_err().0, Cause::Assertion);
        }

        #[test]
        fn any_packet_is_an_answer_or_none(rest: Vec<u8>, begins: bool) {
            // A question, an answer and an authority follow this head.
            let head: &[u8] = &[0, 0, 0x80, 0, 0, 1, 0, 1, 0, 1, 0, 0];
            let packet = if begins { [head, &rest].concat() } else { rest };
            drop(read(&packet, &Message::query()));
        }
    }
}
