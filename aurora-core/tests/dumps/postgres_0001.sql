-- A database of Aurora's schema 1 with two users, for tests: its key is no secret.
-- root key: aurora-key-1:9dGnKIB56JD0983JFaSSAzfgfvs1oas4rwmEcYyH7Fw:sq3LZY0T
-- refresh token: art_6iwJNqdnUMuRXVoVxuBOMpuExYe5jFwsWPLSJnMp1gk
--
-- PostgreSQL database dump
--

\restrict X0m4XswuDDq2lXDym2T7N2t8U9JchuZmcaaqe8PQP31afOn6WVU5hyPoxDHoJEn

-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)
-- Dumped by pg_dump version 15.20 (Debian 15.20-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: aurora; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA aurora;


--
-- Name: auth; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA auth;


--
-- Name: admit_identity(integer, bytea, bytea); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.admit_identity(wanted integer, inner_bytes bytea, outer_bytes bytea) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM aurora.identity_keys) THEN
        LOCK TABLE aurora.identity_keys IN SHARE ROW EXCLUSIVE MODE;
        IF NOT EXISTS (SELECT FROM aurora.identity_keys) THEN
            INSERT INTO aurora.identity_keys (generation, inner_block, outer_block)
                VALUES (wanted, inner_bytes, outer_bytes);
        END IF;
    END IF;
    RETURN EXISTS (SELECT FROM aurora.identity_keys
        WHERE generation = wanted AND inner_block = inner_bytes AND outer_block = outer_bytes);
END
$$;


--
-- Name: claims(); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.claims() RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    AS $$
BEGIN
    RETURN (SELECT i.claims FROM aurora.identity i);
END
$$;


--
-- Name: bound(); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.bound() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN (aurora.claims() IS NOT NULL);


--
-- Name: bound_as_anon(); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.bound_as_anon() RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    AS $$
BEGIN
    RETURN (SELECT i.bound FROM aurora.as_anon i);
END
$$;


--
-- Name: bound_as_authenticated(); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.bound_as_authenticated() RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    AS $$
BEGIN
    RETURN (SELECT i.bound FROM aurora.as_authenticated i);
END
$$;


--
-- Name: identity_generation(); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.identity_generation() RETURNS integer
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ SELECT coalesce(max(generation), 1) FROM aurora.identity_keys $$;


--
-- Name: refused(); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.refused() RETURNS text
    LANGUAGE plpgsql PARALLEL SAFE
    AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'this transaction is bound to nobody';
END
$$;


--
-- Name: session_ended(); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.session_ended() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    LOCK TABLE aurora.commit_order IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO auth.revocations (session_id, noted_at)
        VALUES (OLD.id, NULLIF(current_setting('aurora.now', true), '')::timestamptz);
    PERFORM pg_notify('aurora_revocations', '');
    RETURN NULL;
END
$$;


--
-- Name: uid(); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.uid() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN (NULLIF((aurora.claims() ->> 'sub'::text), ''::text))::uuid;


--
-- Name: unkeyed(); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.unkeyed() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ SELECT NOT EXISTS (SELECT FROM aurora.identity_keys) $$;


--
-- Name: user_banned(); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.user_banned() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    DELETE FROM auth.sessions WHERE user_id = NEW.id;
    RETURN NULL;
END
$$;


--
-- Name: email(); Type: FUNCTION; Schema: auth; Owner: -
--

CREATE FUNCTION auth.email() RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN (aurora.claims() ->> 'email'::text);


--
-- Name: jwt(); Type: FUNCTION; Schema: auth; Owner: -
--

CREATE FUNCTION auth.jwt() RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN aurora.claims();


--
-- Name: role(); Type: FUNCTION; Schema: auth; Owner: -
--

CREATE FUNCTION auth.role() RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN (aurora.claims() ->> 'role'::text);


--
-- Name: uid(); Type: FUNCTION; Schema: auth; Owner: -
--

CREATE FUNCTION auth.uid() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN aurora.uid();


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: identity_keys; Type: TABLE; Schema: aurora; Owner: -
--

CREATE TABLE aurora.identity_keys (
    generation integer NOT NULL,
    inner_block bytea NOT NULL,
    outer_block bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT identity_keys_generation_check CHECK ((generation > 0)),
    CONSTRAINT identity_keys_inner_block_check CHECK ((length(inner_block) = 64)),
    CONSTRAINT identity_keys_outer_block_check CHECK ((length(outer_block) = 64))
);


--
-- Name: as_anon; Type: VIEW; Schema: aurora; Owner: -
--

CREATE VIEW aurora.as_anon AS
 SELECT i.claims,
    (NULLIF((i.claims ->> 'sub'::text), ''::text))::uuid AS uid,
    (i.claims IS NOT NULL) AS bound
   FROM ( SELECT (COALESCE(( SELECT current_setting('request.jwt.claims'::text, true) AS current_setting
                   FROM aurora.identity_keys k
                  WHERE (encode(sha256((k.outer_block || sha256((((k.inner_block || timestamptz_send(transaction_timestamp())) || int4send(pg_backend_pid())) || convert_to(('anon|'::text || current_setting('request.jwt.claims'::text, true)), 'UTF8'::name))))), 'hex'::text) = current_setting('aurora.mac'::text, true))), aurora.refused()))::jsonb AS claims) i;


--
-- Name: as_aurora_service; Type: VIEW; Schema: aurora; Owner: -
--

