package exchange

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

// The rate is a projection of the evidence: apply reads one entry after the
// other and says what it makes of documents and deliveries. The live figures
// and those recomputed from the log are made by the same code from the same
// entries; what is not in the evidence does not count.

// Flags of rateDocument and rateDelivery.
const (
	rateNumbered  = 1 << iota
	rateApproved  // by the competent person
	rateSealed    // with the agency's signature, judged valid by our validator
	rateSent      // through the system
	rateCancelled // the number
	ratePaper     // issued on paper only
	rateAlso      // electronically, and on paper too (QĐ 28/2018 Điều 7.2)
	rateExcluded  // a party cannot take it electronically (Điều 7.1)
	rateSecret    // outside of the exchange (Điều 1.2)
	rateAtDoor    // a delivery that was returned at the door
	rateEntered   // a delivery that has an arrival number
)

// rateDocument is what the evidence says of a document, as far as it counts.
type rateDocument struct {
	ID      DocumentID
	Agency  registry.AgencyID
	Type    string
	Day     int64 // of issue, since 1 January 1970 in Vietnam; 0 = not numbered
	Code    string
	flags   int64
	SendBy  int64  // microseconds; the latest time to send
	Sent    int64  // microseconds; 0 = not sent
	Failure string // what stopped signing or sending, "" = nothing
	Reason  string // of paper
}

func (d *rateDocument) has(flag int64) bool { return d.flags&flag != 0 }

// The states of a delivery in the rate.
const (
	deliveryWaiting  = "waiting"
	deliveryRetrying = "retrying"
	deliveryCarried  = "carried" // its channel has it, the recipient has not answered
	deliveryFailed   = "failed"
	deliveryDone     = "done"
	deliveryTaken    = "withdrawn" // recalled before it left
	deliveryPaper    = "paper"
)

// rateDelivery is what the evidence says of a document at one recipient.
type rateDelivery struct {
	Document  DocumentID
	Recipient registry.AgencyID
	Agency    registry.AgencyID
	Type      string
	Day       int64
	State     string
	Failure   string
	Status    Status
	flags     int64
	Since     int64 // microseconds: when it came to where it stands
}

// Marks of what is counted, on documents and on deliveries.
const (
	markSigned    = 1 << iota
	markSent      // through the system
	markOnTime    // sent before the end of its time
	markPaper     // a paper copy went too, or nothing but paper
	markCancelled // out of the population
	markExcluded  // out of the population
	markSecret    // out of the population
	markArrived   // the recipient has given any status
	markRegistered
	markCompleted
	markRefused
	markRecalled
	markWithdrawn // recalled before it left
)

// The units of rateKey.
const (
	unitDocument = 0
	unitDelivery = 1
)

// rateKey is what documents or deliveries that are counted together share.
type rateKey struct {
	Day    int64
	Agency registry.AgencyID
	Type   string
	Unit   int
	Cause  string
	Marks  int64
}

// key gives where the document counts at a time (0 = whatever the time); ok is
// false while it does not count at all.
func (d *rateDocument) key(now int64) (k rateKey, ok bool) {
	if d.Day == 0 {
		return k, false
	}
	k = rateKey{Day: d.Day, Agency: d.Agency, Type: d.Type, Unit: unitDocument}
	if d.has(ratePaper | rateAlso) {
		k.Marks |= markPaper
	}
	switch {
	case d.has(rateSecret):
		k.Marks |= markSecret | markExcluded
		return k, true
	case d.has(rateExcluded):
		k.Marks |= markExcluded
		return k, true
	case d.has(rateCancelled):
		k.Marks |= markCancelled
		return k, true
	}
	if d.has(rateSealed) {
		k.Marks |= markSigned
	}
	if d.has(rateSent) {
		k.Marks |= markSent
		if d.SendBy == 0 || d.Sent <= d.SendBy {
			k.Marks |= markOnTime
		}
	}
	if d.has(rateSealed) && d.has(rateSent) {
		return k, true
	}
	for _, c := range documentCauseTable {
		if c.document(d, now) {
			k.Cause = c.Cause
			break
		}
	}
	return k, true
}

