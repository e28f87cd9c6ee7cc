//! Statements of the host's that mean the same in PostgreSQL and in SQLite.

use super::rng::Rng;
use super::tree::{Kind, Node};
use super::world::{self, Table, Type, Value, Who, World};

/// What one case runs.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) statements: Vec<Node>,
    /// `None`: each commits by itself. Otherwise one transaction, and whether it commits.
    pub(crate) transaction: Option<bool>,
    /// The tables it speaks of.
    pub(crate) tables: Vec<usize>,
}

struct Statements<'a> {
    rng: &'a mut Rng,
    world: &'a World,
    who: &'a Who,
    /// Name and table of what stands in FROM, outermost scope first.
    scopes: Vec<Vec<(String, usize)>>,
    tables: Vec<usize>,
    aliases: usize,
}

/// Every row of a table.
pub(crate) fn everything(world: &World, table: usize) -> Script {
    let statement =
        Node::atom(Kind::Other, format!("SELECT * FROM {}", world.tables[table].name)).tag("SELECT *");
    Script { statements: vec![statement], transaction: None, tables: vec![table] }
}

pub(crate) fn draw(rng: &mut Rng, world: &World, who: &Who) -> Script {
    let mut this = Statements { rng, world, who, scopes: Vec::new(), tables: Vec::new(), aliases: 0 };
    let transaction = if this.rng.chance(18) { Some(this.rng.chance(75)) } else { None };
    let many = if transaction.is_some() { 2 + this.rng.below(3) } else { 1 };
    let mut statements: Vec<Node> = (0..many).map(|_| this.statement(transaction.is_some())).collect();
    if let Some(commit) = transaction {
        let tag = if commit { "transaction, committed" } else { "transaction, rolled back" };
        statements = statements.into_iter().map(|statement| statement.tag(tag)).collect();
    }
    let mut tables = std::mem::take(&mut this.tables);
    tables.sort_unstable();
    tables.dedup();
    Script { statements, transaction, tables }
}

