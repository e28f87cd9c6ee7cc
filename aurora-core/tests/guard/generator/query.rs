use super::{Gen, Kind, Read, Source, table};

const TABLES: &[&str] = &["notes", "notes", "notes", "tags", "members", "teams"];

impl Gen {
    /// A whole query.
    pub(crate) fn read(&mut self) -> Read {
        self.ctes.clear();
        self.scopes.clear();
        self.local = false;
        self.names = 0;
        let with = if self.rng.chance(35) { self.with() } else { String::new() };
        if self.rng.chance(8) {
            let sql = self.star();
            return Read { sql: format!("{with}{sql}"), ordered: false };
        }
        let kinds = self.kinds();
        let mut sql = self.block(&kinds, 3);
        if self.rng.chance(15) {
            for _ in 0..=self.rng.below(2) {
                let word = *self.rng.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
                sql = format!("{sql} {word} {}", self.block(&kinds, 2));
            }
        }
        let ordered = self.rng.chance(50);
        if ordered {
            let order: Vec<String> = (1..=kinds.len())
                .map(|at| {
                    format!(
                        "{at}{}",
                        *self.rng.pick(&["", " DESC", " ASC", " DESC NULLS LAST", " NULLS LAST"])
                    )
                })
                .collect();
            sql = format!("{sql} ORDER BY {}", order.join(", "));
            let n = self.rng.below(7);
            // Plain SQLite 3.51.3 forgets the OFFSET where it turns an EXISTS into a join: nothing to compare with.
            let forgets = sql.contains("EXISTS (");
            match self.rng.below(4) {
                0..=2 if forgets => sql = format!("{sql} LIMIT {n}"),
                0 => sql = format!("{sql} LIMIT {n}"),
                1 => sql = format!("{sql} LIMIT {n} OFFSET 2"),
                2 => sql = format!("{sql} LIMIT 1, {n}"),
                _ => {}
            }
        }
        Read { sql: format!("{with}{sql}"), ordered }
    }

    fn kinds(&mut self) -> Vec<Kind> {
        (0..=self.rng.below(3))
            .map(|_| *self.rng.pick(&[Kind::Int, Kind::Text, Kind::Int, Kind::Json]))
            .collect()
    }

