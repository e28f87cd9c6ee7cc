use clap::{Arg, ArgAction, ArgMatches, Command};

use super::report::Report;
use super::{api_keys, columns, explain, keys, person, print, roles};
use crate::Builder;
use crate::aurora::read_policies;
use crate::guard::ForeignPolicies;
use crate::store::{IdentityBy, identity_sql};
use crate::types::{Code, Error, Result};

/// The first words that are ours.
pub(super) const NAMES: &[&str] =
    &["api-keys", "columns", "keys", "person", "policy", "roles", "routes", "setup", "signing-keys"];

/// Every command with its arguments.
pub(super) fn parser() -> Command {
    let check = Command::new("check")
        .about(
            "Reads the policy file against the schema of the migrations: errors, warnings, missing indexes",
        )
        .arg(flag("deny-warnings", "Fail on warnings too"));
    let plan = Command::new("plan").about(
        "Shows what `apply` would change in the PostgreSQL database, and what was changed behind its back",
    );
    let apply = Command::new("apply")
        .about("Installs the policies in the PostgreSQL database, all in one transaction")
        .arg(flag("replace-foreign", "Remove policies on the file's tables that Aurora did not install"));
    let policy = Command::new("policy")
        .about("The row policies")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([check, plan, apply, explain::parser()]);
    let setup = Command::new("setup")
        .about("Makes Aurora's schema and roles in the PostgreSQL database")
        .arg(flag("print-sql", "Print what a database administrator has to run instead, and run nothing"))
        .arg(
            Arg::new("identity")
                .long("identity")
                .requires("print-sql")
                .value_parser(["settings", "mac"])
                .help("Print what a superuser runs: `settings` revokes set_config and believes settings, `mac` is the way back"),
        );
    let routes = Command::new("routes")
        .about("Lists every route with what stands before it: Aurora's, and those that the program declares")
        .arg(flag("json", "As JSON, for scripts"));
    let parsers =
        [columns::parser(), keys::parser(), person::parser(), policy, roles::parser(), routes, setup];
    Command::new("aurora").subcommand_required(true).subcommands(parsers).subcommands(api_keys::parsers())
}

pub(super) async fn run(builder: Builder, matches: &ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("setup", options)) => {
            let by = options.get_one::<String>("identity").map(|by| match by.as_str() {
                "settings" => IdentityBy::Settings,
                _ => IdentityBy::Mac,
            });
            match by {
                Some(by) => print(identity_sql(by)),
                None => setup(builder, options.get_flag("print-sql")).await,
            }
        }
        Some(("api-keys", matches)) => api_keys::run(builder, matches, false).await,
        Some(("columns", matches)) => columns::run(builder, matches).await,
        Some(("keys", matches)) => keys::run(builder, matches).await,
        Some(("signing-keys", matches)) => api_keys::run(builder, matches, true).await,
        Some(("person", matches)) => person::run(builder, matches).await,
        Some(("roles", matches)) => roles::run(builder, matches).await,
        Some(("routes", options)) => {
            let report = builder.route_report();
            let json = options.get_flag("json");
            print(&if json { format!("{}\n", report.to_json()) } else { report.to_string() })
        }
        Some(("policy", matches)) => match matches.subcommand() {
            Some(("check", options)) => check(builder, options.get_flag("deny-warnings")).await,
            Some(("plan", _)) => plan(builder).await,
            Some(("apply", options)) => apply(builder, options.get_flag("replace-foreign")).await,
            Some(("explain", options)) => explain::run(builder, options).await,
            _ => Err(unknown()),
        },
        _ => Err(unknown()),
    }
}

async fn check(mut builder: Builder, deny_warnings: bool) -> Result<()> {
    let (file, text, functions) = builder.take_policies();
    let schema = builder.schema().await?;
    let report = Report::of(&file, read_policies(&file, &text, functions), &schema);
    print(&report.to_string())?;
    if report.is_clean(deny_warnings) {
        return Ok(());
    }
    Err(Error::new(Code::Configuration, "policy check failed"))
}

async fn plan(builder: Builder) -> Result<()> {
    let plan = builder.plan_policies().await?;
    print(&plan.to_string())
}

async fn apply(builder: Builder, replace_foreign: bool) -> Result<()> {
    let foreign = if replace_foreign { ForeignPolicies::Replace } else { ForeignPolicies::Keep };
    let applied = builder.apply_policies(foreign).await?;
    print(&applied.plan().to_string())?;
    let count = applied.plan().changes().count();
    print(&format!("{count} {} made\n", if count == 1 { "change" } else { "changes" }))
}

async fn setup(builder: Builder, only_print: bool) -> Result<()> {
    if only_print {
        return print(&builder.setup_sql()?);
    }
    builder.build().await?.close().await;
    print("Aurora's schema and roles, the migrations and the policies are in place\n")
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn unknown() -> Error {
    Error::new(Code::ValidationFailed, "no such command")
}
