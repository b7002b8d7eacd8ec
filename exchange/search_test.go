package exchange

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestSearch: on both engines a document is found by description, number, agency
// and the text of its PDF, marks ignored, at once and by its own agency only;
// pages go on where the last ended; other conditions hold too.
func TestSearch(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := t.Context()
		d := w.sent(t, 1, "H03.01")
		for n := 2; n <= 6; n++ {
			w.draft(t, n)
		}
		w.runLanes(t)
		outgoing := func(query, after string, limit int) ([]string, string) {
			t.Helper()
			list, err := w.Documents(ctx, w.as(clerk, "H03"), ListFilter{Query: query, After: after, Limit: limit})
			if err != nil {
				t.Fatalf("%q: %v", query, err)
			}
			var out []string
			for _, d := range list.Items {
				out = append(out, strings.TrimPrefix(d.Subject, "Về việc thử nghiệm số "))
			}
			return out, list.Next
		}
		for query, want := range map[string]string{
			"thu nghiem": "[6 5 4 3 2 1]", "thử nghiệm số 3": "[3]", "01/QĐ-UBND": "[1]", "1/qd-ubnd": "[1]", `"so 4"`: "[4]", "Nguyễn Văn": "[6 5 4 3 2 1]",
			"H03": "[6 5 4 3 2 1]", "không có": "[]", "%": "[]", "'; DROP TABLE": "[]", "document": "[]",
		} {
			if got, _ := outgoing(query, "", 50); fmt.Sprint(got) != want {
				t.Errorf("%q: %v, want %s", query, got, want)
			}
		}
		page1, next := outgoing("thu nghiem", "", 4)
		page2, end := outgoing("thu nghiem", next, 4)
		if fmt.Sprint(page1, page2) != "[6 5 4 3] [2 1]" || end != "" {
			t.Errorf("pages %v, %v, %q", page1, page2, end)
		}
		if list, err := w.Documents(ctx, w.as(clerk, "H03"), ListFilter{Query: "thu nghiem", State: StateSent}); err != nil || len(list.Items) != 1 || list.Items[0].ID != d.ID {
			t.Errorf("sent: %+v, %v", list.Items, err)
		}
		if list, err := w.Documents(ctx, w.as(clerk, "H03.01"), ListFilter{Query: "thu nghiem"}); err != nil || len(list.Items) != 0 {
			t.Errorf("another agency finds %+v, %v", list.Items, err)
		}
		// The words of the PDF come with the background reader.
		if n, err := w.IndexDocuments(ctx); err != nil || n == 0 {
			t.Fatalf("%d, %v", n, err)
		}
		if got, _ := outgoing("Document 5", "", 50); fmt.Sprint(got) != "[5]" {
			t.Errorf("by text: %v", got)
		}
		both, err := w.Search(ctx, w.as(clerk, "H03.01"), `"document 1" thu nghiem H03`, "", 0)
		if err != nil || len(both.Items) != 1 || both.Items[0].Incoming == nil || both.Items[0].Incoming.Document != d.ID {
			t.Errorf("at the recipient: %+v, %v", both, err)
		}
		if n, err := w.IndexDocuments(ctx); err != nil || n != 0 {
			t.Errorf("read again: %d, %v", n, err)
		}
		w.searchBoth(t)
		w.clean(t)
	})
}

// searchBoth: outgoing and incoming documents come in one order, page by page.
func (w *world) searchBoth(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	for n := range 3 {
		_, err := w.Draft(ctx, w.as(officer, "H03.01"), DraftInput{Type: "CV", Subject: fmt.Sprintf("Thử nghiệm trả lời %d", n), SignerName: "Trần Thị B", PDF: bytes.NewReader(samplePDF(100 + n))})
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			w.sent(t, 50, "H03.01")
			w.runLanes(t)
		}
	}
	var seen []string
	for after := ""; ; {
		p, err := w.Search(ctx, w.as(clerk, "H03.01"), "thu nghiem", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Items {
			if len(seen) > 0 && f.id() >= seen[len(seen)-1] {
				t.Errorf("%s comes after %s", f.id(), seen[len(seen)-1])
			}
			seen = append(seen, f.id())
		}
		if after = p.Next; after == "" {
			break
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d of 5 found", len(seen))
	}
}
