-- Under which delegation a ticket signs, '' = in the own right.
ALTER TABLE exchange_ticket ADD COLUMN delegation TEXT NOT NULL DEFAULT '';
