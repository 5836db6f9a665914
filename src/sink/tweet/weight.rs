//! How long a tweet is: by the published rules of X, <https://docs.x.com/fundamentals/counting-characters>,
//! with the configuration v3 of its library twitter-text.
//!
//! # Design notes
//!
//! - 2026-11: the crate `twitter-text` does the same, and needs a C++ compiler and five parser generators for it.
//!   Where its list of top-level domains or its table of emoji decides, this counts the more: a tweet may be
//!   shorter than it could be, and never too long.

use std::sync::LazyLock;

use regex::Regex;

/// The most that a tweet may weigh.
pub(super) const MAX: usize = 280;
/// What a link weighs, however long it is.
const LINK: usize = 23;

/// The top-level domains that X certainly knows, beside those of two letters.
const DOMAINS: [&str; 12] =
    ["app", "biz", "com", "dev", "edu", "gov", "info", "int", "io", "mil", "net", "org"];

/// What X may take for a link.
static LINKS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)https?://\S+|(?:[\w-]+\.)+\pL{2,}\S*").expect("a constant is tried by the tests")
});

/// What a text weighs.
pub(super) fn weigh(text: &str) -> usize {
    let mut weight = 0;
    let mut counted = 0;
    for found in LINKS.find_iter(text) {
        weight += plain(&text[counted..found.start()]);
        weight += match link(found.as_str()).filter(|_| begins_a_word(text, found.start())) {
            Some(length) => LINK + plain(&found.as_str()[length..]),
            None => plain(found.as_str()).max(LINK),
        };
        counted = found.end();
    }
    weight + plain(&text[counted..])
}

/// Links begin after what is no part of a word.
fn begins_a_word(text: &str, at: usize) -> bool {
    text[..at].chars().next_back().is_none_or(|before| before.is_whitespace() || before == '(')
}

/// How long the link is that certainly stands at the beginning of a text.
fn link(text: &str) -> Option<usize> {
    let behind = text.split_once("://")?.1;
    let host_end = behind.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-'));
    let (host, mut rest) = behind.split_at(host_end.unwrap_or(behind.len()));
    // A letter of another script may belong to the host.
    if rest.starts_with(|c: char| !c.is_ascii() || c == '_' || c == '@') {
        return None;
    }
    let host = host.trim_end_matches('.');
    let mut labels = host.rsplit('.');
    let domain = labels.next().unwrap_or_default().to_ascii_lowercase();
    let known = domain.len() == 2 && domain.bytes().all(|c| c.is_ascii_lowercase());
    let sound = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    if !(known || DOMAINS.contains(&domain.as_str())) || host == domain || !labels.all(sound) {
        return None;
    }
    let mut length = text.len() - behind.len() + host.len();
    if host.len() < host_end.unwrap_or(behind.len()) {
        return Some(length);
    }
    if let Some(port) = rest.strip_prefix(':') {
        let digits = port.len() - port.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        rest = &port[digits..];
        length += if digits > 0 { 1 + digits } else { return Some(length) };
    }
    if rest.starts_with('/') {
        let of_path = |c: char| c.is_ascii_alphanumeric() || "/_.%=&?+~#-".contains(c);
        let path = &rest[..rest.find(|c| !of_path(c)).unwrap_or(rest.len())];
        length += path.trim_end_matches(['.', '%', '?', '~']).len();
    }
    Some(length)
}

/// What a text weighs in which there are no links.
fn plain(text: &str) -> usize {
    text.chars().map(|c| if is_light(c) { 1 } else { 2 }).sum()
}

/// The ranges of weight 100 of the configuration; all else has 200.
fn is_light(c: char) -> bool {
    matches!(u32::from(c), 0..=4351 | 8192..=8205 | 8208..=8223 | 8242..=8247)
}

/// Cuts `text` so that `write` makes a tweet of it that is no longer than it may be; its beginning stays.
pub(super) fn fit(text: &str, write: impl Fn(&str) -> String) -> String {
    let whole = write(text);
    let mut over = weigh(&whole).saturating_sub(MAX);
    if over == 0 {
        return whole;
    }
    let mut kept = text.chars().count();
    loop {
        // No character weighs more than two. The `…` does weigh that.
        kept = kept.saturating_sub(over.div_ceil(2));
        let cut: String = text.chars().take(kept).chain(['…']).collect();
        let written = write(&cut);
        over = weigh(&written).saturating_sub(MAX);
        if over == 0 || kept == 0 {
            return written;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn characters_weigh_what_the_rules_say() {
        for (text, weight) in [
            ("", 0),
            ("FAIL home", 9),
            ("Zürich", 6),
            ("東京", 4),
            ("🔥", 2),
            ("a\u{200b}b", 3),
            ("“quoted”", 8),
            ("…", 2),
        ] {
            assert_eq!(weigh(text), weight, "{text}");
        }
    }

    #[test]
    fn a_link_weighs_23_however_long_it_is() {
        let long = format!("https://www.example.org:8443/{}", "a/b_c".repeat(50));
        assert_eq!(weigh(&long), 23);
        assert_eq!(weigh(&format!("see ({long}).")), 5 + 23 + 2);
        assert_eq!(weigh("http://t.co and https://example.com/?a=b#c"), 23 + 5 + 23);
        // Whatever may be a link weighs no less than one.
        assert_eq!(weigh("example.org"), 23);
        assert_eq!(weigh("http://localhost:81/"), 23);
        // And what may be none weighs what it is.
        assert_eq!(weigh(&format!("https://nova.internal/{}", "x".repeat(100))), 122);
        assert_eq!(weigh(&format!("xhttps://example.org/{}", "x".repeat(100))), 121);
        assert_eq!(weigh("https://example.org/東京"), 23 + 4);
        assert_eq!(weigh("https://example.org."), 23 + 1);
        for host in
            ["name-of-some-length.aa.internal", "name-of-some-length.co-op.internal", "name.of.length.aa東京"]
        {
            let url = format!("https://{host}/");
            assert_eq!(weigh(&url), plain(&url), "{url}");
        }
    }

    #[test]
    fn a_cut_keeps_the_beginning() {
        let write = |reason: &str| format!("FAIL home: {reason} (12:00)");
        assert_eq!(fit("short", write), "FAIL home: short (12:00)");
        let tweet = fit(&"é".repeat(400), write);
        assert!(tweet.starts_with("FAIL home: ééé") && tweet.ends_with("é… (12:00)"), "{tweet}");
        assert_eq!(weigh(&tweet), MAX);
        let wide = fit(&"京".repeat(400), write);
        assert!((MAX - 1..=MAX).contains(&weigh(&wide)), "{}", weigh(&wide));
    }

    proptest! {
        #[test]
        fn whatever_is_cut_fits(
            words in prop::collection::vec("\\PC{0,30}|https?://[a-z0-9.:/-]{0,60}|[a-z]{1,9}\\.[a-z]{2,4}", 0..40)
        ) {
            let text = words.join(" ");
            let tweet = fit(&text, |text| format!("FAIL: {text} (12:00)"));
            prop_assert!(weigh(&tweet) <= MAX);
            let kept = tweet.strip_prefix("FAIL: ").unwrap().strip_suffix(" (12:00)").unwrap();
            prop_assert!(text.starts_with(kept.strip_suffix('…').unwrap_or(kept)));
        }
    }
}
