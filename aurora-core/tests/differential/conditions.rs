//! Conditions of policies: what compares, what tests, and what joins them.

use super::expr::Exprs;
use super::rng::Rng;
use super::tree::{Engine, Kind, Node};
use super::world::LABELS;

impl Exprs<'_> {
    pub(crate) fn compared(&mut self, d: usize) -> Node {
        let any =
            |rng: &mut Rng| *rng.pick(&["{} = {}", "{} <> {}", "{} < {}", "{} <= {}", "{} > {}", "{} >= {}"]);
        let same = |rng: &mut Rng| {
            *rng.pick(&[
                "{} = {}",
                "{} = {}",
                "{} <> {}",
                "{} IS DISTINCT FROM {}",
                "{} IS NOT DISTINCT FROM {}",
            ])
        };
        match self.rng.below(10) {
            0..=2 => {
                let op = if self.rng.chance(80) { any(self.rng) } else { same(self.rng) };
                Node::of(Kind::Bool, op, [self.int(d), self.int(d)]).tag("compare integer")
            }
            3 | 4 => {
                let op = same(self.rng);
                let right = if self.rng.chance(30) { self.claim() } else { self.text(d) };
                let left = self.text(d);
                // PostgreSQL 15 fails on `x = x` without a column: "cannot cope with variable-free clause" (XX000).
                let twins = left.text(Engine::Postgres) == right.text(Engine::Postgres);
                let right = if twins { self.lit(Kind::Text) } else { right };
                Node::of(Kind::Bool, op, [left, right]).tag("compare text")
            }
            5 | 6 => {
                let Some(column) = self.column(Kind::Uuid) else {
                    return self.owned().unwrap_or_else(|| self.lit(Kind::Bool));
                };
                let op = same(self.rng);
                Node::of(Kind::Bool, op, [column, self.uuid()]).tag("compare uuid")
            }
            7 => {
                let Some(column) = self.column(Kind::Time) else { return self.claims() };
                let op = any(self.rng);
                let right = match self.rng.below(4) {
                    0 => Node::atom(Kind::Time, "now()").tag("now()"),
                    1 => Node::atom(Kind::Time, "'2024-02-29T23:59:59Z'::timestamptz").tag("cast"),
                    _ => self.leaf(Kind::Time),
                };
                Node::of(Kind::Bool, op, [column, right]).tag("compare time")
            }
            8 => {
                let Some(column) = self.column(Kind::Enum) else { return self.claims() };
                let label = *self.rng.pick(&LABELS);
                let right =
                    if self.rng.chance(50) { format!("'{label}'::state") } else { format!("'{label}'") };
                let op = same(self.rng);
                Node::of(Kind::Bool, op, [column, Node::atom(Kind::Enum, right)]).tag("compare enum")
            }
            _ => {
                let Some(column) = self.column(Kind::Real) else { return self.claims() };
                let op = any(self.rng);
                Node::of(Kind::Bool, op, [column, self.lit(Kind::Real)]).tag("compare real")
            }
        }
    }

    /// Something worked out of the row, against a value.
    pub(crate) fn calculated(&mut self) -> Node {
        if self.rng.chance(50) {
            let op = *self.rng.pick(&["{} = {}", "{} <> {}", "{} > {}", "{} IS DISTINCT FROM {}"]);
            let scalar = if self.rng.chance(35) { self.scalar(Kind::Int, 1) } else { None };
            let sides = [scalar.unwrap_or_else(|| self.int(2)), self.lit(Kind::Int)];
            return Node::of(Kind::Bool, op, sides).tag("compare integer");
        }
        let op = *self.rng.pick(&["{} = {}", "{} <> {}", "{} IS DISTINCT FROM {}"]);
        let left = match self.rng.chance(40) {
            true => Node::of(Kind::Text, "({} || {})", [self.text(1), self.text(1)]).tag("||"),
            false => self.text(2),
        };
        let right = self.lit(Kind::Text);
        // As in `compared`: PostgreSQL fails on a comparison of twins.
        if left.text(Engine::Postgres) == right.text(Engine::Postgres) {
            return self.claims();
        }
        Node::of(Kind::Bool, op, [left, right]).tag("compare text")
    }

    pub(crate) fn claims(&mut self) -> Node {
        let op = *self.rng.pick(&["{} = {}", "{} <> {}", "{} IS DISTINCT FROM {}"]);
        let value = *self.rng.pick(&["'authenticated'", "'aal2'", "'admin'", "'true'", "'a'", "'2'"]);
        Node::of(Kind::Bool, op, [self.claim(), Node::atom(Kind::Text, value)]).tag("claim")
    }

    pub(crate) fn bool(&mut self, depth: usize) -> Node {
        if depth == 0 {
            return match self.rng.below(4) {
                0 => self.leaf(Kind::Bool),
                1 => self.owned().unwrap_or_else(|| self.claims()),
                _ => self.compared(0),
            };
        }
        let d = depth - 1;
        if let Some(node) = self.special(d) {
            return node;
        }
        match self.rng.weighted(&[10, 10, 7, 12, 8, 5, 5, 4, 3, 4, 3, 4, 3, 24, 3]) {
            0 => Node::of(Kind::Bool, "({} AND {})", [self.bool(d), self.bool(d)]).tag("AND"),
            1 => Node::of(Kind::Bool, "({} OR {})", [self.bool(d), self.bool(d)]).tag("OR"),
            2 => Node::of(Kind::Bool, "NOT ({})", [self.bool(d)]).tag("NOT"),
            3 => self.compared(d),
            4 => self.owned().unwrap_or_else(|| self.claims()),
            5 => self.is_something(d),
            6 => self.in_list(d),
            7 => self.like(d),
            8 => {
                let not = if self.rng.chance(30) { "NOT " } else { "" };
                let form = format!("{{}} {not}BETWEEN {{}} AND {{}}");
                Node::of(Kind::Bool, &form, [self.int(d), self.int(0), self.int(0)]).tag("BETWEEN")
            }
            9 => self.leaf(Kind::Bool),
            10 => Node::of(
                Kind::Bool,
                "CASE WHEN {} THEN {} ELSE {} END",
                [self.bool(d), self.bool(d), self.bool(d)],
            )
            .tag("CASE"),
            11 => {
                Node::of(Kind::Bool, "coalesce({}, {})", [self.bool(d), self.lit(Kind::Bool)]).tag("coalesce")
            }
            12 => self.json().unwrap_or_else(|| self.claims()),
            13 => self.subquery(d).unwrap_or_else(|| self.compared(d)),
            _ => {
                let (one, other) = (self.bool(d), self.bool(d));
                let op = *self.rng.pick(&["({}) = ({})", "({}) <> ({})", "({}) IS DISTINCT FROM ({})"]);
                Node::of(Kind::Bool, op, [one, other]).tag("compare boolean")
            }
        }
    }

    /// What needs a column or a function that not every world has.
    fn special(&mut self, d: usize) -> Option<Node> {
        match self.rng.weighted(&[42, 8, 12, 16, 11, 8, 10, 3]) {
            0 => None,
            1 => self.call(Kind::Bool),
            2 => self.among(),
            3 => self.array(d),
            4 => self.json(),
            5 => self.file(),
            6 => self.moment(),
            _ => Some(self.regex(d)),
        }
    }

    pub(crate) fn is_something(&mut self, d: usize) -> Node {
        if self.rng.chance(50) {
            let not = if self.rng.chance(50) { "NOT " } else { "" };
            let one = match self.rng.below(4) {
                0 => self.int(d),
                1 => self.text(d),
                2 => self.uuid(),
                _ => match self.column(Kind::Time) {
                    Some(time) => time,
                    None => self.int(d),
                },
            };
            return Node::of(Kind::Bool, &format!("({{}}) IS {not}NULL"), [one]).tag("IS NULL");
        }
        let form = *self.rng.pick(&[
            "({}) IS TRUE",
            "({}) IS NOT TRUE",
            "({}) IS FALSE",
            "({}) IS NOT FALSE",
            "({}) IS UNKNOWN",
            "({}) IS NOT UNKNOWN",
        ]);
        Node::of(Kind::Bool, form, [self.bool(d)]).tag("IS TRUE")
    }

    pub(crate) fn in_list(&mut self, d: usize) -> Node {
        let (kind, left) = match self.rng.below(4) {
            0 => (Kind::Int, self.int(d)),
            1 => (Kind::Text, self.text(d)),
            2 => match self.column(Kind::Enum) {
                Some(column) => (Kind::Enum, column),
                None => (Kind::Text, self.claim()),
            },
            _ => match self.column(Kind::Uuid) {
                Some(column) => (Kind::Uuid, column),
                None => (Kind::Int, self.int(d)),
            },
        };
        let many = 1 + self.rng.below(3);
        let mut items: Vec<Node> = (0..many).map(|_| self.lit(kind)).collect();
        if self.rng.chance(12) {
            items.push(Node::atom(kind, "NULL"));
        }
        if self.rng.chance(15) && kind == Kind::Int {
            items.push(self.int(0));
        }
        let list = Node::list(items, ", ");
        let kinds = matches!(kind, Kind::Int | Kind::Text);
        match self.rng.below(if kinds { 6 } else { 4 }) {
            0..=2 => Node::of(Kind::Bool, "{} IN ({})", [left, list]).tag("IN list"),
            3 => Node::of(Kind::Bool, "{} NOT IN ({})", [left, list]).tag("IN list"),
            4 => Node::of(Kind::Bool, "{} = ANY (ARRAY[{}])", [left, list]).tag("ANY array"),
            _ => Node::of(Kind::Bool, "{} <> ALL (ARRAY[{}])", [left, list]).tag("ANY array"),
        }
    }
}
