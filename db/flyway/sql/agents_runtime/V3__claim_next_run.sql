-- Workers take the oldest queued run without waiting for each other.

CREATE FUNCTION claim_next_run(worker text) RETURNS SETOF runs
LANGUAGE plpgsql
AS $body$
DECLARE
    note constant text := $note$claimed by $note$;
BEGIN
    RETURN QUERY
    WITH next AS (
        SELECT id FROM runs
        WHERE state = 'queued'
        ORDER BY queued_at
        FOR UPDATE SKIP LOCKED
        LIMIT 1
    )
    UPDATE runs AS r
       SET state = 'running', started_at = now()
      FROM next
     WHERE r.id = next.id
    RETURNING r.*;

    RAISE DEBUG '%', note || worker;
END;
$body$;
