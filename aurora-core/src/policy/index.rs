//! The indexes that policies would use.

use crate::types::quote;

use super::expr::{Expr, ROW, Select, Source};
use super::raw::Comparison;
use super::schema::{Schema, Table};

/// An index that a policy wants and the schema lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedIndex {
    table: String,
    columns: Vec<String>,
}

impl WantedIndex {
    /// The table.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The columns, those compared for equality first.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The statement for a migration.
    pub fn create(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|column| quote(column)).collect();
        let name = format!("{}_{}_idx", self.table, self.columns.join("_"));
        format!("CREATE INDEX {} ON {} ({});", quote(&name), quote(&self.table), columns.join(", "))
    }
}

pub(super) fn wanted<'a>(
    schema: &Schema,
    predicates: impl Iterator<Item = (&'a str, &'a Expr)>,
) -> Vec<WantedIndex> {
    let mut wanted = Wanted { schema, found: Vec::new() };
    for (table, expr) in predicates {
        for way in alternatives(expr) {
            wanted.row(table, way);
        }
        expr.walk(&mut |part| {
            if let Some(select) = part.select() {
                wanted.select(select);
            }
        });
    }
    wanted.found.sort_by(|a, b| (&a.table, &a.columns).cmp(&(&b.table, &b.columns)));
    wanted.found
}

/// The conditions of which one is enough.
fn alternatives(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Or(many) => many.iter().collect(),
        Expr::And(many) => many.iter().flat_map(alternatives).collect(),
        one => vec![one],
    }
}

struct Wanted<'a> {
    schema: &'a Schema,
    found: Vec<WantedIndex>,
}

impl Wanted<'_> {
    /// The guarded row is found by who asks: by the caller's id or by their memberships.
    fn row(&mut self, table: &str, way: &Expr) {
        let column = match way {
            Expr::Compare { op: Comparison::Equal, left, right, .. } => match (&**left, &**right) {
                (Expr::Column { source: ROW, name }, Expr::Call(..))
                | (Expr::Call(..), Expr::Column { source: ROW, name }) => name,
                _ => return,
            },
            Expr::InSelect { left, .. } => match &**left {
                Expr::Column { source: ROW, name } => name,
                _ => return,
            },
            Expr::And(many) => {
                for one in many {
                    self.row(table, one);
                }
                return;
            }
            _ => return,
        };
        self.want(table, vec![column.clone()], None);
    }

    /// An inner table is found by what it is compared with; its output rides along.
    fn select(&mut self, select: &Select) {
        for Source { id, table, .. } in &select.sources {
            let mut columns: Vec<String> = Vec::new();
            for condition in &select.filter {
                let Expr::Compare { op: Comparison::Equal, left, right, .. } = condition else { continue };
                for (column, other) in [(left, right), (right, left)] {
                    if let Expr::Column { source, name } = &**column
                        && source == id
                        && !other.sources().contains(id)
                        && !columns.contains(name)
                    {
                        columns.push(name.clone());
                    }
                }
            }
            let output = match &select.output {
                Some(Expr::Column { source, name }) if source == id && !columns.contains(name) => {
                    Some(name.clone())
                }
                _ => None,
            };
            if !columns.is_empty() {
                self.want(table, columns, output);
            }
        }
    }

    fn want(&mut self, table: &str, mut columns: Vec<String>, output: Option<String>) {
        let Some(known) = self.schema.table(table) else { return };
        if serves(known, &columns) {
            return;
        }
        columns.extend(output);
        let wanted = WantedIndex { table: known.name.clone(), columns };
        if !self.found.contains(&wanted) {
            self.found.push(wanted);
        }
    }
}

/// Some index or key begins with these columns in any order, or a key lies wholly within them.
fn serves(table: &Table, columns: &[String]) -> bool {
    let wanted = |name: &String| columns.iter().any(|column| column.eq_ignore_ascii_case(name));
    let begins = |index: &[String]| index.iter().take(columns.len()).filter(|name| wanted(name)).count();
    let keys = std::iter::once(&table.primary_key).chain(&table.unique);
    let keys = keys.filter(|key| !key.is_empty());
    if keys.clone().any(|key| key.iter().all(wanted) || begins(key) == columns.len()) {
        return true;
    }
    table.indexes.iter().filter(|index| !index.partial).any(|index| {
        let named: Vec<String> = index.columns.iter().map_while(Clone::clone).collect();
        begins(&named) == columns.len()
    })
}
