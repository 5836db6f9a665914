//! The parameters of an auth or of a notifier: `key=value,key=value`, or a JSON object.

use std::collections::BTreeMap;

use super::{MASK, Secret, text::mask_userinfo};

/// Named parameters. Every value is taken for a secret.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Params(BTreeMap<String, Secret>);

/// Why a text is not parameters. Never shows the text, which may hold a secret.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParamsError {
    /// An item has no `=`.
    #[error("item {0} has no `=`: write key=value,key=value or a JSON object")]
    NoEquals(usize),
    /// An item has nothing before its `=`.
    #[error("item {0} has no key before its `=`")]
    NoKey(usize),
    /// A quoted value does not end, or goes on after its end.
    #[error("the quotes of `{0}` are not closed at the end of its value")]
    Quotes(String),
    /// A key stands twice.
    #[error("`{0}` is given twice")]
    Twice(String),
    /// It begins as JSON and is not.
    #[error("not a JSON object (line {line}, column {column})")]
    Json {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// A JSON value is neither text nor number nor boolean.
    #[error("`{0}` must be a text, a number or a boolean")]
    Value(String),
}

impl Params {
    /// Reads parameters; a blank text has none. Keys are matched without case.
    pub fn parse(text: &str) -> Result<Self, ParamsError> {
        let text = text.trim();
        if text.starts_with('{') { Self::parse_json(text) } else { Self::parse_pairs(text) }
    }

    /// The value of `key`, which is written in lower case here.
    pub fn get(&self, key: &str) -> Option<&Secret> {
        self.0.get(key)
    }

    /// Every key, in lower case.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Takes the value of each key that stands masked from `known`; or names those that it has not.
    pub fn unmasked_by(mut self, known: &Self) -> Result<Self, Vec<String>> {
        let mut unknown = Vec::new();
        for (key, value) in self.0.iter_mut().filter(|(_, value)| value.expose() == MASK) {
            match known.get(key) {
                Some(known) => *value = known.clone(),
                None => unknown.push(key.clone()),
            }
        }
        if unknown.is_empty() { Ok(self) } else { Err(unknown) }
    }

    /// The same parameters as the text of a column.
    pub fn to_text(&self) -> Secret {
        let pair = |(key, value): (&String, &Secret)| format!("{key}={}", quoted(value.expose()));
        Secret::new(self.0.iter().map(pair).collect::<Vec<_>>().join(","))
    }

    /// The same parameters as text for people: the values of `public` keys, and a mask for all others.
    pub fn masked(&self, public: &[&str]) -> String {
        let show = |key: &String, value: &Secret| {
            // A URL is public, and credentials in it are not.
            let shown = public.contains(&key.as_str()).then(|| mask_userinfo(value.expose()));
            format!("{key}={}", shown.as_deref().unwrap_or(MASK))
        };
        self.0.iter().map(|(key, value)| show(key, value)).collect::<Vec<_>>().join(",")
    }

    fn parse_json(text: &str) -> Result<Self, ParamsError> {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)
            .map_err(|e| ParamsError::Json { line: e.line(), column: e.column() })?;
        let mut params = Self::default();
        for (key, value) in object {
            let value = match value {
                serde_json::Value::String(text) => text,
                serde_json::Value::Number(number) => number.to_string(),
                serde_json::Value::Bool(truth) => truth.to_string(),
                _ => return Err(ParamsError::Value(key)),
            };
            params.insert(&key, value)?;
        }
        Ok(params)
    }

    fn parse_pairs(text: &str) -> Result<Self, ParamsError> {
        let mut params = Self::default();
        let mut rest = text;
        let mut item = 0;
        while !rest.trim().is_empty() {
            item += 1;
            let (key, after) = rest.split_once('=').ok_or(ParamsError::NoEquals(item))?;
            let key = key.trim();
            if key.contains(',') {
                return Err(ParamsError::NoEquals(item));
            }
            if key.is_empty() {
                return Err(ParamsError::NoKey(item));
            }
            let (value, behind) = match after.trim_start().strip_prefix('"') {
                Some(quoted) => unquote(quoted).ok_or_else(|| ParamsError::Quotes(key.to_owned()))?,
                None => {
                    let (value, behind) = after.split_once(',').unwrap_or((after, ""));
                    (value.trim().to_owned(), behind)
                }
            };
            params.insert(key, value)?;
            rest = behind;
        }
        Ok(params)
    }

    fn insert(&mut self, key: &str, value: String) -> Result<(), ParamsError> {
        match self.0.insert(key.trim().to_lowercase(), Secret::new(value)) {
            None => Ok(()),
            Some(_) => Err(ParamsError::Twice(key.to_owned())),
        }
    }
}

