//! SELECT, in the forms that both engines read alike.

use super::statements::Statements;
use super::tree::{Kind, Node};

impl Statements<'_> {
    pub(crate) fn select(&mut self) -> Node {
        match self.rng.below(26) {
            0..=5 => self.plain_select(),
            6..=11 => self.join(),
            12..=16 => self.aggregate(),
            17..=19 => self.with(),
            20 | 21 => self.derived(),
            22 | 23 => self.scalar(),
            _ => self.compound(),
        }
    }

    pub(crate) fn projection(&mut self) -> Node {
        let many = 1 + self.rng.below(3);
        let items =
            (0..many).map(|_| self.column(&|_| true).unwrap_or_else(|| Node::atom(Kind::Int, "1"))).collect();
        Node::list(items, ", ")
    }

    pub(crate) fn plain_select(&mut self) -> Node {
        let table = self.table();
        let name = self.known(table).name.clone();
        self.scopes.push(vec![(name.clone(), table)]);
        let projection = if self.rng.chance(30) { Node::atom(Kind::Other, "*") } else { self.projection() };
        let filter = self.bool(2);
        if self.rng.chance(40) {
            let keys: Vec<String> = self
                .known(table)
                .key
                .iter()
                .map(|at| format!("{name}.{}", self.known(table).columns[*at].name))
                .collect();
            let keys = keys.join(", ");
            let form = format!(
                "SELECT {{}} FROM {name}[[ WHERE {{}}]] ORDER BY {keys} LIMIT {}",
                1 + self.rng.below(3)
            );
            return Node::of(Kind::Other, &form, [projection, filter]).tag("SELECT").tag("ORDER BY LIMIT");
        }
        let form = format!("SELECT {{}} FROM {name}[[ WHERE {{}}]]");
        Node::of(Kind::Other, &form, [projection, filter]).tag("SELECT")
    }

    pub(crate) fn join(&mut self) -> Node {
        let (first, second) = (self.table(), self.table());
        let (a, b) = (self.alias(), self.alias());
        self.scopes.push(vec![(a.clone(), first), (b.clone(), second)]);
        let on = self.bool(1);
        let filter = self.bool(1);
        let projection = self.projection();
        let (left, right) = (self.known(first).name.clone(), self.known(second).name.clone());
        let (word, tag) =
            *self.rng.pick(&[("JOIN", "inner join"), ("JOIN", "inner join"), ("LEFT JOIN", "outer join")]);
        let form = format!("SELECT {{}} FROM {left} {a} {word} {right} {b} ON {{}}[[ WHERE {{}}]]");
        Node::of(Kind::Other, &form, [projection, on, filter]).tag("SELECT").tag(tag)
    }

    pub(crate) fn aggregate(&mut self) -> Node {
        let table = self.table();
        let name = self.known(table).name.clone();
        self.scopes.push(vec![(name.clone(), table)]);
        let filter = self.bool(1);
        let int = self.int(0);
        if self.rng.chance(50) {
            let by = self.column(&|of| matches!(of.kind(), Kind::Int | Kind::Text | Kind::Bool));
            let by = by.unwrap_or_else(|| Node::atom(Kind::Other, "id"));
            let form = format!(
                "SELECT {{}}, count(*) FROM {name}[[ WHERE {{}}]] GROUP BY {{}}[[ HAVING count(*) > 1]]"
            );
            let parts = [by.clone(), filter, by];
            return Node::of(Kind::Other, &form, parts).tag("SELECT").tag("GROUP BY");
        }
        let form = if self.rng.chance(50) {
            format!("SELECT count(*), sum({{}}) FROM {name}[[ WHERE {{}}]]")
        } else {
            format!("SELECT max({{}}) FROM {name}[[ WHERE {{}}]]")
        };
        Node::of(Kind::Other, &form, [int, filter]).tag("SELECT").tag("aggregate")
    }

    pub(crate) fn derived(&mut self) -> Node {
        let table = self.table();
        let name = self.known(table).name.clone();
        self.scopes.push(vec![(name.clone(), table)]);
        let inner = self.bool(1);
        self.scopes = vec![vec![("d".to_owned(), table)]];
        let (projection, outer) = (self.projection(), self.bool(1));
        let distinct = if self.rng.chance(40) { "DISTINCT " } else { "" };
        let form =
            format!("SELECT {distinct}{{}} FROM (SELECT * FROM {name}[[ WHERE {{}}]]) AS d[[ WHERE {{}}]]");
        Node::of(Kind::Other, &form, [projection, inner, outer]).tag("SELECT").tag("derived table")
    }

    pub(crate) fn scalar(&mut self) -> Node {
        let (table, other) = (self.table(), self.table());
        let (name, inner) = (self.known(table).name.clone(), self.known(other).name.clone());
        self.scopes = vec![vec![("a".to_owned(), table)], vec![("b".to_owned(), other)]];
        let condition = self.bool(1);
        self.scopes.truncate(1);
        let filter = self.bool(1);
        let form = format!(
            "SELECT a.id, (SELECT count(*) FROM {inner} b[[ WHERE {{}}]]) FROM {name} a[[ WHERE {{}}]]"
        );
        Node::of(Kind::Other, &form, [condition, filter]).tag("SELECT").tag("statement scalar subquery")
    }

    pub(crate) fn with(&mut self) -> Node {
        let (table, other) = (self.table(), self.table());
        let name = self.known(table).name.clone();
        self.scopes.push(vec![(name.clone(), table)]);
        let inner = self.bool(1);
        self.scopes.pop();
        self.scopes.push(vec![("c".to_owned(), table), ("o".to_owned(), other)]);
        let on = self.bool(1);
        let projection = self.projection();
        let other = self.known(other).name.clone();
        let form = format!(
            "WITH c AS (SELECT * FROM {name}[[ WHERE {{}}]]) SELECT {{}} FROM c JOIN {other} o ON {{}}"
        );
        Node::of(Kind::Other, &form, [inner, projection, on]).tag("SELECT").tag("CTE")
    }

    pub(crate) fn compound(&mut self) -> Node {
        let (first, second) = (self.table(), self.table());
        let word = *self.rng.pick(&["UNION ALL", "UNION", "EXCEPT", "INTERSECT"]);
        let mut sides = Vec::new();
        for table in [first, second] {
            let name = self.known(table).name.clone();
            self.scopes.push(vec![(name.clone(), table)]);
            let (int, filter) = (self.int(0), self.bool(1));
            self.scopes.pop();
            sides.push(Node::of(
                Kind::Other,
                &format!("SELECT {{}} FROM {name}[[ WHERE {{}}]]"),
                [int, filter],
            ));
        }
        Node::of(Kind::Other, &format!("{{}} {word} {{}}"), sides).tag("SELECT").tag("compound")
    }
}
