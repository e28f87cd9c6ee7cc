CREATE SCHEMA auth;
CREATE SCHEMA IF NOT EXISTS aurora;

-- Who may bind: HMAC-SHA-256's key as its two padded blocks. Only the owner reads it.
CREATE TABLE aurora.identity_keys (
    generation integer NOT NULL PRIMARY KEY CHECK (generation > 0),
    inner_block bytea NOT NULL CHECK (pg_catalog.length(inner_block) = 64),
    outer_block bytea NOT NULL CHECK (pg_catalog.length(outer_block) = 64),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

-- VOLATILE, so that no planner calls it while it estimates.
CREATE FUNCTION aurora.refused() RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $aurora$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'this transaction is bound to nobody';
END
$aurora$;

-- Who this transaction was bound to by Aurora; an error in any other case.
--
-- Views and not functions: they read the keys with their owner's rights as a function would, and their plan is part
-- of the statement's, which is kept. HMAC out of sha256, since there is no other without an extension. NULL at any
-- place is a refusal.
--
-- `as_<role>` asks for that role, whatever the role is by now: policies and grants are chosen when a statement is
-- planned, and SQL can switch the role before that and back again before the statement runs. What decides for whom a
-- policy holds asks these. `identity` asks for the role as it stands, for functions that any role calls.
DO $aurora$
DECLARE
    called text;
    who text;
BEGIN
    FOR called, who IN
        SELECT 'as_' || r, quote_literal(r || '|')
            FROM unnest(ARRAY['anon', 'authenticated', 'aurora_store', 'aurora_service']) r
        UNION ALL SELECT 'identity', $who$current_setting('role') || '|'$who$
    LOOP
        EXECUTE format($view$
            CREATE VIEW aurora.%I AS
            SELECT i.claims, NULLIF(i.claims ->> 'sub', '')::uuid AS uid, i.claims IS NOT NULL AS bound
            FROM (SELECT coalesce(
                (SELECT current_setting('request.jwt.claims', true) FROM aurora.identity_keys k
                    WHERE encode(sha256(k.outer_block || sha256(k.inner_block
                        || timestamptz_send(transaction_timestamp()) || int4send(pg_backend_pid())
                        || convert_to(%s || current_setting('request.jwt.claims', true), 'UTF8'))),
                        'hex') = current_setting('aurora.mac', true)),
                aurora.refused())::jsonb AS claims) i
        $view$, called, who);
    END LOOP;
END
$aurora$;

CREATE FUNCTION aurora.claims() RETURNS jsonb LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $aurora$
BEGIN
    RETURN (SELECT i.claims FROM aurora.identity i);
END
$aurora$;

-- Bodies that are read when they are made: what a caller names like a type or function of theirs changes nothing.
CREATE FUNCTION aurora.uid() RETURNS uuid LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN NULLIF(aurora.claims() OPERATOR(pg_catalog.->>) 'sub', '')::pg_catalog.uuid;

CREATE FUNCTION aurora.bound() RETURNS boolean LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN aurora.claims() IS NOT NULL;

-- For policies of tables that their own policies lead back to: PostgreSQL lets those hold no subquery.
CREATE FUNCTION aurora.bound_as_anon() RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $aurora$
BEGIN
    RETURN (SELECT i.bound FROM aurora.as_anon i);
END
$aurora$;
CREATE FUNCTION aurora.bound_as_authenticated() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $aurora$
BEGIN
    RETURN (SELECT i.bound FROM aurora.as_authenticated i);
END
$aurora$;

-- Whether no key was ever kept here: the first process that starts keeps its own.
CREATE FUNCTION aurora.unkeyed() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $aurora$ SELECT NOT EXISTS (SELECT FROM aurora.identity_keys) $aurora$;

-- The generation that is in use; 1 before the first.
CREATE FUNCTION aurora.identity_generation() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $aurora$ SELECT coalesce(max(generation), 1) FROM aurora.identity_keys $aurora$;

-- Whether this is the key of that generation. Where there is none at all, it becomes the first.
CREATE FUNCTION aurora.admit_identity(wanted integer, inner_bytes bytea, outer_bytes bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $aurora$
BEGIN
    IF NOT EXISTS (SELECT FROM aurora.identity_keys) THEN
        LOCK TABLE aurora.identity_keys IN SHARE ROW EXCLUSIVE MODE;
        IF NOT EXISTS (SELECT FROM aurora.identity_keys) THEN
            INSERT INTO aurora.identity_keys (generation, inner_block, outer_block)
                VALUES (wanted, inner_bytes, outer_bytes);
        END IF;
    END IF;
    RETURN EXISTS (SELECT FROM aurora.identity_keys
        WHERE generation = wanted AND inner_block = inner_bytes AND outer_block = outer_bytes);
END
$aurora$;

CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN aurora.uid();
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN aurora.claims();
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN aurora.claims() OPERATOR(pg_catalog.->>) 'role';
CREATE FUNCTION auth.email() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN aurora.claims() OPERATOR(pg_catalog.->>) 'email';

CREATE TABLE auth.users (
    id uuid NOT NULL PRIMARY KEY,
    email text UNIQUE,
    email_confirmed_at timestamptz,
    email_change text,
    email_change_sent_at timestamptz,
    confirmation_sent_at timestamptz,
    encrypted_password text,
    raw_app_meta_data jsonb NOT NULL,
    raw_user_meta_data jsonb NOT NULL,
    banned_until timestamptz,
    last_sign_in_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE auth.identities (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    provider text NOT NULL,
    provider_id text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    last_sign_in_at timestamptz,
    UNIQUE (provider, provider_id)
);
CREATE INDEX identities_user ON auth.identities (user_id);

CREATE TABLE auth.sessions (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    family uuid NOT NULL UNIQUE,
    generation bigint NOT NULL,
    aal text NOT NULL,
    amr jsonb NOT NULL,
    user_agent text,
    ip text,
    created_at timestamptz NOT NULL,
    authenticated_at timestamptz NOT NULL,
    refreshed_at timestamptz NOT NULL,
    not_after timestamptz NOT NULL
);
CREATE INDEX sessions_user ON auth.sessions (user_id, created_at);
CREATE INDEX sessions_refreshed ON auth.sessions (refreshed_at);
CREATE INDEX sessions_not_after ON auth.sessions (not_after);

CREATE TABLE auth.refresh_tokens (
    hash bytea NOT NULL PRIMARY KEY CHECK (pg_catalog.length(hash) = 32),
    session_id uuid NOT NULL REFERENCES auth.sessions (id) ON DELETE CASCADE,
    generation bigint NOT NULL,
    created_at timestamptz NOT NULL,
    used_at timestamptz,
    UNIQUE (session_id, generation)
);

CREATE TABLE auth.revocations (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id uuid NOT NULL,
    noted_at timestamptz
);
CREATE INDEX revocations_noted ON auth.revocations (noted_at);

-- Never holds a row. Its lock makes the numbers of revocations ascend in the order of commits, so that whoever
-- read up to a number has missed nothing below it.
CREATE TABLE aurora.commit_order ();

CREATE FUNCTION aurora.session_ended() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $aurora$
BEGIN
    LOCK TABLE aurora.commit_order IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO auth.revocations (session_id, noted_at)
        VALUES (OLD.id, NULLIF(current_setting('aurora.now', true), '')::timestamptz);
    PERFORM pg_notify('aurora_revocations', '');
    RETURN NULL;
END
$aurora$;

-- Deferred to the commit: the lock is held for its length only, whatever the transaction did before.
CREATE CONSTRAINT TRIGGER sessions_ended AFTER DELETE ON auth.sessions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION aurora.session_ended();

CREATE FUNCTION aurora.user_banned() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $aurora$
BEGIN
    DELETE FROM auth.sessions WHERE user_id = NEW.id;
    RETURN NULL;
END
$aurora$;

CREATE TRIGGER users_banned AFTER UPDATE OF banned_until ON auth.users FOR EACH ROW
    WHEN (NEW.banned_until IS NOT NULL AND NEW.banned_until IS DISTINCT FROM OLD.banned_until)
    EXECUTE FUNCTION aurora.user_banned();

CREATE TABLE aurora.keys (
    id bigint NOT NULL PRIMARY KEY,
    purpose text NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE aurora.signing_keys (
    id bigint NOT NULL PRIMARY KEY,
    kid text NOT NULL UNIQUE,
    algorithm text NOT NULL,
    sealed bytea NOT NULL,
    public_jwk json NOT NULL,
    state text NOT NULL,
    created_at timestamptz NOT NULL
);

-- The payload is hashed as it stands: json keeps its text.
CREATE TABLE aurora.audit (
    id uuid NOT NULL PRIMARY KEY,
    at timestamptz NOT NULL,
    tenant text,
    actor text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('security', 'data', 'access')),
    action text NOT NULL,
    target text,
    request_id text,
    payload json NOT NULL,
    salt bytea NOT NULL CHECK (pg_catalog.length(salt) = 32),
    commitment bytea NOT NULL CHECK (pg_catalog.length(commitment) = 32),
    sequence bigint UNIQUE
);
CREATE INDEX audit_at ON aurora.audit (at);
CREATE INDEX audit_actor ON aurora.audit (actor, at);

ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.refresh_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.revocations ENABLE ROW LEVEL SECURITY;
ALTER TABLE aurora.keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE aurora.signing_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE aurora.audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE aurora.identity_keys ENABLE ROW LEVEL SECURITY;

CREATE POLICY store ON auth.users TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON auth.identities TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON auth.sessions TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON auth.refresh_tokens TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON auth.revocations TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON aurora.audit TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
-- What these hold is sealed, and needed before there is anything to bind with.
CREATE POLICY store_reads ON aurora.keys FOR SELECT TO aurora_store USING (true);
CREATE POLICY store_adds ON aurora.keys FOR INSERT TO aurora_store
    WITH CHECK (CASE WHEN (SELECT aurora.unkeyed()) THEN true ELSE (SELECT bound FROM aurora.as_aurora_store) END);
CREATE POLICY store_reads ON aurora.signing_keys FOR SELECT TO aurora_store USING (true);
CREATE POLICY store_adds ON aurora.signing_keys FOR INSERT TO aurora_store
    WITH CHECK (CASE WHEN (SELECT aurora.unkeyed()) THEN true ELSE (SELECT bound FROM aurora.as_aurora_store) END);

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA aurora FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA auth FROM PUBLIC;
GRANT USAGE ON SCHEMA auth, aurora TO anon, authenticated, service_role, aurora_store, aurora_service;
GRANT SELECT ON aurora.identity TO anon, authenticated, service_role, aurora_store, aurora_service;
GRANT SELECT ON aurora.as_anon TO anon;
GRANT SELECT ON aurora.as_authenticated TO authenticated;
GRANT SELECT ON aurora.as_aurora_store TO aurora_store;
GRANT SELECT ON aurora.as_aurora_service TO aurora_service;
GRANT EXECUTE ON FUNCTION aurora.bound_as_anon() TO anon;
GRANT EXECUTE ON FUNCTION aurora.bound_as_authenticated() TO authenticated;
GRANT EXECUTE ON FUNCTION aurora.refused(), aurora.claims(), aurora.uid(), aurora.bound(),
    auth.uid(), auth.jwt(), auth.role(), auth.email()
    TO anon, authenticated, service_role, aurora_store, aurora_service;
GRANT EXECUTE ON FUNCTION aurora.unkeyed(), aurora.identity_generation(),
    aurora.admit_identity(integer, bytea, bytea) TO aurora_store;
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.users, auth.identities, auth.sessions, auth.refresh_tokens TO aurora_store;
GRANT SELECT, UPDATE (noted_at), DELETE ON auth.revocations TO aurora_store;
GRANT SELECT, INSERT ON aurora.keys, aurora.signing_keys, aurora.audit TO aurora_store;
GRANT SELECT ON aurora.migrations TO aurora_store;
