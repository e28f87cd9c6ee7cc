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
        encrypted_password, raw_app_meta_data::text AS app_metadata, raw_user_meta_data::text AS user_metadata, \
        banned_until, last_sign_in_at, created_at, updated_at FROM auth.users WHERE id = $1";
    USER_BY_EMAIL = "SELECT id, email, email_confirmed_at, email_change, email_change_sent_at, confirmation_sent_at, \
        encrypted_password, raw_app_meta_data::text AS app_metadata, raw_user_meta_data::text AS user_metadata, \
        banned_until, last_sign_in_at, created_at, updated_at FROM auth.users WHERE id = \
        coalesce((SELECT u.id FROM auth.users u WHERE u.email = $1), \
            (SELECT u.id FROM auth.users u ORDER BY u.id LIMIT 1))";
    IDENTITIES = "SELECT id, provider, provider_id, created_at, updated_at, last_sign_in_at FROM auth.identities \
        WHERE user_id = $1 ORDER BY created_at, id";
    LOCK_USER = "SELECT id FROM auth.users WHERE id = $1 FOR NO KEY UPDATE";
    LOCK_USER_BY_EMAIL = "SELECT id FROM auth.users WHERE email = $1 FOR NO KEY UPDATE";
    LOCK_USER_OF_SESSION = "SELECT u.id FROM auth.users u WHERE u.id = \
        (SELECT s.user_id FROM auth.sessions s WHERE s.id = $1) FOR NO KEY UPDATE";
    LOCK_USER_OF_TOKEN = "SELECT u.id FROM auth.users u WHERE u.id = (SELECT s.user_id FROM auth.sessions s \
        JOIN auth.refresh_tokens t ON t.session_id = s.id WHERE t.hash = $1) FOR NO KEY UPDATE";
    INSERT_USER = "INSERT INTO auth.users (id, email, email_confirmed_at, email_change, email_change_sent_at, \
        confirmation_sent_at, encrypted_password, raw_app_meta_data, raw_user_meta_data, banned_until, \
        last_sign_in_at, created_at, updated_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9::text::jsonb, $10, $11, $12, $13) \
        ON CONFLICT (email) DO NOTHING";
    UPDATE_USER_SAME_EMAIL = "UPDATE auth.users SET email_confirmed_at = $3, email_change = $4, \
        email_change_sent_at = $5, confirmation_sent_at = $6, encrypted_password = $7, \
        raw_app_meta_data = $8::text::jsonb, raw_user_meta_data = $9::text::jsonb, banned_until = $10, \
        last_sign_in_at = $11, updated_at = $12 WHERE id = $1 AND email IS NOT DISTINCT FROM $2";
    UPDATE_USER = "UPDATE auth.users SET email = $2, email_confirmed_at = $3, email_change = $4, \
        email_change_sent_at = $5, confirmation_sent_at = $6, encrypted_password = $7, \
        raw_app_meta_data = $8::text::jsonb, raw_user_meta_data = $9::text::jsonb, banned_until = $10, \
        last_sign_in_at = $11, updated_at = $12 WHERE id = $1";
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
    APPEND_AUDIT = "INSERT INTO aurora.audit (id, at, tenant, actor, kind, action, target, request_id, payload, salt, \
        commitment) VALUES ($1::text::uuid, $2, $3, $4, $5, $6, $7, $8, $9::text::json, $10, $11)";
    KEYS = "SELECT id, purpose, wrapped, created_at FROM aurora.keys ORDER BY id";
    INSERT_KEY = "INSERT INTO aurora.keys (id, purpose, wrapped, created_at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (id) DO NOTHING";
    SIGNING_KEYS = "SELECT id, kid, algorithm, sealed, public_jwk::text AS public_jwk, state, created_at \
        FROM aurora.signing_keys ORDER BY id";
    INSERT_SIGNING_KEY = "INSERT INTO aurora.signing_keys (id, kid, algorithm, sealed, public_jwk, state, created_at) \
        VALUES ($1, $2, $3, $4, $5::text::json, $6, $7) ON CONFLICT (id) DO NOTHING";
}
