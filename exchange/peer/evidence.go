package peer

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// The kinds of an event.
const (
	eventReceipt = "receipt" // a status that the recipient has signed
	eventRequest = "request" // the sender asks a document back, updates or replaces it
	eventAnswer  = "answer"  // what became of a request at once, where no receipt says it
)

// Event is one piece of evidence between hubs, known by its id however often and whichever way it comes. Members that
// are not known here are ignored.
type Event struct {
	ID       string              `json:"id"`
	Kind     string              `json:"kind"`
	Name     string              `json:"event"`          // see the table in README.md
	ERDS     string              `json:"erds,omitempty"` // the name of ETSI EN 319 522-1, where it has one
	Document exchange.DocumentID `json:"document"`
	From     registry.AgencyID   `json:"from"`
	To       registry.AgencyID   `json:"to"`
	At       time.Time           `json:"at"`
	Receipt  *receipt            `json:"receipt,omitempty"`
	Notice   *exchange.Notice    `json:"notice,omitempty"`
	Answer   *answered           `json:"answer,omitempty"`
}

type answered struct {
	Request exchange.RequestID `json:"request"`
	Fate    exchange.Fate      `json:"fate"`
	Note    string             `json:"note,omitempty"`
}

// named gives the event that a status is, and the name it has in ETSI EN 319 522-1.
func named(s exchange.Status) (name, erds string) {
	switch s {
	case exchange.StatusArrived:
		return "consigned", "ContentConsignment"
	case exchange.StatusRefused:
		return "refused", "ContentConsignmentFailure"
	case exchange.StatusRegistered:
		return "registered", "ContentHandover"
	case exchange.StatusAssigned:
		return "assigned", ""
	case exchange.StatusProcessing:
		return "in-progress", ""
	case exchange.StatusFinished:
		return "completed", ""
	case exchange.StatusRecall:
		return "recall-requested", ""
	case exchange.StatusRecallAgreed:
		return "recall-agreed", ""
	case exchange.StatusRecallDenied:
		return "recall-refused", ""
	}
	return "other", ""
}

// CarryReceipt puts a status on its way to the hub of the document's sender. It is that hub's as soon as it is written.
func (p *Peers) CarryReceipt(ctx context.Context, r *exchange.Receipt, _ exchange.Envelope) error {
	t, err := p.travelling(ctx, r)
	if err != nil {
		return err
	}
	name, erds := named(r.Status)
	return p.tell(ctx, r.To, Event{ID: r.ID, Kind: eventReceipt, Name: name, ERDS: erds, Document: r.Document, From: r.From, To: r.To, At: r.At, Receipt: &t})
}

// CarryNotice puts a request of a sender on its way to the hub of the recipient.
func (p *Peers) CarryNotice(ctx context.Context, n *exchange.Notice, _ exchange.Envelope) error {
	return p.tell(ctx, n.To, Event{ID: string(n.Request) + ":" + string(n.To), Kind: eventRequest, Name: string(n.Kind) + "-requested", Document: n.Document,
		From: n.From, To: n.To, At: n.At, Notice: n})
}

// tell writes an event for the hub of an agency, and the job that brings it.
func (p *Peers) tell(ctx context.Context, to registry.AgencyID, e Event) error {
	hub, err := p.lastHub(ctx, to)
	if err != nil {
		return err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	err = p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := insertEvent(ctx, tx, hub, e.ID, string(e.Document), string(body), p.now()); err != nil {
			return err
		}
		return p.cfg.Jobs.Add(ctx, tx, jobPush, hubArgs{hub}, jobs.AddOptions{Lane: hub})
	})
	if err != nil {
		return fmt.Errorf("keeping evidence for hub %s: %w", hub, err)
	}
	return nil
}

// lastHub gives the hub that speaks for an agency, or did last: what is told of the past goes there too.
func (p *Peers) lastHub(ctx context.Context, code registry.AgencyID) (hub string, err error) {
	err = p.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		hub, _, err = selectEver(ctx, tx, code, p.now())
		return err
	})
	if err == nil && hub == "" {
		err = registry.NewError(exchange.KindUnavailable, fmt.Sprintf("Chưa có máy chủ nào đại diện cho %s.", code), fmt.Sprintf("No hub speaks for %s yet.", code))
	}
	return hub, err
}

