-- Roles of the service's own. No role of the database: who holds one stands in the claims.
CREATE TABLE aurora.roles (
    name text NOT NULL PRIMARY KEY,
    rank bigint NOT NULL CHECK (rank BETWEEN 0 AND 1000),
    created_at timestamptz NOT NULL
);

CREATE TABLE aurora.role_permissions (
    role text NOT NULL REFERENCES aurora.roles (name) ON DELETE CASCADE,
    permission text NOT NULL,
    PRIMARY KEY (role, permission)
);

CREATE TABLE aurora.user_roles (
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    role text NOT NULL REFERENCES aurora.roles (name) ON DELETE CASCADE,
    granted_by text NOT NULL,
    granted_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, role)
);
CREATE INDEX user_roles_role ON aurora.user_roles (role, user_id);

-- Whose tokens say something old: of a user, or, without one, of everybody who holds roles.
CREATE TABLE aurora.role_changes (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id uuid,
    noted_at timestamptz
);
CREATE INDEX role_changes_noted ON aurora.role_changes (noted_at);

-- As for revocations: numbers ascend in the order of commits.
CREATE FUNCTION aurora.user_roles_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $aurora$
BEGIN
    LOCK TABLE aurora.commit_order IN SHARE ROW EXCLUSIVE MODE;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO aurora.role_changes (user_id) VALUES (OLD.user_id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO aurora.role_changes (user_id) VALUES (NEW.user_id);
    END IF;
    RETURN NULL;
END
$aurora$;

CREATE CONSTRAINT TRIGGER user_roles_changed AFTER INSERT OR UPDATE OR DELETE ON aurora.user_roles
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION aurora.user_roles_changed();

CREATE FUNCTION aurora.roles_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $aurora$
BEGIN
    LOCK TABLE aurora.commit_order IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO aurora.role_changes (user_id) VALUES (NULL);
    RETURN NULL;
END
$aurora$;

CREATE CONSTRAINT TRIGGER roles_changed AFTER INSERT OR UPDATE OR DELETE ON aurora.roles
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION aurora.roles_changed();
CREATE CONSTRAINT TRIGGER role_permissions_changed AFTER INSERT OR UPDATE OR DELETE ON aurora.role_permissions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION aurora.roles_changed();

ALTER TABLE aurora.roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE aurora.role_permissions ENABLE ROW LEVEL SECURITY;
ALTER TABLE aurora.user_roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE aurora.role_changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY store ON aurora.roles TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON aurora.role_permissions TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON aurora.user_roles TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON aurora.role_changes TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
REVOKE ALL ON FUNCTION aurora.user_roles_changed(), aurora.roles_changed() FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON aurora.roles, aurora.role_permissions, aurora.user_roles TO aurora_store;
GRANT SELECT, UPDATE (noted_at), DELETE ON aurora.role_changes TO aurora_store;
