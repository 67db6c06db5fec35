CREATE TABLE element_history (
    element_id  uuid NOT NULL,
    revision    integer NOT NULL,
    old_value   jsonb NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (element_id, revision)
);

CREATE FUNCTION record_element_history() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO element_history (element_id, revision, old_value)
    SELECT OLD.id, coalesce(max(h.revision), 0) + 1, to_jsonb(OLD)
    FROM element_history AS h
    WHERE h.element_id = OLD.id;
    RETURN NULL;
END;
$$;

CREATE TRIGGER elements_record_history
    AFTER UPDATE OR DELETE ON elements
    FOR EACH ROW EXECUTE FUNCTION record_element_history();
