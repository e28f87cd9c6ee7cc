//! `EXISTS` over two tables: one that belongs to the guarded row, and one that has the caller's own rows.

use super::identity::{split, unwrapped};
use super::lexer::Token;
use super::membership::{Inner, Pair, Scope, Side};

/// `SELECT .. FROM a JOIN b ON .. WHERE ..`, or the two with a comma between them.
pub(super) struct Joined<'t> {
    tables: [Inner<'t>; 2],
    conditions: Vec<&'t [Token]>,
}

impl<'t> Joined<'t> {
    pub(super) fn read<'a: 't>(scope: &Scope<'a>, query: &'t [Token]) -> Option<Self> {
        let (list, source, tail) = scope.parts(query)?;
        let (first, second, on) = sides(scope.source, source)?;
        let conditions = [on, tail].into_iter().filter(|tokens| !tokens.is_empty());
        let conditions = conditions
            .flat_map(|tokens| split(scope.source, unwrapped(tokens), "and"))
            .map(unwrapped)
            .collect();
        let table = |from: &'t [Token]| {
            let (table, alias) = scope.relation(from)?;
            Some(Inner { table, alias, list, from, conditions: Vec::new() })
        };
        let tables = [table(first)?, table(second)?];
        (tables[0].alias != tables[1].alias).then_some(Self { tables, conditions })
    }

    /// The second table's rows as an array within the first's, whichever of the two comes first in the text.
    pub(super) fn array(&self, scope: &Scope<'_>) -> Option<String> {
        let [first, second] = &self.tables;
        self.of(scope, first, second).or_else(|| self.of(scope, second, first))
    }

    fn of(&self, scope: &Scope<'_>, near: &Inner<'_>, far: &Inner<'_>) -> Option<String> {
        // What the far table is joined to is the near one.
        let beyond =
            Scope { source: scope.source, schema: scope.schema, outer: near.table, called: &near.alias };
        let (mut to_row, mut to_near) = (None, None);
        let (mut of_near, mut of_far) = (Vec::new(), Vec::new());
        for condition in &self.conditions {
            let place = if scope.is_inner(far, condition) {
                of_far.push(scope.text(condition).to_owned());
                continue;
            } else if scope.is_inner(near, condition) {
                of_near.push(scope.text(condition).to_owned());
                continue;
            } else if let Some(pair) = beyond.correlation(far, condition) {
                to_near.replace(pair).is_none()
            } else {
                // A bare name that both tables have is refused by PostgreSQL, and one of the far table alone is no
                // name of the row's.
                let pair = scope.correlation(near, condition)?;
                let outside = scope.reference(Some(far), pair.outer)?.0 == Side::Outer;
                outside && to_row.replace(pair).is_none()
            };
            if !place {
                return None;
            }
        }
        let (to_row, to_near): (Pair<'_>, Pair<'_>) = (to_row?, to_near?);
        of_near.push(beyond.array(far, &to_near, &of_far)?);
        scope.array(near, &to_row, &of_near)
    }
}

/// The two tables, and what they are joined on.
fn sides<'t>(source: &str, from: &'t [Token]) -> Option<(&'t [Token], &'t [Token], &'t [Token])> {
    let word = |word: &str| from.iter().position(|token| token.is_word(source, word));
    if let Some(join) = word("join") {
        let on = word("on").filter(|on| *on > join)?;
        let first = match from.get(..join)? {
            [first @ .., inner] if inner.is_word(source, "inner") => first,
            first => first,
        };
        let after = from.get(on + 1..)?;
        let another =
            ["join", "on", "using"].iter().any(|word| after.iter().any(|t| t.is_word(source, word)));
        return (!another && !after.is_empty()).then_some((first, from.get(join + 1..on)?, after));
    }
    let comma = from.iter().position(|token| token.is(b','))?;
    Some((from.get(..comma)?, from.get(comma + 1..)?, &[]))
}
