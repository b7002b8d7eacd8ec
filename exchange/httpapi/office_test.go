package httpapi

import (
	"net/http"
	"net/url"
	"testing"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// TestOfficeOverTheAPI goes through the calls of the registry office: that each reaches its rule and answers in the
// reader's language. What the rules are is tested where they are.
func TestOfficeOverTheAPI(t *testing.T) {
	w := newWorld(t)
	var doc exchange.Document
	w.call(http.StatusCreated, http.MethodPost, "/api/v1/documents", nil, form(t, map[string]string{"type": "CV", "subject": "a", "signer_name": "A"}, testPDF(t)), &doc)
	one := "/api/v1/documents/" + string(doc.ID)

	var sim exchange.Simulation
	w.call(http.StatusOK, http.MethodPost, "/api/v1/simulate", nil, jsonBody(map[string]any{"document": doc.ID, "recipients": []string{"H99", "H12"}}), &sim)
	if sim.Refused != 2 || len(sim.Problems) == 0 {
		t.Errorf("simulation of a draft to nobody: %+v", sim)
	}
	for lang, title := range map[string]string{"vi": "Không tìm thấy", "en": "Not found"} {
		var out struct {
			Done, Refused int
			Items         []struct {
				ID      string
				Problem *Problem
			}
		}
		w.call(http.StatusOK, http.MethodPost, "/api/v1/bulk", map[string]string{"Accept-Language": lang},
			jsonBody(map[string]any{"act": "number", "ids": []string{"none", string(doc.ID)}}), &out)
		if out.Refused != 2 || out.Items[0].Problem == nil || out.Items[0].Problem.Title != title || out.Items[1].ID != string(doc.ID) {
			t.Errorf("bulk in %s: %+v", lang, out)
		}
	}
	w.call(http.StatusForbidden, http.MethodPost, "/api/v1/bulk", nil, jsonBody(map[string]any{"act": "approve", "ids": []string{"x"}}), nil)

	w.call(http.StatusConflict, http.MethodPost, one+"/recall", nil, jsonBody(map[string]any{"reason": "gửi nhầm"}), nil)
	w.call(http.StatusConflict, http.MethodPost, one+"/update", nil, jsonBody(map[string]any{"reason": "sai trích yếu", "subject": "b"}), nil)
	w.call(http.StatusConflict, http.MethodPost, one+"/retry", nil, content{}, nil)
	w.call(http.StatusNotFound, http.MethodPost, "/api/v1/incoming/none/answer", nil, jsonBody(map[string]any{"agree": true}), nil)
	for _, path := range []string{"/api/v1/search?query=a", one + "/requests", one + "/next", "/api/v1/overdue", "/api/v1/calendar", "/api/v1/agencies/H99/codes", "/api/v1/agencies/H99/successors",
		"/api/v1/agencies/H99/predecessors", "/api/v1/rate?from=2026-01-01&to=2026-12-31&period=quarter",
		"/api/v1/gap?from=2026-01-01&to=2026-12-31&of=document&cause=unsealed"} {
		w.call(http.StatusOK, http.MethodGet, path, nil, content{}, nil)
	}
	w.call(http.StatusUnprocessableEntity, http.MethodGet, "/api/v1/gap?from=2026-01-01&to=2026-12-31&of=document&cause=nothing", nil, content{}, nil)

	var found registry.Resolution
	w.call(http.StatusOK, http.MethodGet, "/api/v1/resolve?code=H99", nil, content{}, &found)
	if found.Agency.ID != "H99" {
		t.Errorf("H99 is %+v", found)
	}
	w.call(http.StatusUnprocessableEntity, http.MethodGet, "/api/v1/resolve?code="+url.QueryEscape("Н99"), nil, content{}, nil) // its letter is Cyrillic
	w.call(http.StatusUnprocessableEntity, http.MethodGet, "/api/v1/resolve?code=H99&at=today", nil, content{}, nil)
	var changes struct {
		Items   []registry.Delta
		Version int64
	}
	w.call(http.StatusOK, http.MethodGet, "/api/v1/registry/deltas", nil, content{}, &changes)
	if len(changes.Items) != 1 || changes.Version != changes.Items[0].Version {
		t.Errorf("changes of the registry: %+v", changes)
	}
}

func TestImportOverTheAPIAsPreviewed(t *testing.T) {
	w := newWorld(t)
	if _, err := w.registry().AddPerson(t.Context(), registry.System("test"), registry.Person{Login: "quantri", Name: "Quản trị", Agency: "H99",
		Roles: []registry.Role{registry.RoleAdministrator}}, testPassword); err != nil {
		t.Fatal(err)
	}
	var session struct{ Token string }
	w.call(http.StatusOK, http.MethodPost, "/api/v1/login", nil, jsonBody(map[string]string{"login": "quantri", "password": testPassword}), &session)
	w.token = session.Token
	file := content{"text/csv", []byte("code,name,symbol,place,parent,channel\nH99.01,Sở Nội vụ,SNV,Bắc Sơn,H99,local\n")}
	var plan registry.ImportPlan
	w.call(http.StatusOK, http.MethodPost, "/api/v1/registry/preview", nil, file, &plan)
	if len(plan.Added) != 1 || plan.Digest == "" {
		t.Fatalf("the preview is %+v", plan)
	}
	w.call(http.StatusNotFound, http.MethodGet, "/api/v1/agencies/H99.01", nil, content{}, nil)
	w.call(http.StatusConflict, http.MethodPost, "/api/v1/registry/import?digest="+plan.Digest, nil, content{file.kind, append(file.data, "H99.02,Sở Y tế,SYT,Bắc Sơn,H99,local\n"...)}, nil)
	w.call(http.StatusOK, http.MethodPost, "/api/v1/registry/import?digest="+plan.Digest, nil, file, nil)
	w.call(http.StatusOK, http.MethodGet, "/api/v1/agencies/H99.01", nil, content{}, nil)
}
