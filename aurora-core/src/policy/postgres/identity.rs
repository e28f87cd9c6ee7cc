//! Who asks: Supabase's identity functions become the verified ones, and a policy that does not ask gets a
//! condition of its own beside it.

use super::lexer::{Kind, Token, tokens};

/// The settings that stand for the principal's tenant.
const TENANT: [&str; 4] = ["app.current_tenant", "app.current_tenant_id", "app.tenant", "app.tenant_id"];

/// The member of the bound claims that holds the principal's tenant.
pub(crate) const TENANT_CLAIM: &str = "aurora_tenant";

/// The text with `auth.uid()` and the like replaced by the functions that verify the identity. Function bodies in
/// quotes are read too.
pub(super) fn verified(source: &str) -> String {
    let Ok(found) = tokens(source) else { return source.to_owned() };
    let mut printed = String::with_capacity(source.len() + 64);
    let (mut copied, mut at) = (0, 0);
    while let Some(token) = found.get(at) {
        let rest = found.get(at..).unwrap_or_default();
        let before = at.checked_sub(1).and_then(|before| found.get(..=before)).unwrap_or_default();
        let replaced = match call(source, rest).or_else(|| setting(source, rest)) {
            Some((taken, text)) => {
                let (more, text) = grown(source, before, rest.get(taken..).unwrap_or_default(), text);
                Some((taken + more, text))
            }
            None if token.kind == Kind::Dollar => Some((1, body(token.text(source)))),
            None => None,
        };
        let Some((taken, text)) = replaced else {
            at += 1;
            continue;
        };
        let end = rest.get(taken.saturating_sub(1)).map_or(token.end, |last| last.end);
        printed.push_str(source.get(copied..token.start).unwrap_or_default());
        printed.push_str(&text);
        copied = end;
        at += taken.max(1);
    }
    printed.push_str(source.get(copied..).unwrap_or_default());
    printed
}

fn body(quoted: &str) -> String {
    let tag = quoted.get(1..).and_then(|rest| rest.find('$')).map_or(0, |end| end + 2);
    let end = quoted.len().saturating_sub(tag);
    match (quoted.get(..tag), quoted.get(tag..end), quoted.get(end..)) {
        (Some(open), Some(inner), Some(close)) => format!("{open}{}{close}", verified(inner)),
        _ => quoted.to_owned(),
    }
}

/// `auth.uid()`, `auth.role()`, `auth.email()`, `auth.jwt()`.
fn call(source: &str, rest: &[Token]) -> Option<(usize, String)> {
    let [schema, dot, name, open, close, ..] = rest else { return None };
    if !(dot.is(b'.') && open.is(b'(') && close.is(b')')) || schema.identifier(source)? != "auth" {
        return None;
    }
    let text = match name.identifier(source)?.as_str() {
        "uid" => "(SELECT uid FROM aurora.identity)",
        "jwt" => "(SELECT claims FROM aurora.identity)",
        "role" => "(SELECT claims ->> 'role' FROM aurora.identity)",
        "email" => "(SELECT claims ->> 'email' FROM aurora.identity)",
        _ => return None,
    };
    Some((5, text.to_owned()))
}

/// `current_setting('request.jwt.claims', true)` and its kin.
fn setting(source: &str, rest: &[Token]) -> Option<(usize, String)> {
    let [name, open, literal, after @ ..] = rest else { return None };
    if !name.is_word(source, "current_setting") || !open.is(b'(') {
        return None;
    }
    // PostgreSQL's settings have no case.
    let setting = literal.plain_text(source)?.to_ascii_lowercase();
    let cast = match after {
        [colon, again, kind, ..] if colon.is(b':') && again.is(b':') && kind.is_word(source, "text") => 3,
        _ => 0,
    };
    let taken = match after.get(cast..)? {
        [close, ..] if close.is(b')') => 4,
        [comma, _, close, ..] if comma.is(b',') && close.is(b')') => 6,
        _ => return None,
    };
    let text = if setting == "request.jwt.claims" {
        "(SELECT claims::text FROM aurora.identity)".to_owned()
    } else if let Some(claim) = setting.strip_prefix("request.jwt.claim.") {
        format!("(SELECT claims ->> '{}' FROM aurora.identity)", claim.replace('\'', "''"))
    } else if TENANT.contains(&setting.as_str()) {
        format!("(SELECT claims ->> '{TENANT_CLAIM}' FROM aurora.identity)")
    } else {
        return None;
    };
    Some((taken + cast, text))
}

