//! The statuses that a target's row expects.

use std::{fmt, ops::RangeInclusive, str::FromStr};

/// A set of HTTP statuses: `200`, `200-299`, `2xx`, or a list of these.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PassResult {
    ranges: Vec<RangeInclusive<u16>>,
    text: String,
}

/// Why a `pass_result` is not one.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum PassResultError {
    /// Nothing is expected.
    #[error(
        "is empty: write a status such as 200, a range such as 200-299, a class such as 2xx, or a list of these"
    )]
    Empty,
    /// An item is none of the forms.
    #[error("`{0}` is not a status (100 to 599), a range such as 200-299, or a class such as 2xx")]
    Item(String),
    /// A range runs backwards.
    #[error("`{0}` runs backwards")]
    Backwards(String),
}

impl PassResult {
    /// Whether `status` is one of the expected.
    pub fn expects(&self, status: u16) -> bool {
        self.ranges.iter().any(|range| range.contains(&status))
    }
}

impl fmt::Display for PassResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for PassResult {
    type Err = PassResultError;

    fn from_str(text: &str) -> Result<Self, PassResultError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(PassResultError::Empty);
        }
        let ranges = text.split(',').map(item).collect::<Result<_, _>>()?;
        Ok(Self { ranges, text: text.to_owned() })
    }
}

fn item(text: &str) -> Result<RangeInclusive<u16>, PassResultError> {
    let text = text.trim();
    let malformed = || PassResultError::Item(super::text::reason(text));
    if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
        let class = digits(class).filter(|class| (1..=5).contains(class)).ok_or_else(malformed)?;
        return Ok(class * 100..=class * 100 + 99);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let first = status(first).ok_or_else(malformed)?;
    let last = status(last).ok_or_else(malformed)?;
    if first > last {
        return Err(PassResultError::Backwards(text.to_owned()));
    }
    Ok(first..=last)
}

fn status(text: &str) -> Option<u16> {
    digits(text.trim()).filter(|status| (100..=599).contains(status))
}

/// A number without the sign that `u16::from_str` would allow.
fn digits(text: &str) -> Option<u16> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expects(text: &str, status: u16) -> bool {
        text.parse::<PassResult>().unwrap().expects(status)
    }

    #[test]
    fn statuses_ranges_classes_and_lists_are_read() {
        assert!(expects("200", 200) && !expects("200", 201));
        assert!(expects("200-299", 299) && !expects("200-299", 300));
        assert!(expects("2xx", 204) && !expects("2XX", 302));
        assert!(expects("200,204, 301-303", 302) && !expects("200,204,301-303", 304));
    }

    #[test]
    fn anything_else_says_what_is_allowed() {
        for text in ["ok", "99", "600", "2x", "6xx", "0xx", "-200", "+200", "200-", "200,,204", "1e2", "2ßxx"]
        {
            let error = text.parse::<PassResult>().unwrap_err();
            assert!(matches!(error, PassResultError::Item(_)), "{text}: {error}");
        }
        assert_eq!("".parse::<PassResult>().unwrap_err(), PassResultError::Empty);
        assert!(matches!("299-200".parse::<PassResult>(), Err(PassResultError::Backwards(_))));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            drop(text.parse::<PassResult>());
        }

        #[test]
        fn what_is_read_expects_statuses_alone_and_reads_the_same_again(text in "[1-6x,0 -]{0,12}") {
            if let Ok(read) = text.parse::<PassResult>() {
                proptest::prop_assert!((0..100).chain(600..=u16::MAX).all(|status| !read.expects(status)));
                proptest::prop_assert!((100..=599).any(|status| read.expects(status)));
                proptest::prop_assert_eq!(read.to_string().parse::<PassResult>(), Ok(read));
            }
        }
    }
}
