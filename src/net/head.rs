//! Reads the head of an answer: pure, and safe whatever the bytes are.

use httparse::{EMPTY_HEADER, Error, Response, Status};

/// The longest head that is read; awc has the same limit.
const HEAD_MAX: usize = 128 * 1024;
/// The most headers of one head; awc has the same limit.
const HEADERS_MAX: usize = 96;

/// How the body of an answer ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    /// There is none.
    Bodiless,
    /// After so many bytes.
    Length(u64),
    /// With its last chunk.
    Chunked,
    /// With the connection.
    UntilEnd,
}

/// What the bytes so far are.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Inspected {
    /// The head goes on.
    Incomplete,
    /// A final head, and maybe more.
    Complete {
        framing: Framing,
        /// The reason phrase, which may be empty.
        phrase: String,
    },
}

/// Why bytes are no head.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum HeadError {
    #[error("TLS answered on a plain HTTP port")]
    Tls,
    #[error("the answer is not HTTP/1: it begins with `{0}`")]
    Foreign(String),
    #[error("the response head is longer than 128 KiB")]
    TooLong,
    #[error("malformed response head: {0}")]
    Malformed(Error),
    #[error("malformed response head: content-length `{0}` is no number of bytes")]
    Length(String),
}

/// Drops interim heads from `bytes`, and has a final head without a length read to the end.
pub(super) fn inspect(bytes: &mut Vec<u8>, bodiless: bool) -> Result<Inspected, HeadError> {
    loop {
        // Some servers end the body of their last answer with a stray line break.
        let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        bytes.drain(..blank);
        check_protocol(bytes)?;
        let Some(end) = end_of_head(bytes) else {
            let incomplete = bytes.len() <= HEAD_MAX;
            return if incomplete { Ok(Inspected::Incomplete) } else { Err(HeadError::TooLong) };
        };
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut head = Response::new(&mut headers);
        // As lenient as awc, which parses the same again.
        let mut config = httparse::ParserConfig::default();
        config.allow_spaces_after_header_name_in_responses(true);
        match config.parse_response(&mut head, &bytes[..end]).map_err(HeadError::Malformed)? {
            Status::Complete(_) => {}
            Status::Partial => return Err(HeadError::Malformed(Error::Status)),
        }
        let status = head.code.unwrap_or_default();
        if (100..=199).contains(&status) && status != 101 {
            bytes.drain(..end);
            continue;
        }
        let framing =
            if bodiless || matches!(status, 101 | 204 | 304) { Framing::Bodiless } else { framing(&head)? };
        let phrase = head.reason.unwrap_or_default().to_owned();
        if framing == Framing::UntilEnd {
            // The minor version, so that awc does not take the body for none.
            bytes[HTTP1.len()] = b'0';
        }
        return Ok(Inspected::Complete { framing, phrase });
    }
}

const HTTP1: &[u8] = b"HTTP/1.";

/// Tells at once what would never become a head, rather than wait for its end.
fn check_protocol(bytes: &[u8]) -> Result<(), HeadError> {
    let begun = bytes.len().min(HTTP1.len());
    if bytes[..begun] == HTTP1[..begun] {
        return Ok(());
    }
    // A TLS record: an alert, or a handshake.
    if matches!(bytes, [0x15 | 0x16, 0x03, ..] | [0x15 | 0x16]) {
        return Err(HeadError::Tls);
    }
    let beginning = &bytes[..bytes.len().min(16)];
    Err(HeadError::Foreign(String::from_utf8_lossy(beginning).into_owned()))
}

/// Where the blank line after a head ends.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut breaks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    breaks.find_map(|at| match bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn framing(head: &Response<'_, '_>) -> Result<Framing, HeadError> {
    let values = |name: &'static str| {
        let named = head.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value.trim_ascii())
    };
    // HTTP/1.0 knows no transfer coding.
    let codings = head.version == Some(1);
    if codings && values("transfer-encoding").any(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
        return Ok(Framing::Chunked);
    }
    let lengths: Vec<&[u8]> = values("content-length").collect();
    Ok(match lengths[..] {
        [] => Framing::UntilEnd,
        [digits] => match number(digits).ok_or_else(|| no_length(&lengths))? {
            0 => Framing::Bodiless,
            length => Framing::Length(length),
        },
        _ => return Err(no_length(&lengths)),
    })
}

