-- For the index it takes accounts of any of these tenants with any of these ids; the pairs alone are right.
SELECT tenant, object_id, version.id, run, state, staged, committed
FROM version JOIN account ON account.id = version.account
WHERE state <> 'discarded'
    AND ($1::text[] IS NULL OR tenant = ANY ($1)) AND ($2::text[] IS NULL OR object_id = ANY ($2))
    AND ($2::text[] IS NULL OR (tenant, object_id) IN (SELECT * FROM unnest($1::text[], $2::text[])))
    AND ($3::text IS NULL OR state = $3)
ORDER BY tenant, object_id, position
