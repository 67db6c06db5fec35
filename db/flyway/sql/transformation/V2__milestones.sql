CREATE TABLE milestones (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    initiative_id  uuid NOT NULL REFERENCES initiatives (id) ON DELETE CASCADE,
    title          text NOT NULL,
    due_on         date NOT NULL,
    reached_on     date
);

CREATE INDEX milestones_open ON milestones (due_on) WHERE reached_on IS NULL;

CREATE TABLE initiative_dependencies (
    initiative_id  uuid NOT NULL REFERENCES initiatives (id) ON DELETE CASCADE,
    depends_on_id  uuid NOT NULL REFERENCES initiatives (id) ON DELETE CASCADE,
    PRIMARY KEY (initiative_id, depends_on_id),
    CHECK (initiative_id <> depends_on_id)
);
