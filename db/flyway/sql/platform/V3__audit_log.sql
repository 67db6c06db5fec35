-- The audit log grows without end: one partition a year can be detached and archived.

CREATE TABLE audit_log (
    id           bigint GENERATED ALWAYS AS IDENTITY,
    tenant_id    uuid NOT NULL,
    actor_id     uuid,
    action       text NOT NULL,
    subject      text NOT NULL,
    detail       jsonb NOT NULL DEFAULT '{}'::jsonb,
    occurred_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, occurred_at)
) PARTITION BY RANGE (occurred_at);

CREATE TABLE audit_log_default PARTITION OF audit_log DEFAULT;

DO $$
DECLARE
    first_year constant int := 2025;
    last_year  constant int := 2028;
BEGIN
    FOR year IN first_year .. last_year LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF audit_log FOR VALUES FROM (%L) TO (%L)',
            'audit_log_' || year,
            make_date(year, 1, 1),
            make_date(year + 1, 1, 1)
        );
    END LOOP;
END
$$;

CREATE INDEX audit_log_tenant_time ON audit_log (tenant_id, occurred_at DESC);

COMMENT ON TABLE audit_log IS 'Who did what; rows are written once and never changed.';
