-- Letters to agencies that have no software: one per delivery. The link and the
-- code in a letter are derived from its id and the bridge's key; link is the
-- SHA-256 of the one in hex, verp the tag of the envelope's sender.
CREATE TABLE bymail_letter (
    id TEXT PRIMARY KEY,
    delivery TEXT NOT NULL UNIQUE,
    document TEXT NOT NULL,
    axis TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    address TEXT NOT NULL,
    account TEXT NOT NULL,
    link TEXT NOT NULL UNIQUE,
    verp TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL,
    code TEXT NOT NULL,
    subject TEXT NOT NULL,
    sender_name TEXT NOT NULL,
    recipient_name TEXT NOT NULL,
    state TEXT NOT NULL,
    tries BIGINT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    settled BIGINT NOT NULL,
    note TEXT NOT NULL
);

-- How far the mailbox of an account was read for reports.
CREATE TABLE bymail_reader (
    account TEXT PRIMARY KEY,
    uid BIGINT NOT NULL
);