// numbered is an event with the number that it has for the hub it is for.
type numbered struct {
	Seq   int64           `json:"seq"`
	Event json.RawMessage `json:"event"`
}

// Batch is a run of events for one hub.
type Batch struct {
	Hub    string     `json:"hub"`
	To     string     `json:"to"`
	Events []numbered `json:"events"`
	More   bool       `json:"more,omitempty"`
}

// outcome tells what became of one event.
type outcome struct {
	Seq    int64  `json:"seq"`
	Result string `json:"result"` // taken, refused, later
	Why    string `json:"why,omitempty"`
}

// The results of an event.
const (
	resultTaken   = "taken"
	resultRefused = "refused" // never: trying again changes nothing
	resultLater   = "later"
)

func (p *Peers) batch(ctx context.Context, to string, list []eventRow) (*Batch, error) {
	s, err := p.own(ctx)
	if err != nil {
		return nil, err
	}
	b := &Batch{Hub: s.id, To: to, Events: make([]numbered, len(list)), More: len(list) == eventBatch}
	for i, e := range list {
		b.Events[i] = numbered{e.seq, json.RawMessage(e.body)}
	}
	return b, nil
}

// runPush brings a hub the evidence that waits for it, in order.
func (p *Peers) runPush(ctx context.Context, raw json.RawMessage) error {
	var args hubArgs
	if err := json.Unmarshal(raw, &args); err != nil {
		return jobs.Cancel(fmt.Errorf("push to a hub: %w", err))
	}
	h, err := p.hub(ctx, args.Hub)
	if err != nil {
		return err
	}
	if h == nil || h.Disabled {
		return nil // letting it in again wakes this
	}
	later := false
	for after := int64(0); ; {
		if rest := p.link(h.ID).rest(p.now()); rest > 0 {
			return jobs.Snooze(rest)
		}
		var list []eventRow
		err := p.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			list, err = selectOpenEvents(ctx, tx, h.ID, after, eventBatch)
			return err
		})
		if err != nil {
			return fmt.Errorf("reading evidence for hub %s: %w", h.ID, err)
		}
		if len(list) == 0 {
			break
		}
		after = list[len(list)-1].seq
		waits, err := p.push(ctx, h, list)
		if err != nil {
			p.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "bringing evidence to a hub", slog.String("hub", h.ID), slog.String("error", err.Error()))
			return jobs.Snooze(max(time.Second, p.link(h.ID).rest(p.now())))
		}
		later = later || waits
	}
	if later {
		return jobs.Snooze(time.Minute)
	}
	return nil
}

// push brings a batch and notes what became of each event; it tells whether some have to be brought again.
func (p *Peers) push(ctx context.Context, h *Hub, list []eventRow) (later bool, err error) {
	b, err := p.batch(ctx, h.ID, list)
	if err != nil {
		return false, err
	}
	signed, err := p.sign(ctx, typeEvidence, b, false)
	if err != nil {
		return false, err
	}
	got, err := p.call(ctx, h, http.MethodPost, prefix+"/evidence", signed, nil)
	if err != nil {
		return false, asTold(h, err)
	}
	var results []outcome
	if err := p.read(h, got.data, typeAnswer, &results); err != nil {
		return false, err
	}
	sent := make(map[int64]bool, len(list))
	for _, e := range list {
		sent[e.seq] = true
	}
	err = p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		later = false
		done := 0
		for _, o := range results {
			if !sent[o.Seq] || o.Result != resultTaken && o.Result != resultRefused {
				continue
			}
			done++
			said := ""
			if o.Result == resultRefused {
				said = clip(o.Why, 300)
			}
			if err := settleEvent(ctx, tx, h.ID, o.Seq, said, p.now()); err != nil {
				return err
			}
		}
		later = done < len(list)
		return nil
	})
	return later, err
}

