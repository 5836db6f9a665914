//! Whatever stands in the columns of a row is a target or is refused.
//!
//! An input has a column a line: method, authn, authn_parms, pass_result, url, and the rest options.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use skypunch::{net::Client, probe::Probers};
use skypunch_actors::{
    domain::{Secret, TargetDefinition, TargetId},
    port::plan_probe,
};

static PROBERS: LazyLock<Probers> =
    LazyLock::new(|| Probers::new("skypunch/fuzz", Client::new(&[])).expect("it is fit for a header"));

fuzz_target!(|text: &str| {
    let mut columns = text.splitn(6, '\n');
    let mut next = || columns.next().unwrap_or_default().to_owned();
    let definition = TargetDefinition {
        method: next(),
        authn: next(),
        authn_parms: Some(Secret::new(next())),
        pass_result: next(),
        url: Secret::new(next()),
        options: Some(Secret::new(next())),
        ..TargetDefinition::new("home", "")
    };
    drop(plan_probe(&*PROBERS, TargetId(1), &definition));
});
