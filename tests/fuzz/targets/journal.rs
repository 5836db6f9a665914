//! Whatever bytes stand in the journal, they are a batch or a notification, or are refused; what was read is written
//! as it can be read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skypunch::journal::codec::{
    FORMAT, read_batch, read_notification, write_batch, write_notification,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(batch) = read_batch(FORMAT, bytes) {
        let again = read_batch(FORMAT, &write_batch(&batch)).expect("it was written just now");
        assert_eq!(format!("{again:?}"), format!("{batch:?}"));
    }
    if let Ok(news) = read_notification(FORMAT, bytes) {
        let again = read_notification(FORMAT, &write_notification(&news)).expect("it was written just now");
        assert_eq!(format!("{again:?}"), format!("{news:?}"));
    }
});