func (p *Peers) postEvidence(w http.ResponseWriter, r *http.Request, from *Hub) error {
	data, err := body(w, r)
	if err != nil {
		return err
	}
	payload, err := open(data, typeEvidence, from.Keys)
	if err != nil {
		return refuse(codeSignature, "Chứng cứ không có chữ ký hợp lệ.", "The evidence bears no valid signature.")
	}
	b, err := p.readBatch(r.Context(), payload, from)
	if err != nil {
		return err
	}
	results, err := p.takeBatch(r.Context(), from, b)
	if err != nil {
		return err
	}
	if err := p.caughtUp(r.Context(), from, results); err != nil {
		return err
	}
	return p.answer(w, r, http.StatusOK, typeAnswer, results)
}

// readBatch checks the form of a run of events; it comes from outside.
func (p *Peers) readBatch(ctx context.Context, payload []byte, from *Hub) (*Batch, error) {
	s, err := p.own(ctx)
	if err != nil {
		return nil, err
	}
	var b Batch
	if err := json.Unmarshal(payload, &b); err != nil || len(b.Events) > eventBatch || b.Hub != from.ID || b.To != s.id {
		return nil, refuse(codeInvalid, "Danh sách chứng cứ không hợp lệ.", "The list of evidence is not valid.")
	}
	return &b, nil
}

// takeBatch takes each event by itself: one that is refused does not block the next.
func (p *Peers) takeBatch(ctx context.Context, from *Hub, b *Batch) ([]outcome, error) {
	out := make([]outcome, len(b.Events))
	for i, n := range b.Events {
		out[i] = outcome{Seq: n.Seq, Result: resultTaken}
		err := p.takeEvent(ctx, from, n.Event)
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		said := refusalOf(err)
		out[i].Result, out[i].Why = resultRefused, string(said.Code)+": "+said.MessageEN
		if _, again := said.Code.status(); again {
			out[i].Result = resultLater
		}
		p.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "evidence of a hub not taken", slog.String("hub", from.ID), slog.Int64("seq", n.Seq),
			slog.String("result", out[i].Result), slog.String("error", err.Error()))
	}
	return out, nil
}

// caughtUp notes how far the events of a hub are here without a gap, so that a pull begins behind them.
func (p *Peers) caughtUp(ctx context.Context, from *Hub, results []outcome) error {
	return p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		h, err := selectHub(ctx, tx, from.ID)
		if err != nil || h == nil {
			return err
		}
		was := h.pulled
		for _, o := range results {
			if o.Result == resultLater || o.Seq > h.pulled+1 {
				break
			}
			h.pulled = max(h.pulled, o.Seq)
		}
		if h.pulled == was {
			return nil
		}
		return setPulled(ctx, tx, h.ID, h.pulled)
	})
}

// takeEvent lets one event take effect. Each kind is idempotent by the id of what it carries.
func (p *Peers) takeEvent(ctx context.Context, from *Hub, raw json.RawMessage) error {
	var e Event
	if err := json.Unmarshal(raw, &e); err != nil {
		return refuse(codeInvalid, "Chứng cứ không đọc được.", "The evidence cannot be read.")
	}
	switch {
	case e.Kind == eventReceipt && e.Receipt != nil:
		return p.takeReceipt(ctx, from, *e.Receipt)
	case e.Kind == eventRequest && e.Notice != nil:
		return p.takeRequest(ctx, from, e.Notice)
	case e.Kind == eventAnswer && e.Answer != nil:
		if err := p.spokeFor(ctx, from, e.From); err != nil {
			return err
		}
		return p.cfg.Service.ForeignAnswer(ctx, e.Answer.Request, e.From, e.Answer.Fate, e.Answer.Note)
	}
	return refuse(codeInvalid, "Loại chứng cứ này chưa được hỗ trợ.", "This kind of evidence is not known here.")
}

