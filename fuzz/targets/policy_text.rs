//! Whatever the policy file says: it is read or refused, lowered or refused, never a panic.
#![no_main]

use aurora_core::policy::{Clause, Column, Command, Policies, RowLayout, Schema, Table};
use aurora_core::types::Role;
use libfuzzer_sys::fuzz_target;

fn schema() -> Schema {
    let columns =
        |names: &[(&str, &str)]| names.iter().map(|(name, kind)| Column::new(*name, *kind)).collect();
    Schema {
        tables: vec![
            Table::new(
                "notes",
                columns(&[
                    ("id", "INTEGER"),
                    ("owner", "UUID"),
                    ("team_id", "INTEGER"),
                    ("public", "BOOLEAN"),
                    ("title", "TEXT"),
                    ("tags", "TEXT[]"),
                    ("meta", "JSONB"),
                    ("expires_at", "TIMESTAMP"),
                ]),
            ),
            Table::new("members", columns(&[("team_id", "INTEGER"), ("user_id", "UUID"), ("role", "TEXT")])),
            Table::new("teams", columns(&[("id", "INTEGER"), ("open", "BOOLEAN")])),
        ],
    }
}

fuzz_target!(|text: &str| {
    let tables = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;";
    let Ok(policies) = Policies::parse(&format!("{tables}{text}"), "fuzz.sql") else { return };
    let Ok(lowered) = policies.lower(&schema()) else { return };
    let layout = RowLayout::new(["id", "owner", "team_id", "public", "title"].map(str::to_owned));
    for table in ["notes", "members"] {
        for role in Role::ALL {
            for command in Command::ALL {
                let _ = lowered.using(table, role, command);
                let _ = lowered.checks(table, role, command);
                for clause in [Clause::Using, Clause::Check] {
                    let _ = lowered.explainer(table, role, command, clause, &layout);
                }
            }
        }
    }
});
