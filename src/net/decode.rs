//! Undoes the content coding of a body, piece by piece and within a limit.

use std::io::{self, Write};

use actix_http::header::{CONTENT_ENCODING, HeaderMap};
use flate2::{Decompress, FlushDecompress, Status, write::GzDecoder};

/// How much is inflated at once.
const PIECE: usize = 8 * 1024;

/// A body, decoded as it comes.
pub(super) struct Body {
    coding: Coding,
    kept: Kept,
}

/// What a limit leaves of a body.
struct Kept {
    bytes: Vec<u8>,
    limit: usize,
}

enum Coding {
    Identity,
    Gzip(Box<GzDecoder<Piece>>),
    /// Not begun: whether the format is that of RFC 1950, or only what is within it, shows in the first byte.
    Deflate,
    Inflate {
        inflate: Decompress,
        ended: bool,
    },
}

/// What a decoder gives out at once; taken after each write.
#[derive(Default)]
struct Piece(Vec<u8>);

impl Write for Piece {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The body is not what its coding says.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Undecodable(pub(super) &'static str);

const GZIP: Undecodable = Undecodable("gzip");
const DEFLATE: Undecodable = Undecodable("deflate");

/// A coding of these headers that cannot be undone.
pub(super) fn foreign_coding(headers: &HeaderMap) -> Option<String> {
    let coding = coding(headers)?;
    let known = ["identity", "gzip", "x-gzip", "deflate"].contains(&coding.as_str());
    (!known).then_some(coding)
}

fn coding(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_ENCODING)?;
    Some(String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase())
}

impl Body {
    /// A body of an answer with these headers, of which `limit` bytes are kept. A coding that is not known is
    /// left as it is.
    pub(super) fn new(headers: &HeaderMap, limit: usize) -> Self {
        let coding = match coding(headers).as_deref() {
            Some("gzip" | "x-gzip") => Coding::Gzip(Box::new(GzDecoder::new(Piece::default()))),
            Some("deflate") => Coding::Deflate,
            _ => Coding::Identity,
        };
        Self { coding, kept: Kept { bytes: Vec::new(), limit } }
    }

    /// Whether nothing more will be kept.
    pub(super) fn is_full(&self) -> bool {
        self.kept.bytes.len() >= self.kept.limit
    }

    pub(super) fn len(&self) -> usize {
        self.kept.bytes.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.kept.bytes
    }

