//! The twenty commonest shapes of policy, each with the conditions that a person would try by hand.
//!
//! A policy is written as people write them. A hand-written condition may be anything that stands behind `WHERE`
//! and gives the same rows whatever else the query asks: subqueries on any table, unary `+` to keep the planner
//! off an index, `id IN (.. UNION ALL ..)`. `{uid}`, `{tenant}` and `{now}` are bound parameters; `{true}` is
//! how the engine spells a boolean. What the person's program knows beforehand (the role of who asks) it may use.

/// One shape.
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// The policies of `docs`.
    pub(super) policy: &'static str,
    /// What the person may write: a name and a condition; those for one engine alone say so.
    pub(super) hand: &'static [(&'static str, On, &'static str)],
}

/// Where a hand-written condition can run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum On {
    Both,
    Sqlite,
    Postgres,
}

/// The policies of the tables that policies of `docs` read.
pub(super) const AROUND: &str = "
ALTER TABLE docs ENABLE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY;
ALTER TABLE projects ENABLE ROW LEVEL SECURITY; ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE blocks ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_memberships ON members FOR SELECT TO authenticated USING (user_id = auth.uid());
CREATE POLICY own_profile ON profiles FOR SELECT TO authenticated USING (id = auth.uid());
CREATE POLICY own_blocks ON blocks FOR SELECT TO authenticated USING (blocker = auth.uid());
";

/// Projects as most policies want them: known to everybody.
pub(super) const OPEN_PROJECTS: &str =
    "CREATE POLICY projects_known ON projects FOR SELECT TO authenticated USING (true);";

/// Projects that only the teams see which work on them.
const TEAM_PROJECTS: &str = "CREATE POLICY projects_of_team ON projects FOR SELECT TO authenticated USING
  (team_id IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid()));";

const TEAMS: &str = "SELECT team_id FROM members WHERE user_id = {uid}";

impl Shape {
    /// The whole policy file.
    pub(super) fn policies(&self) -> String {
        let projects = if self.name == "parent-visible" { TEAM_PROJECTS } else { OPEN_PROJECTS };
        format!("{AROUND}{projects}{}", self.policy)
    }

    /// The candidates for an engine.
    pub(super) fn candidates(&self, engine: On) -> Vec<(&'static str, String)> {
        let fits = |on: On| on == On::Both || on == engine;
        let hand = self.hand.iter().filter(|(_, on, _)| fits(*on));
        hand.map(|(name, _, text)| (*name, text.replace("{teams}", TEAMS))).collect()
    }
}

pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "owner",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING (auth.uid() = owner);",
        hand: &[
            ("plain", On::Both, "owner = {uid}"),
            ("ids", On::Both, "id IN (SELECT id FROM docs WHERE owner = {uid})"),
        ],
    },
    Shape {
        name: "owner-or-public",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING (is_public OR owner = auth.uid());",
        hand: &[
            ("plain", On::Both, "is_public = {true} OR owner = {uid}"),
            ("owner-first", On::Both, "owner = {uid} OR is_public = {true}"),
            ("flag", On::Both, "is_public OR owner = {uid}"),
            ("no-index", On::Sqlite, "+is_public = 1 OR +owner = {uid}"),
            (
                "ids",
                On::Both,
                "id IN (SELECT id FROM docs WHERE owner = {uid} UNION ALL SELECT id FROM docs WHERE is_public = {true})",
            ),
        ],
    },
    Shape {
        name: "constant",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING (true);",
        hand: &[("none", On::Both, "{true}"), ("key", On::Both, "id > 0")],
    },
    Shape {
        name: "exists-membership",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING (EXISTS (SELECT 1 FROM members m
          WHERE m.team_id = docs.team_id AND m.user_id = auth.uid()));",
        hand: &[
            (
                "exists",
                On::Both,
                "EXISTS (SELECT 1 FROM members m WHERE m.team_id = docs.team_id AND m.user_id = {uid})",
            ),
            ("in", On::Both, "team_id IN ({teams})"),
            ("in-no-index", On::Sqlite, "+team_id IN ({teams})"),
            ("array", On::Postgres, "team_id = ANY(ARRAY({teams}))"),
            ("ids", On::Both, "id IN (SELECT d.id FROM docs d WHERE d.team_id IN ({teams}))"),
        ],
    },
    Shape {
        name: "in-subquery",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING
          (project_id IN (SELECT id FROM projects WHERE lead = auth.uid()));",
        hand: &[
            ("in", On::Both, "project_id IN (SELECT id FROM projects WHERE lead = {uid})"),
            (
                "exists",
                On::Both,
                "EXISTS (SELECT 1 FROM projects p WHERE p.id = docs.project_id AND p.lead = {uid})",
            ),
            ("array", On::Postgres, "project_id = ANY(ARRAY(SELECT id FROM projects WHERE lead = {uid}))"),
            (
                "ids",
                On::Both,
                "id IN (SELECT d.id FROM docs d WHERE d.project_id IN (SELECT id FROM projects WHERE lead = {uid}))",
            ),
        ],
    },
    Shape {
        name: "role-in-membership",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING (EXISTS (SELECT 1 FROM members
          WHERE members.team_id = docs.team_id AND members.user_id = auth.uid()
            AND members.role IN ('admin', 'editor')));",
        hand: &[
            (
                "exists",
                On::Both,
                "EXISTS (SELECT 1 FROM members m WHERE m.team_id = docs.team_id AND m.user_id = {uid}
                   AND m.role IN ('admin', 'editor'))",
            ),
            ("in", On::Both, "team_id IN ({teams} AND role IN ('admin', 'editor'))"),
            ("array", On::Postgres, "team_id = ANY(ARRAY({teams} AND role IN ('admin', 'editor')))"),
            (
                "ids",
                On::Both,
                "id IN (SELECT d.id FROM docs d WHERE d.team_id IN ({teams} AND role IN ('admin', 'editor')))",
            ),
        ],
    },
    Shape {
        name: "owner-or-membership",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING (owner = auth.uid() OR EXISTS
          (SELECT 1 FROM members m WHERE m.team_id = docs.team_id AND m.user_id = auth.uid()));",
        hand: &[
            ("in", On::Both, "owner = {uid} OR team_id IN ({teams})"),
            ("in-no-index", On::Sqlite, "+owner = {uid} OR +team_id IN ({teams})"),
            (
                "exists",
                On::Both,
                "owner = {uid} OR EXISTS (SELECT 1 FROM members m WHERE m.team_id = docs.team_id AND m.user_id = {uid})",
            ),
            ("array", On::Postgres, "owner = {uid} OR team_id = ANY(ARRAY({teams}))"),
            (
                "ids",
                On::Both,
                "id IN (SELECT id FROM docs WHERE owner = {uid} UNION ALL SELECT id FROM docs WHERE team_id IN ({teams}))",
            ),
        ],
    },
    Shape {
        name: "two-hop",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING (EXISTS (SELECT 1 FROM projects p
          JOIN members m ON m.team_id = p.team_id WHERE p.id = docs.project_id AND m.user_id = auth.uid()));",
        hand: TWO_HOPS,
    },
    Shape {
        name: "nested-exists",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING (EXISTS (SELECT 1 FROM projects p
          WHERE p.id = docs.project_id AND EXISTS (SELECT 1 FROM members m
            WHERE m.team_id = p.team_id AND m.user_id = auth.uid())));",
        hand: TWO_HOPS,
    },
    Shape {
        name: "parent-visible",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING
          (EXISTS (SELECT 1 FROM projects WHERE projects.id = docs.project_id));",
        hand: TWO_HOPS,
    },
    Shape {
        name: "tenant-claim",
        policy: "CREATE POLICY p ON docs USING (tenant = current_setting('app.tenant_id'));",
        hand: &[
            ("plain", On::Both, "tenant = {tenant}"),
            ("ids", On::Both, "id IN (SELECT id FROM docs WHERE tenant = {tenant})"),
        ],
    },
    Shape {
        name: "jwt-role",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING
          (auth.uid() = owner OR (auth.jwt() ->> 'role') = 'staff');",
        hand: &[
            ("known-role", On::Both, "owner = {uid}"),
            ("ids", On::Both, "id IN (SELECT id FROM docs WHERE owner = {uid})"),
        ],
    },
    Shape {
        name: "admin-profile",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING (owner = auth.uid() OR EXISTS
          (SELECT 1 FROM profiles WHERE profiles.id = auth.uid() AND profiles.is_admin));",
        hand: &[
            (
                "exists",
                On::Both,
                "owner = {uid} OR EXISTS (SELECT 1 FROM profiles WHERE profiles.id = {uid} AND is_admin)",
            ),
            (
                "ids",
                On::Both,
                "id IN (SELECT id FROM docs WHERE owner = {uid} UNION ALL SELECT id FROM docs
                   WHERE EXISTS (SELECT 1 FROM profiles WHERE profiles.id = {uid} AND is_admin))",
            ),
            (
                "two-ranges",
                On::Sqlite,
                "owner = {uid} OR (id > 0 AND EXISTS (SELECT 1 FROM profiles WHERE profiles.id = {uid} AND is_admin))",
            ),
        ],
    },
    Shape {
        name: "status-or-owner",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING
          (status = 'published' OR owner = auth.uid());",
        hand: &[
            ("plain", On::Both, "status = 'published' OR owner = {uid}"),
            ("no-index", On::Sqlite, "+status = 'published' OR +owner = {uid}"),
            (
                "ids",
                On::Both,
                "id IN (SELECT id FROM docs WHERE status = 'published' UNION ALL SELECT id FROM docs WHERE owner = {uid})",
            ),
        ],
    },
    Shape {
        name: "parties",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING (auth.uid() IN (owner, reviewer));",
        hand: &[
            ("in", On::Both, "{uid} IN (owner, reviewer)"),
            ("or", On::Both, "owner = {uid} OR reviewer = {uid}"),
            (
                "ids",
                On::Both,
                "id IN (SELECT id FROM docs WHERE owner = {uid} UNION ALL SELECT id FROM docs WHERE reviewer = {uid})",
            ),
        ],
    },
    Shape {
        name: "time-window",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING
          (published_at <= now() AND (expires_at IS NULL OR expires_at > now()));",
        hand: &[
            ("plain", On::Both, "published_at <= {now} AND (expires_at IS NULL OR expires_at > {now})"),
            (
                "no-index",
                On::Sqlite,
                "+published_at <= {now} AND (+expires_at IS NULL OR +expires_at > {now})",
            ),
        ],
    },
    Shape {
        name: "not-blocked",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING (is_public AND NOT EXISTS
          (SELECT 1 FROM blocks b WHERE b.blocker = auth.uid() AND b.blocked = docs.owner));",
        hand: &[
            (
                "not-exists",
                On::Both,
                "is_public = {true} AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker = {uid} AND b.blocked = docs.owner)",
            ),
            (
                "not-in",
                On::Both,
                "is_public = {true} AND owner NOT IN (SELECT blocked FROM blocks WHERE blocker = {uid})",
            ),
            (
                "not-exists-flag",
                On::Both,
                "is_public AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker = {uid} AND b.blocked = docs.owner)",
            ),
        ],
    },
    Shape {
        name: "restrictive",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING (auth.uid() = owner);
          CREATE POLICY r ON docs AS RESTRICTIVE FOR ALL TO authenticated
            USING (tenant = current_setting('app.tenant_id'));",
        hand: &[
            ("plain", On::Both, "owner = {uid} AND tenant = {tenant}"),
            ("owner-index", On::Sqlite, "owner = {uid} AND +tenant = {tenant}"),
            ("tenant-index", On::Sqlite, "+owner = {uid} AND tenant = {tenant}"),
        ],
    },
    Shape {
        name: "helper-function",
        policy: "CREATE FUNCTION is_member(team bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
            AS $$ SELECT EXISTS (SELECT 1 FROM members m WHERE m.team_id = team AND m.user_id = auth.uid()) $$;
          CREATE POLICY p ON docs FOR SELECT TO authenticated USING (is_member(team_id));",
        hand: &[
            (
                "exists",
                On::Both,
                "EXISTS (SELECT 1 FROM members m WHERE m.team_id = docs.team_id AND m.user_id = {uid})",
            ),
            ("in", On::Both, "team_id IN ({teams})"),
            ("array", On::Postgres, "team_id = ANY(ARRAY({teams}))"),
        ],
    },
    Shape {
        name: "readers-array",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING
          (owner = auth.uid() OR auth.uid()::text = ANY(readers));",
        hand: &[
            (
                "each",
                On::Sqlite,
                "owner = {uid} OR EXISTS (SELECT 1 FROM json_each(readers) WHERE value = {uid-text})",
            ),
            ("any", On::Postgres, "owner = {uid} OR {uid-text} = ANY(readers)"),
            ("contains", On::Postgres, "owner = {uid} OR readers @> ARRAY[{uid-text}]"),
        ],
    },
    Shape {
        name: "folder",
        policy: "CREATE POLICY p ON docs FOR SELECT TO authenticated USING
          ((storage.foldername(path))[1] = auth.uid()::text);",
        hand: &[
            ("prefix", On::Both, "path >= {uid-text} || '/' AND path < {uid-text} || '0'"),
            ("like", On::Both, "path LIKE {uid-text} || '/%'"),
            ("glob", On::Sqlite, "path GLOB {uid-text} || '/*'"),
        ],
    },
];