/// The question together with what is asked of its answer alone, so that it is asked once and not of every row: casts,
/// and members of the claims. How many tokens more that takes.
fn grown(source: &str, before: &[Token], after: &[Token], text: String) -> (usize, String) {
    let Some(asked) = text.strip_prefix(ASKS).and_then(|text| text.strip_suffix(ASKED)) else {
        return (0, text);
    };
    let (mut asked, mut taken) = (asked.to_owned(), 0);
    let looser = binds_looser(source, before);
    // What a cast is of has to be one word: `a ->> 'b'::int` is a cast of the name.
    let (mut json, mut single) = (asked == "claims", !asked.contains(' '));
    loop {
        let rest = after.get(taken..).unwrap_or_default();
        if let Some(kind) = cast(source, rest) {
            asked = if single { format!("{asked}::{kind}") } else { format!("({asked})::{kind}") };
            (json, single) = (kind.starts_with("json"), true);
            taken += 3;
        } else if let Some((step, name, last)) = member(source, rest).filter(|_| json && looser) {
            let (arrow, name) = (if last { "->>" } else { "->" }, name.text(source));
            asked = format!("{asked} {arrow} {name}");
            (json, single) = (!last, false);
            taken += step;
        } else {
            return (taken, format!("{ASKS}{asked}{ASKED}"));
        }
    }
}

/// `::type`, of the plain types that the identity is compared as.
fn cast(source: &str, rest: &[Token]) -> Option<&'static str> {
    let [colon, again, kind, after @ ..] = rest else { return None };
    // `text[]`, `text.kind`, `text(1)`
    let whole = !after.first().is_some_and(|next| [b'[', b'.', b'('].iter().any(|symbol| next.is(*symbol)));
    if !(colon.is(b':') && again.is(b':') && whole) {
        return None;
    }
    CASTS.into_iter().find(|known| kind.is_word(source, known))
}

const CASTS: [&str; 8] = ["text", "uuid", "json", "jsonb", "int", "integer", "bigint", "smallint"];

/// How every question to the verified identity begins.
const ASKS: &str = "(SELECT ";
/// How every question to the verified identity ends.
const ASKED: &str = " FROM aurora.identity)";

/// `-> 'name'` or `->> 'name'`: how many tokens it takes, the name, and whether it is the one that gives text. A
/// constant that something binds to first is none of these.
fn member<'t>(source: &str, rest: &'t [Token]) -> Option<(usize, &'t Token, bool)> {
    let touch = |left: &Token, right: &Token| left.end == right.start;
    let (step, name, next) = match rest {
        [minus, more, again, name, next @ ..]
            if minus.is(b'-')
                && more.is(b'>')
                && again.is(b'>')
                && touch(minus, more)
                && touch(more, again) =>
        {
            (4, name, next)
        }
        [minus, more, name, next @ ..] if minus.is(b'-') && more.is(b'>') && touch(minus, more) => {
            (3, name, next)
        }
        _ => return None,
    };
    // Arithmetic is stronger than an arrow; another arrow is not.
    let arrow = matches!(next, [minus, more, ..] if minus.is(b'-') && more.is(b'>') && touch(minus, more));
    let bound = next.first().is_some_and(|next| {
        (b":[+-*/%^".iter().any(|symbol| next.is(*symbol)) && !arrow)
            || next.kind == Kind::Text
            || next.is_word(source, "collate")
            || next.is_word(source, "at")
    });
    let plain = name.plain_text(source).is_some_and(|name| !name.contains(['(', ')']));
    (plain && !bound).then_some((step, name, step == 4))
}

/// Whether `->` is stronger than what stands before the question.
fn binds_looser(source: &str, before: &[Token]) -> bool {
    const WORDS: [&str; 10] =
        ["and", "or", "not", "case", "when", "then", "else", "select", "where", "return"];
    match before {
        [] => true,
        [.., operator, equals] if equals.is(b'=') => !(symbol(operator) && operator.end == equals.start),
        [.., last] => last.is(b'(') || last.is(b',') || WORDS.iter().any(|word| last.is_word(source, word)),
    }
}

