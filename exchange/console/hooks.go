package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/exchange/webhook"
)

// rotateOverlap is how long the old secret signs beside the new one when it is changed on the page.
const rotateOverlap = 24 * time.Hour

// hooksPage lists the agency's webhooks, with a form to add one.
func (s *server) hooksPage(v *visit) error { return v.hooks(hookForm{}, nil) }

func (v *visit) hooks(typed hookForm, problem error) error {
	list, err := v.srv.cfg.Webhooks.List(v.ctx(), v.actor, "")
	if err != nil {
		return err
	}
	body := hooksBody{New: typed}
	for i := range list {
		body.Rows = append(body.Rows, v.hookRow(&list[i]))
	}
	return v.showWith("webhooks", v.say("nav.webhooks"), body, problem)
}

func (v *visit) hookRow(s *webhook.Subscription) hookRow {
	row := hookRow{Path: hookURL(s.ID), URL: s.URL, Description: s.Description, Events: strings.Join(s.Events, ", "), Waiting: v.num(int(s.Waiting)),
		Sent: v.num(int(s.Last - s.Waiting)), Since: s.Failing}
	if row.Events == "" {
		row.Events = v.say("webhook.allevents")
	}
	switch {
	case s.State == webhook.StateDisabled:
		row.State = chip{"bad", "bad", v.say("webhook.disabled")}
	case s.State == webhook.StatePaused:
		row.State = chip{"", "wait", v.say("webhook.paused")}
	case !s.Failing.IsZero():
		row.State = chip{"wait", "wait", v.say("webhook.failing")}
	default:
		row.State = chip{"ok", "ok", v.say("webhook.active")}
	}
	return row
}

func hookURL(id webhook.ID) string { return "/webhooks/" + string(id) }

func (s *server) addHook(v *visit) error {
	if err := v.r.ParseForm(); err != nil {
		return formError(err)
	}
	typed := hookForm{URL: v.line("url"), Description: v.line("description"), Events: v.line("events")}
	added, secret, err := s.cfg.Webhooks.Add(v.ctx(), v.actor, "", typed.input())
	if err != nil {
		return v.hooks(typed, err)
	}
	return v.hook(added.ID, secret, nil)
}

