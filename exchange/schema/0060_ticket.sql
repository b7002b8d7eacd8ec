-- Signatures that are made where the key is (token, local agent, remote service):
-- what was laid out, for whom, and until when. One ticket makes one signature.

CREATE TABLE exchange_ticket (
    id          TEXT PRIMARY KEY, -- SHA-256 of the ticket: the ticket itself is not kept
    document    TEXT NOT NULL REFERENCES exchange_document (id),
    version     BIGINT NOT NULL, -- of the document when the ticket was given
    person      TEXT NOT NULL,
    step        TEXT NOT NULL,
    profile     TEXT NOT NULL,
    certificate TEXT NOT NULL, -- fingerprint
    pdf         TEXT NOT NULL, -- the document's bytes then
    base        TEXT NOT NULL, -- the bytes that the signature is laid out on
    base_size   BIGINT NOT NULL,
    pending     TEXT NOT NULL, -- signing.Pending, JSON
    created     BIGINT NOT NULL,
    expires     BIGINT NOT NULL,
    tries       BIGINT NOT NULL,
    spent       BIGINT NOT NULL -- when it made its signature, 0 = not yet
);
CREATE INDEX exchange_ticket_document ON exchange_ticket (document);
