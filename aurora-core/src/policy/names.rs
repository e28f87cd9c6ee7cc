//! What a name means: columns, parameters and inner tables.

use super::check::Checker;
use super::coerce::Typed;
use super::expr::{Expr, Type};
use super::functions::FunctionName;
use super::inline::Frame;
use super::raw::Qualifier;
use super::schema::{Command, Table};
use super::select::{Columns, Named, is};

impl<'a> Checker<'a> {
    /// An inner table answers under its own policies, so it must have been given some; not so for the owner of a
    /// SECURITY DEFINER function.
    pub(super) fn inner_table(&mut self, name: &str, schema: Option<&str>, line: u64) -> Option<&'a Table> {
        let Some(table) = self.find_table(name, schema) else {
            let help = "correct the name or add a migration";
            self.refuse(line, format!("table `{name}` does not exist"), help);
            return None;
        };
        let guarded = self.catalog.table(&table.name);
        if self.as_owner() {
            if guarded.is_some_and(|guarded| guarded.forced) {
                let construct =
                    format!("table `{name}` with FORCE ROW LEVEL SECURITY in a SECURITY DEFINER function");
                let help = "leave out FORCE: it puts the function's owner under the policies, and what they show to \
                            an owner hangs on the database";
                self.refuse(line, construct, help);
            }
            return Some(table);
        }
        match guarded {
            Some(guarded) if guarded.enabled => {
                // What the policy's own text reads is asked for elsewhere, as PostgreSQL's planner leaves it.
                let own = self.frames.is_empty();
                if !own && !guarded.grants.holds_some(self.role, Command::Select) {
                    self.denied.get_or_insert_with(|| format!("table {}", guarded.name));
                }
            }
            _ => {
                let help = format!(
                    "a subquery sees what the caller may see, which is nothing: add ALTER TABLE {name} ENABLE ROW \
                     LEVEL SECURITY; and a policy FOR SELECT on {name}"
                );
                self.refuse(line, format!("table `{name}` has no policies of its own"), &help);
            }
        }
        let lower = table.name.to_ascii_lowercase();
        if !self.reads.contains(&lower) {
            self.reads.push(lower);
        }
        Some(table)
    }

    /// A name without schema is looked up in the function's search_path, then in public.
    fn find_table(&self, name: &str, schema: Option<&str>) -> Option<&'a Table> {
        if schema.is_none() {
            for part in self.frames.last().map_or(&[][..], |frame| frame.path()) {
                let joined = if part == "public" { name.to_owned() } else { format!("{part}_{name}") };
                if let Some(table) = self.schema.table(&joined) {
                    return Some(table);
                }
            }
        }
        self.schema.table(name)
    }

    /// Innermost scope first, as PostgreSQL does; a qualified name stops at the first table of that name. A
    /// function's parameters come last (LANGUAGE sql), or must not be ambiguous (plpgsql).
    pub(super) fn column(&mut self, table: Option<&Qualifier>, name: &str, line: u64) -> Typed {
        let mut found = None;
        for scope in self.scopes.iter().rev() {
            let named = |source: &&Named<'_>| {
                source.visible
                    && match table {
                        None => true,
                        Some(Qualifier::Name(alias)) => source.alias.eq_ignore_ascii_case(alias),
                        Some(Qualifier::Full(full)) => {
                            source.bare
                                && matches!(&source.columns, Columns::Table(table) | Columns::Nothing(table)
                                    if table.name.eq_ignore_ascii_case(full))
                        }
                    }
            };
            let sources: Vec<&Named<'_>> = scope.iter().filter(named).collect();
            let holders: Vec<&&Named<'_>> = sources.iter().filter(|source| source.has(name)).collect();
            match holders.as_slice() {
                [one] => {
                    found = Some(self.column_of(one, name));
                    break;
                }
                [_, _, ..] => {
                    let construct = format!("column reference `{name}` is ambiguous");
                    return self.refuse(line, construct, "qualify it");
                }
                [] if table.is_some() && !sources.is_empty() => break,
                [] => {}
            }
        }
        let parameter = self.parameter(table, name);
        match (found, parameter) {
            (Some(_), Some(_)) if self.frames.last().is_some_and(Frame::is_plpgsql) => {
                let construct = format!("column reference `{name}` is ambiguous: a parameter and a column");
                self.refuse(line, construct, "qualify it: table.column, or function.parameter")
            }
            (Some(Ok(typed)), _) | (None, Some(typed)) => typed,
            (Some(Err(declared)), _) => {
                let construct = format!("column `{name}` of type `{declared}`");
                self.refuse(line, construct, "declare a type that a policy knows, such as TEXT")
            }
            (None, None) => {
                let written =
                    table.map_or_else(|| name.to_owned(), |table| format!("{}.{name}", table.as_str()));
                let help = "correct the name or add the column";
                self.refuse(line, format!("column `{written}` does not exist"), help)
            }
        }
    }

    /// The column, or the declared type that is not known.
    fn column_of(&self, source: &Named<'_>, name: &str) -> Result<Typed, String> {
        let (table, real) = match &source.columns {
            Columns::Table(table) => (table, true),
            Columns::Nothing(table) => (table, false),
            Columns::Derived(outputs) => {
                let output = outputs.iter().find(|(own, _)| is(own.as_deref(), name));
                return Ok(output.map_or((Expr::Null, Type::Null), |(_, typed)| typed.clone()));
            }
        };
        let Some(column) = table.column(name) else { return Ok((Expr::Null, Type::Null)) };
        let kind = column.policy_type().or_else(|| {
            let declared = column.declared_type.to_ascii_lowercase();
            self.catalog.enums.iter().position(|known| known.name == declared).map(Type::Enum)
        });
        let kind = kind.ok_or_else(|| column.declared_type.clone())?;
        if !real {
            return Ok((Expr::Null, kind));
        }
        let own = Expr::Column { source: source.id, name: column.name.clone() };
        match kind {
            // A day may be kept as text or as seconds.
            Type::Date => Ok((Expr::Call(FunctionName::Date, vec![own]), kind)),
            _ => Ok((own, kind)),
        }
    }
}
