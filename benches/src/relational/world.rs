//! The data of the shapes: 100,000 documents, 1,000 users, 500 teams, 2,000 projects. The same on both engines.

use std::path::Path;

use sqlx::postgres::PgConnection;

use crate::data;

pub(super) const USER: &str = "00000000-0000-4000-8000-000000000042";
pub(super) const TENANT: &str = "tenant-42";

/// Ids are kept as 16 bytes, as sqlx stores them.
const SQLITE: &str = "
CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL, owner UUID NOT NULL,
  reviewer UUID NOT NULL, team_id INTEGER, project_id INTEGER NOT NULL, tenant TEXT NOT NULL,
  status TEXT NOT NULL, is_public BOOLEAN NOT NULL, published_at TIMESTAMP NOT NULL, expires_at TIMESTAMP,
  path TEXT NOT NULL, readers TEXT NOT NULL);
CREATE TABLE members (team_id INTEGER NOT NULL, user_id UUID NOT NULL, role TEXT NOT NULL,
  PRIMARY KEY (user_id, team_id));
CREATE TABLE projects (id INTEGER PRIMARY KEY, team_id INTEGER NOT NULL, lead UUID NOT NULL);
CREATE TABLE profiles (id UUID PRIMARY KEY, is_admin BOOLEAN NOT NULL);
CREATE TABLE blocks (blocker UUID NOT NULL, blocked UUID NOT NULL, PRIMARY KEY (blocker, blocked));

WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 3999)
INSERT INTO members SELECT (i / 4 + (i % 4) * 125) % 500, unhex(printf('0000000000004000800%013d', i / 4)),
  CASE i % 4 WHEN 0 THEN 'admin' WHEN 1 THEN 'editor' ELSE 'viewer' END FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1999)
INSERT INTO projects SELECT i, i % 500, unhex(printf('0000000000004000800%013d', (i * 7) % 1000)) FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
INSERT INTO profiles SELECT unhex(printf('0000000000004000800%013d', i)), i % 100 = 0 FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999)
INSERT OR IGNORE INTO blocks SELECT unhex(printf('0000000000004000800%013d', i % 1000)),
  unhex(printf('0000000000004000800%013d', (i * 13) % 997)) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO docs SELECT i, 'document ' || i, printf('%.200c', 'x'),
  unhex(printf('0000000000004000800%013d', (i * 7919) % 1000)),
  unhex(printf('0000000000004000800%013d', (i * 104729 + 7) % 1000)),
  CASE WHEN i % 4 = 0 THEN (i / 4) % 500 END, (i * 31) % 2000,
  printf('tenant-%d', (i * 7919) % 100), CASE WHEN i % 50 = 7 THEN 'published' ELSE 'draft' END, i % 40 = 3,
  strftime('%Y-%m-%dT%H:%M:%SZ', '2026-01-01', ((i * 7) % 8000 - 7000) || ' hours'),
  CASE WHEN i % 3 = 0 THEN strftime('%Y-%m-%dT%H:%M:%SZ', '2026-01-01', ((i * 11) % 8000 - 4000) || ' hours') END,
  printf('00000000-0000-4000-8000-%012d/file-%d.png', (i * 7919) % 1000, i),
  CASE WHEN i % 10 = 0 THEN printf('[\"00000000-0000-4000-8000-%012d\"]', (i / 10) % 1000) ELSE '[]' END FROM n;
";

const INDEXES: &str = "
CREATE INDEX docs_owner ON docs(owner, id); CREATE INDEX docs_reviewer ON docs(reviewer, id);
CREATE INDEX docs_team ON docs(team_id, id); CREATE INDEX docs_project ON docs(project_id, id);
CREATE INDEX docs_tenant ON docs(tenant, id); CREATE INDEX docs_status ON docs(status, id);
CREATE INDEX docs_public ON docs(is_public, id); CREATE INDEX docs_published ON docs(published_at);
CREATE INDEX docs_path ON docs(path); CREATE INDEX projects_team ON projects(team_id);
CREATE INDEX projects_lead ON projects(lead); CREATE INDEX members_team ON members(team_id, user_id);
";

