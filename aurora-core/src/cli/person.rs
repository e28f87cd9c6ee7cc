//! `person`: what is kept of somebody, handed out or erased.

use clap::{Arg, ArgGroup, ArgMatches, Command};

use super::print;
use crate::Builder;
use crate::types::{Code, Error, Result};

pub(super) fn parser() -> Command {
    let user = || Arg::new("user").long("user").value_name("ID").help("The user's id");
    let reason = || {
        Arg::new("reason")
            .long("reason")
            .value_name("TEXT")
            .required(true)
            .help("What the audit log says of it")
    };
    let export = Command::new("export")
        .about("Prints what is kept of a person, as JSON, with sealed cells opened")
        .arg(user().required(true))
        .arg(reason());
    let erase = Command::new("erase")
        .about("Deletes a person's account and data and destroys their keys, for good; the ledger keeps their id")
        .arg(user())
        .arg(
            Arg::new("tenant")
                .long("tenant")
                .value_name("ID")
                .help("Destroys a tenant's keys instead: what was sealed for them is unreadable"),
        )
        .group(ArgGroup::new("whom").args(["user", "tenant"]).required(true))
        .arg(reason());
    Command::new("person")
        .about("What is kept of a person")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([export, erase])
}

pub(super) async fn run(builder: Builder, matches: &ArgMatches) -> Result<()> {
    let Some((command, options)) = matches.subcommand() else {
        return Err(Error::new(Code::ValidationFailed, "no such command"));
    };
    let text = |name: &str| options.try_get_one::<String>(name).ok().flatten().cloned();
    let (user, tenant) = (text("user"), text("tenant"));
    let reason = text("reason").unwrap_or_default();
    let aurora = builder.build().await?;
    let work = async {
        match (command, user, tenant) {
            ("export", Some(user), _) => {
                let kept = aurora.export(user.parse()?, &reason).await?;
                Ok(format!("{kept:#}\n"))
            }
            (_, Some(user), _) => {
                let erased = aurora.erase(user.parse()?, &reason).await?;
                let account = if erased.user { "the account" } else { "no account" };
                Ok(format!("erased: {account}, {} rows, {} keys\n", erased.rows, erased.keys))
            }
            (_, _, Some(tenant)) => {
                let erased = aurora.erase_tenant(&tenant.parse()?, &reason).await?;
                Ok(format!("erased: {} keys\n", erased.keys))
            }
            _ => Err(Error::new(Code::ValidationFailed, "whose?")),
        }
    };
    let said = work.await;
    aurora.close().await;
    print(&said?)
}
