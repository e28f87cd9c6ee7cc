CREATE TABLE aurora_roles (
    name TEXT NOT NULL PRIMARY KEY,
    rank INTEGER NOT NULL CHECK (rank BETWEEN 0 AND 1000),
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE aurora_role_permissions (
    role TEXT NOT NULL REFERENCES aurora_roles (name) ON DELETE CASCADE,
    permission TEXT NOT NULL,
    PRIMARY KEY (role, permission)
) STRICT, WITHOUT ROWID;

CREATE TABLE aurora_user_roles (
    user_id TEXT NOT NULL REFERENCES auth_users (id) ON DELETE CASCADE,
    role TEXT NOT NULL REFERENCES aurora_roles (name) ON DELETE CASCADE,
    granted_by TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX aurora_user_roles_role ON aurora_user_roles (role, user_id);

-- Whose tokens say something old: of a user, or, without one, of everybody who holds roles.
CREATE TABLE aurora_role_changes (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT,
    noted_at INTEGER
) STRICT;
CREATE INDEX aurora_role_changes_noted ON aurora_role_changes (noted_at);

CREATE TRIGGER aurora_user_roles_given AFTER INSERT ON aurora_user_roles BEGIN
    INSERT INTO aurora_role_changes (user_id) VALUES (NEW.user_id);
END;
CREATE TRIGGER aurora_user_roles_taken AFTER DELETE ON aurora_user_roles BEGIN
    INSERT INTO aurora_role_changes (user_id) VALUES (OLD.user_id);
END;
CREATE TRIGGER aurora_user_roles_moved AFTER UPDATE ON aurora_user_roles BEGIN
    INSERT INTO aurora_role_changes (user_id) VALUES (OLD.user_id), (NEW.user_id);
END;
CREATE TRIGGER aurora_roles_made AFTER INSERT ON aurora_roles BEGIN
    INSERT INTO aurora_role_changes (user_id) VALUES (NULL);
END;
CREATE TRIGGER aurora_roles_changed AFTER UPDATE ON aurora_roles BEGIN
    INSERT INTO aurora_role_changes (user_id) VALUES (NULL);
END;
CREATE TRIGGER aurora_roles_deleted AFTER DELETE ON aurora_roles BEGIN
    INSERT INTO aurora_role_changes (user_id) VALUES (NULL);
END;
CREATE TRIGGER aurora_role_permissions_given AFTER INSERT ON aurora_role_permissions BEGIN
    INSERT INTO aurora_role_changes (user_id) VALUES (NULL);
END;
CREATE TRIGGER aurora_role_permissions_taken AFTER DELETE ON aurora_role_permissions BEGIN
    INSERT INTO aurora_role_changes (user_id) VALUES (NULL);
END;
CREATE TRIGGER aurora_role_permissions_moved AFTER UPDATE ON aurora_role_permissions BEGIN
    INSERT INTO aurora_role_changes (user_id) VALUES (NULL);
END;
