CREATE TYPE instance_state AS ENUM ('running', 'completed', 'failed');

CREATE TABLE definitions (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key         text NOT NULL,
    version     integer NOT NULL DEFAULT 1,
    document    jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (key, version)
);

CREATE TABLE instances (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    definition_id  uuid NOT NULL REFERENCES definitions (id),
    tenant_id      uuid NOT NULL,
    state          instance_state NOT NULL DEFAULT 'running',
    variables      jsonb NOT NULL DEFAULT '{}'::jsonb,
    started_at     timestamptz NOT NULL DEFAULT now(),
    ended_at       timestamptz
);

CREATE INDEX instances_definition ON instances (definition_id);