    fn with(&mut self) -> String {
        let mut list = Vec::new();
        let mut recursive = false;
        for _ in 0..=self.rng.below(2) {
            let name = self.fresh("w");
            let (text, columns) = match self.rng.below(6) {
                0 => {
                    recursive = true;
                    let text =
                        format!("{name}(c0) AS (SELECT 1 UNION ALL SELECT c0 + 1 FROM {name} WHERE c0 < 4)");
                    (text, vec![Kind::Int])
                }
                1 => {
                    recursive = true;
                    self.scopes.push(vec![table("notes")]);
                    let filter = self.pred(2);
                    self.scopes.pop();
                    let text = format!(
                        "{name}(c0, c1) AS (SELECT id, 0 FROM notes WHERE {filter} UNION SELECT n.id, r.c1 + 1 \
                         FROM notes n JOIN {name} r ON n.parent = r.c0 WHERE r.c1 < 3)"
                    );
                    (text, vec![Kind::Int, Kind::Int])
                }
                2 => (format!("{name}(c0) AS (VALUES (1), (2), (7))"), vec![Kind::Int]),
                _ => {
                    let kinds = self.kinds();
                    let hint = *self.rng.pick(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
                    (format!("{name} AS {hint}({})", self.block(&kinds, 2)), kinds)
                }
            };
            list.push(text);
            self.ctes.push(derived(name, &columns));
        }
        format!("WITH {}{} ", if recursive { "RECURSIVE " } else { "" }, list.join(", "))
    }

    /// `SELECT *` in its forms.
    fn star(&mut self) -> String {
        let (from, sources) = self.from(1);
        let first = sources[0].name.clone();
        self.scopes.push(sources);
        let filter = self.pred(2);
        self.scopes.pop();
        let star = if self.rng.chance(50) { "*".to_owned() } else { format!("{first}.*") };
        format!("SELECT {star} FROM {from} WHERE {filter}")
    }

    /// One SELECT whose columns are `c0, c1, ..`.
    pub(super) fn block(&mut self, kinds: &[Kind], depth: usize) -> String {
        let (from, sources) = self.from(depth);
        self.scopes.push(sources);
        let filter = if self.rng.chance(70) { format!(" WHERE {}", self.pred(depth)) } else { String::new() };
        let shape = self.rng.below(100);
        let body = if shape < 22 {
            self.grouped(kinds, depth, &from, &filter)
        } else {
            let windows = shape < 36;
            let mut named = false;
            let list: Vec<String> = kinds
                .iter()
                .enumerate()
                .map(|(at, kind)| {
                    let own = if windows && *kind != Kind::Json && self.rng.chance(60) {
                        self.window(*kind, &mut named)
                    } else {
                        self.expr(*kind, depth)
                    };
                    format!("{own} AS c{at}")
                })
                .collect();
            let distinct = if self.rng.chance(12) { "DISTINCT " } else { "" };
            let window = if named {
                format!(" WINDOW w AS (PARTITION BY {})", self.expr(Kind::Int, 1))
            } else {
                String::new()
            };
            format!("SELECT {distinct}{} FROM {from}{filter}{window}", list.join(", "))
        };
        self.scopes.pop();
        body
    }

    fn grouped(&mut self, kinds: &[Kind], depth: usize, from: &str, filter: &str) -> String {
        let mut keys = Vec::new();
        let mut list = Vec::new();
        for (at, kind) in kinds.iter().enumerate() {
            let own = if *kind == Kind::Json || self.rng.chance(45) {
                keys.push((at + 1).to_string());
                self.expr(*kind, depth)
            } else {
                self.aggregate(*kind)
            };
            list.push(format!("{own} AS c{at}"));
        }
        let group = if keys.is_empty() { String::new() } else { format!(" GROUP BY {}", keys.join(", ")) };
        let having = if !keys.is_empty() && self.rng.chance(40) {
            format!(" HAVING {} > {}", self.aggregate(Kind::Int), self.rng.below(3))
        } else {
            String::new()
        };
        format!("SELECT {} FROM {from}{filter}{group}{having}", list.join(", "))
    }

    fn aggregate(&mut self, kind: Kind) -> String {
        self.local = true;
        let mut own = match kind {
            Kind::Int => match self.rng.below(6) {
                0 => "count(*)".to_owned(),
                1 => format!("sum({})", self.expr(Kind::Int, 1)),
                2 => format!("max({})", self.expr(Kind::Int, 1)),
                3 => format!("count(DISTINCT {})", self.expr(Kind::Text, 1)),
                4 => format!("CAST(avg({}) AS INTEGER)", self.expr(Kind::Int, 1)),
                _ => format!("json_array_length(json_group_array({}))", self.expr(Kind::Int, 1)),
            },
            _ => match self.rng.below(3) {
                0 => format!("min({})", self.expr(Kind::Text, 1)),
                1 => format!("length(group_concat({}, ','))", self.expr(Kind::Text, 1)),
                _ => format!("max({})", self.expr(Kind::Text, 1)),
            },
        };
        if own.starts_with("count") && self.rng.chance(25) {
            own = format!("{own} FILTER (WHERE {})", self.pred(1));
        }
        self.local = false;
        own
    }

    fn window(&mut self, kind: Kind, named: &mut bool) -> String {
        self.local = true;
        let arg = self.expr(kind, 1);
        let part = self.expr(Kind::Int, 1);
        let sort = self.expr(Kind::Text, 1);
        self.local = false;
        let sources = self.scopes.last().cloned().unwrap_or_default();
        let total = sources.iter().all(|source| !source.key.is_empty());
        let keys: Vec<String> = sources
            .iter()
            .flat_map(|source| source.key.iter().map(|key| format!("{}.{key}", source.name)))
            .collect();
        let keys = keys.join(", ");
        let choice = self.rng.below(9);
        match (choice, total) {
            (0, true) if kind == Kind::Int => {
                format!("row_number() OVER (PARTITION BY {part} ORDER BY {keys})")
            }
            (1, true) => format!("lag({arg}) OVER (ORDER BY {keys})"),
            (2, true) => format!("first_value({arg}) OVER (PARTITION BY {part} ORDER BY {keys})"),
            (3, true) => {
                format!("max({arg}) OVER (ORDER BY {keys} ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)")
            }
            (4, _) if kind == Kind::Int => format!("rank() OVER (ORDER BY {sort})"),
            (5, _) if kind == Kind::Int => format!("count(*) OVER (PARTITION BY {part} ORDER BY {sort})"),
            (6, _) => {
                *named = true;
                format!("max({arg}) OVER w")
            }
            _ => format!("min({arg}) OVER (PARTITION BY {part})"),
        }
    }

    /// A FROM clause for a subquery.
    pub(super) fn small_from(&mut self) -> (String, Vec<Source>) {
        if !self.ctes.is_empty() && self.rng.chance(25) {
            let (text, source) = self.cte();
            return (text, vec![source]);
        }
        let (text, source) = self.base();
        (text, vec![source])
    }

    fn cte(&mut self) -> (String, Source) {
        let known = self.ctes.clone();
        let mut source = self.rng.pick(&known).clone();
        let alias = self.fresh("t");
        let text = format!("{} AS {alias}", source.name);
        source.name = alias;
        (text, source)
    }

    fn base(&mut self) -> (String, Source) {
        let name = *self.rng.pick(TABLES);
        let mut source = table(name);
        source.name = self.fresh("t");
        let written = match self.rng.below(12) {
            0 => format!("\"{name}\""),
            1 => format!("main.{name}"),
            2 => name.to_uppercase(),
            _ => name.to_owned(),
        };
        (format!("{written} AS {}", source.name), source)
    }

    fn item(&mut self, depth: usize) -> (String, Source) {
        if !self.ctes.is_empty() && self.rng.chance(30) {
            return self.cte();
        }
        if depth > 1 && self.rng.chance(14) {
            let kinds = self.kinds();
            let outer = std::mem::take(&mut self.scopes);
            let text = self.block(&kinds, depth - 1);
            self.scopes = outer;
            let alias = self.fresh("d");
            return (format!("({text}) AS {alias}"), derived(alias, &kinds));
        }
        self.base()
    }

    fn from(&mut self, depth: usize) -> (String, Vec<Source>) {
        let (mut text, first) = self.item(depth);
        let mut sources = vec![first];
        let more = *self.rng.pick(&[0, 0, 1, 1, 2]);
        for _ in 0..more {
            let held = std::mem::take(&mut self.scopes);
            if self.rng.chance(10)
                && let Some((column, owner)) = json_column(&sources)
            {
                let alias = self.fresh("j");
                let word = *self.rng.pick(&[",", " JOIN", " CROSS JOIN"]);
                text = format!("{text}{word} json_each({column}, '$.l') AS {alias}");
                let columns = vec![("value".to_owned(), Kind::Int), ("fullkey".to_owned(), Kind::Text)];
                let key = if owner { vec!["key".to_owned()] } else { Vec::new() };
                sources.push(Source { name: alias, columns, key });
                self.scopes = held;
                continue;
            }
            let (right, source) = self.item(depth.saturating_sub(1));
            text = self.join(text, &right, &mut sources, source);
            self.scopes = held;
        }
        (text, sources)
    }

    fn join(&mut self, left: String, right: &str, sources: &mut Vec<Source>, source: Source) -> String {
        let shared = if let [only] = sources.as_slice() { common(only, &source) } else { None };
        let choice = self.rng.below(20);
        sources.push(source);
        match (choice, shared) {
            (0, _) => return format!("{left}, {right}"),
            (1, _) => return format!("{left} CROSS JOIN {right}"),
            (2, Some(_)) => return format!("{left} NATURAL JOIN {right}"),
            (3, Some(column)) => return format!("{left} JOIN {right} USING ({column})"),
            (4, Some(column)) => return format!("{left} LEFT JOIN {right} USING ({column})"),
            _ => {}
        }
        let word = match choice {
            5..=9 => "LEFT JOIN",
            10 => "RIGHT JOIN",
            11 => "FULL OUTER JOIN",
            12 => "INNER JOIN",
            13 => "LEFT OUTER JOIN",
            _ => "JOIN",
        };
        self.scopes.push(sources.clone());
        let on = self.on();
        self.scopes.pop();
        format!("{left} {word} {right} ON {on}")
    }

    fn on(&mut self) -> String {
        let natural = self.column(Kind::Int).zip(self.column(Kind::Int));
        match natural {
            Some((a, b)) if self.rng.chance(60) => {
                let more = if self.rng.chance(40) { format!(" AND {}", self.pred(1)) } else { String::new() };
                format!("{a} = {b}{more}")
            }
            _ => self.pred(2),
        }
    }
}

fn derived(name: String, kinds: &[Kind]) -> Source {
    let columns = kinds.iter().enumerate().map(|(at, kind)| (format!("c{at}"), *kind)).collect();
    Source { name, columns, key: Vec::new() }
}

/// A JSON column to the left, and whether its source has a key.
fn json_column(sources: &[Source]) -> Option<(String, bool)> {
    sources.iter().find_map(|source| {
        let (name, _) = source.columns.iter().find(|(_, kind)| *kind == Kind::Json)?;
        Some((format!("{}.{name}", source.name), !source.key.is_empty()))
    })
}

fn common(left: &Source, right: &Source) -> Option<String> {
    let has = |name: &str| right.columns.iter().any(|(own, _)| own == name);
    left.columns.iter().map(|(name, _)| name.clone()).find(|name| has(name))
}