const TWO_HOPS: &[(&str, On, &str)] = &[
    (
        "join",
        On::Both,
        "project_id IN (SELECT p.id FROM projects p JOIN members m ON m.team_id = p.team_id WHERE m.user_id = {uid})",
    ),
    (
        "cross-join",
        On::Sqlite,
        "project_id IN (SELECT p.id FROM members m CROSS JOIN projects p ON p.team_id = m.team_id WHERE m.user_id = {uid})",
    ),
    ("in-in", On::Both, "project_id IN (SELECT id FROM projects WHERE team_id IN ({teams}))"),
    (
        "exists",
        On::Both,
        "EXISTS (SELECT 1 FROM projects p JOIN members m ON m.team_id = p.team_id WHERE p.id = docs.project_id
           AND m.user_id = {uid})",
    ),
    (
        "exists-in",
        On::Both,
        "EXISTS (SELECT 1 FROM projects p WHERE p.id = docs.project_id AND p.team_id IN ({teams}))",
    ),
    (
        "array",
        On::Postgres,
        "project_id = ANY(ARRAY(SELECT p.id FROM projects p JOIN members m ON m.team_id = p.team_id WHERE m.user_id = {uid}))",
    ),
    (
        "ids",
        On::Both,
        "id IN (SELECT d.id FROM members m JOIN projects p ON p.team_id = m.team_id JOIN docs d ON d.project_id = p.id
           WHERE m.user_id = {uid})",
    ),
];