// key gives where the delivery counts at a time (0 = whatever the time).
func (v *rateDelivery) key(now int64) rateKey {
	k := rateKey{Day: v.Day, Agency: v.Agency, Type: v.Type, Unit: unitDelivery}
	if v.flags&rateExcluded != 0 {
		k.Marks = markExcluded | markPaper
		return k
	}
	if v.State == deliveryPaper {
		k.Marks |= markPaper
	} else {
		k.Marks |= markSent
	}
	if v.Status != StatusNone {
		k.Marks |= markArrived
	}
	entered := v.flags&rateEntered != 0
	switch v.Status {
	case StatusFinished:
		k.Marks |= markCompleted
	case StatusRefused:
		k.Marks |= markRefused
	case StatusRecallAgreed:
		k.Marks |= markRecalled
	}
	if v.State == deliveryTaken {
		k.Marks |= markWithdrawn
	}
	if entered {
		k.Marks |= markRegistered
	}
	if entered && k.Marks&(markRefused|markRecalled) == 0 {
		return k
	}
	for _, c := range deliveryCauseTable {
		if c.delivery(v, now) {
			k.Cause = c.Cause
			break
		}
	}
	return k
}

// The tables, made once: a cause is looked for with every entry.
var (
	documentCauseTable = documentCauses()
	deliveryCauseTable = deliveryCauses()
)

type deliveryKey struct {
	document  DocumentID
	recipient registry.AgencyID
}

// rateBook holds documents and deliveries by their ids: all of them when the
// whole log is read, those that a few entries are about otherwise.
type rateBook struct {
	documents  map[DocumentID]*rateDocument
	deliveries map[deliveryKey]*rateDelivery
}

func newRateBook() *rateBook {
	return &rateBook{documents: map[DocumentID]*rateDocument{}, deliveries: map[deliveryKey]*rateDelivery{}}
}

// counts tells whether entries of a kind change the rate, so that the bodies of
// others need not be read.
func counts(kind string) bool {
	switch kind {
	case "document.drafted", "document.revised", "document.signed", "document.sign-failed", "document.numbered", "document.number-cancelled", "document.sent",
		"document.send-refused", "document.updated", "document.paper", "document.paper-copy", "document.secret",
		"document.inherited", "delivery.failed", "delivery.postponed", "delivery.carried", "delivery.retried", "delivery.joined", "receipt.accepted",
		"request.recall", "request.update", "request.replace":
		return true
	}
	return false
}

// apply takes the next entry of the log.
func (b *rateBook) apply(r *ledger.Record) error {
	if !counts(r.Kind) {
		return nil
	}
	var f facts
	if err := json.Unmarshal(r.Body, &f); err != nil {
		return fmt.Errorf("decoding evidence %s: %w", r.ID, err)
	}
	id := DocumentID(r.Subject)
	at := sqldb.Micros(r.At)
	if strings.HasPrefix(r.Kind, "document.") {
		d := b.documents[id]
		if d == nil {
			d = &rateDocument{ID: id, Agency: registry.AgencyID(f["agency"])}
			b.documents[id] = d
		}
		b.document(d, r.Kind, f, at)
		return nil
	}
	if r.Kind == "delivery.joined" {
		b.join(id, f, at)
		return nil
	}
	for _, to := range recipientsOf(r.Kind, f) {
		if v := b.deliveries[deliveryKey{id, to}]; v != nil {
			v.apply(r.Kind, f, at)
		}
	}
	return nil
}

// recipientsOf gives the recipients an entry is about: by the codes that the
// sender used, also where successors have come in their place.
func recipientsOf(kind string, f facts) []registry.AgencyID {
	also := agencyList(f["addressed"])
	switch kind {
	case "delivery.failed", "delivery.postponed", "delivery.carried":
		return append(also, registry.AgencyID(f["recipient"]))
	case "receipt.accepted":
		return append(also, registry.AgencyID(f["from"]))
	case "request.recall", "request.update", "request.replace":
		return append(also, agencyList(f["withdrawn"])...)
	case "delivery.retried", "document.sent", "document.paper":
		return append(also, agencyList(f["recipients"])...)
	}
	return nil
}

func agencyList(codes string) []registry.AgencyID {
	if codes == "" {
		return nil
	}
	parts := strings.Split(codes, ",")
	out := make([]registry.AgencyID, len(parts))
	for i, p := range parts {
		out[i] = registry.AgencyID(p)
	}
	return out
}

// join lets a delivery whose recipient has ended share the answers of the copy
// that its successor has or gets; without one (the successor's own document) it
// is withdrawn and does not count.
func (b *rateBook) join(id DocumentID, f facts, at int64) {
	v, other := b.deliveries[deliveryKey{id, registry.AgencyID(f["predecessor"])}], b.deliveries[deliveryKey{id, registry.AgencyID(f["joined_to"])}]
	switch {
	case v == nil:
	case other != nil:
		v.State, v.Failure, v.Status, v.flags, v.Since = other.State, other.Failure, other.Status, other.flags, at
	case f["joined_to"] == "":
		v.State, v.Failure, v.Since = deliveryTaken, "", at
		v.flags |= rateExcluded
	}
}

