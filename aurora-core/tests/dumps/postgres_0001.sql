-- A database of Aurora's schema 1 with two users, for tests: its key is no secret.
-- root key: aurora-key-1:W5mr_1OpQ_5mM20WcbLcqc60B6FfrCP4aYSg7ktUfqU:gZcgH2Q1
-- refresh token: art_-QAIhGz-rY9tHv6ucc9oMBEux_mmGsKH_QuA7QQ2opQ
--
-- PostgreSQL database dump
--

\restrict 0xO05s464pQaOFwqop9iRuMQG7NLiQFUx3cCaXMsusVv61qsju5DLXWU3GCJfEG

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

INSERT INTO aurora.audit VALUES ('2d9d40d5-e091-4eb1-8b5b-00e89a423001', '2027-01-15 08:00:00+00', NULL, '26a79116-53ba-4539-8e13-5088556881fd', 'security', 'user_signedup', '26a79116-53ba-4539-8e13-5088556881fd', '17a47eda-23e5-4452-8d0a-976a085e4f74', '{"address":"192.0.2.1","provider":"email"}', '\xaa81c82a1556047274e4a3cfa0bbd51ecac2aa5093093dc09f62f903086f4244', '\x7ee3e50ad3ae26e4d657e6bb1bf76b71dfda428033cd9aee2a113dea7581dc0e', NULL);
INSERT INTO aurora.audit VALUES ('dcc56d27-290a-4eca-abc6-87e63634787f', '2027-01-15 08:00:00+00', NULL, '233e24f6-33a3-4bef-ac0f-324228c77f65', 'security', 'user_signedup', '233e24f6-33a3-4bef-ac0f-324228c77f65', 'f2a918b4-0ea2-4f88-a397-207450eba5c1', '{"address":"192.0.2.1","provider":"email"}', '\xb21987a5a5af4b6a6f11ce28f87efc1a404dd8d9e5aa50e7dca08fab9f0695b4', '\x719bf7fa233acf38a94b6c347ca06c279da80dfb65074f11119683552716062c', NULL);
INSERT INTO aurora.audit VALUES ('9afb595d-284e-412d-a0f5-485547951436', '2027-01-15 08:00:00+00', NULL, 'service', 'security', 'user_banned', '233e24f6-33a3-4bef-ac0f-324228c77f65', NULL, '{"until":"2096-10-02T07:06:40.000000Z"}', '\x709aa47f32e2f43537099dd49175481f17fb9b0d95e8dc6d03a1d63fb4e7cea3', '\x227c7bbe99acf18061d2ec8351343b4ba9acf5427fd6f7c1f12b9b652a22fde5', NULL);
INSERT INTO aurora.audit VALUES ('ac51c5f1-9f39-4745-b221-9653fe1a5ec7', '2027-01-15 08:00:00+00', NULL, '26a79116-53ba-4539-8e13-5088556881fd', 'security', 'token_refreshed', '862b1255-7da4-4bb7-91df-749054200e03', '40f93fbe-a3d0-496e-9b64-9d236883013f', '{"address":"192.0.2.1"}', '\x8bcfb1d582e0ecc03fb77c482ada33f6cf3d20cf1d35a21efff93d0724a8ff46', '\xc51ac4e13a6429a9c47e0bf4ceff4edfea7f64f4efc9f8ab6705e4fb2718a131', NULL);


--
-- Data for Name: commit_order; Type: TABLE DATA; Schema: aurora; Owner: -
--



--
-- Data for Name: identity_keys; Type: TABLE DATA; Schema: aurora; Owner: -
--

INSERT INTO aurora.identity_keys VALUES (1, '\x23e208e1a4c73cdae3640212607065b05323d6e95ad3ae71806b2eaaf386cc883636363636363636363636363636363636363636363636363636363636363636', '\x4988628bcead56b0890e68780a1a0fda3949bc8330b9c41bea0144c099eca6e25c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c', '2026-11-22 22:32:59.254055+00');


--
-- Data for Name: keys; Type: TABLE DATA; Schema: aurora; Owner: -
--

