CREATE TABLE checkpoint_writes (
    thread_id      text NOT NULL,
    namespace      text NOT NULL DEFAULT '',
    checkpoint_id  text NOT NULL,
    task_id        text NOT NULL,
    ordinal        integer NOT NULL,
    channel        text NOT NULL,
    encoding       text,
    content        bytea NOT NULL,
    PRIMARY KEY (thread_id, namespace, checkpoint_id, task_id, ordinal)
);

ALTER TABLE checkpoint_writes ADD COLUMN task_path text NOT NULL DEFAULT '';
