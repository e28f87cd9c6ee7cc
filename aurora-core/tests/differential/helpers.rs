//! Helper functions of the policy file, and calls of them.

use super::expr::{Exprs, Source};
use super::rng::Rng;
use super::tree::{Kind, Node};
use super::world::{Type, World};

/// A function that policies may call.
#[derive(Clone, Debug)]
pub(crate) struct Helper {
    pub(crate) name: String,
    pub(crate) takes: Vec<Kind>,
    pub(crate) gives: Kind,
    /// `SETOF`: a column's worth of them.
    pub(crate) many: bool,
    /// The first table that its body may read, and whether it reads any.
    pub(crate) from: usize,
    pub(crate) reads: bool,
    pub(crate) definer: bool,
    pub(crate) plpgsql: bool,
    /// Its body may be true of a NULL, so that it matters whether it is asked then.
    pub(crate) of_null: bool,
}

/// What a body may say of its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

fn spelled(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "bigint",
        Kind::Text => "text",
        Kind::Uuid => "uuid",
        _ => "boolean",
    }
}

/// The helpers of a world, as statements of its policy file.
pub(crate) fn draw(rng: &mut Rng, world: &mut World) -> Vec<Node> {
    let many = rng.weighted(&[25, 25, 25, 25]);
    let mut made = Vec::new();
    for number in 0..many {
        if let Some((helper, node)) = helper(rng, world, number) {
            world.helpers.push(helper);
            made.push(node);
        }
    }
    made
}

/// What a helper does.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// `EXISTS` over a table.
    Member,
    /// Of claims and arguments alone.
    Plain,
    /// One column of the row of a key.
    Row,
    /// A column of many rows.
    Set,
    /// Who asks.
    Caller,
    /// True where its argument is NULL, unless it is STRICT.
    OfNull,
}

fn helper(rng: &mut Rng, world: &World, number: usize) -> Option<(Helper, Node)> {
    let shape = *rng.pick(&[
        Shape::Member,
        Shape::Member,
        Shape::Member,
        Shape::Plain,
        Shape::Row,
        Shape::Set,
        Shape::Set,
        Shape::Set,
        Shape::Caller,
        Shape::OfNull,
        Shape::OfNull,
    ]);
    let from = 1 + rng.below(world.tables.len() - 1);
    let plpgsql = rng.chance(40) && shape != Shape::Set;
    let name = format!("f{number}");
    let mut takes = match shape {
        Shape::Set | Shape::Caller => Vec::new(),
        Shape::OfNull => vec![*rng.pick(&[Kind::Int, Kind::Int, Kind::Uuid, Kind::Text])],
        _ => (0..rng.weighted(&[20, 55, 25]))
            .map(|_| *rng.pick(&[Kind::Int, Kind::Uuid, Kind::Text]))
            .collect(),
    };
    let table = from + rng.below(world.tables.len() - from);
    if shape == Shape::Row {
        let known = &world.tables[table];
        if known.key.len() != 1 {
            return None;
        }
        takes = vec![known.columns[0].of.kind()];
    }
    let named = rng.chance(80) || plpgsql;
    let mut parameters = Vec::new();
    let mut arguments = Vec::new();
    for (at, kind) in takes.iter().enumerate() {
        let own = format!("_a{at}");
        arguments.push(if named { format!("{own} {}", spelled(*kind)) } else { spelled(*kind).to_owned() });
        let text = match (named, rng.below(6)) {
            (true, 0) => format!("{name}.{own}"),
            (true, 1..=4) => own,
            _ => format!("${}", at + 1),
        };
        parameters.push(Parameter { text, kind: *kind });
    }
    let mut exprs = Exprs {
        rng,
        tables: &world.tables,
        scopes: vec![Vec::new()],
        from,
        aliases: 50 * (number + 1),
        helpers: &[],
        parameters,
    };
    let (gives, body) = body(&mut exprs, world, shape, table)?;
    let reads = body.text(super::tree::Engine::Postgres).contains(" FROM ");
    let definer = rng.chance(if reads { 65 } else { 25 });
    let of_null = shape == Shape::OfNull;
    let many = shape == Shape::Set;
    let helper = Helper { name, takes, gives, many, from, reads, definer, plpgsql, of_null };
    let node = create(rng, &helper, &arguments, body);
    Some((helper, node))
}

