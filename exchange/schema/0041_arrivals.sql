-- How long documents took to arrive at an agency, for forecasts.
CREATE INDEX exchange_receipt_arrived ON exchange_receipt (from_agency, at) WHERE status = '01';
