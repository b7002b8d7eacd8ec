-- Looked up by document: a partial index cannot serve that.
DROP INDEX exchange_number_document;
CREATE INDEX exchange_number_document ON exchange_number (document);
CREATE UNIQUE INDEX exchange_number_once ON exchange_number (document) WHERE document <> '';
