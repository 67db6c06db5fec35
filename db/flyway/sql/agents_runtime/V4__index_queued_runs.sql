-- Only the queue is searched by time, and the queue is short: a partial index stays small.

CREATE INDEX CONCURRENTLY IF NOT EXISTS runs_queue ON runs (queued_at) WHERE state = 'queued';