// input reads the kinds of events as they are typed: parted by commas, spaces or lines.
func (f hookForm) input() webhook.Input {
	events := strings.FieldsFunc(f.Events, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\n' || r == '\r' })
	return webhook.Input{URL: f.URL, Description: norm.NFC.String(f.Description), Events: events}
}

func (v *visit) hookID() webhook.ID { return webhook.ID(v.r.PathValue("id")) }

func (s *server) hookPage(v *visit) error { return v.hook(v.hookID(), "", nil) }

// hook shows one webhook with its messages and its log. secret is shown this once, right after it was made.
func (v *visit) hook(id webhook.ID, secret string, problem error) error {
	hooks := v.srv.cfg.Webhooks
	s, err := hooks.Get(v.ctx(), v.actor, id)
	if err != nil {
		return err
	}
	before, err := strconv.ParseInt("0"+v.r.URL.Query().Get("after"), 10, 64)
	if err != nil {
		return errNoPage
	}
	messages, err := hooks.Messages(v.ctx(), v.actor, id, before, listSize)
	if err != nil {
		return err
	}
	attempts, err := hooks.Attempts(v.ctx(), v.actor, id, "", listSize)
	if err != nil {
		return err
	}
	row := v.hookRow(s)
	body := hookBody{Hook: row, Secret: secret, Active: s.State == webhook.StateActive, Reason: s.Reason, Form: hookForm{URL: s.URL, Description: s.Description, Events: strings.Join(s.Events, ", ")},
		Facts: facts(fact{v.say("webhook.events"), row.Events}, fact{v.say("webhook.waiting"), row.Waiting}, fact{v.say("webhook.sent"), row.Sent},
			fact{v.say("webhook.since"), moment(s.Failing)}, fact{v.say("webhook.reason"), s.Reason}, fact{v.say("webhook.olduntil"), moment(s.OldUntil)})}
	for i := range messages {
		m := &messages[i]
		body.Messages = append(body.Messages, hookMessage{Seq: m.Seq, Kind: m.Kind, At: m.At, Attempts: v.num(m.Attempts), Next: m.Next,
			Waiting: m.State == webhook.MessageWaiting, State: v.messageChip(m.State)})
	}
	if len(messages) == listSize {
		body.Pager = pager(v.r, strconv.FormatInt(messages[len(messages)-1].Seq, 10))
	} else {
		body.Pager = pager(v.r, "")
	}
	for i := range attempts {
		a := &attempts[i]
		answer := hookAttempt{Seq: a.Seq, At: a.At, Took: v.say("webhook.ms", v.num(int(a.Took.Milliseconds()))), Answer: a.Answer}
		switch {
		case a.Status/100 == 2:
			answer.State = chip{"ok", "ok", strconv.Itoa(a.Status)}
		case a.Status > 0:
			answer.State = chip{"bad", "bad", strconv.Itoa(a.Status)}
		default:
			answer.State, answer.Answer = chip{"bad", "bad", v.say("webhook.noanswer")}, a.Error
		}
		body.Attempts = append(body.Attempts, answer)
	}
	return v.showWith("webhook", v.say("nav.webhooks"), body, problem)
}

func (v *visit) messageChip(state string) chip {
	switch state {
	case webhook.MessageDelivered:
		return chip{"ok", "ok", v.say("webhook.message.delivered")}
	case webhook.MessageSkipped:
		return chip{"", "dot", v.say("webhook.message.skipped")}
	}
	return chip{"wait", "wait", v.say("webhook.message.waiting")}
}

// hookAct does one act on a webhook.
func (s *server) hookAct(v *visit) error {
	if err := v.r.ParseForm(); err != nil {
		return formError(err)
	}
	hooks, id, act := s.cfg.Webhooks, v.hookID(), v.r.PathValue("act")
	var err error
	switch act {
	case "change":
		_, err = hooks.Change(v.ctx(), v.actor, id, hookForm{URL: v.line("url"), Description: v.line("description"), Events: v.line("events")}.input())
	case "test":
		_, err = hooks.Test(v.ctx(), v.actor, id)
	case "pause":
		_, err = hooks.Pause(v.ctx(), v.actor, id)
	case "resume":
		_, err = hooks.Resume(v.ctx(), v.actor, id)
	case "secret":
		_, secret, err := hooks.Rotate(v.ctx(), v.actor, id, rotateOverlap)
		return v.hook(id, secret, err)
	case "replay":
		err = v.replay(id)
	case "skip":
		err = hooks.Skip(v.ctx(), v.actor, id, v.number("from"))
	case "remove":
		if err = hooks.Remove(v.ctx(), v.actor, id); err == nil {
			return v.see("/webhooks", "webhook.remove")
		}
	default:
		return errNoPage
	}
	if err != nil {
		return v.hook(id, "", err)
	}
	return v.see(hookURL(id), "webhook."+act)
}

func (v *visit) replay(id webhook.ID) error {
	from, to := v.number("from"), v.number("to")
	if to == 0 {
		to = from
	}
	_, err := v.srv.cfg.Webhooks.Replay(v.ctx(), v.actor, id, from, to)
	return err
}

// number reads a whole number of a form, 0 where there is none: no act takes 0.
func (v *visit) number(field string) int64 {
	n, err := strconv.ParseInt(v.line(field), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// hookRoutes adds the pages of webhooks, for administrators, where the hub has any.
func (s *server) hookRoutes(mux *http.ServeMux) {
	if s.cfg.Webhooks == nil {
		return
	}
	admin := func(h handler) http.Handler {
		return s.user(func(v *visit) error {
			if !v.actor.Has(registry.RoleAdministrator) {
				return registry.NewError(exchange.KindForbidden, s.voices["vi"].say("people.admin"), s.voices["en"].say("people.admin"))
			}
			return h(v)
		})
	}
	mux.Handle("GET /webhooks", admin(s.hooksPage))
	mux.Handle("POST /webhooks", admin(s.addHook))
	mux.Handle("GET /webhooks/{id}", admin(s.hookPage))
	mux.Handle("POST /webhooks/{id}/{act}", admin(s.hookAct))
}
