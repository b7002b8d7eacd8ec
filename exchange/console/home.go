package console

import (
	"net/http"
	"net/url"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// countLimit is how far a home counter counts; beyond it reads "200+".
const countLimit = 200

// queueKind is one counter of the home page: for which role, and which list it opens.
type queueKind struct {
	key   string
	role  registry.Role
	state exchange.State  // outgoing, or
	in    exchange.Status // incoming
	mine  bool            // only what is assigned to the actor
}

func queueKinds() []queueKind {
	return []queueKind{
		{key: "register", role: registry.RoleClerk, in: exchange.StatusArrived},
		{key: "number", role: registry.RoleClerk, state: exchange.StateApproved},
		{key: "send", role: registry.RoleClerk, state: exchange.StateSealed},
		{key: "refused", role: registry.RoleClerk, in: exchange.StatusRefused},
		{key: "approve", role: registry.RoleLeader, state: exchange.StateInitialled},
		{key: "assign", role: registry.RoleLeader, in: exchange.StatusRegistered},
		{key: "draft", role: registry.RoleOfficer, state: exchange.StateDraft},
		{key: "mine", role: registry.RoleOfficer, in: exchange.StatusAssigned, mine: true},
		{key: "doing", role: registry.RoleOfficer, in: exchange.StatusProcessing, mine: true},
	}
}

func (s *server) home(v *visit) error {
	body := homeBody{Greeting: v.say("home.greeting", v.actor.Name, v.roleNames(v.actor.Roles)), CanDraft: v.canDraft()}
	for _, k := range queueKinds() {
		if !v.actor.Has(k.role) {
			continue
		}
		q, err := v.queue(k)
		if err != nil {
			return err
		}
		body.Queues = append(body.Queues, q)
	}
	late, err := s.cfg.Service.Overdue(v.ctx(), v.actor)
	if err != nil {
		return err
	}
	body.Queues = append([]queue{{Label: v.say("queue.overdue"), Hint: v.say("queue.overdue.hint"), Count: v.num(len(late)), URL: "/overdue",
		Zero: len(late) == 0, Hot: len(late) > 0}}, body.Queues...)
	const latest = 6
	in, err := s.cfg.Service.Incomings(v.ctx(), v.actor, exchange.IncomingFilter{Limit: latest})
	if err != nil {
		return err
	}
	for i := range in.Items {
		body.Incoming = append(body.Incoming, v.incomingRow(&in.Items[i]))
	}
	out, err := s.cfg.Service.Documents(v.ctx(), v.actor, exchange.ListFilter{Limit: latest})
	if err != nil {
		return err
	}
	for i := range out.Items {
		body.Outgoing = append(body.Outgoing, v.outgoingRow(&out.Items[i]))
	}
	return v.show(http.StatusOK, "home", v.say("home.title"), body)
}

func (v *visit) queue(k queueKind) (queue, error) {
	q := queue{Label: v.say("queue." + k.key), Hint: v.say("queue." + k.key + ".hint")}
	var n int
	var more bool
	if k.state != "" {
		page, err := v.srv.cfg.Service.Documents(v.ctx(), v.actor, exchange.ListFilter{State: k.state, Limit: countLimit})
		if err != nil {
			return q, err
		}
		n, more = len(page.Items), page.Next != ""
		q.URL = "/outgoing?" + url.Values{"state": {string(k.state)}}.Encode()
	} else {
		f := exchange.IncomingFilter{Status: k.in, Limit: countLimit}
		query := url.Values{"state": {string(k.in)}}
		if k.mine {
			f.Assignee = v.actor.Person
			query.Set("mine", "1")
		}
		page, err := v.srv.cfg.Service.Incomings(v.ctx(), v.actor, f)
		if err != nil {
			return q, err
		}
		n, more = len(page.Items), page.Next != ""
		q.URL = "/incoming?" + query.Encode()
	}
	q.Count, q.Zero, q.Hot = v.num(n), n == 0, n > 0 && k.key != "refused"
	if more {
		q.Count += "+"
	}
	return q, nil
}