/// Whether the condition is true only where the identity was verified, with nothing beside it.
pub(super) fn asks_by_itself(condition: &str) -> bool {
    tokens(condition).is_ok_and(|found| asks(condition, &found))
}

/// Whether the condition can be true only after a verified identity was compared with something.
pub(super) fn asks(source: &str, condition: &[Token]) -> bool {
    let condition = unwrapped(condition);
    let alone = |word: &str| words_at_top(source, condition, word);
    if alone("between") || alone("case") {
        return false;
    }
    if alone("or") {
        return split(source, condition, "or").iter().all(|part| asks(source, part));
    }
    let parts = split(source, condition, "and");
    if parts.len() > 1 {
        return parts.iter().any(|part| asks(source, part));
    }
    compares(source, condition) || reads(source, condition)
}

/// `x = <identity>` or the other way round.
fn compares(source: &str, condition: &[Token]) -> bool {
    let Some(at) = equals_at(condition) else { return false };
    let (left, right) =
        (condition.get(..at).unwrap_or_default(), condition.get(at + 1..).unwrap_or_default());
    is_identity(source, left) || is_identity(source, right)
}

/// The one `=` of a comparison, outside of parentheses.
pub(super) fn equals_at(condition: &[Token]) -> Option<usize> {
    let mut found = None;
    let mut depth = 0_usize;
    for (at, token) in condition.iter().enumerate() {
        depth += usize::from(token.is(b'(') || token.is(b'['));
        depth = depth.saturating_sub(usize::from(token.is(b')') || token.is(b']')));
        if depth == 0 && token.is(b'=') {
            let glued = |other: Option<&Token>, touches: &dyn Fn(&Token) -> bool| {
                other.is_some_and(|other| symbol(other) && touches(other))
            };
            let before = at.checked_sub(1).and_then(|before| condition.get(before));
            if found.is_some()
                || glued(before, &|other| other.end == token.start)
                || glued(condition.get(at + 1), &|other| other.start == token.end)
            {
                return None;
            }
            found = Some(at);
        }
    }
    found
}

fn symbol(token: &Token) -> bool {
    matches!(token.kind, Kind::Symbol(symbol) if !b",()[].;:".contains(&symbol))
}

/// `(SELECT uid FROM aurora.identity)`, however often it is wrapped, with or without a cast to text or uuid.
fn is_identity(source: &str, side: &[Token]) -> bool {
    let side = match side {
        [inner @ .., colon, again, kind]
            if colon.is(b':')
                && again.is(b':')
                && (kind.is_word(source, "text") || kind.is_word(source, "uuid")) =>
        {
            inner
        }
        _ => side,
    };
    let side = unwrapped(side);
    match side {
        [select, inner @ ..] if select.is_word(source, "select") => is_identity(source, inner),
        [name, cast @ .., from, schema, dot, view] => {
            let casts = match cast {
                [] => true,
                [colon, again, kind] => {
                    colon.is(b':')
                        && again.is(b':')
                        && (kind.is_word(source, "text") || kind.is_word(source, "uuid"))
                }
                _ => false,
            };
            casts
                && name.is_word(source, "uid")
                && from.is_word(source, "from")
                && schema.is_word(source, "aurora")
                && dot.is(b'.')
                && view.is_word(source, "identity")
        }
        [open, .., close] if open.is(b'(') && close.is(b')') => false,
        _ => false,
    }
}

