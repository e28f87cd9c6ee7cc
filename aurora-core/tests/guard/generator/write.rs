use super::{Gen, Kind, Source, table};

/// A writing statement and what it does.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) sql: String,
    pub(crate) table: &'static str,
    pub(crate) verb: Verb,
    /// Rows that an INSERT proposes; 0 where a query does.
    pub(crate) proposed: usize,
    /// Whether it returns rows.
    pub(crate) returning: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Insert,
    Upsert,
    Update,
    Delete,
}

const TARGETS: &[&str] = &["notes", "notes", "notes", "tags", "members", "teams"];

impl Gen {
    /// A whole write, mostly as `user` would mean it.
    pub(crate) fn write(&mut self, user: &str, others: &[&str]) -> Write {
        self.scopes.clear();
        self.ctes.clear();
        self.local = false;
        self.names = 0;
        let target = *self.rng.pick(TARGETS);
        let owner = if self.rng.chance(75) { user } else { *self.rng.pick(others) };
        let with = if self.rng.chance(15) { self.write_with() } else { String::new() };
        let (sql, verb, proposed) = match self.rng.below(10) {
            0..=3 => self.insert(target, owner),
            4..=7 => (self.update(target), Verb::Update, 0),
            _ => (self.delete(target), Verb::Delete, 0),
        };
        Write {
            sql: format!("{with}{sql}"),
            table: target,
            verb,
            proposed,
            returning: sql.contains(" RETURNING "),
        }
    }

    fn write_with(&mut self) -> String {
        let name = self.fresh("w");
        let text = self.block(&[Kind::Int, Kind::Text], 1);
        let columns = vec![("c0".to_owned(), Kind::Int), ("c1".to_owned(), Kind::Text)];
        self.ctes.push(Source { name: name.clone(), columns, key: Vec::new() });
        format!("WITH {name} AS ({text}) ")
    }

    fn insert(&mut self, target: &'static str, owner: &str) -> (String, Verb, usize) {
        let columns = match target {
            "teams" => "id, name, owner, size",
            "members" => "team_id, user_id, role, points",
            "tags" => "note_id, tag, weight, extra",
            _ => "id, title, owner, team_id, public, stars",
        };
        let rows = 1 + self.rng.below(2);
        let source = if self.rng.chance(25) {
            self.selected(target, owner)
        } else {
            let list: Vec<String> = (0..rows).map(|_| format!("({})", self.row(target, owner))).collect();
            format!("VALUES {}", list.join(", "))
        };
        let word = match self.rng.below(8) {
            0 => "INSERT OR IGNORE",
            1 => "INSERT OR ABORT",
            _ => "INSERT",
        };
        let mut sql = format!("{word} INTO {target} ({columns}) {source}");
        let mut verb = Verb::Insert;
        let plain = source.starts_with("VALUES");
        if word == "INSERT" && plain && self.rng.chance(50) {
            let key = match target {
                "members" => "(team_id, user_id)",
                "tags" => "(note_id, tag)",
                "notes" if self.rng.chance(30) => "(title)",
                _ => "(id)",
            };
            if self.rng.chance(30) {
                sql = format!("{sql} ON CONFLICT {key} DO NOTHING");
            } else {
                verb = Verb::Upsert;
                let set = self.upsert_set(target);
                sql = format!("{sql} ON CONFLICT {key} DO UPDATE SET {set}");
                if self.rng.chance(40) {
                    self.scopes.push(vec![table(target)]);
                    let filter = self.pred(1);
                    self.scopes.pop();
                    sql = format!("{sql} WHERE {filter}");
                }
            }
        }
        let tail = self.returning(target, target);
        (format!("{sql}{tail}"), verb, if plain { rows } else { 0 })
    }

    fn row(&mut self, target: &str, owner: &str) -> String {
        let fresh = 1_000 + self.rng.below(100_000);
        let id = if self.rng.chance(35) { 1 + self.rng.below(16) } else { fresh };
        let n = self.rng.below(9);
        match target {
            "teams" => format!("{id}, 'team {fresh}', '{owner}', {n}"),
            "members" => format!("{}, '{owner}', 'member', {n}", 1 + self.rng.below(4)),
            "tags" => format!("{}, 't{}', {n}, '{{\"a\":1}}'", 1 + self.rng.below(16), self.rng.below(5)),
            _ => {
                let team =
                    if self.rng.chance(50) { "NULL".to_owned() } else { (1 + self.rng.below(3)).to_string() };
                format!("{id}, 'title {fresh}', '{owner}', {team}, {}, {n}", self.rng.below(2))
            }
        }
    }

