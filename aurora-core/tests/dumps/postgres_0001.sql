-- A database of Aurora's schema 1 with two users, for tests: its key is no secret.
-- root key: aurora-key-1:ntnvzYG5HrVcFtO5efNI23SlWq53IpkZXHv8GVyX6m8:PDzhGU6L
-- refresh token: art_vFJi0_ZitHWrf0Hx_ZtVGapywRKjFD2Tj5Awdm0Z1Sg
--
-- PostgreSQL database dump
--

\restrict keqIOYdSdJgCTe9QeQX3CzKQD6KUG5RE1m2hw2mxYPS7LeWRBTrQLTOLnpiUNkB

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
-- Name: bound(); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.bound() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    AS $$ SELECT aurora.claims() IS NOT NULL $$;


--
-- Name: claims(); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.claims() RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    claims text := current_setting('request.jwt.claims', true);
    given text := current_setting('aurora.mac', true);
    blocks record;
    expected bytea;
BEGIN
    IF claims IS NULL OR given IS NULL OR given !~ '^[1-9][0-9]{0,8}[.][0-9a-f]{64}$' THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'this transaction is bound to nobody';
    END IF;
    SELECT inner_block, outer_block INTO blocks FROM aurora.identity_keys
        WHERE generation = split_part(given, '.', 1)::integer;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'this transaction is bound to nobody';
    END IF;
    expected := sha256(blocks.outer_block || sha256(blocks.inner_block || convert_to(
        pg_backend_pid() || '|' || (EXTRACT(epoch FROM transaction_timestamp()) * 1000000)::bigint || '|'
            || current_setting('role') || '|' || claims, 'UTF8')));
    -- Hashed once more, so that the time of the comparison tells nothing about the MAC.
    IF sha256(expected) IS DISTINCT FROM sha256(decode(split_part(given, '.', 2), 'hex')) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'this transaction is bound to nobody';
    END IF;
    RETURN claims::jsonb;
END
$_$;


--
-- Name: identity_generation(); Type: FUNCTION; Schema: aurora; Owner: -
--

CREATE FUNCTION aurora.identity_generation() RETURNS integer
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ SELECT coalesce(max(generation), 1) FROM aurora.identity_keys $$;


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
    AS $$ SELECT NULLIF(aurora.claims() OPERATOR(pg_catalog.->>) 'sub', '')::uuid $$;


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
    AS $$ SELECT aurora.claims() OPERATOR(pg_catalog.->>) 'email' $$;


--
-- Name: jwt(); Type: FUNCTION; Schema: auth; Owner: -
--

CREATE FUNCTION auth.jwt() RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    AS $$ SELECT aurora.claims() $$;


--
-- Name: role(); Type: FUNCTION; Schema: auth; Owner: -
--

CREATE FUNCTION auth.role() RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    AS $$ SELECT aurora.claims() OPERATOR(pg_catalog.->>) 'role' $$;


--
-- Name: uid(); Type: FUNCTION; Schema: auth; Owner: -
--

CREATE FUNCTION auth.uid() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    AS $$ SELECT aurora.uid() $$;


SET default_tablespace = '';

SET default_table_access_method = heap;

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

