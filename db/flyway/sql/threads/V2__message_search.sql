-- 'simple', because threads mix languages.

ALTER TABLE messages
    ADD COLUMN search tsvector GENERATED ALWAYS AS (to_tsvector('simple', body)) STORED;

CREATE INDEX messages_search ON messages USING gin (search);
