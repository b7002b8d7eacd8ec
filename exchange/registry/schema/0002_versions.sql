-- Every change of an agency has a number: the row says what holds now, the
-- history what held before. Versions run from 1 without gaps over both.
ALTER TABLE registry_agency ADD COLUMN accepts TEXT NOT NULL DEFAULT '';
ALTER TABLE registry_agency ADD COLUMN max_size BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registry_agency ADD COLUMN encryption TEXT NOT NULL DEFAULT '';
ALTER TABLE registry_agency ADD COLUMN heir TEXT NOT NULL DEFAULT '';
ALTER TABLE registry_agency ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registry_agency ADD COLUMN created_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registry_agency ADD COLUMN act TEXT NOT NULL DEFAULT 'CREATE';
ALTER TABLE registry_agency ADD COLUMN changed_by TEXT NOT NULL DEFAULT '';
UPDATE registry_agency SET version = n.v, created_version = n.v
    FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS v FROM registry_agency) AS n WHERE n.id = registry_agency.id;
CREATE INDEX registry_agency_version ON registry_agency (version);
CREATE INDEX registry_agency_heir ON registry_agency (heir) WHERE heir <> '';

-- The last version given. A row lock, never max()+1.
CREATE TABLE registry_version (
    name TEXT PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO registry_version (name, last) SELECT 'agency', COUNT(*) FROM registry_agency;

-- What an agency was from since to before until.
CREATE TABLE registry_history (
    version    BIGINT PRIMARY KEY,
    agency     TEXT NOT NULL REFERENCES registry_agency (id),
    act        TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    since      BIGINT NOT NULL,
    until      BIGINT NOT NULL,
    body       TEXT NOT NULL -- JSON
);
CREATE INDEX registry_history_agency ON registry_history (agency, until);

-- Codes besides id and legacy_code: former ones, and those of other lists. A
-- code never passes to another agency, so that old receipts keep their meaning.
CREATE TABLE registry_code (
    code       TEXT PRIMARY KEY,
    agency     TEXT NOT NULL REFERENCES registry_agency (id),
    kind       TEXT NOT NULL, -- qd20, qcvn102
    valid_from BIGINT NOT NULL,
    valid_to   BIGINT NOT NULL
);
CREATE INDEX registry_code_agency ON registry_code (agency);

-- Who continues whom. heir marks the one that takes what is under way.
CREATE TABLE registry_succession (
    predecessor TEXT NOT NULL REFERENCES registry_agency (id),
    successor   TEXT NOT NULL,
    act         TEXT NOT NULL, -- merge, split, recode, close
    at          BIGINT NOT NULL,
    heir        SMALLINT NOT NULL,
    statement   TEXT NOT NULL, -- canonical JSON, as signed
    signature   TEXT NOT NULL, -- base64 of the detached CMS
    PRIMARY KEY (predecessor, successor)
);
CREATE INDEX registry_succession_successor ON registry_succession (successor);

-- What came from another registry, as it was applied.
CREATE TABLE registry_source (
    source  TEXT NOT NULL,
    agency  TEXT NOT NULL,
    version BIGINT NOT NULL, -- theirs
    digest  TEXT NOT NULL,   -- of the agency as applied here
    PRIMARY KEY (source, agency)
);

-- From when to when a certificate speaks for its owner; 0 = no limit.
ALTER TABLE registry_certificate ADD COLUMN valid_from BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registry_certificate ADD COLUMN valid_to BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registry_certificate ADD COLUMN revoked BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registry_certificate ADD COLUMN revoked_by TEXT NOT NULL DEFAULT '';
ALTER TABLE registry_certificate ADD COLUMN reason TEXT NOT NULL DEFAULT '';
