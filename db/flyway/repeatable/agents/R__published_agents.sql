-- The newest published version of each agent that is not archived.

CREATE OR REPLACE VIEW published_agents AS
SELECT DISTINCT ON (a.id)
    a.id,
    a.tenant_id,
    a.name,
    a.visibility,
    v.version,
    v.model,
    v.published_at
FROM agents AS a
JOIN agent_versions AS v ON v.agent_id = a.id
WHERE a.archived_at IS NULL
  AND v.published_at IS NOT NULL
ORDER BY a.id, v.version DESC;
