//! The statements that install a policy file.

use std::collections::BTreeSet;

use crate::types::quote;

use super::super::schema::{Schema, Table};
use super::again::{by_itself, entered_again};
use super::grants::Held;
use super::identity::{asks_by_itself, verified};
use super::lexer::{Token, tokens, uncommented};
use super::membership::as_arrays;
use super::read::{Native, NativeFunction, NativePolicy, TableName};

/// All that a policy file installs, for a schema.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub(crate) types: Vec<Type>,
    pub(crate) functions: Vec<Function>,
    pub(crate) tables: Vec<Installed>,
    /// Grants on functions and schemas.
    pub(crate) verbatim: Vec<String>,
}

/// An enumeration.
#[derive(Clone, Debug)]
pub(crate) struct Type {
    pub(crate) name: TableName,
    pub(crate) labels: Vec<String>,
    pub(crate) create: String,
}

/// A helper function.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: TableName,
    pub(crate) create: String,
    pub(crate) source: String,
}

/// A table under policies.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) table: TableName,
    pub(crate) policies: Vec<Policy>,
    pub(crate) held: BTreeSet<Held>,
}

/// A policy as PostgreSQL gets it.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) create: String,
    pub(crate) source: String,
}

/// The name of the policy that lets the service through.
const SERVICE: &str = "aurora service";
/// The name of the policy that leaves a table that the file does not name to who had it.
const OTHERS: &str = "aurora others";

impl Native {
    /// The statements for tables as they are.
    pub(crate) fn install(&self, schema: &Schema) -> Installation {
        let types = self.types.iter().map(|kind| {
            let labels: Vec<String> = kind.labels.iter().map(|label| quote_text(label)).collect();
            let create = format!("CREATE TYPE {} AS ENUM ({})", kind.name.quoted(), labels.join(", "));
            Type { name: kind.name.clone(), labels: kind.labels.clone(), create }
        });
        let again = entered_again(&self.tables);
        let tables = self.tables.iter().filter(|table| table.enabled).map(|table| {
            let known = schema.table(&table.table.joined());
            let again = again.contains(&table.table);
            let mut policies = Vec::new();
            let mut open = BTreeSet::new();
            for policy in &table.policies {
                let (printed, asked) = print(&table.table, policy, schema, known, again);
                policies.push(printed);
                if !policy.restrictive && !asked {
                    open.extend(principals(&policy.roles));
                }
            }
            policies.extend(open.into_iter().map(|role| Policy::binds(&table.table, role, again)));
            policies.push(Policy::service(&table.table));
            Installed { table: table.table.clone(), policies, held: table.grants.held() }
        });
        Installation {
            types: types.collect(),
            functions: self.functions.iter().map(function).collect(),
            tables: tables.collect(),
            verbatim: self.verbatim.clone(),
        }
    }
}

impl TableName {
    /// As it stands in statements.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }

    /// As [`Schema`] has it: a schema other than `public` joined to the name.
    pub(crate) fn joined(&self) -> String {
        if self.schema == "public" { self.name.clone() } else { format!("{}_{}", self.schema, self.name) }
    }
}

/// The policy, and whether it shows nothing to whoever took its role without being bound to it.
///
/// A policy for one role that compares the identity with something asks for that role's: then nothing else has to.
fn print(
    table: &TableName,
    policy: &NativePolicy,
    schema: &Schema,
    known: Option<&Table>,
    again: bool,
) -> (Policy, bool) {
    let only = match principals(&policy.roles).as_slice() {
        [role] if !again => Some(*role),
        _ => None,
    };
    let mut asked = only.is_some();
    let mut condition = |source: &String| {
        let verified = verified(&uncommented(source));
        let optimised = match known {
            Some(outer) => as_arrays(&verified, schema, outer, &table.name),
            None => verified,
        };
        asked = asked && asks_by_itself(&optimised);
        match only {
            Some(role) => optimised.replace(" FROM aurora.identity)", &format!(" FROM aurora.as_{role})")),
            None if again => by_itself(&optimised),
            None => optimised,
        }
    };
    let mut create = format!(
        "CREATE POLICY {} ON {} AS {} FOR {} TO {}",
        quote(&policy.name),
        table.quoted(),
        if policy.restrictive { "RESTRICTIVE" } else { "PERMISSIVE" },
        policy.command.map_or("ALL", |command| command.as_str()),
        roles(&policy.roles),
    );
    if let Some(using) = &policy.using {
        create.push_str(&format!(" USING ({})", condition(using)));
    }
    if let Some(check) = &policy.check {
        create.push_str(&format!(" WITH CHECK ({})", condition(check)));
    }
    (Policy { name: policy.name.clone(), create, source: policy.source.clone() }, asked)
}

