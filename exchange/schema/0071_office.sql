-- Named lists of recipients of an agency: codes, and what stands below an agency.
CREATE TABLE exchange_list (
    id      TEXT PRIMARY KEY,
    agency  TEXT NOT NULL,
    name    TEXT NOT NULL,
    members TEXT NOT NULL, -- codes parted by commas
    root    TEXT NOT NULL, -- all below this one, '' = none
    level   TEXT NOT NULL, -- of those below; '' = every level
    updated BIGINT NOT NULL,
    by_name TEXT NOT NULL
);
CREATE UNIQUE INDEX exchange_list_name ON exchange_list (agency, name);

-- Looked for while composing: the same bytes, the same subject.
CREATE INDEX exchange_revision_pdf ON exchange_revision (pdf);
CREATE INDEX exchange_document_subject ON exchange_document (agency, subject);
CREATE INDEX exchange_forward_target ON exchange_forward (target);
