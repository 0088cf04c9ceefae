-- What is wrong with the tables of schema $1: what makes them lose, hide or change rows has no place there.
SELECT name, CASE
    WHEN oid IS NULL THEN 'is missing'
    WHEN relpersistence <> 'p' THEN 'is unlogged: a crash of the server would empty it'
    WHEN relrowsecurity THEN 'hides rows by a policy'
    WHEN relhasrules THEN 'has a rule'
    ELSE 'has a trigger'
END AS fault
FROM unnest('{account, data_key, lease, version}'::text[]) AS ours (name)
LEFT JOIN pg_class ON relname = name AND relkind = 'r' AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
WHERE oid IS NULL OR relpersistence <> 'p' OR relrowsecurity OR relhasrules
    OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = pg_class.oid AND NOT tgisinternal)
