//! `api-keys` and `signing-keys`.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};

use super::print;
use crate::auth::{NewApiKey, SigningKeyInfo};
use crate::session::token::SigningKeyState;
use crate::session::{ApiKeyInfo, ApiKeyKind, ApiScope};
use crate::types::{ApiKeyId, Code, Error, Result, Timestamp};
use crate::{Aurora, Builder};

pub(super) fn parsers() -> [Command; 2] {
    let create = Command::new("create")
        .about("Makes a key and prints it, this once; whoever lost it makes another")
        .arg(flag("publishable", "For browsers and apps: acts as `anon`, everyone may know it"))
        .arg(flag("secret", "For services: acts as `service_role` within its scopes"))
        .group(ArgGroup::new("kind").args(["publishable", "secret"]).required(true))
        .arg(Arg::new("name").long("name").value_name("NAME").required(true).help("What people call it"))
        .arg(
            Arg::new("scope")
                .long("scope")
                .value_name("SCOPE")
                .action(ArgAction::Append)
                .value_parser(["auth", "data"])
                .help(
                    "What a secret key may do: `auth` is /admin/* and /invite, `data` the host's own routes",
                ),
        );
    let revoke = Command::new("revoke")
        .about("Refuses a key from now on; running services do within a second")
        .arg(Arg::new("id").value_name("ID").required(true).help("As `api-keys list` shows it"));
    let keys = Command::new("api-keys")
        .about("The keys that name an application (those of the settings are not among them)")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([create, Command::new("list").about("Every key, without its text"), revoke]);
    let rotate = Command::new("rotate")
        .about("Publishes a new key, which signs a quarter of an hour later")
        .arg(flag("now", "Lets it sign at once, when the former key is not safe any more"));
    let retire = Command::new("retire")
        .about("Ends a key that verifies or waits; running services refuse its tokens within a minute")
        .arg(
            Arg::new("kid")
                .value_name("KID")
                .required(true)
                .allow_hyphen_values(true)
                .help("As `signing-keys list` shows it"),
        );
    let signing = Command::new("signing-keys")
        .about("The keys that sign access tokens, where Aurora makes them")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([Command::new("list").about("Every key and what it does"), rotate, retire]);
    [keys, signing]
}

pub(super) async fn run(builder: Builder, matches: &ArgMatches, signing: bool) -> Result<()> {
    let Some((command, options)) = matches.subcommand() else {
        return Err(Error::new(Code::ValidationFailed, "no such command"));
    };
    let builder = if command == "list" { builder.reading()? } else { builder };
    let aurora = builder.build().await?;
    let said = if signing {
        signing_keys(&aurora, command, options).await
    } else {
        api_keys(&aurora, command, options).await
    };
    aurora.close().await;
    print(&said?)
}

async fn api_keys(aurora: &Aurora, command: &str, options: &ArgMatches) -> Result<String> {
    let text = |name: &str| options.get_one::<String>(name).cloned().unwrap_or_default();
    match command {
        "create" => {
            let kind = if options.get_flag("secret") { ApiKeyKind::Secret } else { ApiKeyKind::Publishable };
            let named = options.get_many::<String>("scope").unwrap_or_default();
            let scopes: Result<Vec<ApiScope>> = named.map(|scope| scope.parse()).collect();
            let new = NewApiKey { kind, name: text("name"), scopes: scopes? };
            let (info, key) = aurora.auth().create_api_key(new).await?;
            Ok(format!("{}\nkey {}: keep it now, it is not shown again\n", key.expose(), info.id))
        }
        "revoke" => {
            let id: ApiKeyId = text("id").parse()?;
            aurora.auth().revoke_api_key(id).await?;
            Ok(format!("key {id} is revoked\n"))
        }
        _ => Ok(listed(&aurora.auth().api_keys().await?)),
    }
}

fn listed(keys: &[ApiKeyInfo]) -> String {
    let mut said = String::new();
    for key in keys {
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        let scopes = if scopes.is_empty() { String::new() } else { format!(" ({})", scopes.join(", ")) };
        let _ = write!(said, "{}  {}{}..  {}{scopes}", key.id, key.kind.prefix(), key.hint, key.name);
        let _ = write!(said, "  made {}  {}", key.created_at, when("used", "never used", key.last_used_at));
        if let Some(at) = key.revoked_at {
            let _ = write!(said, "  REVOKED {at}");
        }
        said.push('\n');
    }
    if keys.is_empty() { "no key was made here\n".to_owned() } else { said }
}

fn when(word: &str, otherwise: &str, at: Option<Timestamp>) -> String {
    at.map_or_else(|| otherwise.to_owned(), |at| format!("{word} {at}"))
}

async fn signing_keys(aurora: &Aurora, command: &str, options: &ArgMatches) -> Result<String> {
    let auth = aurora.auth();
    match command {
        "rotate" if options.get_flag("now") => {
            Ok(format!("{} signs from now on\n", auth.rotate_signing_key().await?))
        }
        "rotate" => {
            let kid = auth.prepare_signing_key().await?;
            let keys = auth.signing_keys().await?;
            let until = keys.iter().find(|key| key.kid == kid).and_then(|key| key.until);
            Ok(format!("{kid} is published{}\n", when(", and signs after", "", until)))
        }
        "retire" => {
            let kid = options.get_one::<String>("kid").cloned().unwrap_or_default();
            auth.retire_signing_key(&kid).await?;
            Ok(format!("{kid} is retired\n"))
        }
        _ => {
            let keys = auth.signing_keys().await?;
            Ok(keys.iter().map(described).collect())
        }
    }
}

fn described(key: &SigningKeyInfo) -> String {
    let next = match (key.state, key.until) {
        (SigningKeyState::Pending, Some(at)) => format!(", signs after {at}"),
        (SigningKeyState::Active, Some(at)) => format!(", until about {at}"),
        (SigningKeyState::VerifyOnly, Some(at)) => format!(", retired after {at}"),
        _ => String::new(),
    };
    format!("{}  {}  {} since {}{next}\n", key.kid, key.algorithm, key.state.as_str(), key.since)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}
