-- Events are kept for some weeks; whole partitions go, rows never do.

CREATE TABLE run_events (
    run_id       uuid NOT NULL,
    sequence     bigint NOT NULL,
    name         text NOT NULL,
    payload      jsonb NOT NULL DEFAULT '{}'::jsonb,
    recorded_at  timestamptz NOT NULL DEFAULT now()
) PARTITION BY HASH (run_id);

CREATE TABLE run_events_0 PARTITION OF run_events FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE run_events_1 PARTITION OF run_events FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE run_events_2 PARTITION OF run_events FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE run_events_3 PARTITION OF run_events FOR VALUES WITH (MODULUS 4, REMAINDER 3);

CREATE UNIQUE INDEX run_events_run_sequence ON run_events (run_id, sequence);
