-- The next accounts, among those selected as in read.sql, that have more than $4 previous versions.
SELECT version.account FROM version JOIN account ON account.id = version.account
WHERE version.account > $3 AND state = 'previous'
    AND ($1::text[] IS NULL OR $2::text[] IS NOT NULL OR tenant = ANY ($1))
    AND ($2::text[] IS NULL OR account.id = ANY (ARRAY (
        SELECT found.id FROM unnest($1::text[], $2::text[]) AS named (tenant, object_id)
        CROSS JOIN LATERAL (
            SELECT id FROM account AS one
            WHERE one.tenant = named.tenant AND one.object_id = named.object_id
            OFFSET 0
        ) AS found
    )))
GROUP BY version.account HAVING count(*) > $4
ORDER BY version.account LIMIT 1000
