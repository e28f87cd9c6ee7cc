//! Policy expressions, well-typed by PostgreSQL's rules and within Aurora's subset.

use super::rng::Rng;
use super::tree::{Engine, Kind, Node};
use super::world::{LABELS, TIMES, Table, Type, USERS, WORDS};

/// A table that an expression may speak of.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) table: usize,
}

pub(crate) struct Exprs<'a> {
    pub(crate) rng: &'a mut Rng,
    pub(crate) tables: &'a [Table],
    /// Outermost first; the guarded row is the first.
    pub(crate) scopes: Vec<Vec<Source>>,
    /// Subqueries read tables from this one on, so that most worlds have no circles.
    pub(crate) from: usize,
    pub(crate) aliases: usize,
}

impl Exprs<'_> {
    fn lit(&mut self, kind: Kind) -> Node {
        let text = match kind {
            Kind::Bool => (*self.rng.pick(&["true", "false", "NULL::boolean"])).to_owned(),
            Kind::Int => (self.rng.below(6) as i64 - 1).to_string(),
            Kind::Text => format!("'{}'", self.rng.pick(&WORDS)),
            Kind::Uuid => format!("'{}", self.uuid_spelling()),
            Kind::Time => format!("'{}'", self.rng.pick(&TIMES)),
            Kind::Json => (*self.rng.pick(&["'{\"k\": \"a\"}'", "'{}'", "'null'"])).to_owned(),
            Kind::Real => format!("{:?}", (self.rng.below(9) as f64 - 2.0) / 4.0),
            Kind::Enum => format!("'{}'", self.rng.pick(&LABELS)),
            Kind::Other => unreachable!("no literal of that kind"),
        };
        if kind == Kind::Bool && text.starts_with("NULL") {
            Node::atom(kind, text).tag("NULL literal")
        } else {
            Node::atom(kind, text)
        }
    }

    fn uuid_spelling(&mut self) -> String {
        let user = *self.rng.pick(&USERS);
        if self.rng.chance(10) { format!("{}'::uuid", user.to_uppercase()) } else { format!("{user}'") }
    }

    /// Where a bare name would lead.
    fn bare(&self, name: &str) -> Option<(usize, usize, Type)> {
        for (depth, scope) in self.scopes.iter().enumerate().rev() {
            let mut found = scope.iter().enumerate().filter_map(|(at, source)| {
                let column = self.tables[source.table].columns.iter().find(|column| column.name == name)?;
                Some((depth, at, column.of))
            });
            match (found.next(), found.next()) {
                (Some(one), None) => return Some(one),
                (Some(_), Some(_)) => return None,
                _ => {}
            }
        }
        None
    }

    /// A column of that kind from one scope, spelled bare or qualified.
    fn column_in(&mut self, depth: usize, wanted: &dyn Fn(Type, &str) -> bool) -> Option<Node> {
        let mut known = Vec::new();
        for source in &self.scopes[depth] {
            let same = self.scopes.iter().flatten().filter(|other| other.name == source.name).count();
            for column in &self.tables[source.table].columns {
                if wanted(column.of, &column.name) && same == 1 {
                    known.push((source.name.clone(), column.name.clone(), column.of));
                }
            }
        }
        if known.is_empty() {
            return None;
        }
        let (source, column, of) = self.rng.pick(&known).clone();
        let bare = self.bare(&column);
        let fits = bare.is_some_and(|(_, _, own)| own == of);
        let captured = fits && bare.is_some_and(|(own, ..)| own != depth);
        let mut node = if fits && self.rng.chance(if captured { 14 } else { 50 }) {
            let node = Node::atom(of.kind(), column);
            if captured { node.tag("captured column") } else { node }
        } else {
            let qualifier =
                if depth == 0 && self.rng.chance(10) { format!("public.{source}") } else { source.clone() };
            Node::atom(of.kind(), format!("{qualifier}.{column}"))
        };
        node = node.tag(of.feature());
        if depth + 1 < self.scopes.len() { Some(node.tag("outer column")) } else { Some(node) }
    }

    fn column_of(&mut self, wanted: &dyn Fn(Type, &str) -> bool) -> Option<Node> {
        let last = self.scopes.len() - 1;
        let depth = if last > 0 && self.rng.chance(25) { self.rng.below(last) } else { last };
        self.column_in(depth, wanted).or_else(|| self.column_in(last, wanted))
    }

    pub(crate) fn column(&mut self, kind: Kind) -> Option<Node> {
        self.column_of(&|of, _| of.kind() == kind)
    }

    fn leaf(&mut self, kind: Kind) -> Node {
        if self.rng.chance(80)
            && let Some(column) = self.column(kind)
        {
            return column;
        }
        self.lit(kind)
    }

    /// Something that says who asks.
    fn uid(&mut self) -> Node {
        match self.rng.below(8) {
            0..=3 => Node::atom(Kind::Uuid, "auth.uid()").tag("auth.uid()"),
            4 | 5 => Node::atom(Kind::Uuid, "(SELECT auth.uid())").tag("(SELECT auth.uid())"),
            6 => Node::atom(Kind::Uuid, "(auth.jwt() ->> 'sub')::uuid").tag("auth.jwt()"),
            _ => {
                Node::atom(Kind::Uuid, "(current_setting('request.jwt.claims', true)::json ->> 'sub')::uuid")
                    .tag("current_setting")
            }
        }
    }

    pub(crate) fn claim(&mut self) -> Node {
        match self.rng.below(8) {
            0 => Node::atom(Kind::Text, "auth.role()").tag("auth.role()"),
            1 => Node::atom(Kind::Text, "auth.email()").tag("auth.email()"),
            2 => Node::atom(Kind::Text, "(auth.jwt() ->> 'aal')").tag("auth.jwt()"),
            3 => Node::atom(Kind::Text, "(auth.jwt() -> 'app_metadata' ->> 'role')").tag("auth.jwt()"),
            4 => Node::atom(Kind::Text, "((SELECT auth.jwt()) ->> 'banned')").tag("auth.jwt()"),
            5 => Node::atom(Kind::Text, "(auth.jwt() -> 'app_metadata' ->> 'team')").tag("auth.jwt()"),
            6 => Node::atom(Kind::Text, "auth.uid()::text").tag("auth.uid()").tag("cast"),
            _ => Node::atom(Kind::Text, "nullif(current_setting('app.tenant_id', true), '')")
                .tag("current_setting"),
        }
    }

    pub(crate) fn int(&mut self, depth: usize) -> Node {
        if depth == 0 || self.rng.chance(45) {
            return self.leaf(Kind::Int);
        }
        let d = depth - 1;
        match self.rng.below(13) {
            0 | 1 => {
                let op = *self.rng.pick(&["({} + {})", "({} - {})", "({} * {})"]);
                Node::of(Kind::Int, op, [self.int(d), self.int(d)]).tag("arithmetic")
            }
            2 => {
                let op = format!("({{}} {} {})", self.rng.pick(&["/", "%"]), 2 + self.rng.below(3));
                Node::of(Kind::Int, &op, [self.int(d)]).tag("arithmetic")
            }
            3 => Node::of(Kind::Int, "length({})", [self.text(d)]).tag("text function"),
            4 => Node::of(Kind::Int, "coalesce({}, {})", [self.int(d), self.int(d)]).tag("coalesce"),
            5 => Node::of(
                Kind::Int,
                "CASE WHEN {} THEN {} ELSE {} END",
                [self.bool(d), self.int(d), self.int(d)],
            )
            .tag("CASE"),
            6 => match self.column(Kind::Json) {
                Some(json) => {
                    Node::of(Kind::Int, "({} ->> 'n')::int", [json]).tag("cast").tag("json operator")
                }
                None => self.leaf(Kind::Int),
            },
            7 => Node::of(Kind::Int, "nullif({}, {})", [self.int(d), self.int(d)]).tag("coalesce"),
            8 => Node::of(Kind::Int, "({})::int", [self.bool(d)]).tag("cast"),
            9 => Node::of(Kind::Int, "(-{})", [self.leaf(Kind::Int)]).tag("arithmetic"),
            _ => self.scalar(Kind::Int, d).unwrap_or_else(|| Node::atom(Kind::Int, "2")),
        }
    }

    pub(crate) fn text(&mut self, depth: usize) -> Node {
        if depth == 0 || self.rng.chance(45) {
            return self.leaf(Kind::Text);
        }
        let d = depth - 1;
        match self.rng.below(13) {
            0 => Node::of(Kind::Text, "lower({})", [self.text(d)]).tag("text function"),
            1 => Node::of(Kind::Text, "upper({})", [self.text(d)]).tag("text function"),
            2 | 11 => Node::of(Kind::Text, "({} || {})", [self.text(d), self.text(d)]).tag("||"),
            3 => match self.column(Kind::Uuid) {
                Some(uuid) => Node::of(Kind::Text, "({})::text", [uuid]).tag("cast"),
                None => self.leaf(Kind::Text),
            },
            4 => Node::of(Kind::Text, "({})::text", [self.int(d)]).tag("cast"),
            5 => self.json_text(d),
            6 => Node::of(Kind::Text, "coalesce({}, {})", [self.text(d), self.text(d)]).tag("coalesce"),
            7 => Node::of(
                Kind::Text,
                "CASE {} WHEN {} THEN {} ELSE {} END",
                [self.int(d), self.int(0), self.text(d), self.text(d)],
            )
            .tag("CASE"),
            8 => Node::of(Kind::Text, "({})::text", [self.bool(d)]).tag("cast"),
            9 => self.claim(),
            _ => self.scalar(Kind::Text, d).unwrap_or_else(|| Node::atom(Kind::Text, "'b'")),
        }
    }

    fn json_text(&mut self, _depth: usize) -> Node {
        let Some(json) = self.column(Kind::Json) else { return self.claim() };
        let form =
            *self.rng.pick(&["({} ->> 'owner')", "({} ->> 'ok')", "({} -> 'in' ->> 'k')", "({} ->> 'n')"]);
        Node::of(Kind::Text, form, [json]).tag("json operator")
    }

    fn uuid(&mut self) -> Node {
        if self.rng.chance(55) {
            return self.uid();
        }
        self.leaf(Kind::Uuid)
    }

    /// What most policies are made of: the row is somebody's.
    pub(crate) fn owned(&mut self) -> Option<Node> {
        let not_key = |of: Type, name: &str| of.kind() == Kind::Uuid && name != "id";
        if self.rng.chance(80)
            && let Some(owner) = self.column_of(&not_key)
        {
            let uid = self.uid();
            let sides = if self.rng.chance(50) { [owner, uid] } else { [uid, owner] };
            return Some(Node::of(Kind::Bool, "{} = {}", sides).tag("owner"));
        }
        let owner = self.column_of(&|_, name| name == "owner_text")?;
        let uid = Node::atom(Kind::Text, *self.rng.pick(&["auth.uid()::text", "(auth.jwt() ->> 'sub')"]));
        Some(Node::of(Kind::Bool, "{} = {}", [owner, uid]).tag("owner"))
    }

    fn compared(&mut self, d: usize) -> Node {
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

    fn claims(&mut self) -> Node {
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
        match self.rng.weighted(&[10, 10, 7, 12, 8, 5, 5, 4, 3, 4, 3, 4, 3, 16, 3]) {
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
            12 => match self.column(Kind::Json) {
                Some(json) => {
                    let form = *self.rng.pick(&[
                        "({} ->> 'ok')::boolean",
                        "({} ->> 'owner')::uuid = auth.uid()",
                        "({} -> 'in') = '{\"k\": \"a\"}'::jsonb",
                        "({} -> 'n') IS NULL",
                    ]);
                    Node::of(Kind::Bool, form, [json]).tag("json operator").tag("cast")
                }
                None => self.claims(),
            },
            13 => self.subquery(d).unwrap_or_else(|| self.compared(d)),
            _ => {
                let (one, other) = (self.bool(d), self.bool(d));
                let op = *self.rng.pick(&["({}) = ({})", "({}) <> ({})", "({}) IS DISTINCT FROM ({})"]);
                Node::of(Kind::Bool, op, [one, other]).tag("compare boolean")
            }
        }
    }

    fn is_something(&mut self, d: usize) -> Node {
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

    fn in_list(&mut self, d: usize) -> Node {
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

    fn like(&mut self, d: usize) -> Node {
        let pattern = *self.rng.pick(&["'a%'", "'%b'", "'_b%'", "'A%'", "'%'", "'a\\%'", "'x\\__'", "''"]);
        let op = *self.rng.pick(&["LIKE", "LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE"]);
        Node::of(Kind::Bool, &format!("{{}} {op} {pattern}"), [self.text(d)]).tag("LIKE")
    }

    // ---- subqueries -------------------------------------------------------------------------------------------

    /// A FROM of one or two tables; its sources become the innermost scope.
    fn open(&mut self) -> Option<Node> {
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
    fn joined(&mut self, one: usize, other: usize) -> Option<Node> {
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
    fn tie(&mut self) -> Option<Node> {
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

    fn filter(&mut self, d: usize, tied: u64) -> Node {
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

    fn subquery(&mut self, d: usize) -> Option<Node> {
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

    fn output(&mut self) -> Option<(Kind, Node)> {
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
    fn scalar(&mut self, kind: Kind, d: usize) -> Option<Node> {
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