INSERT INTO aurora.audit VALUES ('ad30db5e-336d-46d1-a9a0-f21a9ac221d4', '2027-01-15 08:00:00+00', NULL, 'a353ce90-923a-40a8-84ce-237c1b8c4e1f', 'security', 'user_signedup', 'a353ce90-923a-40a8-84ce-237c1b8c4e1f', '1f22c6ac-feea-447e-8f93-51eac8677cab', '{"address":"192.0.2.1","provider":"email"}', '\x96a327b0e9c9f6f1170bfdfafe5dc3fa90e1ce3cc629a590d0f433e501800069', '\xc5406bc44c5bbce5f726953cbae71534def1e8321e6ab9ceab5324a32f884da0', NULL);
INSERT INTO aurora.audit VALUES ('daccfda6-d42e-4c7b-af5f-23b864a8d045', '2027-01-15 08:00:00+00', NULL, '3e5d1bca-96d7-400d-9c03-6cbad33d4d90', 'security', 'user_signedup', '3e5d1bca-96d7-400d-9c03-6cbad33d4d90', 'b5e614a2-4157-4d42-b916-6abd87789ad1', '{"address":"192.0.2.1","provider":"email"}', '\xe39b9e8fca9cfdea01810bf41de244db3f67fed4ee6e6798f1d745ed3ae0d0b1', '\x06e75b574c239b19dff5c0817c3eed3e0f4b1d38cf60f8ebc65ac883826222ad', NULL);
INSERT INTO aurora.audit VALUES ('fb3976c6-70a7-4f09-a864-92ecaca9edf4', '2027-01-15 08:00:00+00', NULL, 'service', 'security', 'user_banned', '3e5d1bca-96d7-400d-9c03-6cbad33d4d90', NULL, '{"until":"2096-10-02T07:06:40.000000Z"}', '\x64545a035f7a1c44a39ec5d05fa3f71737daa6cd4c4396288f232058e5fafa5e', '\xd3b0533d18483922471bf149e6a85c616788ac62e8c05efbdaf3c8024034df66', NULL);
INSERT INTO aurora.audit VALUES ('6b6ca12f-2ccc-4156-b750-49bbfc9b5dde', '2027-01-15 08:00:00+00', NULL, 'a353ce90-923a-40a8-84ce-237c1b8c4e1f', 'security', 'token_refreshed', '9247856e-17df-4125-9b82-b0977a2c41bf', 'dd2c2af6-3678-4745-a0f4-d38f05191bc8', '{"address":"192.0.2.1"}', '\x4f09cb5a2b60b1b6487fb9c08fbbfc14c2943bbed279fa0e972b5861c98f65ba', '\x55a1df10dc531fe84528141a88554c113b4e9ee9782fc77b817f3aafa8f5581f', NULL);


--
-- Data for Name: commit_order; Type: TABLE DATA; Schema: aurora; Owner: -
--



--
-- Data for Name: identity_keys; Type: TABLE DATA; Schema: aurora; Owner: -
--

INSERT INTO aurora.identity_keys VALUES (1, '\xd46a27742a331cedd8ceec2db10450603fd514f62c63acfb09a41de530bfcd2b3636363636363636363636363636363636363636363636363636363636363636', '\xbe004d1e40597687b2a48647db6e3a0a55bf7e9c4609c69163ce778f5ad5a7415c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c', '2026-11-22 20:50:57.057723+00');


--
-- Data for Name: keys; Type: TABLE DATA; Schema: aurora; Owner: -
--

INSERT INTO aurora.keys VALUES (1, 'signing', '\x10353030656335323231336564646336644ed83e840a3ebd6c5cd8b69c8233836fc966eaf6ff9c746f5c87a174d3636888b63ae5e92398c8fcb4b7704e05f7245738a011666b9fdbb1ac403deac28dec1693b9592fcc2ddeeee6ebbf9a82db37b408204eec41516cf89aae885d7d0beec7508a231a2d0d7c99', '2027-01-15 08:00:00+00');
INSERT INTO aurora.keys VALUES (2, 'session', '\x1035303065633532323133656464633664efba4f194bf812e0f7b92fc9609b393f427b2f65a5f48e69f61f0ff9cea0a4960830abbb0f8e0128ad6aa1b0626b23ead2b3858f33e12bb442fcce5ed07312b79e38a01fd8db29c3bed50c82fda27fd0c5373fb1319d3bb7986f96265769dbd5d3f876a7fb7e0446', '2027-01-15 08:00:00+00');
INSERT INTO aurora.keys VALUES (3, 'password', '\x1035303065633532323133656464633664b58eadd81196ebde52a1207239ecc5840d34d9638f9471dc18ba27992e134a5623cc518cee6750ccc0ccb2f6546ce0d7575cef3a190b6a606bc5de8988c9139ddd5d080d5de534038b535c455708554181a14251386abf1dd0ed37d34f48ac1911251975f708909a', '2027-01-15 08:00:00+00');
INSERT INTO aurora.keys VALUES (4, 'audit', '\x10353030656335323231336564646336642f523e7cd80220404a2981644f6c70bfa1bbcc0fe240dd0e7cb7b7e092dc76c2abfe65e5a5ea2284abc2876b11709ed00b8af7a4b88dd76e284110922d71a047454678362491c38184079e855ced9162d2b68b2622fcb5b994e715816d65a2db6064debe4b67454a', '2027-01-15 08:00:00+00');
INSERT INTO aurora.keys VALUES (5, 'credential', '\x10353030656335323231336564646336643ae380553a47742fd8d9a7a3cae43d5b8d4db3e8e5089d24c02182364a0432285cb518d6c44dbd6931bff052c18368a4004d3fba80b2ca7e7bc87758409a5f7514a60bed9fb7cd4135c4fb55f6064345c769fde410d6f5b019727b646b0e9ac128cd474cac1ae400', '2027-01-15 08:00:00+00');


