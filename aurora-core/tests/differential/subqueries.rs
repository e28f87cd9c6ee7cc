//! Subqueries of policies.

use super::expr::{Exprs, Source};
use super::tree::{Engine, Kind, Node};

impl Exprs<'_> {
    /// A FROM of one or two tables; its sources become the innermost scope.
    pub(crate) fn open(&mut self) -> Option<Node> {
        if self.from >= self.tables.len() || self.scopes.len() > 3 {
            return None;
        }
        let mut sources = Vec::new();
        let mut items = Vec::new();
        let many = if self.rng.chance(20) { 2 } else { 1 };
        for _ in 0..many {
            let table = self.from + self.rng.below(self.tables.len() - self.from);
            let name = self.tables[table].name.clone();
            let taken =
                self.scopes.iter().flatten().chain(&sources).any(|source: &Source| source.name == name);
            let (alias, text) = if taken || self.rng.chance(50) {
                self.aliases += 1;
                let alias = format!("x{}", self.aliases);
                let schema = if self.rng.chance(15) { "public." } else { "" };
                (alias.clone(), format!("{schema}{name} {alias}"))
            } else {
                (name.clone(), name)
            };
            sources.push(Source { name: alias, table });
            items.push(Node::atom(Kind::Other, text));
        }
        self.scopes.push(sources);
        if items.len() == 1 {
            return items.pop();
        }
        let on = self.joined(0, 1);
        let second = items.pop()?;
        let first = items.pop()?;
        Some(match on {
            Some(on) => {
                Node::of(Kind::Other, "{} JOIN {} ON {}", [first, second, on]).tag("join in a subquery")
            }
            None => Node::of(Kind::Other, "{}, {}", [first, second]).tag("join in a subquery"),
        })
    }

    /// An equality between two sources of the innermost scope.
    pub(crate) fn joined(&mut self, one: usize, other: usize) -> Option<Node> {
        let scope = self.scopes.last()?.clone();
        let mut pairs = Vec::new();
        for a in &self.tables[scope[one].table].columns {
            for b in &self.tables[scope[other].table].columns {
                if a.of.kind() == b.of.kind() && matches!(a.of.kind(), Kind::Int | Kind::Uuid | Kind::Text) {
                    pairs.push((a.name.clone(), b.name.clone()));
                }
            }
        }
        if pairs.is_empty() {
            return None;
        }
        let (a, b) = self.rng.pick(&pairs).clone();
        Some(Node::atom(Kind::Bool, format!("{}.{a} = {}.{b}", scope[one].name, scope[other].name)))
    }

    /// Ties the innermost scope to the one around it.
    pub(crate) fn tie(&mut self) -> Option<Node> {
        let depth = self.scopes.len() - 2;
        for _ in 0..4 {
            let kind = *self.rng.pick(&[Kind::Int, Kind::Int, Kind::Uuid, Kind::Text]);
            let outer = self.column_in(depth, &|of, _| of.kind() == kind);
            let inner = self.column_in(depth + 1, &|of, _| of.kind() == kind);
            if let (Some(outer), Some(inner)) = (outer, inner) {
                let sides = if self.rng.chance(50) { [outer, inner] } else { [inner, outer] };
                return Some(Node::of(Kind::Bool, "{} = {}", sides).tag("correlated"));
            }
        }
        None
    }

    pub(crate) fn filter(&mut self, d: usize, tied: u64) -> Node {
        let mut conditions = Vec::new();
        if self.rng.chance(tied)
            && let Some(tie) = self.tie()
        {
            conditions.push(tie);
        }
        if self.rng.chance(60)
            && let Some(owned) = self.owned()
        {
            conditions.push(owned);
        }
        if self.rng.chance(45) || conditions.is_empty() {
            conditions.push(self.bool(d.min(1)));
        }
        Node::list(conditions, " AND ")
    }

    pub(crate) fn subquery(&mut self, d: usize) -> Option<Node> {
        let from = self.open()?;
        let out = match self.rng.below(10) {
            0..=4 => {
                let not = if self.rng.chance(25) { "NOT " } else { "" };
                let output = *self.rng.pick(&["1", "1", "*", "true", "NULL"]);
                let filter = self.filter(d, 85);
                let limit = if self.rng.chance(10) { " LIMIT 1" } else { "" };
                let form = format!("{not}EXISTS (SELECT {output} FROM {{}}[[ WHERE {{}}]]{limit})");
                let node = Node::of(Kind::Bool, &form, [from, filter]).tag("EXISTS");
                if not.is_empty() { node } else { node.tag("NOT EXISTS") }
            }
            _ => {
                let Some((kind, output)) = self.output() else {
                    self.scopes.pop();
                    return None;
                };
                let filter = self.filter(d, 30);
                let inner = self.scopes.pop()?;
                let left = match kind {
                    Kind::Int => self.int(0),
                    Kind::Text => self.text(0),
                    _ => self.uuid(),
                };
                self.scopes.push(inner);
                let distinct = if self.rng.chance(10) { "DISTINCT " } else { "" };
                match self.rng.below(8) {
                    0..=3 => {
                        let form = format!("{{}} IN (SELECT {distinct}{{}} FROM {{}}[[ WHERE {{}}]])");
                        Node::of(Kind::Bool, &form, [left, output, from, filter]).tag("IN subquery")
                    }
                    4 | 5 => {
                        let form = format!("{{}} NOT IN (SELECT {distinct}{{}} FROM {{}}[[ WHERE {{}}]])");
                        Node::of(Kind::Bool, &form, [left, output, from, filter]).tag("NOT IN subquery")
                    }
                    6 => {
                        let form = "{} = ANY (ARRAY(SELECT {} FROM {}[[ WHERE {}]]))";
                        Node::of(Kind::Bool, form, [left, output, from, filter]).tag("ANY array subquery")
                    }
                    _ => Node::of(
                        Kind::Bool,
                        "{} = ANY (SELECT {} FROM {}[[ WHERE {}]])",
                        [left, output, from, filter],
                    )
                    .tag("ANY subquery"),
                }
            }
        };
        self.scopes.pop();
        if self.scopes.len() > 1 { Some(out.tag("nested subquery")) } else { Some(out) }
    }

    /// That no row is there, or that nobody's is: NULLs tell the ways to ask for it apart.
    pub(crate) fn absent(&mut self) -> Option<Node> {
        if self.from >= self.tables.len() {
            return None;
        }
        let table = self.from + self.rng.below(self.tables.len() - self.from);
        self.aliases += 1;
        let (name, alias) = (self.tables[table].name.clone(), format!("x{}", self.aliases));
        self.scopes.push(vec![Source { name: alias.clone(), table }]);
        let tie = self.tie();
        let last = self.scopes.len() - 1;
        let owner = self.column_in(last, &|of, column| of.kind() == Kind::Uuid && column != "id");
        self.scopes.pop();
        match owner.filter(|_| self.rng.chance(50)) {
            Some(owner) => {
                let form = format!("{{}} NOT IN (SELECT {{}} FROM {name} {alias} WHERE {{}})");
                let uid = self.uid();
                Some(Node::of(Kind::Bool, &form, [uid, owner, tie?]).tag("NOT IN subquery"))
            }
            None => {
                let form = format!("NOT EXISTS (SELECT 1 FROM {name} {alias} WHERE {{}})");
                Some(Node::of(Kind::Bool, &form, [tie?]).tag("NOT EXISTS"))
            }
        }
    }

    pub(crate) fn output(&mut self) -> Option<(Kind, Node)> {
        let last = self.scopes.len() - 1;
        for _ in 0..4 {
            let kind = *self.rng.pick(&[Kind::Int, Kind::Uuid, Kind::Text]);
            if let Some(column) = self.column_in(last, &|of, _| of.kind() == kind) {
                return Some((kind, column));
            }
        }
        None
    }

    /// A scalar subquery over a whole key, so that it finds one row at most.
    pub(crate) fn scalar(&mut self, kind: Kind, d: usize) -> Option<Node> {
        if self.from >= self.tables.len() || self.scopes.len() > 3 {
            return None;
        }
        let possible: Vec<usize> =
            (self.from..self.tables.len()).filter(|table| self.tables[*table].key.len() == 1).collect();
        if possible.is_empty() {
            return None;
        }
        let table = *self.rng.pick(&possible);
        let of = self.tables[table].columns[0].of;
        let outer = self.column(of.kind()).filter(|_| self.rng.chance(80));
        let key = outer.unwrap_or_else(|| match of.kind() {
            Kind::Text => Node::atom(Kind::Text, "'k1'"),
            kind => self.lit(kind),
        });
        // A bare name would be captured by the inner table.
        if !key.text(Engine::Postgres).contains(['.', '\'']) && of.kind() != Kind::Int {
            return None;
        }
        self.aliases += 1;
        let alias = format!("s{}", self.aliases);
        self.scopes.push(vec![Source { name: alias.clone(), table }]);
        let last = self.scopes.len() - 1;
        let output = self.column_in(last, &|of, _| of.kind() == kind);
        let more = self.bool(d.min(1));
        self.scopes.pop();
        let output = output?;
        let key = if key.text(Engine::Postgres).chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            Node::atom(Kind::Int, "1")
        } else {
            key
        };
        let form = format!(
            "(SELECT {{}} FROM {} {alias} WHERE {alias}.id = {{}}[[ AND {{}}]])",
            self.tables[table].name
        );
        Some(Node::of(kind, &form, [output, key, more]).tag("scalar subquery"))
    }
}