/// The roles of principals among a policy's.
fn principals(roles: &[String]) -> Vec<&'static str> {
    let every = ["anon", "authenticated"];
    every.into_iter().filter(|role| roles.is_empty() || roles.iter().any(|own| own == role)).collect()
}

/// Everyone is every principal that policies speak of: the service passes by them, and nobody else has a grant.
fn roles(roles: &[String]) -> String {
    if roles.is_empty() {
        return "anon, authenticated".to_owned();
    }
    let quoted: Vec<String> = roles.iter().map(|role| quote(role)).collect();
    quoted.join(", ")
}

impl Policy {
    /// What lets the service through, and nobody who only took its role.
    pub(crate) fn service(table: &TableName) -> Self {
        let create = format!(
            "CREATE POLICY {} ON {} AS PERMISSIVE FOR ALL TO aurora_service \
             USING ((SELECT bound FROM aurora.as_aurora_service)) \
             WITH CHECK ((SELECT bound FROM aurora.as_aurora_service))",
            quote(SERVICE),
            table.quoted()
        );
        Self { name: SERVICE.to_owned(), create, source: "-- what sees every row".to_owned() }
    }

    /// Shows nothing to whoever took the role without being bound to it: beside policies that do not ask, or that
    /// several roles share.
    pub(crate) fn binds(table: &TableName, role: &str, again: bool) -> Self {
        let bound = if again {
            format!("aurora.bound_as_{role}()")
        } else {
            format!("(SELECT bound FROM aurora.as_{role})")
        };
        let name = format!("aurora binds {role}");
        let create = format!(
            "CREATE POLICY {} ON {} AS RESTRICTIVE FOR ALL TO {role} USING ({bound}) WITH CHECK ({bound})",
            quote(&name),
            table.quoted()
        );
        Self { name, create, source: "-- the role alone is worth nothing".to_owned() }
    }

    /// On a table that the file does not name: whoever reads it by a grant of their own does so as before. Row security
    /// stands there for the service's sake: a role that was switched to must not read it without an identity.
    pub(crate) fn others(table: &TableName) -> Self {
        let create = format!(
            "CREATE POLICY {} ON {} AS PERMISSIVE FOR ALL TO public USING (true) WITH CHECK (true)",
            quote(OTHERS),
            table.quoted()
        );
        Self { name: OTHERS.to_owned(), create, source: "-- no table of the policy file".to_owned() }
    }
}

/// The function with verified identities and a search path of its own.
fn function(function: &NativeFunction) -> Function {
    let rest = verified(&uncommented(&function.rest));
    let found = tokens(&rest).unwrap_or_default();
    // What follows RETURN or BEGIN ATOMIC is the body, and the last part.
    let body = found.iter().find(|token| token.is_word(&rest, "return") || token.is_word(&rest, "begin"));
    let at = body.map_or(rest.len(), |token| token.start);
    let (at, path) = match path_end(&rest, &found) {
        // Without its name at the end, temporary tables come first.
        Some((end, false)) => (end, ", pg_temp"),
        Some((_, true)) => (at, ""),
        None => (at, " SET search_path = public, pg_temp "),
    };
    let (head, tail) = rest.split_at(at);
    let create = format!("CREATE OR REPLACE FUNCTION {}{head}{path}{tail}", function.name.quoted());
    Function { name: function.name.clone(), create, source: function.source.clone() }
}

/// Where the list of `SET search_path = ..` ends, and whether `pg_temp` is in it.
fn path_end(rest: &str, found: &[Token]) -> Option<(usize, bool)> {
    let set = found.windows(2).position(|pair| match pair {
        [set, path] => set.is_word(rest, "set") && path.is_word(rest, "search_path"),
        _ => false,
    })?;
    let mut items = found.get(set + 3..)?.iter();
    let (mut end, mut temporary) = (None, false);
    while let Some(item) = items.next() {
        end = Some(item.end);
        temporary |= item.text(rest).trim_matches(['"', '\'']).eq_ignore_ascii_case("pg_temp");
        if !items.next().is_some_and(|comma| comma.is(b',')) {
            break;
        }
    }
    end.map(|end| (end, temporary))
}

