//! Tables that their own policies lead back to, as a limit on how many rows of it somebody may insert does.
//!
//! PostgreSQL lets a table whose policies hold any subquery be entered once on a way (rewriteHandler.c), so those
//! tables must not get one from us: there `aurora.uid()` stands by itself.

use super::lexer::tokens;
use super::read::{NativeTable, TableName};

/// The tables of the file from which a way leads back to themselves. Names that only look like tables count too:
/// that costs time and nothing else.
pub(super) fn entered_again(tables: &[NativeTable]) -> Vec<TableName> {
    let leads: Vec<Vec<usize>> = tables.iter().map(|table| leads_to(table, tables)).collect();
    let mut found = Vec::new();
    for (start, table) in tables.iter().enumerate() {
        let mut seen: Vec<usize> = Vec::new();
        let mut open = leads.get(start).cloned().unwrap_or_default();
        while let Some(next) = open.pop() {
            if !seen.contains(&next) {
                seen.push(next);
                open.extend(leads.get(next).into_iter().flatten());
            }
        }
        if seen.contains(&start) {
            found.push(table.table.clone());
        }
    }
    found
}

fn leads_to(table: &NativeTable, tables: &[NativeTable]) -> Vec<usize> {
    let texts = table.policies.iter().flat_map(|policy| policy.using.iter().chain(&policy.check));
    let mut found = Vec::new();
    for text in texts {
        let tokens = tokens(text).unwrap_or_default();
        if !tokens.iter().any(|token| token.is_word(text, "select")) {
            continue;
        }
        for (at, token) in tokens.iter().enumerate() {
            let Some(name) = token.identifier(text) else { continue };
            let before = at.checked_sub(1).and_then(|before| tokens.get(before));
            let source = before.is_some_and(|before| {
                before.is_word(text, "from")
                    || before.is_word(text, "join")
                    || [b',', b'.', b'('].iter().any(|symbol| before.is(*symbol))
            });
            let qualifies = tokens.get(at + 1).is_some_and(|after| after.is(b'.'));
            if source && !qualifies {
                found.extend(
                    (0..tables.len())
                        .filter(|known| tables.get(*known).is_some_and(|known| known.table.name == name)),
                );
            }
        }
    }
    found
}

/// The condition without subqueries of ours.
pub(super) fn by_itself(condition: &str) -> String {
    let (start, end) = ("(SELECT ", " FROM aurora.identity)");
    let mut printed = String::with_capacity(condition.len());
    let mut rest = condition;
    while let Some(at) = rest.find(end) {
        let (head, tail) = rest.split_at(at);
        let Some(open) = head.rfind(start) else { break };
        let (before, select) = head.split_at(open);
        let asked = select.strip_prefix(start).unwrap_or_default();
        let inner = asked.trim_start_matches('(');
        let opened = asked.strip_suffix(inner).unwrap_or_default();
        let name: String = inner.chars().take_while(|c| c.is_alphabetic()).collect();
        let more = inner.strip_prefix(name.as_str()).unwrap_or_default();
        printed.push_str(&format!("{before}({opened}aurora.{name}(){more})"));
        rest = tail.strip_prefix(end).unwrap_or_default();
    }
    printed.push_str(rest);
    printed
}
