//! What gzip has around deflated bytes, as RFC 1952 has it: a header, and sums at the end.

use std::mem;

use flate2::Crc;

/// How far the header came, and what the end must say.
#[derive(Default)]
pub(super) struct Gzip {
    awaited: Awaited,
    /// The parts of the header that are still to come.
    flags: u8,
    crc: Crc,
    trailer: Vec<u8>,
}

/// What of the header comes next.
enum Awaited {
    /// The part that every header has, from this byte of it on.
    Fixed(usize),
    /// The length of the extra field; its first byte is this, if it came.
    ExtraLength(Option<u8>),
    /// So many bytes, whatever they are.
    Bytes(usize),
    /// A text that ends with a zero.
    Text,
    /// Nothing more.
    Deflated,
}

impl Default for Awaited {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

/// The length of the part that every header has; the flags are its byte number 3.
const FIXED: usize = 10;
const FLAGS: usize = 3;
const CHECKSUM: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;

/// The sums at the end: a CRC of the body, and its length.
const TRAILER: usize = 8;

impl Gzip {
    /// Takes from `bytes` what belongs to the header; `None` is no gzip.
    pub(super) fn skip_header(&mut self, bytes: &mut &[u8]) -> Option<()> {
        while let (false, [byte, rest @ ..]) = (matches!(self.awaited, Awaited::Deflated), *bytes) {
            *bytes = rest;
            self.awaited = match mem::take(&mut self.awaited) {
                Awaited::Fixed(at) => {
                    match at {
                        FLAGS => self.flags = *byte,
                        // The magic number, and the method: deflate.
                        0..FLAGS if *byte != [0x1f, 0x8b, 8][at] => return None,
                        _ => {}
                    }
                    if at + 1 == FIXED { self.next_part() } else { Awaited::Fixed(at + 1) }
                }
                Awaited::ExtraLength(None) => Awaited::ExtraLength(Some(*byte)),
                Awaited::ExtraLength(Some(low)) => match u16::from_le_bytes([low, *byte]) {
                    0 => self.next_part(),
                    length => Awaited::Bytes(length.into()),
                },
                Awaited::Bytes(length @ 2..) => Awaited::Bytes(length - 1),
                Awaited::Text if *byte != 0 => Awaited::Text,
                Awaited::Bytes(_) | Awaited::Text => self.next_part(),
                Awaited::Deflated => Awaited::Deflated,
            };
        }
        Some(())
    }

    fn next_part(&mut self) -> Awaited {
        for (flag, part) in [
            (EXTRA, Awaited::ExtraLength(None)),
            (NAME, Awaited::Text),
            (COMMENT, Awaited::Text),
            (CHECKSUM, Awaited::Bytes(2)),
        ] {
            if self.flags & flag != 0 {
                self.flags &= !flag;
                return part;
            }
        }
        Awaited::Deflated
    }

    /// Sums what was inflated.
    pub(super) fn sum(&mut self, piece: &[u8]) {
        self.crc.update(piece);
    }

    /// Takes what follows the deflated bytes.
    pub(super) fn take_trailer(&mut self, bytes: &[u8]) {
        let wanted = TRAILER - self.trailer.len();
        self.trailer.extend_from_slice(&bytes[..bytes.len().min(wanted)]);
    }

    /// Whether the end came, and the sums are right.
    pub(super) fn is_whole(&self) -> bool {
        let sums = [self.crc.sum().to_le_bytes(), self.crc.amount().to_le_bytes()];
        self.trailer == sums.as_flattened()
    }
}
