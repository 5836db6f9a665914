//! What stands in the bytes of a batch or of a notification: postcard, under the number of a format.
//!
//! The bytes of a format mean the same for ever: whoever changes what a [`Batch`] is made of gives it a new
//! number, and keeps a reader of the old one. `tests/it/fixtures/journal` holds bytes of every format.

use serde::{Serialize, de::DeserializeOwned};
use skypunch_actors::domain::{Batch, NotificationNews};

/// The format in which is written.
pub const FORMAT: u32 = 1;

/// Why bytes cannot be read.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum CodecError {
    /// A newer skypunch wrote them.
    #[error("format {0} is newer than this skypunch, which knows {FORMAT}")]
    Newer(u32),
    /// No skypunch wrote them.
    #[error("there is no format {0}")]
    Unknown(u32),
    /// They are not what was written.
    #[error("the checksum does not fit")]
    Checksum,
    /// They do not hold what they should.
    #[error("the bytes make no sense")]
    Malformed,
}

/// The bytes of a batch.
pub fn write_batch(batch: &Batch) -> Vec<u8> {
    write(batch)
}

/// Reads the bytes of a batch.
pub fn read_batch(format: u32, bytes: &[u8]) -> Result<Batch, CodecError> {
    read(format, bytes)
}

/// The bytes of a notification that is new or was merged with what came later.
pub fn write_notification(news: &NotificationNews) -> Vec<u8> {
    write(news)
}

/// Reads the bytes of a notification.
pub fn read_notification(format: u32, bytes: &[u8]) -> Result<NotificationNews, CodecError> {
    read(format, bytes)
}

/// Tells whether bytes are those that were written, under the same key.
pub fn checksum(key: &[u8], format: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(&format.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

fn write(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("a vector takes all, and every value has its length")
}

fn read<T: DeserializeOwned>(format: u32, bytes: &[u8]) -> Result<T, CodecError> {
    match format {
        FORMAT => match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => Ok(value),
            Ok(_) | Err(_) => Err(CodecError::Malformed),
        },
        0 => Err(CodecError::Unknown(format)),
        newer => Err(CodecError::Newer(newer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_batch_and_half_of_it_is_none() {
        let bytes = write_batch(&Batch::default());
        assert!(read_batch(FORMAT, &bytes).unwrap().is_empty());
        assert_eq!(read_batch(FORMAT, &bytes[1..]).unwrap_err(), CodecError::Malformed);
        assert_eq!(read_batch(FORMAT, &[&bytes[..], &[0]].concat()).unwrap_err(), CodecError::Malformed);
        assert_eq!(read_batch(FORMAT + 1, &bytes).unwrap_err(), CodecError::Newer(FORMAT + 1));
        assert_eq!(read_batch(0, &bytes).unwrap_err(), CodecError::Unknown(0));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_batch_or_an_error(bytes: Vec<u8>) {
            drop(read_batch(FORMAT, &bytes));
            drop(read_notification(FORMAT, &bytes));
        }
    }
}
