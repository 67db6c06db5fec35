-- A published version is what others run: it may be superseded, never edited.

CREATE FUNCTION refuse_edit_of_published_version() RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    IF OLD.published_at IS NOT NULL
       AND (NEW.model, NEW.instructions, NEW.parameters)
           IS DISTINCT FROM (OLD.model, OLD.instructions, OLD.parameters) THEN
        RAISE EXCEPTION 'version % of agent % is published', OLD.version, OLD.agent_id
            USING HINT = 'Make a new version; it''s cheap.';
    END IF;
    RETURN NEW;
END
$function$;

CREATE TRIGGER agent_versions_published_is_final
    BEFORE UPDATE ON agent_versions
    FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_published_version();

CREATE FUNCTION publish_agent_version(agent uuid, candidate integer) RETURNS timestamptz
LANGUAGE sql
BEGIN ATOMIC
    UPDATE agent_versions
       SET published_at = coalesce(published_at, now())
     WHERE agent_id = agent AND version = candidate
    RETURNING published_at;
END;