    fn selected(&mut self, target: &str, owner: &str) -> String {
        let (from, sources) = self.small_from();
        self.scopes.push(sources.clone());
        let n = self.expr(Kind::Int, 1);
        let text = self.expr(Kind::Text, 1);
        let filter = self.pred(2);
        self.scopes.pop();
        let alias = &sources[0].name;
        let first =
            sources[0].columns.iter().find(|(_, kind)| *kind == Kind::Int).map(|(name, _)| name.clone());
        let number = first.map_or_else(|| "1".to_owned(), |name| format!("{alias}.{name}"));
        let key = format!("row_number() OVER (ORDER BY {number}) + {}", 200_000 + self.rng.below(900_000));
        let list = match target {
            "teams" => format!("{key}, 'st' || ({key}), '{owner}', 1"),
            "members" => format!("{key}, '{owner}', 'member', 2"),
            "tags" => format!("1 + abs({number}) % 10, 's' || ({key}), 1, NULL"),
            _ => format!("{key}, 'sn' || ({key}), '{owner}', NULL, 0, 3"),
        };
        // The values read are those of every row; which row gets which key is left open, so only constants stand
        // beside the key.
        format!("SELECT {list} FROM {from} WHERE {filter} AND (({n}) IS NOT NULL OR ({text}) IS NOT NULL)")
    }

    fn upsert_set(&mut self, target: &'static str) -> String {
        let (number, text) = settable(target);
        self.scopes.push(vec![table(target)]);
        let n = self.expr(Kind::Int, 1);
        let t = self.leaf_text(target);
        self.scopes.pop();
        match self.rng.below(3) {
            0 => format!("{number} = excluded.{number} + {target}.{number}"),
            1 => format!("{number} = coalesce({n}, 0)"),
            _ => format!("{number} = excluded.{number}, {text} = {t}"),
        }
    }

    fn leaf_text(&mut self, target: &str) -> String {
        let (_, text) = settable(target);
        let suffix = self.rng.below(1_000);
        let own = self.watched(format!("{target}.{text}"));
        format!("{own} || '-{suffix}'")
    }

    fn update(&mut self, target: &'static str) -> String {
        let alias = if self.rng.chance(40) { "u" } else { target };
        let mut source = table(target);
        source.name = alias.to_owned();
        self.scopes.push(vec![source]);
        let (number, text) = settable(target);
        let mut sets = Vec::new();
        match self.rng.below(6) {
            0 | 1 => sets.push(format!("{number} = coalesce({}, 0)", self.expr(Kind::Int, 2))),
            2 => sets.push(format!("{text} = {}.{text} || '-{}'", alias, self.rng.below(1_000))),
            3 => sets.push(format!("{number} = {}", self.rng.below(9))),
            4 if target == "notes" => {
                let owner = *self.rng.pick(&[super::world::ANN, super::world::BOB, super::world::ZED]);
                sets.push(format!("owner = '{owner}'"));
            }
            _ => sets.push(format!("({number}, {text}) = ({number} + 1, {text} || 'z')")),
        }
        let filter = self.pred(2);
        let from = if target == "notes" && self.rng.chance(20) {
            let one = format!(" FROM teams AS ft WHERE ft.id = {alias}.team_id AND ({filter})");
            let two = format!(
                " FROM (SELECT note_id AS k, max(weight) AS m FROM tags GROUP BY note_id) AS ft WHERE ft.k = {alias}.id AND ({filter})"
            );
            if self.rng.chance(50) { one } else { two }
        } else if self.rng.chance(90) {
            format!(" WHERE {filter}")
        } else {
            String::new()
        };
        self.scopes.pop();
        let written = if alias == target { target.to_owned() } else { format!("{target} AS {alias}") };
        let word = if self.rng.chance(8) { "UPDATE OR IGNORE" } else { "UPDATE" };
        let tail = self.returning(target, alias);
        format!("{word} {written} SET {}{from}{tail}", sets.join(", "))
    }

    fn delete(&mut self, target: &'static str) -> String {
        self.scopes.push(vec![table(target)]);
        let filter = if self.rng.chance(92) { format!(" WHERE {}", self.pred(2)) } else { String::new() };
        self.scopes.pop();
        let tail = self.returning(target, target);
        format!("DELETE FROM {target}{filter}{tail}")
    }

    fn returning(&mut self, target: &'static str, _alias: &str) -> String {
        if !self.rng.chance(35) {
            return String::new();
        }
        if self.rng.chance(25) {
            return " RETURNING *".to_owned();
        }
        let (number, text) = settable(target);
        let column = self.watched(text.to_owned());
        match self.rng.below(3) {
            0 => " RETURNING 1".to_owned(),
            1 => format!(" RETURNING {number}, {column} AS x"),
            _ => format!(" RETURNING upper({column}), {number} * 2 AS n"),
        }
    }
}

/// A number and a text that updates may set.
fn settable(target: &str) -> (&'static str, &'static str) {
    match target {
        "teams" => ("size", "name"),
        "members" => ("points", "role"),
        "tags" => ("weight", "tag"),
        _ => ("stars", "title"),
    }
}
