-- Elements without any relation are usually mistakes of an import.

CREATE OR REPLACE VIEW element_degree AS
SELECT
    e.id,
    e.tenant_id,
    e.kind,
    e.name,
    (SELECT count(*) FROM relations AS r WHERE r.source_id = e.id) AS outgoing,
    (SELECT count(*) FROM relations AS r WHERE r.target_id = e.id) AS incoming
FROM elements AS e;
