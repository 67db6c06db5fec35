CREATE TABLE tasks (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    instance_id  uuid NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    name         text NOT NULL,
    assignee     uuid,
    attempts     smallint NOT NULL DEFAULT 0,
    due_at       timestamptz,
    done_at      timestamptz
);

CREATE INDEX tasks_open_by_assignee ON tasks (assignee, due_at) WHERE done_at IS NULL;
