//! What the guard carries of a host's schema, and what it refuses by name when it opens.

use aurora_core::types::Code;

use crate::attacks::{Raw, rows};
use crate::fixture::{ANN, BOB, Fixture, plain};

async fn open(schema: &str, data: &str, policies: &str) -> aurora_core::types::Result<Fixture> {
    Fixture::with(schema, &data.replace("ANN", ANN).replace("BOB", BOB), policies, Default::default()).await
}

fn own(table: &str) -> String {
    format!(
        "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON {table} USING (owner = auth.uid()::text);"
    )
}

async fn everything(fixture: &Fixture, sql: &str) -> Vec<String> {
    let mut conn = plain(&fixture.path).await;
    let rows: Vec<Raw> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql.to_owned())).fetch_all(&mut conn).await.unwrap();
    rows.into_iter()
        .map(|row| row.0.iter().map(|cell| cell.split_once('=').unwrap().1).collect::<Vec<_>>().join("|"))
        .collect()
}

async fn refused(schema: &str, policies: &str, words: &[&str]) {
    let error = open(schema, "", policies).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code(), Code::Configuration, "{error:?}");
    for word in words {
        assert!(error.message().contains(word), "{word} is not in: {}", error.message());
    }
}

const T: &str =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, owner TEXT, n INTEGER DEFAULT 0, updated INTEGER DEFAULT 0);
CREATE TABLE log (id INTEGER PRIMARY KEY, owner TEXT, what TEXT);";

/// asvs(V8.3.3)
#[tokio::test]
async fn triggers_run_as_the_caller() {
    let schema = format!(
        "{T} CREATE TRIGGER touch AFTER UPDATE ON t BEGIN UPDATE t SET updated = updated + 1 WHERE id = NEW.id; END;
         CREATE TRIGGER note_insert AFTER INSERT ON t WHEN NEW.n > 5 BEGIN
           INSERT INTO log (owner, what) VALUES (NEW.owner, 'insert ' || NEW.id); END;
         CREATE TRIGGER note_n BEFORE UPDATE OF n ON t FOR EACH ROW WHEN NEW.n <> OLD.n BEGIN
           INSERT INTO log (owner, what) SELECT NEW.owner, 'from ' || OLD.n || ' to ' || NEW.n; END;
         CREATE TRIGGER keep BEFORE DELETE ON t WHEN OLD.n = 7 BEGIN SELECT RAISE(ABORT, 'seven stays'); END;
         CREATE TRIGGER gone AFTER DELETE ON t BEGIN DELETE FROM log WHERE owner = OLD.owner; END;"
    );
    let data = "INSERT INTO t (id, owner, n) VALUES (1, 'ANN', 1), (2, 'BOB', 2); DELETE FROM log; UPDATE t SET updated = 0;
                INSERT INTO log VALUES (50, 'BOB', 'HIDDEN')";
    let fixture = open(&schema, data, &format!("{}{}", own("t"), own("log"))).await.unwrap();
    let ann = fixture.ann();
    ann.query("UPDATE t SET n = 7").execute().await.unwrap();
    assert_eq!(everything(&fixture, "SELECT id, n, updated FROM t ORDER BY id").await, ["1|7|2", "2|2|1"]);
    ann.query("INSERT INTO t (id, owner, n) VALUES (3, auth.uid(), 6), (4, auth.uid(), 1)")
        .execute()
        .await
        .unwrap();
    assert_eq!(
        everything(&fixture, "SELECT what FROM log WHERE id > 50 ORDER BY id").await,
        ["from 1 to 7", "insert 3"]
    );
    let kept = ann.query("DELETE FROM t WHERE id = 1").execute().await.unwrap_err();
    assert_eq!((kept.code(), kept.message()), (Code::CheckViolation, "seven stays"));
    ann.query("DELETE FROM t WHERE id = 3").execute().await.unwrap();
    assert_eq!(everything(&fixture, "SELECT what FROM log").await, ["HIDDEN"]);
    // The caller may not write what the trigger writes: the statement fails, as in PostgreSQL.
    let fixture =
        open(&schema, data, &format!("{}{} REVOKE INSERT ON log FROM authenticated;", own("t"), own("log")))
            .await
            .unwrap();
    let denied = fixture.ann().query("UPDATE t SET n = 9").execute().await.unwrap_err();
    assert_eq!(
        (denied.code(), denied.message()),
        (Code::InsufficientPrivilege, "permission denied for table log")
    );
    assert_eq!(fixture.ann().query("UPDATE t SET updated = 9").execute().await.unwrap().rows_affected(), 1);
    // RAISE(IGNORE) leaves the row, RAISE(FAIL) fails the statement.
    let raise = format!(
        "{T} CREATE TRIGGER a BEFORE DELETE ON t WHEN OLD.n = 1 BEGIN SELECT RAISE(IGNORE); END;
         CREATE TRIGGER b BEFORE DELETE ON t WHEN OLD.n = 2 BEGIN SELECT RAISE(FAIL, 'not two'); END;"
    );
    let data = "INSERT INTO t (id, owner, n) VALUES (1, 'ANN', 1), (2, 'ANN', 2), (3, 'ANN', 3)";
    let fixture = open(&raise, data, &own("t")).await.unwrap();
    assert_eq!(
        fixture.ann().query("DELETE FROM t WHERE id <> 2").execute().await.unwrap().rows_affected(),
        1
    );
    assert_eq!(fixture.ann().query("DELETE FROM t").execute().await.unwrap_err().message(), "not two");
    // A trigger that gives a row away meets WITH CHECK.
    let give = format!(
        "{T} CREATE TRIGGER give AFTER INSERT ON t BEGIN UPDATE t SET owner = 'x' WHERE id = NEW.id; END;"
    );
    let fixture = open(&give, "", &own("t")).await.unwrap();
    let denied =
        fixture.ann().query("INSERT INTO t (owner) VALUES (auth.uid())").execute().await.unwrap_err();
    assert_eq!(denied.code(), Code::InsufficientPrivilege);
}

