//! Policy files: what a host may write, and what PostgreSQL refuses.

use super::expr::{Exprs, Source};
use super::helpers;
use super::rng::Rng;
use super::tree::{Kind, Node};
use super::world::{Table, Type, World};

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
    grants(rng, world, &mut out);
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
    let shape = rng.weighted(&[30, 12, 34, 6, if restrictive { 40 } else { 6 }]);
    let mut exprs = exprs(rng, world, table, circles);
    if restrictive && shape != 4 {
        // Often satisfied, or nobody would see anything.
        let (some, most) = (exprs.bool(1), exprs.bool(1));
        return Node::of(Kind::Bool, "({}) IS NOT FALSE OR {}", [some, most]).tag("OR").tag("IS TRUE");
    }
    match shape {
        0 => exprs.owned().unwrap_or_else(|| Node::atom(Kind::Bool, "auth.uid() IS NOT NULL")),
        1 => exprs.bool(0),
        2 => exprs.bool(2),
        3 => exprs.bool(3),
        _ => Node::atom(Kind::Bool, "true").tag("constant true"),
    }
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

fn grants(rng: &mut Rng, world: &World, out: &mut Vec<Node>) {
    if !rng.chance(35) {
        return;
    }
    // What a helper of its caller's reads, PostgreSQL asks only where a row brings it to run; Aurora denies at once.
    let invoked = world.helpers.iter().filter(|helper| helper.reads && !helper.definer);
    let free = invoked.map(|helper| helper.from).min().unwrap_or(world.tables.len());
    for _ in 0..1 + rng.below(3) {
        let table = &rng.pick(&world.tables[..free]).name;
        let what =
            *rng.pick(&["SELECT", "INSERT", "UPDATE", "DELETE", "ALL", "INSERT, UPDATE", "SELECT, DELETE"]);
        let role = *rng.pick(&["anon", "anon", "authenticated", "PUBLIC"]);
        let text = if rng.chance(70) {
            format!("REVOKE {what} ON {table} FROM {role}")
        } else {
            format!("GRANT {what} ON {table} TO {role}")
        };
        let tag = if text.starts_with('R') { "REVOKE" } else { "GRANT" };
        out.push(Node::atom(Kind::Other, text).tag(tag));
    }
}

/// A policy on a table of the world that PostgreSQL may or may not take.
pub(crate) fn ill_typed(rng: &mut Rng, world: &World) -> (&'static str, String) {
    loop {
        let kind = rng.below(WRONG + 4);
        if kind > WRONG {
            return circle(rng, world);
        }
        if kind == WRONG {
            return grammar(rng, world);
        }
        for at in 0..world.tables.len() {
            let Some((what, condition)) = wrong(kind, world, &world.tables[at], at) else { continue };
            let (command, clause) = *rng.pick(&[
                (" FOR SELECT", "USING"),
                ("", "USING"),
                (" FOR INSERT", "WITH CHECK"),
                (" FOR UPDATE", "USING"),
            ]);
            let condition = match rng.below(4) {
                0 => format!("true OR {condition}"),
                1 => format!("NOT ({condition})"),
                _ => condition,
            };
            let table = &world.tables[at].name;
            return (what, format!("CREATE POLICY wrong ON {table}{command} {clause} ({condition})"));
        }
    }
}

fn grammar(rng: &mut Rng, world: &World) -> (&'static str, String) {
    let text = *rng.pick(&[
        "CREATE POLICY wrong ON {} FOR INSERT USING (true)",
        "CREATE POLICY wrong ON {} FOR SELECT WITH CHECK (true)",
        "CREATE POLICY wrong ON {} FOR DELETE WITH CHECK (true)",
        "CREATE POLICY wrong ON {} TO nobody_known USING (true)",
        "CREATE POLICY wrong ON no_such_table USING (true)",
    ]);
    ("grammar", text.replace("{}", &world.tables[0].name))
}

