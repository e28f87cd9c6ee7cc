//! Whatever the text, the parser answers; whatever it accepts prints as one expression.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and print their counts"
)]

use aurora_core::policy::{Column, Command, Names, Policies, Predicate, Schema, Table};
use aurora_core::types::Role;
use proptest::prelude::*;
use sqlparser::dialect::SQLiteDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

const SEEDS: &[&str] = &[
    "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;",
    "CREATE POLICY own ON notes FOR SELECT TO authenticated USING (owner = (SELECT auth.uid()));",
    "CREATE POLICY \"team notes\" ON public.notes USING (EXISTS (SELECT 1 FROM members m JOIN teams t ON t.id = m.team_id \
     WHERE m.team_id = notes.team_id AND m.user_id = auth.uid() AND m.role IN ('admin', 'o''wner')));",
    "CREATE POLICY w ON notes FOR INSERT WITH CHECK (auth.jwt() -> 'app_metadata' ->> 'role' = 'admin' AND NOT public);",
    "CREATE POLICY r ON notes AS RESTRICTIVE FOR UPDATE TO anon USING (expires_at > now() OR title LIKE 'a%' || auth.uid()::text) \
     WITH CHECK (CASE WHEN id / 2 = 1 THEN true ELSE coalesce(public, false) END);",
    "CREATE POLICY s ON members USING (team_id = ANY ('{1,2}'::int[]) AND (SELECT t.open FROM teams t WHERE t.id = team_id));",
    "REVOKE INSERT, UPDATE ON notes FROM anon, PUBLIC; GRANT SELECT ON notes TO anon;",
    "CREATE TYPE app_role AS ENUM ('admin', 'member'); DROP POLICY IF EXISTS own ON notes;",
];

const WORDS: &[&str] = &[
    "(",
    ")",
    "'",
    "\"",
    ";",
    "--",
    "/*",
    "*/",
    "$$",
    "NOT ",
    " OR ",
    " AND ",
    " IN ",
    "NULL",
    "SELECT ",
    "EXISTS ",
    "::uuid",
    "::text",
    " ISNULL",
    " BETWEEN ",
    "auth.uid()",
    "notes.",
    "\\",
    "\u{0}",
    "é",
    "9223372036854775808",
    "-",
    "->>",
    "1e999",
    "ALTER TABLE members ENABLE ROW LEVEL SECURITY;",
    "ALTER TABLE teams ENABLE ROW LEVEL SECURITY;",
];

struct Quoted;

impl Names for Quoted {
    fn row(&self, column: &str) -> String {
        format!("\"notes\".\"{column}\"")
    }
    fn table(&self, table: &str) -> String {
        format!("\"v_{table}\"")
    }
    fn owner_table(&self, table: &str) -> String {
        format!("\"v_{table}\"")
    }
    fn function(&self, name: &str) -> String {
        name.to_owned()
    }
}

fn schema() -> Schema {
    let columns =
        |names: &[(&str, &str)]| names.iter().map(|(name, kind)| Column::new(*name, *kind)).collect();
    Schema {
        tables: vec![
            Table::new(
                "notes",
                columns(&[
                    ("id", "INTEGER"),
                    ("owner", "TEXT"),
                    ("team_id", "INTEGER"),
                    ("public", "BOOLEAN"),
                    ("title", "TEXT"),
                    ("expires_at", "TIMESTAMP"),
                ]),
            ),
            Table::new("members", columns(&[("team_id", "INTEGER"), ("user_id", "BLOB"), ("role", "TEXT")])),
            Table::new("teams", columns(&[("id", "INTEGER"), ("open", "BOOLEAN")])),
        ],
    }
}

fn exercise(text: &str) {
    let Ok(policies) = Policies::parse(text, "fuzz.sql") else { return };
    let Ok(lowered) = policies.lower(&schema()) else { return };
    for table in ["notes", "members", "teams"] {
        for role in Role::ALL {
            for command in Command::ALL {
                let checks = lowered.checks(table, role, command).into_iter().map(|check| check.predicate);
                for predicate in checks.chain([lowered.using(table, role, command)]) {
                    if let Predicate::Expr(lowering) = predicate {
                        one_expression(&lowering.render(&Quoted));
                    }
                }
            }
        }
    }
}

fn one_expression(text: &str) {
    let dialect = SQLiteDialect {};
    let mut parser = Parser::new(&dialect).with_recursion_limit(400).try_with_sql(text).unwrap();
    parser.parse_expr().unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(parser.peek_token().token, Token::EOF, "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// attack V05
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        exercise(&text);
    }

    /// attack V05
    #[test]
    fn mutated_policies_are_answered(
        picks in prop::collection::vec(0..SEEDS.len(), 1..6),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, 0..WORDS.len(), any::<bool>()), 0..6),
    ) {
        let text: String = picks.iter().map(|pick| SEEDS[*pick]).collect();
        let mut chars: Vec<char> = format!("{}{text}", SEEDS[0]).chars().collect();
        for (at, cut, word, insert) in edits {
            let at = at.index(chars.len() + 1);
            let end = (at + cut).min(chars.len());
            let new: Vec<char> = if insert { WORDS[word].chars().collect() } else { Vec::new() };
            chars.splice(at..end, new);
        }
        exercise(&chars.into_iter().collect::<String>());
    }
}

#[test]
fn deep_and_long_texts_are_answered() {
    let wrap = |condition: &str| {
        format!("ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON notes USING ({condition});")
    };
    exercise(&wrap(&format!("{}id = 1{}", "(".repeat(5000), ")".repeat(5000))));
    exercise(&wrap(&vec!["id = 1"; 5000].join(" OR ")));
    exercise(&wrap(&vec!["id"; 4000].join(" + ")));
    exercise(&wrap(&format!("id = 1{}", "::text".repeat(6000))));
    exercise(&wrap(&format!("{}public", "NOT ".repeat(4000))));
    let accepted = wrap(&(0..900).map(|id| format!("id = {id}")).collect::<Vec<_>>().join(" OR "));
    assert!(Policies::parse(&accepted, "p").unwrap().lower(&schema()).is_ok());
}
