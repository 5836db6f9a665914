-- The schema of 2013. A database that has it already is left as it is.

CREATE TABLE IF NOT EXISTS versions (
    major INT NOT NULL,
    minor INT NOT NULL
) DEFAULT CHARSET = utf8;

CREATE TABLE IF NOT EXISTS targets (
    id                 INT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name               VARCHAR(64)  NOT NULL,
    tenantid           VARCHAR(64),
    status             VARCHAR(16),
    status_description VARCHAR(128),
    previous_status    VARCHAR(16),
    last_updated       TIMESTAMP    NULL,
    url                VARCHAR(256) NOT NULL,
    method             VARCHAR(16),
    authn              VARCHAR(16),
    authn_parms        VARCHAR(256),
    pass_result        INT,
    frequency          INT,
    timeout            INT,
    pass_count         INT          DEFAULT 0,
    fail_count         INT          DEFAULT 0,
    count200           INT          DEFAULT 0,
    count300           INT          DEFAULT 0,
    count400           INT          DEFAULT 0,
    count500           INT          DEFAULT 0,
    network_fails      INT          DEFAULT 0,
    repeated_fails     INT          DEFAULT 0,
    enabled            BOOLEAN
) DEFAULT CHARSET = utf8;

CREATE TABLE IF NOT EXISTS notifiers (
    id         INT         NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name       VARCHAR(64) NOT NULL,
    type       VARCHAR(16) NOT NULL,
    address    VARCHAR(128),
    params     VARCHAR(128),
    pass_count INT         DEFAULT 0,
    fail_count INT         DEFAULT 0,
    enabled    BOOLEAN
) DEFAULT CHARSET = utf8;

INSERT INTO versions (major, minor)
SELECT 1, 0 FROM (SELECT COUNT(*) AS n FROM versions) AS counted WHERE counted.n = 0;
