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
    /// Its values are bound to parameters.
    pub(crate) bound: bool,
    /// The tables it speaks of.
    pub(crate) tables: Vec<usize>,
}

pub(crate) struct Statements<'a> {
    pub(crate) rng: &'a mut Rng,
    pub(crate) world: &'a World,
    pub(crate) who: &'a Who,
    /// Name and table of what stands in FROM, outermost scope first.
    pub(crate) scopes: Vec<Vec<(String, usize)>>,
    pub(crate) tables: Vec<usize>,
    pub(crate) aliases: usize,
}

/// Every row of a table.
pub(crate) fn everything(world: &World, table: usize) -> Script {
    let statement =
        Node::atom(Kind::Other, format!("SELECT * FROM {}", world.tables[table].name)).tag("SELECT *");
    Script { statements: vec![statement], transaction: None, bound: false, tables: vec![table] }
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
    let bound = this.rng.chance(35);
    if bound {
        statements = statements.into_iter().map(|statement| statement.tag("bound parameters")).collect();
    }
    Script { statements, transaction, bound, tables }
}

impl Statements<'_> {
    pub(crate) fn statement(&mut self, in_transaction: bool) -> Node {
        self.scopes.clear();
        match self.rng.weighted(&[if in_transaction { 15 } else { 41 }, 11, 20, 11, 15, 20]) {
            0 => self.select(),
            1 => self.insert(),
            2 => self.update(),
            3 => self.delete(),
            4 => self.upsert(),
            _ => self.aimed(),
        }
    }

    pub(crate) fn table(&mut self) -> usize {
        // The first ones have the policies that read others.
        let at = self.rng.weighted(&[5, 3, 2, 1][..self.world.tables.len()]);
        self.tables.push(at);
        at
    }

    pub(crate) fn known(&self, table: usize) -> &Table {
        &self.world.tables[table]
    }

    pub(crate) fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("h{}", self.aliases)
    }

    /// What people write: rows of their own, more often than not.
    pub(crate) fn value(&mut self, column: &str, of: Type) -> Value {
        match self.who.user {
            Some(user) if of.kind() == Kind::Uuid && self.rng.chance(65) => Value::Uuid(user.to_owned()),
            _ if of.kind() == Kind::Int && self.rng.chance(35) => Value::Int(200),
            Some(user) if column == "owner_text" && self.rng.chance(65) => Value::Text(user.to_owned()),
            _ => world::value(self.rng, column, of),
        }
    }

    // ---- expressions ------------------------------------------------------------------------------------------

    pub(crate) fn column(&mut self, wanted: &dyn Fn(Type) -> bool) -> Option<Node> {
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

    pub(crate) fn int(&mut self, depth: usize) -> Node {
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
        column.unwrap_or_else(|| Node::value(Value::Int(self.rng.below(6) as i64), Type::BigInt))
    }

    pub(crate) fn text(&mut self) -> Node {
        let column = if self.rng.chance(75) { self.column(&|of| of == Type::Text) } else { None };
        column.unwrap_or_else(|| {
            Node::value(Value::Text((*self.rng.pick(&world::WORDS)).to_owned()), Type::Text)
        })
    }

    pub(crate) fn bool(&mut self, depth: usize) -> Node {
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
    pub(crate) fn certain(&mut self) -> Node {
        let column = self.column(&|_| true).unwrap_or_else(|| Node::atom(Kind::Int, "1"));
        Node::of(
            Kind::Bool,
            "({0} IS NULL OR {0} IS NOT NULL)".replace("{0}", "{}").as_str(),
            [column.clone(), column],
        )
    }

    pub(crate) fn type_of(&self, qualified: &str) -> Type {
        let (source, name) = qualified.split_once('.').unwrap_or(("", qualified));
        let table =
            self.scopes.iter().flatten().rev().find(|(own, _)| own == source).map_or(0, |(_, table)| *table);
        self.known(table)
            .columns
            .iter()
            .find(|column| column.name == name)
            .map_or(Type::Text, |column| column.of)
    }

    pub(crate) fn subquery(&mut self, d: usize) -> Node {
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
}
