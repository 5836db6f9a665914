//! Reads the head of an answer: pure, and safe whatever the bytes are.

use actix_http::{
    StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use bytes::{Buf, Bytes, BytesMut};
use httparse::{EMPTY_HEADER, Error, Response, Status};
use memchr::memchr_iter;

/// The longest head that is read, in bytes.
pub(super) const HEAD_MAX: usize = 16 * 1024;
/// The most headers of one head.
pub(super) const HEADERS_MAX: usize = 96;

/// The final head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    /// The reason phrase, which may be empty.
    pub(super) phrase: String,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    /// Whether the server will take another request over the same connection.
    pub(super) stays: bool,
}

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

/// Why bytes are no head.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum HeadError {
    #[error("TLS answered on a plain HTTP port")]
    Tls,
    #[error("the answer is not HTTP/1: it begins with `{0}`")]
    Foreign(String),
    #[error("the response head is longer than {} KiB", HEAD_MAX / 1024)]
    TooLong,
    #[error("malformed response head: {0}")]
    Malformed(Error),
    #[error("malformed response head: content-length `{0}` is no number of bytes")]
    Length(String),
}

/// Takes interim heads off `bytes`, and the final one when all of it is there; what is left is what follows.
pub(super) fn take_head(bytes: &mut BytesMut, bodiless: bool) -> Result<Option<Head>, HeadError> {
    loop {
        // Some servers end the body of their last answer with a stray line break.
        let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        bytes.advance(blank);
        check_protocol(bytes)?;
        let Some(end) = end_of_head(bytes) else {
            return if bytes.len() <= HEAD_MAX { Ok(None) } else { Err(HeadError::TooLong) };
        };
        if end > HEAD_MAX {
            return Err(HeadError::TooLong);
        }
        let head = read(&bytes.split_to(end).freeze(), bodiless)?;
        if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Some(head));
        }
    }
}

/// Reads one head. Its values are parts of `bytes`, not copies.
fn read(bytes: &Bytes, bodiless: bool) -> Result<Head, HeadError> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut response = Response::new(&mut headers);
    let mut config = httparse::ParserConfig::default();
    config.allow_spaces_after_header_name_in_responses(true);
    match config.parse_response(&mut response, bytes).map_err(HeadError::Malformed)? {
        Status::Complete(_) => {}
        Status::Partial => return Err(HeadError::Malformed(Error::Status)),
    }
    let status = StatusCode::from_u16(response.code.unwrap_or_default());
    let status = status.map_err(|_| HeadError::Malformed(Error::Status))?;
    let framing = if bodiless || status.is_informational() || matches!(status.as_u16(), 204 | 304) {
        Framing::Bodiless
    } else {
        framing(&response)?
    };
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for header in response.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let name = name.map_err(|_| HeadError::Malformed(Error::HeaderName))?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(header.value));
        headers.append(name, value.map_err(|_| HeadError::Malformed(Error::HeaderValue))?);
    }
    let (stays, phrase) = (stays(&response), response.reason.unwrap_or_default().to_owned());
    Ok(Head { status, phrase, headers, framing, stays })
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
    let mut breaks = memchr_iter(b'\n', bytes);
    breaks.find_map(|at| match bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// The values of a header, one for each time that it is there.
fn values<'a>(head: &'a Response<'_, '_>, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    let named = head.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
    named.map(|header| header.value.trim_ascii())
}

