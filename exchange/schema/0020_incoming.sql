-- What a receiving agency does with a document: its arrivals, its tasks, what
-- was said, who opened it, where it was forwarded, what answers it. Times are
-- microseconds UTC, 0 = none.

ALTER TABLE exchange_incoming ADD COLUMN medium TEXT NOT NULL DEFAULT 'electronic'; -- electronic, paper
ALTER TABLE exchange_incoming ADD COLUMN sender_name TEXT NOT NULL DEFAULT ''; -- on paper, from one who has no agency code
ALTER TABLE exchange_incoming ADD COLUMN via TEXT NOT NULL DEFAULT ''; -- the agency that forwarded it, '' = from its sender
ALTER TABLE exchange_incoming ADD COLUMN task_due BIGINT NOT NULL DEFAULT 0; -- set by a leader
ALTER TABLE exchange_incoming ADD COLUMN finished BIGINT NOT NULL DEFAULT 0;
ALTER TABLE exchange_incoming ADD COLUMN reopened BIGINT NOT NULL DEFAULT 0; -- work goes on after status 06
ALTER TABLE exchange_incoming ADD COLUMN answer TEXT NOT NULL DEFAULT ''; -- the outgoing document that answers it
ALTER TABLE exchange_incoming ADD COLUMN merged_into TEXT NOT NULL DEFAULT ''; -- the entry it is one with, '' = an entry of its own

-- One entry for one document, whatever id a channel gives it; what was refused
-- may come again.
CREATE UNIQUE INDEX exchange_incoming_same ON exchange_incoming (agency, sender, code, issued, pdf)
    WHERE status <> '02' AND medium = 'electronic' AND merged_into = '';
CREATE INDEX exchange_incoming_content ON exchange_incoming (agency, pdf);
CREATE INDEX exchange_incoming_code ON exchange_incoming (agency, code, issued);
CREATE INDEX exchange_incoming_assignee ON exchange_incoming (assignee, id) WHERE assignee <> '';
CREATE INDEX exchange_incoming_merged ON exchange_incoming (merged_into) WHERE merged_into <> '';

-- Every time a document came, by whatever channel. A repeat of the same bytes
-- under the same id by the same channel is the same arrival.
CREATE TABLE exchange_arrival (
    id       TEXT PRIMARY KEY,
    incoming TEXT NOT NULL REFERENCES exchange_incoming (id), -- the entry it belongs to
    agency   TEXT NOT NULL,
    sender   TEXT NOT NULL,
    document TEXT NOT NULL,
    channel  TEXT NOT NULL, -- local, peer, axis, mail, forward, paper
    ref      TEXT NOT NULL, -- the channel's own name for it
    at       BIGINT NOT NULL,
    pdf      TEXT NOT NULL,
    pdf_size BIGINT NOT NULL,
    envelope TEXT NOT NULL, -- as it came, JSON
    differs  SMALLINT NOT NULL, -- 1 = other bytes than the entry's: kept for the clerk, not taken
    settled  BIGINT NOT NULL, -- when the clerk had dealt with a difference
    settler  TEXT NOT NULL,
    note     TEXT NOT NULL
);
CREATE UNIQUE INDEX exchange_arrival_once ON exchange_arrival (agency, sender, document, channel, pdf);
CREATE INDEX exchange_arrival_incoming ON exchange_arrival (incoming, id);
CREATE INDEX exchange_arrival_open ON exchange_arrival (agency, id) WHERE differs = 1 AND settled = 0;
INSERT INTO exchange_arrival (id, incoming, agency, sender, document, channel, ref, at, pdf, pdf_size, envelope, differs, settled, settler, note)
    SELECT id, id, agency, sender, document, 'local', '', received, pdf, pdf_size, envelope, 0, 0, '', '' FROM exchange_incoming;

-- Two entries that may be one document (NĐ 30/2020 Phụ lục VI I.III.1.h): a clerk
-- decides. incoming came after other.
CREATE TABLE exchange_likeness (
    incoming TEXT NOT NULL REFERENCES exchange_incoming (id),
    other    TEXT NOT NULL REFERENCES exchange_incoming (id),
    agency   TEXT NOT NULL,
    why      TEXT NOT NULL, -- content, number
    at       BIGINT NOT NULL,
    decision TEXT NOT NULL, -- '', merged, apart
    decided  BIGINT NOT NULL,
    decider  TEXT NOT NULL,
    reason   TEXT NOT NULL,
    PRIMARY KEY (incoming, other)
);
CREATE INDEX exchange_likeness_open ON exchange_likeness (agency, at) WHERE decision = '';

-- Who works on a document beside the assignee, or did before (phối hợp xử lý).
CREATE TABLE exchange_task (
    id        TEXT PRIMARY KEY,
    incoming  TEXT NOT NULL REFERENCES exchange_incoming (id),
    agency    TEXT NOT NULL,
    person    TEXT NOT NULL,
    part      TEXT NOT NULL, -- lead, co
    given_by  TEXT NOT NULL,
    given     BIGINT NOT NULL,
    due       BIGINT NOT NULL,
    note      TEXT NOT NULL,
    ended     BIGINT NOT NULL, -- done, or taken back when reason is not ''
    result    TEXT NOT NULL,
    withdrawn TEXT NOT NULL -- why it was taken back
);
CREATE INDEX exchange_task_incoming ON exchange_task (incoming, id);
CREATE INDEX exchange_task_person ON exchange_task (person, id);
CREATE UNIQUE INDEX exchange_task_one ON exchange_task (incoming, person, part) WHERE ended = 0;

-- What was said about a document inside the agency (bút phê, ý kiến).
CREATE TABLE exchange_remark (
    id       TEXT PRIMARY KEY,
    incoming TEXT NOT NULL REFERENCES exchange_incoming (id),
    kind     TEXT NOT NULL, -- instruction, comment, proposal
    person   TEXT NOT NULL,
    name     TEXT NOT NULL,
    position TEXT NOT NULL,
    at       BIGINT NOT NULL,
    text     TEXT NOT NULL
);
CREATE INDEX exchange_remark_incoming ON exchange_remark (incoming, id);

-- Where an agency forwarded a document that it had received.
CREATE TABLE exchange_forward (
    id        TEXT PRIMARY KEY,
    incoming  TEXT NOT NULL REFERENCES exchange_incoming (id), -- at the agency that forwards
    agency    TEXT NOT NULL,
    recipient TEXT NOT NULL,
    sender    TEXT NOT NULL, -- of the document
    document  TEXT NOT NULL,
    target    TEXT NOT NULL REFERENCES exchange_incoming (id), -- at the recipient
    person    TEXT NOT NULL,
    at        BIGINT NOT NULL,
    note      TEXT NOT NULL,
    status    TEXT NOT NULL,
    step      BIGINT NOT NULL,
    updated   BIGINT NOT NULL
);
CREATE UNIQUE INDEX exchange_forward_once ON exchange_forward (incoming, recipient);
CREATE INDEX exchange_forward_document ON exchange_forward (agency, document, recipient);

-- Which outgoing documents answer which incoming ones (ResponseFor).
CREATE TABLE exchange_answer (
    document TEXT NOT NULL REFERENCES exchange_document (id),
    incoming TEXT NOT NULL REFERENCES exchange_incoming (id),
    at       BIGINT NOT NULL,
    person   TEXT NOT NULL,
    PRIMARY KEY (document, incoming)
);
CREATE INDEX exchange_answer_incoming ON exchange_answer (incoming, document);
