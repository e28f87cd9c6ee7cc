CREATE TABLE auth_mfa_factors (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES auth_users (id) ON DELETE CASCADE,
    friendly_name TEXT NOT NULL,
    factor_type TEXT NOT NULL,
    sealed BLOB NOT NULL,
    last_step INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    failed_at INTEGER,
    verified_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (user_id, friendly_name)
) STRICT;

CREATE TABLE auth_mfa_challenges (
    id TEXT NOT NULL PRIMARY KEY,
    factor_id TEXT NOT NULL REFERENCES auth_mfa_factors (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX auth_mfa_challenges_factor ON auth_mfa_challenges (factor_id);
CREATE INDEX auth_mfa_challenges_expires ON auth_mfa_challenges (expires_at);

CREATE TABLE auth_mfa_recovery_codes (
    user_id TEXT NOT NULL REFERENCES auth_users (id) ON DELETE CASCADE,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, hash)
) STRICT, WITHOUT ROWID;
