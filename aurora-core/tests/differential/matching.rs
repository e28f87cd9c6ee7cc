//! Conditions that look into a text: patterns, regular expressions, names of files.

use super::expr::Exprs;
use super::tree::{Kind, Node};
use super::values::Type;

impl Exprs<'_> {
    pub(crate) fn like(&mut self, d: usize) -> Node {
        let pattern = *self.rng.pick(&["'a%'", "'%b'", "'_b%'", "'A%'", "'%'", "'a\\%'", "'x\\__'", "''"]);
        let (op, tag) = *self.rng.pick(&[
            ("LIKE", "LIKE"),
            ("LIKE", "LIKE"),
            ("NOT LIKE", "LIKE"),
            ("ILIKE", "ILIKE"),
            ("NOT ILIKE", "ILIKE"),
        ]);
        Node::of(Kind::Bool, &format!("{{}} {op} {pattern}"), [self.text(d)]).tag(tag)
    }

    /// A column whose case matters.
    pub(crate) fn cased(&mut self) -> Option<Node> {
        let text = self.column_of(&|of, name| of == Type::Text && name != "owner_text" && name != "path")?;
        let (form, tag) = *self.rng.pick(&[
            ("{} LIKE 'A%'", "LIKE"),
            ("{} LIKE '%B'", "LIKE"),
            ("{} NOT LIKE 'a%'", "LIKE"),
            ("{} ILIKE 'A_'", "ILIKE"),
        ]);
        Some(Node::of(Kind::Bool, form, [text]).tag(tag))
    }

    /// A row that names the caller's e-mail address, as an invitation does.
    pub(crate) fn addressed(&mut self) -> Option<Node> {
        let text = self.column_of(&|of, name| of == Type::Text && name != "owner_text" && name != "path")?;
        let form =
            *self.rng.pick(&["{} = auth.email()", "{} = (SELECT auth.email())", "lower({}) = auth.email()"]);
        Some(Node::of(Kind::Bool, form, [text]).tag("auth.email()"))
    }

    pub(crate) fn regex(&mut self, d: usize) -> Node {
        let op = *self.rng.pick(&["~", "~", "~*", "!~", "!~*"]);
        let pattern = *self.rng.pick(&[
            "^a",
            "B$",
            "^[ab]+$",
            "a|x",
            "^$",
            "[^a-z]",
            "^(a|ab)( c)?$",
            ".\\.",
            "\\d",
            "^[[:alnum:]]+$",
            "a.*b",
            "_",
        ]);
        Node::of(Kind::Bool, &format!("{{}} {op} '{pattern}'"), [self.text(d)]).tag("regular expression")
    }

    /// The commonest policy on `storage.objects`: a name in the caller's own folder.
    pub(crate) fn own_folder(&mut self) -> Option<Node> {
        let path = self.column_of(&|_, name| name == "path")?;
        let form = *self.rng.pick(&[
            "(storage.foldername({}))[1] = auth.uid()::text",
            "(storage.foldername({}))[1] = (SELECT auth.uid())::text",
            "auth.uid()::text = (storage.foldername({}))[1]",
        ]);
        Some(Node::of(Kind::Bool, form, [path]).tag("storage.foldername"))
    }

    /// What policies on `storage.objects` say of a name.
    pub(crate) fn file(&mut self) -> Option<Node> {
        let path = self.column_of(&|_, name| name == "path")?;
        let (form, tag) = *self.rng.pick(&[
            ("(storage.foldername({}))[1] = auth.uid()::text", "storage.foldername"),
            ("(storage.foldername({}))[1] = auth.uid()::text", "storage.foldername"),
            ("(storage.foldername({}))[1] = (SELECT auth.uid())::text", "storage.foldername"),
            ("auth.uid()::text = (storage.foldername({}))[1]", "storage.foldername"),
            ("auth.uid()::text = (storage.foldername({}))[1]", "storage.foldername"),
            ("(storage.foldername({}))[1] = 'public'", "storage.foldername"),
            ("'public' = ANY (storage.foldername({}))", "storage.foldername"),
            ("array_length(storage.foldername({}), 1) = 1", "storage.foldername"),
            ("(storage.foldername({}))[2] IS NULL", "storage.foldername"),
            ("storage.filename({}) = 'Me.PNG'", "storage.filename"),
            ("lower(storage.filename({})) LIKE '%.png'", "storage.filename"),
            ("storage.filename({}) <> ''", "storage.filename"),
            ("storage.filename({}) LIKE '%.%'", "storage.filename"),
            ("storage.extension({}) = 'png'", "storage.extension"),
            ("storage.extension({}) IN ('PNG', 'gz', 'jpg')", "storage.extension"),
            ("lower(storage.extension({})) = ANY (ARRAY['png', 'readme'])", "storage.extension"),
        ]);
        Some(Node::of(Kind::Bool, form, [path]).tag(tag))
    }

    /// A time against the clock or another; the worlds' times are days away from what the intervals reach.
    pub(crate) fn moment(&mut self) -> Option<Node> {
        let time = self.column(Kind::Time)?;
        let (form, tag) = *self.rng.pick(&[
            ("{} > now() - interval '7 days'", "now() and an interval"),
            ("{} < now() + interval '10 years'", "now() and an interval"),
            ("now() - {} > interval '3 years'", "now() and an interval"),
            ("{} + interval '30 days' < now()", "now() and an interval"),
            ("{} <= now()", "now()"),
            ("{} > now()", "now()"),
            ("{} + interval '1 month' = '2024-03-29 23:59:59+00'", "interval"),
            ("{} - interval '1 year' < '2022-06-16'", "interval"),
            ("{} BETWEEN '2023-01-01' AND '2024-12-31'", "BETWEEN"),
            ("{}::date = '2024-02-29'", "date"),
            ("extract(year from {}) = 2023", "date"),
            ("date_trunc('month', {}) = '2023-06-01 00:00:00+00'", "date"),
            ("date_part('hour', {}) >= 12", "date"),
        ]);
        Some(Node::of(Kind::Bool, form, [time]).tag(tag))
    }
}