CREATE VIEW aurora.as_aurora_service AS
 SELECT i.claims,
    (NULLIF((i.claims ->> 'sub'::text), ''::text))::uuid AS uid,
    (i.claims IS NOT NULL) AS bound
   FROM ( SELECT (COALESCE(( SELECT current_setting('request.jwt.claims'::text, true) AS current_setting
                   FROM aurora.identity_keys k
                  WHERE (encode(sha256((k.outer_block || sha256((((k.inner_block || timestamptz_send(transaction_timestamp())) || int4send(pg_backend_pid())) || convert_to(('aurora_service|'::text || current_setting('request.jwt.claims'::text, true)), 'UTF8'::name))))), 'hex'::text) = current_setting('aurora.mac'::text, true))), aurora.refused()))::jsonb AS claims) i;


--
-- Name: as_aurora_store; Type: VIEW; Schema: aurora; Owner: -
--

CREATE VIEW aurora.as_aurora_store AS
 SELECT i.claims,
    (NULLIF((i.claims ->> 'sub'::text), ''::text))::uuid AS uid,
    (i.claims IS NOT NULL) AS bound
   FROM ( SELECT (COALESCE(( SELECT current_setting('request.jwt.claims'::text, true) AS current_setting
                   FROM aurora.identity_keys k
                  WHERE (encode(sha256((k.outer_block || sha256((((k.inner_block || timestamptz_send(transaction_timestamp())) || int4send(pg_backend_pid())) || convert_to(('aurora_store|'::text || current_setting('request.jwt.claims'::text, true)), 'UTF8'::name))))), 'hex'::text) = current_setting('aurora.mac'::text, true))), aurora.refused()))::jsonb AS claims) i;


--
-- Name: as_authenticated; Type: VIEW; Schema: aurora; Owner: -
--

CREATE VIEW aurora.as_authenticated AS
 SELECT i.claims,
    (NULLIF((i.claims ->> 'sub'::text), ''::text))::uuid AS uid,
    (i.claims IS NOT NULL) AS bound
   FROM ( SELECT (COALESCE(( SELECT current_setting('request.jwt.claims'::text, true) AS current_setting
                   FROM aurora.identity_keys k
                  WHERE (encode(sha256((k.outer_block || sha256((((k.inner_block || timestamptz_send(transaction_timestamp())) || int4send(pg_backend_pid())) || convert_to(('authenticated|'::text || current_setting('request.jwt.claims'::text, true)), 'UTF8'::name))))), 'hex'::text) = current_setting('aurora.mac'::text, true))), aurora.refused()))::jsonb AS claims) i;


--
-- Name: audit; Type: TABLE; Schema: aurora; Owner: -
--

CREATE TABLE aurora.audit (
    id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    tenant text,
    actor text NOT NULL,
    kind text NOT NULL,
    action text NOT NULL,
    target text,
    request_id text,
    payload json NOT NULL,
    salt bytea NOT NULL,
    commitment bytea NOT NULL,
    sequence bigint,
    CONSTRAINT audit_commitment_check CHECK ((length(commitment) = 32)),
    CONSTRAINT audit_kind_check CHECK ((kind = ANY (ARRAY['security'::text, 'data'::text, 'access'::text]))),
    CONSTRAINT audit_salt_check CHECK ((length(salt) = 32))
);


--
-- Name: commit_order; Type: TABLE; Schema: aurora; Owner: -
--

CREATE TABLE aurora.commit_order (
);


--
-- Name: identity; Type: VIEW; Schema: aurora; Owner: -
--

CREATE VIEW aurora.identity AS
 SELECT i.claims,
    (NULLIF((i.claims ->> 'sub'::text), ''::text))::uuid AS uid,
    (i.claims IS NOT NULL) AS bound
   FROM ( SELECT (COALESCE(( SELECT current_setting('request.jwt.claims'::text, true) AS current_setting
                   FROM aurora.identity_keys k
                  WHERE (encode(sha256((k.outer_block || sha256((((k.inner_block || timestamptz_send(transaction_timestamp())) || int4send(pg_backend_pid())) || convert_to(((current_setting('role'::text) || '|'::text) || current_setting('request.jwt.claims'::text, true)), 'UTF8'::name))))), 'hex'::text) = current_setting('aurora.mac'::text, true))), aurora.refused()))::jsonb AS claims) i;


--
-- Name: keys; Type: TABLE; Schema: aurora; Owner: -
--

CREATE TABLE aurora.keys (
    id bigint NOT NULL,
    purpose text NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamp with time zone NOT NULL
);


--
-- Name: migrations; Type: TABLE; Schema: aurora; Owner: -
--

