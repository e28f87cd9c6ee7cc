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
            FROM auth_identities i WHERE i.user_id = auth_users.id) AS identities \
        FROM auth_users WHERE id = $1";
    USER_BY_EMAIL = "SELECT id, email, email_confirmed_at, new_email, email_change_sent_at, confirmation_sent_at, \
        recovery_sent_at, reauthentication_sent_at, invited_at, password, app_metadata, user_metadata, \
        banned_until, last_sign_in_at, created_at, updated_at, deleted_at, contested_at, is_anonymous, (SELECT json_group_array(json_object('id', i.id, 'provider', i.provider, 'provider_id', i.provider_id, \
            'created_at', i.created_at, 'updated_at', i.updated_at, 'last_sign_in_at', i.last_sign_in_at)) \
            FROM auth_identities i WHERE i.user_id = auth_users.id) AS identities \
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
            FROM auth_identities i WHERE i.user_id = auth_users.id) AS identities \
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
        tries, created_at, expires_at FROM auth_one_time_tokens WHERE user_id = $1 ORDER BY created_at DESC, id";
    INSERT_ONE_TIME_TOKEN = "INSERT INTO auth_one_time_tokens (id, user_id, purpose, address, link_hash, code_hash, exchange_hash, challenge, challenge_method, sealed, \
        tries, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    DELETE_TOKENS_OF = "DELETE FROM auth_one_time_tokens WHERE user_id = $1 AND ($2 IS NULL OR purpose = $2)";
    DELETE_ONE_TIME_TOKEN = "DELETE FROM auth_one_time_tokens WHERE id = $1";
    COUNT_TRY = "UPDATE auth_one_time_tokens SET tries = tries + 1 \
        WHERE address = $1 AND (purpose = 'reauthentication') = $2";
    TRIES_AT = "SELECT coalesce(max(tries), 0) FROM auth_one_time_tokens \
        WHERE address = $1 AND (purpose = 'reauthentication') = $2 AND expires_at > $3";
    FORGET_ONE_TIME_TOKENS = "DELETE FROM auth_one_time_tokens WHERE expires_at < $1";
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
    KEYS = "SELECT id, purpose, wrapped, created_at FROM aurora_keys ORDER BY id";
    INSERT_KEY = "INSERT INTO aurora_keys (id, purpose, wrapped, created_at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (id) DO NOTHING";
    SIGNING_KEYS = "SELECT id, kid, algorithm, sealed, public_jwk, state, created_at, changed_at \
        FROM aurora_signing_keys ORDER BY id";
    INSERT_SIGNING_KEY = "INSERT INTO aurora_signing_keys (id, kid, algorithm, sealed, public_jwk, state, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING";
    CHANGE_SIGNING_KEY = "UPDATE aurora_signing_keys SET state = $3, changed_at = $4 WHERE id = $1 AND state = $2";
    WIPE_SIGNING_KEY = "UPDATE aurora_signing_keys SET sealed = x'' WHERE id = $1";
    API_KEYS = "SELECT id, kind, name, hint, hash, scopes, created_at, last_used_at, revoked_at FROM aurora_api_keys \
        ORDER BY created_at, id";
    INSERT_API_KEY = "INSERT INTO aurora_api_keys (id, kind, name, hint, hash, scopes, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    REVOKE_API_KEY = "UPDATE aurora_api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    USE_API_KEY = "UPDATE aurora_api_keys SET last_used_at = $2 \
        WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)";
    CREATE_MIGRATIONS = "CREATE TABLE IF NOT EXISTS aurora_migrations (version INTEGER NOT NULL PRIMARY KEY, \
        applied_at INTEGER NOT NULL) STRICT";
    NEWEST_MIGRATION = "SELECT coalesce(max(version), 0) FROM aurora_migrations";
    RECORD_MIGRATION = "INSERT INTO aurora_migrations (version, applied_at) VALUES ($1, $2)";
}