/// `text` as a string constant.
pub(crate) fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::read::read;
    use super::*;

    /// A comment at the end of an expression must not swallow what is printed after it.
    #[test]
    fn comments_change_nothing() {
        let text = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
            CREATE POLICY p ON notes USING (owner = auth.uid() -- mine
            ) WITH CHECK (owner = auth.uid() /* and */
              OR editor = auth.uid() -- theirs
            );
            CREATE FUNCTION h(search_path text) RETURNS text LANGUAGE sql -- c
              AS 'SELECT 1' -- the end
            ;
            CREATE FUNCTION g() RETURNS boolean LANGUAGE sql SET search_path = public AS 'SELECT true';";
        let native = read(text, &Arc::from("policies.sql")).unwrap();
        let installation = native.install(&Schema::default());
        let own = &installation.tables[0].policies[0].create;
        assert!(own.contains(" USING (") && own.contains(") WITH CHECK (") && !own.contains("--"), "{own}");
        assert!(own.contains("OR editor"), "{own}");
        let made: Vec<&str> = installation.functions.iter().map(|made| made.create.as_str()).collect();
        assert!(made[0].contains("SET search_path = public, pg_temp"), "{made:?}");
        assert!(made[1].contains("search_path = public, pg_temp AS"), "{made:?}");
    }

    #[test]
    fn a_file_is_installed_statement_by_statement() {
        let text = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; -- c
            CREATE POLICY \"own one\" ON public.notes FOR ALL TO authenticated
              USING (owner = auth.uid()) WITH CHECK (owner = auth.uid());
            CREATE POLICY open ON notes FOR SELECT USING (public);
            CREATE POLICY mfa ON notes AS RESTRICTIVE USING (auth.jwt() ->> 'aal' = 'aal2');
            CREATE TYPE kind AS ENUM ('a', 'it''s');
            CREATE FUNCTION mine(uuid) RETURNS boolean LANGUAGE sql AS $$ SELECT $1 = auth.uid(); $$;
            REVOKE ALL ON notes FROM anon; GRANT SELECT (id, title) ON notes TO anon;";
        let native = read(text, &Arc::from("policies.sql")).unwrap();
        let installation = native.install(&Schema::default());
        let table = &installation.tables[0];
        let printed: Vec<&str> = table.policies.iter().map(|policy| policy.create.as_str()).collect();
        assert_eq!(
            printed[..4],
            [
                "CREATE POLICY \"own one\" ON \"public\".\"notes\" AS PERMISSIVE FOR ALL TO \"authenticated\" \
             USING (owner = (SELECT uid FROM aurora.as_authenticated)) \
             WITH CHECK (owner = (SELECT uid FROM aurora.as_authenticated))",
                "CREATE POLICY \"open\" ON \"public\".\"notes\" AS PERMISSIVE FOR SELECT TO anon, authenticated \
             USING (public)",
                "CREATE POLICY \"mfa\" ON \"public\".\"notes\" AS RESTRICTIVE FOR ALL TO anon, authenticated \
             USING ((SELECT claims ->> 'aal' FROM aurora.identity) = 'aal2')",
                "CREATE POLICY \"aurora binds anon\" ON \"public\".\"notes\" AS RESTRICTIVE FOR ALL TO anon \
             USING ((SELECT bound FROM aurora.as_anon)) WITH CHECK ((SELECT bound FROM aurora.as_anon))",
            ]
        );
        let anon: Vec<String> = table
            .held
            .iter()
            .filter(|held| held.role == "anon")
            .map(|held| format!("{} {:?}", held.privilege.as_str(), held.column))
            .collect();
        assert_eq!(anon, ["SELECT Some(\"id\")", "SELECT Some(\"title\")"]);
        assert_eq!(installation.types[0].create, "CREATE TYPE \"public\".\"kind\" AS ENUM ('a', 'it''s')");
        assert_eq!(
            installation.functions[0].create,
            "CREATE OR REPLACE FUNCTION \"public\".\"mine\"(uuid) RETURNS \
            boolean LANGUAGE sql AS $$ SELECT $1 = (SELECT uid FROM aurora.identity); $$ SET search_path = public, pg_temp "
        );
    }
}
