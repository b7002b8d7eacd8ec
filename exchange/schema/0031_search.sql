-- How far the log is read for the indexes of words: 'words' for what rows say,
-- 'texts' for what stands in the PDFs. The indexes are of storage/sqldb.
CREATE TABLE exchange_search_state (
    name  TEXT PRIMARY KEY,
    place BIGINT NOT NULL -- of the next entry
);
