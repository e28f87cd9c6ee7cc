-- Buckets and objects as policies see them, with Supabase's columns. Who may do what, the policy file installs.
CREATE SCHEMA storage;
-- Its functions are for every policy; its tables have grants of their own.
GRANT USAGE ON SCHEMA storage TO PUBLIC;

CREATE TABLE storage.buckets (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    owner uuid,
    owner_id text,
    public boolean NOT NULL DEFAULT FALSE,
    file_size_limit bigint,
    allowed_mime_types text[],
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE storage.objects (
    id uuid NOT NULL PRIMARY KEY,
    bucket_id text COLLATE "C" NOT NULL REFERENCES storage.buckets (id),
    name text COLLATE "C" NOT NULL,
    owner uuid,
    owner_id text,
    metadata jsonb NOT NULL,
    user_metadata jsonb,
    version text NOT NULL,
    path_tokens text[] GENERATED ALWAYS AS (string_to_array(name, '/')) STORED,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    last_accessed_at timestamptz NOT NULL,
    UNIQUE (bucket_id, name)
);
CREATE INDEX objects_version ON storage.objects (version);
CREATE INDEX objects_owner ON storage.objects (owner_id);
ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;

-- What policies on objects call. Read when they are made, so that no search path is asked, and planned inline.
CREATE FUNCTION storage.foldername(name text) RETURNS text[] LANGUAGE sql IMMUTABLE
RETURN (string_to_array(name, '/'))[1:array_length(string_to_array(name, '/'), 1) - 1];
CREATE FUNCTION storage.filename(name text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (string_to_array(name, '/'))[array_length(string_to_array(name, '/'), 1)];
CREATE FUNCTION storage.extension(name text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN reverse(split_part(reverse((string_to_array(name, '/'))[array_length(string_to_array(name, '/'), 1)]), '.', 1));

-- The sealed blobs behind them. What is doomed waits to be removed.
CREATE TABLE aurora.blobs (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    object text NOT NULL,
    bucket text NOT NULL,
    owner text NOT NULL,
    part bigint NOT NULL,
    size bigint NOT NULL CHECK (size >= 0),
    key bigint NOT NULL,
    created_at timestamptz NOT NULL,
    doomed_at timestamptz
);
CREATE INDEX blobs_object ON aurora.blobs (object, part);
CREATE INDEX blobs_key ON aurora.blobs (key);
CREATE INDEX blobs_owner ON aurora.blobs (owner);
CREATE INDEX blobs_doomed ON aurora.blobs (doomed_at) WHERE doomed_at IS NOT NULL;

-- What each owner's blobs that are not doomed take.
CREATE TABLE aurora.file_usage (
    owner text NOT NULL PRIMARY KEY,
    bytes bigint NOT NULL,
    files bigint NOT NULL
);

CREATE TABLE aurora.uploads (
    id text NOT NULL PRIMARY KEY,
    owner text NOT NULL,
    bucket text NOT NULL,
    name text NOT NULL,
    length bigint NOT NULL CHECK (length >= 0),
    position bigint NOT NULL CHECK (position BETWEEN 0 AND length),
    parts bigint NOT NULL,
    details text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX uploads_expires ON aurora.uploads (expires_at);
CREATE INDEX uploads_owner ON aurora.uploads (owner);

ALTER TABLE aurora.blobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE aurora.file_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE aurora.uploads ENABLE ROW LEVEL SECURITY;
CREATE POLICY store ON aurora.blobs TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON aurora.file_usage TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
CREATE POLICY store ON aurora.uploads TO aurora_store USING ((SELECT bound FROM aurora.as_aurora_store));
GRANT SELECT, INSERT, UPDATE, DELETE ON aurora.blobs, aurora.file_usage, aurora.uploads TO aurora_store;
