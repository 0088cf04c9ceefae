-- What there is to know of the server and of schema $1, before anything is written.
SELECT
    current_setting('fsync') AS fsync,
    current_setting('server_encoding') AS encoding,
    schema.oid IS NOT NULL AS exists,
    coalesce(has_schema_privilege(schema.oid, 'USAGE'), false) AS usable,
    EXISTS (SELECT FROM pg_class WHERE relnamespace = schema.oid) AS occupied,
    EXISTS (SELECT FROM pg_class WHERE relnamespace = schema.oid AND relname = 'rotation_store') AS ours
FROM (SELECT (SELECT oid FROM pg_namespace WHERE nspname = $1)) AS schema (oid)
