-- A delivery whose recipient was closed goes to the successor: addressed keeps
-- the code that the sender used, successor who answers. One that the successor
-- has from elsewhere is withdrawn, with successor set.
ALTER TABLE exchange_delivery ADD COLUMN addressed TEXT NOT NULL DEFAULT '';
ALTER TABLE exchange_delivery ADD COLUMN successor TEXT NOT NULL DEFAULT '';
ALTER TABLE exchange_delivery ADD COLUMN joined TEXT NOT NULL DEFAULT ''; -- the recipient whose copy it shares
CREATE INDEX exchange_delivery_joined ON exchange_delivery (joined) WHERE joined <> '';
CREATE INDEX exchange_delivery_given_up ON exchange_delivery (recipient) WHERE transport = 'fail';
