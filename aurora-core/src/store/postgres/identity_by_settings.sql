-- Identities by settings: stop the services, run this as a superuser in a database with Aurora's schema
-- (psql --set ON_ERROR_STOP=1), start them again.
-- Only a statement of its own can make an identity then, and Aurora sends a host's statements one at a time.
BEGIN;
REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO aurora_store;
DO $aurora$
DECLARE
    called text;
    whose text;
BEGIN
    -- Only a superuser's REVOKE takes; anybody else's is a warning, and views that believe settings would open all.
    IF EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname IN ('anon', 'authenticated', 'aurora_service')
        AND has_function_privilege(r.oid, 'pg_catalog.set_config(text, text, boolean)', 'EXECUTE')) THEN
        RAISE EXCEPTION 'set_config is not revoked: run this as a superuser, and take it from anon, authenticated and aurora_service';
    END IF;
    -- pg_dump calls it.
    EXECUTE format('GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO %s',
        (SELECT nspowner::regrole FROM pg_catalog.pg_namespace WHERE nspname = 'aurora'));
    FOR called, whose IN
        SELECT 'as_' || r, format('CASE WHEN current_setting(''role'') = %L THEN ', r)
            FROM unnest(ARRAY['anon', 'authenticated', 'aurora_store', 'aurora_service']) r
        UNION ALL SELECT 'identity', 'CASE WHEN true THEN '
    LOOP
        EXECUTE format($view$
            CREATE OR REPLACE VIEW aurora.%I AS
            SELECT i.claims, NULLIF(i.claims ->> 'sub', '')::uuid AS uid, i.claims IS NOT NULL AS bound
            FROM (SELECT coalesce(%s NULLIF(current_setting('request.jwt.claims', true), '') END,
                aurora.refused())::jsonb AS claims) i
        $view$, called, whose);
    END LOOP;
END
$aurora$;
COMMIT;