CREATE TABLE aurora.migrations (
    version integer NOT NULL,
    epoch integer NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: signing_keys; Type: TABLE; Schema: aurora; Owner: -
--

CREATE TABLE aurora.signing_keys (
    id bigint NOT NULL,
    kid text NOT NULL,
    algorithm text NOT NULL,
    sealed bytea NOT NULL,
    public_jwk json NOT NULL,
    state text NOT NULL,
    created_at timestamp with time zone NOT NULL
);


--
-- Name: identities; Type: TABLE; Schema: auth; Owner: -
--

CREATE TABLE auth.identities (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    provider text NOT NULL,
    provider_id text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    last_sign_in_at timestamp with time zone
);


--
-- Name: refresh_tokens; Type: TABLE; Schema: auth; Owner: -
--

CREATE TABLE auth.refresh_tokens (
    hash bytea NOT NULL,
    session_id uuid NOT NULL,
    generation bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT refresh_tokens_hash_check CHECK ((length(hash) = 32))
);


--
-- Name: revocations; Type: TABLE; Schema: auth; Owner: -
--

CREATE TABLE auth.revocations (
    sequence bigint NOT NULL,
    session_id uuid NOT NULL,
    noted_at timestamp with time zone
);


--
-- Name: revocations_sequence_seq; Type: SEQUENCE; Schema: auth; Owner: -
--

ALTER TABLE auth.revocations ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME auth.revocations_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: sessions; Type: TABLE; Schema: auth; Owner: -
--

CREATE TABLE auth.sessions (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    family uuid NOT NULL,
    generation bigint NOT NULL,
    aal text NOT NULL,
    amr jsonb NOT NULL,
    user_agent text,
    ip text,
    created_at timestamp with time zone NOT NULL,
    authenticated_at timestamp with time zone NOT NULL,
    refreshed_at timestamp with time zone NOT NULL,
    not_after timestamp with time zone NOT NULL
);


--
-- Name: users; Type: TABLE; Schema: auth; Owner: -
--

CREATE TABLE auth.users (
    id uuid NOT NULL,
    email text,
    email_confirmed_at timestamp with time zone,
    email_change text,
    email_change_sent_at timestamp with time zone,
    confirmation_sent_at timestamp with time zone,
    encrypted_password text,
    raw_app_meta_data jsonb NOT NULL,
    raw_user_meta_data jsonb NOT NULL,
    banned_until timestamp with time zone,
    last_sign_in_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
);


--
-- Data for Name: audit; Type: TABLE DATA; Schema: aurora; Owner: -
--

INSERT INTO aurora.audit VALUES ('ebddf27e-4285-4aca-8ac1-92e169a9eb37', '2027-01-15 08:00:00+00', NULL, 'c6c64166-72c8-422d-bc26-4d045dc8ed19', 'security', 'user_signedup', 'c6c64166-72c8-422d-bc26-4d045dc8ed19', '2951ea59-65c7-4cfc-b881-3ec57e14aeb4', '{"address":"192.0.2.1","provider":"email"}', '\x6e587cea367d8de1e4da3bc9d5a9b9b8029befd9b58ca976a8f5783b4fb1ad55', '\x0f39054f2c4044b7ca202e5249c875e0f6f25a188fa4fca3257640b7299e2908', NULL);
INSERT INTO aurora.audit VALUES ('d23f24a0-230c-4e99-a8e7-9bf6ceb979de', '2027-01-15 08:00:00+00', NULL, '9ff36bab-b970-4515-846f-d14810265721', 'security', 'user_signedup', '9ff36bab-b970-4515-846f-d14810265721', '9bcb9ecc-7fd6-4c99-a2ba-fa0f6945935a', '{"address":"192.0.2.1","provider":"email"}', '\xb23c35c66f4cc49f904eebd138f55720837cc97ab0979a7615387b7f477aeb91', '\xcc3ae93055ea050b7c6e298340819b77f2a9a2414a598bdc56feaff55b3648b9', NULL);
INSERT INTO aurora.audit VALUES ('a3017975-5faa-4a77-a12c-1bee25d2a710', '2027-01-15 08:00:00+00', NULL, 'service', 'security', 'user_banned', '9ff36bab-b970-4515-846f-d14810265721', NULL, '{"until":"2096-10-02T07:06:40.000000Z"}', '\x3e927625651ae58fc50fa56b4d55345a1bfff72018fec20958d3c646a03348b7', '\xa334b3914696e89e13bfa39cb254a01cb1f5e7c90060d395040a7a44aea6e393', NULL);
INSERT INTO aurora.audit VALUES ('d1bbdd95-beff-40f9-89be-e5fd5c30fdd7', '2027-01-15 08:00:00+00', NULL, 'c6c64166-72c8-422d-bc26-4d045dc8ed19', 'security', 'token_refreshed', '0f02fc68-aeed-4182-8f82-e81ec30f8aaa', 'ffaec849-921a-4341-85c5-b744df8de93e', '{"address":"192.0.2.1"}', '\xe5779ccf46c48ca51bf4427798f4602ba4e43a2ed6683dbb05c2488c4f9f6419', '\x7760967074a58ca8c665c38e45a0820e9f5bab8ee7a25693121e2c24cd73c278', NULL);


--
-- Data for Name: commit_order; Type: TABLE DATA; Schema: aurora; Owner: -
--



--
-- Data for Name: identity_keys; Type: TABLE DATA; Schema: aurora; Owner: -
--

INSERT INTO aurora.identity_keys VALUES (1, '\xb68183d364f5930f207bae4c939fa5a5d17d506e41ea86a8c34438b8ef2c8f1d3636363636363636363636363636363636363636363636363636363636363636', '\xdcebe9b90e9ff9654a11c426f9f5cfcfbb173a042b80ecc2a92e52d28546e5775c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c', '2026-11-22 23:47:31.038965+00');


--
-- Data for Name: keys; Type: TABLE DATA; Schema: aurora; Owner: -
--

INSERT INTO aurora.keys VALUES (1, 'signing', '\x1031323062656231373739356466616239c5de171266682f16f507f16224b07c67da5c0be8355141d6364341e41a97435e84b58d249b4342d005c1374643a07b80cb888a88e2d54a336eea8034ea2ca7679ce0d22d4608554a40b2c16e62583b66a0356c4379bfc205d138e986122434f2807b34204327521d', '2027-01-15 08:00:00+00');
INSERT INTO aurora.keys VALUES (2, 'session', '\x10313230626562313737393564666162390ebb522cf9c71e54e467f32af07afccfac9f370a1f46e41522b1437460da8075b2e45377eef81c980d92c5a072892f90a90c25871cd960ed15ec27991da2bd7607d8f22cc187661964a6f40ddca6b85c8f26d5197d2ae964724ba924bcd7e19595bef2d45fa93e53', '2027-01-15 08:00:00+00');
INSERT INTO aurora.keys VALUES (3, 'password', '\x1031323062656231373739356466616239ec5d08b870c478e041c37fdad503d98b79ceb9b17137afdeb7084af735d653db7aeba2c78c86124d5f15d7583b8dc3e68f4f26c425f9cc475875079b14793b4e81b84fcd3cf447a5b4367502122b4aea52d525202e199561774b5e76560314a4dfcc7c76808053fe', '2027-01-15 08:00:00+00');
INSERT INTO aurora.keys VALUES (4, 'audit', '\x1031323062656231373739356466616239118a42ca75ea6d4bad1287fbda15b15091b32c32027fa2b5c19c80bc2afac2909f4a0d515d1866d8fa8fee932310bb023c3eb176f9f6d23982436d2455c4e6599cfbfda54c10065180dc162fb7c40181449efcd5235a71cb81b89d9fa2070bc4df895d2911131a36', '2027-01-15 08:00:00+00');
INSERT INTO aurora.keys VALUES (5, 'credential', '\x1031323062656231373739356466616239d03b70f88955f1efdf6090528810acae6a515d28ec631e5ac5c7f8a42d30f99a65b28e8e14fed75edb853aa1bb1d6f53b763a13982905d04d1f24f3d05f139b719e97ace8e6d7e94cb77cfbd2cfc74b0fd0b91dea2f7ee5dd2da4261f416863178c93a00ffd55108', '2027-01-15 08:00:00+00');


--
-- Data for Name: migrations; Type: TABLE DATA; Schema: aurora; Owner: -
--

INSERT INTO aurora.migrations VALUES (1, 1, '2027-01-15 08:00:00+00');


--
-- Data for Name: signing_keys; Type: TABLE DATA; Schema: aurora; Owner: -
--

INSERT INTO aurora.signing_keys VALUES (1, 'lTaB9IPfuWgSyroMwN8KQNbZtkVoepPQvL_UoMNSBGc', 'ES256', '\x4155010100000001005631eb466d3ff950196a7a01f355e3a518f496d5e70e91b7325cc369801ce3ceabe37af16438db310af8c2b60e869f32026f1471bc5c398dea7e5c6bc9d2ac0893fc56b1f29e8388d298c590e034763c72e70f86df95947c6bc26b7289fe74ac2f07a00ffd36eb74c025a13a6c92f6d739f6989e262c2f956432f5fdff706b5ee12cc868893136c6f509cd6b02584484847f32d8bcb8b65493af2950e1e7c589a65c494d1ac427b7c20350d8be721ff982da2938e5bed3b66016e7dcdfc021d7ecf9c0a2f4d8f5452656a998cb58f4dc37e1', '{"kty":"EC","crv":"P-256","x":"nyVu0LDv8NZHbkcsgJtKIsmCeKCawk2bSPC_xFPgMAw","y":"_an9B2zpklfEFDg70M5t3K20Ary_EzULa0Ao9KZqCKQ","kid":"lTaB9IPfuWgSyroMwN8KQNbZtkVoepPQvL_UoMNSBGc","alg":"ES256","use":"sig","key_ops":["verify"]}', 'active', '2027-01-15 08:00:00+00');


--
-- Data for Name: identities; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.identities VALUES ('f87e6fa9-dd69-4833-90ea-f049bab0d773', 'c6c64166-72c8-422d-bc26-4d045dc8ed19', 'email', 'c6c64166-72c8-422d-bc26-4d045dc8ed19', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');
INSERT INTO auth.identities VALUES ('cde68964-07fa-423a-a35e-1b3521c08608', '9ff36bab-b970-4515-846f-d14810265721', 'email', '9ff36bab-b970-4515-846f-d14810265721', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');


--
-- Data for Name: refresh_tokens; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.refresh_tokens VALUES ('\x9e2f374170676b5dce5e4128fae8388c866e1cd71efa1793246397339567a9cc', '0f02fc68-aeed-4182-8f82-e81ec30f8aaa', 0, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');
INSERT INTO auth.refresh_tokens VALUES ('\xb7bd9af21596cea76609d99a697a8389d59071239fd31b6fb21f8eaa80973015', '0f02fc68-aeed-4182-8f82-e81ec30f8aaa', 1, '2027-01-15 08:00:00+00', NULL);


--
-- Data for Name: revocations; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.revocations OVERRIDING SYSTEM VALUE VALUES (1, 'c02a2b8d-6195-4c81-855b-4cebec56a6fb', '2027-01-15 08:00:00+00');


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.sessions VALUES ('0f02fc68-aeed-4182-8f82-e81ec30f8aaa', 'c6c64166-72c8-422d-bc26-4d045dc8ed19', '34d0c975-e0e1-46d3-8ab4-f3830ad220e3', 1, 'aal1', '[{"method": "password", "timestamp": 1800000000}]', 'test-agent/1.0', '192.0.2.1', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2028-01-15 08:00:00+00');


--
-- Data for Name: users; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.users VALUES ('c6c64166-72c8-422d-bc26-4d045dc8ed19', 'ann@example.com', '2027-01-15 08:00:00+00', NULL, NULL, NULL, '$argon2id$v=19$m=8192,t=5,p=1,keyid=GFC66aOm$gBm2A8SxWma8Cn1YP98BeA$BXxXUDWLzIxZkwKgV6eEUDkm+BFmWXm9PHEGDJzRVWY', '{"provider": "email", "providers": ["email"]}', '{}', NULL, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');
INSERT INTO auth.users VALUES ('9ff36bab-b970-4515-846f-d14810265721', 'ben@example.com', '2027-01-15 08:00:00+00', NULL, NULL, NULL, '$argon2id$v=19$m=8192,t=5,p=1,keyid=GFC66aOm$8YHSs7/8Hnmtz+CuaXI8yA$a5s5mHAxAV78MEpyFFvSrWngDKgeKx/4oiDwVuXRaF8', '{"provider": "email", "providers": ["email"]}', '{}', '2096-10-02 07:06:40+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');


--
-- Name: revocations_sequence_seq; Type: SEQUENCE SET; Schema: auth; Owner: -
--

SELECT pg_catalog.setval('auth.revocations_sequence_seq', 1, true);


--
-- Name: audit audit_pkey; Type: CONSTRAINT; Schema: aurora; Owner: -
--

ALTER TABLE ONLY aurora.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);


--
-- Name: audit audit_sequence_key; Type: CONSTRAINT; Schema: aurora; Owner: -
--

ALTER TABLE ONLY aurora.audit
    ADD CONSTRAINT audit_sequence_key UNIQUE (sequence);


--
-- Name: identity_keys identity_keys_pkey; Type: CONSTRAINT; Schema: aurora; Owner: -
--

ALTER TABLE ONLY aurora.identity_keys
    ADD CONSTRAINT identity_keys_pkey PRIMARY KEY (generation);


--
-- Name: keys keys_pkey; Type: CONSTRAINT; Schema: aurora; Owner: -
--

ALTER TABLE ONLY aurora.keys
    ADD CONSTRAINT keys_pkey PRIMARY KEY (id);


--
-- Name: migrations migrations_pkey; Type: CONSTRAINT; Schema: aurora; Owner: -
--

ALTER TABLE ONLY aurora.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (version);


--
-- Name: signing_keys signing_keys_kid_key; Type: CONSTRAINT; Schema: aurora; Owner: -
--

ALTER TABLE ONLY aurora.signing_keys
    ADD CONSTRAINT signing_keys_kid_key UNIQUE (kid);


--
-- Name: signing_keys signing_keys_pkey; Type: CONSTRAINT; Schema: aurora; Owner: -
--

ALTER TABLE ONLY aurora.signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (id);


--
-- Name: identities identities_pkey; Type: CONSTRAINT; Schema: auth; Owner: -
--

ALTER TABLE ONLY auth.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (id);


--
-- Name: identities identities_provider_provider_id_key; Type: CONSTRAINT; Schema: auth; Owner: -
--

ALTER TABLE ONLY auth.identities
    ADD CONSTRAINT identities_provider_provider_id_key UNIQUE (provider, provider_id);


--
-- Name: refresh_tokens refresh_tokens_pkey; Type: CONSTRAINT; Schema: auth; Owner: -
--

ALTER TABLE ONLY auth.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (hash);


--
-- Name: refresh_tokens refresh_tokens_session_id_generation_key; Type: CONSTRAINT; Schema: auth; Owner: -
--

ALTER TABLE ONLY auth.refresh_tokens
    ADD CONSTRAINT refresh_tokens_session_id_generation_key UNIQUE (session_id, generation);


--
-- Name: revocations revocations_pkey; Type: CONSTRAINT; Schema: auth; Owner: -
--

ALTER TABLE ONLY auth.revocations
    ADD CONSTRAINT revocations_pkey PRIMARY KEY (sequence);


--
-- Name: sessions sessions_family_key; Type: CONSTRAINT; Schema: auth; Owner: -
--

ALTER TABLE ONLY auth.sessions
    ADD CONSTRAINT sessions_family_key UNIQUE (family);


--
-- Name: sessions sessions_pkey; Type: CONSTRAINT; Schema: auth; Owner: -
--

ALTER TABLE ONLY auth.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);


--
-- Name: users users_email_key; Type: CONSTRAINT; Schema: auth; Owner: -
--

ALTER TABLE ONLY auth.users
    ADD CONSTRAINT users_email_key UNIQUE (email);


--
-- Name: users users_pkey; Type: CONSTRAINT; Schema: auth; Owner: -
--

ALTER TABLE ONLY auth.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);


--
-- Name: audit_actor; Type: INDEX; Schema: aurora; Owner: -
--

CREATE INDEX audit_actor ON aurora.audit USING btree (actor, at);


--
-- Name: audit_at; Type: INDEX; Schema: aurora; Owner: -
--

CREATE INDEX audit_at ON aurora.audit USING btree (at);


--
-- Name: identities_user; Type: INDEX; Schema: auth; Owner: -
--

CREATE INDEX identities_user ON auth.identities USING btree (user_id);


--
-- Name: revocations_noted; Type: INDEX; Schema: auth; Owner: -
--

CREATE INDEX revocations_noted ON auth.revocations USING btree (noted_at);


--
-- Name: sessions_not_after; Type: INDEX; Schema: auth; Owner: -
--

CREATE INDEX sessions_not_after ON auth.sessions USING btree (not_after);


--
-- Name: sessions_refreshed; Type: INDEX; Schema: auth; Owner: -
--

CREATE INDEX sessions_refreshed ON auth.sessions USING btree (refreshed_at);


--
-- Name: sessions_user; Type: INDEX; Schema: auth; Owner: -
--

CREATE INDEX sessions_user ON auth.sessions USING btree (user_id, created_at);


--
-- Name: sessions sessions_ended; Type: TRIGGER; Schema: auth; Owner: -
--

CREATE CONSTRAINT TRIGGER sessions_ended AFTER DELETE ON auth.sessions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION aurora.session_ended();


--
-- Name: users users_banned; Type: TRIGGER; Schema: auth; Owner: -
--

CREATE TRIGGER users_banned AFTER UPDATE OF banned_until ON auth.users FOR EACH ROW WHEN (((new.banned_until IS NOT NULL) AND (new.banned_until IS DISTINCT FROM old.banned_until))) EXECUTE FUNCTION aurora.user_banned();


--
-- Name: identities identities_user_id_fkey; Type: FK CONSTRAINT; Schema: auth; Owner: -
--

ALTER TABLE ONLY auth.identities
    ADD CONSTRAINT identities_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE;


--
-- Name: refresh_tokens refresh_tokens_session_id_fkey; Type: FK CONSTRAINT; Schema: auth; Owner: -
--

ALTER TABLE ONLY auth.refresh_tokens
    ADD CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES auth.sessions(id) ON DELETE CASCADE;


--
-- Name: sessions sessions_user_id_fkey; Type: FK CONSTRAINT; Schema: auth; Owner: -
--

ALTER TABLE ONLY auth.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE;


--
-- Name: audit; Type: ROW SECURITY; Schema: aurora; Owner: -
--

ALTER TABLE aurora.audit ENABLE ROW LEVEL SECURITY;

--
-- Name: identity_keys; Type: ROW SECURITY; Schema: aurora; Owner: -
--

ALTER TABLE aurora.identity_keys ENABLE ROW LEVEL SECURITY;

--
-- Name: keys; Type: ROW SECURITY; Schema: aurora; Owner: -
--

ALTER TABLE aurora.keys ENABLE ROW LEVEL SECURITY;

--
-- Name: signing_keys; Type: ROW SECURITY; Schema: aurora; Owner: -
--

ALTER TABLE aurora.signing_keys ENABLE ROW LEVEL SECURITY;

--
-- Name: audit store; Type: POLICY; Schema: aurora; Owner: -
--

CREATE POLICY store ON aurora.audit TO aurora_store USING (( SELECT as_aurora_store.bound
   FROM aurora.as_aurora_store));


--
-- Name: keys store_adds; Type: POLICY; Schema: aurora; Owner: -
--

CREATE POLICY store_adds ON aurora.keys FOR INSERT TO aurora_store WITH CHECK (
CASE
    WHEN ( SELECT aurora.unkeyed() AS unkeyed) THEN true
    ELSE ( SELECT as_aurora_store.bound
       FROM aurora.as_aurora_store)
END);


--
-- Name: signing_keys store_adds; Type: POLICY; Schema: aurora; Owner: -
--

CREATE POLICY store_adds ON aurora.signing_keys FOR INSERT TO aurora_store WITH CHECK (
CASE
    WHEN ( SELECT aurora.unkeyed() AS unkeyed) THEN true
    ELSE ( SELECT as_aurora_store.bound
       FROM aurora.as_aurora_store)
END);


--
-- Name: keys store_reads; Type: POLICY; Schema: aurora; Owner: -
--

CREATE POLICY store_reads ON aurora.keys FOR SELECT TO aurora_store USING (true);


--
-- Name: signing_keys store_reads; Type: POLICY; Schema: aurora; Owner: -
--

CREATE POLICY store_reads ON aurora.signing_keys FOR SELECT TO aurora_store USING (true);


--
-- Name: identities; Type: ROW SECURITY; Schema: auth; Owner: -
--

ALTER TABLE auth.identities ENABLE ROW LEVEL SECURITY;

--
-- Name: refresh_tokens; Type: ROW SECURITY; Schema: auth; Owner: -
--

ALTER TABLE auth.refresh_tokens ENABLE ROW LEVEL SECURITY;

--
-- Name: revocations; Type: ROW SECURITY; Schema: auth; Owner: -
--

ALTER TABLE auth.revocations ENABLE ROW LEVEL SECURITY;

--
-- Name: sessions; Type: ROW SECURITY; Schema: auth; Owner: -
--

ALTER TABLE auth.sessions ENABLE ROW LEVEL SECURITY;

--
-- Name: identities store; Type: POLICY; Schema: auth; Owner: -
--

CREATE POLICY store ON auth.identities TO aurora_store USING (( SELECT as_aurora_store.bound
   FROM aurora.as_aurora_store));


--
-- Name: refresh_tokens store; Type: POLICY; Schema: auth; Owner: -
--

CREATE POLICY store ON auth.refresh_tokens TO aurora_store USING (( SELECT as_aurora_store.bound
   FROM aurora.as_aurora_store));


--
-- Name: revocations store; Type: POLICY; Schema: auth; Owner: -
--

CREATE POLICY store ON auth.revocations TO aurora_store USING (( SELECT as_aurora_store.bound
   FROM aurora.as_aurora_store));


--
-- Name: sessions store; Type: POLICY; Schema: auth; Owner: -
--

CREATE POLICY store ON auth.sessions TO aurora_store USING (( SELECT as_aurora_store.bound
   FROM aurora.as_aurora_store));


--
-- Name: users store; Type: POLICY; Schema: auth; Owner: -
--

CREATE POLICY store ON auth.users TO aurora_store USING (( SELECT as_aurora_store.bound
   FROM aurora.as_aurora_store));


--
-- Name: users; Type: ROW SECURITY; Schema: auth; Owner: -
--

ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;

--
-- Name: SCHEMA aurora; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA aurora TO anon;
GRANT USAGE ON SCHEMA aurora TO authenticated;
GRANT USAGE ON SCHEMA aurora TO service_role;
GRANT USAGE ON SCHEMA aurora TO aurora_store;
GRANT USAGE ON SCHEMA aurora TO aurora_service;


--
-- Name: SCHEMA auth; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA auth TO anon;
GRANT USAGE ON SCHEMA auth TO authenticated;
GRANT USAGE ON SCHEMA auth TO service_role;
GRANT USAGE ON SCHEMA auth TO aurora_store;
GRANT USAGE ON SCHEMA auth TO aurora_service;


--
-- Name: FUNCTION admit_identity(wanted integer, inner_bytes bytea, outer_bytes bytea); Type: ACL; Schema: aurora; Owner: -
--

REVOKE ALL ON FUNCTION aurora.admit_identity(wanted integer, inner_bytes bytea, outer_bytes bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION aurora.admit_identity(wanted integer, inner_bytes bytea, outer_bytes bytea) TO aurora_store;


--
-- Name: FUNCTION claims(); Type: ACL; Schema: aurora; Owner: -
--

REVOKE ALL ON FUNCTION aurora.claims() FROM PUBLIC;
GRANT ALL ON FUNCTION aurora.claims() TO anon;
GRANT ALL ON FUNCTION aurora.claims() TO authenticated;
GRANT ALL ON FUNCTION aurora.claims() TO service_role;
GRANT ALL ON FUNCTION aurora.claims() TO aurora_store;
GRANT ALL ON FUNCTION aurora.claims() TO aurora_service;


--
-- Name: FUNCTION bound(); Type: ACL; Schema: aurora; Owner: -
--

REVOKE ALL ON FUNCTION aurora.bound() FROM PUBLIC;
GRANT ALL ON FUNCTION aurora.bound() TO anon;
GRANT ALL ON FUNCTION aurora.bound() TO authenticated;
GRANT ALL ON FUNCTION aurora.bound() TO service_role;
GRANT ALL ON FUNCTION aurora.bound() TO aurora_store;
GRANT ALL ON FUNCTION aurora.bound() TO aurora_service;


--
-- Name: FUNCTION bound_as_anon(); Type: ACL; Schema: aurora; Owner: -
--

REVOKE ALL ON FUNCTION aurora.bound_as_anon() FROM PUBLIC;
GRANT ALL ON FUNCTION aurora.bound_as_anon() TO anon;


--
-- Name: FUNCTION bound_as_authenticated(); Type: ACL; Schema: aurora; Owner: -
--

REVOKE ALL ON FUNCTION aurora.bound_as_authenticated() FROM PUBLIC;
GRANT ALL ON FUNCTION aurora.bound_as_authenticated() TO authenticated;


--
-- Name: FUNCTION identity_generation(); Type: ACL; Schema: aurora; Owner: -
--

REVOKE ALL ON FUNCTION aurora.identity_generation() FROM PUBLIC;
GRANT ALL ON FUNCTION aurora.identity_generation() TO aurora_store;


--
-- Name: FUNCTION refused(); Type: ACL; Schema: aurora; Owner: -
--

REVOKE ALL ON FUNCTION aurora.refused() FROM PUBLIC;
GRANT ALL ON FUNCTION aurora.refused() TO anon;
GRANT ALL ON FUNCTION aurora.refused() TO authenticated;
GRANT ALL ON FUNCTION aurora.refused() TO service_role;
GRANT ALL ON FUNCTION aurora.refused() TO aurora_store;
GRANT ALL ON FUNCTION aurora.refused() TO aurora_service;


--
-- Name: FUNCTION session_ended(); Type: ACL; Schema: aurora; Owner: -
--

REVOKE ALL ON FUNCTION aurora.session_ended() FROM PUBLIC;


--
-- Name: FUNCTION uid(); Type: ACL; Schema: aurora; Owner: -
--

REVOKE ALL ON FUNCTION aurora.uid() FROM PUBLIC;
GRANT ALL ON FUNCTION aurora.uid() TO anon;
GRANT ALL ON FUNCTION aurora.uid() TO authenticated;
GRANT ALL ON FUNCTION aurora.uid() TO service_role;
GRANT ALL ON FUNCTION aurora.uid() TO aurora_store;
GRANT ALL ON FUNCTION aurora.uid() TO aurora_service;


--
-- Name: FUNCTION unkeyed(); Type: ACL; Schema: aurora; Owner: -
--

REVOKE ALL ON FUNCTION aurora.unkeyed() FROM PUBLIC;
GRANT ALL ON FUNCTION aurora.unkeyed() TO aurora_store;


--
-- Name: FUNCTION user_banned(); Type: ACL; Schema: aurora; Owner: -
--

REVOKE ALL ON FUNCTION aurora.user_banned() FROM PUBLIC;


--
-- Name: FUNCTION email(); Type: ACL; Schema: auth; Owner: -
--

REVOKE ALL ON FUNCTION auth.email() FROM PUBLIC;
GRANT ALL ON FUNCTION auth.email() TO anon;
GRANT ALL ON FUNCTION auth.email() TO authenticated;
GRANT ALL ON FUNCTION auth.email() TO service_role;
GRANT ALL ON FUNCTION auth.email() TO aurora_store;
GRANT ALL ON FUNCTION auth.email() TO aurora_service;


--
-- Name: FUNCTION jwt(); Type: ACL; Schema: auth; Owner: -
--

REVOKE ALL ON FUNCTION auth.jwt() FROM PUBLIC;
GRANT ALL ON FUNCTION auth.jwt() TO anon;
GRANT ALL ON FUNCTION auth.jwt() TO authenticated;
GRANT ALL ON FUNCTION auth.jwt() TO service_role;
GRANT ALL ON FUNCTION auth.jwt() TO aurora_store;
GRANT ALL ON FUNCTION auth.jwt() TO aurora_service;


--
-- Name: FUNCTION role(); Type: ACL; Schema: auth; Owner: -
--

REVOKE ALL ON FUNCTION auth.role() FROM PUBLIC;
GRANT ALL ON FUNCTION auth.role() TO anon;
GRANT ALL ON FUNCTION auth.role() TO authenticated;
GRANT ALL ON FUNCTION auth.role() TO service_role;
GRANT ALL ON FUNCTION auth.role() TO aurora_store;
GRANT ALL ON FUNCTION auth.role() TO aurora_service;


--
-- Name: FUNCTION uid(); Type: ACL; Schema: auth; Owner: -
--

REVOKE ALL ON FUNCTION auth.uid() FROM PUBLIC;
GRANT ALL ON FUNCTION auth.uid() TO anon;
GRANT ALL ON FUNCTION auth.uid() TO authenticated;
GRANT ALL ON FUNCTION auth.uid() TO service_role;
GRANT ALL ON FUNCTION auth.uid() TO aurora_store;
GRANT ALL ON FUNCTION auth.uid() TO aurora_service;


--
-- Name: TABLE as_anon; Type: ACL; Schema: aurora; Owner: -
--

GRANT SELECT ON TABLE aurora.as_anon TO anon;


--
-- Name: TABLE as_aurora_service; Type: ACL; Schema: aurora; Owner: -
--

GRANT SELECT ON TABLE aurora.as_aurora_service TO aurora_service;


--
-- Name: TABLE as_aurora_store; Type: ACL; Schema: aurora; Owner: -
--

GRANT SELECT ON TABLE aurora.as_aurora_store TO aurora_store;


--
-- Name: TABLE as_authenticated; Type: ACL; Schema: aurora; Owner: -
--

GRANT SELECT ON TABLE aurora.as_authenticated TO authenticated;


--
-- Name: TABLE audit; Type: ACL; Schema: aurora; Owner: -
--

GRANT SELECT,INSERT ON TABLE aurora.audit TO aurora_store;


--
-- Name: TABLE identity; Type: ACL; Schema: aurora; Owner: -
--

GRANT SELECT ON TABLE aurora.identity TO anon;
GRANT SELECT ON TABLE aurora.identity TO authenticated;
GRANT SELECT ON TABLE aurora.identity TO service_role;
GRANT SELECT ON TABLE aurora.identity TO aurora_store;
GRANT SELECT ON TABLE aurora.identity TO aurora_service;


--
-- Name: TABLE keys; Type: ACL; Schema: aurora; Owner: -
--

GRANT SELECT,INSERT ON TABLE aurora.keys TO aurora_store;


--
-- Name: TABLE migrations; Type: ACL; Schema: aurora; Owner: -
--

GRANT SELECT ON TABLE aurora.migrations TO aurora_store;


--
-- Name: TABLE signing_keys; Type: ACL; Schema: aurora; Owner: -
--

GRANT SELECT,INSERT ON TABLE aurora.signing_keys TO aurora_store;


--
-- Name: TABLE identities; Type: ACL; Schema: auth; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE auth.identities TO aurora_store;


--
-- Name: TABLE refresh_tokens; Type: ACL; Schema: auth; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE auth.refresh_tokens TO aurora_store;


--
-- Name: TABLE revocations; Type: ACL; Schema: auth; Owner: -
--

GRANT SELECT,DELETE ON TABLE auth.revocations TO aurora_store;


--
-- Name: COLUMN revocations.noted_at; Type: ACL; Schema: auth; Owner: -
--

GRANT UPDATE(noted_at) ON TABLE auth.revocations TO aurora_store;


--
-- Name: TABLE sessions; Type: ACL; Schema: auth; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE auth.sessions TO aurora_store;


--
-- Name: TABLE users; Type: ACL; Schema: auth; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE auth.users TO aurora_store;


--
-- PostgreSQL database dump complete
--

\unrestrict X0m4XswuDDq2lXDym2T7N2t8U9JchuZmcaaqe8PQP31afOn6WVU5hyPoxDHoJEn

