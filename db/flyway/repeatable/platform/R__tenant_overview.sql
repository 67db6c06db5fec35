-- Read by the admin pages and by support; replaced whenever this file changes.

CREATE OR REPLACE VIEW tenant_overview AS
SELECT
    t.id,
    t.slug,
    t.name,
    t.status,
    count(m.user_id)                                        AS members,
    count(m.user_id) FILTER (WHERE m.role = 'owner')        AS owners,
    max(u.last_seen_at)                                     AS last_seen_at
FROM tenants AS t
LEFT JOIN memberships AS m ON m.tenant_id = t.id
LEFT JOIN users AS u ON u.id = m.user_id
GROUP BY t.id;

COMMENT ON VIEW tenant_overview IS 'One row a tenant; ''owners'' = 0 needs a human.';
