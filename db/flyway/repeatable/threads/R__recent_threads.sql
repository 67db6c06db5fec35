CREATE OR REPLACE VIEW recent_threads AS
SELECT
    t.id,
    t.tenant_id,
    t.title,
    coalesce(t.last_message_at, t.created_at) AS active_at,
    (SELECT count(*) FROM messages AS m WHERE m.thread_id = t.id) AS messages
FROM threads AS t
WHERE coalesce(t.last_message_at, t.created_at) > now() - interval '30 days';
