-- Statuses of other systems name a document by its axis id.
CREATE INDEX exchange_document_axis ON exchange_document (axis, agency) WHERE axis <> '';
