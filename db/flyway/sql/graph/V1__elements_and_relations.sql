-- An enterprise model as a typed graph: elements are nodes, relations are edges.

CREATE TABLE element_kinds (
    kind   text PRIMARY KEY,
    layer  text NOT NULL
);

CREATE TABLE elements (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id   uuid NOT NULL,
    kind        text NOT NULL REFERENCES element_kinds (kind),
    name        text NOT NULL,
    properties  jsonb NOT NULL DEFAULT '{}'::jsonb,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE relations (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    source_id   uuid NOT NULL REFERENCES elements (id) ON DELETE CASCADE,
    target_id   uuid NOT NULL REFERENCES elements (id) ON DELETE CASCADE,
    kind        text NOT NULL,
    properties  jsonb NOT NULL DEFAULT '{}'::jsonb,
    UNIQUE (source_id, target_id, kind),
    CHECK (source_id <> target_id)
);

CREATE INDEX relations_target ON relations (target_id);
CREATE INDEX elements_properties ON elements USING gin (properties jsonb_path_ops);