/// `EXISTS (SELECT .. WHERE <asks>)`, `x IN (SELECT .. WHERE <asks>)`, `x = ANY (ARRAY(SELECT .. WHERE <asks>))`.
fn reads(source: &str, condition: &[Token]) -> bool {
    let Some(open) = condition.iter().position(|token| token.is(b'(')) else { return false };
    let (head, inner) = condition.split_at(open);
    let inner = match head {
        [exists] if exists.is_word(source, "exists") => inner,
        [.., word]
            if word.is_word(source, "in") && !head.iter().any(|token| token.is_word(source, "not")) =>
        {
            inner
        }
        [.., word] if word.is_word(source, "any") => match inner {
            [_, array, rest @ .., _] if array.is_word(source, "array") => rest,
            _ => return false,
        },
        _ => return false,
    };
    let query = unwrapped(inner);
    // Something after the parenthesis, or several selects: leave it.
    if query.len() == inner.len()
        || words_at_top(source, query, "union")
        || words_at_top(source, query, "group")
    {
        return false;
    }
    let condition = query.iter().position(|token| token.is_word(source, "where"));
    let from = query.iter().position(|token| token.is_word(source, "from"));
    // An aggregate gives a row where there is none to compare.
    let plain = query.iter().take(from.unwrap_or(usize::MAX)).all(|token| !token.is(b'('));
    let first = plain && query.first().is_some_and(|token| token.is_word(source, "select"));
    match condition {
        Some(at) if first && at_top(query, at) => {
            let after = query.get(at + 1..).unwrap_or_default();
            let ends =
                ["order", "limit", "offset", "having", "window", "fetch", "for", "except", "intersect"];
            !ends.iter().any(|word| words_at_top(source, after, word)) && asks(source, after)
        }
        _ => false,
    }
}

fn at_top(tokens: &[Token], at: usize) -> bool {
    let before = tokens.get(..at).unwrap_or_default();
    let count = |symbol: u8| before.iter().filter(|token| token.is(symbol)).count();
    count(b'(') == count(b')')
}

/// How many tokens `(SELECT .. FROM aurora.identity)` takes, if it begins here: the same for every row.
pub(super) fn of_identity(source: &str, rest: &[Token]) -> Option<usize> {
    let close = closing(rest, 0)?;
    match rest.get(1..close)? {
        [select, list @ .., from, schema, dot, view]
            if select.is_word(source, "select")
                && list.iter().filter(|token| matches!(token.kind, Kind::Word | Kind::Quoted)).all(
                    |token| {
                        ["claims", "uid", "bound"]
                            .iter()
                            .chain(&CASTS)
                            .any(|word| token.is_word(source, word))
                    },
                )
                && from.is_word(source, "from")
                && schema.is_word(source, "aurora")
                && dot.is(b'.')
                && view.is_word(source, "identity") =>
        {
            Some(close + 1)
        }
        _ => None,
    }
}

