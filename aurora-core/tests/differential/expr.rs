//! Policy expressions, well-typed by PostgreSQL's rules and within Aurora's subset.

use super::helpers::{Helper, Parameter};
use super::rng::Rng;
use super::tree::{Kind, Node};
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
    pub(crate) helpers: &'a [Helper],
    /// In the body of a helper: its arguments.
    pub(crate) parameters: Vec<Parameter>,
}

impl Exprs<'_> {
    pub(crate) fn lit(&mut self, kind: Kind) -> Node {
        let text = match kind {
            Kind::Bool => (*self.rng.pick(&["true", "false", "NULL::boolean"])).to_owned(),
            Kind::Int => (self.rng.below(6) as i64 - 1).to_string(),
            Kind::Text => format!("'{}'", self.rng.pick(&WORDS)),
            Kind::Uuid => format!("'{}", self.uuid_spelling()),
            Kind::Time => format!("'{}'", self.rng.pick(&TIMES)),
            Kind::Json => (*self.rng.pick(&["'{\"k\": \"a\"}'", "'{}'", "'null'"])).to_owned(),
            Kind::Real => format!("{:?}", (self.rng.below(9) as f64 - 2.0) / 4.0),
            Kind::Enum => format!("'{}'", self.rng.pick(&LABELS)),
            Kind::Ints | Kind::Texts | Kind::Uuids | Kind::Other => unreachable!("no literal of that kind"),
        };
        if kind == Kind::Bool && text.starts_with("NULL") {
            Node::atom(kind, text).tag("NULL literal")
        } else {
            Node::atom(kind, text)
        }
    }

    pub(crate) fn uuid_spelling(&mut self) -> String {
        let user = *self.rng.pick(&USERS);
        if self.rng.chance(10) { format!("{}'::uuid", user.to_uppercase()) } else { format!("{user}'") }
    }

    /// Where a bare name would lead.
    pub(crate) fn bare(&self, name: &str) -> Option<(usize, usize, Type)> {
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
    pub(crate) fn column_in(&mut self, depth: usize, wanted: &dyn Fn(Type, &str) -> bool) -> Option<Node> {
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
        let mut node = if fits && self.rng.chance(if captured { 34 } else { 50 }) {
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

    pub(crate) fn column_of(&mut self, wanted: &dyn Fn(Type, &str) -> bool) -> Option<Node> {
        let last = self.scopes.len() - 1;
        let depth = if last > 0 && self.rng.chance(25) { self.rng.below(last) } else { last };
        self.column_in(depth, wanted).or_else(|| self.column_in(last, wanted))
    }

    pub(crate) fn column(&mut self, kind: Kind) -> Option<Node> {
        self.column_of(&|of, _| of.kind() == kind)
    }

    /// An argument of that kind, in the body of a helper.
    fn parameter(&mut self, kind: Kind) -> Option<Node> {
        let known: Vec<String> =
            self.parameters.iter().filter(|one| one.kind == kind).map(|one| one.text.clone()).collect();
        if known.is_empty() || self.rng.chance(40) {
            return None;
        }
        Some(Node::atom(kind, self.rng.pick(&known).clone()))
    }

    pub(crate) fn leaf(&mut self, kind: Kind) -> Node {
        if let Some(parameter) = self.parameter(kind) {
            return parameter;
        }
        if self.rng.chance(7)
            && let Some(call) = self.call(kind)
        {
            return call;
        }
        if self.rng.chance(80)
            && let Some(column) = self.column(kind)
        {
            return column;
        }
        self.lit(kind)
    }

    /// Something that says who asks.
    pub(crate) fn uid(&mut self) -> Node {
        if self.rng.chance(12)
            && let Some(call) = self.call(Kind::Uuid)
        {
            return call;
        }
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
        match self.rng.below(9) {
            0 => Node::atom(Kind::Text, "auth.role()").tag("auth.role()"),
            1 => Node::atom(Kind::Text, "auth.email()").tag("auth.email()"),
            2 => Node::atom(Kind::Text, "(auth.jwt() ->> 'aal')").tag("auth.jwt()"),
            3 => Node::atom(Kind::Text, "(auth.jwt() -> 'app_metadata' ->> 'role')").tag("auth.jwt()"),
            4 => Node::atom(Kind::Text, "((SELECT auth.jwt()) ->> 'banned')").tag("auth.jwt()"),
            5 => Node::atom(Kind::Text, "(auth.jwt() -> 'app_metadata' ->> 'team')").tag("auth.jwt()"),
            6 => Node::atom(Kind::Text, "auth.uid()::text").tag("auth.uid()").tag("cast"),
            7 => Node::atom(Kind::Text, "(auth.jwt() #>> '{app_metadata,role}')")
                .tag("auth.jwt()")
                .tag("json #>>"),
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
                Some(json) => Node::of(Kind::Int, "({} ->> 'n')::int", [json])
                    .tag("cast")
                    .tag("json operator")
                    .tag("json ->>"),
                None => self.leaf(Kind::Int),
            },
            7 => Node::of(Kind::Int, "nullif({}, {})", [self.int(d), self.int(d)]).tag("coalesce"),
            8 => Node::of(Kind::Int, "({})::int", [self.bool(d)]).tag("cast"),
            10 => Node::atom(Kind::Int, "(auth.jwt() -> 'app_metadata' ->> 'team')::int")
                .tag("auth.jwt()")
                .tag("cast"),
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

    pub(crate) fn json_text(&mut self, _depth: usize) -> Node {
        let Some(json) = self.column(Kind::Json) else { return self.claim() };
        let form =
            *self.rng.pick(&["({} ->> 'owner')", "({} ->> 'ok')", "({} -> 'in' ->> 'k')", "({} ->> 'n')"]);
        Node::of(Kind::Text, form, [json]).tag("json operator").tag("json ->>")
    }

    pub(crate) fn uuid(&mut self) -> Node {
        if let Some(parameter) = self.parameter(Kind::Uuid) {
            return parameter;
        }
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
}
