CREATE OR REPLACE VIEW latest_checkpoints AS
SELECT DISTINCT ON (thread_id, namespace)
    thread_id,
    namespace,
    checkpoint_id,
    metadata ->> 'step' AS step
FROM checkpoints
ORDER BY thread_id, namespace, checkpoint_id DESC;
