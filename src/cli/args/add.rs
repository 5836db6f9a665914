//! What can be said of a new row.

use argh::FromArgs;

use super::whole_number;

/// Add a target or a notifier.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "add")]
pub struct Add {
    #[argh(subcommand)]
    pub what: New,
}

#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand)]
pub enum New {
    Target(NewTarget),
    Notifier(NewNotifier),
}

/// Add a target.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(
    subcommand,
    name = "target",
    example = "{command_name} home https://example.org/ --frequency 10 --pass-result 2xx",
    note = "Others can read a command line: give a secret as env:NAME or file:PATH."
)]
pub struct NewTarget {
    /// how it is called
    #[argh(positional, arg_name = "NAME")]
    pub name: String,
    /// what is probed
    #[argh(positional, arg_name = "URL")]
    pub url: String,
    /// GET (if unsaid), HEAD, POST, PUT, PATCH, DELETE or OPTIONS
    #[argh(option, arg_name = "METHOD")]
    pub method: Option<String>,
    /// the expected status, as 200 (if unsaid), 200-299, 2xx, or a list of these
    #[argh(option, arg_name = "STATUS")]
    pub pass_result: Option<String>,
    /// seconds from one probe to the next (if unsaid, 60)
    #[argh(option, arg_name = "SECONDS", from_str_fn(whole_number))]
    pub frequency: Option<i64>,
    /// seconds that a probe may take (if unsaid, 10)
    #[argh(option, arg_name = "SECONDS", from_str_fn(whole_number))]
    pub timeout: Option<i64>,
    /// how the target knows us: NONE (if unsaid), BASIC, …
    #[argh(option, arg_name = "KIND")]
    pub authn: Option<String>,
    /// parameters of that, as key=value,key=value
    #[argh(option, arg_name = "PARAMETERS")]
    pub authn_parms: Option<String>,
    /// whose it is (if unsaid, 0)
    #[argh(option, arg_name = "ID")]
    pub tenantid: Option<String>,
    /// further options, as a JSON object
    #[argh(option, arg_name = "JSON")]
    pub options: Option<String>,
    /// do not probe it yet
    #[argh(switch)]
    pub disabled: bool,
}

/// Add a notifier.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(
    subcommand,
    name = "notifier",
    example = "{command_name} ops SMTP ops@example.org --params server=mail.example.org,user=ops,password=env:MAIL_PASSWORD",
    note = "Others can read a command line: give a secret as env:NAME or file:PATH."
)]
pub struct NewNotifier {
    /// how it is called
    #[argh(positional, arg_name = "NAME")]
    pub name: String,
    /// the kind: SMTP, WEBHOOK, SLACK, …; `skypunch notifiers kinds` lists them
    #[argh(positional, arg_name = "TYPE")]
    pub kind: String,
    /// who is told: mail addresses, a URL, or what the kind says
    #[argh(positional, arg_name = "ADDRESS")]
    pub address: String,
    /// parameters of its kind, as key=value,key=value
    #[argh(option, arg_name = "PARAMETERS")]
    pub params: Option<String>,
    /// further options, as a JSON object
    #[argh(option, arg_name = "JSON")]
    pub options: Option<String>,
    /// do not tell it anything yet
    #[argh(switch)]
    pub disabled: bool,
}
