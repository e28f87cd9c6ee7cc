//! Every statement of the SQLite store. A test prepares them all.

macro_rules! statements {
    ($($name:ident = $text:literal;)+) => {
        $(pub(super) const $name: &str = $text;)+
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $text),)+];
    };
}

statements! {
    USER = "SELECT id, email, email_confirmed_at, new_email, email_change_sent_at, confirmation_sent_at, \
        recovery_sent_at, reauthentication_sent_at, invited_at, password, app_metadata, user_metadata, \
        banned_until, last_sign_in_at, created_at, updated_at, deleted_at, contested_at, is_anonymous, (SELECT json_group_array(json_object('id', i.id, 'provider', i.provider, 'provider_id', i.provider_id, \
            'created_at', i.created_at, 'updated_at', i.updated_at, 'last_sign_in_at', i.last_sign_in_at)) \
            FROM auth_identities i WHERE i.user_id = auth_users.id) AS identities, (SELECT json_group_array(json_object('id', f.id, 'name', f.friendly_name, 'kind', f.factor_type, \
            'verified_at', f.verified_at, 'created_at', f.created_at, 'updated_at', f.updated_at) \
            ORDER BY f.created_at, f.id) FROM auth_mfa_factors f WHERE f.user_id = auth_users.id) AS factors \
        FROM auth_users WHERE id = $1";
    USER_BY_EMAIL = "SELECT id, email, email_confirmed_at, new_email, email_change_sent_at, confirmation_sent_at, \
        recovery_sent_at, reauthentication_sent_at, invited_at, password, app_metadata, user_metadata, \
        banned_until, last_sign_in_at, created_at, updated_at, deleted_at, contested_at, is_anonymous, (SELECT json_group_array(json_object('id', i.id, 'provider', i.provider, 'provider_id', i.provider_id, \
            'created_at', i.created_at, 'updated_at', i.updated_at, 'last_sign_in_at', i.last_sign_in_at)) \
            FROM auth_identities i WHERE i.user_id = auth_users.id) AS identities, (SELECT json_group_array(json_object('id', f.id, 'name', f.friendly_name, 'kind', f.factor_type, \
            'verified_at', f.verified_at, 'created_at', f.created_at, 'updated_at', f.updated_at) \
            ORDER BY f.created_at, f.id) FROM auth_mfa_factors f WHERE f.user_id = auth_users.id) AS factors \
        FROM auth_users WHERE id = coalesce((SELECT u.id FROM auth_users u WHERE u.email = $1), \
            (SELECT u.id FROM auth_users u ORDER BY u.id LIMIT 1))";
    INSERT_USER = "INSERT INTO auth_users (id, email, email_confirmed_at, new_email, email_change_sent_at, \
        confirmation_sent_at, password, app_metadata, user_metadata, banned_until, last_sign_in_at, \
        recovery_sent_at, reauthentication_sent_at, invited_at, deleted_at, contested_at, is_anonymous, updated_at, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) \
        ON CONFLICT (email) DO NOTHING";
    UPDATE_USER = "UPDATE auth_users SET email = $2, email_confirmed_at = $3, new_email = $4, \
        email_change_sent_at = $5, confirmation_sent_at = $6, password = $7, app_metadata = $8, user_metadata = $9, \
        banned_until = $10, last_sign_in_at = $11, recovery_sent_at = $12, reauthentication_sent_at = $13, \
        invited_at = $14, deleted_at = $15, contested_at = $16, is_anonymous = $17, updated_at = $18 WHERE id = $1";
    COUNT_USERS = "SELECT count(*) FROM auth_users";
    USERS = "SELECT id, email, email_confirmed_at, new_email, email_change_sent_at, confirmation_sent_at, \
        recovery_sent_at, reauthentication_sent_at, invited_at, password, app_metadata, user_metadata, \
        banned_until, last_sign_in_at, created_at, updated_at, deleted_at, contested_at, is_anonymous, \
        (SELECT json_group_array(json_object('id', i.id, 'provider', i.provider, 'provider_id', i.provider_id, \
            'created_at', i.created_at, 'updated_at', i.updated_at, 'last_sign_in_at', i.last_sign_in_at)) \
            FROM auth_identities i WHERE i.user_id = auth_users.id) AS identities, (SELECT json_group_array(json_object('id', f.id, 'name', f.friendly_name, 'kind', f.factor_type, \
            'verified_at', f.verified_at, 'created_at', f.created_at, 'updated_at', f.updated_at) \
            ORDER BY f.created_at, f.id) FROM auth_mfa_factors f WHERE f.user_id = auth_users.id) AS factors \
        FROM auth_users ORDER BY created_at, id LIMIT $1 OFFSET $2";
    DELETE_USER = "DELETE FROM auth_users WHERE id = $1";
    PUT_IDENTITY = "INSERT INTO auth_identities (id, user_id, provider, provider_id, created_at, updated_at, \
        last_sign_in_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
        ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, last_sign_in_at = excluded.last_sign_in_at";
    SESSION = "SELECT id, user_id, family, generation, aal, amr, user_agent, address, created_at, authenticated_at, \
        refreshed_at, expires_at FROM auth_sessions WHERE id = $1";
    SESSIONS_OF = "SELECT id, user_id, family, generation, aal, amr, user_agent, address, created_at, \
        authenticated_at, refreshed_at, expires_at FROM auth_sessions WHERE user_id = $1 \
        ORDER BY created_at DESC, id LIMIT 1000";
    REFRESH_TOKEN = "SELECT t.generation AS token_generation, n.used_at AS successor_used_at, s.id, s.user_id, \
        s.family, s.generation, s.aal, s.amr, s.user_agent, s.address, s.created_at, s.authenticated_at, \
        s.refreshed_at, s.expires_at \
        FROM auth_refresh_tokens t JOIN auth_sessions s ON s.id = t.session_id \
        LEFT JOIN auth_refresh_tokens n ON n.session_id = t.session_id AND n.generation = t.generation + 1 \
        WHERE t.hash = $1";
    REVOCATIONS = "SELECT sequence, session_id FROM auth_revocations WHERE sequence > $1 ORDER BY sequence LIMIT 10000";
    INSERT_SESSION = "INSERT INTO auth_sessions (id, user_id, family, generation, aal, amr, user_agent, address, \
        created_at, authenticated_at, refreshed_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    INSERT_TOKEN = "INSERT INTO auth_refresh_tokens (hash, session_id, generation, created_at) \
        VALUES ($1, $2, $3, $4)";
    USE_TOKEN = "UPDATE auth_refresh_tokens SET used_at = $3 WHERE session_id = $1 AND generation = $2";
    FORGET_TOKENS = "DELETE FROM auth_refresh_tokens WHERE session_id = $1 AND used_at < $2";
    ADVANCE_SESSION = "UPDATE auth_sessions SET generation = $2, user_agent = $3, address = $4, refreshed_at = $5 \
        WHERE id = $1 AND generation = $2 - 1";
    END_SESSION = "DELETE FROM auth_sessions WHERE id = $1";
    END_SESSIONS_OF = "DELETE FROM auth_sessions WHERE user_id = $1 AND id IS NOT $2 RETURNING id";
    END_EXPIRED = "DELETE FROM auth_sessions WHERE expires_at < $1 OR refreshed_at < $2 RETURNING id";
    END_EXPIRED_OF = "DELETE FROM auth_sessions WHERE user_id = $1 AND (expires_at < $2 OR refreshed_at < $3) \
        RETURNING id";
    NOTE_REVOCATIONS = "UPDATE auth_revocations SET noted_at = $1 WHERE noted_at IS NULL";
    FORGET_REVOCATIONS = "DELETE FROM auth_revocations WHERE noted_at < $1";
    TOKEN_BY_LINK = "SELECT id, user_id, purpose, address, link_hash, code_hash, exchange_hash, challenge, challenge_method, sealed, \
        tries, created_at, expires_at FROM auth_one_time_tokens WHERE link_hash = $1";
    TOKEN_BY_CODE = "SELECT id, user_id, purpose, address, link_hash, code_hash, exchange_hash, challenge, challenge_method, sealed, \
        tries, created_at, expires_at FROM auth_one_time_tokens WHERE code_hash = $1 \
        ORDER BY created_at DESC LIMIT 1";
    TOKEN_BY_EXCHANGE = "SELECT id, user_id, purpose, address, link_hash, code_hash, exchange_hash, challenge, challenge_method, sealed, \
        tries, created_at, expires_at FROM auth_one_time_tokens WHERE exchange_hash = $1";
    TOKENS_OF = "SELECT id, user_id, purpose, address, link_hash, code_hash, exchange_hash, challenge, challenge_method, sealed, \
        tries, created_at, expires_at FROM auth_one_time_tokens WHERE user_id = $1 \
        AND purpose NOT IN ('spent', 'spent_nonce') ORDER BY created_at DESC, id";
    INSERT_ONE_TIME_TOKEN = "INSERT INTO auth_one_time_tokens (id, user_id, purpose, address, link_hash, code_hash, exchange_hash, challenge, challenge_method, sealed, \
        tries, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    SPEND_TOKENS_OF = "UPDATE auth_one_time_tokens SET code_hash = link_hash, exchange_hash = NULL, challenge = NULL, \
        challenge_method = NULL, sealed = NULL, \
        purpose = CASE purpose WHEN 'reauthentication' THEN 'spent_nonce' ELSE 'spent' END \
        WHERE user_id = $1 AND ($2 IS NULL OR purpose = $2) AND tries > 0 AND purpose NOT IN ('spent', 'spent_nonce')";
    DELETE_TOKENS_OF = "DELETE FROM auth_one_time_tokens WHERE user_id = $1 AND ($2 IS NULL OR purpose = $2) \
        AND purpose NOT IN ('spent', 'spent_nonce')";
    FORGET_TRIES_OF = "DELETE FROM auth_one_time_tokens WHERE user_id = $1";
    DELETE_ONE_TIME_TOKEN = "DELETE FROM auth_one_time_tokens WHERE id = $1";
    COUNT_TRY = "UPDATE auth_one_time_tokens SET tries = tries + 1 \
        WHERE address = $1 AND (purpose IN ('reauthentication', 'spent_nonce')) = $2";
    TRIES_AT = "SELECT coalesce(max(tries), 0) FROM auth_one_time_tokens \
        WHERE address = $1 AND (purpose IN ('reauthentication', 'spent_nonce')) = $2 AND expires_at > $3";
    NEWEST_TOKEN_AT = "SELECT max(created_at) FROM auth_one_time_tokens WHERE address = $1 AND purpose IN ($2, $3)";
    UNCONFIRMED = "SELECT id, confirmation_sent_at AS since FROM auth_users WHERE email_confirmed_at IS NULL \
        AND confirmation_sent_at < $1 AND (confirmation_sent_at, id) > ($2, $3) AND last_sign_in_at IS NULL \
        AND invited_at IS NULL AND deleted_at IS NULL AND is_anonymous = 0 \
        ORDER BY confirmation_sent_at, id LIMIT $4";
    ANONYMOUS = "SELECT id, created_at AS since FROM auth_users WHERE is_anonymous = 1 AND created_at < $1 \
        AND (created_at, id) > ($2, $3) AND email IS NULL AND deleted_at IS NULL \
        AND NOT EXISTS (SELECT 1 FROM auth_sessions s WHERE s.user_id = auth_users.id) \
        ORDER BY created_at, id LIMIT $4";
    FORGET_ONE_TIME_TOKENS = "DELETE FROM auth_one_time_tokens WHERE expires_at < $1";
    FACTOR = "SELECT id, user_id, friendly_name, factor_type, sealed, last_step, failures, failed_at, verified_at, \
        created_at, updated_at FROM auth_mfa_factors WHERE id = $1";
    INSERT_FACTOR = "INSERT INTO auth_mfa_factors (id, user_id, friendly_name, factor_type, sealed, last_step, \
        failures, failed_at, verified_at, created_at, updated_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (user_id, friendly_name) DO NOTHING";
    UPDATE_FACTOR = "UPDATE auth_mfa_factors SET last_step = $2, failures = $3, failed_at = $4, verified_at = $5, \
        updated_at = $6 WHERE id = $1 AND ($3 > 0 OR last_step < $2)";
    DELETE_FACTOR = "DELETE FROM auth_mfa_factors WHERE id = $1";
    DELETE_FACTORS_OF = "DELETE FROM auth_mfa_factors WHERE user_id = $1";
    FACTOR_CHALLENGE = "SELECT id, factor_id, address, created_at, expires_at FROM auth_mfa_challenges WHERE id = $1";
    INSERT_CHALLENGE = "INSERT INTO auth_mfa_challenges (id, factor_id, address, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5)";
    DELETE_CHALLENGE = "DELETE FROM auth_mfa_challenges WHERE id = $1";
    FORGET_CHALLENGES = "DELETE FROM auth_mfa_challenges WHERE expires_at < $1";
    RECOVERY_CODES = "SELECT count(*) FROM auth_mfa_recovery_codes WHERE user_id = $1";
    INSERT_RECOVERY_CODE = "INSERT INTO auth_mfa_recovery_codes (user_id, hash, created_at) VALUES ($1, $2, $3)";
    DELETE_RECOVERY_CODES_OF = "DELETE FROM auth_mfa_recovery_codes WHERE user_id = $1";
    USE_RECOVERY_CODE = "DELETE FROM auth_mfa_recovery_codes WHERE user_id = $1 AND hash = $2";
    REWRITE_SESSION = "UPDATE auth_sessions SET family = $2, generation = $3, aal = $4, amr = $5, \
        authenticated_at = $6, refreshed_at = $7 WHERE id = $1";
    FORGET_TOKENS_OF_SESSION = "DELETE FROM auth_refresh_tokens WHERE session_id = $1";
    OUTBOX = "SELECT count(*) AS waiting, min(created_at) AS oldest FROM aurora_outbox";
    INSERT_MAIL = "INSERT INTO aurora_outbox (id, sealed, tries, next_at, created_at) VALUES ($1, $2, $3, $4, $5)";
    TAKE_MAILS = "UPDATE aurora_outbox SET tries = tries + 1, next_at = $2 WHERE id IN \
        (SELECT id FROM aurora_outbox WHERE next_at <= $1 ORDER BY next_at, created_at LIMIT $3) \
        RETURNING id, sealed, tries, next_at, created_at";
    DELETE_MAIL = "DELETE FROM aurora_outbox WHERE id = $1";
    PUT_OFF_MAIL = "UPDATE aurora_outbox SET next_at = $2 WHERE id = $1";
    TAKE_SLOT = "INSERT INTO aurora_slots (name, holder, until) VALUES ($1, $2, $4) \
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until \
        WHERE aurora_slots.holder = excluded.holder OR aurora_slots.until <= $3";
    FREE_SLOT = "DELETE FROM aurora_slots WHERE name = $1 AND holder = $2";
    APPEND_AUDIT = "INSERT INTO aurora_audit (id, at, tenant, actor, kind, action, target, request_id, payload, salt, \
        commitment) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    KEYS_OF = "SELECT id, purpose, owner, state, wrapped, created_at, changed_at FROM aurora_keys \
        WHERE owner = $1 ORDER BY id";
    KEY = "SELECT id, purpose, owner, state, wrapped, created_at, changed_at FROM aurora_keys WHERE id = $1";
    KEYS_UNSETTLED = "SELECT id, purpose, owner, state, wrapped, created_at, changed_at FROM aurora_keys \
        WHERE state IN ('pending', 'decrypt-only') AND id > $1 ORDER BY id LIMIT 1000";
    NEWEST_KEY = "SELECT coalesce(max(id), 0) AS id FROM aurora_keys";
    KEYS_AFTER = "SELECT id, purpose, owner, state, wrapped, created_at, changed_at FROM aurora_keys \
        WHERE id > $1 ORDER BY id LIMIT 1000";
    INSERT_KEY = "INSERT INTO aurora_keys (id, purpose, owner, state, wrapped, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    CHANGE_KEY = "UPDATE aurora_keys SET state = $3, changed_at = $4 WHERE id = $1 AND state = $2";
    DESTROY_KEY = "UPDATE aurora_keys SET state = 'destroyed', wrapped = x'', changed_at = $3 \
        WHERE id = $1 AND state = $2";
    DESTROY_KEYS_OF = "UPDATE aurora_keys SET state = 'destroyed', wrapped = x'', changed_at = $2 \
        WHERE owner = $1 AND state <> 'destroyed'";
    REWRAP_KEY = "UPDATE aurora_keys SET wrapped = $3 WHERE id = $1 AND wrapped = $2";
    COUNT_SIGNING_KEYS = "SELECT count(*) AS id FROM aurora_signing_keys WHERE substr(sealed, 1, length($1)) IN ($1, $2)";
    SEALED_SIGNING_KEYS = "SELECT kid AS id, sealed FROM aurora_signing_keys WHERE substr(sealed, 1, \
        length($1)) IN ($1, $2) ORDER BY kid LIMIT $3 OFFSET $4";
    PUT_SIGNING_KEYS = "UPDATE aurora_signing_keys SET sealed = $3 WHERE kid = $1 AND sealed = $2";
    COUNT_FACTORS = "SELECT count(*) AS id FROM auth_mfa_factors WHERE substr(sealed, 1, length($1)) IN ($1, $2)";
    SEALED_FACTORS = "SELECT id AS id, sealed FROM auth_mfa_factors WHERE substr(sealed, 1, \
        length($1)) IN ($1, $2) ORDER BY id LIMIT $3 OFFSET $4";
    PUT_FACTORS = "UPDATE auth_mfa_factors SET sealed = $3 WHERE id = $1 AND sealed = $2";
    COUNT_ONE_TIME_TOKENS = "SELECT count(*) AS id FROM auth_one_time_tokens WHERE substr(sealed, 1, \
        length($1)) IN ($1, $2)";
    SEALED_ONE_TIME_TOKENS = "SELECT id AS id, sealed FROM auth_one_time_tokens WHERE substr(sealed, 1, \
        length($1)) IN ($1, $2) ORDER BY id LIMIT $3 OFFSET $4";
    PUT_ONE_TIME_TOKENS = "UPDATE auth_one_time_tokens SET sealed = $3 WHERE id = $1 AND sealed = $2";
    COUNT_OUTBOX = "SELECT count(*) AS id FROM aurora_outbox WHERE substr(sealed, 1, length($1)) IN ($1, $2)";
    SEALED_OUTBOX = "SELECT id AS id, sealed FROM aurora_outbox WHERE substr(sealed, 1, \
        length($1)) IN ($1, $2) ORDER BY id LIMIT $3 OFFSET $4";
    PUT_OUTBOX = "UPDATE aurora_outbox SET sealed = $3 WHERE id = $1 AND sealed = $2";
    COUNT_PASSWORDS = "SELECT count(*) AS id FROM auth_users WHERE substr(password, 1, length($1)) IN ($1, $2)";
    SEALED_PASSWORDS = "SELECT id, password AS sealed FROM auth_users WHERE substr(password, 1, \
        length($1)) IN ($1, $2) ORDER BY id LIMIT $3 OFFSET $4";
    PUT_PASSWORDS = "UPDATE auth_users SET password = $3 WHERE id = $1 AND password = $2";
    SIGNING_KEYS = "SELECT id, kid, algorithm, sealed, public_jwk, state, created_at, changed_at \
        FROM aurora_signing_keys ORDER BY id";
    INSERT_SIGNING_KEY = "INSERT INTO aurora_signing_keys (id, kid, algorithm, sealed, public_jwk, state, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING";
    ROLES = "SELECT r.name, r.rank, r.created_at, (SELECT json_group_array(p.permission) \
        FROM aurora_role_permissions p WHERE p.role = r.name) AS permissions FROM aurora_roles r ORDER BY r.name";
    ROLES_OF = "SELECT role FROM aurora_user_roles WHERE user_id = $1 ORDER BY role";
    HOLDERS = "SELECT user_id FROM aurora_user_roles WHERE role = $1 AND user_id > $2 ORDER BY user_id LIMIT 1000";
    ROLE_CHANGES = "SELECT sequence, user_id FROM aurora_role_changes WHERE sequence > $1 \
        ORDER BY sequence LIMIT 10000";
    INSERT_ROLE = "INSERT INTO aurora_roles (name, rank, created_at) VALUES ($1, $2, $3)";
    UPDATE_ROLE = "UPDATE aurora_roles SET rank = $2 WHERE name = $1";
    DELETE_ROLE = "DELETE FROM aurora_roles WHERE name = $1";
    INSERT_ROLE_PERMISSION = "INSERT INTO aurora_role_permissions (role, permission) VALUES ($1, $2)";
    DELETE_ROLE_PERMISSIONS = "DELETE FROM aurora_role_permissions WHERE role = $1";
    GRANT_ROLE = "INSERT INTO aurora_user_roles (user_id, role, granted_by, granted_at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (user_id, role) DO NOTHING";
    REVOKE_ROLE = "DELETE FROM aurora_user_roles WHERE user_id = $1 AND role = $2";
    NOTE_ROLE_CHANGES = "UPDATE aurora_role_changes SET noted_at = $1 WHERE noted_at IS NULL";
    FORGET_ROLE_CHANGES = "DELETE FROM aurora_role_changes WHERE noted_at < $1";
    CHANGE_SIGNING_KEY = "UPDATE aurora_signing_keys SET state = $3, changed_at = $4 WHERE id = $1 AND state = $2";
    WIPE_SIGNING_KEY = "UPDATE aurora_signing_keys SET sealed = x'' WHERE id = $1";
    API_KEYS = "SELECT id, kind, name, hint, hash, scopes, created_at, last_used_at, revoked_at FROM aurora_api_keys \
        ORDER BY created_at, id";
    INSERT_API_KEY = "INSERT INTO aurora_api_keys (id, kind, name, hint, hash, scopes, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    REVOKE_API_KEY = "UPDATE aurora_api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    USE_API_KEY = "UPDATE aurora_api_keys SET last_used_at = $2 \
        WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)";
    BLOB = "SELECT id, object, bucket, owner, part, size, key, created_at, doomed_at FROM aurora_blobs WHERE id = $1";
    BLOBS_OF = "SELECT id, object, bucket, owner, part, size, key, created_at, doomed_at FROM aurora_blobs \
        WHERE object = $1 AND doomed_at IS NULL ORDER BY part, id";
    DOOMED_BLOBS = "SELECT id, object, bucket, owner, part, size, key, created_at, doomed_at FROM aurora_blobs \
        WHERE doomed_at <= $1 ORDER BY doomed_at LIMIT $2";
    LIVE_BLOBS = "SELECT id, object, bucket, owner, part, size, key, created_at, doomed_at FROM aurora_blobs \
        WHERE id > $1 AND created_at < $2 AND doomed_at IS NULL ORDER BY id LIMIT $3";
    COUNT_BLOBS_OF_KEY = "SELECT count(*) FROM aurora_blobs WHERE key = $1 AND doomed_at IS NULL";
    BLOBS_OF_KEY = "SELECT id, object, bucket, owner, part, size, key, created_at, doomed_at FROM aurora_blobs \
        WHERE key = $1 AND doomed_at IS NULL ORDER BY id LIMIT $2 OFFSET $3";
    FILE_USAGE = "SELECT bytes, files FROM aurora_file_usage WHERE owner = $1";
    UPLOAD = "SELECT id, owner, bucket, name, length, position, parts, details, created_at, expires_at FROM aurora_uploads \
        WHERE id = $1";
    EXPIRED_UPLOADS = "SELECT id, owner, bucket, name, length, position, parts, details, created_at, expires_at \
        FROM aurora_uploads WHERE expires_at < $1 ORDER BY expires_at LIMIT $2";
    COUNT_BLOB = "INSERT INTO aurora_file_usage AS u (owner, bytes, files) VALUES ($1, $2, 1) ON CONFLICT (owner) DO UPDATE SET \
        bytes = u.bytes + excluded.bytes, files = u.files + 1 RETURNING bytes, files";
    UNCOUNT_BLOB = "UPDATE aurora_file_usage SET bytes = bytes - $2, files = files - 1 WHERE owner = $1";
    INSERT_BLOB = "INSERT INTO aurora_blobs (id, object, bucket, owner, part, size, key, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    DOOM_BLOBS_OF = "UPDATE aurora_blobs SET doomed_at = $3 WHERE object = $1 AND id <> $2 AND doomed_at IS NULL \
        RETURNING id, owner, size";
    DOOM_BLOBS_OF_OWNER = "UPDATE aurora_blobs SET doomed_at = $2 WHERE owner = $1 AND doomed_at IS NULL \
        RETURNING id, owner, size";
    DOOM_BLOB = "UPDATE aurora_blobs SET doomed_at = $2 WHERE id = $1 AND doomed_at IS NULL RETURNING id, owner, size";
    FORGET_BLOB = "DELETE FROM aurora_blobs WHERE id = $1 AND doomed_at IS NOT NULL";
    INSERT_UPLOAD = "INSERT INTO aurora_uploads (id, owner, bucket, name, length, position, parts, details, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    ADVANCE_UPLOAD = "UPDATE aurora_uploads SET position = $3, parts = parts + 1, expires_at = $4 WHERE id = $1 AND position = $2";
    COUNT_UPLOADS = "SELECT count(*) FROM aurora_uploads WHERE owner = $1 AND expires_at >= $2";
    DELETE_UPLOAD = "DELETE FROM aurora_uploads WHERE id = $1";
    EXPIRE_UPLOAD = "DELETE FROM aurora_uploads WHERE id = $1 AND expires_at < $2";
    DELETE_UPLOADS_OF = "DELETE FROM aurora_uploads WHERE owner = $1";
    HOLD_USER = "SELECT id FROM auth_users WHERE id = $1";
    HOLD_KEY = "SELECT state FROM aurora_keys WHERE id = $1";
    CREATE_MIGRATIONS = "CREATE TABLE IF NOT EXISTS aurora_migrations (version INTEGER NOT NULL PRIMARY KEY, \
        applied_at INTEGER NOT NULL) STRICT";
    NEWEST_MIGRATION = "SELECT coalesce(max(version), 0) FROM aurora_migrations";
    RECORD_MIGRATION = "INSERT INTO aurora_migrations (version, applied_at) VALUES ($1, $2)";
}
