CREATE PROCEDURE forget_thread(forgotten text)
LANGUAGE plpgsql
AS $procedure$
BEGIN
    DELETE FROM checkpoint_writes WHERE thread_id = forgotten;
    DELETE FROM checkpoint_blobs  WHERE thread_id = forgotten;
    DELETE FROM checkpoints       WHERE thread_id = forgotten;
END;
$procedure$;