pub(super) async fn sqlite(path: &Path, analyze: bool) {
    let mut connection = data::plain(path, false).await;
    sqlx::raw_sql(SQLITE).execute(&mut connection).await.unwrap();
    sqlx::raw_sql(INDEXES).execute(&mut connection).await.unwrap();
    if analyze {
        sqlx::raw_sql("ANALYZE").execute(&mut connection).await.unwrap();
    }
    sqlx::Connection::close(connection).await.unwrap();
}

/// The same rows. Aurora's own schema holds `auth.uid()`; the twin without policies has no need of it.
const POSTGRES: &str = "
CREATE TABLE docs (id bigint PRIMARY KEY, title text NOT NULL, body text NOT NULL, owner uuid NOT NULL,
  reviewer uuid NOT NULL, team_id bigint, project_id bigint NOT NULL, tenant text NOT NULL,
  status text NOT NULL, is_public boolean NOT NULL, published_at timestamptz NOT NULL, expires_at timestamptz,
  path text NOT NULL, readers text[] NOT NULL);
CREATE TABLE members (team_id bigint NOT NULL, user_id uuid NOT NULL, role text NOT NULL,
  PRIMARY KEY (user_id, team_id));
CREATE TABLE projects (id bigint PRIMARY KEY, team_id bigint NOT NULL, lead uuid NOT NULL);
CREATE TABLE profiles (id uuid PRIMARY KEY, is_admin boolean NOT NULL);
CREATE TABLE blocks (blocker uuid NOT NULL, blocked uuid NOT NULL, PRIMARY KEY (blocker, blocked));
CREATE FUNCTION pg_temp.person(i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
  AS $$ SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid $$;
INSERT INTO members SELECT (i / 4 + (i % 4) * 125) % 500, pg_temp.person(i / 4),
  CASE i % 4 WHEN 0 THEN 'admin' WHEN 1 THEN 'editor' ELSE 'viewer' END FROM generate_series(0::bigint, 3999) i;
INSERT INTO projects SELECT i, i % 500, pg_temp.person((i * 7) % 1000) FROM generate_series(0::bigint, 1999) i;
INSERT INTO profiles SELECT pg_temp.person(i), i % 100 = 0 FROM generate_series(0::bigint, 999) i;
INSERT INTO blocks SELECT pg_temp.person(i % 1000), pg_temp.person((i * 13) % 997)
  FROM generate_series(0::bigint, 4999) i ON CONFLICT DO NOTHING;
INSERT INTO docs SELECT i, 'document ' || i, repeat('x', 200), pg_temp.person((i * 7919) % 1000),
  pg_temp.person((i * 104729 + 7) % 1000), CASE WHEN i % 4 = 0 THEN (i / 4) % 500 END, (i * 31) % 2000,
  'tenant-' || (i * 7919) % 100, CASE WHEN i % 50 = 7 THEN 'published' ELSE 'draft' END, i % 40 = 3,
  timestamptz '2026-01-01 00:00Z' + ((i * 7) % 8000 - 7000) * interval '1 hour',
  CASE WHEN i % 3 = 0 THEN timestamptz '2026-01-01 00:00Z' + ((i * 11) % 8000 - 4000) * interval '1 hour' END,
  pg_temp.person((i * 7919) % 1000)::text || '/file-' || i || '.png',
  CASE WHEN i % 10 = 0 THEN ARRAY[pg_temp.person((i / 10) % 1000)::text] ELSE '{}' END
  FROM generate_series(1::bigint, 100000) i;
";

/// The tables of the shapes, in the schema that is first on the connection's search path.
pub(super) async fn postgres(connection: &mut PgConnection) {
    for script in [POSTGRES, INDEXES] {
        sqlx::raw_sql(script).execute(&mut *connection).await.unwrap();
    }
}
