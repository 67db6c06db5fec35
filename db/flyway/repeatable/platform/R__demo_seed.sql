-- People to log in as on a developer's machine. Inert unless the placeholder
-- seed_demo_data is "true" (chart value migrations.seedDemoData); safe to run again.

INSERT INTO tenants (slug, name, status)
SELECT demo.slug, demo.name, demo.status::tenant_status
FROM (VALUES
    ('acme',   'Acme Ltd; tools & traps', 'active'),
    ('globex', 'Globex',                  'trial')
) AS demo (slug, name, status)
WHERE '${seed_demo_data}' = 'true'
ON CONFLICT (slug) DO NOTHING;

INSERT INTO users (email, display_name)
SELECT demo.email, demo.display_name
FROM (VALUES
    ('ada@acme.example',    'Ada'),
    ('grace@acme.example',  'Grace'),
    ('hank@globex.example', 'Hank')
) AS demo (email, display_name)
WHERE '${seed_demo_data}' = 'true'
ON CONFLICT (email_folded) DO NOTHING;

INSERT INTO memberships (tenant_id, user_id, role)
SELECT t.id, u.id, demo.role
FROM (VALUES
    ('acme',   'ada@acme.example',    'owner'),
    ('acme',   'grace@acme.example',  'member'),
    ('globex', 'hank@globex.example', 'owner')
) AS demo (slug, email, role)
JOIN tenants AS t ON t.slug = demo.slug
JOIN users AS u ON u.email_folded = demo.email
WHERE '${seed_demo_data}' = 'true'
ON CONFLICT (tenant_id, user_id) DO NOTHING;
