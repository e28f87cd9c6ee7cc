-- Buckets and objects as policies see them: `storage.buckets` and `storage.objects`, with Supabase's columns.
CREATE TABLE storage_buckets (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    owner UUID,
    owner_id TEXT,
    public BOOLEAN NOT NULL DEFAULT FALSE,
    file_size_limit INTEGER,
    allowed_mime_types "TEXT[]",
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE storage_objects (
    id TEXT NOT NULL PRIMARY KEY,
    bucket_id TEXT NOT NULL REFERENCES storage_buckets (id),
    name TEXT NOT NULL,
    owner UUID,
    owner_id TEXT,
    metadata JSON NOT NULL,
    user_metadata JSON,
    version TEXT NOT NULL,
    path_tokens "TEXT[]" GENERATED ALWAYS AS
        ('["' || replace(replace(replace(name, '\', '\\'), '"', '\"'), '/', '","') || '"]') VIRTUAL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    last_accessed_at TIMESTAMP NOT NULL,
    UNIQUE (bucket_id, name)
);
CREATE INDEX storage_objects_version ON storage_objects (version);
CREATE INDEX storage_objects_owner ON storage_objects (owner_id);

-- The sealed blobs behind them. What is doomed waits to be removed.
CREATE TABLE aurora_blobs (
    id TEXT NOT NULL PRIMARY KEY,
    object TEXT NOT NULL,
    bucket TEXT NOT NULL,
    owner TEXT NOT NULL,
    part INTEGER NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    key INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    doomed_at INTEGER
) STRICT;
CREATE INDEX aurora_blobs_object ON aurora_blobs (object, part);
CREATE INDEX aurora_blobs_key ON aurora_blobs (key);
CREATE INDEX aurora_blobs_owner ON aurora_blobs (owner);
CREATE INDEX aurora_blobs_doomed ON aurora_blobs (doomed_at) WHERE doomed_at IS NOT NULL;

-- What each owner's blobs that are not doomed take.
CREATE TABLE aurora_file_usage (
    owner TEXT NOT NULL PRIMARY KEY,
    bytes INTEGER NOT NULL,
    files INTEGER NOT NULL
) STRICT;

CREATE TABLE aurora_uploads (
    id TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    bucket TEXT NOT NULL,
    name TEXT NOT NULL,
    length INTEGER NOT NULL CHECK (length >= 0),
    position INTEGER NOT NULL CHECK (position BETWEEN 0 AND length),
    parts INTEGER NOT NULL,
    details TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX aurora_uploads_expires ON aurora_uploads (expires_at);
CREATE INDEX aurora_uploads_owner ON aurora_uploads (owner);
