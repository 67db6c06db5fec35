-- A finished initiative has no open milestones. Deferred, so that one transaction may
-- reach the last milestone and finish the initiative in either order.

CREATE FUNCTION check_initiative_done() RETURNS trigger
LANGUAGE plpgsql
AS $check$
BEGIN
    IF NEW.stage = 'done' AND EXISTS (
        SELECT FROM milestones WHERE initiative_id = NEW.id AND reached_on IS NULL
    ) THEN
        RAISE EXCEPTION 'initiative % has open milestones', NEW.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END;
$check$;

CREATE CONSTRAINT TRIGGER initiatives_done_means_done
    AFTER INSERT OR UPDATE OF stage ON initiatives
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_initiative_done();
