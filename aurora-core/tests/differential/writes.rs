//! INSERT, UPDATE, DELETE and UPSERT.

use super::statements::Statements;
use super::tree::{Kind, Node};
use super::world::{self, Value};

impl Statements<'_> {
    pub(crate) fn returning(&mut self, table: usize) -> Node {
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
    pub(crate) fn row(&mut self, table: usize, number: usize, all: bool) -> (Vec<usize>, Vec<Node>) {
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
                    Some(foreign) if self.rng.chance(25) => {
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

    pub(crate) fn names(&self, table: usize, columns: &[usize]) -> String {
        let names: Vec<&str> =
            columns.iter().map(|at| self.known(table).columns[*at].name.as_str()).collect();
        names.join(", ")
    }

    /// The number of a key that is free, or one that is taken.
    pub(crate) fn key_number(&mut self, taken: u64) -> usize {
        if self.rng.chance(taken) { self.rng.below(6) } else { 20 + self.rng.below(70) }
    }

    pub(crate) fn insert(&mut self) -> Node {
        let table = self.table();
        let name = self.known(table).name.clone();
        if self.rng.chance(65)
            && let Some(node) = self.insert_select(table)
        {
            return node;
        }
        let many = if self.rng.chance(40) { 2 } else { 1 };
        let number = self.key_number(35);
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
    pub(crate) fn insert_select(&mut self, table: usize) -> Option<Node> {
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
    pub(crate) fn settable(&self, table: usize) -> Vec<usize> {
        let known = self.known(table);
        (0..known.columns.len()).filter(|at| !known.is_key(*at) && known.unique != Some(*at)).collect()
    }

    pub(crate) fn set(&mut self, table: usize, source: Option<&str>) -> Node {
        let settable = self.settable(table);
        let known = self.known(table).clone();
        let mut at = *self.rng.pick(&settable);
        if source.is_some() && self.rng.chance(50) {
            let int = settable.iter().find(|at| known.columns[**at].of.kind() == Kind::Int);
            at = int.copied().unwrap_or(at);
        }
        let mut items = Vec::new();
        let many = if self.rng.chance(25) { 2 } else { 1 };
        for _ in 0..many {
            let column = &known.columns[at];
            let value = self.value(&column.name, column.of);
            let value = match source {
                Some(source) if column.of.kind() == Kind::Int && self.rng.chance(90) => {
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

    pub(crate) fn update(&mut self) -> Node {
        let table = self.table();
        let known = self.known(table).clone();
        if self.rng.chance(14) {
            return self.update_key(table);
        }
        if self.rng.chance(40)
            && let Some(node) = self.update_from(table)
        {
            return node;
        }
        let name = if self.rng.chance(20) { self.alias() } else { known.name.clone() };
        let alias = if name == known.name { String::new() } else { format!(" AS {name}") };
        let reads = self.rng.chance(55);
        self.scopes = vec![vec![(name.clone(), table)]];
        let set = self.set(table, if reads { Some(&name) } else { None });
        if self.rng.chance(40) {
            let form = format!("UPDATE {}{alias} SET {{}}", known.name);
            let tag = if reads { "UPDATE without WHERE" } else { "UPDATE that reads nothing" };
            return Node::of(Kind::Other, &form, [set]).tag("UPDATE").tag(tag);
        }
        let filter = self.bool(2);
        let form = format!("UPDATE {}{alias} SET {{}}[[ WHERE {{}}]]{{}}", known.name);
        let returning = if alias.is_empty() { self.returning(table) } else { Node::atom(Kind::Other, "") };
        Node::of(Kind::Other, &form, [set, filter, returning]).tag("UPDATE").tag("UPDATE with WHERE")
    }

    pub(crate) fn update_key(&mut self, table: usize) -> Node {
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
    pub(crate) fn update_from(&mut self, table: usize) -> Option<Node> {
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

    pub(crate) fn delete(&mut self) -> Node {
        let table = self.table();
        let name = self.known(table).name.clone();
        if self.rng.chance(28) {
            return Node::atom(Kind::Other, format!("DELETE FROM {name}"))
                .tag("DELETE")
                .tag("DELETE that reads nothing");
        }
        if self.rng.chance(45) {
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

    pub(crate) fn upsert(&mut self) -> Node {
        let table = self.table();
        let known = self.known(table).clone();
        let number = self.key_number(85);
        let (columns, values) = self.row(table, number, false);
        let keys = self.names(table, &known.key);
        let names = self.names(table, &columns);
        let values = fixed(values);
        let head = format!("INSERT INTO {} ({names}) VALUES ({{}})", known.name);
        match self.rng.below(3) {
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
                let reads = if self.rng.chance(50) { Some(known.name.as_str()) } else { None };
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

    pub(crate) fn upsert_set(&mut self, table: usize, columns: &[usize], reads: Option<&str>) -> Node {
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
pub(crate) fn fixed(values: Vec<Node>) -> Node {
    let form = vec!["{}"; values.len()].join(", ");
    Node::of(Kind::Other, &form, values)
}