impl Statements<'_> {
    fn statement(&mut self, in_transaction: bool) -> Node {
        self.scopes.clear();
        match self.rng.weighted(&[if in_transaction { 15 } else { 34 }, 19, 21, 12, 13]) {
            0 => self.select(),
            1 => self.insert(),
            2 => self.update(),
            3 => self.delete(),
            _ => self.upsert(),
        }
    }

    fn table(&mut self) -> usize {
        // The first ones have the policies that read others.
        let at = self.rng.weighted(&[5, 3, 2, 1][..self.world.tables.len()]);
        self.tables.push(at);
        at
    }

    fn known(&self, table: usize) -> &Table {
        &self.world.tables[table]
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("h{}", self.aliases)
    }

    /// What people write: rows of their own, more often than not.
    fn value(&mut self, column: &str, of: Type) -> Value {
        match self.who.user {
            Some(user) if of.kind() == Kind::Uuid && self.rng.chance(65) => Value::Uuid(user.to_owned()),
            _ if of.kind() == Kind::Int && self.rng.chance(12) => Value::Int(200),
            Some(user) if column == "owner_text" && self.rng.chance(65) => Value::Text(user.to_owned()),
            _ => world::value(self.rng, column, of),
        }
    }

    // ---- expressions ------------------------------------------------------------------------------------------

    fn column(&mut self, wanted: &dyn Fn(Type) -> bool) -> Option<Node> {
        let last = self.scopes.len().checked_sub(1)?;
        let depth = if last > 0 && self.rng.chance(25) { self.rng.below(last) } else { last };
        let mut known = Vec::new();
        for (name, table) in &self.scopes[depth] {
            for column in &self.world.tables[*table].columns {
                if wanted(column.of) {
                    known.push((format!("{name}.{}", column.name), column.of));
                }
            }
        }
        if known.is_empty() {
            return None;
        }
        let (text, of) = self.rng.pick(&known).clone();
        Some(Node::atom(of.kind(), text))
    }

    fn int(&mut self, depth: usize) -> Node {
        if depth > 0 && self.rng.chance(30) {
            let d = depth - 1;
            return match self.rng.below(4) {
                0 => Node::of(Kind::Int, "({} + {})", [self.int(d), self.int(d)]),
                1 => Node::of(Kind::Int, "({} - {})", [self.int(d), self.int(d)]),
                2 => Node::of(Kind::Int, "coalesce({}, {})", [self.int(d), self.int(0)]),
                _ => Node::of(
                    Kind::Int,
                    "CASE WHEN {} THEN {} ELSE {} END",
                    [self.bool(d), self.int(d), self.int(d)],
                ),
            };
        }
        let column = if self.rng.chance(75) { self.column(&|of| of.kind() == Kind::Int) } else { None };
        column.unwrap_or_else(|| Node::atom(Kind::Int, self.rng.below(6).to_string()))
    }

    fn text(&mut self) -> Node {
        let column = if self.rng.chance(75) { self.column(&|of| of == Type::Text) } else { None };
        column.unwrap_or_else(|| Node::atom(Kind::Text, format!("'{}'", self.rng.pick(&world::WORDS))))
    }

    fn bool(&mut self, depth: usize) -> Node {
        let d = depth.saturating_sub(1);
        match self.rng.weighted(&[
            20,
            10,
            8,
            8,
            6,
            6,
            if depth > 0 { 24 } else { 0 },
            if depth > 0 { 14 } else { 0 },
        ]) {
            0 => {
                let form = *self.rng.pick(&["{} = {}", "{} <> {}", "{} < {}", "{} >= {}"]);
                // What constants decide, PostgreSQL's planner drops with the permission checks of its subqueries.
                let Some(left) = self.column(&|of| of.kind() == Kind::Int) else { return self.certain() };
                Node::of(Kind::Bool, form, [left, self.int(d)])
            }
            1 => {
                let form = *self.rng.pick(&["{} = {}", "{} <> {}", "{} > {}"]);
                let Some(left) = self.column(&|of| of == Type::Text) else { return self.certain() };
                Node::of(Kind::Bool, form, [left, self.text()])
            }
            2 => match self.column(&|of| of == Type::Bool) {
                Some(column) => column,
                None => self.certain(),
            },
            3 => {
                let not = if self.rng.chance(50) { "NOT " } else { "" };
                let Some(one) = self.column(&|_| true) else { return self.certain() };
                Node::of(Kind::Bool, &format!("{{}} IS {not}NULL"), [one])
            }
            4 => match self
                .column(&|of| matches!(of, Type::UuidText | Type::UuidBlob | Type::Time | Type::Enum))
            {
                Some(column) => {
                    let text = column.text(super::tree::Engine::Postgres);
                    let name = text.split_once('.').map_or("", |(_, name)| name).to_owned();
                    let of = self.type_of(&text);
                    let value = world::value(self.rng, &name, of);
                    Node::of(Kind::Bool, "{} = {}", [column, value.node(of)])
                }
                None => self.certain(),
            },
            5 => {
                let list = Node::list(
                    vec![self.int(0), Node::atom(Kind::Int, "2"), Node::atom(Kind::Int, "3")],
                    ", ",
                );
                let form = *self.rng.pick(&["{} IN ({})", "{} NOT IN ({})"]);
                let Some(left) = self.column(&|of| of.kind() == Kind::Int) else { return self.certain() };
                Node::of(Kind::Bool, form, [left, list])
            }
            6 => match self.rng.below(3) {
                0 => Node::of(Kind::Bool, "({} AND {})", [self.bool(d), self.bool(d)]),
                1 => Node::of(Kind::Bool, "({} OR {})", [self.bool(d), self.bool(d)]),
                _ => Node::of(Kind::Bool, "NOT ({})", [self.bool(d)]),
            },
            _ => self.subquery(d),
        }
    }

    /// True of every row, and not for a planner to know.
    fn certain(&mut self) -> Node {
        let column = self.column(&|_| true).unwrap_or_else(|| Node::atom(Kind::Int, "1"));
        Node::of(
            Kind::Bool,
            "({0} IS NULL OR {0} IS NOT NULL)".replace("{0}", "{}").as_str(),
            [column.clone(), column],
        )
    }

    fn type_of(&self, qualified: &str) -> Type {
        let (source, name) = qualified.split_once('.').unwrap_or(("", qualified));
        let table =
            self.scopes.iter().flatten().rev().find(|(own, _)| own == source).map_or(0, |(_, table)| *table);
        self.known(table)
            .columns
            .iter()
            .find(|column| column.name == name)
            .map_or(Type::Text, |column| column.of)
    }

    fn subquery(&mut self, d: usize) -> Node {
        let (table, alias) = (self.table(), self.alias());
        let name = self.known(table).name.clone();
        let left = self.int(0);
        self.scopes.push(vec![(alias.clone(), table)]);
        let filter = self.bool(d.min(1));
        let output = self.column(&|of| of.kind() == Kind::Int);
        self.scopes.pop();
        match output {
            Some(output) if self.rng.chance(50) => {
                let form = *self.rng.pick(&["IN", "NOT IN"]);
                let form = format!("{{}} {form} (SELECT {{}} FROM {name} {alias}[[ WHERE {{}}]])");
                Node::of(Kind::Bool, &form, [left, output, filter]).tag("statement IN subquery")
            }
            _ => {
                let not = if self.rng.chance(30) { "NOT " } else { "" };
                let form = format!("{not}EXISTS (SELECT 1 FROM {name} {alias}[[ WHERE {{}}]])");
                Node::of(Kind::Bool, &form, [filter]).tag("statement EXISTS")
            }
        }
    }

    // ---- SELECT -----------------------------------------------------------------------------------------------

    fn select(&mut self) -> Node {
        match self.rng.below(14) {
            0..=3 => self.plain_select(),
            4..=6 => self.join(),
            7 | 8 => self.aggregate(),
            9 | 10 => self.with(),
            11 => self.derived(),
            12 => self.scalar(),
            _ => self.compound(),
        }
    }

    fn projection(&mut self) -> Node {
        let many = 1 + self.rng.below(3);
        let items =
            (0..many).map(|_| self.column(&|_| true).unwrap_or_else(|| Node::atom(Kind::Int, "1"))).collect();
        Node::list(items, ", ")
    }

    fn plain_select(&mut self) -> Node {
        let table = self.table();
        let name = self.known(table).name.clone();
        self.scopes.push(vec![(name.clone(), table)]);
        let projection = if self.rng.chance(30) { Node::atom(Kind::Other, "*") } else { self.projection() };
        let filter = self.bool(2);
        if self.rng.chance(30) {
            let keys: Vec<String> = self
                .known(table)
                .key
                .iter()
                .map(|at| format!("{name}.{}", self.known(table).columns[*at].name))
                .collect();
            let keys = keys.join(", ");
            let form = format!(
                "SELECT {{}} FROM {name}[[ WHERE {{}}]] ORDER BY {keys} LIMIT {}",
                1 + self.rng.below(3)
            );
            return Node::of(Kind::Other, &form, [projection, filter]).tag("SELECT").tag("ORDER BY LIMIT");
        }
        let form = format!("SELECT {{}} FROM {name}[[ WHERE {{}}]]");
        Node::of(Kind::Other, &form, [projection, filter]).tag("SELECT")
    }

    fn join(&mut self) -> Node {
        let (first, second) = (self.table(), self.table());
        let (a, b) = (self.alias(), self.alias());
        self.scopes.push(vec![(a.clone(), first), (b.clone(), second)]);
        let on = self.bool(1);
        let filter = self.bool(1);
        let projection = self.projection();
        let (left, right) = (self.known(first).name.clone(), self.known(second).name.clone());
        let (word, tag) =
            *self.rng.pick(&[("JOIN", "inner join"), ("JOIN", "inner join"), ("LEFT JOIN", "outer join")]);
        let form = format!("SELECT {{}} FROM {left} {a} {word} {right} {b} ON {{}}[[ WHERE {{}}]]");
        Node::of(Kind::Other, &form, [projection, on, filter]).tag("SELECT").tag(tag)
    }

    fn aggregate(&mut self) -> Node {
        let table = self.table();
        let name = self.known(table).name.clone();
        self.scopes.push(vec![(name.clone(), table)]);
        let filter = self.bool(1);
        let int = self.int(0);
        if self.rng.chance(40) {
            let by = self.column(&|of| matches!(of.kind(), Kind::Int | Kind::Text | Kind::Bool));
            let by = by.unwrap_or_else(|| Node::atom(Kind::Other, "id"));
            let form = format!(
                "SELECT {{}}, count(*) FROM {name}[[ WHERE {{}}]] GROUP BY {{}}[[ HAVING count(*) > 1]]"
            );
            let parts = [by.clone(), filter, by];
            return Node::of(Kind::Other, &form, parts).tag("SELECT").tag("GROUP BY");
        }
        let form = if self.rng.chance(50) {
            format!("SELECT count(*), sum({{}}) FROM {name}[[ WHERE {{}}]]")
        } else {
            format!("SELECT max({{}}) FROM {name}[[ WHERE {{}}]]")
        };
        Node::of(Kind::Other, &form, [int, filter]).tag("SELECT").tag("aggregate")
    }

    fn derived(&mut self) -> Node {
        let table = self.table();
        let name = self.known(table).name.clone();
        self.scopes.push(vec![(name.clone(), table)]);
        let inner = self.bool(1);
        self.scopes = vec![vec![("d".to_owned(), table)]];
        let (projection, outer) = (self.projection(), self.bool(1));
        let distinct = if self.rng.chance(40) { "DISTINCT " } else { "" };
        let form =
            format!("SELECT {distinct}{{}} FROM (SELECT * FROM {name}[[ WHERE {{}}]]) AS d[[ WHERE {{}}]]");
        Node::of(Kind::Other, &form, [projection, inner, outer]).tag("SELECT").tag("derived table")
    }

    fn scalar(&mut self) -> Node {
        let (table, other) = (self.table(), self.table());
        let (name, inner) = (self.known(table).name.clone(), self.known(other).name.clone());
        self.scopes = vec![vec![("a".to_owned(), table)], vec![("b".to_owned(), other)]];
        let condition = self.bool(1);
        self.scopes.truncate(1);
        let filter = self.bool(1);
        let form = format!(
            "SELECT a.id, (SELECT count(*) FROM {inner} b[[ WHERE {{}}]]) FROM {name} a[[ WHERE {{}}]]"
        );
        Node::of(Kind::Other, &form, [condition, filter]).tag("SELECT").tag("statement scalar subquery")
    }

    fn with(&mut self) -> Node {
        let (table, other) = (self.table(), self.table());
        let name = self.known(table).name.clone();
        self.scopes.push(vec![(name.clone(), table)]);
        let inner = self.bool(1);
        self.scopes.pop();
        self.scopes.push(vec![("c".to_owned(), table), ("o".to_owned(), other)]);
        let on = self.bool(1);
        let projection = self.projection();
        let other = self.known(other).name.clone();
        let form = format!(
            "WITH c AS (SELECT * FROM {name}[[ WHERE {{}}]]) SELECT {{}} FROM c JOIN {other} o ON {{}}"
        );
        Node::of(Kind::Other, &form, [inner, projection, on]).tag("SELECT").tag("CTE")
    }

    fn compound(&mut self) -> Node {
        let (first, second) = (self.table(), self.table());
        let word = *self.rng.pick(&["UNION ALL", "UNION", "EXCEPT", "INTERSECT"]);
        let mut sides = Vec::new();
        for table in [first, second] {
            let name = self.known(table).name.clone();
            self.scopes.push(vec![(name.clone(), table)]);
            let (int, filter) = (self.int(0), self.bool(1));
            self.scopes.pop();
            sides.push(Node::of(
                Kind::Other,
                &format!("SELECT {{}} FROM {name}[[ WHERE {{}}]]"),
                [int, filter],
            ));
        }
        Node::of(Kind::Other, &format!("{{}} {word} {{}}"), sides).tag("SELECT").tag("compound")
    }

    // ---- writes -----------------------------------------------------------------------------------------------

    fn returning(&mut self, table: usize) -> Node {
        let name = self.known(table).name.clone();
        let clause = match self.rng.below(10) {
            0..=4 => return Node::atom(Kind::Other, ""),
            5 => Node::atom(Kind::Other, " RETURNING *").tag("RETURNING *"),
            6 | 7 => Node::atom(Kind::Other, " RETURNING id").tag("RETURNING column"),
            8 => Node::atom(Kind::Other, " RETURNING 1").tag("RETURNING constant"),
            _ => {
                self.scopes = vec![vec![(name, table)]];
                let item = self.column(&|_| true).unwrap_or_else(|| Node::atom(Kind::Int, "1"));
                Node::of(Kind::Other, " RETURNING {}", [item]).tag("RETURNING column")
            }
        };
        Node::of(Kind::Other, "[[{}]]", [clause])
    }

    /// A new row, as columns and values.
    fn row(&mut self, table: usize, number: usize, all: bool) -> (Vec<usize>, Vec<Node>) {
        let known = self.known(table).clone();
        let mut columns = Vec::new();
        let mut values = Vec::new();
        for (at, column) in known.columns.iter().enumerate() {
            let must = known.is_key(at) || all;
            if !must && self.rng.chance(30) {
                continue;
            }
            let foreign = known.foreign.as_ref().filter(|foreign| foreign.column == at);
            let drawn = if known.key.first() == Some(&at) {
                world::key(self.rng, column.of, number)
            } else if !known.is_key(at) && self.rng.chance(if column.not_null { 16 } else { 6 }) {
                Value::Null
            } else {
                let drawn = self.value(&column.name, column.of);
                match foreign {
                    Some(foreign) if self.rng.chance(55) => {
                        self.world.parent_key(self.rng, foreign.parent, drawn)
                    }
                    _ => drawn,
                }
            };
            columns.push(at);
            values.push(drawn.node(column.of));
        }
        (columns, values)
    }

    fn names(&self, table: usize, columns: &[usize]) -> String {
        let names: Vec<&str> =
            columns.iter().map(|at| self.known(table).columns[*at].name.as_str()).collect();
        names.join(", ")
    }

    /// The number of a key that is free, or one that is taken.
    fn key_number(&mut self, taken: u64) -> usize {
        if self.rng.chance(taken) { self.rng.below(6) } else { 20 + self.rng.below(70) }
    }

    fn insert(&mut self) -> Node {
        let table = self.table();
        let name = self.known(table).name.clone();
        if self.rng.chance(15)
            && let Some(node) = self.insert_select(table)
        {
            return node;
        }
        let many = if self.rng.chance(20) { 2 } else { 1 };
        let number = self.key_number(20);
        let (columns, first) = self.row(table, number, many > 1);
        let mut rows = vec![Node::of(Kind::Other, "({})", [fixed(first)])];
        if many > 1 {
            let (_, second) = self.row(table, number + 100, true);
            rows.push(Node::of(Kind::Other, "({})", [fixed(second)]));
        }
        let returning = self.returning(table);
        let form = format!("INSERT INTO {name} ({}) VALUES {{}}{{}}", self.names(table, &columns));
        let node = Node::of(Kind::Other, &form, [Node::list(rows, ", "), returning]).tag("INSERT");
        if many > 1 { node.tag("INSERT of several rows") } else { node }
    }

    /// From the same table, so that every column fits.
    fn insert_select(&mut self, table: usize) -> Option<Node> {
        let known = self.known(table).clone();
        if known.key.len() != 1 || known.columns[0].of.kind() != Kind::Int || known.unique.is_some() {
            return None;
        }
        let mut output = vec!["s.id + 1000".to_owned()];
        output.extend(known.columns.iter().skip(1).map(|column| format!("s.{}", column.name)));
        self.scopes = vec![vec![("s".to_owned(), table)]];
        let filter = self.bool(1);
        let returning = self.returning(table);
        let all: Vec<usize> = (0..known.columns.len()).collect();
        let form = format!(
            "INSERT INTO {0} ({1}) SELECT {2} FROM {0} s[[ WHERE {{}}]]{{}}",
            known.name,
            self.names(table, &all),
            output.join(", ")
        );
        Some(Node::of(Kind::Other, &form, [filter, returning]).tag("INSERT SELECT"))
    }

    /// Columns that may be set on many rows at once.
    fn settable(&self, table: usize) -> Vec<usize> {
        let known = self.known(table);
        (0..known.columns.len()).filter(|at| !known.is_key(*at) && known.unique != Some(*at)).collect()
    }

    fn set(&mut self, table: usize, source: Option<&str>) -> Node {
        let settable = self.settable(table);
        let known = self.known(table).clone();
        let mut at = *self.rng.pick(&settable);
        let mut items = Vec::new();
        let many = if self.rng.chance(25) { 2 } else { 1 };
        for _ in 0..many {
            let column = &known.columns[at];
            let value = self.value(&column.name, column.of);
            let value = match source {
                Some(source) if column.of.kind() == Kind::Int && self.rng.chance(60) => {
                    let form = format!("coalesce({source}.{}, 0) + 1", column.name);
                    Node::atom(Kind::Int, form).tag("SET reads a column")
                }
                _ if self.rng.chance(5) && !column.not_null => Node::atom(Kind::Other, "NULL"),
                _ => value.node(column.of),
            };
            items.push(Node::of(Kind::Other, &format!("{} = {{}}", column.name), [value]));
            let next = *self.rng.pick(&settable);
            if next == at {
                break;
            }
            at = next;
        }
        Node::list(items, ", ")
    }

    fn update(&mut self) -> Node {
        let table = self.table();
        let known = self.known(table).clone();
        if self.rng.chance(8) {
            return self.update_key(table);
        }
        if self.rng.chance(40)
            && let Some(node) = self.update_from(table)
        {
            return node;
        }
        let name = if self.rng.chance(20) { self.alias() } else { known.name.clone() };
        let alias = if name == known.name { String::new() } else { format!(" AS {name}") };
        let reads = self.rng.chance(35);
        self.scopes = vec![vec![(name.clone(), table)]];
        let set = self.set(table, if reads { Some(&name) } else { None });
        if self.rng.chance(25) {
            let form = format!("UPDATE {}{alias} SET {{}}", known.name);
            let tag = if reads { "UPDATE without WHERE" } else { "UPDATE that reads nothing" };
            return Node::of(Kind::Other, &form, [set]).tag("UPDATE").tag(tag);
        }
        let filter = self.bool(2);
        let form = format!("UPDATE {}{alias} SET {{}}[[ WHERE {{}}]]{{}}", known.name);
        let returning = if alias.is_empty() { self.returning(table) } else { Node::atom(Kind::Other, "") };
        Node::of(Kind::Other, &form, [set, filter, returning]).tag("UPDATE").tag("UPDATE with WHERE")
    }

    fn update_key(&mut self, table: usize) -> Node {
        let known = self.known(table).clone();
        let of = known.columns[0].of;
        let (old, new) = (self.rng.below(6), self.key_number(20));
        let (old, new) = (world::key(self.rng, of, old).node(of), world::key(self.rng, of, new).node(of));
        let form = format!("UPDATE {} SET id = {{}} WHERE id = {{}}", known.name);
        if known.key.len() > 1 {
            let form = format!("{form} AND part = 1");
            return Node::of(Kind::Other, &form, [new, old]).tag("UPDATE").tag("UPDATE of a key");
        }
        Node::of(Kind::Other, &form, [new, old]).tag("UPDATE").tag("UPDATE of a key")
    }

    /// Each target row finds one source row at most.
    fn update_from(&mut self, table: usize) -> Option<Node> {
        let foreign = self.known(table).foreign.clone()?;
        let parent = self.known(foreign.parent).clone();
        self.tables.push(foreign.parent);
        let name = self.known(table).name.clone();
        let column = self.known(table).columns[foreign.column].name.clone();
        let set = self.set(table, None);
        self.scopes = vec![vec![(name.clone(), table), ("u".to_owned(), foreign.parent)]];
        let filter = self.bool(1);
        let form = format!(
            "UPDATE {name} SET {{}} FROM {} u WHERE u.id = {name}.{column}[[ AND {{}}]]",
            parent.name
        );
        Some(Node::of(Kind::Other, &form, [set, filter]).tag("UPDATE").tag("UPDATE FROM"))
    }

    fn delete(&mut self) -> Node {
        let table = self.table();
        let name = self.known(table).name.clone();
        if self.rng.chance(20) {
            return Node::atom(Kind::Other, format!("DELETE FROM {name}"))
                .tag("DELETE")
                .tag("DELETE that reads nothing");
        }
        if self.rng.chance(25) {
            let other = self.table();
            let inner = self.known(other).name.clone();
            self.scopes = vec![vec![(inner.clone(), other)]];
            let filter = self.bool(1);
            let column =
                self.known(other).columns.iter().find(|column| column.of == self.known(table).columns[0].of);
            let column = column.map_or("NULL".to_owned(), |column| column.name.clone());
            let form = format!(
                "WITH w AS (SELECT {column} AS key FROM {inner}[[ WHERE {{}}]]) DELETE FROM {name} WHERE id IN (SELECT key FROM w)"
            );
            if column != "NULL" {
                return Node::of(Kind::Other, &form, [filter]).tag("DELETE").tag("WITH before a write");
            }
        }
        self.scopes = vec![vec![(name.clone(), table)]];
        let filter = self.bool(2);
        let returning = self.returning(table);
        let form = format!("DELETE FROM {name}[[ WHERE {{}}]]{{}}");
        Node::of(Kind::Other, &form, [filter, returning]).tag("DELETE").tag("DELETE with WHERE")
    }

    fn upsert(&mut self) -> Node {
        let table = self.table();
        let known = self.known(table).clone();
        let number = self.key_number(85);
        let (columns, values) = self.row(table, number, false);
        let keys = self.names(table, &known.key);
        let names = self.names(table, &columns);
        let values = fixed(values);
        let head = format!("INSERT INTO {} ({names}) VALUES ({{}})", known.name);
        match self.rng.below(4) {
            0 => {
                let returning = self.returning(table);
                let (target, tag) = match self.rng.chance(50) {
                    true => (format!(" ({keys})"), "DO NOTHING with a target"),
                    false => (String::new(), "DO NOTHING without a target"),
                };
                let form = format!("{head} ON CONFLICT{target} DO NOTHING{{}}");
                Node::of(Kind::Other, &form, [values, returning]).tag("UPSERT").tag(tag)
            }
            _ => {
                let reads = if self.rng.chance(30) { Some(known.name.as_str()) } else { None };
                let set = self.upsert_set(table, &columns, reads);
                self.scopes = vec![vec![(known.name.clone(), table)]];
                let filter = self.bool(1);
                let with = self.rng.chance(35);
                let returning = self.returning(table);
                if with {
                    let form = format!("{head} ON CONFLICT ({keys}) DO UPDATE SET {{}} WHERE {{}}{{}}");
                    let parts = [values, set, filter, returning];
                    return Node::of(Kind::Other, &form, parts).tag("UPSERT").tag("DO UPDATE with WHERE");
                }
                let form = format!("{head} ON CONFLICT ({keys}) DO UPDATE SET {{}}{{}}");
                Node::of(Kind::Other, &form, [values, set, returning]).tag("UPSERT").tag("DO UPDATE")
            }
        }
    }

    fn upsert_set(&mut self, table: usize, columns: &[usize], reads: Option<&str>) -> Node {
        let settable = self.settable(table);
        let proposed: Vec<usize> = settable.iter().copied().filter(|at| columns.contains(at)).collect();
        if !proposed.is_empty() && self.rng.chance(60) {
            let at = *self.rng.pick(&proposed);
            let name = &self.known(table).columns[at].name;
            return Node::atom(Kind::Other, format!("{name} = excluded.{name}")).tag("excluded");
        }
        self.set(table, reads)
    }
}

/// A row's values: none may be left out.
fn fixed(values: Vec<Node>) -> Node {
    let form = vec!["{}"; values.len()].join(", ");
    Node::of(Kind::Other, &form, values)
}
