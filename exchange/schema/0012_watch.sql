-- Negative evidence made, once each: overdue (12 h), undelivered (24 h), and
-- arrived when it came after one of them.
CREATE TABLE exchange_watch (
    delivery TEXT NOT NULL REFERENCES exchange_delivery (id),
    kind     TEXT NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (delivery, kind)
);
CREATE INDEX exchange_delivery_undone ON exchange_delivery (created) WHERE transport <> 'done' AND transport <> 'withdrawn';
CREATE INDEX exchange_delivery_failed ON exchange_delivery (sender, created) WHERE transport = 'fail';
