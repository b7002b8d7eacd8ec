package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/blob"
)

// TestComposingOverTheAPI checks while typing, revises, and sees who looked.
func TestComposingOverTheAPI(t *testing.T) {
	w := newWorld(t)
	post, get := http.MethodPost, http.MethodGet
	pdf := testPDF(t)
	fields := map[string]string{"type": "CV", "subject": "Kế hoạch năm", "signer_name": "A", "details": `{"pages":3,"to_places":["Như trên"]}`}
	var doc exchange.Document
	w.call(http.StatusCreated, post, "/api/v1/documents", nil, form(t, fields, pdf), &doc)
	if doc.Details.Pages != 3 {
		t.Errorf("details %+v", doc.Details)
	}
	fields["details"] = `{"pagess":3}`
	w.call(http.StatusUnprocessableEntity, post, "/api/v1/documents", nil, form(t, fields, pdf), nil)

	var check exchange.DraftCheck
	w.call(http.StatusOK, post, "/api/v1/documents/check", nil, jsonBody(map[string]any{"type": "CV", "subject": "Kế hoạch năm", "signer_name": "A", "digest": blob.Sum(pdf)}), &check)
	if len(check.Problems) != 0 || len(check.Duplicates) != 1 || len(check.Duplicates[0].Why) != 2 {
		t.Errorf("check %+v", check)
	}
	w.call(http.StatusOK, post, "/api/v1/documents/check", nil, jsonBody(map[string]any{"type": "CV", "subject": strings.Repeat("a", 501), "secrecy": "mật"}), &check)
	if len(check.Problems) != 3 || check.Problems[0].Field != "secrecy" || check.Problems[1].Field != "subject" || check.Problems[2].Field != "signer_name" {
		t.Errorf("check %+v", check.Problems)
	}
	one := "/api/v1/documents/" + string(doc.ID)
	delete(fields, "details")
	fields["subject"] = "Kế hoạch năm 2027"
	w.call(http.StatusOK, post, one+"/revise?note=s%E1%BB%ADa", nil, form(t, fields, pdf), &doc)
	var versions struct{ Items []exchange.DraftVersion }
	w.call(http.StatusOK, get, one+"/versions", nil, content{}, &versions)
	if len(versions.Items) != 2 || versions.Items[1].Note != "sửa" || doc.Subject != "Kế hoạch năm 2027" {
		t.Errorf("versions %+v", versions.Items)
	}
	w.call(http.StatusOK, get, one+"/pdf", nil, content{}, nil)
	var views struct{ Items []exchange.View }
	w.call(http.StatusOK, get, one+"/views", nil, content{}, &views)
	if len(views.Items) != 1 || views.Items[0].Name != "Lê Ngọc Ánh" {
		t.Errorf("views %+v", views.Items)
	}
	w.call(http.StatusUnprocessableEntity, post, one+"/schedule", nil, jsonBody(map[string]any{"at": time.Now().Add(time.Hour).Format(time.RFC3339), "to": map[string]any{"recipients": []string{"H99.01"}}}), nil)
}

// TestListsAndTreesOverTheAPI keeps lists, merges agencies and looks at one before sending.
func TestListsAndTreesOverTheAPI(t *testing.T) {
	w := newWorld(t)
	post, get := http.MethodPost, http.MethodGet
	reg, system := w.registry(), registry.System("test")
	for i := range 3 {
		a := registry.Agency{ID: registry.AgencyID(fmt.Sprintf("H99.0%d", i)), Name: fmt.Sprintf("Xã %d", i), Symbol: "UBND", Level: "commune", Parent: "H99", Channel: registry.ChannelLocal}
		if err := reg.AddAgency(t.Context(), system, a); err != nil {
			t.Fatal(err)
		}
	}
	var list exchange.RecipientList
	w.call(http.StatusCreated, post, "/api/v1/recipient-lists", nil, jsonBody(map[string]any{"name": "Các xã", "root": "H99", "level": "commune"}), &list)
	w.call(http.StatusConflict, post, "/api/v1/recipient-lists", nil, jsonBody(map[string]any{"name": "Các xã", "root": "H99"}), nil)
	w.call(http.StatusOK, http.MethodPut, "/api/v1/recipient-lists/"+list.ID, nil, jsonBody(map[string]any{"name": "Mọi xã", "root": "H99", "level": "commune"}), &list)
	var codes struct{ Items []registry.AgencyID }
	w.call(http.StatusOK, post, "/api/v1/recipients", nil, jsonBody(map[string]any{"lists": []string{list.ID}, "except": []string{"H99.02"}}), &codes)
	if len(codes.Items) != 2 || codes.Items[0] != "H99.00" {
		t.Errorf("codes %v", codes.Items)
	}
	var can exchange.Capabilities
	w.call(http.StatusOK, get, "/api/v1/agencies/H99.01/capabilities", nil, content{}, &can)
	if !can.Reachable || can.Sealed || can.MaxSize != exchange.DefaultMaxPDF || len(can.Types) < 29 {
		t.Errorf("capabilities %+v", can)
	}
	w.call(http.StatusUnprocessableEntity, get, "/api/v1/agencies/H97/capabilities", nil, content{}, nil)
	w.call(http.StatusNoContent, http.MethodDelete, "/api/v1/recipient-lists/"+list.ID, nil, content{}, nil)
	w.call(http.StatusNotFound, http.MethodDelete, "/api/v1/recipient-lists/"+list.ID, nil, content{}, nil)

	merge := jsonBody(map[string]any{"from": []string{"H99.00", "H99.01"}, "into": map[string]any{"id": "H99.02"}})
	w.call(http.StatusForbidden, post, "/api/v1/agencies/merge", nil, merge, nil)
	var certificates struct{ Items []map[string]any }
	w.call(http.StatusOK, get, "/api/v1/agencies/H99/certificates", nil, content{}, &certificates)
	if bytes.Contains(merge.data, []byte("null")) || len(certificates.Items) != 0 {
		t.Errorf("certificates %v", certificates.Items)
	}
}
