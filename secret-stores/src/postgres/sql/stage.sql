-- Stages what may be staged, and says for each in turn what became of it. The accounts are locked, and which leases have
-- lapsed is written down: asking the clock again would be asking of what another transaction may be renewing.
WITH asked AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::json[], $7::bytea[]
    ) WITH ORDINALITY AS asked (tenant, object_id, id, run, planned_at, staged, sealed, number)
), judged AS (
    SELECT
        asked.number,
        account.id AS account,
        CASE
            WHEN own.run IS NULL THEN 'lease-lost'
            WHEN known.state = 'discarded' THEN 'not-pending'
            WHEN known.account <> account.id OR known.run <> asked.run THEN 'taken'
            WHEN known.id IS NOT NULL THEN 'known'
            WHEN holder.run IS NOT NULL THEN 'leased'
            WHEN since.run IS NOT NULL THEN 'rotated-since'
            ELSE 'staged'
        END AS answer,
        coalesce(holder.run, since.run) AS other_run,
        holder.lapses_in
    FROM asked
    JOIN account USING (tenant, object_id)
    LEFT JOIN lease AS own
        ON own.tenant = asked.tenant AND own.run = asked.run AND own.lapses_at > '-infinity'
    LEFT JOIN version AS known ON known.id = asked.id
    LEFT JOIN LATERAL (
        -- Whose the account is: the run of its newest pending version, as long as the lease of that run lives.
        SELECT lease.run, extract(epoch FROM lease.lapses_at - clock_timestamp())::float8 AS lapses_in
        FROM (
            SELECT run FROM version
            WHERE version.account = account.id AND state = 'pending'
            ORDER BY position DESC LIMIT 1
        ) AS newest
        JOIN lease ON lease.tenant = asked.tenant AND lease.run = newest.run AND lease.lapses_at > '-infinity'
        WHERE newest.run <> asked.run
    ) AS holder ON true
    LEFT JOIN LATERAL (
        SELECT run FROM version
        WHERE version.account = account.id AND run <> asked.run AND committed_at >= asked.planned_at
        ORDER BY position DESC LIMIT 1
    ) AS since ON true
), inserted AS (
    INSERT INTO version (id, account, state, run, staged, data_key, sealed)
    SELECT id, judged.account, 'pending', run, asked.staged, $8::bigint, sealed
    FROM judged JOIN asked USING (number)
    WHERE answer = 'staged'
    ORDER BY number
)
SELECT answer, other_run, lapses_in FROM judged ORDER BY number
