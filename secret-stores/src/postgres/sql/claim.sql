-- The accounts named, as rows that can be locked. In the order of the index, so that two who do it do not wait for
-- each other in a circle.
INSERT INTO account (tenant, object_id)
SELECT tenant, object_id FROM unnest($1::text[], $2::text[]) AS named (tenant, object_id)
ORDER BY tenant COLLATE "C", object_id COLLATE "C"
ON CONFLICT DO NOTHING
