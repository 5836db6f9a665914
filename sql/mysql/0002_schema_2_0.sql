-- Defaults, room and utf8mb4 for the tables of 2013, and the first tables of the daemon.
--
-- Runs without NO_ZERO_DATE, but strict: what does not fit is an error, not cut.

-- On old servers any UPDATE sets a TIMESTAMP that it does not mention. What was NULL was not probed.
UPDATE targets SET
    last_updated       = last_updated,
    name               = COALESCE(name, ''),
    tenantid           = COALESCE(tenantid, '0'),
    status             = COALESCE(NULLIF(TRIM(status), ''), 'NEW'),
    status_description = COALESCE(status_description, ''),
    previous_status    = COALESCE(NULLIF(TRIM(previous_status), ''), 'NEW'),
    url                = COALESCE(url, ''),
    method             = COALESCE(NULLIF(TRIM(method), ''), 'GET'),
    authn              = COALESCE(NULLIF(TRIM(authn), ''), 'NONE'),
    pass_result        = COALESCE(pass_result, 200),
    frequency          = COALESCE(frequency, 60),
    timeout            = COALESCE(timeout, 10),
    pass_count         = COALESCE(pass_count, 0),
    fail_count         = COALESCE(fail_count, 0),
    count200           = COALESCE(count200, 0),
    count300           = COALESCE(count300, 0),
    count400           = COALESCE(count400, 0),
    count500           = COALESCE(count500, 0),
    network_fails      = COALESCE(network_fails, 0),
    repeated_fails     = COALESCE(repeated_fails, 0),
    enabled            = COALESCE(enabled, FALSE);

ALTER TABLE targets
    ENGINE = InnoDB,
    ROW_FORMAT = DYNAMIC,
    CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE targets
    MODIFY id                 BIGINT        NOT NULL AUTO_INCREMENT,
    MODIFY name               VARCHAR(255)  NOT NULL,
    MODIFY tenantid           VARCHAR(255)  NOT NULL DEFAULT '0',
    MODIFY status             VARCHAR(255)  NOT NULL DEFAULT 'NEW',
    MODIFY status_description VARCHAR(512)  NOT NULL DEFAULT '',
    MODIFY previous_status    VARCHAR(255)  NOT NULL DEFAULT 'NEW',
    MODIFY last_updated       DATETIME(3)   NULL DEFAULT NULL,
    MODIFY url                VARCHAR(2048) NOT NULL,
    MODIFY method             VARCHAR(255)  NOT NULL DEFAULT 'GET',
    MODIFY authn              VARCHAR(255)  NOT NULL DEFAULT 'NONE',
    MODIFY authn_parms        MEDIUMTEXT    NULL,
    MODIFY pass_result        VARCHAR(255)  NOT NULL DEFAULT '200',
    MODIFY frequency          INT           NOT NULL DEFAULT 60,
    MODIFY timeout            INT           NOT NULL DEFAULT 10,
    MODIFY pass_count         BIGINT        NOT NULL DEFAULT 0,
    MODIFY fail_count         BIGINT        NOT NULL DEFAULT 0,
    MODIFY count200           BIGINT        NOT NULL DEFAULT 0,
    MODIFY count300           BIGINT        NOT NULL DEFAULT 0,
    MODIFY count400           BIGINT        NOT NULL DEFAULT 0,
    MODIFY count500           BIGINT        NOT NULL DEFAULT 0,
    MODIFY network_fails      BIGINT        NOT NULL DEFAULT 0,
    MODIFY repeated_fails     BIGINT        NOT NULL DEFAULT 0,
    MODIFY enabled            BOOLEAN       NOT NULL DEFAULT TRUE;

ALTER TABLE targets ADD COLUMN options MEDIUMTEXT NULL AFTER enabled;

ALTER TABLE targets ADD COLUMN cause VARCHAR(32) NULL AFTER options;

UPDATE targets SET last_updated = NULL WHERE last_updated < '1000-01-01';

UPDATE notifiers SET
    name       = COALESCE(name, ''),
    type       = COALESCE(type, ''),
    address    = COALESCE(address, ''),
    params     = COALESCE(params, ''),
    pass_count = COALESCE(pass_count, 0),
    fail_count = COALESCE(fail_count, 0),
    enabled    = COALESCE(enabled, FALSE);

ALTER TABLE notifiers
    ENGINE = InnoDB,
    ROW_FORMAT = DYNAMIC,
    CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

ALTER TABLE notifiers
    MODIFY id         BIGINT        NOT NULL AUTO_INCREMENT,
    MODIFY name       VARCHAR(255)  NOT NULL,
    MODIFY type       VARCHAR(255)  NOT NULL,
    MODIFY address    VARCHAR(2048) NOT NULL,
    MODIFY params     MEDIUMTEXT    NOT NULL DEFAULT (''),
    MODIFY pass_count BIGINT        NOT NULL DEFAULT 0,
    MODIFY fail_count BIGINT        NOT NULL DEFAULT 0,
    MODIFY enabled    BOOLEAN       NOT NULL DEFAULT TRUE;

ALTER TABLE notifiers ADD COLUMN options MEDIUMTEXT NULL AFTER enabled;

CREATE TABLE IF NOT EXISTS incidents (
    target_id  BIGINT       NOT NULL,
    id         BIGINT       NOT NULL,
    started_at DATETIME(3)  NOT NULL,
    ended_at   DATETIME(3)  NULL,
    cause      VARCHAR(32)  NULL,
    reason     VARCHAR(512) NOT NULL,
    PRIMARY KEY (target_id, id),
    KEY of_target_open (target_id, ended_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS writers (
    id         CHAR(36)    NOT NULL PRIMARY KEY,
    sequence   BIGINT      NOT NULL,
    last_write DATETIME(3) NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci;

ALTER TABLE versions ENGINE = InnoDB;

UPDATE versions SET major = 2, minor = 0;
