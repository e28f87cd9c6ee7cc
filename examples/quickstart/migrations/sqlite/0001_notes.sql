-- auth_users is Aurora's: a host references it like any table of its own.
CREATE TABLE teams (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    owner      TEXT NOT NULL REFERENCES auth_users (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (id, owner)
);
CREATE INDEX teams_by_owner ON teams (owner);

-- team_owner repeats teams.owner, and the foreign key keeps it true. With it the policies of members need no
-- look at teams: teams asks members, and PostgreSQL refuses policies that ask each other in a circle (42P17).
CREATE TABLE members (
    team_id    INTEGER NOT NULL,
    team_owner TEXT NOT NULL,
    user_id    TEXT NOT NULL REFERENCES auth_users (id) ON DELETE CASCADE,
    role       TEXT NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin')),
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (team_id, user_id),
    FOREIGN KEY (team_id, team_owner) REFERENCES teams (id, owner) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX members_by_user ON members (user_id, team_id);
CREATE INDEX members_by_owner ON members (team_owner);

-- A note of a team that is gone stays with its author.
CREATE TABLE notes (
    id         INTEGER PRIMARY KEY,
    owner      TEXT NOT NULL REFERENCES auth_users (id) ON DELETE CASCADE,
    team_id    INTEGER REFERENCES teams (id) ON DELETE SET NULL,
    title      TEXT NOT NULL,
    body       TEXT NOT NULL DEFAULT '',
    is_public  BOOLEAN NOT NULL DEFAULT FALSE,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX notes_by_owner ON notes (owner);
CREATE INDEX notes_by_team ON notes (team_id);
CREATE INDEX notes_public ON notes (is_public) WHERE is_public;
