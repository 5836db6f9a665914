//! What kinds of notifiers there are, and what one of them needs.

use std::process::ExitCode;

use serde_json::Value;

use super::{
    args::NoCommand,
    error::CliError,
    show::field,
    table::{self, Screen},
};

/// Shows all kinds, or the one that is named.
pub(super) fn show(kinds: &Value, words: &[String], json: bool) -> Result<ExitCode, CliError> {
    let screen = Screen::of_process();
    let (document, text) = match words {
        [] => (kinds, list(screen, kinds)),
        [name] => {
            let kind = all(kinds).find(|kind| field(kind, "kind").eq_ignore_ascii_case(name));
            let kind = kind.ok_or_else(|| CliError::NoKind(name.clone()))?;
            (kind, detail(screen, kind))
        }
        [_, further, ..] => {
            return Err(NoCommand::usage(&format!("Unrecognized argument: {further}")).into());
        }
    };
    super::print(&if json { super::pretty(document) } else { text })?;
    Ok(ExitCode::SUCCESS)
}

fn all(kinds: &Value) -> impl Iterator<Item = &Value> {
    kinds.as_array().into_iter().flatten()
}

fn list(screen: Screen, kinds: &Value) -> String {
    let row = |kind: &Value| {
        let required = all(&kind["params"]).filter(|param| param["required"] == true);
        let required: Vec<String> = required.map(|param| field(param, "name")).collect();
        vec![field(kind, "kind"), field(kind, "title"), field(&kind["address"], "about"), required.join(", ")]
    };
    table::list(screen, &["Kind", "Title", "Address", "Needed Parameters"], all(kinds).map(row))
}

fn detail(screen: Screen, kind: &Value) -> String {
    let text = |key: &str| kind[key].as_str().is_some_and(|text| !text.is_empty()).then(|| field(kind, key));
    let rows = [
        ("Kind", text("kind")),
        ("Title", text("title")),
        ("Documentation", text("docs")),
        ("Note", text("note")),
    ];
    let head = table::pairs(screen, rows.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let param = |name: String, param: &Value| {
        let needed = match (&param["required"], &param["default"]) {
            (Value::Bool(true), _) => "needed".to_owned(),
            (_, Value::String(_)) => field(param, "default"),
            _ => "-".to_owned(),
        };
        vec![name, needed, field(param, "secret"), field(param, "about")]
    };
    let address = std::iter::once(param("(address)".to_owned(), &kind["address"]));
    let params = all(&kind["params"]).map(|of| param(field(of, "name"), of));
    let header = ["Parameter", "If Unsaid", "Secret", "What"];
    head + &table::whole(screen, &header, address.chain(params))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_of_kinds_and_the_details_of_one() {
        let param = |name: &str, required, secret, default: Option<&str>| {
            json!({"name": name, "about": format!("what {name} is"), "required": required, "secret": secret,
                "default": default, "example": null})
        };
        let kinds = json!([{
            "kind": "PIGEON", "title": "Pigeon", "docs": "https://pigeon.example.org/api", "note": "",
            "address": param("loft", true, false, None),
            "params": [param("ring", true, true, None), param("speed", false, false, Some("fast")),
                param("colour", false, false, None)],
        }]);
        let screen = Screen { colours: false, width: None };
        insta::assert_snapshot!(format!("{}{}", list(screen, &kinds), detail(screen, &kinds[0])));
    }
}