--
-- Data for Name: migrations; Type: TABLE DATA; Schema: aurora; Owner: -
--

INSERT INTO aurora.migrations VALUES (1, 1, '2027-01-15 08:00:00+00');


--
-- Data for Name: signing_keys; Type: TABLE DATA; Schema: aurora; Owner: -
--

INSERT INTO aurora.signing_keys VALUES (1, 'gJD2pPLOvhOcqfmfenhZH-hd-15uUfFnmwebKZlE8sM', 'ES256', '\x415501010000000100e3cc3ec52c0d63d66516c8e8ba4a707e60973638b67879d388f94adf3d70e36dc9dbfaf5710e8b0be5a7575bdba75a90f8d8eaf4e10f3b615ea9df739a1ae2964544618c2eed899c5226aecef3d37f80787bc0f2d2f9c3de4afaa49ae224b353e95b472960745d641d93937edca6a697a7648f79c57e134dd4924ed299182fb20a296bbe2e3ac18160433330d220eca5ebf9b6e80afd98f243da756a2f82e645a43e61ddababdf1536b1e7b3241798a3793c8c7c4f1c506714d84d0628c8ab66632d925c642c4e96b304f01b38c5f2790083', '{"kty":"EC","crv":"P-256","x":"1KQfHsnE_vB8eg_HPb7h3oWgfg7F1KXIeBCV2E3P_nU","y":"sRjnafrhlD_jl7pbEyPCqOcUu0YLuIp9sD1eJfp7nTU","kid":"gJD2pPLOvhOcqfmfenhZH-hd-15uUfFnmwebKZlE8sM","alg":"ES256","use":"sig","key_ops":["verify"]}', 'active', '2027-01-15 08:00:00+00');


