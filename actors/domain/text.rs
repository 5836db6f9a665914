//! Makes foreign text fit for a line: escaped, cut, and without credentials.

use std::{borrow::Cow, fmt::Write};

use super::MASK;

/// The longest reason that is kept, in characters.
pub const REASON_MAX: usize = 512;

/// Escapes control characters, so that a foreign text cannot forge a line or steer a terminal.
pub fn escape_controls(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unprintable(c) {
            // Writing into a String cannot fail.
            write!(escaped, "{}", c.escape_default()).expect("a String takes all");
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Control characters, line separators, and the marks that reorder a line on a terminal.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// Cuts `text` to `max` characters, the last of which is then `…`.
pub fn cut(text: &str, max: usize) -> Cow<'_, str> {
    // Bytes bound the characters from above, and are free to count.
    if text.len() <= max || text.chars().nth(max).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(max.saturating_sub(1)).chain(['…']).collect())
}

/// A reason as it is stored and shown: one printable line of at most [`REASON_MAX`] characters.
pub fn reason(text: &str) -> String {
    // Cut first, so that an endless text is not escaped in full; and again, since escapes are longer.
    let cut_before = cut(text, REASON_MAX);
    cut(&escape_controls(&cut_before), REASON_MAX).into_owned()
}

/// An error with everything that led to it: `the database is not available: connection refused`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    let links = std::iter::once(error.to_string()).chain(sources.map(ToString::to_string));
    // Some libraries repeat their source in their own text, or their own text.
    let mut parts: Vec<String> = Vec::new();
    for part in links.flat_map(|link| link.split(": ").map(str::to_owned).collect::<Vec<_>>()) {
        if !part.is_empty() && !parts.contains(&part) {
            parts.push(part);
        }
    }
    reason(&parts.join(": "))
}

/// Replaces the userinfo of a URL (`https://user:password@host/`), which is a secret.
pub fn mask_userinfo(url: &str) -> Cow<'_, str> {
    let Some(start) = url.find("://").map(|at| at + 3) else {
        return Cow::Borrowed(url);
    };
    let end = url[start..].find(['/', '?', '#', '\\']).map_or(url.len(), |at| start + at);
    let authority = &url[start..end];
    // A raw `/` in a password ends the authority too soon; what stands for a port gives it away.
    let torn = authority.split_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_err());
    let at = authority.rfind('@').or_else(|| if torn { url[start..].rfind('@') } else { None });
    match at {
        Some(at) => Cow::Owned(format!("{}{MASK}{}", &url[..start], &url[start + at..])),
        None => Cow::Borrowed(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_a_line() {
        let forged = "home\n2026-01-01 ERROR \u{1b}[31m\u{202e}";
        assert_eq!(escape_controls(forged), r"home\n2026-01-01 ERROR \u{1b}[31m\u{202e}");
        assert_eq!(escape_controls("Zürich 東京"), "Zürich 東京");
    }

    #[test]
    fn a_reason_is_cut_on_a_character() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(reason(&"\n".repeat(5_000_000)).chars().count(), REASON_MAX);
    }

    #[test]
    fn a_chain_says_nothing_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("input/output error: input/output error: connection refused")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("connection refused"));
        assert_eq!(chain(&error), "input/output error: connection refused");
    }

    #[test]
    fn userinfo_is_masked() {
        assert_eq!(mask_userinfo("https://u:p@h/x@y"), "https://***@h/x@y");
        assert_eq!(mask_userinfo("https://u@h"), "https://***@h");
        assert_eq!(mask_userinfo("https://h/a@b"), "https://h/a@b");
        assert_eq!(mask_userinfo("https://u:p/w@h/x"), "https://***@h/x");
        assert_eq!(mask_userinfo("http://h:80/a@b"), "http://h:80/a@b");
        assert_eq!(mask_userinfo("nonsense"), "nonsense");
    }
}
