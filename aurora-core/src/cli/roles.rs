use clap::{Arg, ArgGroup, ArgMatches, Command};

use super::print;
use crate::auth::{Granter, UserRole};
use crate::types::{Code, Error, Permission, Result, RoleName, UserId};
use crate::validate::Email;
use crate::{Aurora, Builder};

/// What the audit log says of a change by hand.
const REASON: &str = "command line";
/// Holders that `show` names.
const SHOWN: usize = 20;

pub(super) fn parser() -> Command {
    let role = || Arg::new("role").value_name("ROLE").required(true).help("Its name, such as editor");
    let whom = |command: Command| {
        command
            .arg(role())
            .arg(Arg::new("email").long("email").value_name("ADDRESS").help("The user with that address"))
            .arg(Arg::new("user").long("user").value_name("UUID").help("The user with that id"))
            .group(ArgGroup::new("whom").args(["email", "user"]).required(true))
    };
    let create = Command::new("create")
        .about("Makes a role, or gives one that is there this rank and these permissions")
        .arg(role())
        .arg(
            Arg::new("rank")
                .long("rank")
                .value_name("0..1000")
                .required(true)
                .value_parser(clap::value_parser!(u16).range(0..=1000))
                .help("How high it stands: users give and take what stands no higher than they do"),
        )
        .arg(
            Arg::new("permission")
                .long("permission")
                .value_name("NAME")
                .action(clap::ArgAction::Append)
                .help("What it lets its holders do, such as notes.delete; may stand several times"),
        );
    Command::new("roles")
        .about("Roles of the service's own, and who holds them")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            create,
            Command::new("delete").about("Deletes a role and takes it from whoever holds it").arg(role()),
            Command::new("list").about("Every role with its rank and permissions"),
            Command::new("show").about("One role, and who holds it").arg(role()),
            whom(Command::new("grant").about("Gives a user a role: the first administrator is made so")),
            whom(Command::new("revoke").about("Takes a role from a user")),
        ])
}

pub(super) async fn run(builder: Builder, matches: &ArgMatches) -> Result<()> {
    // What is wrong with the words is told before a database is opened.
    let wish = Wish::of(matches)?;
    let builder = if matches!(wish, Wish::List | Wish::Show(_)) { builder.reading()? } else { builder };
    let aurora = builder.build().await?;
    let outcome = wish.done(&aurora).await;
    aurora.close().await;
    print(&outcome?)
}

enum Wish {
    Create(UserRole),
    Delete(RoleName),
    List,
    Show(RoleName),
    Grant(RoleName, Whom),
    Revoke(RoleName, Whom),
}

enum Whom {
    Email(Email),
    User(UserId),
}

impl Wish {
    fn of(matches: &ArgMatches) -> Result<Self> {
        let Some((command, options)) = matches.subcommand() else {
            return Err(Error::new(Code::ValidationFailed, "no such command"));
        };
        let text = |name: &str| options.get_one::<String>(name).map(String::as_str);
        let role = || text("role").unwrap_or_default().parse::<RoleName>();
        let whom = || match (text("email"), text("user")) {
            (Some(email), _) => email.parse().map(Whom::Email),
            (None, user) => user.unwrap_or_default().parse().map(Whom::User),
        };
        Ok(match command {
            "create" => {
                let names = options.get_many::<String>("permission").into_iter().flatten();
                let mut permissions = names.map(|name| name.parse()).collect::<Result<Vec<Permission>>>()?;
                permissions.sort();
                permissions.dedup();
                let rank = options.get_one::<u16>("rank").copied().unwrap_or_default();
                Self::Create(UserRole { name: role()?, rank, permissions })
            }
            "delete" => Self::Delete(role()?),
            "show" => Self::Show(role()?),
            "grant" => Self::Grant(role()?, whom()?),
            "revoke" => Self::Revoke(role()?, whom()?),
            _ => Self::List,
        })
    }

    async fn done(self, aurora: &Aurora) -> Result<String> {
        let auth = aurora.auth();
        Ok(match self {
            Self::Create(role) => {
                let said = format!("{}\n", line(&role));
                auth.define_role(role, REASON).await?;
                said
            }
            Self::Delete(role) => {
                auth.delete_role(&role, REASON).await?;
                format!("{role} is deleted\n")
            }
            Self::List => auth.roles().await?.iter().map(|role| format!("{}\n", line(role))).collect(),
            Self::Show(role) => show(aurora, &role).await?,
            Self::Grant(role, whom) => {
                let user = found(aurora, whom).await?;
                let granted = auth.grant_role(Granter::Service(REASON), user, &role).await?;
                format!("{user} {} {role}\n", if granted { "now holds" } else { "held already" })
            }
            Self::Revoke(role, whom) => {
                let user = found(aurora, whom).await?;
                let revoked = auth.revoke_role(Granter::Service(REASON), user, &role).await?;
                format!("{user} {} {role}\n", if revoked { "no longer holds" } else { "did not hold" })
            }
        })
    }
}

/// `editor  rank 50  notes.delete notes.edit`
fn line(role: &UserRole) -> String {
    let permissions: Vec<&str> = role.permissions.iter().map(Permission::as_str).collect();
    let line = format!("{}  rank {}  {}", role.name, role.rank, permissions.join(" "));
    line.trim_end().to_owned()
}

async fn show(aurora: &Aurora, name: &RoleName) -> Result<String> {
    let roles = aurora.auth().roles().await?;
    let Some(role) = roles.iter().find(|role| role.name == *name) else {
        return Err(Error::new(Code::NotFound, format!("no such role: {name}")));
    };
    let holders = aurora.auth().holders_of(name, None).await?;
    let mut said = format!("{}\n", line(role));
    for user in holders.iter().take(SHOWN) {
        said.push_str(&format!("  {user}\n"));
    }
    if holders.len() > SHOWN {
        said.push_str(&format!("  and {}{} more\n", holders.len() - SHOWN, or_more(holders.len())));
    }
    Ok(said)
}

/// One page is counted.
fn or_more(count: usize) -> &'static str {
    if count >= 1000 { " or" } else { "" }
}

async fn found(aurora: &Aurora, whom: Whom) -> Result<UserId> {
    match whom {
        Whom::User(user) => Ok(user),
        Whom::Email(email) => {
            let (user, confirmed) = aurora
                .auth()
                .user_id(&email)
                .await?
                .ok_or_else(|| Error::new(Code::UserNotFound, "no user has that address"))?;
            if !confirmed {
                let text =
                    "nobody has confirmed that address, so it may be anybody's; name the user by --user ID";
                return Err(Error::new(Code::EmailNotConfirmed, format!("{text} ({user})")));
            }
            Ok(user)
        }
    }
}
