//! Reads `WWW-Authenticate`: of all challenges of a server, the best `Digest` one that we can meet.

use actix_http::header::{HeaderMap, WWW_AUTHENTICATE};

/// A hash and how it is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Algorithm {
    /// As it is written in headers.
    pub(super) name: &'static str,
    /// SHA-256, else MD5.
    pub(super) sha256: bool,
    /// Whether the nonces are a part of the first hash.
    pub(super) session: bool,
}

/// Every algorithm, the best first.
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm { name: "SHA-256", sha256: true, session: false },
    Algorithm { name: "SHA-256-sess", sha256: true, session: true },
    Algorithm { name: "MD5", sha256: false, session: false },
    Algorithm { name: "MD5-sess", sha256: false, session: true },
];

/// A challenge that we can meet. Its texts are as they stood between their quotes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Challenge {
    pub(super) algorithm: Algorithm,
    pub(super) realm: String,
    pub(super) nonce: String,
    pub(super) opaque: Option<String>,
}

impl Challenge {
    /// The best one of an answer.
    pub(super) fn best(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).filter_map(|value| value.to_str().ok());
        let read: Vec<_> = values.flat_map(challenges).filter_map(Self::of).collect();
        let rank = |known: &Self| ALGORITHMS.iter().position(|algorithm| *algorithm == known.algorithm);
        read.into_iter().min_by_key(rank)
    }

    fn of((scheme, parms): (&str, Vec<(&str, &str)>)) -> Option<Self> {
        let get = |key: &str| {
            parms.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| *value)
        };
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let named = get("algorithm").unwrap_or("MD5");
        let algorithm = ALGORITHMS.into_iter().find(|known| known.name.eq_ignore_ascii_case(named))?;
        if !get("qop")?.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")) {
            return None;
        }
        let opaque = get("opaque").map(str::to_owned);
        Some(Self { algorithm, realm: get("realm")?.to_owned(), nonce: get("nonce")?.to_owned(), opaque })
    }
}

/// Takes a header apart: `Scheme key=value, key="value", Scheme …`.
fn challenges(text: &str) -> Vec<(&str, Vec<(&str, &str)>)> {
    let mut read: Vec<(&str, Vec<(&str, &str)>)> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            // Also what is no challenge at all: whatever was read before it still counts.
            return read;
        }
        let after = after.trim_start();
        let Some(value) = after.strip_prefix('=').map(str::trim_start) else {
            read.push((word, Vec::new()));
            rest = after;
            continue;
        };
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => match quoted_end(quoted) {
                Some(end) => (&quoted[..end], &quoted[end + 1..]),
                None => return read,
            },
            None => token(value),
        };
        if let Some((_, parms)) = read.last_mut() {
            parms.push((word, value));
        }
        // The padding of a `token68`, which other schemes have in place of parameters.
        rest = after.trim_start_matches('=');
    }
}

/// Splits behind a word.
fn token(text: &str) -> (&str, &str) {
    text.split_at(text.find([' ', '\t', ',', '=', '"']).unwrap_or(text.len()))
}

/// Where the closing quote is.
fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use actix_http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn best(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
        Challenge::best(&headers)
    }

    const REST: &str = r#"realm="r", nonce="n", qop="auth-int, auth""#;

    #[test]
    fn the_best_of_several_challenges_is_taken() {
        let md5 = format!("Digest algorithm=MD5, {REST}");
        let sha = format!("digest algorithm=sha-256-sess,{REST},opaque=\"a\\\"b, c\"");
        let unknown = format!("Digest algorithm=SHA-512-256, {REST}");
        for values in [
            vec![md5.as_str(), &sha],
            vec![&sha, &unknown, &md5],
            vec![&format!("Basic realm=\"x\", {md5}, {sha}")],
        ] {
            let found = best(&values).unwrap();
            assert_eq!((found.algorithm.name, found.opaque.as_deref()), ("SHA-256-sess", Some(r#"a\"b, c"#)));
        }
        assert_eq!(best(&[&format!("Negotiate abc==, Digest {REST}")]).unwrap().algorithm.name, "MD5");
    }

    #[test]
    fn what_cannot_be_met_is_none() {
        for value in [
            "",
            "Basic realm=\"r\"",
            "Digest",
            "Digest realm=\"r\", nonce=\"n\"",
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"",
            "Digest realm=\"r\", qop=auth",
            "Digest realm=\"r\", nonce=\"n, qop=auth",
            &format!("Digest algorithm=SHA-512-256, {REST}"),
        ] {
            assert_eq!(best(&[value]), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(text in "(Digest )?([a-z]+=\"?[a-z]*\"?[, ]*)*.*") {
            drop(best(&[&text]));
            drop(challenges(&text));
        }
    }
}
