-- Events leave through the outbox, in the transaction that caused them.

CREATE TABLE outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text NOT NULL,
    payload     jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION announce_instance_state() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO outbox (topic, payload)
    VALUES (
        'workflow.instance.' || NEW.state,
        jsonb_build_object('instance', NEW.id, 'tenant', NEW.tenant_id, 'state', NEW.state)
    );
    PERFORM pg_notify('outbox', '');
    RETURN NULL;
END;
$$;

CREATE TRIGGER instances_announce_state
    AFTER INSERT OR UPDATE OF state ON instances
    FOR EACH ROW EXECUTE FUNCTION announce_instance_state();
