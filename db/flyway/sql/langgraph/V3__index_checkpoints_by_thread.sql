CREATE INDEX CONCURRENTLY IF NOT EXISTS checkpoints_thread ON checkpoints (thread_id);
