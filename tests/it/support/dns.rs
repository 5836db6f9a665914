//! A DNS server, over UDP and TCP, that answers as it is told: well, wrongly, or not at all.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hickory_resolver::proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
};

/// What the server does with a question.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Says nothing.
    Silence,
    /// A code and no record.
    Code(ResponseCode),
    /// Records that stay true for so many seconds.
    Records(u32, Vec<RData>),
    /// The same, but over UDP only that it is too long for UDP.
    OverTcp(Vec<RData>),
    /// An answer to another question, and then the records.
    Forged(Vec<RData>),
    /// What is no DNS message at all.
    Noise,
    /// These bytes behind the number of the question; and then a refusal, for who does not take them.
    Raw(Vec<u8>),
}

/// An address record.
pub fn a(ip: &str) -> RData {
    RData::A(ip.parse().unwrap())
}

/// An address record of IPv6.
pub fn aaaa(ip: &str) -> RData {
    RData::AAAA(ip.parse().unwrap())
}

/// The record of a mail server.
pub fn mx(preference: u16, host: &str) -> RData {
    RData::MX(rdata::MX::new(preference, Name::from_ascii(host).unwrap()))
}

type Script = Arc<dyn Fn(&str, RecordType) -> Reply + Send + Sync>;

/// A running server; it ends when this is dropped.
pub struct DnsServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl DnsServer {
    /// A server on 127.0.0.1 that follows `script`, which sees each name without its last dot.
    pub async fn start(script: impl Fn(&str, RecordType) -> Reply + Send + Sync + 'static) -> Self {
        // The port of TCP may be taken by somebody else.
        for _ in 0..100 {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = udp.local_addr().unwrap();
            if let Ok(tcp) = TcpListener::bind(address).await {
                return Self::serve(udp, tcp, Arc::new(script));
            }
        }
        panic!("no port is free for both UDP and TCP");
    }

    /// A server at another address of this machine, on the port of `self`.
    pub async fn beside(
        &self,
        ip: &str,
        script: impl Fn(&str, RecordType) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let address = SocketAddr::new(ip.parse().unwrap(), self.port());
        let udp = UdpSocket::bind(address).await.unwrap();
        let tcp = TcpListener::bind(address).await.unwrap();
        Self::serve(udp, tcp, Arc::new(script))
    }

    fn serve(udp: UdpSocket, tcp: TcpListener, script: Script) -> Self {
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (script2, asked2) = (Arc::clone(&script), Arc::clone(&asked));
        let tasks = vec![
            tokio::spawn(serve_udp(udp, script, Arc::clone(&asked))),
            tokio::spawn(async move {
                while let Ok((stream, _)) = tcp.accept().await {
                    let (script, asked) = (Arc::clone(&script2), Arc::clone(&asked2));
                    tokio::spawn(async move { drop(serve_tcp(stream, script, asked).await) });
                }
            }),
        ];
        Self { address, asked, tasks }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every question so far, as `name TYPE`, in the order of the alphabet.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort_unstable();
        asked
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn serve_udp(socket: UdpSocket, script: Script, asked: Arc<Mutex<Vec<String>>>) {
    let mut packet = [0; 4096];
    while let Ok((length, peer)) = socket.recv_from(&mut packet).await {
        for answer in answers(&packet[..length], &script, &asked, false) {
            socket.send_to(&answer, peer).await.unwrap();
        }
    }
}

async fn serve_tcp(mut stream: TcpStream, script: Script, asked: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    loop {
        let mut packet = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut packet).await?;
        for answer in answers(&packet, &script, &asked, true) {
            stream.write_u16(u16::try_from(answer.len()).unwrap()).await?;
            stream.write_all(&answer).await?;
        }
    }
}

fn answers(packet: &[u8], script: &Script, asked: &Mutex<Vec<String>>, is_tcp: bool) -> Vec<Vec<u8>> {
    let question = Message::from_vec(packet).unwrap();
    let query = question.queries[0].clone();
    let name = query.name().to_lowercase().to_string();
    let name = name.trim_end_matches('.');
    asked.lock().unwrap().push(format!("{name} {}", query.query_type()));
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    let with = |mut answer: Message, ttl: u32, records: Vec<RData>| {
        for data in records {
            answer.add_answer(Record::from_rdata(query.name().clone(), ttl, data));
        }
        answer.to_vec().unwrap()
    };
    match script(name, query.query_type()) {
        Reply::Silence => Vec::new(),
        Reply::Noise => vec![[&packet[..2], b"nonsense"].concat()],
        Reply::Raw(bytes) => {
            answer.metadata.response_code = ResponseCode::Refused;
            vec![[&packet[..2], &bytes].concat(), answer.to_vec().unwrap()]
        }
        Reply::Records(ttl, records) => vec![with(answer, ttl, records)],
        Reply::OverTcp(records) if is_tcp => vec![with(answer, 60, records)],
        Reply::OverTcp(_) => {
            answer.metadata.truncation = true;
            vec![answer.to_vec().unwrap()]
        }
        Reply::Forged(records) => {
            let mut forged = answer.clone();
            forged.metadata.id = forged.metadata.id.wrapping_add(1);
            vec![with(forged, 60, vec![a("192.0.2.66")]), with(answer, 60, records)]
        }
        Reply::Code(code) => {
            answer.metadata.response_code = code;
            // The start of authority says for how long the absence is true.
            let soa = rdata::SOA::new(Name::root(), Name::root(), 1, 60, 60, 60, 60);
            answer.add_authority(Record::from_rdata(Name::root(), 60, RData::SOA(soa)));
            vec![answer.to_vec().unwrap()]
        }
    }
}
