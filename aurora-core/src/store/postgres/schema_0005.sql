-- A signing key's state changes, and the private half of one that was retired is wiped.
ALTER TABLE aurora.signing_keys ADD COLUMN changed_at timestamptz;
CREATE POLICY store_changes ON aurora.signing_keys FOR UPDATE TO aurora_store
    USING ((SELECT bound FROM aurora.as_aurora_store));
GRANT UPDATE (state, sealed, changed_at) ON aurora.signing_keys TO aurora_store;

-- Keys that name an application, by their keyed hashes.
CREATE TABLE aurora.api_keys (
    id uuid NOT NULL PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('publishable', 'secret')),
    name text NOT NULL,
    hint text NOT NULL,
    hash bytea NOT NULL UNIQUE CHECK (pg_catalog.length(hash) = 32),
    scopes text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz
);
ALTER TABLE aurora.api_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY store ON aurora.api_keys TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
GRANT SELECT, INSERT, UPDATE (last_used_at, revoked_at) ON aurora.api_keys TO aurora_store;