/// A number without the sign that `u64::from_str` would allow.
fn number(digits: &[u8]) -> Option<u64> {
    let plain = digits.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

fn no_length(said: &[&[u8]]) -> HeadError {
    HeadError::Length(String::from_utf8_lossy(&said.join(&b", "[..])).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(head: &str) -> Result<(Framing, Vec<u8>), HeadError> {
        let mut bytes = head.as_bytes().to_vec();
        match inspect(&mut bytes, false)? {
            Inspected::Complete { framing, .. } => Ok((framing, bytes)),
            Inspected::Incomplete => panic!("incomplete: {head:?}"),
        }
    }

    fn framing_of(head: &str) -> Framing {
        read(head).unwrap().0
    }

    #[test]
    fn the_framing_is_read_from_the_head() {
        assert_eq!(framing_of("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"), Framing::Length(7));
        assert_eq!(framing_of("HTTP/1.0 200 OK\nContent-Length : 7 \n\n"), Framing::Length(7));
        assert_eq!(framing_of("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n"), Framing::Chunked);
        assert_eq!(framing_of("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"), Framing::UntilEnd);
        assert_eq!(framing_of("HTTP/1.1 204 No Content\r\ncontent-length: 7\r\n\r\n"), Framing::Bodiless);
        assert_eq!(framing_of("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), Framing::Bodiless);
    }

    #[test]
    fn a_body_without_a_length_is_read_to_the_end() {
        let (framing, bytes) = read("HTTP/1.1 200 OK\r\n\r\nbody").unwrap();
        assert_eq!(framing, Framing::UntilEnd);
        assert_eq!(bytes, b"HTTP/1.0 200 OK\r\n\r\nbody");
    }

    #[test]
    fn interim_heads_are_dropped() {
        let (framing, bytes) = read(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 \r\n\r\n",
        )
        .unwrap();
        assert_eq!((framing, bytes), (Framing::Bodiless, b"HTTP/1.1 204 \r\n\r\n".to_vec()));
        let (_, bytes) = read("HTTP/1.1 101 Switching Protocols\r\n\r\n").unwrap();
        assert!(bytes.starts_with(b"HTTP/1.1 101"));
    }

    #[test]
    fn what_is_no_head_is_told_at_once() {
        assert_eq!(read("SSH-2.0-OpenSSH_9").unwrap_err(), HeadError::Foreign("SSH-2.0-OpenSSH_".into()));
        assert_eq!(read("\u{15}\u{3}\u{3}").unwrap_err(), HeadError::Tls);
        assert_eq!(read("HTTP/1.1 20x OK\r\n\r\n").unwrap_err(), HeadError::Malformed(Error::Status));
        let many = "x: y\r\n".repeat(97);
        let error = read(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")).unwrap_err();
        assert_eq!(error, HeadError::Malformed(Error::TooManyHeaders));
        for (said, shown) in [("x", "x"), ("+1", "+1"), ("", ""), ("2\r\ncontent-length: 2", "2, 2")] {
            let error = read(&format!("HTTP/1.1 200 OK\r\ncontent-length: {said}\r\n\r\n")).unwrap_err();
            assert_eq!(error, HeadError::Length(shown.into()));
        }
        let mut endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_MAX)).into_bytes();
        assert_eq!(inspect(&mut endless, false).unwrap_err(), HeadError::TooLong);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_head_or_an_error(mut bytes: Vec<u8>, begins: bool, bodiless: bool) {
            if begins {
                bytes.splice(0..0, HTTP1.iter().copied());
            }
            drop(inspect(&mut bytes, bodiless));
        }

        #[test]
        fn what_looks_like_a_head_is_one_final_head_or_an_error(
            lines in prop::collection::vec(
                "HTTP/1\\.[01] [0-9]{3}( .{0,5})?|(content-length|transfer-encoding|x): ?(chunked|[0-9]{0,21})|.{0,9}|",
                0..9,
            ),
            bodiless: bool,
        ) {
            let mut bytes = format!("HTTP/1.1 200 OK\r\n{}\r\n\r\nbody", lines.join("\r\n")).into_bytes();
            if let Ok(Inspected::Complete { framing, .. }) = inspect(&mut bytes, bodiless) {
                prop_assert!(bytes.starts_with(HTTP1) && bytes.ends_with(b"body"));
                prop_assert!(!bodiless || framing == Framing::Bodiless);
                prop_assert_eq!(bytes[HTTP1.len()] == b'0' || framing != Framing::UntilEnd, true);
            }
        }

        #[test]
        fn a_head_in_pieces_is_the_same_head(cut in 0usize..120) {
            let whole = "HTTP/1.1 103 Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 Fine\r\ncontent-length: 3\r\n\r\nabc";
            let cut = cut.min(whole.len());
            let mut bytes = whole.as_bytes()[..cut].to_vec();
            let mut inspected = inspect(&mut bytes, false).unwrap();
            bytes.extend_from_slice(&whole.as_bytes()[cut..]);
            if inspected == Inspected::Incomplete {
                inspected = inspect(&mut bytes, false).unwrap();
            }
            let complete = Inspected::Complete { framing: Framing::Length(3), phrase: "Fine".into() };
            prop_assert_eq!(inspected, complete);
            prop_assert!(bytes.ends_with(b"abc"));
        }
    }
}
