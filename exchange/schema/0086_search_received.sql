-- Lists look through the index of words; nothing reads these any more.
ALTER TABLE exchange_document DROP COLUMN search;
ALTER TABLE exchange_incoming DROP COLUMN search;

-- What arrived at an agency in a period is counted from the index alone.
DROP INDEX exchange_incoming_received;
CREATE INDEX exchange_incoming_received ON exchange_incoming (agency, received, medium, verdict, status, arrival_number, merged_into);