/// The partner of the parenthesis at `open`.
pub(super) fn closing(all: &[Token], open: usize) -> Option<usize> {
    all.get(open).filter(|token| token.is(b'('))?;
    let mut depth = 0_usize;
    for (at, token) in all.iter().enumerate().skip(open) {
        depth += usize::from(token.is(b'('));
        if token.is(b')') {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

pub(super) fn words_at_top(source: &str, tokens: &[Token], word: &str) -> bool {
    split(source, tokens, word).len() > 1 || tokens.first().is_some_and(|token| token.is_word(source, word))
}

/// The pieces between a word that stands outside of parentheses.
pub(super) fn split<'t>(source: &str, tokens: &'t [Token], word: &str) -> Vec<&'t [Token]> {
    let mut depth = 0_usize;
    let parts = tokens.split(|token| {
        depth += usize::from(token.is(b'(') || token.is(b'['));
        depth = depth.saturating_sub(usize::from(token.is(b')') || token.is(b']')));
        depth == 0 && token.is_word(source, word)
    });
    parts.collect()
}

/// Without the parentheses that enclose the whole.
pub(super) fn unwrapped(mut tokens: &[Token]) -> &[Token] {
    while let [open, inner @ .., close] = tokens
        && open.is(b'(')
        && close.is(b')')
    {
        let mut depth = 0_i64;
        let closes_early = inner.iter().any(|token| {
            depth += i64::from(token.is(b'(')) - i64::from(token.is(b')'));
            depth < 0
        });
        if closes_early {
            break;
        }
        tokens = inner;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_functions_become_the_verified_ones() {
        for (source, printed) in [
            ("auth.uid() = owner", "(SELECT uid FROM aurora.identity) = owner"),
            ("owner = (select auth . UID ( ))", "owner = (select (SELECT uid FROM aurora.identity))"),
            ("'auth.uid()' = x", "'auth.uid()' = x"),
            ("auth.jwt() ->> 'a' = b", "(SELECT claims ->> 'a' FROM aurora.identity) = b"),
            (
                "org = current_setting('app.tenant_id', true)::int",
                "org = (SELECT (claims ->> 'aurora_tenant')::int FROM aurora.identity)",
            ),
            ("current_setting('Request.JWT.claims', true)", "(SELECT claims::text FROM aurora.identity)"),
            (
                "current_setting('request.jwt.claims', true)::json",
                "(SELECT claims::text::json FROM aurora.identity)",
            ),
            ("current_setting('other', true)", "current_setting('other', true)"),
            ("AS $f$ SELECT auth.uid() $f$", "AS $f$ SELECT (SELECT uid FROM aurora.identity) $f$"),
        ] {
            assert_eq!(verified(source), printed);
        }
    }

    /// What is asked of the identity alone goes with the question; what binds to something else first does not.
    #[test]
    fn casts_and_members_are_asked_for_once() {
        for (source, printed) in [
            ("auth.uid()::text = a", "(SELECT uid::text FROM aurora.identity) = a"),
            ("a = auth.jwt() -> 'm' ->> 'r'", "a = (SELECT claims -> 'm' ->> 'r' FROM aurora.identity)"),
            (
                "current_setting('request.jwt.claims', true)::json ->> 'r' = a",
                "(SELECT claims::text::json ->> 'r' FROM aurora.identity) = a",
            ),
            ("auth.role()::text = a", "(SELECT (claims ->> 'role')::text FROM aurora.identity) = a"),
            ("a || auth.jwt() ->> 'r'", "a || (SELECT claims FROM aurora.identity) ->> 'r'"),
            ("a != auth.jwt() ->> 'r'", "a != (SELECT claims FROM aurora.identity) ->> 'r'"),
            ("auth.jwt() -> '0'::int", "(SELECT claims FROM aurora.identity) -> '0'::int"),
            ("auth.jwt() -> '5' - 2", "(SELECT claims FROM aurora.identity) -> '5' - 2"),
            ("auth.jwt() ->> '5' * 2", "(SELECT claims FROM aurora.identity) ->> '5' * 2"),
            ("auth.jwt() -> 'a'->'b'", "(SELECT claims -> 'a' -> 'b' FROM aurora.identity)"),
            ("auth.jwt() -> 'a'[1]", "(SELECT claims FROM aurora.identity) -> 'a'[1]"),
            ("auth.jwt() ->> column_of_row", "(SELECT claims FROM aurora.identity) ->> column_of_row"),
            ("auth.jwt() - > 'a'", "(SELECT claims FROM aurora.identity) - > 'a'"),
            ("auth.uid()::text[]", "(SELECT uid FROM aurora.identity)::text[]"),
            ("auth.jwt() ->> 'a' ->> 'b'", "(SELECT claims ->> 'a' FROM aurora.identity) ->> 'b'"),
        ] {
            assert_eq!(verified(source), printed);
        }
    }

    #[test]
    fn a_condition_that_does_not_ask_is_told() {
        for asks in [
            "owner = auth.uid()",
            "(auth.uid()::text = owner AND n > 1)",
            "n > 1 AND (owner = (select auth.uid()) OR other = auth.uid())",
            "EXISTS (SELECT 1 FROM m WHERE m.t = t AND m.u = auth.uid())",
            "t IN (SELECT m.t FROM m WHERE m.u = auth.uid())",
        ] {
            let verified = verified(asks);
            assert!(asks_by_itself(&verified), "{asks}");
        }
        for does_not in [
            "true",
            "owner = auth.uid() OR public",
            "owner <= auth.uid()::text",
            "coalesce(true, owner = auth.uid())",
            "EXISTS (SELECT 1 FROM m WHERE m.u = auth.uid() OR true)",
            "EXISTS (SELECT count(*) FROM m WHERE m.u = auth.uid())",
            "EXISTS (SELECT count(*) FROM m WHERE m.u = auth.uid() GROUP BY ())",
            "EXISTS (SELECT 1 FROM m WHERE m.u = auth.uid() UNION SELECT 1)",
            "t NOT IN (SELECT m.t FROM m WHERE m.u = auth.uid())",
            "NOT EXISTS (SELECT 1 FROM m WHERE m.u = auth.uid())",
            "n BETWEEN 1 AND owner = auth.uid()",
            "CASE WHEN n = 1 THEN true ELSE owner = auth.uid() END",
            "auth.uid() IS NOT NULL",
        ] {
            assert!(!asks_by_itself(&verified(does_not)), "{does_not}");
        }
    }
}
