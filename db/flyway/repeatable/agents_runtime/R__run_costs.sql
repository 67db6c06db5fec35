CREATE OR REPLACE VIEW run_costs AS
SELECT
    r.tenant_id,
    date_trunc('day', r.queued_at) AS day,
    count(DISTINCT r.id)           AS runs,
    coalesce(sum(s.tokens_in), 0)  AS tokens_in,
    coalesce(sum(s.tokens_out), 0) AS tokens_out
FROM runs AS r
LEFT JOIN run_steps AS s ON s.run_id = r.id
GROUP BY r.tenant_id, date_trunc('day', r.queued_at);
