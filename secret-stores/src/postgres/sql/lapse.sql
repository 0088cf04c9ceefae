-- Writes down which leases have lapsed, of the runs that ask and of those that the accounts belong to: a lease whose
-- renewal is under way is waited for, and judged as that leaves it; one that is written down is never renewed. The
-- accounts are locked; the leases are, always in one order.
WITH asked AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[]) AS asked (tenant, object_id, run)
), concerned AS (
    SELECT tenant, run FROM asked
    UNION
    SELECT tenant, newest.run
    FROM asked JOIN account USING (tenant, object_id)
    JOIN LATERAL (
        SELECT version.run FROM version
        WHERE version.account = account.id AND state = 'pending'
        ORDER BY position DESC LIMIT 1
    ) AS newest ON true
), lapsed AS (
    SELECT tenant, run FROM lease JOIN concerned USING (tenant, run)
    WHERE lapses_at <= clock_timestamp() AND lapses_at > '-infinity'
    ORDER BY tenant, run
    FOR UPDATE OF lease
)
UPDATE lease SET lapses_at = '-infinity'
FROM lapsed WHERE lease.tenant = lapsed.tenant AND lease.run = lapsed.run
