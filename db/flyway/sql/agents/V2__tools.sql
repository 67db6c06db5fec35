CREATE TABLE tools (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name        text NOT NULL UNIQUE,
    schema      jsonb NOT NULL CHECK (jsonb_typeof(schema) = 'object'),
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE agent_tools (
    agent_id  uuid NOT NULL,
    version   integer NOT NULL,
    tool_id   uuid NOT NULL REFERENCES tools (id),
    PRIMARY KEY (agent_id, version, tool_id),
    FOREIGN KEY (agent_id, version) REFERENCES agent_versions (agent_id, version) ON DELETE CASCADE
);

INSERT INTO tools (name, schema) VALUES
    ('search',     '{"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}'),
    ('calculator', '{"type": "object", "properties": {"expression": {"type": "string"}}}');
