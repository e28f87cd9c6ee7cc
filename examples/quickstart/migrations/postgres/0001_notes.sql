-- auth.users is Aurora's: a host references it like any table of its own.
CREATE TABLE teams (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    owner      uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (id, owner)
);
CREATE INDEX teams_by_owner ON teams (owner);

-- team_owner repeats teams.owner, and the foreign key keeps it true. With it the policies of members need no
-- look at teams: teams asks members, and PostgreSQL refuses policies that ask each other in a circle (42P17).
CREATE TABLE members (
    team_id    bigint NOT NULL,
    team_owner uuid NOT NULL,
    user_id    uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    role       text NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (team_id, user_id),
    FOREIGN KEY (team_id, team_owner) REFERENCES teams (id, owner) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX members_by_user ON members (user_id, team_id);
CREATE INDEX members_by_owner ON members (team_owner);

-- A note of a team that is gone stays with its author.
CREATE TABLE notes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner      uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    team_id    bigint REFERENCES teams (id) ON DELETE SET NULL,
    title      text NOT NULL,
    body       text NOT NULL DEFAULT '',
    is_public  boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX notes_by_owner ON notes (owner);
CREATE INDEX notes_by_team ON notes (team_id);
CREATE INDEX notes_public ON notes (is_public) WHERE is_public;
