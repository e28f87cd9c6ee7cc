//! Every statement of the PostgreSQL store. A test prepares them all as the role that runs them.

macro_rules! statements {
    ($($name:ident = $text:literal;)+) => {
        $(pub(super) const $name: &str = $text;)+
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $text),)+];
    };
}

statements! {
    USER = "SELECT id, email, email_confirmed_at, email_change, email_change_sent_at, confirmation_sent_at, \
        recovery_sent_at, reauthentication_sent_at, invited_at, encrypted_password, \
        raw_app_meta_data::text AS app_metadata, raw_user_meta_data::text AS user_metadata, \
        banned_until, last_sign_in_at, created_at, updated_at, deleted_at, contested_at, is_anonymous, \
        (SELECT json_agg(json_build_object('id', f.id, 'name', f.friendly_name, 'kind', f.factor_type, \
            'verified_at', (extract(epoch FROM f.verified_at) * 1000000)::bigint, \
            'created_at', (extract(epoch FROM f.created_at) * 1000000)::bigint, \
            'updated_at', (extract(epoch FROM f.updated_at) * 1000000)::bigint) ORDER BY f.created_at, f.id)::text \
            FROM auth.mfa_factors f WHERE f.user_id = users.id) AS factors FROM auth.users WHERE id = $1";
    USER_BY_EMAIL = "SELECT id, email, email_confirmed_at, email_change, email_change_sent_at, confirmation_sent_at, \
        recovery_sent_at, reauthentication_sent_at, invited_at, encrypted_password, \
        raw_app_meta_data::text AS app_metadata, raw_user_meta_data::text AS user_metadata, \
        banned_until, last_sign_in_at, created_at, updated_at, deleted_at, contested_at, is_anonymous, \
        (SELECT json_agg(json_build_object('id', f.id, 'name', f.friendly_name, 'kind', f.factor_type, \
            'verified_at', (extract(epoch FROM f.verified_at) * 1000000)::bigint, \
            'created_at', (extract(epoch FROM f.created_at) * 1000000)::bigint, \
            'updated_at', (extract(epoch FROM f.updated_at) * 1000000)::bigint) ORDER BY f.created_at, f.id)::text \
            FROM auth.mfa_factors f WHERE f.user_id = users.id) AS factors FROM auth.users WHERE id = \
        coalesce((SELECT u.id FROM auth.users u WHERE u.email = $1), \
            (SELECT u.id FROM auth.users u ORDER BY u.id LIMIT 1))";
    COUNT_USERS = "SELECT count(*) FROM auth.users";
    USERS = "SELECT id, email, email_confirmed_at, email_change, email_change_sent_at, confirmation_sent_at, \
        recovery_sent_at, reauthentication_sent_at, invited_at, encrypted_password, \
        raw_app_meta_data::text AS app_metadata, raw_user_meta_data::text AS user_metadata, \
        banned_until, last_sign_in_at, created_at, updated_at, deleted_at, contested_at, is_anonymous, \
        (SELECT json_agg(json_build_object('id', f.id, 'name', f.friendly_name, 'kind', f.factor_type, \
            'verified_at', (extract(epoch FROM f.verified_at) * 1000000)::bigint, \
            'created_at', (extract(epoch FROM f.created_at) * 1000000)::bigint, \
            'updated_at', (extract(epoch FROM f.updated_at) * 1000000)::bigint) ORDER BY f.created_at, f.id)::text \
            FROM auth.mfa_factors f WHERE f.user_id = users.id) AS factors FROM auth.users \
        ORDER BY created_at, id LIMIT $1 OFFSET $2";
    IDENTITIES_OF = "SELECT user_id, id, provider, provider_id, created_at, updated_at, last_sign_in_at \
        FROM auth.identities WHERE user_id = ANY ($1::text::uuid[]) ORDER BY created_at, id";
    IDENTITIES = "SELECT id, provider, provider_id, created_at, updated_at, last_sign_in_at FROM auth.identities \
        WHERE user_id = $1 ORDER BY created_at, id";
    LOCK_USER = "SELECT id FROM auth.users WHERE id = $1 FOR NO KEY UPDATE";
    LOCK_USER_BY_EMAIL = "SELECT id FROM auth.users WHERE email = $1 FOR NO KEY UPDATE";
    LOCK_USER_OF_SESSION = "SELECT u.id FROM auth.users u WHERE u.id = \
        (SELECT s.user_id FROM auth.sessions s WHERE s.id = $1) FOR NO KEY UPDATE";
    LOCK_USER_OF_TOKEN = "SELECT u.id FROM auth.users u WHERE u.id = (SELECT s.user_id FROM auth.sessions s \
        JOIN auth.refresh_tokens t ON t.session_id = s.id WHERE t.hash = $1) FOR NO KEY UPDATE";
    LOCK_USER_OF_LINK = "SELECT u.id FROM auth.users u WHERE u.id = \
        (SELECT t.user_id FROM auth.one_time_tokens t WHERE t.link_hash = $1) FOR NO KEY UPDATE";
    LOCK_USER_OF_EXCHANGE = "SELECT u.id FROM auth.users u WHERE u.id = \
        (SELECT t.user_id FROM auth.one_time_tokens t WHERE t.exchange_hash = $1) FOR NO KEY UPDATE";
    INSERT_USER = "INSERT INTO auth.users (id, email, email_confirmed_at, email_change, email_change_sent_at, \
        confirmation_sent_at, encrypted_password, raw_app_meta_data, raw_user_meta_data, banned_until, \
        last_sign_in_at, recovery_sent_at, reauthentication_sent_at, invited_at, deleted_at, \
        contested_at, is_anonymous, updated_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9::text::jsonb, $10, $11, \
        $12, $13, $14, $15, $16, $17, $18, $19) \
        ON CONFLICT (email) DO NOTHING";
    UPDATE_USER_SAME_EMAIL = "UPDATE auth.users SET email_confirmed_at = $3, email_change = $4, \
        email_change_sent_at = $5, confirmation_sent_at = $6, encrypted_password = $7, \
        raw_app_meta_data = $8::text::jsonb, raw_user_meta_data = $9::text::jsonb, banned_until = $10, \
        last_sign_in_at = $11, recovery_sent_at = $12, reauthentication_sent_at = $13, invited_at = $14, \
        deleted_at = $15, contested_at = $16, is_anonymous = $17, updated_at = $18 WHERE id = $1 AND email IS NOT DISTINCT FROM $2";
    UPDATE_USER = "UPDATE auth.users SET email = $2, email_confirmed_at = $3, email_change = $4, \
        email_change_sent_at = $5, confirmation_sent_at = $6, encrypted_password = $7, \
        raw_app_meta_data = $8::text::jsonb, raw_user_meta_data = $9::text::jsonb, banned_until = $10, \
        last_sign_in_at = $11, recovery_sent_at = $12, reauthentication_sent_at = $13, invited_at = $14, \
        deleted_at = $15, contested_at = $16, is_anonymous = $17, updated_at = $18 WHERE id = $1";
    DELETE_USER = "DELETE FROM auth.users WHERE id = $1";
    PUT_IDENTITY = "INSERT INTO auth.identities (id, user_id, provider, provider_id, created_at, updated_at, \
        last_sign_in_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
        ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, last_sign_in_at = excluded.last_sign_in_at";
    SESSION = "SELECT id, user_id, family, generation, aal, amr::text AS amr, user_agent, ip, created_at, \
        authenticated_at, refreshed_at, not_after FROM auth.sessions WHERE id = $1";
    SESSIONS_OF = "SELECT id, user_id, family, generation, aal, amr::text AS amr, user_agent, ip, created_at, \
        authenticated_at, refreshed_at, not_after FROM auth.sessions WHERE user_id = $1 \
        ORDER BY created_at DESC, id LIMIT 1000";
    REFRESH_TOKEN = "SELECT t.generation AS token_generation, n.used_at AS successor_used_at, s.id, s.user_id, \
        s.family, s.generation, s.aal, s.amr::text AS amr, s.user_agent, s.ip, s.created_at, s.authenticated_at, \
        s.refreshed_at, s.not_after \
        FROM auth.refresh_tokens t JOIN auth.sessions s ON s.id = t.session_id \
        LEFT JOIN auth.refresh_tokens n ON n.session_id = t.session_id AND n.generation = t.generation + 1 \
        WHERE t.hash = $1";
    REVOCATIONS = "SELECT sequence, session_id FROM auth.revocations WHERE sequence > $1 ORDER BY sequence LIMIT 10000";
    INSERT_SESSION = "INSERT INTO auth.sessions (id, user_id, family, generation, aal, amr, user_agent, ip, \
        created_at, authenticated_at, refreshed_at, not_after) \
        VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, $9, $10, $11, $12)";
    INSERT_TOKEN = "INSERT INTO auth.refresh_tokens (hash, session_id, generation, created_at) \
        VALUES ($1, $2, $3, $4)";
    ROTATE = "WITH session AS (UPDATE auth.sessions SET generation = $2, user_agent = $3, ip = $4, refreshed_at = $5 \
            WHERE id = $1 AND generation = $2 - 1 RETURNING id), \
        used AS (UPDATE auth.refresh_tokens t SET used_at = $5 FROM session s \
            WHERE t.session_id = s.id AND t.generation = $2 - 1), \
        added AS (INSERT INTO auth.refresh_tokens (hash, session_id, generation, created_at) \
            SELECT $6, s.id, $2, $5 FROM session s), \
        forgotten AS (DELETE FROM auth.refresh_tokens t USING session s \
            WHERE t.session_id = s.id AND t.used_at < $7 AND t.generation < $2 - 1) \
        SELECT id FROM session";
    END_SESSION = "DELETE FROM auth.sessions WHERE id = $1 \
        RETURNING id, pg_catalog.set_config('aurora.now', $2, true)";
    END_SESSIONS_OF = "DELETE FROM auth.sessions WHERE user_id = $1 AND id IS DISTINCT FROM $2 \
        RETURNING id, pg_catalog.set_config('aurora.now', $3, true)";
    END_EXPIRED = "DELETE FROM auth.sessions WHERE id IN (SELECT id FROM auth.sessions \
        WHERE not_after < $1 OR refreshed_at < $2 FOR UPDATE SKIP LOCKED) \
        RETURNING id, pg_catalog.set_config('aurora.now', $3, true)";
    END_EXPIRED_OF = "DELETE FROM auth.sessions WHERE user_id = $4 AND (not_after < $1 OR refreshed_at < $2) \
        RETURNING id, pg_catalog.set_config('aurora.now', $3, true)";
    NOTE_REVOCATIONS = "UPDATE auth.revocations SET noted_at = $1 WHERE sequence IN (SELECT sequence \
        FROM auth.revocations WHERE noted_at IS NULL FOR UPDATE SKIP LOCKED)";
    FORGET_REVOCATIONS = "DELETE FROM auth.revocations WHERE sequence IN (SELECT sequence \
        FROM auth.revocations WHERE noted_at < $1 FOR UPDATE SKIP LOCKED)";
    TOKEN_BY_LINK = "SELECT id, user_id, purpose, address, link_hash, code_hash, exchange_hash, challenge, challenge_method, sealed, \
        tries, created_at, expires_at FROM auth.one_time_tokens WHERE link_hash = $1";
    TOKEN_BY_CODE = "SELECT id, user_id, purpose, address, link_hash, code_hash, exchange_hash, challenge, challenge_method, sealed, \
        tries, created_at, expires_at FROM auth.one_time_tokens WHERE code_hash = $1 \
        ORDER BY created_at DESC LIMIT 1";
    TOKEN_BY_EXCHANGE = "SELECT id, user_id, purpose, address, link_hash, code_hash, exchange_hash, challenge, challenge_method, sealed, \
        tries, created_at, expires_at FROM auth.one_time_tokens WHERE exchange_hash = $1";
    TOKENS_OF = "SELECT id, user_id, purpose, address, link_hash, code_hash, exchange_hash, challenge, challenge_method, sealed, \
        tries, created_at, expires_at FROM auth.one_time_tokens WHERE user_id = $1 \
        AND purpose NOT IN ('spent', 'spent_nonce') ORDER BY created_at DESC, id";
    INSERT_ONE_TIME_TOKEN = "INSERT INTO auth.one_time_tokens (id, user_id, purpose, address, link_hash, code_hash, exchange_hash, challenge, challenge_method, sealed, \
        tries, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    SPEND_TOKENS_OF = "UPDATE auth.one_time_tokens SET code_hash = link_hash, exchange_hash = NULL, challenge = NULL, \
        challenge_method = NULL, sealed = NULL, \
        purpose = CASE purpose WHEN 'reauthentication' THEN 'spent_nonce' ELSE 'spent' END \
        WHERE user_id = $1 AND ($2::text IS NULL OR purpose = $2) AND tries > 0 AND purpose NOT IN ('spent', 'spent_nonce')";
    DELETE_TOKENS_OF = "DELETE FROM auth.one_time_tokens WHERE user_id = $1 AND ($2::text IS NULL OR purpose = $2) \
        AND purpose NOT IN ('spent', 'spent_nonce')";
    FORGET_TRIES_OF = "DELETE FROM auth.one_time_tokens WHERE user_id = $1";
    DELETE_ONE_TIME_TOKEN = "DELETE FROM auth.one_time_tokens WHERE id = $1";
    LOCK_USERS_AT = "SELECT u.id FROM auth.users u WHERE u.id IN (SELECT t.user_id FROM auth.one_time_tokens t \
        WHERE t.address = $1) ORDER BY u.id FOR NO KEY UPDATE";
    COUNT_TRY = "UPDATE auth.one_time_tokens SET tries = tries + 1 \
        WHERE address = $1 AND (purpose IN ('reauthentication', 'spent_nonce')) = $2";
    TRIES_AT = "SELECT coalesce(max(tries), 0) AS tries FROM auth.one_time_tokens \
        WHERE address = $1 AND (purpose IN ('reauthentication', 'spent_nonce')) = $2 AND expires_at > $3";
    LOCK_USER_OF_CODE = "SELECT u.id FROM auth.users u WHERE u.id = (SELECT t.user_id \
        FROM auth.one_time_tokens t WHERE t.code_hash = $1 ORDER BY t.created_at DESC LIMIT 1) FOR NO KEY UPDATE";
    NEWEST_TOKEN_AT = "SELECT max(created_at) AS newest FROM auth.one_time_tokens \
        WHERE address = $1 AND purpose IN ($2, $3)";
    UNCONFIRMED = "SELECT id, confirmation_sent_at AS since FROM auth.users WHERE email_confirmed_at IS NULL \
        AND confirmation_sent_at < $1 AND (confirmation_sent_at, id) > ($2, $3) AND last_sign_in_at IS NULL \
        AND invited_at IS NULL AND deleted_at IS NULL AND NOT is_anonymous \
        ORDER BY confirmation_sent_at, id LIMIT $4";
    ANONYMOUS = "SELECT id, created_at AS since FROM auth.users WHERE is_anonymous AND created_at < $1 \
        AND (created_at, id) > ($2, $3) AND email IS NULL AND deleted_at IS NULL \
        AND NOT EXISTS (SELECT FROM auth.sessions s WHERE s.user_id = users.id) \
        ORDER BY created_at, id LIMIT $4";
    FORGET_ONE_TIME_TOKENS = "DELETE FROM auth.one_time_tokens WHERE id IN (SELECT id FROM auth.one_time_tokens \
        WHERE expires_at < $1 FOR UPDATE SKIP LOCKED)";
    LOCK_USER_OF_FACTOR = "SELECT u.id FROM auth.users u WHERE u.id = \
        (SELECT f.user_id FROM auth.mfa_factors f WHERE f.id = $1) FOR NO KEY UPDATE";
    FACTOR = "SELECT id, user_id, friendly_name, factor_type, sealed, last_step, failures, failed_at, verified_at, \
        created_at, updated_at FROM auth.mfa_factors WHERE id = $1";
    INSERT_FACTOR = "INSERT INTO auth.mfa_factors (id, user_id, friendly_name, factor_type, sealed, last_step, \
        failures, failed_at, verified_at, created_at, updated_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (user_id, friendly_name) DO NOTHING";
    UPDATE_FACTOR = "UPDATE auth.mfa_factors SET last_step = $2, failures = $3, failed_at = $4, verified_at = $5, \
        updated_at = $6 WHERE id = $1 AND ($3 > 0 OR last_step < $2)";
    DELETE_FACTOR = "DELETE FROM auth.mfa_factors WHERE id = $1";
    DELETE_FACTORS_OF = "DELETE FROM auth.mfa_factors WHERE user_id = $1";
    FACTOR_CHALLENGE = "SELECT id, factor_id, address, created_at, expires_at FROM auth.mfa_challenges WHERE id = $1";
    INSERT_CHALLENGE = "INSERT INTO auth.mfa_challenges (id, factor_id, address, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5)";
    DELETE_CHALLENGE = "DELETE FROM auth.mfa_challenges WHERE id = $1";
    FORGET_CHALLENGES = "DELETE FROM auth.mfa_challenges WHERE id IN (SELECT id FROM auth.mfa_challenges \
        WHERE expires_at < $1 FOR UPDATE SKIP LOCKED)";
    RECOVERY_CODES = "SELECT count(*) FROM auth.mfa_recovery_codes WHERE user_id = $1";
    INSERT_RECOVERY_CODE = "INSERT INTO auth.mfa_recovery_codes (user_id, hash, created_at) VALUES ($1, $2, $3)";
    DELETE_RECOVERY_CODES_OF = "DELETE FROM auth.mfa_recovery_codes WHERE user_id = $1";
    USE_RECOVERY_CODE = "DELETE FROM auth.mfa_recovery_codes WHERE user_id = $1 AND hash = $2";
    REWRITE_SESSION = "UPDATE auth.sessions SET family = $2, generation = $3, aal = $4, amr = $5::text::jsonb, \
        authenticated_at = $6, refreshed_at = $7 WHERE id = $1";
    FORGET_TOKENS_OF_SESSION = "DELETE FROM auth.refresh_tokens WHERE session_id = $1";
    OUTBOX = "SELECT count(*) AS waiting, min(created_at) AS oldest FROM aurora.outbox";
    INSERT_MAIL = "INSERT INTO aurora.outbox (id, sealed, tries, next_at, created_at) \
        VALUES ($1::text::uuid, $2, $3, $4, $5)";
    TAKE_MAILS = "UPDATE aurora.outbox SET tries = tries + 1, next_at = $2 WHERE id IN \
        (SELECT id FROM aurora.outbox WHERE next_at <= $1 ORDER BY next_at, created_at LIMIT $3 \
        FOR UPDATE SKIP LOCKED) RETURNING id::text AS id, sealed, tries, next_at, created_at";
    DELETE_MAIL = "DELETE FROM aurora.outbox WHERE id = $1::text::uuid";
    PUT_OFF_MAIL = "UPDATE aurora.outbox SET next_at = $2 WHERE id = $1::text::uuid";
    TAKE_SLOT = "INSERT INTO aurora.slots AS s (name, holder, until) VALUES ($1, $2, $4) \
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until \
        WHERE s.holder = excluded.holder OR s.until <= $3";
    FREE_SLOT = "DELETE FROM aurora.slots WHERE name = $1 AND holder = $2";
    APPEND_AUDIT = "INSERT INTO aurora.audit (id, at, tenant, actor, kind, action, target, request_id, payload, salt, \
        commitment) VALUES ($1::text::uuid, $2, $3, $4, $5, $6, $7, $8, $9::text::json, $10, $11)";
    KEYS_OF = "SELECT id, purpose, owner, state, wrapped, created_at, changed_at FROM aurora.keys \
        WHERE owner = $1 ORDER BY id";
    KEY = "SELECT id, purpose, owner, state, wrapped, created_at, changed_at FROM aurora.keys WHERE id = $1";
    KEYS_UNSETTLED = "SELECT id, purpose, owner, state, wrapped, created_at, changed_at FROM aurora.keys \
        WHERE state IN ('pending', 'decrypt-only') AND id > $1 ORDER BY id LIMIT 1000";
    NEWEST_KEY = "SELECT coalesce(max(id), 0) AS id FROM aurora.keys";
    KEYS_AFTER = "SELECT id, purpose, owner, state, wrapped, created_at, changed_at FROM aurora.keys \
        WHERE id > $1 ORDER BY id LIMIT 1000";
    LOCK_KEYS_OF = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1::text, 107114611208802))";
    INSERT_KEY = "INSERT INTO aurora.keys (id, purpose, owner, state, wrapped, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    CHANGE_KEY = "UPDATE aurora.keys SET state = $3, changed_at = $4 WHERE id = $1 AND state = $2";
    DESTROY_KEY = "UPDATE aurora.keys SET state = 'destroyed', wrapped = '', changed_at = $3 \
        WHERE id = $1 AND state = $2";
    DESTROY_KEYS_OF = "UPDATE aurora.keys SET state = 'destroyed', wrapped = '', changed_at = $2 \
        WHERE owner = $1 AND state <> 'destroyed'";
    REWRAP_KEY = "UPDATE aurora.keys SET wrapped = $3 WHERE id = $1 AND wrapped = $2";
    COUNT_SIGNING_KEYS = "SELECT count(*) AS id FROM aurora.signing_keys WHERE substring(sealed FROM 1 FOR \
        length($1::bytea)) IN ($1::bytea, $2::bytea)";
    SEALED_SIGNING_KEYS = "SELECT kid AS id, sealed FROM aurora.signing_keys WHERE substring(sealed FROM 1 FOR \
        length($1::bytea)) IN ($1::bytea, $2::bytea) ORDER BY kid LIMIT $3 OFFSET $4";
    PUT_SIGNING_KEYS = "UPDATE aurora.signing_keys SET sealed = $3 WHERE kid = $1 AND sealed = $2";
    COUNT_FACTORS = "SELECT count(*) AS id FROM auth.mfa_factors WHERE substring(sealed FROM 1 FOR \
        length($1::bytea)) IN ($1::bytea, $2::bytea)";
    SEALED_FACTORS = "SELECT id::text AS id, sealed FROM auth.mfa_factors WHERE substring(sealed FROM 1 FOR \
        length($1::bytea)) IN ($1::bytea, $2::bytea) ORDER BY id LIMIT $3 OFFSET $4";
    PUT_FACTORS = "UPDATE auth.mfa_factors SET sealed = $3 WHERE id = $1::text::uuid AND sealed = $2";
    COUNT_ONE_TIME_TOKENS = "SELECT count(*) AS id FROM auth.one_time_tokens WHERE substring(sealed FROM 1 FOR \
        length($1::bytea)) IN ($1::bytea, $2::bytea)";
    SEALED_ONE_TIME_TOKENS = "SELECT id::text AS id, sealed FROM auth.one_time_tokens WHERE substring(sealed FROM 1 FOR \
        length($1::bytea)) IN ($1::bytea, $2::bytea) ORDER BY id LIMIT $3 OFFSET $4";
    PUT_ONE_TIME_TOKENS = "UPDATE auth.one_time_tokens SET sealed = $3 WHERE id = $1::text::uuid AND sealed = $2";
    COUNT_OUTBOX = "SELECT count(*) AS id FROM aurora.outbox WHERE substring(sealed FROM 1 FOR \
        length($1::bytea)) IN ($1::bytea, $2::bytea)";
    SEALED_OUTBOX = "SELECT id::text AS id, sealed FROM aurora.outbox WHERE substring(sealed FROM 1 FOR \
        length($1::bytea)) IN ($1::bytea, $2::bytea) ORDER BY id LIMIT $3 OFFSET $4";
    PUT_OUTBOX = "UPDATE aurora.outbox SET sealed = $3 WHERE id = $1::text::uuid AND sealed = $2";
    COUNT_PASSWORDS = "SELECT count(*) AS id FROM auth.users WHERE substring(encrypted_password FROM 1 FOR \
        length($1::text)) IN ($1::text, $2::text)";
    SEALED_PASSWORDS = "SELECT id::text AS id, encrypted_password AS sealed FROM auth.users WHERE substring(encrypted_password FROM 1 \
        FOR length($1::text)) IN ($1::text, $2::text) ORDER BY id LIMIT $3 OFFSET $4";
    PUT_PASSWORDS = "UPDATE auth.users SET encrypted_password = $3 \
        WHERE id = $1::text::uuid AND encrypted_password = $2";
    SIGNING_KEYS = "SELECT id, kid, algorithm, sealed, public_jwk::text AS public_jwk, state, created_at, \
        changed_at FROM aurora.signing_keys ORDER BY id";
    INSERT_SIGNING_KEY = "INSERT INTO aurora.signing_keys (id, kid, algorithm, sealed, public_jwk, state, created_at) \
        VALUES ($1, $2, $3, $4, $5::text::json, $6, $7) ON CONFLICT (id) DO NOTHING";
    ROLES = "SELECT r.name, r.rank, r.created_at, coalesce((SELECT json_agg(p.permission) \
        FROM aurora.role_permissions p WHERE p.role = r.name), '[]')::text AS permissions \
        FROM aurora.roles r ORDER BY r.name COLLATE \"C\"";
    ROLES_OF = "SELECT role FROM aurora.user_roles WHERE user_id = $1 ORDER BY role COLLATE \"C\"";
    HOLDERS = "SELECT user_id FROM aurora.user_roles WHERE role = $1 AND ($2::uuid IS NULL OR user_id > $2) \
        ORDER BY user_id LIMIT 1000";
    ROLE_CHANGES = "SELECT sequence, user_id FROM aurora.role_changes WHERE sequence > $1 \
        ORDER BY sequence LIMIT 10000";
    TAKE_ROLES_TURN = "LOCK TABLE aurora.roles IN SHARE ROW EXCLUSIVE MODE";
    INSERT_ROLE = "INSERT INTO aurora.roles (name, rank, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING";
    UPDATE_ROLE = "UPDATE aurora.roles SET rank = $2 WHERE name = $1";
    DELETE_ROLE = "DELETE FROM aurora.roles WHERE name = $1";
    INSERT_ROLE_PERMISSION = "INSERT INTO aurora.role_permissions (role, permission) VALUES ($1, $2)";
    DELETE_ROLE_PERMISSIONS = "DELETE FROM aurora.role_permissions WHERE role = $1";
    GRANT_ROLE = "INSERT INTO aurora.user_roles (user_id, role, granted_by, granted_at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (user_id, role) DO NOTHING";
    REVOKE_ROLE = "DELETE FROM aurora.user_roles WHERE user_id = $1 AND role = $2";
    NOTE_ROLE_CHANGES = "UPDATE aurora.role_changes SET noted_at = $1 WHERE sequence IN (SELECT sequence \
        FROM aurora.role_changes WHERE noted_at IS NULL FOR UPDATE SKIP LOCKED)";
    FORGET_ROLE_CHANGES = "DELETE FROM aurora.role_changes WHERE sequence IN (SELECT sequence \
        FROM aurora.role_changes WHERE noted_at < $1 FOR UPDATE SKIP LOCKED)";
    CHANGE_SIGNING_KEY = "UPDATE aurora.signing_keys SET state = $3, changed_at = $4 WHERE id = $1 AND state = $2";
    WIPE_SIGNING_KEY = "UPDATE aurora.signing_keys SET sealed = '' WHERE id = $1";
    API_KEYS = "SELECT id, kind, name, hint, hash, scopes, created_at, last_used_at, revoked_at FROM aurora.api_keys \
        ORDER BY created_at, id";
    INSERT_API_KEY = "INSERT INTO aurora.api_keys (id, kind, name, hint, hash, scopes, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    REVOKE_API_KEY = "UPDATE aurora.api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    USE_API_KEY = "UPDATE aurora.api_keys SET last_used_at = $2 \
        WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)";
    BLOB = "SELECT id, object, bucket, owner, part, size, key, created_at, doomed_at FROM aurora.blobs WHERE id = $1";
    BLOBS_OF = "SELECT id, object, bucket, owner, part, size, key, created_at, doomed_at FROM aurora.blobs \
        WHERE object = $1 AND doomed_at IS NULL ORDER BY part, id";
    DOOMED_BLOBS = "SELECT id, object, bucket, owner, part, size, key, created_at, doomed_at FROM aurora.blobs \
        WHERE doomed_at <= $1 ORDER BY doomed_at LIMIT $2";
    LIVE_BLOBS = "SELECT id, object, bucket, owner, part, size, key, created_at, doomed_at FROM aurora.blobs \
        WHERE id > $1 AND created_at < $2 AND doomed_at IS NULL ORDER BY id LIMIT $3";
    COUNT_BLOBS_OF_KEY = "SELECT count(*) FROM aurora.blobs WHERE key = $1 AND doomed_at IS NULL";
    BLOBS_OF_KEY = "SELECT id, object, bucket, owner, part, size, key, created_at, doomed_at FROM aurora.blobs \
        WHERE key = $1 AND doomed_at IS NULL ORDER BY id LIMIT $2 OFFSET $3";
    FILE_USAGE = "SELECT bytes, files FROM aurora.file_usage WHERE owner = $1";
    UPLOAD = "SELECT id, owner, bucket, name, length, position, parts, details, created_at, expires_at FROM aurora.uploads \
        WHERE id = $1";
    EXPIRED_UPLOADS = "SELECT id, owner, bucket, name, length, position, parts, details, created_at, expires_at \
        FROM aurora.uploads WHERE expires_at < $1 ORDER BY expires_at LIMIT $2";
    COUNT_BLOB = "INSERT INTO aurora.file_usage AS u (owner, bytes, files) VALUES ($1, $2, 1) ON CONFLICT (owner) DO UPDATE SET \
        bytes = u.bytes + excluded.bytes, files = u.files + 1 RETURNING bytes, files";
    UNCOUNT_BLOB = "UPDATE aurora.file_usage SET bytes = bytes - $2, files = files - 1 WHERE owner = $1";
    INSERT_BLOB = "INSERT INTO aurora.blobs (id, object, bucket, owner, part, size, key, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    DOOM_BLOBS_OF = "UPDATE aurora.blobs SET doomed_at = $3 WHERE object = $1 AND id <> $2 AND doomed_at IS NULL \
        RETURNING id, owner, size";
    DOOM_BLOBS_OF_OWNER = "UPDATE aurora.blobs SET doomed_at = $2 WHERE owner = $1 AND doomed_at IS NULL \
        RETURNING id, owner, size";
    DOOM_BLOB = "UPDATE aurora.blobs SET doomed_at = $2 WHERE id = $1 AND doomed_at IS NULL RETURNING id, owner, size";
    FORGET_BLOB = "DELETE FROM aurora.blobs WHERE id = $1 AND doomed_at IS NOT NULL";
    INSERT_UPLOAD = "INSERT INTO aurora.uploads (id, owner, bucket, name, length, position, parts, details, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    ADVANCE_UPLOAD = "UPDATE aurora.uploads SET position = $3, parts = parts + 1, expires_at = $4 WHERE id = $1 AND position = $2";
    HOLD_USAGE = "INSERT INTO aurora.file_usage AS u (owner, bytes, files) VALUES ($1, 0, 0) \
        ON CONFLICT (owner) DO UPDATE SET bytes = u.bytes";
    COUNT_UPLOADS = "SELECT count(*) AS count FROM aurora.uploads WHERE owner = $1 AND expires_at >= $2";
    DELETE_UPLOAD = "DELETE FROM aurora.uploads WHERE id = $1";
    EXPIRE_UPLOAD = "DELETE FROM aurora.uploads WHERE id = $1 AND expires_at < $2";
    DELETE_UPLOADS_OF = "DELETE FROM aurora.uploads WHERE owner = $1";
    HOLD_USER = "SELECT id FROM auth.users WHERE id = $1 FOR SHARE";
    HOLD_KEY = "SELECT state FROM aurora.keys WHERE id = $1 FOR SHARE";
}
