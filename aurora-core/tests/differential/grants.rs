//! Who may do what to which table, and to which of its columns.

use std::collections::BTreeMap;

use super::policies;
use super::rng::Rng;
use super::tree::{Kind, Node};
use super::world::World;

pub(crate) fn draw(rng: &mut Rng, world: &World, out: &mut Vec<Node>) {
    // What a helper of its caller's reads, PostgreSQL asks only where a row brings it to run; Aurora denies at once.
    let invoked = world.helpers.iter().filter(|helper| helper.reads && !helper.definer);
    let free = invoked.map(|helper| helper.from).min().unwrap_or(world.tables.len());
    let mut tags = BTreeMap::new();
    out.iter().for_each(|node| node.tags(&mut tags));
    // Which of its sides PostgreSQL reads can only be told by what it asks for.
    if tags.contains_key(policies::REPEATED) && free > 1 && rng.chance(60) {
        let table = &world.tables[1 + rng.below(free - 1)].name;
        let role = *rng.pick(&["anon", "authenticated"]);
        let text = format!("REVOKE SELECT ON {table} FROM {role}");
        out.push(Node::atom(Kind::Other, text).tag("REVOKE"));
    }
    // What a role loses, it may still hold as one of all.
    if rng.chance(15) {
        let table = &rng.pick(&world.tables[..free]).name;
        let what = *rng.pick(&["SELECT", "ALL", "INSERT, UPDATE", "SELECT, DELETE"]);
        let role = *rng.pick(&["anon", "authenticated", "authenticated"]);
        out.push(Node::atom(Kind::Other, format!("REVOKE {what} ON {table} FROM {role}")).tag("REVOKE"));
        out.push(Node::atom(Kind::Other, format!("GRANT {what} ON {table} TO PUBLIC")).tag("GRANT"));
    }
    if !rng.chance(45) {
        return;
    }
    if rng.chance(55) {
        columns(rng, world, free, out);
    }
    for _ in 0..rng.below(3) {
        let table = &rng.pick(&world.tables[..free]).name;
        let what =
            *rng.pick(&["SELECT", "INSERT", "UPDATE", "DELETE", "ALL", "INSERT, UPDATE", "SELECT, DELETE"]);
        let role = *rng.pick(&["anon", "anon", "authenticated", "PUBLIC"]);
        let text = if rng.chance(70) {
            format!("REVOKE {what} ON {table} FROM {role}")
        } else {
            format!("GRANT {what} ON {table} TO {role}")
        };
        let tag = if text.starts_with('R') { "REVOKE" } else { "GRANT" };
        out.push(Node::atom(Kind::Other, text).tag(tag));
    }
}

/// A role keeps some of a table's columns: for reading, for inserting, for changing, or for any of these.
fn columns(rng: &mut Rng, world: &World, free: usize, out: &mut Vec<Node>) {
    let table = rng.pick(&world.tables[..free]);
    let role = *rng.pick(&["anon", "authenticated", "authenticated", "authenticated"]);
    let commands = *rng.pick(&[
        &["SELECT"][..],
        &["SELECT"],
        &["INSERT"],
        &["UPDATE"],
        &["UPDATE"],
        &["INSERT", "UPDATE"],
        &["SELECT", "INSERT", "UPDATE"],
    ]);
    for command in commands {
        let mut kept: Vec<&str> = Vec::new();
        for (at, column) in table.columns.iter().enumerate() {
            // Without its key, hardly a statement could be run.
            if rng.chance(if table.is_key(at) { 90 } else { 65 }) {
                kept.push(&column.name);
            }
        }
        if kept.is_empty() {
            kept.push("id");
        }
        let tag = match *command {
            "SELECT" => "GRANT SELECT of columns",
            "INSERT" => "GRANT INSERT of columns",
            _ => "GRANT UPDATE of columns",
        };
        let revoke = format!("REVOKE {command} ON {} FROM {role}", table.name);
        out.push(Node::atom(Kind::Other, revoke));
        let grant = format!("GRANT {command} ({}) ON {} TO {role}", kept.join(", "), table.name);
        out.push(Node::atom(Kind::Other, grant).tag(tag));
    }
}
