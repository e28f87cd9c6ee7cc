//! Policy files: what a host may write, and what PostgreSQL refuses.

use super::expr::{Exprs, Source};
use super::rng::Rng;
use super::tree::{Kind, Node};
use super::world::World;
use super::{grants, helpers};

/// The feature of an OR that says something twice.
pub(super) const REPEATED: &str = "OR that repeats a side";

const COMMANDS: [&str; 5] = ["", " FOR SELECT", " FOR INSERT", " FOR UPDATE", " FOR DELETE"];

/// Adds the policy file to a world.
pub(crate) fn draw(rng: &mut Rng, world: &mut World) {
    let mut out = vec![Node::atom(Kind::Other, "CREATE TYPE state AS ENUM ('open', 'closed', 'draft')")];
    // One world in thirty may have circles.
    let circles = rng.chance(3);
    for at in 0..world.tables.len() {
        let name = &world.tables[at].name;
        out.push(Node::atom(Kind::Other, format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")));
    }
    out.extend(helpers::draw(rng, world));
    for at in 0..world.tables.len() {
        if rng.chance(8) && repeating(rng, world, at, &mut out) {
            continue;
        }
        if rng.chance(14)
            && let Some(node) = alone(rng, world, at)
        {
            out.push(node);
            continue;
        }
        let many = rng.weighted(&[4, 20, 30, 25, 14, 7]);
        for number in 0..many {
            let node = policy(rng, world, at, number, circles);
            out.push(node);
        }
        // What most tables of services have: their owner may do it all.
        if rng.chance(70)
            && let Some(node) = base(rng, world, at)
        {
            out.push(node);
        }
        if many > 0 && rng.chance(4) {
            let name = &world.tables[at].name;
            out.push(
                Node::atom(Kind::Other, format!("DROP POLICY IF EXISTS p0 ON {name}")).tag("DROP POLICY"),
            );
        }
    }
    grants::draw(rng, world, &mut out);
    world.policies = out;
}

fn exprs<'a>(rng: &'a mut Rng, world: &'a World, table: usize, circles: bool) -> Exprs<'a> {
    let from = if circles { 0 } else { table + 1 };
    let row = Source { name: world.tables[table].name.clone(), table };
    Exprs {
        rng,
        tables: &world.tables,
        scopes: vec![vec![row]],
        from,
        aliases: 0,
        helpers: &world.helpers,
        parameters: Vec::new(),
    }
}

fn condition(rng: &mut Rng, world: &World, table: usize, circles: bool, restrictive: bool) -> Node {
    let shape = rng.weighted(&[30, 12, 34, 6, if restrictive { 40 } else { 6 }, 8, 13, 27, 12, 5, 12, 14]);
    let mut exprs = exprs(rng, world, table, circles);
    if restrictive && !matches!(shape, 4 | 9 | 10) {
        // Often satisfied, or nobody would see anything.
        let (some, most) = (exprs.bool(1), exprs.bool(1));
        return Node::of(Kind::Bool, "({}) IS NOT FALSE OR {}", [some, most]).tag("OR").tag("IS TRUE");
    }
    match shape {
        0 => exprs.owned().unwrap_or_else(|| Node::atom(Kind::Bool, "auth.uid() IS NOT NULL")),
        1 => exprs.bool(0),
        2 => exprs.bool(2),
        3 => exprs.bool(3),
        4 => Node::atom(Kind::Bool, "true").tag("constant true"),
        5 => exprs.call_of_null().unwrap_or_else(|| exprs.bool(1)),
        6 => exprs.file().unwrap_or_else(|| exprs.bool(1)),
        7 => match exprs.rng.below(12) {
            0..=2 => exprs.array(1),
            3 | 4 => exprs.json(),
            5 | 6 => exprs.moment(),
            7 | 8 => exprs.cased(),
            _ => Some(exprs.calculated()),
        }
        .unwrap_or_else(|| exprs.bool(1)),
        8 => exprs.among().unwrap_or_else(|| exprs.bool(1)),
        9 => repeated(&mut exprs),
        10 => exprs.absent().unwrap_or_else(|| exprs.bool(1)),
        _ => exprs.call(Kind::Bool).unwrap_or_else(|| exprs.bool(1)),
    }
}

/// A rare condition that is the table's only policy, so that no other hides what it says of a row.
fn alone(rng: &mut Rng, world: &World, table: usize) -> Option<Node> {
    let mut exprs = exprs(rng, world, table, false);
    let condition = match exprs.rng.below(4) {
        0 => exprs.own_folder()?,
        1 => exprs.call_of_null()?,
        2 => exprs.cased()?,
        _ => exprs.addressed()?,
    };
    let roles = *exprs.rng.pick(&["", " TO authenticated"]);
    let form = format!("CREATE POLICY alone ON {}{roles} USING ({{}})", world.tables[table].name);
    let node = Node::of(Kind::Other, &form, [condition]);
    let node = node.tag("policy FOR ALL").tag("permissive").tag("USING alone");
    Some(node.tag(if roles.is_empty() { "policy TO PUBLIC" } else { "policy TO authenticated" }))
}

/// Two policies alone that have a side in common: one that only says more than the other, or each more in its own way.
fn repeating(rng: &mut Rng, world: &World, table: usize, out: &mut Vec<Node>) -> bool {
    let mut exprs = exprs(rng, world, table, false);
    let Some(one) = exprs.owned() else { return false };
    let roles = *exprs.rng.pick(&["", " TO authenticated"]);
    let (first, second) = match exprs.rng.below(4) {
        0 | 1 => {
            let Some(more) = exprs.subquery(1) else { return false };
            (vec![one.clone()], vec![one, more])
        }
        2 => {
            let more = exprs.bool(0);
            (vec![one.clone()], vec![one, more])
        }
        _ => {
            let (more, other) = (exprs.bool(0), exprs.bool(0));
            (vec![one.clone(), more], vec![one, other])
        }
    };
    let swapped = exprs.rng.chance(50);
    let head = |name: &str| format!("CREATE POLICY {name} ON {}{roles} USING ", world.tables[table].name);
    for (name, sides) in
        if swapped { [("p1", first), ("p0", second)] } else { [("p0", first), ("p1", second)] }
    {
        let form = if sides.len() == 1 { "({})" } else { "({} AND {})" };
        let node = Node::of(Kind::Other, &format!("{}{form}", head(name)), sides).tag(REPEATED);
        let node = node.tag("policy FOR ALL").tag("permissive").tag("USING alone");
        out.push(node.tag(if roles.is_empty() { "policy TO PUBLIC" } else { "policy TO authenticated" }));
    }
    true
}

/// A condition that stands on several sides of an OR: PostgreSQL's planner may drop what stands beside it, with the
/// grants that it would ask for.
fn repeated(exprs: &mut Exprs<'_>) -> Node {
    let one = if exprs.rng.chance(60) { exprs.owned() } else { None };
    let one = one.unwrap_or_else(|| exprs.bool(0));
    let Some(more) = exprs.subquery(1) else { return one };
    let form = *exprs.rng.pick(&[
        "(# AND $) OR #",
        "# OR ($ AND #)",
        "# OR (# AND $)",
        "(# AND $) OR (# AND @)",
        "(# AND $) OR # OR @",
        "NOT (NOT (#) AND NOT (# AND $))",
        "(# AND (@ OR (@ AND $))) OR #",
        "(@ OR ($ AND @)) AND #",
    ]);
    let other = exprs.bool(0);
    let mut template = String::new();
    let mut children = Vec::new();
    for c in form.chars() {
        let child = match c {
            '#' => &one,
            '$' => &more,
            '@' => &other,
            c => {
                template.push(c);
                continue;
            }
        };
        template.push_str("({})");
        children.push(child.clone());
    }
    Node::of(Kind::Bool, &template, children).tag(REPEATED).tag("OR")
}

fn base(rng: &mut Rng, world: &World, table: usize) -> Option<Node> {
    let name = &world.tables[table].name;
    let roles = *rng.pick(&["", " TO authenticated", " TO authenticated"]);
    let command = *rng.pick(&["", "", " FOR SELECT"]);
    let mut exprs = exprs(rng, world, table, false);
    let owned = exprs.owned()?;
    let more = match exprs.rng.below(3) {
        0 => Node::of(Kind::Bool, "({} OR {})", [owned, exprs.bool(0)]).tag("OR"),
        _ => owned,
    };
    let tag = if command.is_empty() { "policy FOR ALL" } else { "policy FOR SELECT" };
    let form = format!("CREATE POLICY base ON {name}{command}{roles} USING ({{}})");
    let node = Node::of(Kind::Other, &form, [more]).tag(tag).tag("permissive").tag("USING alone");
    Some(node.tag(if roles.is_empty() { "policy TO PUBLIC" } else { "policy TO authenticated" }))
}

fn policy(rng: &mut Rng, world: &World, table: usize, number: usize, circles: bool) -> Node {
    let name = if rng.chance(15) { format!("\"P {number}\"") } else { format!("p{number}") };
    let restrictive = rng.chance(16);
    let command = COMMANDS[rng.weighted(&[34, 32, 12, 12, 10])];
    let roles = *rng.pick(&[
        "",
        "",
        " TO authenticated",
        " TO authenticated",
        " TO authenticated",
        " TO anon",
        " TO anon, authenticated",
        " TO PUBLIC",
        " TO service_role",
    ]);
    let schema = if rng.chance(15) { "public." } else { "" };
    let kind = if restrictive {
        " AS RESTRICTIVE"
    } else if rng.chance(10) {
        " AS PERMISSIVE"
    } else {
        ""
    };
    let clauses = match command {
        " FOR INSERT" => "check",
        " FOR SELECT" | " FOR DELETE" => "using",
        _ => *rng.pick(&["using", "using", "both", "both", "check"]),
    };
    let mut draw = || condition(rng, world, table, circles, restrictive);
    let (tail, conditions) = match clauses {
        "check" => (" WITH CHECK ({})", vec![draw()]),
        "both" => (" USING ({}) WITH CHECK ({})", vec![draw(), draw()]),
        _ => (" USING ({})", vec![draw()]),
    };
    let form =
        format!("CREATE POLICY {name} ON {schema}{}{kind}{command}{roles}{tail}", world.tables[table].name);
    let node = Node::of(Kind::Other, &form, conditions);
    let node = node.tag(match command {
        "" => "policy FOR ALL",
        " FOR SELECT" => "policy FOR SELECT",
        " FOR INSERT" => "policy FOR INSERT",
        " FOR UPDATE" => "policy FOR UPDATE",
        _ => "policy FOR DELETE",
    });
    let node = node.tag(match roles {
        "" | " TO PUBLIC" => "policy TO PUBLIC",
        " TO anon" => "policy TO anon",
        " TO service_role" => "policy TO service_role",
        _ => "policy TO authenticated",
    });
    let node = node.tag(match clauses {
        "check" => "WITH CHECK alone",
        "both" => "USING and WITH CHECK",
        _ => "USING alone",
    });
    node.tag(if restrictive { "restrictive" } else { "permissive" })
}

/// A world of one table whose one SELECT policy may fail on a row: the error is then part of the answer.
pub(crate) fn erring(rng: &mut Rng, world: &mut World) -> Option<()> {
    let table = &world.tables[0];
    let of = |kind: Kind| {
        table
            .columns
            .iter()
            .find(|column| column.of.kind() == kind && column.name != "id")
            .map(|one| one.name.clone())
    };
    let int = of(Kind::Int);
    // An index would let the planner skip rows that fail.
    let text = of(Kind::Text).filter(|_| table.unique.is_none());
    let other = &world.tables[1].name;
    let kinds = [0, 0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6, 7, 7, 7, 7];
    let (tag, condition) = match *rng.pick(&kinds) {
        0 => ("division by zero", format!("10 / {} > 1", int?)),
        1 => ("division by zero", format!("10 % {} = 0", int?)),
        2 => ("text as integer", format!("{}::int > 0", text?)),
        3 => ("text as uuid", format!("{}::uuid = '0a000000-0000-4000-8000-00000000000a'", text?)),
        4 => ("text as boolean", format!("{}::boolean", text?)),
        5 => ("several rows", format!("(SELECT x.id IS NULL FROM {other} x WHERE {} > 2) IS NULL", int?)),
        6 => ("guarded division", {
            let int = int?;
            format!("CASE WHEN {int} <> 0 THEN 10 / {int} > 3 ELSE false END")
        }),
        _ => ("pattern ends", format!("{} LIKE 'a\\'", text?)),
    };
    let name = &table.name;
    let mut out = vec![Node::atom(Kind::Other, "CREATE TYPE state AS ENUM ('open', 'closed', 'draft')")];
    for table in &world.tables {
        out.push(Node::atom(Kind::Other, format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", table.name)));
    }
    out.push(Node::atom(Kind::Other, format!("CREATE POLICY q ON {other} FOR SELECT USING (true)")));
    let form = format!("CREATE POLICY p ON {name} FOR SELECT USING ({{}})");
    out.push(Node::of(Kind::Other, &form, [Node::atom(Kind::Bool, condition)]).tag(tag));
    world.policies = out;
    Some(())
}
