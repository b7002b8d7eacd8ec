-- The consignment as the sender's hub signed it, kept whole with members that are not known here.
ALTER TABLE peer_consignment ADD COLUMN signed TEXT NOT NULL DEFAULT '';