/// What reaches its own table again is taken by `CREATE POLICY` and fails at the first query.
fn circle(rng: &mut Rng, world: &World) -> (&'static str, String) {
    let (table, inner) = (&rng.pick(&world.tables).name, &rng.pick(&world.tables).name);
    let subquery =
        *rng.pick(&["EXISTS (SELECT 1 FROM {} x)", "NOT EXISTS (SELECT 1 FROM {} x WHERE x.id IS NULL)"]);
    let subquery = subquery.replace("{}", inner);
    let clauses = *rng.pick(&[
        " FOR SELECT USING (#)",
        " USING (#)",
        " USING (true) WITH CHECK (#)",
        " FOR INSERT WITH CHECK (#)",
        " FOR UPDATE USING (#) WITH CHECK (true)",
        " FOR UPDATE USING (true) WITH CHECK (#)",
        " FOR DELETE USING (#)",
        " AS RESTRICTIVE USING (#)",
        " AS RESTRICTIVE FOR SELECT USING (#)",
        " FOR SELECT USING ((SELECT auth.uid()) IS NULL)",
        " TO anon USING (#)",
    ]);
    ("circle", format!("CREATE POLICY wrong ON {table}{}", clauses.replace('#', &subquery)))
}

/// How many kinds of wrong conditions there are.
const WRONG: usize = 27;

fn wrong(kind: usize, world: &World, table: &Table, at: usize) -> Option<(&'static str, String)> {
    let of = |wanted: &[Type]| {
        table.columns.iter().find(|column| wanted.contains(&column.of)).map(|one| one.name.clone())
    };
    let int = of(&[Type::Int, Type::BigInt]);
    let boolean = of(&[Type::Bool]);
    let time = of(&[Type::Time]);
    let uuid = of(&[Type::UuidBlob]);
    let json = of(&[Type::Json]);
    let real = of(&[Type::Real]);
    let any = table.columns[0].name.clone();
    let other = &world.tables[(at + 1) % world.tables.len()];
    Some(match kind {
        0 => ("integer = uuid", format!("{} = auth.uid()", int?)),
        1 => ("boolean = text", format!("{} = 'a'::text", boolean?)),
        2 => ("time = uuid", format!("{} = auth.uid()", time?)),
        3 => ("uuid = text", format!("{} = auth.email()", uuid?)),
        4 => ("json = uuid", format!("{} = auth.uid()", json?)),
        5 => ("real condition", real?),
        6 => ("time condition", time?),
        7 => ("uuid condition", format!("{} AND true", uuid?)),
        8 => ("no such column", format!("no_such_column = {any}")),
        9 => ("no such column", format!("{}.no_such_column IS NULL", table.name)),
        10 => ("no such table", "EXISTS (SELECT 1 FROM no_such_table)".to_owned()),
        11 => ("no such alias", format!("zz.{any} IS NULL")),
        12 => ("malformed uuid", format!("{} = 'nobody'", uuid?)),
        13 => ("malformed integer", format!("{} = 'a'", int?)),
        14 => ("malformed boolean", format!("{} = 'perhaps'", boolean?)),
        15 => ("malformed time", format!("{} > 'yesterday evening'", time?)),
        16 => ("aggregate", format!("count({any}) > 1")),
        17 => ("no such function", format!("no_such_function({any})")),
        18 => ("arithmetic on text", "auth.email() + 1 > 2".to_owned()),
        19 => ("lower of a time", format!("lower({}) = 'a'", time?)),
        20 => ("two columns", format!("{any} IN (SELECT x.id, x.id FROM {} x)", other.name)),
        21 => {
            ("ambiguous column", format!("EXISTS (SELECT 1 FROM {0} x, {0} y WHERE id IS NULL)", other.name))
        }
        22 => ("alias twice", format!("EXISTS (SELECT 1 FROM {0} x, {0} x)", other.name)),
        23 => ("LIKE on boolean", format!("{} LIKE 'a'", boolean?)),
        24 => ("integer = jsonb", format!("{} = auth.jwt()", int?)),
        25 => (
            "CASE of two types",
            format!("CASE WHEN true THEN {} ELSE auth.uid() END = auth.uid()", boolean?),
        ),
        _ => ("coalesce of two types", format!("coalesce({}, auth.uid()) IS NULL", time?)),
    })
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
    let kinds = [0, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6, 7, 7];
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
