-- updated_at is kept by the database, because three services write these tables.

CREATE FUNCTION touch_updated_at() RETURNS trigger
LANGUAGE plpgsql
AS $touch$
BEGIN
    -- A write that changes nothing must not look like a change; it's common with upserts.
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END;
$touch$;

CREATE TRIGGER tenants_touch_updated_at
    BEFORE UPDATE ON tenants
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

CREATE TRIGGER users_touch_updated_at
    BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
