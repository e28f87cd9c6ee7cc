use super::{Gen, Kind};

const WORDS: &[&str] =
    &["ann one", "bob", "red", "x", "", "a%", "note 3", "00000000-0000-4000-8000-00000000000a"];

impl Gen {
    pub(super) fn expr(&mut self, kind: Kind, depth: usize) -> String {
        let plain = match kind {
            Kind::Int => self.int(depth),
            Kind::Text => self.text(depth),
            Kind::Json => self.json(depth),
        };
        self.watched(plain)
    }

    /// A column of that kind in sight, if there is one.
    pub(super) fn column(&mut self, kind: Kind) -> Option<String> {
        let outer = !self.local && self.scopes.len() > 1 && self.rng.chance(25);
        let from = if outer { 0 } else { self.scopes.len().saturating_sub(1) };
        let known: Vec<String> = self.scopes[from..]
            .iter()
            .flatten()
            .flat_map(|source| {
                source
                    .columns
                    .iter()
                    .filter(|(_, own)| *own == kind)
                    .map(|(name, _)| format!("{}.{name}", source.name))
            })
            .collect();
        if known.is_empty() { None } else { Some(self.rng.pick(&known).clone()) }
    }

    fn leaf(&mut self, kind: Kind) -> String {
        if self.rng.chance(80)
            && let Some(column) = self.column(kind)
        {
            return self.watched(column);
        }
        match kind {
            Kind::Int => self.rng.below(12).to_string(),
            Kind::Text => format!("'{}'", self.rng.pick(WORDS)),
            Kind::Json => format!("'{{\"a\":{},\"k\":\"w\",\"l\":[1,2]}}'", self.rng.below(5)),
        }
    }

