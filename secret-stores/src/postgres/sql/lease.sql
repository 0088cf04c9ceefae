-- Begins a lease, or lets it live on; no row if it lapsed.
INSERT INTO lease (tenant, run, lapses_at) VALUES ($1, $2, clock_timestamp() + $3::float8 * interval '1 second')
ON CONFLICT (tenant, run) DO UPDATE SET lapses_at = excluded.lapses_at WHERE lease.lapses_at > clock_timestamp()
RETURNING run
