-- Drops all but the $2 newest previous versions of each account. The accounts are locked.
WITH dropped AS (
    DELETE FROM version USING (
        SELECT id, row_number() OVER (PARTITION BY account ORDER BY position DESC) AS age
        FROM version WHERE account = ANY ($1) AND state = 'previous'
    ) AS aged
    WHERE version.id = aged.id AND aged.age > $2
    RETURNING 1
)
SELECT count(*) FROM dropped
