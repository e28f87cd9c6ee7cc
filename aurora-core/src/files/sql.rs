//! Every statement of this room, in the words of either engine. They run through the guard, as whoever asks.

use crate::guard::Guarded;

/// One statement in both dialects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

impl Sql {
    /// The text for the guard's engine.
    pub(super) fn on(self, guarded: &Guarded) -> &'static str {
        if guarded.is_postgres() { self.postgres } else { self.sqlite }
    }
}

macro_rules! objects {
    (sqlite) => {
        "SELECT id, bucket_id, name, owner_id, metadata, user_metadata, version, created_at, updated_at, \
         last_accessed_at FROM storage_objects"
    };
    (postgres) => {
        "SELECT id::text AS id, bucket_id, name, owner_id, metadata::text AS metadata, \
         user_metadata::text AS user_metadata, version, \
         to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS created_at, \
         to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS updated_at, \
         to_char(last_accessed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS last_accessed_at \
         FROM storage.objects"
    };
}

/// The same for lists, which hold many: what a file's maker noted is left out.
macro_rules! listed {
    (sqlite) => {
        "SELECT id, bucket_id, name, owner_id, metadata, NULL AS user_metadata, version, created_at, updated_at, \
         last_accessed_at FROM storage_objects"
    };
    (postgres) => {
        "SELECT id::text AS id, bucket_id, name, owner_id, metadata::text AS metadata, \
         NULL::text AS user_metadata, version, \
         to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS created_at, \
         to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS updated_at, \
         to_char(last_accessed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS last_accessed_at \
         FROM storage.objects"
    };
}

macro_rules! buckets {
    (sqlite) => {
        "SELECT id, name, owner_id, public, file_size_limit, allowed_mime_types, created_at, updated_at \
         FROM storage_buckets"
    };
    (postgres) => {
        "SELECT id, name, owner_id, public, file_size_limit, to_json(allowed_mime_types)::text AS allowed_mime_types, \
         to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS created_at, \
         to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS updated_at \
         FROM storage.buckets"
    };
}

macro_rules! insert_object {
    (sqlite) => {
        "INSERT INTO storage_objects (id, bucket_id, name, owner, owner_id, metadata, user_metadata, version, \
         created_at, updated_at, last_accessed_at) \
         VALUES ($1, $2, $3, unhex(replace($4, '-', '')), $4, $5, $6, $7, $8, $8, $8)"
    };
    (postgres) => {
        "INSERT INTO storage.objects (id, bucket_id, name, owner, owner_id, metadata, user_metadata, version, \
         created_at, updated_at, last_accessed_at) VALUES ($1::text::uuid, $2, $3, $4::text::uuid, $4, \
         $5::text::jsonb, $6::text::jsonb, $7, $8::text::timestamptz, $8::text::timestamptz, $8::text::timestamptz)"
    };
}

macro_rules! told {
    ($column:literal) => {
        concat!(
            "to_char(",
            $column,
            " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') COLLATE \"C\""
        )
    };
}

/// A page of names that begin alike, by a time and then by name; times are compared as they are told.
macro_rules! by_time {
    (sqlite, $column:literal, $than:literal, $order:literal) => {
        concat!(
            listed!(sqlite),
            " WHERE bucket_id = $1 AND name >= $2 AND name < $3 AND (",
            $column,
            " ",
            $than,
            " $4 OR (",
            $column,
            " = $4 AND name ",
            $than,
            " $5)) ORDER BY ",
            $column,
            " ",
            $order,
            ", name ",
            $order,
            " LIMIT $6"
        )
    };
    (postgres, $column:literal, $than:literal, $order:literal) => {
        concat!(
            listed!(postgres),
            " WHERE bucket_id = $1 AND name >= $2 AND name < $3 AND (",
            told!($column),
            " ",
            $than,
            " $4 OR (",
            told!($column),
            " = $4 AND name ",
            $than,
            " $5)) ORDER BY ",
            told!($column),
            " ",
            $order,
            ", name ",
            $order,
            " LIMIT $6"
        )
    };
}

macro_rules! statements {
    ($($name:ident = $sqlite:expr, $postgres:expr;)+) => {
        $(pub(super) const $name: Sql = Sql { sqlite: $sqlite, postgres: $postgres };)+
    };
}

