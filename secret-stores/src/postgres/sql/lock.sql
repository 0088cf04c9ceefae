-- Locks the accounts named, always in one order. A statement of its own: the next one sees what those wrote who held
-- the locks before.
SELECT count(*) FROM (
    SELECT id FROM account
    WHERE (tenant, object_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
    ORDER BY id
    FOR UPDATE
) AS locked
