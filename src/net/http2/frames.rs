//! Follows the frames of a server, so that none of its heads grows beyond measure.
//!
//! `h2` gathers a head over several frames before it looks at it, and counts those frames, not their bytes.

use crate::net::head::{HEAD_MAX, HeadError};

/// What every frame begins with: the length of what follows it, a kind, flags, and a stream.
const HEADER: usize = 9;
/// The kinds of frames that begin a head.
const HEADERS: u8 = 1;
const PUSH_PROMISE: u8 = 5;
/// The kind that goes on with it.
const CONTINUATION: u8 = 9;

/// How far the frames came.
#[derive(Default)]
pub(super) struct Frames {
    header: [u8; HEADER],
    /// How much of the header of a frame came.
    begun: usize,
    /// How much of its payload is to come.
    left: usize,
    /// How long the newest head is.
    head: usize,
}

impl Frames {
    /// Takes what came next.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> Result<(), HeadError> {
        loop {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];
            let [byte, rest @ ..] = bytes else { return Ok(()) };
            bytes = rest;
            self.header[self.begun] = *byte;
            self.begun += 1;
            if self.begun == HEADER {
                self.begun = 0;
                let [a, b, c, kind, ..] = self.header;
                self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                match kind {
                    HEADERS | PUSH_PROMISE => self.head = self.left,
                    CONTINUATION => self.head += self.left,
                    _ => {}
                }
                if self.head > HEAD_MAX {
                    return Err(HeadError::TooLong);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let [.., a, b, c] = length.to_be_bytes();
        let mut frame = vec![a, b, c, kind, 0, 0, 0, 0, 1];
        frame.resize(HEADER + length, 1);
        frame
    }

    fn follow(bytes: &[u8], piece: usize) -> bool {
        let mut frames = Frames::default();
        bytes.chunks(piece).all(|piece| frames.follow(piece).is_ok())
    }

    #[test]
    fn a_head_is_as_long_as_its_frames() {
        let (most, half) = (HEAD_MAX, HEAD_MAX / 2);
        for (frames, fits) in [
            (vec![frame(4, 0), frame(HEADERS, most), frame(0, most + 1), frame(HEADERS, most)], true),
            (vec![frame(HEADERS, most + 1)], false),
            (vec![frame(HEADERS, half), frame(CONTINUATION, half)], true),
            (vec![frame(HEADERS, half), frame(CONTINUATION, half), frame(CONTINUATION, 1)], false),
        ] {
            for piece in [1, 7, 1000, usize::MAX] {
                assert_eq!(follow(&frames.concat(), piece), fits);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_followed(bytes: Vec<u8>, piece in 1usize..20) {
            follow(&bytes, piece);
        }
    }
}
