-- What happened: results, what they come to, and what people were told. And how far a journal was followed.

CREATE TABLE IF NOT EXISTS nodes (
    id         INT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
    journal    CHAR(36)     NOT NULL,
    name       VARCHAR(255) NOT NULL,
    first_seen DATETIME(3)  NOT NULL,
    UNIQUE KEY by_journal (journal)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS progress (
    node       INT                      NOT NULL,
    kind       ENUM('rows', 'history')  NOT NULL,
    batch      BIGINT                   NOT NULL,
    written_at DATETIME(3)              NOT NULL,
    PRIMARY KEY (node, kind)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci;

-- A daemon of 2.0 kept nothing that was not written yet over its end.
DROP TABLE IF EXISTS writers;

ALTER TABLE incidents ADD COLUMN failed_probes BIGINT NOT NULL DEFAULT 0;

ALTER TABLE incidents ADD COLUMN trace MEDIUMTEXT NULL;

CREATE TABLE IF NOT EXISTS notifications (
    id          CHAR(36)     NOT NULL PRIMARY KEY,
    notifier_id BIGINT       NOT NULL,
    target_id   BIGINT       NOT NULL,
    incident_id BIGINT       NULL,
    event       VARCHAR(32)  NOT NULL,
    at          DATETIME(3)  NOT NULL,
    state       VARCHAR(32)  NOT NULL,
    attempts    BIGINT       NOT NULL,
    last_error  VARCHAR(512) NULL,
    updated_at  DATETIME(3)  NOT NULL,
    alert       MEDIUMTEXT   NOT NULL,
    node        INT          NOT NULL,
    KEY by_state (state, id),
    KEY of_target (target_id, id),
    KEY of_incident (incident_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS result_packs (
    minute    DATETIME   NOT NULL,
    target_id BIGINT     NOT NULL,
    node      INT        NOT NULL,
    part      BIGINT     NOT NULL,
    pack      MEDIUMTEXT NOT NULL,
    PRIMARY KEY (minute, target_id, node, part),
    KEY of_target (target_id, minute)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW results AS
SELECT
    p.minute + INTERVAL r.ms * 1000 MICROSECOND AS time,
    p.target_id                                 AS target_id,
    ELT(r.status + 1, 'NEW', 'PASS', 'FAIL', 'UNKNOWN') AS status,
    r.cause                                     AS cause,
    r.http_status                               AS http_status,
    r.dns_us / 1000                             AS dns_ms,
    r.connect_us / 1000                         AS connect_ms,
    r.tls_us / 1000                             AS tls_ms,
    r.ttfb_us / 1000                            AS ttfb_ms,
    r.total_us / 1000                           AS total_ms,
    r.late                                      AS late,
    r.skipped                                   AS skipped,
    r.frequency                                 AS frequency,
    n.name                                      AS node,
    p.minute                                    AS minute
FROM result_packs p
JOIN nodes n ON n.id = p.node
JOIN JSON_TABLE(p.pack, '$[*]' COLUMNS (
    ms          INT         PATH '$[0]',
    status      INT         PATH '$[1]',
    http_status INT         PATH '$[2]',
    dns_us      BIGINT      PATH '$[3]',
    connect_us  BIGINT      PATH '$[4]',
    tls_us      BIGINT      PATH '$[5]',
    ttfb_us     BIGINT      PATH '$[6]',
    total_us    BIGINT      PATH '$[7]',
    frequency   BIGINT      PATH '$[8]',
    cause       VARCHAR(32) PATH '$[9]',
    late        INT         PATH '$[10]' DEFAULT '0' ON EMPTY,
    skipped     BIGINT      PATH '$[11]' DEFAULT '0' ON EMPTY
)) r;

CREATE TABLE IF NOT EXISTS rollups (
    resolution   ENUM('minute', 'hour', 'day') NOT NULL,
    start        DATETIME   NOT NULL,
    target_id    BIGINT     NOT NULL,
    node         INT        NOT NULL,
    part         BIGINT     NOT NULL,
    done         BIGINT     NOT NULL,
    late         BIGINT     NOT NULL,
    skipped      BIGINT     NOT NULL,
    passed       BIGINT     NOT NULL,
    failed       BIGINT     NOT NULL,
    causes       TEXT       NULL,
    covered_s    BIGINT     NOT NULL,
    total_min_us BIGINT     NULL,
    total_sum_us BIGINT     NOT NULL,
    total_max_us BIGINT     NULL,
    sketch       MEDIUMBLOB NULL,
    PRIMARY KEY (resolution, start, target_id, node, part),
    KEY of_target (target_id, resolution, start)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci;

CREATE TABLE IF NOT EXISTS stale (
    resolution ENUM('minute', 'hour', 'day') NOT NULL,
    start      DATETIME NOT NULL,
    mark       CHAR(36) NOT NULL,
    PRIMARY KEY (resolution, start)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci;

UPDATE versions SET major = 2, minor = 1;
