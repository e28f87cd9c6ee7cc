-- Identities by a MAC, as Aurora makes them: run as a superuser, then start the services again.
BEGIN;
GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO PUBLIC;
DO $aurora$
DECLARE
    called text;
    who text;
BEGIN
    FOR called, who IN
        SELECT 'as_' || r, quote_literal(r || '|')
            FROM unnest(ARRAY['anon', 'authenticated', 'aurora_store', 'aurora_service']) r
        UNION ALL SELECT 'identity', $who$current_setting('role') || '|'$who$
    LOOP
        EXECUTE format($view$
            CREATE OR REPLACE VIEW aurora.%I AS
            SELECT i.claims, NULLIF(i.claims ->> 'sub', '')::uuid AS uid, i.claims IS NOT NULL AS bound
            FROM (SELECT coalesce(
                (SELECT current_setting('request.jwt.claims', true) FROM aurora.identity_keys k
                    WHERE encode(sha256(k.outer_block || sha256(k.inner_block
                        || timestamptz_send(transaction_timestamp()) || int4send(pg_backend_pid())
                        || convert_to(%s || current_setting('request.jwt.claims', true), 'UTF8'))),
                        'hex') = current_setting('aurora.mac', true)),
                aurora.refused())::jsonb AS claims) i
        $view$, called, who);
    END LOOP;
END
$aurora$;
COMMIT;
