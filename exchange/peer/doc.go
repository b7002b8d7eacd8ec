// Package peer owns the exchange between hubs over HTTPS, HX/1: README.md is its specification.
//
// A [Peers] is both sides: the doors /.well-known/hx and /hx/v1 for other hubs, and the carrier (exchange.Carrier) of
// documents, receipts and requests to agencies that other hubs serve. It owns the tables peer_*.
//
// A document is encrypted to the certificate of the agency that gets it, uploaded as a part that can be resumed, and
// named by a signed consignment. The hub that answers 201 owns it from then on; until then the sender does. What comes
// back is evidence: receipts that agencies sign, each an event numbered without a gap for the hub it is for.
package peer
