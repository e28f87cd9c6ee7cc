//! Nasty strings, mutations, and the loops that feed them to the parsers. No input panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use aurora_core::policy::{Column, Policies, Schema, Table};

use crate::generator::world::{SCHEMA, Scenario, cases};
use crate::generator::{Gen, Rng};

/// Statements that an attacker would begin with.
pub(crate) const CORPUS: &[&str] = &[
    "WITH notes AS (SELECT 1 AS id) SELECT * FROM notes",
    "WITH notes(id, title) AS (VALUES (1, 2)) SELECT notes.title, n.title FROM main.notes n, notes",
    "WITH RECURSIVE notes AS (SELECT id, title FROM main.notes UNION SELECT id, title FROM notes) SELECT * FROM notes",
    "SELECT * FROM main.notes AS secrets, secrets",
    "SELECT * FROM secrets",
    "SELECT (SELECT word FROM secrets)",
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM sqlite_temp_schema",
    "SELECT * FROM pragma_table_info('notes')",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM dbstat",
    "SELECT sql FROM main.sqlite_master",
    "SELECT * FROM temp.notes",
    "SELECT rowid, _rowid_, oid, * FROM notes",
    "SELECT * FROM notes WHERE rowid = 12",
    "SELECT notes.rowid FROM notes, tags",
    "SELECT * FROM notes INDEXED BY notes_cover",
    "SELECT * FROM notes NOT INDEXED WHERE title > ''",
    "SELECT load_extension('x')",
    "SELECT writefile('a', 'b'), readfile('/etc/passwd')",
    "SELECT sqlite_version(), sqlite_source_id(), last_insert_rowid(), changes(), total_changes()",
    "SELECT fts3_tokenizer('simple')",
    "SELECT randomblob(10000000000), zeroblob(1000000000)",
    "EXPLAIN SELECT * FROM notes",
    "EXPLAIN QUERY PLAN SELECT * FROM notes",
    "PRAGMA table_info(notes)",
    "PRAGMA query_only = 0",
    "PRAGMA writable_schema = 1",
    "ATTACH ':memory:' AS x",
    "DETACH main",
    "VACUUM INTO '/tmp/x.db'",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "RELEASE a",
    "SELECT 1; DELETE FROM notes",
    "SELECT 1; COMMIT; BEGIN",
    "CREATE TEMP TABLE notes (id)",
    "CREATE TABLE x AS SELECT * FROM notes",
    "CREATE TEMP VIEW v AS SELECT * FROM notes",
    "CREATE TRIGGER t AFTER INSERT ON notes BEGIN SELECT 1; END",
    "DROP TABLE notes",
    "ALTER TABLE notes RENAME TO x",
    "REINDEX",
    "ANALYZE",
    "REPLACE INTO notes (id, title, owner) VALUES (12, 'x', 'y')",
    "INSERT OR REPLACE INTO notes (id, title, owner) VALUES (12, 'x', '00000000-0000-4000-8000-00000000000a')",
    "UPDATE OR REPLACE notes SET title = 'HID' || 'DEN note 12'",
    "INSERT OR ROLLBACK INTO notes (id, title, owner) VALUES (1, 'x', 'y')",
    "INSERT INTO notes (id, title, owner) VALUES (12, 'x', '00000000-0000-4000-8000-00000000000a') ON CONFLICT DO UPDATE SET title = title || body",
    "INSERT INTO notes SELECT * FROM notes WHERE true ON CONFLICT (id) DO UPDATE SET owner = '00000000-0000-4000-8000-00000000000a' RETURNING *",
    "INSERT INTO notes DEFAULT VALUES RETURNING *",
    "UPDATE notes SET owner = '00000000-0000-4000-8000-00000000000a' WHERE id = 12 RETURNING *",
    "UPDATE notes SET title = (SELECT word FROM secrets) RETURNING title",
    "UPDATE notes SET (title, body) = (SELECT title, body FROM main.notes x WHERE x.id = 12) RETURNING *",
    "UPDATE notes AS n SET stars = x.stars FROM notes AS x WHERE x.id = 12 RETURNING *",
    "WITH notes(id) AS (VALUES (12)) DELETE FROM notes WHERE id IN (SELECT id FROM notes) RETURNING *",
    "DELETE FROM notes WHERE json_extract(body, '$') RETURNING id",
    "DELETE FROM main.notes WHERE abs(stars) >= 0",
    "SELECT json_extract(body, '$') FROM notes GROUP BY 1 HAVING abs(max(stars))",
    "SELECT group_concat(title) FROM notes",
    "SELECT * FROM (SELECT * FROM notes) AS notes JOIN notes AS t USING (id)",
    "SELECT * FROM notes AS a NATURAL FULL JOIN notes AS b WHERE probe(a.title)",
    "SELECT a.title FROM notes a LEFT JOIN notes b ON abs(b.stars) IS NULL WHERE probe(b.title) IS NULL",
    "SELECT * FROM notes WHERE CASE WHEN 1 THEN probe(title) END OR 1 = 1) OR (1 = 1",
    "SELECT * FROM notes WHERE title = '' OR 1 --'",
    "SELECT * FROM notes /* */ WHERE 1 /* unclosed",
    "SELECT 'it''s' || \"title\" || [body] || `owner` FROM notes",
    "SELECT x'00ff', 0x7fffffffffffffff, 1e400, .5, 'a\\' || 'b'",
    "SELECT \"no such column\" FROM notes",
    "SELECT auth.uid(), auth.role(), auth.email(), auth.jwt() FROM notes",
    "SELECT probe(title) FROM notes WHERE probe(body) ORDER BY probe(owner) LIMIT probe(2)",
    "SELECT * FROM json_each((SELECT body FROM notes WHERE id = 12))",
    "SELECT * FROM notes, json_tree(notes.body) WHERE probe(atom)",
    "SELECT * FROM generate_series(1, 10)",
    "SELECT count(*) FROM notes n WHERE n.title > (SELECT title FROM main.notes WHERE notes.id = 12)",
    "SELECT ?1, ?, $3, :name, @x, #1",
    "VALUES (1, 2), (3, 4)",
    "SELECT * FROM notes ORDER BY (SELECT word FROM secrets)",
    "SELECT \u{202e}title, '\u{0}' FROM notes",
    "\u{feff}SELECT 1",
    "SELECT ((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))",
];

