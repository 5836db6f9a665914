//! Every file of `conf/sinks/`: that it is compiled in, and what it makes of each event.

use std::{collections::BTreeSet, fs, path::Path};

use percent_encoding::percent_decode_str;
use serde_json::Value;
use skypunch_actors::domain::Secret;

use super::{
    Catalogue,
    fault::FileFault,
    kind::{Kind, Transport},
    recipe::{Draft, Recipe, Values},
};
use crate::sink::{
    ParamManual,
    facts::{EVENTS, Facts},
};

/// How a kind whose texts can call people keeps that from happening.
enum Guard {
    /// No text holds an `@` that calls somebody.
    Text,
    /// The same, but for the title, from which nobody is called.
    Body,
    /// No text holds a tag that calls somebody; an `@` does nothing.
    Tags,
    /// No text holds the one or the other.
    Both,
    /// A field says that nobody is called, whatever the texts are.
    Field(&'static str, &'static str),
    /// Nobody is called by a plain text, which this is.
    Plain,
}

const CALLING: [(&str, Guard); 15] = [
    ("DINGTALK", Guard::Field("/at/isAtAll", "false")),
    ("DISCORD", Guard::Field("/allowed_mentions/parse", "[]")),
    ("FEISHU", Guard::Tags),
    ("GITHUB", Guard::Body),
    ("GITLAB", Guard::Body),
    ("GOOGLECHAT", Guard::Both),
    ("MASTODON", Guard::Text),
    ("MATRIX", Guard::Field("/m.mentions", "{}")),
    ("MATTERMOST", Guard::Text),
    ("ROCKETCHAT", Guard::Text),
    ("SLACK", Guard::Tags),
    ("TELEGRAM", Guard::Text),
    ("WEBEX", Guard::Plain),
    ("WECOM", Guard::Both),
    ("ZULIP", Guard::Text),
];

fn recipe(kind: &Kind) -> Option<&Recipe> {
    match &kind.transport {
        Transport::Http(recipe) => Some(recipe),
        Transport::Smtp(_) => None,
    }
}

/// The parameters as the file's examples have them.
fn samples(kind: &Kind) -> Values {
    let manual = kind.manual();
    let params = manual.params.iter().chain([&manual.address]);
    let sample = |param: &ParamManual| param.example.clone().or_else(|| param.default.clone());
    params.map(|param| (param.name.clone(), sample(param).unwrap_or_default())).collect()
}

fn written(draft: &Draft) -> String {
    let headers = draft.headers.iter();
    let headers: BTreeSet<String> =
        headers.map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect();
    let headers: String = headers.into_iter().collect();
    let body = match serde_json::from_str::<Value>(&draft.body) {
        Ok(json) => format!("{json:#}"),
        Err(_) => draft.body.replace('&', "\n&"),
    };
    format!("{} {}\n{headers}{body}\n", draft.method, draft.endpoint.url())
}

#[test]
fn every_file_is_compiled_in_and_no_other() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/sinks");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let files: BTreeSet<String> =
        files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_uppercase()).collect();
    let compiled_in = Catalogue::compiled_in();
    assert_eq!(compiled_in.names().map(str::to_owned).collect::<BTreeSet<_>>(), files);
}

#[test]
fn every_file_is_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/sinks");
    if let Err(error) = Catalogue::compiled_in().with_folder(&folder, &[]) {
        panic!("{error}");
    }
}

#[test]
fn the_requests_of_each_kind() {
    let catalogue = Catalogue::compiled_in();
    for name in catalogue.names() {
        let kind = catalogue.find(name).unwrap();
        let values = samples(&kind);
        let Some(recipe) = recipe(&kind) else {
            let given = values.iter().map(|(name, value)| (name.clone(), Secret::new(value))).collect();
            let smtp = kind.smtp_params(&given).unwrap();
            let public: Vec<&str> = crate::sink::smtp::KEYS.to_vec();
            insta::assert_snapshot!(name.to_lowercase(), smtp.masked(&public));
            continue;
        };
        let mut text = String::new();
        for event in EVENTS {
            let facts = Facts::example(event);
            let question = recipe.question(&facts, &values).map(Result::unwrap);
            let found: &[&str] = if question.is_some() { &["", "7"] } else { &[""] };
            if let Some((draft, path)) = question {
                text += &format!("--- {event} asks for {path}\n{}", written(&draft));
            }
            for found in found {
                let told = if found.is_empty() { String::new() } else { format!(", {found} found") };
                let draft = recipe.draft(&facts, &values, found).unwrap();
                text += &format!("--- {event}{told}\n{}", written(&draft));
            }
        }
        insta::assert_snapshot!(name.to_lowercase(), text);
    }
}

