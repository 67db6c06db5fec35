CREATE TYPE run_state AS ENUM ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled');

CREATE TABLE runs (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id       uuid NOT NULL,
    agent_id        uuid NOT NULL,
    agent_version   integer NOT NULL,
    state           run_state NOT NULL DEFAULT 'queued',
    input           jsonb NOT NULL,
    output          jsonb,
    queued_at       timestamptz NOT NULL DEFAULT now(),
    started_at      timestamptz,
    finished_at     timestamptz,
    duration        interval GENERATED ALWAYS AS (finished_at - started_at) STORED,
    CONSTRAINT runs_end_after_start CHECK (finished_at IS NULL OR finished_at >= started_at)
);

CREATE TABLE run_steps (
    run_id      uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    ordinal     integer NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('model', 'tool', 'human')),
    request     jsonb NOT NULL,
    response    jsonb,
    tokens_in   integer NOT NULL DEFAULT 0,
    tokens_out  integer NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, ordinal)
);
