//! Conditions over arrays and JSON.

use super::expr::Exprs;
use super::tree::{Kind, Node};

impl Exprs<'_> {
    /// A condition over an array column of any type.
    pub(crate) fn array(&mut self, d: usize) -> Option<Node> {
        let kind = *self.rng.pick(&[Kind::Ints, Kind::Texts, Kind::Texts, Kind::Uuids, Kind::Uuids]);
        let array = self.column(kind)?;
        Some(match self.rng.below(13) {
            0..=2 => self.element(kind, array, d),
            3..=7 => self.contained(kind, array),
            8 | 9 => {
                let form = *self.rng.pick(&[
                    "cardinality({}) = 2",
                    "cardinality({}) > 1",
                    "array_length({}, 1) = 1",
                    "array_length({}, 1) IS NULL",
                    "cardinality(coalesce({}, '{{}}')) = 0",
                ]);
                let form = form.replace("'{{}}'", if kind == Kind::Ints { "'{1}'" } else { "NULL" });
                Node::of(Kind::Bool, &form, [array]).tag("cardinality")
            }
            10 | 11 => match kind {
                Kind::Ints => Node::of(Kind::Bool, "({})[1] = {}", [array, self.int(0)]),
                Kind::Texts => Node::of(Kind::Bool, "({})[2] = {}", [array, self.text(0)]),
                _ => Node::of(Kind::Bool, "({})[1] = {}", [array, self.uid()]),
            }
            .tag("subscript"),
            _ => {
                let form = *self.rng.pick(&["{} IS NULL", "{} IS NOT NULL", "{} = '#'", "{} <> '#'"]);
                let literal = self.literal(kind);
                Node::of(Kind::Bool, &form.replace('#', &literal), [array]).tag("compare array")
            }
        })
    }

    /// The inside of an array's literal; Node's templates keep braces for children, so no empty one.
    fn literal(&mut self, kind: Kind) -> String {
        let text = match kind {
            Kind::Ints => *self.rng.pick(&["{1}", "{1,2}", "{3,NULL}"]),
            Kind::Texts => *self.rng.pick(&["{a}", "{a,b}", "{\"ab c\",NULL}"]),
            _ => *self.rng.pick(&[
                "{0a000000-0000-4000-8000-00000000000a}",
                "{0b000000-0000-4000-8000-00000000000b,0c000000-0000-4000-8000-00000000000c}",
            ]),
        };
        text.to_owned()
    }

    fn element(&mut self, kind: Kind, array: Node, d: usize) -> Node {
        let (item, form) = match kind {
            Kind::Ints => {
                let form =
                    *self.rng.pick(&["{} = ANY ({})", "{} = ANY ({})", "{} > ALL ({})", "{} < ANY ({})"]);
                (self.int(d), form)
            }
            Kind::Texts => {
                let item = if self.rng.chance(30) { self.claim() } else { self.text(d) };
                (
                    item,
                    *self.rng.pick(&["{} = ANY ({})", "{} = ANY ({})", "{} <> ALL ({})", "{} <> ANY ({})"]),
                )
            }
            _ => (self.uuid(), *self.rng.pick(&["{} = ANY ({})", "{} = ANY ({})", "{} <> ALL ({})"])),
        };
        Node::of(Kind::Bool, form, [item, array]).tag("ANY array column")
    }

    fn contained(&mut self, kind: Kind, array: Node) -> Node {
        let (op, tag) = *self.rng.pick(&[
            ("@>", "array @>"),
            ("@>", "array @>"),
            ("<@", "array <@"),
            ("<@", "array <@"),
            ("&&", "array &&"),
            ("&&", "array &&"),
        ]);
        let other = match (kind, self.rng.chance(50)) {
            (Kind::Uuids, true) => {
                let uid = self.uid();
                Node::of(Kind::Other, "ARRAY[{}]", [uid])
            }
            (Kind::Texts, true) => {
                let (one, other) = (self.text(0), self.text(0));
                // A NULL alone has no type of its own.
                Node::of(Kind::Other, "ARRAY[{}, {}]::text[]", [one, other])
            }
            _ => Node::atom(Kind::Other, format!("'{}'", self.literal(kind))),
        };
        let sides = if self.rng.chance(70) { [array, other] } else { [other, array] };
        Node::of(Kind::Bool, &format!("{{}} {op} {{}}"), sides).tag(tag)
    }

    /// A condition over a JSON column.
    pub(crate) fn json(&mut self) -> Option<Node> {
        let json = self.column(Kind::Json)?;
        let (form, tag) = *self.rng.pick(&[
            ("({} ->> 'ok')::boolean", "json ->>"),
            ("({} ->> 'owner')::uuid = auth.uid()", "json ->>"),
            ("({} -> 'in' ->> 'k') = 'a'", "json ->"),
            ("({} -> 'n') IS NULL", "json ->"),
            ("({} -> 'n') = '2'", "json ->"),
            ("({} -> 'ok') = to_jsonb(true)", "json ->"),
            ("({} #>> '$in,k%') = 'b'", "json #>>"),
            ("({} #>> '$owner%') = auth.uid()::text", "json #>>"),
            ("({} #> '$in%') IS NOT NULL", "json #>>"),
            ("({} ? 'owner')", "json ?"),
            ("(({} -> 'in') ? 'k')", "json ?"),
            ("NOT ({} ? 'n')", "json ?"),
            ("({} ?| ARRAY['n', 'ok'])", "json ?| ?&"),
            ("({} ?& ARRAY['n', 'ok'])", "json ?| ?&"),
            ("({} @> '$\"ok\": true%')", "json @>"),
            ("({} @> '$\"in\": $\"k\": \"a\"%%')", "json @>"),
            ("('$\"n\": 2, \"ok\": false%' <@ {})", "json @>"),
            ("jsonb_typeof({} -> 'n') = 'number'", "jsonb_typeof"),
            ("jsonb_typeof({}) = 'object'", "jsonb_typeof"),
            ("jsonb_typeof({} -> 'owner') = 'string'", "jsonb_typeof"),
            ("({} ->> 'n') = '2'", "json ->>"),
        ]);
        let parts: Vec<&str> = form.split("{}").collect();
        let form = parts.join("\u{0}").replace('$', "{").replace('%', "}").replace('\u{0}', "{}");
        Some(Node::of(Kind::Bool, &form, [json]).tag(tag).tag("json operator"))
    }
}
