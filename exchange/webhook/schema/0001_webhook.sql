-- Programs that are told of events. Times are microseconds UTC, 0 = none; ids
-- are UUIDv7 made by the program; secrets are sealed under a key that is not in
-- the database.

CREATE TABLE webhook_subscription (
    id          TEXT PRIMARY KEY,
    agency      TEXT NOT NULL,
    url         TEXT NOT NULL,
    description TEXT NOT NULL,
    events      TEXT NOT NULL,    -- kinds parted by commas, a.* for all of a; '' = every event
    state       TEXT NOT NULL,    -- active, paused, disabled
    reason      TEXT NOT NULL,    -- why it was disabled
    secret      TEXT NOT NULL,    -- sealed
    old_secret  TEXT NOT NULL,    -- sealed; '' = none
    old_until   BIGINT NOT NULL,  -- the old secret signs until then
    last        BIGINT NOT NULL,  -- number of the latest message
    failing     BIGINT NOT NULL,  -- since when nothing gets through
    lease       BIGINT NOT NULL,  -- one worker has the lane until then
    created     BIGINT NOT NULL,
    created_by  TEXT NOT NULL,
    updated     BIGINT NOT NULL
);
CREATE INDEX webhook_subscription_agency ON webhook_subscription (agency, id);

-- One event for one subscription, numbered without a gap.
CREATE TABLE webhook_message (
    subscription TEXT NOT NULL REFERENCES webhook_subscription (id),
    seq          BIGINT NOT NULL,
    id           TEXT NOT NULL,   -- the webhook-id: the same at every attempt and replay
    kind         TEXT NOT NULL,
    subject      TEXT NOT NULL,
    at           BIGINT NOT NULL,
    body         TEXT NOT NULL,   -- the JSON that is sent
    state        TEXT NOT NULL,   -- waiting, delivered, skipped
    attempts     BIGINT NOT NULL, -- since it was last made to wait
    next         BIGINT NOT NULL, -- not tried before
    delivered    BIGINT NOT NULL,
    PRIMARY KEY (subscription, seq)
);
CREATE INDEX webhook_message_waiting ON webhook_message (subscription, seq) WHERE state = 'waiting';

CREATE TABLE webhook_attempt (
    id           TEXT PRIMARY KEY,
    subscription TEXT NOT NULL REFERENCES webhook_subscription (id),
    seq          BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    took         BIGINT NOT NULL, -- microseconds
    status       BIGINT NOT NULL, -- HTTP; 0 = no answer
    error        TEXT NOT NULL,   -- why there was none, '' = there was
    answer       TEXT NOT NULL    -- its first characters
);
CREATE INDEX webhook_attempt_list ON webhook_attempt (subscription, id);
