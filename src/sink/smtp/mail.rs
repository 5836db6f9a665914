//! An alert as a mail.

use std::time::SystemTime;

use lettre::message::{
    MultiPart,
    header::{self, HeaderName, HeaderValue},
};
use skypunch_actors::domain::Notification;

use super::config::SmtpConfig;
use crate::sink::{message::Message, own::Own};

/// Writes the mail, byte for byte the same at each attempt but for the border of its parts.
pub(super) fn compose(notification: &Notification, config: &SmtpConfig, own: &Own) -> Vec<u8> {
    let alert = &notification.alert;
    let Message { subject, text, html } = Message::of(notification, own);
    let id = format!("<{}@{}>", notification.id, config.from.email.domain());
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    lettre::Message::builder()
        .message_id(Some(id))
        .date(SystemTime::from(alert.at))
        .from(config.from.clone())
        .mailbox(header::To::from(config.to.clone()))
        .subject(subject)
        // Keeps holiday answers and mailing lists from replying.
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        .multipart(MultiPart::alternative_plain_html(text, html))
        .expect("it has a sender and a recipient")
        .formatted()
}