INSERT INTO aurora.keys VALUES (1, 'signing', '\x1031383562393866633462623233313132bd345b8b21129ff79eab1a057b0c8a43c5e5ef1c664d762ecf70c6677a1e18572b6d153bef6644cdd062a32653c9645065d6befeb85327bea943fbe89d494aa56cc20a33c5ef42e81913048f72e0ffb32f706e6f3d9c247b44684706c873d810cf41d200322f0dcb', '2027-01-15 08:00:00+00');
INSERT INTO aurora.keys VALUES (2, 'session', '\x103138356239386663346262323331313242aa2adf2e15b7bf796e10170046cda84121089a370ac37b38b4f6535de46e2b9946761534d5e8839bd597c9c1c79bbfc010a0235dba914ffafa8ee3d7f8cbd0a273528ffe4aeec961e67cc04c9fa35f78653f5702d9d88cc109b016f366ebac964dc8636c45ac1a', '2027-01-15 08:00:00+00');
INSERT INTO aurora.keys VALUES (3, 'password', '\x10313835623938666334626232333131324b70f9f6e6d8cdc201fc7d338d08d7c8b2bd81d30b9aeb73bb64925e5b06f716711fa7038e28bf18a81ba4ca7f34dde0c8071f956044184fd5d91851f350ec34a960895968f2feb2782062d012bff374a3310e2f25eabf504b2a376d71f9e30a66c279b3426b163a', '2027-01-15 08:00:00+00');
INSERT INTO aurora.keys VALUES (4, 'audit', '\x1031383562393866633462623233313132cf964de081a232040c04db76ad56877481652dd77100cfe861dde35761bf4ab5fc233489154ef7e60bf2f7126d0e7f1452a13f92639ce440082e0e21ee66989f5ee2eebbd174cd9d744d7d199a72b88a1780d52fe4f8fc4c016d13aa9cf454b23f9b11c0ab527e7f', '2027-01-15 08:00:00+00');
INSERT INTO aurora.keys VALUES (5, 'credential', '\x103138356239386663346262323331313285ea1011d6ed1600298d9eb17570bf6ecc8e8adc167c6cffdc3402d2da969e8e7c30c67f7fd778bab6500d80261f119b43a7c0d55c596faf4fd944dd1fe17c6d529dcde24779453caffd9ab9fd71762d21546eae01487cdc21721bd22504f51b7ca5032a9014c4f3', '2027-01-15 08:00:00+00');


--
-- Data for Name: migrations; Type: TABLE DATA; Schema: aurora; Owner: -
--

INSERT INTO aurora.migrations VALUES (1, 1, '2027-01-15 08:00:00+00');


--
-- Data for Name: signing_keys; Type: TABLE DATA; Schema: aurora; Owner: -
--

INSERT INTO aurora.signing_keys VALUES (1, 'lLKoW3OpXMrQ5ESvYRiRzyIgRaNHibzKMjXcw9xPxX4', 'ES256', '\x4155010100000001006a2f5ce9d90b2f5940e5abd0f7c552f328ed2129412ccfefea324403155b2f49290d9505993c37e9c209151d4baf30750087516b9e23d33a95012d264dea3dbdce6df2012239f8e5438d3f8ad4250981cbdf2149ddabfd551449f815eb56b1b0923033e428f70cf7507981139ae5dbbc764da3405ca93ed30154b5c383437ce1e4faf5d6943163b4dbc28f9e6a64a46c94ba0a2a74610f7ff342d230f595bd6e69fdb0360d405e58d694dbe631f7ffb3bce91321c1a6eaa8c1644b9ca4d31fb505e934659c82e2af7107e687a93bbe558691', '{"kty":"EC","crv":"P-256","x":"TEO9dNexxOF2V8gNkeA04E4Q15kjHqXL8QVfOcd_tWg","y":"MIAqSZ19dXDOKUzhqC2lzxxPf9S5BSDUA5HxuAAm9gk","kid":"lLKoW3OpXMrQ5ESvYRiRzyIgRaNHibzKMjXcw9xPxX4","alg":"ES256","use":"sig","key_ops":["verify"]}', 'active', '2027-01-15 08:00:00+00');


