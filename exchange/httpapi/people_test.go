package httpapi

import (
	"net/http"
	"testing"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// person adds somebody of the agency and gives id and token.
func (w *world) person(t *testing.T, login string, roles ...registry.Role) (registry.PersonID, string) {
	t.Helper()
	p, err := w.registry().AddPerson(t.Context(), registry.System("test"), registry.Person{Login: login, Name: login, Agency: "H99", Roles: roles}, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	var session struct{ Token string }
	w.call(http.StatusOK, http.MethodPost, "/api/v1/login", nil, jsonBody(map[string]string{"login": login, "password": testPassword}), &session)
	return p.ID, session.Token
}

// TestActingForOverTheAPI assigns work in the leader's place, by the header.
func TestActingForOverTheAPI(t *testing.T) {
	w := newWorld(t)
	post, get := http.MethodPost, http.MethodGet
	var in exchange.Incoming
	w.call(http.StatusCreated, post, "/api/v1/incoming", nil, form(t, map[string]string{"from_name": "A", "type": "Đơn", "subject": "b", "issued": "2026-01-05"}, testPDF(t)), &in)
	boss, bossToken := w.person(t, "giamdoc", registry.RoleLeader)
	off, offToken := w.person(t, "chuyenvien", registry.RoleOfficer)
	_, adminToken := w.person(t, "quantri", registry.RoleAdministrator)

	w.token = bossToken
	var given registry.Delegation
	body := map[string]any{"taker": off, "scopes": []string{"assign"}, "to": time.Now().Add(time.Hour).Format(time.RFC3339)}
	w.call(http.StatusCreated, post, "/api/v1/delegations", nil, jsonBody(body), &given)
	body["to"] = "hôm qua"
	w.call(http.StatusUnprocessableEntity, post, "/api/v1/delegations", nil, jsonBody(body), nil)

	w.token = offToken
	assign := "/api/v1/incoming/" + string(in.ID) + "/assign"
	w.call(http.StatusForbidden, post, assign, nil, jsonBody(map[string]any{"person": off}), nil)
	acting := map[string]string{"Acting-For": given.ID}
	w.call(http.StatusOK, post, assign, acting, jsonBody(map[string]any{"person": off}), &in)
	var me registry.Actor
	w.call(http.StatusOK, get, "/api/v1/me", acting, content{}, &me)
	if me.OnBehalfOf == nil || me.OnBehalfOf.Person != boss {
		t.Errorf("acts as %+v", me)
	}
	var timeline struct{ Items []exchange.Event }
	w.call(http.StatusOK, get, "/api/v1/incoming/"+string(in.ID)+"/timeline", nil, content{}, &timeline)
	if last := timeline.Items[len(timeline.Items)-1]; last.By != "chuyenvien (thay giamdoc)" {
		t.Errorf("the timeline says %q", last.By)
	}
	var held struct{ Items []registry.Delegation }
	w.call(http.StatusOK, get, "/api/v1/me/mandates", nil, content{}, &held)
	if len(held.Items) != 1 {
		t.Errorf("%d mandates", len(held.Items))
	}
	w.call(http.StatusOK, post, "/api/v1/delegations/"+given.ID+"/revoke", nil, content{}, nil)
	w.call(http.StatusForbidden, get, "/api/v1/me", acting, content{}, nil)

	w.token = adminToken
	var moved exchange.Moved
	w.call(http.StatusCreated, post, "/api/v1/people/"+string(off)+"/moves", nil, jsonBody(map[string]any{"disable": true, "reason": "nghỉ việc"}), &moved)
	if moved.Handed != 1 {
		t.Errorf("moved %+v", moved)
	}
	var terms struct{ Items []registry.Term }
	w.call(http.StatusOK, get, "/api/v1/people/"+string(off)+"/terms", nil, content{}, &terms)
	if len(terms.Items) != 2 || !terms.Items[1].Disabled {
		t.Errorf("terms %+v", terms.Items)
	}
	w.token = offToken
	w.call(http.StatusUnauthorized, get, "/api/v1/me", nil, content{}, nil)
}
