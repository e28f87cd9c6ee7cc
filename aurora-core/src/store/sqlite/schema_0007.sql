-- Data keys of tenants and users, and what may be done with each.
ALTER TABLE aurora_keys ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE aurora_keys ADD COLUMN state TEXT NOT NULL DEFAULT 'active'
    CHECK (state IN ('pending', 'active', 'decrypt-only', 'destroyed'));
ALTER TABLE aurora_keys ADD COLUMN changed_at INTEGER;
CREATE INDEX aurora_keys_owner ON aurora_keys (owner, id);
CREATE UNIQUE INDEX aurora_keys_active ON aurora_keys (owner, purpose) WHERE state = 'active';
CREATE UNIQUE INDEX aurora_keys_pending ON aurora_keys (owner, purpose) WHERE state = 'pending';
CREATE INDEX aurora_keys_unsettled ON aurora_keys (id) WHERE state IN ('pending', 'decrypt-only');