--
-- Data for Name: identities; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.identities VALUES ('d426c0c1-eca0-4925-bf67-6fdf3048adc3', 'a353ce90-923a-40a8-84ce-237c1b8c4e1f', 'email', 'a353ce90-923a-40a8-84ce-237c1b8c4e1f', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');
INSERT INTO auth.identities VALUES ('c276783c-395e-411f-9ed5-2f0d5ae4055f', '3e5d1bca-96d7-400d-9c03-6cbad33d4d90', 'email', '3e5d1bca-96d7-400d-9c03-6cbad33d4d90', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');


--
-- Data for Name: refresh_tokens; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.refresh_tokens VALUES ('\xd49fac47fa8a91ed27566881e19b7d17f791b3f72ec5d09011ca1a81ff132578', '9247856e-17df-4125-9b82-b0977a2c41bf', 0, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');
INSERT INTO auth.refresh_tokens VALUES ('\xd32320dc0f9947ed7039d9143746936404ad6a65b47d08ef831c29708e041ca6', '9247856e-17df-4125-9b82-b0977a2c41bf', 1, '2027-01-15 08:00:00+00', NULL);


--
-- Data for Name: revocations; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.revocations OVERRIDING SYSTEM VALUE VALUES (1, 'd0c0a416-1715-4bb7-9a04-739dc07fbea9', '2027-01-15 08:00:00+00');


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.sessions VALUES ('9247856e-17df-4125-9b82-b0977a2c41bf', 'a353ce90-923a-40a8-84ce-237c1b8c4e1f', 'b922a2b7-0667-4aa9-b82e-328fa376880e', 1, 'aal1', '[{"method": "password", "timestamp": 1800000000}]', 'test-agent/1.0', '192.0.2.1', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2028-01-15 08:00:00+00');


--
-- Data for Name: users; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.users VALUES ('a353ce90-923a-40a8-84ce-237c1b8c4e1f', 'ann@example.com', '2027-01-15 08:00:00+00', NULL, NULL, NULL, '$argon2id$v=19$m=8192,t=5,p=1,keyid=w2DC1Q50$/+xzmrZIcw3GLBLRq8O7Cw$UOalxsC5GRuvRNXsdcpYLc51iNpRq8NBrcFnnr3rRLY', '{"provider": "email", "providers": ["email"]}', '{}', NULL, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');
INSERT INTO auth.users VALUES ('3e5d1bca-96d7-400d-9c03-6cbad33d4d90', 'ben@example.com', '2027-01-15 08:00:00+00', NULL, NULL, NULL, '$argon2id$v=19$m=8192,t=5,p=1,keyid=w2DC1Q50$lIi/rMz7gVD8DAkv1kUdSw$quo6dktTvbU0EuYTFygMguw7rXDf91kTkegvsgsB+IE', '{"provider": "email", "providers": ["email"]}', '{}', '2096-10-02 07:06:40+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');


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

CREATE POLICY store ON aurora.audit TO aurora_store USING (( SELECT aurora.bound() AS bound));


--
-- Name: keys store_adds; Type: POLICY; Schema: aurora; Owner: -
--

CREATE POLICY store_adds ON aurora.keys FOR INSERT TO aurora_store WITH CHECK (
CASE
    WHEN ( SELECT aurora.unkeyed() AS unkeyed) THEN true
    ELSE ( SELECT aurora.bound() AS bound)
END);


--
-- Name: signing_keys store_adds; Type: POLICY; Schema: aurora; Owner: -
--

CREATE POLICY store_adds ON aurora.signing_keys FOR INSERT TO aurora_store WITH CHECK (
CASE
    WHEN ( SELECT aurora.unkeyed() AS unkeyed) THEN true
    ELSE ( SELECT aurora.bound() AS bound)
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

CREATE POLICY store ON auth.identities TO aurora_store USING (( SELECT aurora.bound() AS bound));


--
-- Name: refresh_tokens store; Type: POLICY; Schema: auth; Owner: -
--

CREATE POLICY store ON auth.refresh_tokens TO aurora_store USING (( SELECT aurora.bound() AS bound));


--
-- Name: revocations store; Type: POLICY; Schema: auth; Owner: -
--

CREATE POLICY store ON auth.revocations TO aurora_store USING (( SELECT aurora.bound() AS bound));


--
-- Name: sessions store; Type: POLICY; Schema: auth; Owner: -
--

CREATE POLICY store ON auth.sessions TO aurora_store USING (( SELECT aurora.bound() AS bound));


--
-- Name: users store; Type: POLICY; Schema: auth; Owner: -
--

CREATE POLICY store ON auth.users TO aurora_store USING (( SELECT aurora.bound() AS bound));


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
-- Name: FUNCTION bound(); Type: ACL; Schema: aurora; Owner: -
--

REVOKE ALL ON FUNCTION aurora.bound() FROM PUBLIC;
GRANT ALL ON FUNCTION aurora.bound() TO anon;
GRANT ALL ON FUNCTION aurora.bound() TO authenticated;
GRANT ALL ON FUNCTION aurora.bound() TO service_role;
GRANT ALL ON FUNCTION aurora.bound() TO aurora_store;
GRANT ALL ON FUNCTION aurora.bound() TO aurora_service;


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
-- Name: FUNCTION identity_generation(); Type: ACL; Schema: aurora; Owner: -
--

REVOKE ALL ON FUNCTION aurora.identity_generation() FROM PUBLIC;
GRANT ALL ON FUNCTION aurora.identity_generation() TO aurora_store;


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
-- Name: TABLE audit; Type: ACL; Schema: aurora; Owner: -
--

GRANT SELECT,INSERT ON TABLE aurora.audit TO aurora_store;


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

\unrestrict keqIOYdSdJgCTe9QeQX3CzKQD6KUG5RE1m2hw2mxYPS7LeWRBTrQLTOLnpiUNkB

