-- Defaults, strict types and room for the tables of 2013, and the first tables of the daemon.

CREATE TABLE targets_2_0 (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    name               TEXT    NOT NULL,
    tenantid           TEXT    NOT NULL DEFAULT '0',
    status             TEXT    NOT NULL DEFAULT 'NEW',
    status_description TEXT    NOT NULL DEFAULT '',
    previous_status    TEXT    NOT NULL DEFAULT 'NEW',
    last_updated       TEXT,
    url                TEXT    NOT NULL,
    method             TEXT    NOT NULL DEFAULT 'GET',
    authn              TEXT    NOT NULL DEFAULT 'NONE',
    authn_parms        TEXT,
    pass_result        TEXT    NOT NULL DEFAULT '200',
    frequency          INTEGER NOT NULL DEFAULT 60,
    timeout            INTEGER NOT NULL DEFAULT 10,
    pass_count         INTEGER NOT NULL DEFAULT 0,
    fail_count         INTEGER NOT NULL DEFAULT 0,
    count200           INTEGER NOT NULL DEFAULT 0,
    count300           INTEGER NOT NULL DEFAULT 0,
    count400           INTEGER NOT NULL DEFAULT 0,
    count500           INTEGER NOT NULL DEFAULT 0,
    network_fails      INTEGER NOT NULL DEFAULT 0,
    repeated_fails     INTEGER NOT NULL DEFAULT 0,
    enabled            INTEGER NOT NULL DEFAULT 1,
    options            TEXT,
    cause              TEXT
) STRICT;

-- What was NULL in `enabled` was not probed. A date that is none, such as the zero date, is NULL.
INSERT INTO targets_2_0
SELECT
    id,
    COALESCE(CAST(name AS TEXT), ''),
    COALESCE(CAST(tenantid AS TEXT), '0'),
    COALESCE(NULLIF(TRIM(status), ''), 'NEW'),
    COALESCE(CAST(status_description AS TEXT), ''),
    COALESCE(NULLIF(TRIM(previous_status), ''), 'NEW'),
    CASE typeof(last_updated) WHEN 'text' THEN strftime('%Y-%m-%d %H:%M:%f', last_updated) END,
    COALESCE(CAST(url AS TEXT), ''),
    COALESCE(NULLIF(TRIM(method), ''), 'GET'),
    COALESCE(NULLIF(TRIM(authn), ''), 'NONE'),
    CAST(authn_parms AS TEXT),
    COALESCE(NULLIF(TRIM(pass_result), ''), '200'),
    COALESCE(CAST(frequency AS INTEGER), 60),
    COALESCE(CAST(timeout AS INTEGER), 10),
    COALESCE(CAST(pass_count AS INTEGER), 0),
    COALESCE(CAST(fail_count AS INTEGER), 0),
    COALESCE(CAST(count200 AS INTEGER), 0),
    COALESCE(CAST(count300 AS INTEGER), 0),
    COALESCE(CAST(count400 AS INTEGER), 0),
    COALESCE(CAST(count500 AS INTEGER), 0),
    COALESCE(CAST(network_fails AS INTEGER), 0),
    COALESCE(CAST(repeated_fails AS INTEGER), 0),
    COALESCE(CAST(enabled AS INTEGER), 0),
    NULL,
    NULL
FROM targets;

DROP TABLE targets;

ALTER TABLE targets_2_0 RENAME TO targets;

CREATE TABLE notifiers_2_0 (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    type       TEXT    NOT NULL,
    address    TEXT    NOT NULL,
    params     TEXT    NOT NULL DEFAULT '',
    pass_count INTEGER NOT NULL DEFAULT 0,
    fail_count INTEGER NOT NULL DEFAULT 0,
    enabled    INTEGER NOT NULL DEFAULT 1,
    options    TEXT
) STRICT;

INSERT INTO notifiers_2_0
SELECT
    id,
    COALESCE(CAST(name AS TEXT), ''),
    COALESCE(CAST(type AS TEXT), ''),
    COALESCE(CAST(address AS TEXT), ''),
    COALESCE(CAST(params AS TEXT), ''),
    COALESCE(CAST(pass_count AS INTEGER), 0),
    COALESCE(CAST(fail_count AS INTEGER), 0),
    COALESCE(CAST(enabled AS INTEGER), 0),
    NULL
FROM notifiers;

DROP TABLE notifiers;

ALTER TABLE notifiers_2_0 RENAME TO notifiers;

CREATE TABLE incidents (
    target_id  INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    started_at TEXT    NOT NULL,
    ended_at   TEXT,
    cause      TEXT,
    reason     TEXT    NOT NULL,
    PRIMARY KEY (target_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX of_target_open ON incidents (target_id) WHERE ended_at IS NULL;

CREATE TABLE writers (
    id         TEXT    PRIMARY KEY,
    sequence   INTEGER NOT NULL,
    last_write TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

UPDATE versions SET major = 2, minor = 0;