statements! {
    FIND_OBJECT = concat!(objects!(sqlite), " WHERE bucket_id = $1 AND name = $2"),
        concat!(objects!(postgres), " WHERE bucket_id = $1 AND name = $2");
    HOLD_OBJECT = concat!(objects!(sqlite), " WHERE bucket_id = $1 AND name = $2"),
        concat!(objects!(postgres), " WHERE bucket_id = $1 AND name = $2 FOR UPDATE");
    OBJECT_BY_ID = concat!(objects!(sqlite), " WHERE id = $1"),
        concat!(objects!(postgres), " WHERE id = $1::text::uuid");
    NAMES_VERSION = "SELECT 1 AS found FROM storage_objects WHERE id = $1 AND version = $2",
        "SELECT 1::bigint AS found FROM storage.objects WHERE id = $1::text::uuid AND version = $2";
    OBJECTS_FROM = concat!(listed!(sqlite), " WHERE bucket_id = $1 AND name >= $2 AND name < $3 ORDER BY name LIMIT $4"),
        concat!(listed!(postgres), " WHERE bucket_id = $1 AND name >= $2 AND name < $3 ORDER BY name LIMIT $4");
    OBJECTS_BACK = concat!(listed!(sqlite), " WHERE bucket_id = $1 AND name >= $2 AND name < $3 ORDER BY name DESC LIMIT $4"),
        concat!(listed!(postgres), " WHERE bucket_id = $1 AND name >= $2 AND name < $3 ORDER BY name DESC LIMIT $4");
    BY_CREATED = by_time!(sqlite, "created_at", ">", "ASC"), by_time!(postgres, "created_at", ">", "ASC");
    BY_CREATED_BACK = by_time!(sqlite, "created_at", "<", "DESC"), by_time!(postgres, "created_at", "<", "DESC");
    BY_UPDATED = by_time!(sqlite, "updated_at", ">", "ASC"), by_time!(postgres, "updated_at", ">", "ASC");
    BY_UPDATED_BACK = by_time!(sqlite, "updated_at", "<", "DESC"), by_time!(postgres, "updated_at", "<", "DESC");
    INSERT_OBJECT = insert_object!(sqlite), insert_object!(postgres);
    UPSERT_OBJECT = concat!(insert_object!(sqlite), " ON CONFLICT (bucket_id, name) DO UPDATE SET \
        owner = excluded.owner, owner_id = excluded.owner_id, metadata = excluded.metadata, \
        user_metadata = excluded.user_metadata, version = excluded.version, updated_at = excluded.updated_at \
        RETURNING id"),
        concat!(insert_object!(postgres), " ON CONFLICT (bucket_id, name) DO UPDATE SET \
        owner = excluded.owner, owner_id = excluded.owner_id, metadata = excluded.metadata, \
        user_metadata = excluded.user_metadata, version = excluded.version, updated_at = excluded.updated_at \
        RETURNING id::text AS id");
    OBJECTS_OF = concat!(objects!(sqlite), " WHERE owner_id = $1 ORDER BY bucket_id, name LIMIT $2"),
        concat!(objects!(postgres), " WHERE owner_id = $1 ORDER BY bucket_id, name LIMIT $2");
    DELETE_OBJECTS_OF = "DELETE FROM storage_objects WHERE owner_id = $1",
        "DELETE FROM storage.objects WHERE owner_id = $1";
    SWAP_VERSION = "UPDATE storage_objects SET version = $3 WHERE id = $1 AND version = $2",
        "UPDATE storage.objects SET version = $3 WHERE id = $1::text::uuid AND version = $2";
    MOVE_OBJECT = "UPDATE storage_objects SET bucket_id = $3, name = $4, updated_at = $5 \
        WHERE bucket_id = $1 AND name = $2 AND version = $6 RETURNING id",
        "UPDATE storage.objects SET bucket_id = $3, name = $4, updated_at = $5::text::timestamptz \
        WHERE bucket_id = $1 AND name = $2 AND version = $6 RETURNING id::text AS id";
    DELETE_OBJECT = "DELETE FROM storage_objects WHERE bucket_id = $1 AND name = $2 RETURNING id, bucket_id, name, \
        owner_id, metadata, user_metadata, version, created_at, updated_at, last_accessed_at",
        "DELETE FROM storage.objects WHERE bucket_id = $1 AND name = $2 RETURNING id::text AS id, bucket_id, name, \
        owner_id, metadata::text AS metadata, user_metadata::text AS user_metadata, version, \
        to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS created_at, \
        to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS updated_at, \
        to_char(last_accessed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS last_accessed_at";
    BUCKET = concat!(buckets!(sqlite), " WHERE id = $1"), concat!(buckets!(postgres), " WHERE id = $1");
    BUCKETS = concat!(buckets!(sqlite), " ORDER BY id LIMIT 10000"),
        concat!(buckets!(postgres), " ORDER BY id LIMIT 10000");
    INSERT_BUCKET = "INSERT INTO storage_buckets (id, name, owner, owner_id, public, file_size_limit, \
        allowed_mime_types, created_at, updated_at) \
        VALUES ($1, $1, unhex(replace($2, '-', '')), $2, $3, $4, $5, $6, $6)",
        "INSERT INTO storage.buckets (id, name, owner, owner_id, public, file_size_limit, allowed_mime_types, \
        created_at, updated_at) VALUES ($1, $1, $2::text::uuid, $2, $3, $4, CASE WHEN $5::text IS NULL THEN NULL ELSE \
        ARRAY(SELECT json_array_elements_text($5::text::json)) END, $6::text::timestamptz, $6::text::timestamptz)";
    UPDATE_BUCKET = "UPDATE storage_buckets SET public = $2, file_size_limit = $3, allowed_mime_types = $4, \
        updated_at = $5 WHERE id = $1",
        "UPDATE storage.buckets SET public = $2, file_size_limit = $3, allowed_mime_types = \
        CASE WHEN $4::text IS NULL THEN NULL ELSE ARRAY(SELECT json_array_elements_text($4::text::json)) END, \
        updated_at = $5::text::timestamptz WHERE id = $1";
    DELETE_BUCKET = "DELETE FROM storage_buckets WHERE id = $1", "DELETE FROM storage.buckets WHERE id = $1";
}
