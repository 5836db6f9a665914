-- The schema of 2013. A database that has it already is left as it is.

CREATE TABLE IF NOT EXISTS versions (
    major INTEGER NOT NULL,
    minor INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS targets (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    name               VARCHAR(64)  NOT NULL,
    tenantid           VARCHAR(64),
    status             VARCHAR(16),
    status_description VARCHAR(128),
    previous_status    VARCHAR(16),
    last_updated       TIMESTAMP,
    url                VARCHAR(256) NOT NULL,
    method             VARCHAR(16),
    authn              VARCHAR(16),
    authn_parms        VARCHAR(256),
    pass_result        INTEGER,
    frequency          INTEGER,
    timeout            INTEGER,
    pass_count         INTEGER      DEFAULT 0,
    fail_count         INTEGER      DEFAULT 0,
    count200           INTEGER      DEFAULT 0,
    count300           INTEGER      DEFAULT 0,
    count400           INTEGER      DEFAULT 0,
    count500           INTEGER      DEFAULT 0,
    network_fails      INTEGER      DEFAULT 0,
    repeated_fails     INTEGER      DEFAULT 0,
    enabled            BOOLEAN
);

CREATE TABLE IF NOT EXISTS notifiers (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       VARCHAR(64) NOT NULL,
    type       VARCHAR(16) NOT NULL,
    address    VARCHAR(128),
    params     VARCHAR(128),
    pass_count INTEGER     DEFAULT 0,
    fail_count INTEGER     DEFAULT 0,
    enabled    BOOLEAN
);

INSERT INTO versions (major, minor) SELECT 1, 0 WHERE NOT EXISTS (SELECT 1 FROM versions);
