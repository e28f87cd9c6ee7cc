-- Second factors: the seed sealed, the last step that was used, what was tried.
CREATE TABLE auth.mfa_factors (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    friendly_name text NOT NULL,
    factor_type text NOT NULL,
    sealed bytea NOT NULL,
    last_step bigint NOT NULL,
    failures bigint NOT NULL,
    failed_at timestamptz,
    verified_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (user_id, friendly_name)
);

-- Questions that wait for a code.
CREATE TABLE auth.mfa_challenges (
    id uuid NOT NULL PRIMARY KEY,
    factor_id uuid NOT NULL REFERENCES auth.mfa_factors (id) ON DELETE CASCADE,
    address text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX mfa_challenges_factor ON auth.mfa_challenges (factor_id);
CREATE INDEX mfa_challenges_expires ON auth.mfa_challenges (expires_at);

-- Recovery codes by their keyed hashes, each until it is used.
CREATE TABLE auth.mfa_recovery_codes (
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    hash bytea NOT NULL CHECK (pg_catalog.length(hash) = 32),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, hash)
);

ALTER TABLE auth.mfa_factors ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.mfa_challenges ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.mfa_recovery_codes ENABLE ROW LEVEL SECURITY;
CREATE POLICY store ON auth.mfa_factors TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON auth.mfa_challenges TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON auth.mfa_recovery_codes TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.mfa_factors, auth.mfa_challenges, auth.mfa_recovery_codes TO aurora_store;
