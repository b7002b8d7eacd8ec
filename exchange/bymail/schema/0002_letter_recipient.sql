-- A delivery whose recipient has ended goes on to the successor under the same id: each gets a letter of its own.
CREATE TABLE bymail_letter_each (
    id TEXT PRIMARY KEY,
    delivery TEXT NOT NULL,
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
    note TEXT NOT NULL,
    UNIQUE (delivery, recipient)
);
INSERT INTO bymail_letter_each (id, delivery, document, axis, sender, recipient, address, account, link, verp, digest, code, subject,
        sender_name, recipient_name, state, tries, created, expires, settled, note)
    SELECT id, delivery, document, axis, sender, recipient, address, account, link, verp, digest, code, subject,
        sender_name, recipient_name, state, tries, created, expires, settled, note FROM bymail_letter;
DROP TABLE bymail_letter;
ALTER TABLE bymail_letter_each RENAME TO bymail_letter;
