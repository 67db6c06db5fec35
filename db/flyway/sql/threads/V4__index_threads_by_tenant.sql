CREATE INDEX CONCURRENTLY IF NOT EXISTS threads_tenant ON threads (tenant_id, created_at DESC);
