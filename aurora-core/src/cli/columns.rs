//! `columns`: those that are sealed.

use clap::{Arg, ArgMatches, Command};

use super::print;
use crate::Builder;
use crate::types::{Code, Error, Result};

pub(super) fn parser() -> Command {
    let list = Command::new("list").about("Every sealed column that the program declares");
    let encrypt = Command::new("encrypt")
        .about("Seals what stands in a plain column, while services run; started again it goes on with what is left")
        .arg(
            Arg::new("column")
                .value_name("TABLE.COLUMN")
                .required(true)
                .help("The sealed column, as `columns list` shows it"),
        )
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("COLUMN")
                .required(true)
                .help("The plain column of the same table, which is emptied"),
        )
        .arg(
            Arg::new("owner")
                .long("owner")
                .value_name("COLUMN")
                .help("Where the column is sealed per tenant or writer: the column that names them"),
        );
    Command::new("columns")
        .about("Columns whose cells are sealed before they reach the database")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([list, encrypt])
}

pub(super) async fn run(builder: Builder, matches: &ArgMatches) -> Result<()> {
    let Some((command, options)) = matches.subcommand() else {
        return Err(Error::new(Code::ValidationFailed, "no such command"));
    };
    let builder = if command == "list" { builder.reading()? } else { builder };
    let aurora = builder.build().await?;
    let said = match command {
        "encrypt" => {
            let text = |name: &str| options.get_one::<String>(name).cloned().unwrap_or_default();
            let (column, from) = (text("column"), text("from"));
            let owner = options.get_one::<String>("owner").map(String::as_str);
            aurora.encrypt_column(&column, &from, owner).await.map(|done| {
                let left = match done.passed {
                    0 => String::new(),
                    passed => format!("; {passed} changed in between: run it again"),
                };
                let both = match done.both {
                    0 => String::new(),
                    both => format!(
                        "{both} rows have a sealed cell and still something in {from}: the service has to write NULL \
                         there with the cell; look at them, and empty them by hand\n"
                    ),
                };
                format!("{} cells of {column} are sealed{left}\n{both}", done.sealed)
            })
        }
        _ => Ok(aurora.sealed_columns().map(|name| format!("{name}\n")).collect()),
    };
    aurora.close().await;
    print(&said?)
}
