package console

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// typeName is the name of a document type in the visit's language.
func (v *voice) typeName(code string) string {
	for _, t := range exchange.DocTypes() {
		if t.Code == code {
			if v.lang == "en" && t.NameEN != "" {
				return t.NameEN
			}
			return t.Name
		}
	}
	return code
}

func (v *voice) priority(p exchange.Priority) string {
	if p == exchange.PriorityNormal {
		return ""
	}
	return p.In(v.lang)
}

func (v *voice) stateChip(s exchange.State) chip {
	c := chip{Tone: "info", Icon: "pen", Label: s.In(v.lang)}
	switch s {
	case exchange.StateDraft:
		c.Tone = ""
	case exchange.StateSealed:
		c.Icon = "seal"
	case exchange.StateSent:
		c.Tone, c.Icon = "ok", "send"
	case exchange.StateCancelled:
		c.Tone, c.Icon = "bad", "bad"
	}
	return c
}

// statusChip shows a business status with its official number.
func (v *voice) statusChip(s exchange.Status) chip {
	if s == "" {
		return chip{Icon: "wait", Label: v.say("status.none")}
	}
	c := chip{Tone: "info", Icon: "dot", Label: string(s) + " " + v.sayOr("status."+string(s), "")}
	switch s {
	case exchange.StatusArrived:
		c.Tone, c.Icon = "wait", "wait"
	case exchange.StatusRefused, exchange.StatusRecallDenied:
		c.Tone, c.Icon = "bad", "back"
	case exchange.StatusFinished:
		c.Tone, c.Icon = "ok", "ok"
	case exchange.StatusRecall:
		c.Tone = "wait"
	}
	return c
}

// deliveryChip shows the status, or how far the transport is while there is none.
func (v *voice) deliveryChip(d *exchange.Delivery) chip {
	if d.Status != "" {
		return v.statusChip(d.Status)
	}
	c := chip{Icon: "wait", Label: v.sayOr("transport."+d.Transport, v.say("status.none"))}
	if d.Transport == "fail" {
		c.Tone, c.Icon = "bad", "bad"
	}
	return c
}

// trouble says why a delivery has not arrived and when it is tried again.
func (v *voice) trouble(d *exchange.Delivery) string {
	if d.LastError == "" || d.Status != "" {
		return ""
	}
	s := d.LastError
	if !d.Next.IsZero() {
		s += ". " + v.say("delivery.next", v.num(d.Attempts), moment(d.Next))
	}
	return s
}

func (v *voice) channelChip(channel string) chip {
	if channel == "" {
		return chip{Tone: "wait", Icon: "bad", Label: v.say("channel.none")}
	}
	return chip{Tone: "ok", Icon: "ok", Label: v.sayOr("channel."+channel, channel)}
}

// code is number and symbol, or that there is no number yet.
func (v *voice) code(d *exchange.Document) string {
	if c := d.Code(); c != "" {
		return c
	}
	if d.Notation != "" {
		return v.say("code.none") + " (" + d.Notation + ")"
	}
	return v.say("code.none")
}

func documentURL(id exchange.DocumentID) string { return "/documents/" + string(id) }
func incomingURL(id exchange.IncomingID) string { return "/incoming/" + string(id) }

func (v *visit) incomingRow(in *exchange.Incoming) incomingRow {
	row := incomingRow{URL: incomingURL(in.ID), Subject: in.Subject, Code: in.Code, Type: v.typeName(in.Type),
		Issued: day(in.Issued), From: v.sender(in), FromCode: string(in.From), Received: in.Received,
		Due: day(workDue(in)), Priority: v.priority(in.Priority), Late: v.late(workDue(in), in.Status),
		Verdict: v.indicationChip(in.Verdict), Status: v.statusChip(in.Status)}
	if in.ArrivalNumber > 0 {
		row.Arrival = v.say("arrival.number", strconv.Itoa(in.ArrivalNumber))
	}
	return row
}

