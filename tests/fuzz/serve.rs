//! A server on the loopback that answers every request with the same bytes.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Mutex, OnceLock},
    thread,
};

static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static PORT: OnceLock<u16> = OnceLock::new();

/// Has `answer` given from now on, at a free port of that address; tells which.
pub fn answering(address: &str, answer: Vec<u8>) -> u16 {
    *ANSWER.lock().expect("nobody panics with it") = answer;
    *PORT.get_or_init(|| {
        let listener = TcpListener::bind((address, 0)).expect("there is a free port");
        let port = listener.local_addr().expect("it listens").port();
        thread::spawn(move || listener.incoming().flatten().for_each(serve));
        port
    })
}

/// A client that leaves early is no matter.
fn serve(mut stream: TcpStream) {
    drop(stream.read(&mut [0; 4096]));
    drop(stream.write_all(&ANSWER.lock().expect("nobody panics with it")));
}