#[test]
fn no_foreign_text_calls_anybody() {
    let catalogue = Catalogue::compiled_in();
    for (name, guard) in CALLING {
        let kind = catalogue.find(name).unwrap();
        let recipe = recipe(&kind).unwrap();
        for event in EVENTS {
            let mut facts = Facts::example(event);
            let calls =
                "<!channel> <users/all> @all @channel @room <@all> <at user_id=\"all\"></at> @**all**";
            facts.title += calls;
            facts.text = calls.to_owned();
            facts.message = format!("{}\n{calls}", facts.title);
            let draft = recipe.draft(&facts, &samples(&kind), "").unwrap();
            let text = match serde_json::from_str::<Value>(&draft.body) {
                Ok(mut body) => {
                    match guard {
                        Guard::Field(path, value) => {
                            assert_eq!(body.pointer(path).unwrap().to_string(), value, "{name}");
                        }
                        Guard::Plain => assert!(body.get("markdown").is_none(), "{name}"),
                        Guard::Body => body["title"] = Value::Null,
                        Guard::Text | Guard::Tags | Guard::Both => {}
                    }
                    body.to_string()
                }
                Err(_) => percent_decode_str(&draft.body).decode_utf8().unwrap().into_owned(),
            };
            let calls = ["@all", "@channel", "@here", "@everyone", "@room", "@**"];
            let tags = ["<!", "<users", "<@", "<at "];
            let (calls, tags) = match guard {
                Guard::Text | Guard::Body => (&calls[..], &[][..]),
                Guard::Tags => (&[][..], &tags[..]),
                Guard::Both => (&calls[..], &tags[..]),
                Guard::Field(..) | Guard::Plain => (&[][..], &[][..]),
            };
            for call in calls.iter().chain(tags) {
                assert!(!text.contains(call), "{name} calls with {call}: {text}");
            }
        }
    }
}

#[test]
fn what_is_longer_than_the_receiver_takes_is_cut() {
    let catalogue = Catalogue::compiled_in();
    for name in catalogue.names() {
        let kind = catalogue.find(name).unwrap();
        let Some(recipe) = recipe(&kind).filter(|recipe| recipe.limits.text.is_some_and(|max| max < 9_000))
        else {
            continue;
        };
        let mut facts = Facts::example("FAIL");
        let long = "<&@*\"🔥".repeat(1_500);
        (facts.title, facts.text, facts.message) = (long.clone(), long.clone(), long);
        let body = recipe.draft(&facts, &samples(&kind), "").unwrap().body;
        assert!(body.contains('…') || body.contains("%E2%80%A6"), "{name}: {body}");
    }
}

fn faults(source: &str) -> Vec<String> {
    let found = Kind::read("pigeon.toml", "pigeon", source).err().unwrap_or_default();
    found.iter().map(FileFault::to_string).collect()
}

const PIGEON: &str = r#"kind = "PIGEON"
title = "Pigeon"
docs = "https://pigeon.example.org/"
address = "loft"
[params.loft]
about = "where it lives"
form = "base"
required = true
example = "https://pigeon.example.org"
[words]
act = { FAIL = "fly", RECOVERY = "rest", REMINDER = "fly", TEST = "coo" }
[request]
url = "{{ params.loft }}/fly"
body = '''
{"text": "{{ message }}",
 "act": "{{ word.act }}"}
'''
[answer]
delivered = "200"
field = "$.landed"
delivered_if = [true]
[[examples]]
status = 200
body = '{"landed": true}'
is = "delivered"
"#;

