-- Existing threads belong to nobody yet: they get the nil tenant, and are claimed later.

ALTER TABLE threads
    ADD COLUMN tenant_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    ADD COLUMN metadata  jsonb NOT NULL DEFAULT '{}'::jsonb;

ALTER TABLE threads ALTER COLUMN tenant_id DROP DEFAULT;
