-- Data keys of tenants and users, and what may be done with each.
ALTER TABLE aurora.keys ADD COLUMN owner text NOT NULL DEFAULT '';
ALTER TABLE aurora.keys ADD COLUMN state text NOT NULL DEFAULT 'active'
    CHECK (state IN ('pending', 'active', 'decrypt-only', 'destroyed'));
ALTER TABLE aurora.keys ADD COLUMN changed_at timestamptz;
CREATE INDEX keys_owner ON aurora.keys (owner, id);
CREATE UNIQUE INDEX keys_active ON aurora.keys (owner, purpose) WHERE state = 'active';
CREATE UNIQUE INDEX keys_pending ON aurora.keys (owner, purpose) WHERE state = 'pending';
CREATE INDEX keys_unsettled ON aurora.keys (id) WHERE state IN ('pending', 'decrypt-only');
CREATE POLICY store_changes ON aurora.keys FOR UPDATE TO aurora_store
    USING ((SELECT bound FROM aurora.as_aurora_store));
GRANT UPDATE (state, wrapped, changed_at) ON aurora.keys TO aurora_store;
