-- What each transaction asks first and last, as functions: their plans are kept, those of a message's text are not.
-- A run role calls them before it is anybody and after, so they are PUBLIC's; they read no table and tell a session
-- about itself.
CREATE FUNCTION aurora.transaction_start() RETURNS bytea LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $aurora$
BEGIN
    RETURN pg_catalog.timestamptz_send(pg_catalog.transaction_timestamp())
        OPERATOR(pg_catalog.||) pg_catalog.int4send(pg_catalog.pg_backend_pid());
END
$aurora$;

-- Gives session-level advisory locks back; answers whether nothing else that SQL leaves behind is in the session.
CREATE FUNCTION aurora.clean_session() RETURNS boolean LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $aurora$
BEGIN
    PERFORM pg_catalog.pg_advisory_unlock_all();
    RETURN pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.=) 0
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_statement() p WHERE p.from_sql);
END
$aurora$;

GRANT USAGE ON SCHEMA aurora TO PUBLIC;
GRANT EXECUTE ON FUNCTION aurora.transaction_start(), aurora.clean_session() TO PUBLIC;