/// asvs(V8.3.3)
#[tokio::test]
async fn views_show_what_the_caller_may_see() {
    let schema = format!(
        "{T} CREATE VIEW v AS SELECT id, owner FROM t; CREATE VIEW w(a, b) AS SELECT id, count(*) OVER () FROM v WHERE owner <> '';
         CREATE VIEW c AS WITH x(k) AS (SELECT id FROM t) SELECT k FROM x UNION ALL SELECT -1;
         CREATE VIEW j AS SELECT a.id, b.id AS other FROM t a JOIN v b ON b.id >= a.id;"
    );
    let data = "INSERT INTO t (id, owner) VALUES (1, 'ANN'), (2, 'BOB'), (3, 'ANN')";
    let fixture = open(&schema, data, &own("t")).await.unwrap();
    let ann = fixture.ann();
    let count =
        async |sql: &str| rows(&ann, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).len();
    assert_eq!(count("SELECT * FROM v").await, 2);
    assert_eq!(rows(&ann, "SELECT a, b FROM w ORDER BY a").await.unwrap()[0].0, ["a=1", "b=2"]);
    assert_eq!(count("SELECT k FROM c").await, 3);
    assert_eq!(count("SELECT * FROM j").await, 3);
    assert_eq!(
        count("SELECT * FROM v AS x JOIN w ON w.a = x.id WHERE json_valid(x.owner) IS NOT 7").await,
        2
    );
    for sql in ["INSERT INTO v VALUES (9, 'x')", "UPDATE v SET id = 9", "DELETE FROM v"] {
        assert_eq!(ann.query(sql).execute().await.unwrap_err().code(), Code::StatementNotSupported);
    }
    // A view over a table that no policy names shows nothing of it.
    let schema =
        format!("{schema} CREATE VIEW l AS SELECT * FROM log; CREATE VIEW self AS SELECT * FROM self;");
    let fixture = open(&schema, data, &own("t")).await.unwrap();
    for view in ["l", "self"] {
        assert!(fixture.ann().query(&format!("SELECT * FROM {view}")).execute().await.is_err());
    }
}