// document takes an entry about a document.
func (b *rateBook) document(d *rateDocument, kind string, f facts, at int64) {
	switch kind {
	case "document.drafted", "document.revised":
		d.Type = f["type"]
	case "document.signed":
		d.Failure = ""
		switch Step(f["step"]) {
		case StepApprove:
			d.flags |= rateApproved
		case StepSeal:
			d.flags |= rateSealed
		}
	case "document.sign-failed":
		d.Failure = failOther
		if f["failure"] != "" {
			d.Failure = f["failure"]
		}
	case "document.numbered":
		d.flags |= rateNumbered
		d.Day, d.Code, d.SendBy = dayNumber(parsePinned(f["issued"])), f["code"], sqldb.Micros(parsePinned(f["send_by"]))
	case "document.inherited":
		d.Agency = registry.AgencyID(f["agency"])
	case "document.number-cancelled":
		d.flags |= rateCancelled
	case "document.send-refused":
		d.Failure = f["failure"]
	case "document.sent":
		d.flags |= rateSent
		d.Failure = ""
		if d.Sent == 0 {
			d.Sent = at
		}
		b.send(d, f, deliveryWaiting, at)
	case "document.updated": // recipients may be added
		b.send(d, f, deliveryWaiting, at)
	case "document.paper-copy":
		d.flags |= rateAlso
	case "document.secret":
		d.flags |= rateSecret
		d.Day = dayNumber(parsePinned(f["issued"]))
	case "document.paper":
		d.Type, d.Reason = f["type"], f["reason"]
		d.flags |= ratePaper
		if f["excluded"] == "yes" {
			d.flags |= rateExcluded
		}
		d.Day, d.Code = dayNumber(parsePinned(f["issued"])), f["code"]
		b.send(d, f, deliveryPaper, at)
	}
}

// send adds deliveries to recipients that have none.
func (b *rateBook) send(d *rateDocument, f facts, state string, at int64) {
	unable := map[registry.AgencyID]bool{}
	for _, a := range agencyList(f["unable"]) {
		unable[a] = true
	}
	for _, to := range recipientsOf("document.sent", f) {
		key := deliveryKey{d.ID, to}
		if b.deliveries[key] != nil {
			continue
		}
		v := &rateDelivery{Document: d.ID, Recipient: to, Agency: d.Agency, Type: d.Type, Day: d.Day, State: state, Since: at}
		if d.has(rateExcluded) || unable[to] {
			v.flags |= rateExcluded
		}
		b.deliveries[key] = v
	}
}

// apply takes an entry about a delivery.
func (v *rateDelivery) apply(kind string, f facts, at int64) {
	switch kind {
	case "delivery.retried":
		if v.State == deliveryFailed {
			v.State, v.Failure, v.Since = deliveryWaiting, "", at
		}
	case "delivery.postponed":
		if v.State != deliveryDone && v.State != deliveryTaken {
			v.State, v.Failure, v.Since = deliveryRetrying, f["failure"], at
		}
	case "delivery.carried":
		if v.State != deliveryDone && v.State != deliveryTaken {
			v.State, v.Failure, v.Since = deliveryCarried, "", at
		}
	case "delivery.failed":
		if v.State != deliveryDone && v.State != deliveryTaken {
			v.State, v.Failure, v.Since = deliveryFailed, f["failure"], at
		}
	case "request.recall", "request.update", "request.replace":
		if v.State != deliveryDone {
			v.State, v.Failure, v.Since = deliveryTaken, "", at
		}
	case "receipt.accepted":
		if f["status"] == "" {
			return // it says nothing: neither that the document arrived nor what became of it
		}
		v.State, v.Failure, v.Since, v.Status = deliveryDone, "", at, Status(f["status"])
		if f["step"] == "1" && v.Status == StatusRefused {
			v.flags |= rateAtDoor
		}
		if f["arrival_number"] != "" {
			v.flags |= rateEntered
		}
	}
}

// parsePinned reads a time as evidence carries it; zero when there is none.
func parsePinned(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// dayNumber counts the day in Vietnam on which t falls from 1 January 1970.
func dayNumber(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	const hour = 3600
	return (t.Unix() + 7*hour) / (24 * hour)
}

// firstDay gives the first day that begins at t or later.
func firstDay(t time.Time) int64 { return dayNumber(t.Add(-time.Microsecond)) + 1 }

// dayText writes such a day as YYYY-MM-DD.
func dayText(day int64) string { return time.Unix(day*86400, 0).UTC().Format(time.DateOnly) }
