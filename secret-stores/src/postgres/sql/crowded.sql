-- The next accounts, among those selected, that have more than $4 previous versions.
SELECT version.account FROM version JOIN account ON account.id = version.account
WHERE version.account > $3 AND state = 'previous'
    AND ($1::text[] IS NULL OR tenant = ANY ($1)) AND ($2::text[] IS NULL OR object_id = ANY ($2))
    AND ($2::text[] IS NULL OR (tenant, object_id) IN (SELECT * FROM unnest($1::text[], $2::text[])))
GROUP BY version.account HAVING count(*) > $4
ORDER BY version.account LIMIT 1000