#[test]
fn each_way_to_be_wrong_is_named_with_its_line() {
    assert_eq!(faults(PIGEON), [""; 0]);
    for (from, to, told) in [
        ("title =", "titel =", "line 2: unknown field `titel`"),
        ("title = \"Pigeon\"\n", "", "missing field `title`"),
        ("\"PIGEON\"", "\"Dove\"", "line 1: `kind` must be the name of its file in capitals"),
        ("address = \"loft\"", "address = \"home\"", "line 4: `address` must name one of the parameters"),
        ("[params.loft]", "[params.Loft]", "line 5: the name of a parameter is made of small letters"),
        ("example = \"https://pigeon.example.org\"\n", "", "line 5: what is required needs an `example`"),
        ("TEST = \"coo\"", "TESTS = \"coo\"", "line 11: `words.act` needs a word for each of FAIL"),
        ("{{ params.loft }}/fly", "{{ params.loft }/fly", "line 13: `url`: syntax error"),
        ("\"https://pigeon.example.org\"", "\"x\"", "line 13: of FAIL: the URL is not an absolute URL"),
        ("{{ word.act }}", "{{ word.acts }}", "line 16: `body`: "),
        ("{{ word.act }}\"}", "{{ word.act }}\"", "line 14: of FAIL: the body is not JSON"),
        ("body = '''", "method = \"{{ title }}\"\nbody = '''", "line 14: of FAIL: the method is none"),
        ("body = '''", "headers = { \"a b\" = \"c\" }\nbody = '''", "line 14: this is no name of a header"),
        (
            "body = '''",
            "headers = { x = \"{{ text }}\" }\nbody = '''",
            "line 14: of FAIL: the header x cannot",
        ),
        ("\"200\"", "\"2000\"", "line 19: answer: `delivered` `2000` is not a status"),
        ("$.landed", "landed", "line 20: `field` is not a JSONPath"),
        ("delivered_if = [true]\n", "", "line 20: answer: `field` needs a list `delivered_if`"),
        ("is = \"delivered\"", "is = \"refused\"", "line 22: the example of 200 is judged Delivered"),
        ("[request]", "[smtp]\nserver = \"x\"\n[request]", "line 1: either [request] or [smtp] is needed"),
    ] {
        assert!(PIGEON.contains(from), "{from}");
        let faults = faults(&PIGEON.replace(from, to));
        assert!(faults.iter().any(|fault| fault.contains(told)), "{told}: {faults:?}");
        assert!(faults.iter().all(|fault| fault.starts_with("pigeon.toml, line ")), "{faults:?}");
    }
}

#[test]
fn the_reference_knows_every_key_of_a_file_and_its_example_is_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/notifiers.md");
    let reference = fs::read_to_string(path).unwrap();
    let (_, of_own) = reference.split_once("\n## Kinds of your own\n").unwrap();
    let (_, example) = of_own.split_once("```toml\n").unwrap();
    let (example, keys) = example.split_once("```\n").unwrap();
    assert_eq!(faults(example), [""; 0]);
    for section in ["kind =", "[params.loft]", "[request]", "[find]", "[answer]", "[limits]", "[[examples]]"]
    {
        let nonsense = match section {
            "kind =" => format!("nonsense = 1\n{PIGEON}"),
            "[find]" | "[limits]" => format!("{PIGEON}{section}\nnonsense = 1\n"),
            _ => PIGEON.replacen(section, &format!("{section}\nnonsense = 1"), 1),
        };
        let told = faults(&nonsense).concat();
        let (_, known) = told.split_once("expected ").unwrap_or_else(|| panic!("{section}: {told}"));
        for key in known.split('`').skip(1).step_by(2) {
            assert!(keys.contains(&format!("`{key}`")) || keys.contains(&format!("`{key}.NAME`")), "{key}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_kind_or_has_faults(from in 0usize..700, to in 0usize..700, text in "[a-z={}\"'\\[\\]\n]{0,9}") {
        let mut source = PIGEON.to_owned();
        let from = from.min(source.len());
        source.replace_range(from..to.clamp(from, source.len()), &text);
        drop(faults(&source));
    }
}
