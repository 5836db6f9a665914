//! Whatever a DNS server answers, a probe comes to a verdict that is not our own failure.
//!
//! The first byte chooses the type that is asked for, the rest is the answer behind its number.

#![no_main]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Arc, Mutex, OnceLock},
    thread,
};

use libfuzzer_sys::fuzz_target;
use skypunch::{net::Client, probe::Probers};
use skypunch_actors::{
    domain::{Cause, TargetDefinition, TargetId},
    port::{Clock, Tracer, plan_probe},
    testing::TestClock,
};

static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static PORT: OnceLock<u16> = OnceLock::new();

fn serve() -> u16 {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("there is a free port");
    let address = udp.local_addr().expect("it listens");
    let tcp = TcpListener::bind(address).expect("the port is free for TCP too");
    thread::spawn(move || serve_udp(&udp));
    thread::spawn(move || tcp.incoming().flatten().for_each(answer));
    address.port()
}

/// A refusal follows, so that nobody waits who does not take the answer.
fn serve_udp(socket: &UdpSocket) {
    let mut question = [0; 512];
    while let Ok((length, peer)) = socket.recv_from(&mut question) {
        let answer = ANSWER.lock().expect("nobody panics with it").clone();
        let mut refusal = question[..length].to_vec();
        refusal[2..4].copy_from_slice(&[0x80, 5]);
        drop(socket.send_to(&[&question[..2], &answer].concat(), peer));
        drop(socket.send_to(&refusal, peer));
    }
}

/// A client that leaves early is no matter.
fn answer(mut stream: TcpStream) {
    let mut question = [0; 512];
    let Ok(4..) = stream.read(&mut question) else { return };
    let answer = [&question[2..4], &*ANSWER.lock().expect("nobody panics with it")].concat();
    let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
    drop(stream.write_all(&[&length.to_be_bytes(), &answer[..]].concat()));
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, answer)) = input.split_first() else { return };
    let port = *PORT.get_or_init(serve);
    *ANSWER.lock().expect("nobody panics with it") = answer.to_vec();
    let kind = ["A", "AAAA", "CAA", "CNAME", "MX", "SOA", "SRV", "TXT"][usize::from(choice % 8)];
    let outcome = actix_rt::System::new().block_on(async {
        let probers = Probers::new("skypunch/fuzz", Client::new(&[])).expect("it is fit for a header");
        let url = format!("dns://127.0.0.1:{port}/example.org?type={kind}");
        let definition = TargetDefinition::new("home", url);
        let planned = plan_probe(&probers, TargetId(1), &definition).1;
        let prober = planned.expect("the row has its defaults")();
        prober.probe(Tracer::start(&(Arc::new(TestClock::default()) as Arc<dyn Clock>))).await
    });
    assert_ne!(outcome.failure, Some(Cause::Internal), "{}", outcome.reason);
    assert_ne!(outcome.failure, Some(Cause::Timeout), "{}", outcome.reason);
});
