//! Finds the row that is meant.

use std::collections::BTreeSet;

use serde::Deserialize;
use skypunch_actors::domain::text;

use super::protocol::RpcError;

/// How a row is named. Digits are an id where there is a row with that id, and a name where there is none.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected an id or a name")]
pub(super) enum Reference {
    Id(u64),
    Name(String),
}

/// Finds the one row that is meant.
pub(super) fn find<T>(
    what: &str,
    rows: Vec<T>,
    reference: &Reference,
    key: impl Fn(&T) -> (u64, &String),
) -> Result<T, RpcError> {
    let (id, name) = match reference {
        Reference::Id(id) => (Some(*id), id.to_string()),
        Reference::Name(name) => (name.parse().ok(), name.clone()),
    };
    let by_id = rows.iter().position(|row| Some(key(row).0) == id);
    let by_name = |row: &T| *key(row).1 == name;
    let found = match by_id {
        Some(at) => vec![at],
        None => (0..rows.len()).filter(|&at| by_name(&rows[at])).collect(),
    };
    match found[..] {
        [] => Err(RpcError::failed(format!("there is no {what} `{}`", text::cut(&name, 100)))),
        [at] => Ok(rows.into_iter().nth(at).expect("the position is one of these rows")),
        _ => {
            let ids: BTreeSet<_> = found.iter().map(|&at| key(&rows[at]).0).collect();
            let ids = ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            Err(RpcError::failed(format!(
                "{} {what}s are called `{}`: say which by its id ({ids})",
                found.len(),
                text::cut(&name, 100),
            )))
        }
    }
}
