-- Accounts. modseq counts changes of the whole account (RFC 7162 asks for one
-- per mailbox; one per account serves all its mailboxes and later JMAP).
-- uidvalidity is the last one given to a mailbox of the account.
CREATE TABLE mail_account (
    id          TEXT PRIMARY KEY,
    address     TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('person', 'position', 'organisation')),
    password    TEXT NOT NULL,
    quota       BIGINT NOT NULL,
    used        BIGINT NOT NULL,
    modseq      BIGINT NOT NULL,
    uidvalidity BIGINT NOT NULL,
    disabled    SMALLINT NOT NULL,
    created     BIGINT NOT NULL
);

-- Every address that leads to an account; its own one has is_own = 1.
CREATE TABLE mail_address (
    address TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES mail_account (id),
    is_own  SMALLINT NOT NULL
);

CREATE TABLE mail_mailbox (
    id          TEXT PRIMARY KEY,
    account     TEXT NOT NULL REFERENCES mail_account (id),
    name        TEXT NOT NULL,
    special_use TEXT NOT NULL,
    uidvalidity BIGINT NOT NULL,
    uidnext     BIGINT NOT NULL,
    modseq      BIGINT NOT NULL,
    recent_from BIGINT NOT NULL,
    created     BIGINT NOT NULL,
    UNIQUE (account, name)
);

-- Apart from the mailbox: a subscription outlives it (RFC 9051 §6.3.7).
CREATE TABLE mail_subscription (
    account TEXT NOT NULL REFERENCES mail_account (id),
    name    TEXT NOT NULL,
    PRIMARY KEY (account, name)
);

-- What was parsed of a blob when it was stored; one row for all its recipients.
CREATE TABLE mail_content (
    digest      TEXT PRIMARY KEY,
    size        BIGINT NOT NULL,
    envelope    TEXT NOT NULL,
    structure   TEXT NOT NULL,
    subject     TEXT NOT NULL,
    author      TEXT NOT NULL,
    recipients  TEXT NOT NULL,
    sent        BIGINT NOT NULL,
    message_id  TEXT NOT NULL,
    preview     TEXT NOT NULL,
    attachments BIGINT NOT NULL
);

-- A message in a mailbox: prefix holds this delivery's own header lines and is
-- served before the blob; size counts both.
CREATE TABLE mail_message (
    mailbox  TEXT NOT NULL REFERENCES mail_mailbox (id),
    uid      BIGINT NOT NULL,
    modseq   BIGINT NOT NULL,
    digest   TEXT NOT NULL,
    prefix   TEXT NOT NULL,
    size     BIGINT NOT NULL,
    received BIGINT NOT NULL,
    flags    BIGINT NOT NULL,
    keywords TEXT NOT NULL,
    PRIMARY KEY (mailbox, uid)
);
CREATE INDEX mail_message_modseq ON mail_message (mailbox, modseq);

-- UIDs that are gone, kept with the change that took them.
CREATE TABLE mail_expunged (
    mailbox TEXT NOT NULL REFERENCES mail_mailbox (id),
    uid     BIGINT NOT NULL,
    modseq  BIGINT NOT NULL,
    PRIMARY KEY (mailbox, uid)
);
CREATE INDEX mail_expunged_modseq ON mail_expunged (mailbox, modseq);

-- Deliveries that carried an id: the same id to the same account counts once.
CREATE TABLE mail_delivery (
    account  TEXT NOT NULL REFERENCES mail_account (id),
    delivery TEXT NOT NULL,
    mailbox  TEXT NOT NULL,
    uid      BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    PRIMARY KEY (account, delivery)
);

-- A message on its way out, and a row for each recipient.
CREATE TABLE mail_submission (
    id      TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES mail_account (id),
    ident   TEXT NOT NULL,
    sender  TEXT NOT NULL,
    digest  TEXT NOT NULL,
    prefix  TEXT NOT NULL,
    utf8    SMALLINT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE UNIQUE INDEX mail_submission_ident ON mail_submission (account, ident) WHERE ident <> '';

CREATE TABLE mail_queue (
    id         TEXT PRIMARY KEY,
    submission TEXT NOT NULL REFERENCES mail_submission (id),
    recipient  TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'failed')),
    attempts   BIGINT NOT NULL,
    next       BIGINT NOT NULL,
    code       TEXT NOT NULL,
    response   TEXT NOT NULL,
    bounced    SMALLINT NOT NULL,
    updated    BIGINT NOT NULL,
    UNIQUE (submission, recipient)
);
CREATE INDEX mail_queue_waiting ON mail_queue (next) WHERE state = 'waiting';
