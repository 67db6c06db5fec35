-- Impact analysis: everything that can be reached, with the shortest distance.

CREATE FUNCTION reachable_elements(start uuid, max_depth integer DEFAULT 8)
RETURNS TABLE (element_id uuid, depth integer)
LANGUAGE sql STABLE
AS $$
    WITH RECURSIVE walk (element_id, depth, path) AS (
        SELECT start, 0, ARRAY[start]
        UNION ALL
        SELECT r.target_id, w.depth + 1, w.path || r.target_id
        FROM walk AS w
        JOIN relations AS r ON r.source_id = w.element_id
        WHERE w.depth < max_depth
          AND NOT r.target_id = ANY (w.path)  -- a cycle; seen already
    )
    SELECT walk.element_id, min(walk.depth)
    FROM walk
    GROUP BY walk.element_id;
$$;
