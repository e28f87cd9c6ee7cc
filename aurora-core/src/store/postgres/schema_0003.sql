ALTER TABLE auth.users
    ADD COLUMN recovery_sent_at timestamptz,
    ADD COLUMN reauthentication_sent_at timestamptz,
    ADD COLUMN invited_at timestamptz,
    ADD COLUMN deleted_at timestamptz,
    ADD COLUMN contested_at timestamptz,
    ADD COLUMN is_anonymous boolean NOT NULL DEFAULT false;
CREATE INDEX users_created ON auth.users (created_at, id);

-- What a mail carried: a link's token and a code by their keyed hashes, and what its use gives.
CREATE TABLE auth.one_time_tokens (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    purpose text NOT NULL,
    address text NOT NULL,
    link_hash bytea NOT NULL UNIQUE CHECK (pg_catalog.length(link_hash) = 32),
    code_hash bytea NOT NULL CHECK (pg_catalog.length(code_hash) = 32),
    exchange_hash bytea UNIQUE CHECK (pg_catalog.length(exchange_hash) = 32),
    challenge text,
    challenge_method text,
    sealed bytea,
    tries bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX one_time_tokens_user ON auth.one_time_tokens (user_id, purpose);
CREATE INDEX one_time_tokens_code ON auth.one_time_tokens (code_hash);
CREATE INDEX one_time_tokens_address ON auth.one_time_tokens (address);
CREATE INDEX one_time_tokens_expires ON auth.one_time_tokens (expires_at);

-- Mails that wait to be sent, sealed.
CREATE TABLE aurora.outbox (
    id uuid NOT NULL PRIMARY KEY,
    sealed bytea NOT NULL,
    tries bigint NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX outbox_next ON aurora.outbox (next_at, created_at);

-- Who does a job that one process at a time does, and until when nobody else takes it over.
CREATE TABLE aurora.slots (
    name text NOT NULL PRIMARY KEY,
    holder text NOT NULL,
    until timestamptz NOT NULL
);

ALTER TABLE auth.one_time_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE aurora.outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE aurora.slots ENABLE ROW LEVEL SECURITY;
CREATE POLICY store ON auth.one_time_tokens TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON aurora.outbox TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON aurora.slots TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.one_time_tokens, aurora.outbox, aurora.slots TO aurora_store;