// takeReceipt checks a receipt and lets it count: the hub that brings it has to speak for the agency that signed, and
// vouches for the certificate.
func (p *Peers) takeReceipt(ctx context.Context, from *Hub, r receipt) error {
	bad := refuse(codeInvalid, "Biên nhận không đọc được.", "The receipt cannot be read.")
	text, err1 := base64.StdEncoding.DecodeString(r.Body)
	sig, err2 := base64.StdEncoding.DecodeString(r.Signature)
	der, err3 := base64.StdEncoding.DecodeString(r.Certificate)
	if errors.Join(err1, err2, err3) != nil {
		return bad
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return bad
	}
	var who struct {
		From registry.AgencyID `json:"from"`
	}
	if json.Unmarshal(text, &who) != nil {
		return bad
	}
	if err := p.spokeFor(ctx, from, who.From); err != nil {
		return err
	}
	_, err = p.cfg.Service.AcceptReceipt(ctx, exchange.ForeignReceipt{Body: text, Signature: sig, Certificate: registry.Fingerprint(certificate), Hub: from.ID})
	return err
}

// spokeFor checks that a hub speaks for an agency, or was the last to do so.
func (p *Peers) spokeFor(ctx context.Context, hub *Hub, code registry.AgencyID) error {
	var last string
	err := p.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		last, _, err = selectEver(ctx, tx, code, p.now())
		return err
	})
	if err == nil && last != hub.ID {
		err = refuse(codeAuthority, "Máy chủ gửi không đại diện cho cơ quan "+clip(string(code), 40)+".", "The sending hub does not speak for the agency "+clip(string(code), 40)+".")
	}
	return err
}

// takeRequest puts a sender's request before the recipient. What had ended before is told at once.
func (p *Peers) takeRequest(ctx context.Context, from *Hub, n *exchange.Notice) error {
	if err := p.speaksFor(ctx, from, n.From); err != nil {
		return err
	}
	if _, err := p.local(ctx, string(n.To)); err != nil {
		return err
	}
	fate, err := p.cfg.Service.ReceiveNotice(ctx, n.From, *n)
	if err != nil || fate != exchange.FateTooLate {
		return err
	}
	return p.tell(ctx, n.From, Event{ID: string(n.Request) + ":" + string(n.To) + ":answer", Kind: eventAnswer, Name: "request-answered", Document: n.Document,
		From: n.To, To: n.From, At: p.now(), Answer: &answered{Request: n.Request, Fate: fate}})
}

// getEvidence gives what waits for the hub that asks, from a number on; what came before that number it has.
func (p *Peers) getEvidence(w http.ResponseWriter, r *http.Request, from *Hub) error {
	after, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	if err != nil || after < 0 {
		return refuse(codeInvalid, "after không hợp lệ.", "after is not valid.")
	}
	ctx := r.Context()
	var list []eventRow
	err = p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if err := settleEventsUpTo(ctx, tx, from.ID, after, p.now()); err != nil {
			return err
		}
		list, err = selectEvents(ctx, tx, from.ID, after, eventBatch)
		return err
	})
	if err != nil {
		return err
	}
	b, err := p.batch(ctx, from.ID, list)
	if err != nil {
		return err
	}
	return p.answer(w, r, http.StatusOK, typeEvidence, b)
}

// pull fetches the evidence that waits at a hub, for hubs that cannot be reached themselves. An event that can be taken
// later only ends the pull there.
func (p *Peers) pull(ctx context.Context, h *Hub) error {
	for after := h.pulled; ; {
		var raw json.RawMessage
		if err := p.get(ctx, h, prefix+"/evidence?after="+strconv.FormatInt(after, 10), typeEvidence, &raw); err != nil {
			return err
		}
		b, err := p.readBatch(ctx, raw, h)
		if err != nil {
			return fmt.Errorf("the evidence of hub %s: %w", h.ID, err)
		}
		results, err := p.takeBatch(ctx, h, b)
		if err != nil {
			return err
		}
		was := after
		for _, o := range results {
			if o.Result == resultLater || o.Seq <= after {
				break
			}
			after = o.Seq
		}
		if after == was {
			return nil
		}
		if err := p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return setPulled(ctx, tx, h.ID, after) }); err != nil {
			return err
		}
		p.link(h.ID).know(nil, time.Time{})
		if !b.More {
			return nil
		}
	}
}
