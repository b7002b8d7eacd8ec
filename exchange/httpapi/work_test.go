package httpapi

import (
	"net/http"
	"testing"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// TestWorkOverTheAPI registers a scan, assigns it and follows the work to its end and beyond.
func TestWorkOverTheAPI(t *testing.T) {
	w := newWorld(t)
	post, get := http.MethodPost, http.MethodGet
	var in exchange.Incoming
	scan := map[string]string{"from_name": "Ông Nguyễn Văn A", "type": "Đơn", "subject": "Đề nghị cấp lại giấy phép", "issued": "2026-01-05"}
	w.call(http.StatusCreated, post, "/api/v1/incoming", nil, form(t, scan, testPDF(t)), &in)
	scan["issued"] = "hôm qua"
	w.call(http.StatusUnprocessableEntity, post, "/api/v1/incoming", nil, form(t, scan, testPDF(t)), nil)

	people := map[string]registry.PersonID{}
	for login, role := range map[string]registry.Role{"giamdoc": registry.RoleLeader, "chuyenvien": registry.RoleOfficer, "phoihop": registry.RoleOfficer} {
		p, err := w.registry().AddPerson(t.Context(), registry.System("test"), registry.Person{Login: login, Name: login, Agency: "H99", Roles: []registry.Role{role}}, testPassword)
		if err != nil {
			t.Fatal(err)
		}
		people[login] = p.ID
	}
	as := func(login string) {
		var session struct{ Token string }
		w.call(http.StatusOK, post, "/api/v1/login", nil, jsonBody(map[string]string{"login": login, "password": testPassword}), &session)
		w.token = session.Token
	}
	one := "/api/v1/incoming/" + string(in.ID)
	tasks := func(view string) int {
		var list struct{ Items []exchange.Incoming }
		w.call(http.StatusOK, get, "/api/v1/tasks?view="+view, nil, content{}, &list)
		return len(list.Items)
	}
	as("giamdoc")
	w.call(http.StatusUnprocessableEntity, post, one+"/delegate", nil, jsonBody(map[string]any{"lead": people["chuyenvien"], "due": "mai"}), nil)
	w.call(http.StatusOK, post, one+"/delegate", nil, jsonBody(map[string]any{"lead": people["chuyenvien"], "with": []registry.PersonID{people["phoihop"]},
		"due": "2030-12-31", "instruction": "Chủ trì tham mưu trả lời"}), &in)
	if in.Assignee != people["chuyenvien"] || in.Status != exchange.StatusAssigned {
		t.Errorf("assigned: %+v", in)
	}
	w.call(http.StatusOK, post, one+"/co-handlers", nil, jsonBody(map[string]any{"people": []registry.PersonID{people["giamdoc"]}, "note": "cùng xem"}), nil)
	as("phoihop")
	if n := tasks("co"); n != 1 {
		t.Errorf("%d tasks to take part in, want 1", n)
	}
	w.call(http.StatusOK, post, one+"/finish-part", nil, jsonBody(map[string]any{"result": "Đã có số liệu"}), nil)
	w.call(http.StatusOK, post, one+"/opinions", nil, jsonBody(map[string]any{"kind": "comment", "text": "Nên trả lời bằng văn bản"}), nil)
	w.call(http.StatusForbidden, post, one+"/opinions", nil, jsonBody(map[string]any{"kind": "instruction", "text": "Giao"}), nil)
	as("giamdoc")
	w.call(http.StatusOK, post, one+"/reassign", nil, jsonBody(map[string]any{"person": people["phoihop"], "reason": "nghỉ phép"}), &in)
	as("phoihop")
	if n := tasks("mine"); n != 1 || in.Assignee != people["phoihop"] {
		t.Errorf("%d tasks to lead, want 1, by %s", n, in.Assignee)
	}
	w.call(http.StatusOK, post, one+"/finish-with", nil, jsonBody(map[string]any{"note": "không cần trả lời"}), &in)
	if in.Status != exchange.StatusFinished || tasks("mine") != 0 {
		t.Errorf("finished: %+v", in)
	}
	as("giamdoc")
	w.call(http.StatusOK, post, one+"/reopen", nil, jsonBody(map[string]any{"reason": "có ý kiến mới", "due": "2031-01-31"}), nil)
	var handling exchange.Handling
	w.call(http.StatusOK, get, one+"/handling", nil, content{}, &handling)
	if len(handling.Tasks) < 4 || len(handling.Opinions) < 2 {
		t.Errorf("the work kept %d tasks and %d opinions", len(handling.Tasks), len(handling.Opinions))
	}
}

// TestDraftsOverTheAPI talks about a draft, gives it back, and keeps numbers.
func TestDraftsOverTheAPI(t *testing.T) {
	w := newWorld(t)
	post, get := http.MethodPost, http.MethodGet
	var doc exchange.Document
	w.call(http.StatusCreated, post, "/api/v1/documents", nil, form(t, map[string]string{"type": "CV", "subject": "a", "signer_name": "A"}, testPDF(t)), &doc)
	one := "/api/v1/documents/" + string(doc.ID)
	w.call(http.StatusOK, post, one+"/comments", nil, jsonBody(map[string]any{"text": "Bổ sung căn cứ"}), nil)
	w.call(http.StatusUnprocessableEntity, post, one+"/comments", nil, jsonBody(map[string]any{"text": ""}), nil)
	var said struct{ Items []exchange.Comment }
	w.call(http.StatusOK, get, one+"/comments", nil, content{}, &said)
	var versions struct{ Items []exchange.DraftVersion }
	w.call(http.StatusOK, get, one+"/versions", nil, content{}, &versions)
	if len(said.Items) != 1 || said.Items[0].Text != "Bổ sung căn cứ" || len(versions.Items) != 1 {
		t.Errorf("said %+v about %+v", said.Items, versions.Items)
	}
	w.call(http.StatusNotFound, post, "/api/v1/documents/none/return", nil, jsonBody(map[string]any{"reason": "sai thể thức"}), nil)
	var kept struct{ Items []exchange.ReservedNumber }
	w.call(http.StatusOK, post, "/api/v1/reserved-numbers", nil, jsonBody(map[string]any{"count": 2, "purpose": "họp thường kỳ"}), nil)
	w.call(http.StatusOK, get, "/api/v1/reserved-numbers", nil, content{}, &kept)
	if len(kept.Items) != 2 || kept.Items[1].Number != 2 {
		t.Errorf("kept %+v", kept.Items)
	}
	var series struct{ Items []exchange.Series }
	w.call(http.StatusOK, get, "/api/v1/series", nil, content{}, &series)
	if len(series.Items) == 0 {
		t.Error("an agency without series of numbers")
	}
}