/// A value as it stands among others: in quotes where it would not be read as it is.
fn quoted(value: &str) -> std::borrow::Cow<'_, str> {
    if value.contains([',', '"']) || value.trim() != value {
        return format!("\"{}\"", value.replace('"', "\"\"")).into();
    }
    value.into()
}

/// Splits behind the closing quote and the comma after it. A quote inside is written twice, as in CSV.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = quoted;
    loop {
        let (before, after) = rest.split_once('"')?;
        value.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                value.push('"');
                rest = more;
            }
            None => {
                let after = after.trim_start();
                let behind = if after.is_empty() { after } else { after.strip_prefix(',')? };
                return Some((value, behind));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(text: &str, key: &str) -> Option<String> {
        Params::parse(text).unwrap().get(key).map(|value| value.expose().to_owned())
    }

    #[test]
    fn a_value_may_hold_equals_signs_and_quoted_commas() {
        let text = r#"user=bob, password="a,b=c""d", key=x=="#;
        assert_eq!(get(text, "user").unwrap(), "bob");
        assert_eq!(get(text, "password").unwrap(), r#"a,b=c"d"#);
        assert_eq!(get(text, "key").unwrap(), "x==");
    }

    #[test]
    fn a_json_object_says_the_same() {
        assert_eq!(get(r#"{"User":"bob","port":25,"tls":true}"#, "port").unwrap(), "25");
        assert_eq!(get(r#"{"User":"bob"}"#, "user").unwrap(), "bob");
    }

    #[test]
    fn faults_are_named_without_the_text() {
        let error = |text| Params::parse(text).unwrap_err();
        assert_eq!(error("hunter2"), ParamsError::NoEquals(1));
        assert_eq!(error("user=bob,hunter2,x=y"), ParamsError::NoEquals(2));
        assert_eq!(error("=hunter2"), ParamsError::NoKey(1));
        assert_eq!(error("user=a,USER=b"), ParamsError::Twice("USER".into()));
        assert_eq!(error(r#"password="hunter2"#), ParamsError::Quotes("password".into()));
        assert!(!error(r#"{"password":"hunter2""#).to_string().contains("hunter2"));
    }

    #[test]
    fn a_blank_text_has_no_parameters() {
        assert_eq!(Params::parse("  "), Ok(Params::default()));
    }

    #[test]
    fn what_is_masked_is_taken_from_what_is_known() {
        let known = Params::parse("user=bob,password=hunter2").unwrap();
        let given = |text: &str| Params::parse(text).unwrap().unmasked_by(&known);
        assert_eq!(given("user=eve,password=***").unwrap().to_text().expose(), "password=hunter2,user=eve");
        assert_eq!(given("user=bob,password=***").unwrap(), known);
        assert_eq!(given("token=***,key=***,password=***").unwrap_err(), ["key", "token"]);
        assert_eq!(given("user=eve").unwrap().to_text().expose(), "user=eve");
    }

    #[test]
    fn only_public_values_are_shown() {
        let params = Params::parse("server=mail,password=hunter2").unwrap();
        assert_eq!(params.masked(&["server"]), "password=***,server=mail");
        let params = Params::parse("endpoint=https://bob:hunter2@mail/").unwrap();
        assert_eq!(params.masked(&["endpoint"]), "endpoint=https://***@mail/");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            drop(Params::parse(&text));
        }

        #[test]
        fn what_is_quoted_is_read_as_it_was_and_masked(value: String) {
            let quoted = format!("user=bob, password=\"{}\"", value.replace('"', "\"\""));
            proptest::prop_assert_eq!(get(&quoted, "password").unwrap(), value.clone());
            let json = serde_json::json!({ "user": "bob", "password": value }).to_string();
            proptest::prop_assert_eq!(get(&json, "password").unwrap(), value.clone());
            let again = Params::parse(&json).unwrap().to_text();
            proptest::prop_assert_eq!(get(again.expose(), "password").unwrap(), value);
            let masked = Params::parse(&json).unwrap().masked(&["user"]);
            proptest::prop_assert_eq!(masked, "password=***,user=bob");
        }
    }
}
