-- Saved states of conversation graphs: a checkpoint names blobs, blobs are shared.

CREATE TABLE checkpoints (
    thread_id             text NOT NULL,
    namespace             text NOT NULL DEFAULT '',
    checkpoint_id         text NOT NULL,
    parent_checkpoint_id  text,
    kind                  text,
    checkpoint            jsonb NOT NULL,
    metadata              jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (thread_id, namespace, checkpoint_id)
);

CREATE TABLE checkpoint_blobs (
    thread_id  text NOT NULL,
    namespace  text NOT NULL DEFAULT '',
    channel    text NOT NULL,
    version    text NOT NULL,
    encoding   text NOT NULL,
    content    bytea,
    PRIMARY KEY (thread_id, namespace, channel, version)
);
