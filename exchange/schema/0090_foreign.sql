-- Receipts that agencies of other hubs signed for documents of this one, as they came. Times are microseconds UTC.
CREATE TABLE exchange_foreign_receipt (
    id             TEXT PRIMARY KEY,
    document       TEXT NOT NULL REFERENCES exchange_document (id),
    from_agency    TEXT NOT NULL,
    to_agency      TEXT NOT NULL,
    status         TEXT NOT NULL,
    step           BIGINT NOT NULL,
    note           TEXT NOT NULL,
    arrival_number BIGINT NOT NULL,
    at             BIGINT NOT NULL,
    body           TEXT NOT NULL, -- canonical JSON
    signature      TEXT NOT NULL, -- base64 of the CMS
    certificate    TEXT NOT NULL, -- fingerprint that the agency was known by when it came
    hub            TEXT NOT NULL, -- the hub that brought it
    accepted       BIGINT NOT NULL
);
CREATE UNIQUE INDEX exchange_foreign_receipt_step ON exchange_foreign_receipt (document, from_agency, step);

-- The sender's own time of sending, by which two hubs compare their registers.
ALTER TABLE exchange_arrival ADD COLUMN sent BIGINT NOT NULL DEFAULT 0;
CREATE INDEX exchange_arrival_peer ON exchange_arrival (sent) WHERE channel = 'peer';
CREATE INDEX exchange_delivery_hub ON exchange_delivery (created) WHERE channel = 'hub';