    /// Takes what came next.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Undecodable> {
        if let (Coding::Deflate, [first, ..]) = (&self.coding, bytes) {
            let zlib = first & 0x0f == 8;
            self.coding = Coding::Inflate { inflate: Decompress::new(zlib), ended: false };
        }
        // What is inflated of the last byte may be longer than a piece.
        let mut pending = false;
        while (pending || !bytes.is_empty()) && !self.is_full() {
            pending = false;
            let taken = match &mut self.coding {
                Coding::Identity => {
                    self.kept.take(bytes);
                    bytes.len()
                }
                Coding::Gzip(decoder) => {
                    // Inflates no more than its buffer of 32 KiB a call.
                    let taken = decoder.write(bytes).map_err(|_| GZIP)?;
                    self.kept.take(&decoder.get_ref().0);
                    decoder.get_mut().0.clear();
                    // What follows the end is nobody's business.
                    if taken == 0 { bytes.len() } else { taken }
                }
                Coding::Deflate | Coding::Inflate { ended: true, .. } => bytes.len(),
                Coding::Inflate { inflate, ended } => {
                    let mut piece = [0; PIECE];
                    let (read, written) = (inflate.total_in(), inflate.total_out());
                    let status = inflate.decompress(bytes, &mut piece, FlushDecompress::None);
                    *ended = status.map_err(|_| DEFLATE)? == Status::StreamEnd;
                    let (read, written) = (inflate.total_in() - read, inflate.total_out() - written);
                    if (read, written, *ended) == (0, 0, false) && !bytes.is_empty() {
                        return Err(DEFLATE);
                    }
                    let written = usize::try_from(written).unwrap_or(PIECE);
                    self.kept.take(&piece[..written]);
                    pending = written == PIECE;
                    usize::try_from(read).unwrap_or(bytes.len())
                }
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// The end came: a coding must have come to its own.
    pub(super) fn finish(&mut self) -> Result<(), Undecodable> {
        if self.is_full() {
            return Ok(());
        }
        match &mut self.coding {
            Coding::Identity => Ok(()),
            Coding::Gzip(decoder) => {
                decoder.try_finish().map_err(|_| GZIP)?;
                self.kept.take(&decoder.get_ref().0);
                Ok(())
            }
            Coding::Inflate { ended: true, .. } => Ok(()),
            Coding::Deflate | Coding::Inflate { .. } => Err(DEFLATE),
        }
    }
}

impl Kept {
    fn take(&mut self, bytes: &[u8]) {
        let room = self.limit - self.bytes.len();
        let fresh = &bytes[..bytes.len().min(room)];
        self.make_room(fresh.len());
        self.bytes.extend_from_slice(fresh);
    }

    /// Doubles, as a vector does by itself, but never beyond the limit.
    fn make_room(&mut self, fresh: usize) {
        let needed = self.bytes.len() + fresh;
        if needed > self.bytes.capacity() {
            let capacity = needed.max(self.limit.min(2 * self.bytes.capacity()));
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_http::header::HeaderValue;
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use proptest::prelude::*;

    use super::*;

    fn encode(coding: &str, bytes: &[u8]) -> Vec<u8> {
        let level = Compression::fast();
        match coding {
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            "zlib" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            _ => {
                let mut encoder = DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    fn decode(
        coding: &'static str,
        bytes: &[u8],
        piece: usize,
        limit: usize,
    ) -> Result<Vec<u8>, Undecodable> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        let mut body = Body::new(&headers, limit);
        for piece in bytes.chunks(piece) {
            body.feed(piece)?;
        }
        body.finish()?;
        Ok(body.into_bytes())
    }

    const CODINGS: [(&str, &str); 3] = [("gzip", "gzip"), ("deflate", "zlib"), ("deflate", "raw")];

    #[test]
    fn a_bomb_is_kept_within_the_limit() {
        let zeroes = vec![0; 20 << 20];
        for (coding, format) in CODINGS {
            let kept = decode(coding, &encode(format, &zeroes), 1 << 20, 1000).unwrap();
            assert_eq!(kept.len(), 1000);
            assert!(kept.capacity() < 64 * 1024);
        }
    }

    #[test]
    fn what_is_torn_or_broken_cannot_be_decoded() {
        for (coding, format) in CODINGS {
            let whole = encode(format, b"some text, and some text again");
            for end in 0..whole.len() {
                assert!(decode(coding, &whole[..end], 7, 1000).is_err(), "{format} {end}");
            }
        }
        assert_eq!(decode("gzip", b"plain text", 4, 1000), Err(GZIP));
        assert_eq!(decode("deflate", &[0xff; 40], 4, 1000), Err(DEFLATE));
    }

    #[test]
    fn what_follows_the_end_is_left_alone() {
        for (coding, format) in CODINGS {
            let mut bytes = encode(format, b"text");
            bytes.extend_from_slice(b"more than eight bytes of garbage");
            assert_eq!(decode(coding, &bytes, 1000, 1000).unwrap(), b"text", "{format}");
        }
    }

    #[test]
    fn a_coding_that_is_not_known_is_named_and_left() {
        let mut headers = HeaderMap::new();
        assert_eq!(foreign_coding(&headers), None);
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("BR"));
        assert_eq!(foreign_coding(&headers).as_deref(), Some("br"));
        assert_eq!(decode("br", b"text", 3, 1000).unwrap(), b"text");
    }

    proptest! {
        #[test]
        fn a_body_in_pieces_is_the_same_body(bytes: Vec<u8>, piece in 1usize..50) {
            for (coding, format) in CODINGS {
                let decoded = decode(coding, &encode(format, &bytes), piece, 100_000);
                prop_assert_eq!(decoded.as_deref(), Ok(&bytes[..]));
            }
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>, piece in 1usize..50) {
            drop(decode("gzip", &bytes, piece, 1000));
            drop(decode("deflate", &bytes, piece, 1000));
        }
    }
}
