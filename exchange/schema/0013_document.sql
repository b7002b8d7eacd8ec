-- Series of numbers, documents to be sent later, drafts given back, and what
-- else stands on a document.

ALTER TABLE exchange_document ADD COLUMN series TEXT NOT NULL DEFAULT 'outgoing'; -- chosen, or that of the number
ALTER TABLE exchange_document ADD COLUMN returned SMALLINT NOT NULL DEFAULT 0; -- the drafter has to change it first
ALTER TABLE exchange_document ADD COLUMN send_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE exchange_document ADD COLUMN plan TEXT NOT NULL DEFAULT ''; -- of a sending to come, JSON
ALTER TABLE exchange_document ADD COLUMN details TEXT NOT NULL DEFAULT ''; -- JSON
DROP INDEX exchange_document_number;
CREATE UNIQUE INDEX exchange_document_number ON exchange_document (agency, series, year, number) WHERE number > 0;
CREATE INDEX exchange_document_code ON exchange_document (agency, year, number, notation) WHERE number > 0;
CREATE INDEX exchange_document_later ON exchange_document (send_at) WHERE send_at > 0;
CREATE INDEX exchange_document_digest ON exchange_document (agency, pdf);

-- A number may be kept for a document to come.
CREATE TABLE exchange_number_kept (
    agency    TEXT NOT NULL,
    series    TEXT NOT NULL,
    year      BIGINT NOT NULL,
    number    BIGINT NOT NULL,
    document  TEXT NOT NULL, -- '' while it is reserved
    at        BIGINT NOT NULL,
    given_by  TEXT NOT NULL,
    cancelled BIGINT NOT NULL,
    reason    TEXT NOT NULL,
    reserved  BIGINT NOT NULL DEFAULT 0, -- since when, 0 = never
    purpose   TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (agency, series, year, number)
);
INSERT INTO exchange_number_kept (agency, series, year, number, document, at, given_by, cancelled, reason)
    SELECT agency, series, year, number, document, at, given_by, cancelled, reason FROM exchange_number;
DROP TABLE exchange_number;
ALTER TABLE exchange_number_kept RENAME TO exchange_number;
CREATE UNIQUE INDEX exchange_number_document ON exchange_number (document) WHERE document <> '';

-- Series of an agency beside the one for all administrative documents.
CREATE TABLE exchange_series (
    agency  TEXT NOT NULL,
    code    TEXT NOT NULL,
    name    TEXT NOT NULL,
    types   TEXT NOT NULL, -- codes of document types, with commas; '' = only when chosen
    symbol  TEXT NOT NULL, -- in the place of the agency's, '' = the agency's
    retired BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (agency, code)
);

-- What reviewers say about a draft, and why it was given back.
CREATE TABLE exchange_comment (
    id       TEXT PRIMARY KEY,
    document TEXT NOT NULL REFERENCES exchange_document (id),
    version  BIGINT NOT NULL, -- the revision it is about
    person   TEXT NOT NULL,
    name     TEXT NOT NULL,
    kind     TEXT NOT NULL, -- comment, return
    text     TEXT NOT NULL,
    at       BIGINT NOT NULL
);
CREATE INDEX exchange_comment_document ON exchange_comment (document, id);

-- The description of a draft at each version.
CREATE TABLE exchange_draft_version (
    document    TEXT NOT NULL REFERENCES exchange_document (id),
    seq         BIGINT NOT NULL, -- of the revision
    description TEXT NOT NULL, -- JSON
    note        TEXT NOT NULL,
    person      TEXT NOT NULL,
    name        TEXT NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (document, seq)
);