/// A body's one expression, or its one SELECT for a set.
fn body(exprs: &mut Exprs<'_>, world: &World, shape: Shape, table: usize) -> Option<(Kind, Node)> {
    let name = &world.tables[table].name;
    match shape {
        Shape::Member => Some((Kind::Bool, exprs.subquery(1)?)),
        Shape::Plain => Some((Kind::Bool, exprs.bool(1))),
        Shape::OfNull => Some((Kind::Bool, of_null(exprs))),
        Shape::Caller => {
            if exprs.rng.chance(50) {
                Some((Kind::Uuid, exprs.uid()))
            } else {
                Some((Kind::Text, exprs.claim()))
            }
        }
        Shape::Row | Shape::Set => {
            let alias = "r".to_owned();
            exprs.scopes.push(vec![Source { name: alias, table }]);
            let kind = *exprs.rng.pick(&[Kind::Int, Kind::Uuid, Kind::Text]);
            let output = exprs.column_in(1, &|of: Type, _| of.kind() == kind);
            let output = output.filter(|node| node.text(super::tree::Engine::Postgres).contains('.'));
            let filter = if shape == Shape::Row {
                let key = Node::atom(Kind::Other, exprs.parameters[0].text.clone());
                Node::of(Kind::Bool, "r.id = {}", [key])
            } else {
                exprs.filter(1, 0)
            };
            exprs.scopes.pop();
            let form = format!("SELECT {{}} FROM {name} r WHERE {{}}");
            Some((kind, Node::of(Kind::Other, &form, [output?, filter])))
        }
    }
}

/// True of a NULL, and of some values.
fn of_null(exprs: &mut Exprs<'_>) -> Node {
    let Parameter { text, kind } = exprs.parameters[0].clone();
    let (one, value) = (Node::atom(kind, text), exprs.lit(kind));
    let form = *exprs.rng.pick(&[
        "({} = {}) IS NOT FALSE",
        "coalesce({} = {}, true)",
        "{} IS DISTINCT FROM {}",
        "NOT coalesce({} <> {}, false)",
    ]);
    Node::of(Kind::Bool, form, [one, value])
}

fn create(rng: &mut Rng, helper: &Helper, arguments: &[String], body: Node) -> Node {
    let text = body.text(super::tree::Engine::Postgres);
    let select = text.starts_with("SELECT ");
    let of = if helper.many { "SETOF " } else { "" };
    let schema = if rng.chance(30) { "public." } else { "" };
    let replace = if rng.chance(30) { "OR REPLACE " } else { "" };
    let head = format!(
        "CREATE {replace}FUNCTION {schema}{}({}) RETURNS {of}{}",
        helper.name,
        arguments.join(", "),
        spelled(helper.gives)
    );
    let volatile = *rng.pick(&[" STABLE", " STABLE", ""]);
    let security = match (helper.definer, rng.chance(20)) {
        (true, _) => " SECURITY DEFINER",
        (false, true) => " SECURITY INVOKER",
        _ => "",
    };
    let strict =
        if rng.chance(if helper.of_null { 75 } else { 35 }) && !helper.many { " STRICT" } else { "" };
    let path = if rng.chance(30) { " SET search_path = public" } else { "" };
    let options = format!("{volatile}{security}{strict}{path}");
    let expression = if select { Node::of(Kind::Other, "({})", [body.clone()]) } else { body.clone() };
    let plain = |form: &str, of: Node| Node::of(Kind::Other, form, [of]);
    if helper.plpgsql {
        let form = format!("{head} LANGUAGE plpgsql{options} AS $$ BEGIN RETURN {{}}; END $$");
        return plain(&form, expression);
    }
    if helper.many || select || rng.chance(65) {
        let lead = if select { "" } else { "SELECT " };
        let end = if rng.chance(50) { ";" } else { "" };
        let form = format!("{head} LANGUAGE sql{options} AS $$ {lead}{{}}{end} $$");
        return plain(&form, body);
    }
    plain(&format!("{head} LANGUAGE sql{options} RETURN {{}}"), expression)
}

