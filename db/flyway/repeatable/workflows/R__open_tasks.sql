CREATE OR REPLACE VIEW open_tasks AS
SELECT
    t.id,
    t.name,
    t.assignee,
    t.due_at,
    t.due_at < now() AS overdue,
    d.key            AS workflow,
    i.tenant_id
FROM tasks AS t
JOIN instances AS i ON i.id = t.instance_id
JOIN definitions AS d ON d.id = i.definition_id
WHERE t.done_at IS NULL
  AND i.state = 'running';
