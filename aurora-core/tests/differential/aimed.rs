//! Writes of somebody's own row that something is in the way of: a constraint, or a row that may be hidden.

use super::statements::Statements;
use super::tree::{Engine, Kind, Node};
use super::world::{self, Type, Value};
use super::writes::fixed;

/// What is in the way.
#[derive(Clone, Copy, PartialEq)]
enum Obstacle {
    /// The parent is not there.
    Parent,
    Check,
    /// Another row has the value.
    Unique,
    Null,
    /// A row of that key is there, and is to be changed.
    Key,
}

impl Statements<'_> {
    pub(crate) fn aimed(&mut self) -> Node {
        if self.rng.chance(9) {
            return self.all_told();
        }
        let table = self.own_table();
        let known = self.known(table).clone();
        let mut possible = vec![Obstacle::Key, Obstacle::Key];
        if known.foreign.is_some() {
            possible.extend([Obstacle::Parent; 9]);
        }
        if known.check.is_some() {
            possible.extend([Obstacle::Check; 3]);
        }
        if known.unique.is_some() {
            possible.extend([Obstacle::Unique; 10]);
        }
        if known.columns.iter().enumerate().any(|(at, column)| column.not_null && !known.is_key(at)) {
            possible.extend([Obstacle::Null; 2]);
        }
        let obstacle = *self.rng.pick(&possible);
        if obstacle == Obstacle::Parent && self.rng.chance(65) {
            return self.leave(table);
        }
        let (columns, values) = self.own_row(table, obstacle);
        let names = self.names(table, &columns);
        let returning = if self.rng.chance(70) { Node::atom(Kind::Other, "") } else { self.returning(table) };
        if obstacle == Obstacle::Key {
            let keys = self.names(table, &known.key);
            let set = self.set(table, None);
            let form = format!(
                "INSERT INTO {} ({names}) VALUES ({{}}) ON CONFLICT ({keys}) DO UPDATE SET {{}}{{}}",
                known.name
            );
            let node = Node::of(Kind::Other, &form, [fixed(values), set, returning]);
            return node.tag("UPSERT").tag("DO UPDATE").tag("DO UPDATE of a row that is there");
        }
        let form = format!("INSERT INTO {} ({names}) VALUES ({{}}){{}}", known.name);
        Node::of(Kind::Other, &form, [fixed(values), returning])
            .tag("INSERT")
            .tag("write against a constraint")
    }

    /// Deletes all and reads it in RETURNING alone: hidden rows stay.
    fn all_told(&mut self) -> Node {
        let table = self.table();
        let form = format!("DELETE FROM {} RETURNING *", self.known(table).name);
        Node::atom(Kind::Other, form).tag("DELETE").tag("RETURNING *")
    }

    /// Rather one whose owner may do it all: elsewhere the policies are in the way first.
    fn own_table(&mut self) -> usize {
        let open = |table: &&usize| {
            let head = format!("CREATE POLICY base ON {} ", self.world.tables[**table].name);
            self.world.policies.iter().any(|policy| {
                let text = policy.text(Engine::Postgres);
                text.starts_with(&head) && !text.contains(" FOR SELECT ")
            })
        };
        let all: Vec<usize> = (0..self.world.tables.len()).collect();
        // More often one with constraints.
        let often = |table: usize| {
            let known = &self.world.tables[table];
            1 + 2 * usize::from(known.unique.is_some()) + 4 * usize::from(known.foreign.is_some())
        };
        let open = all.iter().filter(open).flat_map(|table| vec![*table; often(*table)]);
        let open: Vec<usize> = open.collect();
        if open.is_empty() || self.rng.chance(15) {
            return self.table();
        }
        let table = *self.rng.pick(&open);
        self.tables.push(table);
        table
    }

    /// Points rows to a parent that is not there, or takes a parent away.
    fn leave(&mut self, table: usize) -> Node {
        let known = self.known(table).clone();
        let Some(foreign) = known.foreign.clone() else { return self.delete() };
        let parent = self.known(foreign.parent).clone();
        self.tables.push(foreign.parent);
        let rows = self.world.rows.iter().filter(|(of, _)| *of == table);
        let used: Vec<&Value> =
            rows.map(|(_, row)| &row[foreign.column]).filter(|value| **value != Value::Null).collect();
        let of = parent.columns[parent.key[0]].of;
        if self.rng.chance(75) || used.is_empty() {
            let none = self.nowhere(of);
            let column = &known.columns[foreign.column].name;
            let form = format!("UPDATE {} SET {column} = {{}}", known.name);
            return Node::of(Kind::Other, &form, [none.node(of)])
                .tag("UPDATE")
                .tag("write against a constraint");
        }
        let key = (*self.rng.pick(&used)).clone();
        let form = format!("DELETE FROM {} WHERE id = {{}}", parent.name);
        Node::of(Kind::Other, &form, [key.node(of)]).tag("DELETE").tag("write against a constraint")
    }

    /// A key that no row has.
    fn nowhere(&mut self, of: Type) -> Value {
        let number = 200 + self.rng.below(50);
        match of {
            Type::UuidText | Type::UuidBlob => Value::Uuid(format!("00000000-0000-4000-9000-{number:012}")),
            _ => world::key(self.rng, of, number),
        }
    }

    /// A row that its writer owns and that nothing but the obstacle is in the way of.
    fn own_row(&mut self, table: usize, obstacle: Obstacle) -> (Vec<usize>, Vec<Node>) {
        let known = self.known(table).clone();
        let rows: Vec<&Vec<Value>> =
            self.world.rows.iter().filter(|(of, _)| *of == table).map(|(_, row)| row).collect();
        let there = (*self.rng.pick(&rows)).clone();
        let free = 300 + self.rng.below(50);
        let required: Vec<usize> =
            (0..known.columns.len()).filter(|at| known.columns[*at].not_null && !known.is_key(*at)).collect();
        let without = if obstacle == Obstacle::Null { Some(*self.rng.pick(&required)) } else { None };
        let mut values = Vec::new();
        for (at, column) in known.columns.iter().enumerate() {
            let own = match self.who.user {
                Some(user) if column.of.kind() == Kind::Uuid => Value::Uuid(user.to_owned()),
                Some(user) if column.name == "owner_text" => Value::Text(user.to_owned()),
                _ if column.of.kind() == Kind::Int => Value::Int(self.rng.below(5) as i64),
                _ => world::value(self.rng, &column.name, column.of),
            };
            let foreign = known.foreign.as_ref().filter(|foreign| foreign.column == at);
            let value = if known.is_key(at) && obstacle == Obstacle::Key {
                there[at].clone()
            } else if known.key.first() == Some(&at) {
                world::key(self.rng, column.of, free)
            } else if without == Some(at) {
                Value::Null
            } else if let Some(foreign) = foreign {
                match obstacle {
                    Obstacle::Parent => self.nowhere(column.of),
                    _ => self.world.parent_key(self.rng, foreign.parent, own),
                }
            } else if known.unique == Some(at) {
                let taken = obstacle == Obstacle::Unique || obstacle == Obstacle::Key;
                if taken { there[at].clone() } else { Value::Null }
            } else if obstacle == Obstacle::Check
                && known.check.as_ref().is_some_and(|check| check.starts_with(&format!("{} ", column.name)))
            {
                Value::Int(200)
            } else {
                own
            };
            values.push(value.node(column.of));
        }
        ((0..known.columns.len()).collect(), values)
    }
}