const TOKENS: &[&str] = &[
    "notes",
    "main.",
    "secrets",
    "members",
    "SELECT",
    "FROM",
    "WHERE",
    "(",
    ")",
    ",",
    "*",
    "OR 1=1",
    "--",
    "/*",
    "*/",
    "'",
    "\"",
    "`",
    "[",
    "]",
    ";",
    "AS",
    "WITH",
    "UNION ALL SELECT title FROM notes",
    "RETURNING *",
    "IN",
    "NOT",
    "NULL",
    "rowid",
    "probe(",
    "title",
    "body",
    "json_extract(body,'$')",
    "abs(stars)",
    "CASE WHEN",
    "END",
    "LIMIT 1",
    "OFFSET",
    "JOIN",
    "LEFT JOIN notes AS z ON",
    "NATURAL",
    "USING (id)",
    "EXISTS",
    "ON CONFLICT DO NOTHING",
    "OR REPLACE",
    "excluded.",
    "new.",
    "old.",
    "||",
    "->>",
    "COLLATE NOCASE",
    "OVER ()",
    "FILTER (WHERE",
    "GROUP BY",
    "HAVING",
    "INDEXED BY",
    "temp.",
    "sqlite_master",
    "x'00'",
    "?1",
    "$1",
    "~w1",
    "~v",
    "~0",
];

/// One to three changes to a text, of bytes or of words.
pub(crate) fn mutate(rng: &mut Rng, base: &str) -> String {
    let mut text = base.to_owned();
    for _ in 0..=rng.below(3) {
        text = if rng.chance(70) { words(rng, &text) } else { bytes(rng, &text) };
    }
    text
}