/// What HTTP/1.1 does unless it says otherwise, and HTTP/1.0 only if it says so.
fn stays(head: &Response<'_, '_>) -> bool {
    let says = |token: &str| {
        let mut tokens = values(head, "connection").flat_map(|value| value.split(|byte| *byte == b','));
        tokens.any(|said| said.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    };
    !says("close") && (head.version == Some(1) || says("keep-alive"))
}

fn framing(head: &Response<'_, '_>) -> Result<Framing, HeadError> {
    // HTTP/1.0 knows no transfer coding.
    let codings = head.version == Some(1);
    if codings && values(head, "transfer-encoding").any(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
        return Ok(Framing::Chunked);
    }
    let lengths: Vec<&[u8]> = values(head, "content-length").collect();
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

    fn read(head: &str) -> Result<(Head, BytesMut), HeadError> {
        let mut bytes = BytesMut::from(head);
        let head = take_head(&mut bytes, false)?.unwrap_or_else(|| panic!("incomplete: {head:?}"));
        Ok((head, bytes))
    }

    fn framing_of(head: &str) -> Framing {
        read(head).unwrap().0.framing
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
        let (head, rest) = read("HTTP/1.1 200 OK\r\n\r\nbody").unwrap();
        assert_eq!((head.framing, &rest[..]), (Framing::UntilEnd, &b"body"[..]));
    }

    #[test]
    fn interim_heads_are_dropped() {
        let (head, rest) = read(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 \r\n\r\n",
        )
        .unwrap();
        assert_eq!((head.status, head.framing), (StatusCode::NO_CONTENT, Framing::Bodiless));
        assert!(head.headers.is_empty() && rest.is_empty());
        let (head, _) = read("HTTP/1.1 101 Switching Protocols\r\n\r\n").unwrap();
        assert_eq!(head.status, StatusCode::SWITCHING_PROTOCOLS);
    }

    #[test]
    fn a_server_says_whether_it_stays() {
        for (head, stays) in [
            ("HTTP/1.1 204 No\r\n\r\n", true),
            ("HTTP/1.1 204 No\r\nconnection: x, Close\r\n\r\n", false),
            ("HTTP/1.0 204 No\r\n\r\n", false),
            ("HTTP/1.0 204 No\r\nConnection: Keep-Alive\r\n\r\n", true),
        ] {
            assert_eq!(read(head).unwrap().0.stays, stays, "{head}");
        }
    }

    #[test]
    fn headers_are_read_in_their_order_and_as_often_as_they_are_there() {
        let (head, _) = read("HTTP/1.1 204 No\r\nX: b\r\nx : a \r\ny: é\r\n\r\n").unwrap();
        let values: Vec<_> = head.headers.get_all("x").map(|value| value.to_str().unwrap()).collect();
        assert_eq!((values, head.headers.len()), (vec!["b", "a"], 3));
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
        let mut endless: BytesMut =
            format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_MAX)).as_bytes().into();
        assert_eq!(take_head(&mut endless, false).unwrap_err(), HeadError::TooLong);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_head_or_an_error(mut bytes: Vec<u8>, begins: bool, bodiless: bool) {
            if begins {
                bytes.splice(0..0, HTTP1.iter().copied());
            }
            drop(take_head(&mut BytesMut::from(&bytes[..]), bodiless));
        }

        #[test]
        fn what_looks_like_a_head_is_one_final_head_or_an_error(
            lines in prop::collection::vec(
                "HTTP/1\\.[01] [0-9]{3}( .{0,5})?|(content-length|transfer-encoding|x): ?(chunked|[0-9]{0,21})|.{0,9}|",
                0..9,
            ),
            bodiless: bool,
        ) {
            let text = format!("HTTP/1.1 200 OK\r\n{}\r\n\r\nbody", lines.join("\r\n"));
            let mut bytes = BytesMut::from(&*text);
            if let Ok(Some(head)) = take_head(&mut bytes, bodiless) {
                prop_assert!(bytes.ends_with(b"body"));
                prop_assert!(!bodiless || head.framing == Framing::Bodiless);
            }
        }

        #[test]
        fn a_head_in_pieces_is_the_same_head(cut in 0usize..120) {
            let whole = "HTTP/1.1 103 Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 Fine\r\ncontent-length: 3\r\n\r\nabc";
            let cut = cut.min(whole.len());
            let mut bytes = BytesMut::from(&whole[..cut]);
            let mut head = take_head(&mut bytes, false).unwrap();
            bytes.extend_from_slice(&whole.as_bytes()[cut..]);
            if head.is_none() {
                head = take_head(&mut bytes, false).unwrap();
            }
            let head = head.unwrap();
            prop_assert_eq!((head.framing, &*head.phrase), (Framing::Length(3), "Fine"));
            prop_assert!(bytes.ends_with(b"abc"));
        }
    }
}
