package exchange

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// The evidence carries what a row says, so that Check can tell a row that was
// changed behind the exchange's back: the ledger's own check shows that the
// evidence is as it was written. Evidence written before a field was added to it
// says nothing about that field.

// pinnedTime writes a time as evidence carries it; "" = none.
func pinnedTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return sqldb.Time(sqldb.Micros(t)).Format(time.RFC3339Nano)
}

// described is what a draft says for good.
func (d *Document) described() facts {
	return facts{"agency": string(d.Agency), "type": d.Type, "subject": d.Subject, "notation": d.Notation, "place": d.Place,
		"priority": strconv.Itoa(int(d.Priority)), "due": pinnedTime(d.Due), "signer_name": d.SignerName,
		"signer_position": d.SignerPosition, "competence": d.Competence, "details": d.Details.pinned()}
}

// pinned is all that the evidence says of a document, as its row has it.
func (d *Document) pinned() facts {
	f := d.described()
	maps.Copy(f, facts{"digest": string(d.PDF.Digest), "number": strconv.Itoa(d.Number), "year": strconv.Itoa(d.Year), "axis": d.Axis,
		"code": d.Code(), "series": d.Series, "issued": pinnedTime(d.Issued), "state": string(d.State), "package": string(d.Package.Digest)})
	return f
}

// described is what came with an incoming document.
func (in *Incoming) described() facts {
	return facts{"agency": string(in.Agency), "from": string(in.From), "code": in.Code, "document": string(in.Document),
		"digest": string(in.PDF.Digest), "verdict": string(in.Verdict), "subject": in.Subject, "type": in.Type,
		"signer_name": in.SignerName, "issued": pinnedTime(in.Issued), "due": pinnedTime(in.Due), "priority": strconv.Itoa(int(in.Priority))}
}

// pinned is all that the evidence says of an incoming document, as its row has it.
func (in *Incoming) pinned() facts {
	f := in.described()
	maps.Copy(f, facts{"status": string(in.Status), "note": in.Note, "number": strconv.Itoa(in.ArrivalNumber),
		"year": strconv.Itoa(in.ArrivalYear), "to": string(in.Assignee)})
	return f
}

// history is what the evidence of one document says when read in order.
type history struct {
	pins    facts         // the latest word on each field
	digests []blob.Digest // of the revisions
	entries int
	sent    string // how many recipients
}

// pin takes the named fields that the entry has.
func (h *history) pin(body facts, names ...string) {
	for _, name := range names {
		if v, ok := body[name]; ok {
			h.pins[name] = v
		} else {
			delete(h.pins, name)
		}
	}
}

// outgoing reads an entry about an outgoing document.
func (h *history) outgoing(kind string, body facts) {
	h.entries++
	switch kind {
	case "document.drafted":
		h.pins = facts{"state": string(StateDraft), "number": "0", "year": "0", "axis": "", "code": "", "issued": "", "package": ""}
		h.pin(body, slices.Collect(maps.Keys((&Document{}).described()))...)
		h.revised(body)
	case "document.signed":
		if a, ok := actOf(Step(body["step"])); ok {
			if to, ok := next(documentTransitions(), State(h.pins["state"]), a); ok {
				h.pins["state"] = string(to)
			}
		}
		h.revised(body)
	case "document.revised":
		h.pins["state"] = string(StateDraft)
		h.pin(body, slices.Collect(maps.Keys((&Document{}).described()))...)
		h.revised(body)
	case "document.returned":
		h.pins["state"] = string(StateDraft)
	case "document.numbered":
		h.pin(body, "number", "year", "axis", "code", "issued", "series")
	case "document.number-cancelled":
		h.pins["state"] = string(StateCancelled)
	case "document.paper":
		h.pins["state"], h.pins["package"], h.pins["digest"] = string(StatePaper), "", ""
		h.pin(body, slices.Collect(maps.Keys((&Document{}).described()))...)
	case "document.sent":
		h.pins["state"], h.sent = string(StateSent), body["count"]
	case "document.updated":
		h.changed(body)
		more, _ := strconv.Atoi(body["added"]) // as we wrote it; anything else fails the comparison
		sent, _ := strconv.Atoi(h.sent)
		h.sent = strconv.Itoa(sent + more)
	case "document.inherited":
		h.pin(body, "agency")
	case "document.archived":
		h.pin(body, "package")
	}
}

func (h *history) revised(body facts) {
	h.pin(body, "digest")
	h.digests = append(h.digests, blob.Digest(body["digest"]))
}

// incoming reads an entry about an incoming document.
func (h *history) incoming(kind string, body facts) {
	if kind == "incoming.reassign" || kind == "incoming.handed-over" { // not a status
		h.pin(body, "to")
		return
	}
	h.entries++
	switch kind {
	case "incoming.follow":
		h.pin(body, "status")
	case "incoming.received", "incoming.rejected":
		h.pins = facts{"number": "0", "year": "0", "to": "", "status": string(StatusArrived)}
		if kind == "incoming.rejected" {
			h.pins["status"] = string(StatusRefused)
		}
		h.pin(body, slices.Collect(maps.Keys((&Incoming{}).described()))...)
	case "incoming." + string(ActRegister):
		h.pin(body, "number", "year")
	case "incoming." + string(ActAssign):
		h.pin(body, "to")
	}
	act := Act(strings.TrimPrefix(kind, "incoming."))
	if to, ok := next(statusTransitions(), Status(h.pins["status"]), act); ok {
		h.pins["status"] = string(to)
	}
	if act == ActAgreeUpdate {
		h.changed(body)
	}
	h.pins["note"] = body["note"]
}

// changed takes what an update changes.
func (h *history) changed(body facts) {
	for _, name := range []string{"subject", "priority", "due"} {
		if v, ok := body[name]; ok {
			h.pins[name] = v
		}
	}
}

// compare reports the fields in which a row is not what the evidence says.
func (h *history) compare(what string, row facts, yield func(string)) {
	if h == nil {
		yield(what + ": there is no evidence of it")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(h.pins)) {
		if row[name] != h.pins[name] {
			yield(fmt.Sprintf("%s: its %s is %q, the evidence says %q", what, name, row[name], h.pins[name]))
		}
	}
}

// revisions reports where the kept files are not those of the evidence.
func (h *history) revisions(what string, kept []revision, yield func(string)) {
	if h == nil {
		return
	}
	if len(kept) != len(h.digests) {
		yield(fmt.Sprintf("%s: %d revisions, the evidence says %d", what, len(kept), len(h.digests)))
		return
	}
	for i, r := range kept {
		if r.pdf.Digest != h.digests[i] {
			yield(fmt.Sprintf("%s: revision %d is %s, the evidence says %s", what, r.seq, r.pdf.Digest, h.digests[i]))
		}
	}
}

// historyOf gives the history of a subject, begun when there is none.
func historyOf(all map[string]*history, id string) *history {
	h := all[id]
	if h == nil {
		h = &history{pins: facts{}}
		all[id] = h
	}
	return h
}
