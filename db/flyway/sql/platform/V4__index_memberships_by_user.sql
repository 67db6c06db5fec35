-- "Which tenants may this user see" is asked at every login. CONCURRENTLY, because the
-- table is busy; therefore alone in its script, outside any transaction.

CREATE INDEX CONCURRENTLY IF NOT EXISTS memberships_user_id ON memberships (user_id);
