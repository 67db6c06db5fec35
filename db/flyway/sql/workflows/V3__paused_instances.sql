-- Alone in its script: a new enum value cannot be used by the transaction that adds it.

ALTER TYPE instance_state ADD VALUE IF NOT EXISTS 'paused' AFTER 'running';
