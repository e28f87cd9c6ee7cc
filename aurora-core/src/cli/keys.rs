//! `keys`: what data is sealed with.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};

use super::print;
use crate::crypto::{KeyOwner, KeyState, Purpose};
use crate::keys::{Backups, DataKeyInfo};
use crate::types::{Code, Error, Result};
use crate::{Aurora, Builder};

pub(super) fn parser() -> Command {
    let list = Command::new("list")
        .about("Every data key: what it is for, whose data it seals, what may be done with it");
    let status = Command::new("status")
        .about("How many values are left under former keys, and how many keys each root key wraps");
    let create = Command::new("create").about(
        "Makes the key file that the program names, before its first start in production; never writes over one",
    );
    let rotate = Command::new("rotate")
        .about("Lets another key take over; what the former sealed is sealed again in the background")
        .arg(
            Arg::new("purpose")
                .long("purpose")
                .value_name("PURPOSE")
                .value_parser(Purpose::ALL.map(Purpose::as_str))
                .help("Which data key"),
        )
        .arg(flag("root", "The root key: a new one in front of the key file, every data key wrapped under it"))
        .group(ArgGroup::new("which").args(["purpose", "root"]).required(true))
        .arg(owner("tenant", "Of that tenant").conflicts_with_all(["user", "root"]))
        .arg(owner("user", "Of that user").conflicts_with("root"))
        .arg(
            flag("now", "At once, when the former key is not safe any more, and seals everything again before it ends")
                .conflicts_with("root"),
        );
    let destroy = Command::new("destroy")
        .about("Wipes a key that nothing needs any more")
        .arg(Arg::new("id").value_name("ID").required(true).help(
            "As `keys list` shows it: a data key's number, or the name of a root key that was replaced",
        ))
        .arg(flag("no-backup-needs-it", "No backup that is kept holds what it sealed or wrapped"));
    Command::new("keys")
        .about("The keys that data is sealed with (those of applications: `api-keys`)")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([create, list, status, rotate, destroy])
}

pub(super) async fn run(builder: Builder, matches: &ArgMatches) -> Result<()> {
    let Some((command, options)) = matches.subcommand() else {
        return Err(Error::new(Code::ValidationFailed, "no such command"));
    };
    if command == "create" {
        let path = builder.create_key_file()?;
        return print(&format!(
            "key file `{}` is made: keep a copy apart from the database; nothing opens without it\n",
            path.display()
        ));
    }
    let builder = if matches!(command, "list" | "status") { builder.reading()? } else { builder };
    let aurora = builder.build().await?;
    let said = match command {
        "rotate" => rotate(&aurora, options).await,
        "destroy" => destroy(&aurora, options).await,
        "status" => status(&aurora).await,
        _ => list(&aurora).await,
    };
    aurora.close().await;
    print(&said?)
}

async fn list(aurora: &Aurora) -> Result<String> {
    let (mut said, mut after) = (String::new(), 0);
    loop {
        let page = aurora.keys().list(after).await?;
        let Some(last) = page.last() else { return Ok(said) };
        after = last.id;
        said.extend(page.iter().map(described));
    }
}

fn described(key: &DataKeyInfo) -> String {
    let DataKeyInfo { id, purpose, state, root, created_at, .. } = key;
    let mut said = format!("{id:>5}  {:<10}  {:<12}", purpose.as_str(), state.as_str());
    if key.owner != KeyOwner::Service {
        let _ = write!(said, "  {}", key.owner);
    }
    let _ = match key.changed_at {
        Some(at) => write!(said, "  since {at}"),
        None => write!(said, "  made {created_at}"),
    };
    if key.state != KeyState::Destroyed {
        let _ = write!(said, "  under root {root}");
    }
    said.push('\n');
    said
}

async fn status(aurora: &Aurora) -> Result<String> {
    let mut said = String::new();
    let left = aurora.keys().left().await?;
    for left in &left {
        let _ = writeln!(said, "key {} has {} values left in {}", left.key, left.values, left.place);
    }
    if left.is_empty() {
        said.push_str("no value is left under a former key\n");
    }
    for (root, keys) in aurora.keys().roots().await? {
        let _ = writeln!(said, "root key {root} wraps {keys} data keys");
    }
    Ok(said)
}

async fn rotate(aurora: &Aurora, options: &ArgMatches) -> Result<String> {
    if options.get_flag("root") {
        let (root, keys) = aurora.rotate_root_key().await?;
        if aurora.key_file().is_none() {
            return Ok(format!(
                "{keys} data keys were wrapped anew; all are under root key {root}, the newest that the service was \
                 given: to replace it, put another in front of the text, or have your key provider make one, and run \
                 this again\n"
            ));
        }
        return Ok(format!(
            "root key {root} wraps from now on; {keys} data keys were wrapped anew\nkeep a copy of the key file; the \
             former root keys stay in it for the sake of backups\n"
        ));
    }
    let (keys, now) = (aurora.keys(), options.get_flag("now"));
    let (owner, purpose) = (owned(options)?, text(options, "purpose").parse()?);
    let id = keys.rotate(&owner, purpose).await?;
    if !now {
        return Ok(format!("key {id} takes over in a minute; `keys status` tells how far it is\n"));
    }
    keys.activate(id).await?;
    let progress = keys.advance().await?;
    Ok(format!(
        "key {id} seals from now on; {} values were sealed again, {} are left\n{}",
        progress.resealed,
        progress.left,
        kept_hashes(purpose)
    ))
}

/// What a rotation does not reach: a keyed hash cannot be made anew from itself.
fn kept_hashes(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Session | Purpose::Password | Purpose::Credential => {
            "hashes that the first key of this purpose made stay under it; if it was stolen together with the database, \
             sessions have to end and passwords to be set anew\n"
        }
        _ => "",
    }
}

async fn destroy(aurora: &Aurora, options: &ArgMatches) -> Result<String> {
    let no_backup = options.get_flag("no-backup-needs-it");
    let id = text(options, "id");
    let Ok(number) = id.parse::<u32>() else {
        if !no_backup {
            let sentence = "data keys in a backup may be wrapped under that root key, and are lost without it; say so \
                            (--no-backup-needs-it) if none is kept";
            return Err(Error::new(Code::ValidationFailed, sentence));
        }
        aurora.forget_root_key(&id).await?;
        return Ok(format!("root key {id} is out of the key file\n"));
    };
    let backups = if no_backup { Backups::NoneNeedsIt } else { Backups::MayNeedIt };
    aurora.keys().destroy(number, backups).await?;
    Ok(format!("key {number} is destroyed\n"))
}

fn owned(options: &ArgMatches) -> Result<KeyOwner> {
    match (options.get_one::<String>("tenant"), options.get_one::<String>("user")) {
        (Some(tenant), _) => Ok(KeyOwner::Tenant(tenant.parse()?)),
        (_, Some(user)) => Ok(KeyOwner::User(user.parse()?)),
        _ => Ok(KeyOwner::Service),
    }
}

fn text(options: &ArgMatches, name: &str) -> String {
    options.get_one::<String>(name).cloned().unwrap_or_default()
}

fn owner(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("ID").help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}
