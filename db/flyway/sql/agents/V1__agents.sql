-- Agents are described here and run elsewhere (see the agents_runtime database).

CREATE TYPE agent_visibility AS ENUM ('private', 'tenant', 'public');

CREATE TABLE agents (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id    uuid NOT NULL,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    purpose      text NOT NULL DEFAULT '',
    visibility   agent_visibility NOT NULL DEFAULT 'private',
    created_at   timestamptz NOT NULL DEFAULT now(),
    archived_at  timestamptz,
    UNIQUE (tenant_id, name)
);

CREATE TABLE agent_versions (
    agent_id      uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    version       integer NOT NULL CHECK (version > 0),
    model         text NOT NULL,
    instructions  text NOT NULL,
    parameters    jsonb NOT NULL DEFAULT '{"temperature": 0.2}'::jsonb,
    published_at  timestamptz,
    PRIMARY KEY (agent_id, version)
);
