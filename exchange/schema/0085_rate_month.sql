-- The sums of the rate, a page per issuing agency and month: how many documents
-- and deliveries of a day and type are alike in cause and marks, a line each
-- (exchange/rate_page.go). A year is read as a few thousand pages and not as the
-- hundreds of thousands of rows that it has sums. All of it is made anew from the
-- evidence: without a state the log is counted from its beginning.
CREATE TABLE exchange_rate_month (
    month  BIGINT NOT NULL, -- since January 1970 in Vietnam
    agency TEXT NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (month, agency)
);
DROP TABLE exchange_rate_sum;
DELETE FROM exchange_rate_state;

-- What arrived in a period is counted from the index alone.
CREATE INDEX exchange_incoming_received ON exchange_incoming (received, agency, medium, verdict, status, arrival_number, merged_into);
