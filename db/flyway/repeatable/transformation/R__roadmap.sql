CREATE OR REPLACE VIEW roadmap AS
SELECT
    i.tenant_id,
    i.id,
    i.title,
    i.stage,
    i.planned,
    count(m.id)                                        AS milestones,
    count(m.id) FILTER (WHERE m.reached_on IS NULL)    AS open_milestones,
    min(m.due_on) FILTER (WHERE m.reached_on IS NULL)  AS next_due_on
FROM initiatives AS i
LEFT JOIN milestones AS m ON m.initiative_id = i.id
WHERE i.stage <> 'dropped'
GROUP BY i.id;