    fn int(&mut self, depth: usize) -> String {
        if depth == 0 || self.rng.chance(35) {
            return self.leaf(Kind::Int);
        }
        let d = depth - 1;
        let n = self.rng.below(9);
        match self.rng.below(22) {
            0 | 1 => format!(
                "({} {} {})",
                self.expr(Kind::Int, d),
                *self.rng.pick(&["+", "-", "*", "&", "|"]),
                self.expr(Kind::Int, d)
            ),
            2 => format!("{} % {}", self.leaf(Kind::Int), n + 1),
            3 => format!("length({})", self.expr(Kind::Text, d)),
            4 => format!("abs({})", self.expr(Kind::Int, d)),
            5 => format!("coalesce({}, {n})", self.expr(Kind::Int, d)),
            6 => format!(
                "CASE WHEN {} THEN {} ELSE {} END",
                self.pred(d),
                self.expr(Kind::Int, d),
                self.expr(Kind::Int, d)
            ),
            7 => format!("json_extract({}, '$.a')", self.expr(Kind::Json, d)),
            8 => format!("CAST({} AS INTEGER)", self.expr(Kind::Text, d)),
            9 => format!("instr({}, 'e')", self.expr(Kind::Text, d)),
            10 => format!("({} ->> '$.a')", self.leaf(Kind::Json)),
            11 => format!("json_array_length({}, '$.l')", self.expr(Kind::Json, d)),
            12 => format!("iif({}, {}, {n})", self.pred(d), self.expr(Kind::Int, d)),
            13 => format!("max({}, {n})", self.expr(Kind::Int, d)),
            14 => format!("nullif({}, {n})", self.expr(Kind::Int, d)),
            15 => format!("({})", self.pred(d)),
            16 => format!("-{}", self.leaf(Kind::Int)),
            17 => format!("unicode({})", self.expr(Kind::Text, d)),
            18 => format!(
                "CASE {} WHEN {n} THEN 1 WHEN {} THEN 2 END",
                self.expr(Kind::Int, d),
                self.leaf(Kind::Int)
            ),
            19 => format!("octet_length({})", self.expr(Kind::Text, d)),
            _ => self.scalar(Kind::Int, d),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        if depth == 0 || self.rng.chance(40) {
            return self.leaf(Kind::Text);
        }
        let d = depth - 1;
        match self.rng.below(18) {
            0 => format!("lower({})", self.expr(Kind::Text, d)),
            1 => format!("upper({})", self.expr(Kind::Text, d)),
            2 => format!("substr({}, 2, {})", self.expr(Kind::Text, d), 1 + self.rng.below(4)),
            3 => format!("replace({}, 'o', '0')", self.expr(Kind::Text, d)),
            4 | 5 => format!("({} || {})", self.expr(Kind::Text, d), self.expr(Kind::Text, d)),
            6 => format!("printf('%d/%s', {}, {})", self.expr(Kind::Int, d), self.expr(Kind::Text, d)),
            7 => format!("hex({})", self.expr(Kind::Text, d)),
            8 => format!("trim({}, 'ab')", self.expr(Kind::Text, d)),
            9 => format!("CASE WHEN {} THEN {} END", self.pred(d), self.expr(Kind::Text, d)),
            10 => format!("({} ->> 'k')", self.leaf(Kind::Json)),
            11 => format!("coalesce({}, 'none')", self.expr(Kind::Text, d)),
            12 => format!("typeof({})", self.expr(Kind::Int, d)),
            13 => format!("quote({})", self.expr(Kind::Text, d)),
            14 => format!("CAST({} AS TEXT)", self.expr(Kind::Int, d)),
            15 => format!("json_type({}, '$.a')", self.expr(Kind::Json, d)),
            16 => format!("date('2026-01-01', '+' || {} || ' days')", self.leaf(Kind::Int)),
            _ => self.scalar(Kind::Text, d),
        }
    }

    fn json(&mut self, depth: usize) -> String {
        if depth == 0 || self.rng.chance(55) {
            return self.leaf(Kind::Json);
        }
        let d = depth - 1;
        match self.rng.below(6) {
            0 => format!(
                "json_object('a', {}, 'k', {}, 'l', json_array(1))",
                self.expr(Kind::Int, d),
                self.expr(Kind::Text, d)
            ),
            1 => format!("json_set({}, '$.a', {})", self.expr(Kind::Json, d), self.expr(Kind::Int, d)),
            2 => format!("json_patch({}, '{{\"b\":1}}')", self.expr(Kind::Json, d)),
            3 => format!("json_remove({}, '$.k')", self.expr(Kind::Json, d)),
            4 => format!("json({})", self.expr(Kind::Json, d)),
            _ => format!("CASE WHEN {} THEN {} END", self.pred(d), self.expr(Kind::Json, d)),
        }
    }

    /// A subquery of one row and one column.
    fn scalar(&mut self, kind: Kind, depth: usize) -> String {
        if self.local || depth == 0 {
            return self.leaf(kind);
        }
        let (from, sources) = self.small_from();
        self.scopes.push(sources);
        let filter = self.pred(depth - 1);
        self.local = true;
        let aggregate = match kind {
            Kind::Int => match self.rng.below(4) {
                0 => "count(*)".to_owned(),
                1 => format!("sum({})", self.expr(Kind::Int, 1)),
                2 => format!("min({})", self.expr(Kind::Int, 1)),
                _ => format!("count(DISTINCT {})", self.expr(Kind::Text, 1)),
            },
            _ => format!("max({})", self.expr(Kind::Text, 1)),
        };
        self.local = false;
        self.scopes.pop();
        format!("(SELECT {aggregate} FROM {from} WHERE {filter})")
    }

    /// A condition.
    pub(super) fn pred(&mut self, depth: usize) -> String {
        let d = depth.saturating_sub(1);
        let plain = match self.rng.below(if depth == 0 { 9 } else { 21 }) {
            0..=2 => {
                let op =
                    *self.rng.pick(&["=", "<>", "<", ">", "<=", ">=", "IS", "IS NOT", "IS DISTINCT FROM"]);
                format!("{} {op} {}", self.expr(Kind::Int, d), self.expr(Kind::Int, d))
            }
            3 => format!(
                "{} {} {}",
                self.expr(Kind::Text, d),
                *self.rng.pick(&["=", "<", ">=", "!="]),
                self.expr(Kind::Text, d)
            ),
            4 => format!(
                "{} BETWEEN {} AND {}",
                self.expr(Kind::Int, d),
                self.rng.below(4),
                self.leaf(Kind::Int)
            ),
            5 => {
                format!("{} {}IN (1, 2, {})", self.expr(Kind::Int, d), self.maybe_not(), self.leaf(Kind::Int))
            }
            6 => format!("{} IS {}NULL", self.expr(Kind::Int, d), self.maybe_not()),
            7 => format!(
                "{} {}LIKE '%{}%'",
                self.expr(Kind::Text, d),
                self.maybe_not(),
                *self.rng.pick(&["o", "n_t", "1"])
            ),
            8 => format!("{} GLOB '*{}*'", self.expr(Kind::Text, d), *self.rng.pick(&["o", "n?", "[0-9]"])),
            // Without parentheses too: what binds to what is then for each reader to say.
            9 => format!("{} AND {}", self.pred(d), self.pred(d)),
            10 => format!("({} AND {})", self.pred(d), self.pred(d)),
            11 => format!("{} OR {}", self.pred(d), self.pred(d)),
            12 => format!("({} OR {})", self.pred(d), self.pred(d)),
            13 => format!("NOT {}", self.pred(d)),
            14 => format!("json_valid({})", self.expr(Kind::Json, d)),
            15 => format!("{} LIKE 'a!%%' ESCAPE '!'", self.expr(Kind::Text, d)),
            16 => format!("{} COLLATE NOCASE = {}", self.expr(Kind::Text, d), self.expr(Kind::Text, d)),
            _ => self.subquery_pred(d),
        };
        if self.rng.chance(30) { self.watched(plain) } else { plain }
    }

    fn subquery_pred(&mut self, depth: usize) -> String {
        if self.local {
            return self.pred(0);
        }
        let left = self.expr(Kind::Int, depth);
        let tuple = self.column(Kind::Int).zip(self.column(Kind::Text));
        let (from, sources) = self.small_from();
        self.scopes.push(sources);
        let filter = self.pred(depth);
        let out = match (self.rng.below(4), tuple) {
            (0, Some((a, b))) => {
                let (x, y) = (self.expr(Kind::Int, 0), self.expr(Kind::Text, 0));
                format!("({a}, {b}) IN (SELECT {x}, {y} FROM {from} WHERE {filter})")
            }
            (1 | 2, _) => format!("EXISTS (SELECT 1 FROM {from} WHERE {filter})"),
            _ => {
                let x = self.expr(Kind::Int, depth);
                format!("{left} IN (SELECT {x} FROM {from} WHERE {filter})")
            }
        };
        self.scopes.pop();
        if self.rng.chance(20) { format!("NOT {out}") } else { out }
    }

    fn maybe_not(&mut self) -> &'static str {
        if self.rng.chance(30) { "NOT " } else { "" }
    }
}
