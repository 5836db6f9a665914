-- What happened: results, what they come to, and what people were told. And how far a journal was followed.

CREATE TABLE nodes (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    journal    TEXT    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    first_seen TEXT    NOT NULL
) STRICT;

CREATE TABLE progress (
    node       INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    batch      INTEGER NOT NULL,
    written_at TEXT    NOT NULL,
    PRIMARY KEY (node, kind)
) STRICT, WITHOUT ROWID;

-- A daemon of 2.0 kept nothing that was not written yet over its end.
DROP TABLE writers;

ALTER TABLE incidents ADD COLUMN failed_probes INTEGER NOT NULL DEFAULT 0;

ALTER TABLE incidents ADD COLUMN trace TEXT;

CREATE TABLE notifications (
    id          TEXT    PRIMARY KEY NOT NULL,
    notifier_id INTEGER NOT NULL,
    target_id   INTEGER NOT NULL,
    incident_id INTEGER,
    event       TEXT    NOT NULL,
    at          TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    attempts    INTEGER NOT NULL,
    last_error  TEXT,
    updated_at  TEXT    NOT NULL,
    alert       TEXT    NOT NULL,
    node        INTEGER NOT NULL
) STRICT;

CREATE INDEX notifications_by_state ON notifications (state, id);

CREATE INDEX notifications_of_target ON notifications (target_id, id);

CREATE INDEX notifications_of_incident ON notifications (incident_id);

CREATE TABLE result_packs (
    minute    INTEGER NOT NULL,
    target_id INTEGER NOT NULL,
    node      INTEGER NOT NULL,
    part      INTEGER NOT NULL,
    pack      TEXT    NOT NULL
) STRICT;

CREATE INDEX result_packs_by_time ON result_packs (minute);

CREATE INDEX result_packs_of_target ON result_packs (target_id, minute);

CREATE VIEW results AS
SELECT
    strftime('%Y-%m-%d %H:%M:', p.minute, 'unixepoch')
        || printf('%02d.%03d', (r.value ->> 0) / 1000, (r.value ->> 0) % 1000) AS time,
    p.target_id                                         AS target_id,
    CASE r.value ->> 1 WHEN 0 THEN 'NEW' WHEN 1 THEN 'PASS' WHEN 2 THEN 'FAIL' ELSE 'UNKNOWN' END AS status,
    r.value ->> 9                                       AS cause,
    r.value ->> 2                                       AS http_status,
    (r.value ->> 3) / 1000.0                            AS dns_ms,
    (r.value ->> 4) / 1000.0                            AS connect_ms,
    (r.value ->> 5) / 1000.0                            AS tls_ms,
    (r.value ->> 6) / 1000.0                            AS ttfb_ms,
    (r.value ->> 7) / 1000.0                            AS total_ms,
    COALESCE(r.value ->> 10, 0)                         AS late,
    COALESCE(r.value ->> 11, 0)                         AS skipped,
    r.value ->> 8                                       AS frequency,
    n.name                                              AS node,
    p.minute                                            AS minute
FROM result_packs p
JOIN nodes n ON n.id = p.node
JOIN json_each(p.pack) r;

CREATE TABLE rollups (
    resolution   TEXT    NOT NULL,
    start        INTEGER NOT NULL,
    target_id    INTEGER NOT NULL,
    node         INTEGER NOT NULL,
    part         INTEGER NOT NULL,
    done         INTEGER NOT NULL,
    late         INTEGER NOT NULL,
    skipped      INTEGER NOT NULL,
    passed       INTEGER NOT NULL,
    failed       INTEGER NOT NULL,
    causes       TEXT,
    covered_s    INTEGER NOT NULL,
    total_min_us INTEGER,
    total_sum_us INTEGER NOT NULL,
    total_max_us INTEGER,
    sketch       BLOB,
    PRIMARY KEY (resolution, start, target_id, node, part)
) STRICT, WITHOUT ROWID;

CREATE INDEX rollups_of_target ON rollups (target_id, resolution, start);

CREATE TABLE stale (
    resolution TEXT    NOT NULL,
    start      INTEGER NOT NULL,
    mark       TEXT    NOT NULL,
    PRIMARY KEY (resolution, start)
) STRICT, WITHOUT ROWID;

UPDATE versions SET major = 2, minor = 1;
