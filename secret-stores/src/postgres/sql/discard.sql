-- Drops a pending version, and says what it was. The account is locked.
WITH known AS (
    SELECT version.id, state FROM version JOIN account ON account.id = version.account
    WHERE version.id = $3 AND tenant = $1 AND object_id = $2
), discarded AS (
    UPDATE version SET state = 'discarded', sealed = NULL
    FROM known WHERE version.id = known.id AND known.state = 'pending'
)
SELECT state FROM known
