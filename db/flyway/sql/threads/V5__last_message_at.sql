ALTER TABLE threads ADD COLUMN last_message_at timestamptz;

UPDATE threads AS t
   SET last_message_at = latest.at
  FROM (SELECT thread_id, max(created_at) AS at FROM messages GROUP BY thread_id) AS latest
 WHERE latest.thread_id = t.id;

CREATE FUNCTION bump_last_message_at() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE threads SET last_message_at = NEW.created_at WHERE id = NEW.thread_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER messages_bump_thread
    AFTER INSERT ON messages
    FOR EACH ROW EXECUTE FUNCTION bump_last_message_at();
