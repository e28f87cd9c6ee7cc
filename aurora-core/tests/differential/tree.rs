//! SQL as a tree of templates, so that one shrinker serves policies and statements alike.

use std::collections::BTreeMap;

use super::values::{Type, Value};

/// What an expression stands for; parts of the same kind may take each other's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Bool,
    Int,
    Text,
    Uuid,
    Time,
    Json,
    Real,
    Enum,
    Ints,
    Texts,
    Uuids,
    /// A statement, a clause: nothing takes its place.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    Sqlite,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Text(String),
    /// A value, spelled as a literal or bound to a parameter.
    Value(Value, Type),
    Child(Node),
    /// May be left out.
    Optional(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    parts: Vec<Part>,
    tags: Vec<&'static str>,
}

/// Atoms that stand in for a whole expression of their kind.
fn atoms(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Bool => &["true", "false"],
        Kind::Int => &["1"],
        Kind::Text => &["'a'"],
        _ => &[],
    }
}

impl Node {
    /// A template: `{}` takes the next child, `[[` and `]]` enclose what may be left out.
    pub(crate) fn of(kind: Kind, template: &str, children: impl IntoIterator<Item = Node>) -> Self {
        let mut children = children.into_iter();
        let mut open: Vec<Vec<Part>> = vec![Vec::new()];
        let mut rest = template;
        while !rest.is_empty() {
            let next = ["{}", "[[", "]]"].iter().filter_map(|mark| Some((rest.find(mark)?, *mark))).min();
            let (at, mark) = next.unwrap_or((rest.len(), ""));
            let (text, after) = rest.split_at(at);
            if !text.is_empty() {
                open.last_mut().unwrap().push(Part::Text(text.to_owned()));
            }
            rest = &after[mark.len()..];
            match mark {
                "{}" => {
                    open.last_mut().unwrap().push(Part::Child(children.next().expect("a child for each {}")))
                }
                "[[" => open.push(Vec::new()),
                "]]" => {
                    let inner = open.pop().unwrap();
                    open.last_mut().unwrap().push(Part::Optional(inner));
                }
                _ => {}
            }
        }
        assert!(children.next().is_none() && open.len() == 1, "{template}");
        Self { kind, parts: open.pop().unwrap(), tags: Vec::new() }
    }

    pub(crate) fn atom(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, parts: vec![Part::Text(text.into())], tags: Vec::new() }
    }

    /// Several of them with a separator, each but one of which may be left out.
    pub(crate) fn list(items: Vec<Node>, separator: &str) -> Self {
        let mut parts = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            if index == 0 {
                parts.push(Part::Child(item));
            } else {
                parts.push(Part::Optional(vec![Part::Text(separator.to_owned()), Part::Child(item)]));
            }
        }
        Self { kind: Kind::Other, parts, tags: Vec::new() }
    }

    /// Names a feature for the histogram.
    pub(crate) fn tag(mut self, name: &'static str) -> Self {
        self.tags.push(name);
        self
    }

    pub(crate) fn text(&self, engine: Engine) -> String {
        let mut out = String::new();
        write(&self.parts, engine, &mut out, None);
        out
    }

    /// With parameters for its values, and what to bind to them.
    pub(crate) fn bound(&self, engine: Engine) -> (String, Vec<(Value, Type)>) {
        let (mut out, mut values) = (String::new(), Vec::new());
        write(&self.parts, engine, &mut out, Some(&mut values));
        (out, values)
    }

    pub(crate) fn value(value: Value, of: Type) -> Self {
        Self { kind: of.kind(), parts: vec![Part::Value(value, of)], tags: Vec::new() }
    }

    pub(crate) fn tags(&self, into: &mut BTreeMap<&'static str, u64>) {
        for tag in &self.tags {
            *into.entry(tag).or_default() += 1;
        }
        walk(&self.parts, &mut |node| node.tags(into));
    }

    /// Every tree that is one step smaller, the boldest steps first.
    pub(crate) fn smaller(&self) -> Vec<Node> {
        let mut found = Vec::new();
        if self.kind != Kind::Other {
            let own = self.text(Engine::Postgres);
            for atom in atoms(self.kind) {
                if own.len() > atom.len() {
                    found.push(Node::atom(self.kind, *atom));
                }
            }
            walk(&self.parts, &mut |child| {
                if child.kind == self.kind {
                    found.push(child.clone());
                }
            });
        }
        for parts in fewer(&self.parts) {
            found.push(Node { kind: self.kind, parts, tags: self.tags.clone() });
        }
        found
    }
}

fn write(parts: &[Part], engine: Engine, out: &mut String, mut binds: Option<&mut Vec<(Value, Type)>>) {
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Value(value, of) => match binds.as_deref_mut() {
                Some(binds) if *value != Value::Null => {
                    binds.push((value.clone(), *of));
                    out.push_str(&of.parameter(binds.len(), engine));
                }
                _ => out.push_str(&value.literal(*of, engine)),
            },
            Part::Child(node) => write(&node.parts, engine, out, binds.as_deref_mut()),
            Part::Optional(parts) => write(parts, engine, out, binds.as_deref_mut()),
        }
    }
}

fn walk(parts: &[Part], visit: &mut impl FnMut(&Node)) {
    for part in parts {
        match part {
            Part::Child(node) => visit(node),
            Part::Optional(parts) => walk(parts, visit),
            Part::Text(_) | Part::Value(..) => {}
        }
    }
}

/// The parts with one thing less.
fn fewer(parts: &[Part]) -> Vec<Vec<Part>> {
    let mut found = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let with = |replacement: Vec<Part>| {
            let mut changed = parts.to_vec();
            changed.splice(index..=index, replacement);
            changed
        };
        match part {
            Part::Optional(inner) => {
                found.push(with(Vec::new()));
                found.extend(fewer(inner).into_iter().map(|inner| with(vec![Part::Optional(inner)])));
            }
            Part::Child(node) => {
                found.extend(node.smaller().into_iter().map(|node| with(vec![Part::Child(node)])));
            }
            Part::Text(_) | Part::Value(..) => {}
        }
    }
    found
}
