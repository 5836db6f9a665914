//! Whatever comes over the control socket, it is a request or an error of the standard, and an answer is one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skypunch::control::protocol::{read_reply, read_request, request_line, response_line};

fuzz_target!(|line: &str| {
    drop(read_reply(line));
    let answer = match read_request(line) {
        Ok(request) => {
            let same = request_line(1, &request.method, &request.params);
            let again = read_request(&same).expect("it was written just now");
            assert_eq!((again.method, again.params), (request.method, request.params));
            response_line(&request.id.unwrap_or_default(), Ok(request_line(2, "", &Default::default()).into()))
        }
        Err((id, error)) => {
            assert!((-32_700..=-32_600).contains(&error.code), "{error:?}");
            response_line(&id, Err(error))
        }
    };
    assert_eq!(answer.find('\n'), Some(answer.len() - 1));
    assert!(read_reply(&answer).is_some());
});
