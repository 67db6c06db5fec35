INSERT INTO element_kinds (kind, layer) VALUES
    ('capability',  'business'),
    ('process',     'business'),
    ('application', 'application'),
    ('interface',   'application'),
    ('node',        'technology'),
    ('artifact',    'technology')
ON CONFLICT (kind) DO UPDATE SET layer = excluded.layer;