impl Exprs<'_> {
    fn tagged(helper: &Helper, node: Node) -> Node {
        let node = node.tag(if helper.plpgsql { "function in plpgsql" } else { "function in sql" });
        let node = if helper.takes.is_empty() {
            node.tag("function without arguments")
        } else {
            node.tag("function with arguments")
        };
        match (helper.reads, helper.definer) {
            (true, true) => node.tag("SECURITY DEFINER that reads a table"),
            (true, false) => node.tag("SECURITY INVOKER that reads a table"),
            _ => node.tag("function that reads no table"),
        }
    }

    fn usable(&mut self, kind: Kind, many: bool) -> Option<Helper> {
        // One that might lead back to its own table would only fail.
        let from = self.from;
        let fits = |helper: &&Helper| {
            helper.gives == kind && helper.many == many && from > 0 && (!helper.reads || helper.from >= from)
        };
        let known: Vec<&Helper> = self.helpers.iter().filter(fits).collect();
        if known.is_empty() { None } else { Some((*self.rng.pick(&known)).clone()) }
    }

    /// A call that gives one value of that kind.
    pub(crate) fn call(&mut self, kind: Kind) -> Option<Node> {
        let helper = self.usable(kind, false)?;
        let mut arguments = Vec::new();
        for taken in &helper.takes {
            arguments.push(match taken {
                Kind::Int => self.int(0),
                Kind::Text => self.text(0),
                _ => self.uuid(),
            });
        }
        let holes = vec!["{}"; arguments.len()].join(", ");
        let schema = if self.rng.chance(30) { "public." } else { "" };
        let call = format!("{schema}{}({holes})", helper.name);
        let call = if self.rng.chance(30) { format!("(SELECT {call})") } else { call };
        Some(Self::tagged(&helper, Node::of(kind, &call, arguments)))
    }

    /// A call, on the row, of what may be true of a NULL.
    pub(crate) fn call_of_null(&mut self) -> Option<Node> {
        let known: Vec<&Helper> = self.helpers.iter().filter(|helper| helper.of_null).collect();
        let helper = if known.is_empty() { return None } else { (*self.rng.pick(&known)).clone() };
        let argument = self.column(helper.takes[0])?;
        let node = Node::of(Kind::Bool, &format!("{}({{}})", helper.name), [argument]);
        Some(Self::tagged(&helper, node).tag("function of a NULL"))
    }

    /// A value among those that a function gives.
    pub(crate) fn among(&mut self) -> Option<Node> {
        let mut kinds = [Kind::Int, Kind::Uuid, Kind::Text];
        kinds.rotate_left(self.rng.below(3));
        let (kind, helper) = kinds.into_iter().find_map(|kind| Some((kind, self.usable(kind, true)?)))?;
        let left = match kind {
            Kind::Int => self.int(0),
            Kind::Text => self.text(0),
            _ => self.uuid(),
        };
        let form = *self.rng.pick(&[
            "{} IN (SELECT #())",
            "{} = ANY (ARRAY(SELECT #()))",
            "{} = ANY (SELECT #())",
            "{} NOT IN (SELECT #())",
            "EXISTS (SELECT 1 FROM #() AS g(v) WHERE g.v = {})",
        ]);
        let node = Node::of(Kind::Bool, &form.replace('#', &helper.name), [left]);
        Some(Self::tagged(&helper, node).tag("function that gives a set"))
    }
}
