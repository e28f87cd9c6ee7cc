//! One condition of a policy, asked in process about rows of any values: allow, deny or error, never a panic.
#![no_main]

use aurora_core::policy::{Clause, Column, Command, Facts, Policies, RowLayout, Schema, Table, ValueRef};
use aurora_core::types::{Principal, Role, Timestamp, UserId};
use libfuzzer_sys::fuzz_target;

fn schema() -> Schema {
    let columns = [("n", "INTEGER"), ("t", "TEXT"), ("u", "UUID"), ("b", "BOOLEAN"), ("at", "TIMESTAMP"), ("j", "JSONB")];
    Schema {
        tables: vec![Table::new("r", columns.iter().map(|(name, kind)| Column::new(*name, *kind)).collect())],
    }
}

fuzz_target!(|input: (&str, i64, &str, [u8; 16], Option<bool>, &str, &str)| {
    let (condition, n, t, u, b, at, j) = input;
    let text = format!("ALTER TABLE r ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON r FOR SELECT USING ({condition});");
    let Ok(policies) = Policies::parse(&text, "fuzz.sql") else { return };
    let Ok(lowered) = policies.lower(&schema()) else { return };
    let names = ["n", "t", "u", "b", "at", "j"].map(str::to_owned);
    let layout = RowLayout::new(names);
    let Ok(explainer) =
        lowered.explainer("r", Role::Authenticated, Command::Select, Clause::Using, &layout)
    else {
        return;
    };
    let facts = Facts::of(&Principal::user(UserId::from_bytes(u)));
    let row = [
        ValueRef::Integer(n),
        ValueRef::Text(t),
        ValueRef::Uuid(&u),
        b.map_or(ValueRef::Null, ValueRef::Bool),
        ValueRef::Text(at),
        ValueRef::Text(j),
    ];
    let explanation = explainer.explain(row.as_slice(), &facts, Timestamp::default());
    let _ = explanation.to_string();
});
