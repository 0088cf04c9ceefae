-- Makes current what may become current, and says for each in turn what became of it. The accounts are locked.
WITH asked AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::uuid[], $4::timestamptz[], $5::json[]
    ) WITH ORDINALITY AS asked (tenant, object_id, id, committed_at, committed, number)
), judged AS (
    SELECT
        asked.number,
        version.id,
        version.account,
        version.position,
        CASE
            WHEN version.state = 'current' THEN 'current'
            WHEN version.state IS NULL OR version.state = 'discarded' OR version.committed_at IS NOT NULL
                THEN 'not-pending'
            WHEN version.contested THEN 'contested'
            WHEN EXISTS (
                SELECT FROM version AS later
                WHERE later.account = version.account AND later.position > version.position
                    AND later.run <> version.run AND later.state <> 'discarded'
            ) THEN 'fenced'
            WHEN version.state = 'pending' THEN 'committed'
            ELSE 'not-pending'
        END AS answer
    FROM asked
    LEFT JOIN account USING (tenant, object_id)
    LEFT JOIN version ON version.id = asked.id AND version.account = account.id
), overtaken AS (
    UPDATE version SET state = 'previous'
    FROM judged
    WHERE judged.answer = 'committed' AND version.account = judged.account AND version.position < judged.position
        AND version.state IN ('pending', 'current')
), committed AS (
    UPDATE version SET state = 'current', committed_at = asked.committed_at, committed = asked.committed
    FROM judged JOIN asked USING (number)
    WHERE judged.answer = 'committed' AND version.id = judged.id
), fenced AS (
    -- Either may be live: it is pending again, as the newest, and fences the other run in turn.
    UPDATE version SET state = 'pending', contested = true, position = DEFAULT
    FROM judged
    WHERE judged.answer = 'fenced' AND version.id = judged.id
)
SELECT answer FROM judged ORDER BY number
