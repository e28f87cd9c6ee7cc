//! Policies that PostgreSQL refuses, or would if they were a little worse.

use super::rng::Rng;
use super::world::{Table, Type, World};

/// A policy on a table of the world that PostgreSQL may or may not take.
pub(crate) fn draw(rng: &mut Rng, world: &World) -> (&'static str, String) {
    loop {
        let kind = rng.below(WRONG + 24);
        if kind > WRONG + 5 {
            return function(rng, world);
        }
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
const WRONG: usize = 46;

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
    let (ints, texts, uuids) = (of(&[Type::Ints]), of(&[Type::Texts]), of(&[Type::Uuids]));
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
        26 => ("coalesce of two types", format!("coalesce({}, auth.uid()) IS NULL", time?)),
        27 => ("element of another type", format!("{} = ANY ({})", int?, texts?)),
        28 => ("element of another type", format!("auth.uid() = ANY ({})", ints?)),
        29 => ("arrays of two types", format!("{} && {}", texts?, uuids?)),
        30 => ("arrays of two types", format!("{} @> ARRAY[auth.uid()]", texts?)),
        31 => ("cardinality of no array", format!("cardinality({}) = 1", boolean?)),
        32 => ("malformed array", format!("{} = 'a'", texts?)),
        33 => ("malformed array", format!("{} && '{{a,b}}'", uuids?)),
        34 => ("subscript of no array", format!("({})[1] IS NULL", boolean?)),
        35 => ("pattern of a number", format!("{} ~ 'a'", int?)),
        36 => ("pattern of a time", format!("{} LIKE 'a%'", time?)),
        37 => ("time and a number", format!("{} - 7 > now()", time?)),
        38 => ("time and an interval", format!("{} > interval '7 days'", time?)),
        39 => ("malformed interval", format!("{} > now() - interval 'some days'", time?)),
        40 => ("json and a number", format!("({} ->> 'n') > 1", json?)),
        41 => ("json operator on no json", format!("({} ->> 'n') = 'a'", boolean?)),
        42 => ("json operator on no json", format!("{} ? 'n'", uuid?)),
        43 => ("malformed json", format!("{} @> 'a'", json?)),
        44 => ("file name of a number", format!("storage.filename({}) = 'a'", int?)),
        _ => ("part of a number", format!("extract(year from {}) = 2023", int?)),
    })
}

/// A helper function, or a call of one, that does not fit. Bodies in sql only: PostgreSQL reads those of plpgsql when
/// they run.
fn function(rng: &mut Rng, world: &World) -> (&'static str, String) {
    let table = &rng.pick(&world.tables).name;
    let (what, made, call) = *rng.pick(&[
        (
            "function: argument of another type",
            "f(a bigint) RETURNS boolean # SELECT a > 1 #",
            "f(auth.uid())",
        ),
        ("function: argument of another type", "f(a uuid) RETURNS boolean # SELECT a IS NULL #", "f(now())"),
        ("function: too few arguments", "f(a bigint, b bigint) RETURNS boolean # SELECT a > b #", "f(1)"),
        ("function: too many arguments", "f() RETURNS boolean # SELECT true #", "f(1)"),
        ("function: result of another type", "f() RETURNS bigint # SELECT auth.uid() #", "f() = 1"),
        ("function: result of another type", "f() RETURNS uuid # SELECT 'a'::text #", "f() IS NULL"),
        ("function: condition of another type", "f() RETURNS uuid # SELECT auth.uid() #", "f()"),
        ("function: no such column in its body", "f() RETURNS boolean # SELECT nothing_known = 1 #", "f()"),
        (
            "function: no such table in its body",
            "f() RETURNS boolean # SELECT EXISTS (SELECT 1 FROM nowhere) #",
            "f()",
        ),
        ("function: no such argument", "f(a bigint) RETURNS boolean # SELECT $2 > 1 #", "f(1)"),
        ("function: two columns", "f() RETURNS bigint # SELECT 1, 2 #", "f() = 1"),
        ("function: ill-typed body", "f(a uuid) RETURNS boolean # SELECT a > 1 #", "f(auth.uid())"),
        ("function: well-typed", "f(a bigint) RETURNS boolean # SELECT a > 1 #", "f(2)"),
        (
            "function: well-typed",
            "f(a text) RETURNS SETOF text # SELECT a #",
            "auth.email() IN (SELECT f('a'))",
        ),
    ]);
    let definer = if rng.chance(30) { " SECURITY DEFINER" } else { "" };
    let made =
        made.replace("f(", "wrong_helper(").replacen('#', &format!("LANGUAGE sql STABLE{definer} AS $$"), 1);
    let (made, call) = (made.replace('#', "$$"), call.replace("f(", "wrong_helper("));
    (what, format!("CREATE FUNCTION {made}; CREATE POLICY wrong ON {table} FOR SELECT USING ({call})"))
}
