ALTER TABLE auth_users ADD COLUMN recovery_sent_at INTEGER;
ALTER TABLE auth_users ADD COLUMN reauthentication_sent_at INTEGER;
ALTER TABLE auth_users ADD COLUMN invited_at INTEGER;
ALTER TABLE auth_users ADD COLUMN deleted_at INTEGER;
ALTER TABLE auth_users ADD COLUMN contested_at INTEGER;
ALTER TABLE auth_users ADD COLUMN is_anonymous INTEGER NOT NULL DEFAULT 0 CHECK (is_anonymous IN (0, 1));
CREATE INDEX auth_users_created ON auth_users (created_at, id);

CREATE TABLE auth_one_time_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES auth_users (id) ON DELETE CASCADE,
    purpose TEXT NOT NULL,
    address TEXT NOT NULL,
    link_hash BLOB NOT NULL UNIQUE CHECK (length(link_hash) = 32),
    code_hash BLOB NOT NULL CHECK (length(code_hash) = 32),
    exchange_hash BLOB UNIQUE CHECK (length(exchange_hash) = 32),
    challenge TEXT,
    challenge_method TEXT,
    sealed BLOB,
    tries INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX auth_one_time_tokens_user ON auth_one_time_tokens (user_id, purpose);
CREATE INDEX auth_one_time_tokens_code ON auth_one_time_tokens (code_hash);
CREATE INDEX auth_one_time_tokens_address ON auth_one_time_tokens (address);
CREATE INDEX auth_one_time_tokens_expires ON auth_one_time_tokens (expires_at);

CREATE TABLE aurora_outbox (
    id TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX aurora_outbox_next ON aurora_outbox (next_at, created_at);

CREATE TABLE aurora_slots (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT;