fn words(rng: &mut Rng, text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for c in text.chars() {
        let same = words.last().and_then(|word| word.chars().last()).is_some_and(|last| {
            (last.is_alphanumeric() || last == '_') == (c.is_alphanumeric() || c == '_')
                && (c.is_alphanumeric() || c == '_')
        });
        match words.last_mut() {
            Some(word) if same => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    if words.is_empty() {
        return (*rng.pick(TOKENS)).to_owned();
    }
    let at = rng.below(words.len());
    let other = rng.below(words.len());
    match rng.below(5) {
        0 => {
            words.remove(at);
        }
        1 => words.insert(at, format!(" {} ", rng.pick(TOKENS))),
        2 => words[at] = (*rng.pick(TOKENS)).to_owned(),
        3 => words.swap(at, other),
        _ => {
            let (from, to) = (at.min(other), (at.max(other) + 1).min(at.min(other) + 20));
            let copy: Vec<String> = words[from..to].to_vec();
            words.splice(at..at, copy);
        }
    }
    words.concat()
}

fn bytes(rng: &mut Rng, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    if bytes.is_empty() {
        return String::new();
    }
    let at = rng.below(bytes.len());
    match rng.below(4) {
        0 => bytes[at] ^= 1 << rng.below(7),
        1 => {
            bytes.remove(at);
        }
        2 => bytes.insert(at, (rng.next() % 128) as u8),
        _ => bytes.truncate(at),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Conditions in every dialect of PostgreSQL's that policies are written in.
const CONDITIONS: &[&str] = &[
    "owner = auth.uid()::text AND public = 1",
    "(SELECT auth.uid())::text = owner",
    "auth.uid() IS NOT NULL AND auth.role() = 'authenticated'",
    "auth.jwt() ->> 'email' = title",
    "(auth.jwt() -> 'app_metadata' ->> 'role') = 'admin'",
    "auth.email() LIKE '%@example.org'",
    "title ILIKE 'a%' OR title LIKE 'b\\_%'",
    "title IN ('a', 'b', 'c') AND stars NOT IN (1, 2)",
    "title = ANY (ARRAY['a', 'b'])",
    "stars BETWEEN 1 AND 5",
    "coalesce(team_id, 0) = 3",
    "CASE WHEN public = 1 THEN true ELSE owner = auth.uid()::text END",
    "body::jsonb ->> 'k' = 'x'",
    "stars + 1 > 2 * team_id - 3",
    "stars / 2 = 1 AND stars % 2 = 0",
    "length(title) > 3 AND lower(title) = title AND upper(title) <> title",
    "(public = 1) IS TRUE OR (public = 1) IS NOT FALSE",
    "team_id IS NULL OR parent IS NOT DISTINCT FROM team_id",
    "now() > '2026-01-01'::timestamptz",
    "current_setting('request.jwt.claims', true)::json ->> 'tenant' = title",
    "EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid()::text AND m.role = 'admin')",
    "NOT EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id)",
    "team_id IN (SELECT m.team_id FROM members m JOIN teams t ON t.id = m.team_id WHERE m.user_id = auth.uid()::text)",
    "stars > (SELECT t.size FROM teams t WHERE t.id = notes.team_id)",
    "true",
    "false",
    "owner::uuid = auth.uid()",
    "stars = '3'::int AND '1'::boolean",
    "title ~ '^a'",
    "has_role(auth.uid(), 'admin')",
    "EXISTS (SELECT 1 FROM notes n WHERE n.id = notes.parent)",
    "count(*) > 1",
    "title || owner = 'x'",
    "-stars = 1 AND NOT (public = 0)",
    "title COLLATE \"C\" > 'a'",
    "row_number() OVER () = 1",
    "(id, owner) IN (SELECT team_id, user_id FROM members)",
];

fn schema() -> Schema {
    let tables = SCHEMA.split("CREATE TABLE ").skip(1).map(|text| {
        let (name, rest) = text.split_once(" (").unwrap();
        let columns = rest.split(',').filter_map(|part| {
            let mut words = part.split_whitespace();
            Some(Column::new(words.next()?, words.next().unwrap_or("TEXT")))
        });
        Table::new(name, columns.collect())
    });
    Schema { tables: tables.collect() }
}

/// attack V05
#[test]
fn the_policy_parser_never_panics() {
    let schema = schema();
    let mut rng = Rng::seeded(5);
    let mut parsed = 0;
    Policies::parse(&Scenario::Exists.policies(), "fuzz.sql").unwrap().lower(&schema).unwrap();
    let total = cases(6_000);
    for _ in 0..total {
        let scenario = *rng.pick(&Scenario::ALL);
        let whole = scenario.policies();
        let parts: Vec<&str> = whole.split_inclusive(';').collect();
        let from = rng.below(parts.len());
        let base = if rng.chance(50) { whole.clone() } else { parts[from].to_owned() };
        let text = if rng.chance(10) {
            let condition = Gen::new(rng.next(), 0).read().sql;
            format!("CREATE POLICY p ON notes USING (id IN ({condition}));")
        } else if rng.chance(60) {
            let mut one = (*rng.pick(CONDITIONS)).to_owned();
            let two = *rng.pick(CONDITIONS);
            if rng.chance(40) {
                one = words(&mut rng, &one);
            }
            let grant = *rng.pick(&["", "GRANT SELECT ON notes TO anon;", "REVOKE ALL ON notes FROM anon;"]);
            let head = *rng.pick(&[
                "FOR ALL",
                "FOR SELECT",
                "AS RESTRICTIVE FOR UPDATE TO authenticated",
                "FOR DELETE TO anon",
                "",
            ]);
            let word = *rng.pick(&["AND", "OR", "AND NOT"]);
            format!(
                "{grant} ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON notes {head} USING (({one}) {word} ({two}));"
            )
        } else {
            words(&mut rng, &base)
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let policies = Policies::parse(&text, "fuzz.sql").ok()?;
            policies.lower(&schema).ok()
        }));
        match outcome {
            Ok(lowered) => parsed += u64::from(lowered.is_some()),
            Err(_) => panic!("the policy parser panicked on {text:?}"),
        }
    }
    println!("policies: {total} texts, {parsed} lowered");
    assert!(parsed > total / 50);
}
