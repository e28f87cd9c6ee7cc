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
        banned_until, last_sign_in_at, created_at, updated_at, deleted_at, contested_at, is_anonymous FROM auth.users WHERE id = $1";
    USER_BY_EMAIL = "SELECT id, email, email_confirmed_at, email_change, email_change_sent_at, confirmation_sent_at, \
        recovery_sent_at, reauthentication_sent_at, invited_at, encrypted_password, \
        raw_app_meta_data::text AS app_metadata, raw_user_meta_data::text AS user_metadata, \
        banned_until, last_sign_in_at, created_at, updated_at, deleted_at, contested_at, is_anonymous FROM auth.users WHERE id = \
        coalesce((SELECT u.id FROM auth.users u WHERE u.email = $1), \
            (SELECT u.id FROM auth.users u ORDER BY u.id LIMIT 1))";
    COUNT_USERS = "SELECT count(*) FROM auth.users";
    USERS = "SELECT id, email, email_confirmed_at, email_change, email_change_sent_at, confirmation_sent_at, \
        recovery_sent_at, reauthentication_sent_at, invited_at, encrypted_password, \
        raw_app_meta_data::text AS app_metadata, raw_user_meta_data::text AS user_metadata, \
        banned_until, last_sign_in_at, created_at, updated_at, deleted_at, contested_at, is_anonymous FROM auth.users \
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
    USE_TOKEN = "UPDATE auth.refresh_tokens SET used_at = $3 WHERE session_id = $1 AND generation = $2";
    FORGET_TOKENS = "DELETE FROM auth.refresh_tokens WHERE session_id = $1 AND used_at < $2";
    ADVANCE_SESSION = "UPDATE auth.sessions SET generation = $2, user_agent = $3, ip = $4, refreshed_at = $5 \
        WHERE id = $1 AND generation = $2 - 1";
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
        tries, created_at, expires_at FROM auth.one_time_tokens WHERE user_id = $1 ORDER BY created_at DESC, id";
    INSERT_ONE_TIME_TOKEN = "INSERT INTO auth.one_time_tokens (id, user_id, purpose, address, link_hash, code_hash, exchange_hash, challenge, challenge_method, sealed, \
        tries, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    DELETE_TOKENS_OF = "DELETE FROM auth.one_time_tokens WHERE user_id = $1 AND ($2::text IS NULL OR purpose = $2)";
    DELETE_ONE_TIME_TOKEN = "DELETE FROM auth.one_time_tokens WHERE id = $1";
    LOCK_USERS_AT = "SELECT u.id FROM auth.users u WHERE u.id IN (SELECT t.user_id FROM auth.one_time_tokens t \
        WHERE t.address = $1) ORDER BY u.id FOR NO KEY UPDATE";
    COUNT_TRY = "UPDATE auth.one_time_tokens SET tries = tries + 1 \
        WHERE address = $1 AND (purpose = 'reauthentication') = $2";
    TRIES_AT = "SELECT coalesce(max(tries), 0) AS tries FROM auth.one_time_tokens \
        WHERE address = $1 AND (purpose = 'reauthentication') = $2 AND expires_at > $3";
    LOCK_USER_OF_CODE = "SELECT u.id FROM auth.users u WHERE u.id = (SELECT t.user_id \
        FROM auth.one_time_tokens t WHERE t.code_hash = $1 ORDER BY t.created_at DESC LIMIT 1) FOR NO KEY UPDATE";
    FORGET_ONE_TIME_TOKENS = "DELETE FROM auth.one_time_tokens WHERE id IN (SELECT id FROM auth.one_time_tokens \
        WHERE expires_at < $1 FOR UPDATE SKIP LOCKED)";
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
    KEYS = "SELECT id, purpose, wrapped, created_at FROM aurora.keys ORDER BY id";
    INSERT_KEY = "INSERT INTO aurora.keys (id, purpose, wrapped, created_at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (id) DO NOTHING";
    SIGNING_KEYS = "SELECT id, kid, algorithm, sealed, public_jwk::text AS public_jwk, state, created_at \
        FROM aurora.signing_keys ORDER BY id";
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
    NOTE_ROLE_CHANGES = "UPDATE aurora.role_changes SET noted_at = $1 WHERE noted_at IS NULL";
    FORGET_ROLE_CHANGES = "DELETE FROM aurora.role_changes WHERE noted_at < $1";
}
