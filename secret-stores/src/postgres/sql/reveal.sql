-- Selects as read.sql does.
SELECT tenant, object_id, version.id, run, state, staged, committed, version.data_key, wrapped, sealed
FROM version JOIN account ON account.id = version.account JOIN data_key ON data_key.id = version.data_key
WHERE state <> 'discarded' AND ($3::text IS NULL OR state = $3)
    AND ($1::text[] IS NULL OR $2::text[] IS NOT NULL OR tenant = ANY ($1))
    AND ($2::text[] IS NULL OR account.id = ANY (ARRAY (
        SELECT found.id FROM unnest($1::text[], $2::text[]) AS named (tenant, object_id)
        CROSS JOIN LATERAL (
            SELECT id FROM account AS one
            WHERE one.tenant = named.tenant AND one.object_id = named.object_id
            OFFSET 0
        ) AS found
    )))
ORDER BY tenant, object_id, position
