CREATE TYPE initiative_stage AS ENUM ('idea', 'planned', 'running', 'done', 'dropped');

CREATE TABLE initiatives (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id   uuid NOT NULL,
    title       text NOT NULL,
    stage       initiative_stage NOT NULL DEFAULT 'idea',
    starts_on   date,
    ends_on     date,
    budget      numeric(14, 2) NOT NULL DEFAULT 0 CHECK (budget >= 0),
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- Empty when either end is open: such plans never collide.
    planned     daterange GENERATED ALWAYS AS (
        CASE WHEN starts_on IS NULL OR ends_on IS NULL THEN 'empty'::daterange
             ELSE daterange(starts_on, ends_on, '[]') END
    ) STORED,
    CONSTRAINT initiatives_dates CHECK (ends_on >= starts_on)
);
