ALTER TABLE instances ADD COLUMN paused_at timestamptz;

ALTER TABLE instances
    ADD CONSTRAINT instances_paused_has_time
    CHECK ((state = 'paused') = (paused_at IS NOT NULL)) NOT VALID;

ALTER TABLE instances VALIDATE CONSTRAINT instances_paused_has_time;

CREATE FUNCTION pause_instance(instance uuid) RETURNS boolean
LANGUAGE plpgsql
AS $pause$
BEGIN
    UPDATE instances SET state = 'paused', paused_at = now()
    WHERE id = instance AND state = 'running';
    RETURN found;
END;
$pause$;