--
-- Data for Name: identities; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.identities VALUES ('02e7f51a-329b-4290-92dd-0681d045555c', '26a79116-53ba-4539-8e13-5088556881fd', 'email', '26a79116-53ba-4539-8e13-5088556881fd', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');
INSERT INTO auth.identities VALUES ('e77a285e-8689-4bc0-bda7-76dce6930961', '233e24f6-33a3-4bef-ac0f-324228c77f65', 'email', '233e24f6-33a3-4bef-ac0f-324228c77f65', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');


--
-- Data for Name: refresh_tokens; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.refresh_tokens VALUES ('\x44af6a2423c5b74efbab6e8d63bea095e1a84987688c02c54122b27fa65e4de4', '862b1255-7da4-4bb7-91df-749054200e03', 0, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');
INSERT INTO auth.refresh_tokens VALUES ('\x254fb21f3e4b65762be4a5b837a3b631160ceead4754e7fc1f550c08f5ce47e7', '862b1255-7da4-4bb7-91df-749054200e03', 1, '2027-01-15 08:00:00+00', NULL);


--
-- Data for Name: revocations; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.revocations OVERRIDING SYSTEM VALUE VALUES (1, '8a670785-3bc2-45ce-abef-1878b0d868ae', '2027-01-15 08:00:00+00');


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.sessions VALUES ('862b1255-7da4-4bb7-91df-749054200e03', '26a79116-53ba-4539-8e13-5088556881fd', 'bb2cd8a8-dced-4954-9fc7-756c45dbf337', 1, 'aal1', '[{"method": "password", "timestamp": 1800000000}]', 'test-agent/1.0', '192.0.2.1', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2028-01-15 08:00:00+00');


--
-- Data for Name: users; Type: TABLE DATA; Schema: auth; Owner: -
--

INSERT INTO auth.users VALUES ('26a79116-53ba-4539-8e13-5088556881fd', 'ann@example.com', '2027-01-15 08:00:00+00', NULL, NULL, NULL, '$argon2id$v=19$m=8192,t=5,p=1,keyid=xiwnJJ5k$0ORqvmw7FudJxbr7Ackdaw$4WVBHJzpHUSn/FgStRRWo2wDRFe2ZKfCEz+rjEw92/o', '{"provider": "email", "providers": ["email"]}', '{}', NULL, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');
INSERT INTO auth.users VALUES ('233e24f6-33a3-4bef-ac0f-324228c77f65', 'ben@example.com', '2027-01-15 08:00:00+00', NULL, NULL, NULL, '$argon2id$v=19$m=8192,t=5,p=1,keyid=xiwnJJ5k$ovkEU9L1hDrVIk0HZ0i9Kw$QMqcNqUS/su+a2i1kfUfYdmnIxCWQo4JHRYTjXaB4F0', '{"provider": "email", "providers": ["email"]}', '{}', '2096-10-02 07:06:40+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');


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

CREATE POLICY store ON aurora.audit TO aurora_store USING (( SELECT identity.bound
   FROM aurora.identity));


--
-- Name: keys store_adds; Type: POLICY; Schema: aurora; Owner: -
--

CREATE POLICY store_adds ON aurora.keys FOR INSERT TO aurora_store WITH CHECK (
CASE
    WHEN ( SELECT aurora.unkeyed() AS unkeyed) THEN true
    ELSE ( SELECT identity.bound
       FROM aurora.identity)
END);


--
-- Name: signing_keys store_adds; Type: POLICY; Schema: aurora; Owner: -
--

CREATE POLICY store_adds ON aurora.signing_keys FOR INSERT TO aurora_store WITH CHECK (
CASE
    WHEN ( SELECT aurora.unkeyed() AS unkeyed) THEN true
    ELSE ( SELECT identity.bound
       FROM aurora.identity)
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

CREATE POLICY store ON auth.identities TO aurora_store USING (( SELECT identity.bound
   FROM aurora.identity));


--
-- Name: refresh_tokens store; Type: POLICY; Schema: auth; Owner: -
--

CREATE POLICY store ON auth.refresh_tokens TO aurora_store USING (( SELECT identity.bound
   FROM aurora.identity));


--
-- Name: revocations store; Type: POLICY; Schema: auth; Owner: -
--

CREATE POLICY store ON auth.revocations TO aurora_store USING (( SELECT identity.bound
   FROM aurora.identity));


--
-- Name: sessions store; Type: POLICY; Schema: auth; Owner: -
--

CREATE POLICY store ON auth.sessions TO aurora_store USING (( SELECT identity.bound
   FROM aurora.identity));


--
-- Name: users store; Type: POLICY; Schema: auth; Owner: -
--

CREATE POLICY store ON auth.users TO aurora_store USING (( SELECT identity.bound
   FROM aurora.identity));


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

\unrestrict 0xO05s464pQaOFwqop9iRuMQG7NLiQFUx3cCaXMsusVv61qsju5DLXWU3GCJfEG

