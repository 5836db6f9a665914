//! Undoes the chunked coding of a body, whatever the pieces in which it comes.

use std::ops::Range;

/// How far a chunked body came. Extensions and trailers are skipped.
#[derive(Debug, Default)]
pub(super) struct Chunks(State);

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// The size of a chunk is to come.
    #[default]
    Begin,
    /// What there is of the size.
    Size(u64),
    /// Blanks or an extension, after the size.
    Extension(u64),
    /// The line feed after the size.
    SizeEnd(u64),
    /// So many bytes of the chunk.
    Data(u64),
    /// The line break after a chunk.
    DataCr,
    DataLf,
    /// The beginning of a line after the last chunk, which is a trailer unless it is empty.
    TrailerBegin,
    Trailer,
    /// The line feed of the empty line.
    LastLf,
    Over,
}

impl Chunks {
    /// Whether the last chunk came.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.0, State::Over)
    }

    /// Says which part of `bytes` is the next of the body, and how many are used up with it; `None` is no
    /// chunk. An empty part means that all are used up, or that it is over.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<(Range<usize>, usize)> {
        for (at, &byte) in bytes.iter().enumerate() {
            self.0 = match (self.0, byte) {
                (State::Data(left), _) => {
                    let here = (bytes.len() - at) as u64;
                    let taken = left.min(here);
                    self.0 = if taken == left { State::DataCr } else { State::Data(left - taken) };
                    let end = at + usize::try_from(taken).ok()?;
                    return Some((at..end, end));
                }
                (State::Over, _) => return Some((0..0, at)),
                (State::Begin, _) => State::Size(digit(byte)?),
                (State::Size(size) | State::Extension(size), b'\r') => State::SizeEnd(size),
                (State::Size(size), b';' | b' ' | b'\t') => State::Extension(size),
                (State::Size(size), _) => {
                    let sixteenfold = size.checked_mul(16)?;
                    State::Size(sixteenfold + digit(byte)?)
                }
                (State::Extension(size), _) if byte != b'\n' => State::Extension(size),
                (State::SizeEnd(0), b'\n') => State::TrailerBegin,
                (State::SizeEnd(size), b'\n') => State::Data(size),
                (State::DataCr, b'\r') => State::DataLf,
                (State::DataLf, b'\n') => State::Begin,
                (State::TrailerBegin, b'\r') => State::LastLf,
                (State::TrailerBegin | State::Trailer, _) => {
                    if byte == b'\n' {
                        State::TrailerBegin
                    } else {
                        State::Trailer
                    }
                }
                (State::LastLf, b'\n') => State::Over,
                _ => return None,
            };
        }
        Some((0..0, bytes.len()))
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body, and what follows it, if it came to its end.
    fn decode(bytes: &[u8], piece: usize) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let (mut chunks, mut body, mut rest) = (Chunks::default(), Vec::new(), Vec::new());
        for mut piece in bytes.chunks(piece) {
            while !piece.is_empty() && !chunks.is_over() {
                let (data, used) = chunks.take(piece)?;
                body.extend_from_slice(&piece[data]);
                piece = &piece[used..];
            }
            rest.extend_from_slice(piece);
        }
        Some((body, chunks.is_over().then_some(rest)))
    }

    #[test]
    fn a_body_is_put_together_and_what_follows_is_left() {
        for (coded, body, rest) in [
            ("0\r\n\r\n", "", ""),
            ("2\r\nok\r\n0\r\n\r\nmore", "ok", "more"),
            ("A;x=y\r\n0123456789\r\n1 \r\n!\r\n0\r\nt: x\r\n\r\n", "0123456789!", ""),
        ] {
            for piece in 1..=coded.len() {
                let whole = Some((body.as_bytes().to_vec(), Some(rest.as_bytes().to_vec())));
                assert_eq!(decode(coded.as_bytes(), piece), whole, "{coded:?} by {piece}");
            }
        }
    }

    #[test]
    fn what_is_torn_is_not_over_and_what_is_broken_is_none() {
        let whole = b"2\r\nok\r\n0\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(decode(&whole[..end], 3).unwrap().1, None, "{end}");
        }
        for broken in [
            "\r\n",
            "x\r\n",
            "2\nok",
            "2\r\nok!",
            "2\r\nok\r!",
            "2\rok",
            "11112222333344445\r\n",
            "0;\n\n",
            "0\r\n\rx",
        ] {
            assert_eq!(decode(broken.as_bytes(), 2), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_chunks_or_none(bytes: Vec<u8>, piece in 1usize..9) {
            drop(decode(&bytes, piece));
        }

        #[test]
        fn any_body_is_itself_whatever_its_chunks(body: Vec<u8>, chunk in 1usize..40, piece in 1usize..40) {
            let mut coded = Vec::new();
            for data in body.chunks(chunk) {
                coded.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                coded.extend_from_slice(data);
                coded.extend_from_slice(b"\r\n");
            }
            coded.extend_from_slice(b"0\r\n\r\nrest");
            prop_assert_eq!(decode(&coded, piece), Some((body, Some(b"rest".to_vec()))));
        }
    }
}
