//! Undoes the content coding of a body, piece by piece and within a limit.
//!
//! # Design notes
//!
//! - 2026-11: flate2's own reader of gzip keeps what the header of gzip says, up to 64 KiB a field, and inflates
//!   into a buffer of 32 KiB beside its window. So [`gzip`] looks after what is around the deflated bytes, and
//!   a body costs no more than the window and the tables of one `Decompress`, some 43 KiB.

mod gzip;

use actix_http::header::{CONTENT_ENCODING, HeaderMap};
use flate2::{Decompress, FlushDecompress, Status};

use self::gzip::Gzip;

/// How much is inflated at once.
const PIECE: usize = 4 * 1024;

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
    Gzip(Gzip, Inflate),
    /// Not begun: whether the format is that of RFC 1950, or only what is within it, shows in the first byte.
    Deflate,
    Inflate(Inflate),
}

/// The deflated bytes of a coding.
struct Inflate {
    state: Decompress,
    ended: bool,
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
            Some("gzip" | "x-gzip") => Coding::Gzip(Gzip::default(), Inflate::new(false)),
            Some("deflate") => Coding::Deflate,
            _ => Coding::Identity,
        };
        Self { coding, kept: Kept { bytes: Vec::new(), limit } }
    }

    /// Whether nothing more will be kept.
    pub(super) fn is_full(&self) -> bool {
        self.kept.is_full()
    }

    pub(super) fn len(&self) -> usize {
        self.kept.bytes.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.kept.bytes
    }

    /// Takes what came next. What follows the end of a coding is nobody's business.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Undecodable> {
        if let (Coding::Deflate, [first, ..]) = (&self.coding, bytes) {
            let zlib = first & 0x0f == 8;
            self.coding = Coding::Inflate(Inflate::new(zlib));
        }
        match &mut self.coding {
            Coding::Identity => self.kept.take(bytes),
            Coding::Deflate => {}
            Coding::Inflate(inflate) => {
                inflate.feed(bytes, &mut self.kept, |_| {}).ok_or(DEFLATE)?;
            }
            Coding::Gzip(gzip, inflate) => {
                gzip.skip_header(&mut bytes).ok_or(GZIP)?;
                let rest = inflate.feed(bytes, &mut self.kept, |piece| gzip.sum(piece)).ok_or(GZIP)?;
                if inflate.ended {
                    gzip.take_trailer(rest);
                }
            }
        }
        Ok(())
    }

    /// The end came: a coding must have come to its own.
    pub(super) fn finish(&self) -> Result<(), Undecodable> {
        match &self.coding {
            _ if self.is_full() => Ok(()),
            Coding::Identity | Coding::Inflate(Inflate { ended: true, .. }) => Ok(()),
            Coding::Gzip(gzip, _) if gzip.is_whole() => Ok(()),
            Coding::Gzip(..) => Err(GZIP),
            Coding::Deflate | Coding::Inflate(_) => Err(DEFLATE),
        }
    }
}

impl Inflate {
    fn new(zlib: bool) -> Self {
        Self { state: Decompress::new(zlib), ended: false }
    }

    /// Inflates `bytes` as far as they are kept, has each piece summed, and gives back what follows the end;
    /// `None` is what cannot be inflated.
    fn feed<'a>(
        &mut self,
        mut bytes: &'a [u8],
        kept: &mut Kept,
        mut sum: impl FnMut(&[u8]),
    ) -> Option<&'a [u8]> {
        // What is inflated of the last byte may be longer than a piece.
        let mut pending = false;
        while (pending || !bytes.is_empty()) && !self.ended && !kept.is_full() {
            let mut piece = [0; PIECE];
            let (read, written) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(bytes, &mut piece, FlushDecompress::None).ok()?;
            self.ended = status == Status::StreamEnd;
            let read = usize::try_from(self.state.total_in() - read).ok()?;
            let written = usize::try_from(self.state.total_out() - written).ok()?;
            if (read, written, self.ended) == (0, 0, false) && !bytes.is_empty() {
                return None;
            }
            sum(&piece[..written]);
            kept.take(&piece[..written]);
            pending = written == PIECE;
            bytes = &bytes[read..];
        }
        Some(bytes)
    }
}

impl Kept {
    fn is_full(&self) -> bool {
        self.bytes.len() >= self.limit
    }

    /// Grows as a vector does, but not beyond the limit.
    fn take(&mut self, bytes: &[u8]) {
        let length = self.bytes.len();
        let bytes = &bytes[..bytes.len().min(self.limit - length)];
        if self.bytes.capacity() - length < bytes.len() {
            let wanted = (2 * length).max(length + bytes.len()).min(self.limit);
            self.bytes.reserve_exact(wanted - length);
        }
        self.bytes.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use actix_http::header::HeaderValue;
    use flate2::{
        Compression, GzBuilder,
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
            assert!(kept.capacity() <= 1000, "{}", kept.capacity());
        }
    }

    #[test]
    fn what_a_header_of_gzip_tells_is_skipped() {
        let builder = GzBuilder::new().extra("extra").filename("name").comment("comment").mtime(1);
        let mut encoder = builder.write(Vec::new(), Compression::fast());
        encoder.write_all(b"text").unwrap();
        let mut whole = encoder.finish().unwrap();
        for piece in 1..whole.len() {
            assert_eq!(decode("gzip", &whole, piece, 1000).unwrap(), b"text");
        }
        for end in 0..whole.len() {
            assert_eq!(decode("gzip", &whole[..end], 7, 1000), Err(GZIP), "{end}");
        }
        let checksum = whole.len() - 8;
        whole[checksum] ^= 1;
        assert_eq!(decode("gzip", &whole, 7, 1000), Err(GZIP));
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
