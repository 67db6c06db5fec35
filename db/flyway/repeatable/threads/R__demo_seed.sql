-- A thread to look at on a developer's machine. Inert unless the placeholder
-- seed_demo_data is "true" (chart value migrations.seedDemoData); safe to run again.

INSERT INTO threads (id, title, created_by, tenant_id, metadata)
SELECT
    '11111111-1111-4111-8111-111111111111',
    'How do I add a column?',
    '22222222-2222-4222-8222-222222222222',
    '33333333-3333-4333-8333-333333333333',
    '{"demo": true}'
WHERE '${seed_demo_data}' = 'true'
ON CONFLICT (id) DO NOTHING;

INSERT INTO messages (thread_id, author, body)
SELECT '11111111-1111-4111-8111-111111111111', demo.author, demo.body
FROM (VALUES
    (1, 'user',      'How do I add a column?'),
    (2, 'assistant', 'Save a new V file; the old ones stay as they are.')
) AS demo (ordinal, author, body)
WHERE '${seed_demo_data}' = 'true'
  AND NOT EXISTS (SELECT FROM messages WHERE thread_id = '11111111-1111-4111-8111-111111111111')
ORDER BY demo.ordinal;