#[tokio::test]
async fn foreign_keys_act_on_hidden_rows() {
    let schema = "CREATE TABLE p (id INTEGER PRIMARY KEY, owner TEXT, code TEXT UNIQUE);
        CREATE TABLE c (id INTEGER PRIMARY KEY, owner TEXT, p INTEGER REFERENCES p(id) ON DELETE CASCADE ON UPDATE CASCADE);
        CREATE TABLE s (id INTEGER PRIMARY KEY, owner TEXT, code TEXT REFERENCES p(code) ON DELETE SET NULL);
        CREATE TABLE d (id INTEGER PRIMARY KEY, owner TEXT, c INTEGER DEFAULT 0 REFERENCES c(id) ON DELETE CASCADE);
        CREATE TABLE tree (id INTEGER PRIMARY KEY, owner TEXT, up INTEGER REFERENCES tree(id) ON DELETE CASCADE);
        CREATE TABLE k (a INTEGER, b TEXT, owner TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
        CREATE TABLE kc (id INTEGER PRIMARY KEY, owner TEXT, a INTEGER, b TEXT, FOREIGN KEY (a, b) REFERENCES k ON DELETE CASCADE);
        CREATE TABLE lonely (p INTEGER REFERENCES p(id) ON DELETE CASCADE ON UPDATE CASCADE);
        CREATE TABLE gone (id INTEGER PRIMARY KEY, what TEXT, owner TEXT);
        CREATE TRIGGER c_gone AFTER DELETE ON c BEGIN INSERT INTO gone (what, owner) VALUES ('c' || OLD.id, auth_owner.owner) ; END;"
        .replace("VALUES ('c' || OLD.id, auth_owner.owner) ", "SELECT 'c' || OLD.id, owner FROM tree WHERE id = 1 ");
    let data = "INSERT INTO p VALUES (1, 'ANN', 'one'), (2, 'BOB', 'two'); INSERT INTO c VALUES (1, 'BOB', 1), (2, 'ANN', 1), (3, 'ANN', 2);
        INSERT INTO s VALUES (1, 'BOB', 'one'); INSERT INTO d VALUES (1, 'BOB', 1);
        INSERT INTO tree VALUES (1, 'ANN', NULL), (2, 'BOB', 1), (3, 'ANN', 2), (4, 'BOB', NULL);
        INSERT INTO k VALUES (1, 'x', 'ANN'); INSERT INTO kc VALUES (1, 'BOB', 1, 'x'); INSERT INTO lonely VALUES (1);";
    let policies: String = ["p", "c", "s", "d", "tree", "k", "kc", "gone"].map(own).concat();
    let fixture = open(&schema, data, &policies).await.unwrap();
    let ann = fixture.ann();
    ann.query("UPDATE p SET id = 10 WHERE id = 1").execute().await.unwrap();
    assert_eq!(everything(&fixture, "SELECT id, p FROM c ORDER BY id").await, ["1|10", "2|10", "3|2"]);
    ann.query("DELETE FROM p").execute().await.unwrap();
    assert_eq!(everything(&fixture, "SELECT id FROM p").await, ["2"]);
    assert_eq!(everything(&fixture, "SELECT id FROM c").await, ["3"]);
    assert_eq!(everything(&fixture, "SELECT id, code FROM s").await, ["1|NULL"]);
    assert_eq!(everything(&fixture, "SELECT * FROM d UNION ALL SELECT p, 1, 1 FROM lonely").await, [""; 0]);
    // The child's own trigger ran in the cascade.
    assert_eq!(everything(&fixture, "SELECT what FROM gone ORDER BY id").await, ["c1", "c2"]);
    ann.query("DELETE FROM k").execute().await.unwrap();
    assert_eq!(everything(&fixture, "SELECT id FROM kc").await, [""; 0]);
    ann.query("DELETE FROM tree WHERE id = 1").execute().await.unwrap();
    assert_eq!(everything(&fixture, "SELECT id FROM tree").await, ["4"]);
    let none = ann.query("INSERT INTO c VALUES (9, auth.uid(), 99)").execute().await.unwrap_err();
    assert_eq!(none.code(), Code::ForeignKeyViolation);
    // A covert channel, as in PostgreSQL: a reference to a hidden parent is accepted.
    ann.query("INSERT INTO c VALUES (9, auth.uid(), 2)").execute().await.unwrap();
}

#[tokio::test]
async fn a_dangling_reference_does_not_lift_the_check() {
    let schema = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (id INTEGER PRIMARY KEY, owner TEXT, p INTEGER REFERENCES p(id) ON DELETE CASCADE);";
    let data = "PRAGMA foreign_keys = OFF; INSERT INTO t VALUES (1, 'ANN', 99), (2, 'BOB', 99)";
    let fixture = open(schema, data, &own("t")).await.unwrap();
    let denied = fixture.ann().query("UPDATE t SET owner = 'x' WHERE id = 1").execute().await.unwrap_err();
    assert_eq!(denied.code(), Code::InsufficientPrivilege, "{denied:?}");
}

#[tokio::test]
async fn tables_of_every_make() {
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, a INTEGER CHECK (a < 100),
          twice INTEGER GENERATED ALWAYS AS (a * 2) VIRTUAL, text TEXT GENERATED ALWAYS AS (upper(owner) || a) STORED,
          token TEXT NOT NULL DEFAULT (lower(hex(randomblob(8)))), made TEXT DEFAULT CURRENT_TIMESTAMP);
        CREATE UNIQUE INDEX t_part ON t(a) WHERE a > 50; CREATE INDEX t_expr ON t(lower(owner), a * 3); CREATE INDEX t_twice ON t(twice);
        CREATE TABLE strict_t (id TEXT PRIMARY KEY, owner TEXT, n INTEGER, any_v ANY) STRICT;
        CREATE TABLE wide (a INTEGER, b TEXT, owner TEXT, v INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;
        CREATE TABLE nokey (owner TEXT, v INTEGER); CREATE TABLE keyed (a INTEGER, b INTEGER, owner TEXT, UNIQUE (a, b));
        CREATE TABLE \"odd name; --\" (\"select\" INTEGER PRIMARY KEY, owner TEXT, \"a b\" TEXT, \"größe\" INTEGER, [order] INTEGER, `x-y` INTEGER);
        CREATE TABLE hides (rowid TEXT, oid TEXT, owner TEXT);";
    let data = "INSERT INTO t (owner, a) VALUES ('ANN', 1), ('BOB', 60); INSERT INTO strict_t VALUES ('x', 'ANN', 1, 2), ('y', 'BOB', 2, x'00');
        INSERT INTO wide VALUES (1, 'a', 'ANN', 1), (1, 'b', 'BOB', 2); INSERT INTO nokey VALUES ('ANN', 1), ('BOB', 2), ('ANN', 3);
        INSERT INTO keyed VALUES (1, NULL, 'ANN'), (1, NULL, 'BOB'), (2, NULL, 'ANN');
        INSERT INTO \"odd name; --\" VALUES (1, 'ANN', 'x', 2, 3, 4), (2, 'BOB', 'y', 5, 6, 7); INSERT INTO hides VALUES ('r', 'o', 'ANN');";
    let tables = ["t", "strict_t", "wide", "nokey", "keyed", "hides", "\"odd name; --\""];
    let fixture = open(schema, data, &tables.map(own).concat()).await.unwrap();
    let ann = fixture.ann();
    let changes = async |sql: &str| {
        ann.query(sql)
            .execute()
            .await
            .map(|done| done.rows_affected())
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    };
    for (sql, expected) in [
        ("INSERT INTO t (owner, a) VALUES (auth.uid(), 5)", 1),
        ("UPDATE t SET a = a + 1 WHERE twice > 0 AND text <> ''", 2),
        ("UPDATE t SET a = 7 WHERE lower(owner) = auth.uid() AND a * 3 = 18", 1),
        ("DELETE FROM t WHERE a > 50", 0),
        ("UPDATE strict_t SET n = 9", 1),
        ("INSERT INTO strict_t VALUES ('z', auth.uid(), 1, 'any') ON CONFLICT (id) DO NOTHING", 1),
        ("UPDATE wide SET v = 9 WHERE v > 0", 1),
        (
            "INSERT INTO wide VALUES (1, 'a', auth.uid(), 5) ON CONFLICT (a, b) DO UPDATE SET v = excluded.v",
            1,
        ),
        ("DELETE FROM wide WHERE a = 1 AND b > ''", 1),
        ("UPDATE nokey SET v = v * 10", 2),
        ("DELETE FROM nokey WHERE rowid = 1", 1),
        ("UPDATE keyed SET a = a + 5 WHERE b IS NULL", 2),
        (
            "UPDATE \"odd name; --\" SET \"a b\" = 'z', größe = 1, \"order\" = 2, \"x-y\" = 3 WHERE \"select\" > 0",
            1,
        ),
        ("DELETE FROM \"odd name; --\"", 1),
        ("UPDATE hides SET oid = 'p' WHERE rowid = 'r' AND oid = 'o'", 1),
    ] {
        assert_eq!(changes(sql).await, expected, "{sql}");
    }
    assert_eq!(
        rows(&ann, "SELECT a, twice, length(token) FROM t ORDER BY id").await.unwrap()[1].0,
        ["a=7", "twice=14", "length(token)=16"]
    );
    assert_eq!(rows(&ann, "SELECT max(id) FROM t").await.unwrap()[0].0, ["max(id)=3"]);
    assert_eq!(
        rows(&ann, "SELECT rowid, oid, _rowid_ FROM hides").await.unwrap()[0].0,
        ["rowid=r", "oid=p", "_rowid_=1"]
    );
    for (sql, code) in [
        ("UPDATE t SET a = 100", Code::CheckViolation),
        ("UPDATE t SET a = 60 WHERE id = 1", Code::UniqueViolation),
        ("UPDATE strict_t SET n = 'x'", Code::CheckViolation),
        ("INSERT INTO t (a) VALUES (1)", Code::InsufficientPrivilege),
        ("SELECT rowid FROM wide", Code::BadStatement),
    ] {
        assert_eq!(ann.query(sql).execute().await.unwrap_err().code(), code, "{sql}");
    }
    assert_eq!(everything(&fixture, "SELECT a, b, v FROM wide").await, ["1|b|2"]);
    assert_eq!(everything(&fixture, "SELECT v FROM nokey").await, ["2", "30"]);
}

/// attack L04
#[tokio::test]
async fn what_cannot_be_carried_is_refused_by_name() {
    let t = own("t");
    refused("CREATE VIRTUAL TABLE t USING fts5(owner)", &t, &["`t`", "virtual table"]).await;
    refused(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, owner TEXT, s TEXT UNIQUE ON CONFLICT REPLACE)",
        &t,
        &["`t`", "ON CONFLICT REPLACE"],
    )
    .await;
    refused(
        "CREATE TABLE t (id INTEGER PRIMARY KEY ON  CONFLICT /* x */ REPLACE, owner TEXT)",
        &t,
        &["`t`", "ON CONFLICT REPLACE"],
    )
    .await;
    refused(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, owner TEXT, UNIQUE (owner) on conflict replace)",
        &t,
        &["`t`", "ON CONFLICT REPLACE"],
    )
    .await;
    refused(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (id INTEGER PRIMARY KEY, owner TEXT, p INTEGER REFERENCES p(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)",
        &t,
        &["`t`", "INITIALLY DEFERRED"],
    )
    .await;
    refused("CREATE TABLE t (rowid TEXT, oid TEXT, _rowid_ TEXT, owner TEXT)", &t, &["`t`", "rowid"]).await;
    let trigger = |body: &str| format!("{T} CREATE TRIGGER x AFTER INSERT ON t BEGIN {body}; END;");
    for (body, word) in [
        ("INSERT INTO log (what) VALUES ('x')", "`log`"),
        ("INSERT OR REPLACE INTO t (id) VALUES (1)", "REPLACE"),
        ("SELECT RAISE(ROLLBACK, 'x')", "ROLLBACK"),
        ("SELECT * FROM sqlite_schema", "sqlite_schema"),
        ("SELECT load_extension('x') FROM nosuch", "nosuch"),
    ] {
        refused(&trigger(body), &t, &["`t`", word]).await;
    }
    let fts = format!(
        "{T} CREATE VIRTUAL TABLE f USING fts5(what); CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO f VALUES (NEW.owner); END;"
    );
    refused(&fts, &t, &["`t`", "`f`", "virtual table"]).await;
    // Beside guarded tables they may stand: they are invisible.
    let beside = format!(
        "{T} CREATE VIRTUAL TABLE f USING fts5(what); CREATE VIEW v AS SELECT 1 AS x; CREATE TRIGGER i INSTEAD OF INSERT ON v BEGIN SELECT 1; END;"
    );
    let fixture = open(&beside, "", &t).await.unwrap();
    for sql in [
        "SELECT * FROM f",
        "SELECT * FROM f_data",
        "INSERT INTO v VALUES (1)",
        "SELECT * FROM f WHERE f MATCH 'x'",
    ] {
        assert!(fixture.ann().query(sql).execute().await.is_err(), "{sql}");
    }
    assert_eq!(rows(&fixture.ann(), "SELECT x FROM v").await.unwrap().len(), 1);
}
