CREATE TABLE invitations (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id    uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    email        text NOT NULL,
    role         text NOT NULL DEFAULT 'member',
    token_hash   bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    invited_by   uuid REFERENCES users (id) ON DELETE SET NULL,
    expires_at   timestamptz NOT NULL DEFAULT now() + interval '7 days',
    accepted_at  timestamptz
);

-- One open invitation for an address; history may hold many.
CREATE UNIQUE INDEX invitations_open_key
    ON invitations (tenant_id, lower(email))
    WHERE accepted_at IS NULL;

ALTER TABLE users ADD COLUMN last_seen_at timestamptz;
