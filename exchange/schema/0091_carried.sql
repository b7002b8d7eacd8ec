-- When a copy left: the time at which a channel first had it, also where it has been rerouted since; 0 = it never left, or
-- the recipient's side has given it back.
ALTER TABLE exchange_delivery ADD COLUMN carried BIGINT NOT NULL DEFAULT 0;
UPDATE exchange_delivery SET carried = updated WHERE channel <> 'local' AND (transport = 'initial' OR transport = 'processing');
