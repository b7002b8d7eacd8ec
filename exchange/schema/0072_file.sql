-- Work files (hồ sơ công việc, NĐ 30/2020 Điều 29, 30): documents of one matter, in order.
CREATE TABLE exchange_file (
    id          TEXT PRIMARY KEY,
    agency      TEXT NOT NULL,
    code        TEXT NOT NULL, -- số và ký hiệu hồ sơ, of the list of files
    title       TEXT NOT NULL,
    maintenance TEXT NOT NULL, -- thời hạn bảo quản
    description TEXT NOT NULL,
    keeper      TEXT NOT NULL, -- who makes the file
    keeper_name TEXT NOT NULL,
    opened      BIGINT NOT NULL,
    closed      BIGINT NOT NULL,
    handed      BIGINT NOT NULL, -- to the agency's archive
    receiver    TEXT NOT NULL,
    package     TEXT NOT NULL,
    package_size BIGINT NOT NULL
);
CREATE UNIQUE INDEX exchange_file_code ON exchange_file (agency, code);
CREATE INDEX exchange_file_list ON exchange_file (agency, id);

CREATE TABLE exchange_file_item (
    file    TEXT NOT NULL REFERENCES exchange_file (id),
    subject TEXT NOT NULL, -- document or incoming document
    kind    TEXT NOT NULL, -- outgoing, incoming
    ordinal BIGINT NOT NULL,
    added   BIGINT NOT NULL,
    person  TEXT NOT NULL,
    PRIMARY KEY (file, subject)
);
CREATE INDEX exchange_file_item_subject ON exchange_file_item (subject);

-- What each person wants to be told by mail about deadlines.
CREATE TABLE exchange_preference (
    person   TEXT PRIMARY KEY,
    digest   SMALLINT NOT NULL,
    before   BIGINT NOT NULL, -- working days
    escalate SMALLINT NOT NULL
);
-- Which overdue work a leader was told of, once each.
CREATE TABLE exchange_escalation (
    incoming TEXT NOT NULL,
    due      BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (incoming, due)
);
