//! Makes foreign text fit for what a receiver takes for text: escaped, and no longer than it may be.

use std::borrow::Cow;

use serde::Deserialize;

/// Follows an `@` or a `<`, so that it calls nobody: invisible, and no part of a name.
const BREAK: char = '\u{200b}';

/// What a receiver makes of special characters.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Escape {
    /// HTML, in text and in attributes.
    Html,
    /// The markup of Slack, where `<!channel>` calls everybody.
    Slack,
    /// Markdown, whatever its dialect.
    Markdown,
    /// `@name` calls somebody.
    Mentions,
    /// `<users/all>` calls somebody, and nothing escapes the bracket.
    Tags,
}

/// In what a limit is counted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    #[default]
    Characters,
    Bytes,
    Utf16,
}

impl Unit {
    fn measure(self, text: &str) -> usize {
        match self {
            Self::Characters => text.chars().count(),
            Self::Bytes => text.len(),
            Self::Utf16 => text.encode_utf16().count(),
        }
    }
}

/// How texts are written for one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Style {
    pub escape: Vec<Escape>,
    /// What ends a line, if not a line break.
    pub newline: Option<String>,
    pub unit: Unit,
}

impl Style {
    /// Escapes a text.
    pub fn write(&self, text: &str) -> String {
        self.pieces(text).collect()
    }

    /// Escapes a text and cuts it, escaped, to `max`: its beginning stays, and no escape is split.
    pub fn fit(&self, text: &str, max: Option<usize>) -> String {
        let whole = self.write(text);
        let Some(max) = max.filter(|max| self.unit.measure(&whole) > *max) else {
            return whole;
        };
        let mut room = max.saturating_sub(self.unit.measure("…"));
        let fits = |piece: &Cow<'_, str>| {
            let length = self.unit.measure(piece);
            let fits = length <= room;
            room = room.saturating_sub(length);
            fits
        };
        let mut cut: String = self.pieces(text).take_while(fits).collect();
        cut.push('…');
        cut
    }

    /// One escaped piece a character.
    fn pieces<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        let mut in_url = false;
        let mut at_start = true;
        text.char_indices().map(move |(at, c)| {
            let here = &text[at..at + c.len_utf8()];
            if at_start && ["http://", "https://"].iter().any(|scheme| text[at..].starts_with(scheme)) {
                in_url = true;
            }
            at_start = !c.is_alphanumeric();
            in_url &= !c.is_whitespace();
            self.piece(c, here, in_url)
        })
    }

    fn piece<'a>(&'a self, c: char, here: &'a str, in_url: bool) -> Cow<'a, str> {
        if let ('\n', Some(newline)) = (c, &self.newline) {
            return Cow::Borrowed(newline);
        }
        let has = |escape| self.escape.contains(&escape);
        if has(Escape::Markdown) && in_url {
            // A backslash would become part of the link.
            if let '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' | '\\' | '@' = c {
                return Cow::Owned(format!("%{:02X}", u32::from(c)));
            }
            return Cow::Borrowed(here);
        }
        if (has(Escape::Mentions) && matches!(c, '@' | '＠')) || (has(Escape::Tags) && c == '<') {
            return Cow::Owned(format!("{c}{BREAK}"));
        }
        let html = has(Escape::Html);
        Cow::Borrowed(match c {
            '&' if html || has(Escape::Slack) => "&amp;",
            '<' if html || has(Escape::Slack) => "&lt;",
            '>' if html || has(Escape::Slack) => "&gt;",
            '"' if html => "&quot;",
            '\'' if html => "&#39;",
            '\\' | '`' | '*' | '_' | '~' | '[' | ']' | '<' | '>' | '#' | '|' | '&' | '!'
                if has(Escape::Markdown) =>
            {
                return Cow::Owned(format!("\\{c}"));
            }
            _ => here,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn style(escape: &[Escape], unit: Unit) -> Style {
        Style { escape: escape.to_vec(), newline: None, unit }
    }

    #[test]
    fn each_receiver_gets_its_own_escapes() {
        let written = |escape: &[Escape]| style(escape, Unit::Characters).write("<!all> & @you *b*");
        assert_eq!(written(&[]), "<!all> & @you *b*");
        assert_eq!(written(&[Escape::Html]), "&lt;!all&gt; &amp; @you *b*");
        assert_eq!(written(&[Escape::Slack]), "&lt;!all&gt; &amp; @you *b*");
        assert_eq!(written(&[Escape::Markdown]), r"\<\!all\> \& @you \*b\*");
        assert_eq!(written(&[Escape::Mentions]), "<!all> & @\u{200b}you *b*");
        assert_eq!(written(&[Escape::Tags]), "<\u{200b}!all> & @you *b*");
        assert_eq!(written(&[Escape::Markdown, Escape::Mentions]), "\\<\\!all\\> \\& @\u{200b}you \\*b\\*");
    }

    #[test]
    fn a_link_stays_one() {
        let markdown = style(&[Escape::Markdown, Escape::Mentions], Unit::Characters);
        assert_eq!(
            markdown.write("see (https://h/a_b?c=d&e=*f@g#h) _i_"),
            r"see (https://h/a_b?c=d&e=%2Af%40g#h) \_i\_"
        );
    }

    #[test]
    fn a_line_ends_as_the_receiver_wants_it() {
        let html = Style { newline: Some("<br>".to_owned()), ..style(&[Escape::Html], Unit::Characters) };
        assert_eq!(html.write("a<\nb"), "a&lt;<br>b");
    }

    #[test]
    fn a_cut_keeps_the_beginning_and_splits_no_escape() {
        let html = style(&[Escape::Html], Unit::Characters);
        assert_eq!(html.fit("ab&cd", Some(9)), "ab&amp;cd");
        assert_eq!(html.fit("ab&cde", Some(9)), "ab&amp;c…");
        assert_eq!(html.fit("ab&cde", Some(7)), "ab…");
        assert_eq!(style(&[], Unit::Bytes).fit("äöü", Some(5)), "ä…");
        assert_eq!(style(&[], Unit::Utf16).fit("🔥🔥🔥", Some(5)), "🔥🔥…");
        assert_eq!(style(&[], Unit::Characters).fit("🔥🔥🔥", Some(3)), "🔥🔥🔥");
    }

    proptest! {
        #[test]
        fn whatever_is_cut_fits(text: String, max in 3usize..50, markdown: bool) {
            let escape: &[Escape] = if markdown { &[Escape::Markdown, Escape::Mentions] } else { &[Escape::Html] };
            for unit in [Unit::Characters, Unit::Bytes, Unit::Utf16] {
                let style = style(escape, unit);
                let cut = style.fit(&text, Some(max));
                prop_assert!(unit.measure(&cut) <= max);
                let kept = cut.strip_suffix('…').unwrap_or(&cut);
                prop_assert!(style.write(&text).starts_with(kept));
            }
        }
    }
}
