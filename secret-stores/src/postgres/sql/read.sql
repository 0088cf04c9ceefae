SELECT tenant, object_id, version.id, run, state, staged, committed
FROM version JOIN account ON account.id = version.account
WHERE state <> 'discarded'
    AND ($1::text IS NULL OR tenant = $1) AND ($2::text IS NULL OR object_id = $2) AND ($3::text IS NULL OR state = $3)
ORDER BY tenant, object_id, position
