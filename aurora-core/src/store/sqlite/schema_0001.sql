CREATE TABLE auth_users (
    id TEXT NOT NULL PRIMARY KEY,
    uid BLOB GENERATED ALWAYS AS (unhex(replace(id, '-', ''))) STORED UNIQUE,
    email TEXT UNIQUE,
    email_confirmed_at INTEGER,
    new_email TEXT,
    email_change_sent_at INTEGER,
    confirmation_sent_at INTEGER,
    password TEXT,
    app_metadata TEXT NOT NULL CHECK (json_valid(app_metadata)),
    user_metadata TEXT NOT NULL CHECK (json_valid(user_metadata)),
    banned_until INTEGER,
    last_sign_in_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE auth_identities (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES auth_users (id) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_sign_in_at INTEGER,
    UNIQUE (provider, provider_id)
) STRICT;
CREATE INDEX auth_identities_user ON auth_identities (user_id);

CREATE TABLE auth_sessions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES auth_users (id) ON DELETE CASCADE,
    family TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL,
    aal TEXT NOT NULL,
    amr TEXT NOT NULL CHECK (json_valid(amr)),
    user_agent TEXT,
    address TEXT,
    created_at INTEGER NOT NULL,
    authenticated_at INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX auth_sessions_user ON auth_sessions (user_id, created_at);
CREATE INDEX auth_sessions_refreshed ON auth_sessions (refreshed_at);
CREATE INDEX auth_sessions_expires ON auth_sessions (expires_at);

CREATE TABLE auth_refresh_tokens (
    hash BLOB NOT NULL PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES auth_sessions (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER,
    UNIQUE (session_id, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE auth_revocations (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    noted_at INTEGER
) STRICT;
CREATE INDEX auth_revocations_noted ON auth_revocations (noted_at);

CREATE TRIGGER auth_sessions_ended AFTER DELETE ON auth_sessions BEGIN
    INSERT INTO auth_revocations (session_id) VALUES (OLD.id);
END;

CREATE TRIGGER auth_users_banned AFTER UPDATE OF banned_until ON auth_users
WHEN NEW.banned_until IS NOT NULL AND NEW.banned_until IS NOT OLD.banned_until BEGIN
    DELETE FROM auth_sessions WHERE user_id = NEW.id;
END;

CREATE TABLE aurora_keys (
    id INTEGER NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE aurora_signing_keys (
    id INTEGER NOT NULL PRIMARY KEY,
    kid TEXT NOT NULL UNIQUE,
    algorithm TEXT NOT NULL,
    sealed BLOB NOT NULL,
    public_jwk TEXT NOT NULL CHECK (json_valid(public_jwk)),
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE aurora_audit (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    tenant TEXT,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('security', 'data', 'access')),
    action TEXT NOT NULL,
    target TEXT,
    request_id TEXT,
    payload TEXT NOT NULL CHECK (json_valid(payload)),
    salt BLOB NOT NULL CHECK (length(salt) = 32),
    commitment BLOB NOT NULL CHECK (length(commitment) = 32),
    sequence INTEGER UNIQUE
) STRICT;
CREATE INDEX aurora_audit_at ON aurora_audit (at);
CREATE INDEX aurora_audit_actor ON aurora_audit (actor, at);