// late tells whether the day of the deadline is over and the work is not.
func (v *visit) late(due time.Time, s exchange.Status) bool {
	open := s != exchange.StatusFinished && s != exchange.StatusRefused && s != exchange.StatusRecallAgreed
	return open && !due.IsZero() && v.srv.cfg.Now().After(due.Add(24*time.Hour))
}

func (v *visit) outgoingRow(d *exchange.Document) outgoingRow {
	return outgoingRow{URL: documentURL(d.ID), Subject: d.Subject, Code: v.code(d), Type: v.typeName(d.Type),
		Signer: d.SignerName, Priority: v.priority(d.Priority), Created: d.Created, Sent: d.Sent, State: v.stateChip(d.State)}
}

// steps is the way of an outgoing document; at is the step to do now.
func (v *voice) steps(at string) []stepView {
	names := []string{"draft", "initial", "approve", "number", "seal", "send"}
	class := "done"
	steps := make([]stepView, 0, len(names))
	for _, n := range names {
		s := stepView{Label: v.say("step." + n), Class: class}
		if n == at {
			s.Class, class = "now", ""
		}
		steps = append(steps, s)
	}
	return steps
}

// stepOf is the step that a document's state waits for.
func stepOf(d *exchange.Document) string {
	switch d.State {
	case exchange.StateDraft:
		return "initial"
	case exchange.StateInitialled:
		return "approve"
	case exchange.StateApproved:
		if d.Number == 0 {
			return "number"
		}
		return "seal"
	case exchange.StateSealed:
		return "send"
	}
	return ""
}

// facts leaves out what is not known.
func facts(pairs ...fact) []fact {
	kept := pairs[:0]
	for _, f := range pairs {
		if strings.TrimSpace(f.Value) != "" {
			kept = append(kept, f)
		}
	}
	return kept
}

func (v *visit) eventRows(events []exchange.Event) []eventRow {
	rows := make([]eventRow, 0, len(events))
	for _, e := range events {
		row := eventRow{What: v.inWords(e), At: e.At, By: e.ByIn(v.lang)}
		if person := !strings.HasPrefix(e.Actor, "system:"); person && e.Agency != "" && e.Agency != string(v.actor.Agency) {
			row.By += ", " + v.agencyName(registry.AgencyID(e.Agency))
		}
		if e.Index >= 0 {
			row.Proof = v.say("trail.proof", v.num(int(e.Index)))
		}
		rows = append(rows, row)
	}
	return rows
}

// trail folds all but the latest events away.
func (v *visit) trail(events []exchange.Event) trailView {
	const latest = 5
	rows := v.eventRows(events)
	n := max(0, len(rows)-latest)
	if n == 1 { // folding one away saves no room
		n = 0
	}
	return trailView{Older: rows[:n], Latest: rows[n:]}
}

// inWords is an event's sentence with the word of a verdict where it has the code.
func (v *voice) inWords(e exchange.Event) string {
	text, verdict := e.In(v.lang), e.Params["verdict"]
	if verdict == "" {
		return text
	}
	return strings.Replace(text, verdict, v.sayOr("word."+verdict, verdict), 1)
}

// yearOptions are this year and the four before it.
func (v *visit) yearOptions(chosen int, all bool) []option {
	now := v.srv.cfg.Now().In(hanoi).Year()
	var options []option
	if all {
		options = append(options, option{Label: v.say("filter.all"), Selected: chosen == 0})
	}
	for y := now; y > now-5; y-- {
		options = append(options, option{Value: strconv.Itoa(y), Label: strconv.Itoa(y), Selected: y == chosen})
	}
	return options
}

// yearOf reads ?year=; nonsense is no year.
func yearOf(s string) int {
	y, err := strconv.Atoi(s)
	if err != nil || y < 2000 || y > 9999 {
		return 0
	}
	return y
}

// twoDigits is a number as official documents write it: 01 below ten.
func twoDigits(n int) string { return fmt.Sprintf("%02d", n) }
