package bymail_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/mail"
	"net/url"
	"strings"
	"testing"

	"vanthu/exchange"
	"vanthu/exchange/bymail"
	"vanthu/exchange/registry"
	officemail "vanthu/mail"
)

// letters waits until a far mailbox has n messages and gives them, oldest first.
func (w *world) letters(i, n int) [][]byte {
	w.t.Helper()
	ctx := w.t.Context()
	account, err := w.far.Account(ctx, officemail.Address(fmt.Sprintf("xa%d@xa.example", i)))
	check(w.t, err)
	var raw [][]byte
	w.await(fmt.Sprintf("%d letters", n), func() bool {
		box, err := w.far.Mailbox(ctx, account.ID, officemail.Inbox)
		check(w.t, err)
		list, err := w.far.List(ctx, box.ID, 0, n+1)
		check(w.t, err)
		if len(list) < n {
			return false
		}
		raw = make([][]byte, len(list))
		for i := range list {
			body, err := w.far.Open(ctx, &list[i])
			check(w.t, err)
			raw[len(list)-1-i], err = io.ReadAll(body)
			check(w.t, err)
			check(w.t, body.Close())
		}
		return true
	})
	return raw
}

func subject(t *testing.T, raw []byte) string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	check(t, err)
	text, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	check(t, err)
	return text
}

// carried waits until a document has been handed to the mail system n times.
func (w *world) carried(d *exchange.Document, n int) {
	w.t.Helper()
	w.await("the handing over", func() bool { return w.kinds(d)["delivery.carried"] == n })
}

// confirm answers on the page of a letter.
func (w *world) confirm(raw []byte) int {
	w.t.Helper()
	text, _ := w.content(raw)
	status, _ := w.call(http.MethodPost, linkOf.FindString(text), url.Values{"act": {"confirm"}, "code": {codeOf.FindStringSubmatch(text)[1]}, "who": {"Lò Thị Xã, văn thư"}})
	return status
}

// told gives the facts of the latest entry of a kind about a document.
func (w *world) told(d *exchange.Document, kind string) (facts map[string]string) {
	w.t.Helper()
	events, err := w.service.Timeline(w.t.Context(), w.people[registry.RoleClerk], d.ID)
	check(w.t, err)
	for _, e := range events {
		if e.Kind == kind {
			facts = e.Params
		}
	}
	return facts
}

// TestRequestUnderWay: a letter that went out and that nobody has answered yet is with its recipient: what is asked of it
// goes there, and nothing says that it never left.
func TestRequestUnderWay(t *testing.T) {
	w := newWorld(t)
	ctx, clerk := t.Context(), w.people[registry.RoleClerk]
	recalled, updated := w.sent("H03.90"), w.sent("H03.91")
	w.carried(recalled, 1)
	w.carried(updated, 1)
	r, err := w.service.RequestRecall(ctx, clerk, recalled.ID, nil, "Ban hành nhầm")
	check(t, err)
	title := "Về việc phòng, chống lụt bão năm 2026"
	u, err := w.service.Update(ctx, clerk, updated.ID, exchange.UpdateInput{Reason: "Sửa trích yếu", Changes: exchange.Changes{Subject: &title}})
	check(t, err)
	for _, c := range []struct {
		request  *exchange.Request
		document *exchange.Document
		to       registry.AgencyID
		mailbox  int
		about    string
	}{{r, recalled, "H03.90", 0, "đề nghị thu hồi"}, {u, updated, "H03.91", 1, "thông báo cập nhật"}} {
		if got := c.request.Copies[0].Fate; got != exchange.FateOnItsWay || !c.request.Closed.IsZero() {
			t.Errorf("%s of a letter that is out: %s, closed %v", c.request.Kind, got, c.request.Closed)
			continue
		}
		if got := subject(t, w.letters(c.mailbox, 2)[1]); !strings.Contains(got, c.about) {
			t.Errorf("the second letter is about %q", got)
		}
		w.await("the request to be with the recipient", func() bool {
			list, err := w.service.Requests(ctx, clerk, c.document.ID)
			check(t, err)
			return list[0].Copies[0].Fate == exchange.FateAsked
		})
		if f := w.told(c.document, "request."+string(c.request.Kind)); f["not_sent"] != "0" || f["withdrawn"] != "" {
			t.Errorf("the evidence says %v", f)
		}
		if v := w.delivery(c.document, c.to); v.Transport != exchange.TransportProcessing {
			t.Errorf("the delivery: %+v", v)
		}
	}
	if status := w.confirm(w.letters(0, 1)[0]); status != http.StatusOK {
		t.Errorf("confirming what is asked back: %d", status)
	}
	if v := w.delivery(recalled, "H03.90"); v.Status != exchange.StatusArrived {
		t.Errorf("after the confirmation: %+v", v)
	}

	// What came back never stayed there: it is taken out at once.
	bounced := w.sent("H03.92")
	w.carried(bounced, 1)
	w.inject(returnPath(t, w.letter(2)), report("delivery-status", "Reporting-MTA: dns; xa.example\n\nFinal-Recipient: rfc822; xa2@xa.example\nAction: failed\nStatus: 5.2.2\n"))
	check(t, w.bridge.ReadReports(ctx))
	r, err = w.service.RequestRecall(ctx, clerk, bounced.ID, nil, "Ban hành nhầm")
	check(t, err)
	if v := w.delivery(bounced, "H03.92"); r.Copies[0].Fate != exchange.FateNotSent || v.Transport != exchange.TransportWithdrawn {
		t.Errorf("a letter that came back: %s, %+v", r.Copies[0].Fate, v)
	}
}

// TestMergeUnderWay: letters that are out when their recipient ends. The successor gets one of its own; the old page goes
// on to work, what comes back from the old address is kept, and what comes back from the new one ends the delivery.
func TestMergeUnderWay(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	confirmed, returned := w.sent("H03.90"), w.sent("H03.90")
	w.carried(confirmed, 1)
	w.carried(returned, 1)
	old := w.letters(0, 2)
	if !strings.Contains(subject(t, old[0]), confirmed.Code()) {
		old[0], old[1] = old[1], old[0]
	}
	_, err := w.service.Merge(ctx, registry.System("test"), []registry.AgencyID{"H03.90"}, registry.Agency{ID: "H03.91"}, exchange.SuccessionOptions{})
	check(t, err)
	fresh := w.letters(1, 2)
	if !strings.Contains(subject(t, fresh[0]), confirmed.Code()) {
		fresh[0], fresh[1] = fresh[1], fresh[0]
	}
	w.carried(confirmed, 2)
	w.carried(returned, 2)
	if f := w.told(confirmed, "delivery.carried"); f["recipient"] != "H03.91" || f["addressed"] != "H03.90" || f["channel"] != bymail.Channel {
		t.Errorf("the evidence of the second letter: %v", f)
	}

	for i, raw := range [][]byte{old[0], fresh[0]} {
		if status := w.confirm(raw); status != http.StatusOK {
			t.Errorf("page %d: %d", i, status)
		}
		if v := w.delivery(confirmed, "H03.91"); v.Status != exchange.StatusArrived || v.Transport != exchange.TransportDone {
			t.Errorf("after page %d: %+v", i, v)
		}
	}
	if f := w.told(confirmed, "receipt.accepted"); f["from"] != "H03.91" || f["addressed"] != "H03.90" {
		t.Errorf("the evidence of the confirmation: %v", f)
	}

	failed := report("delivery-status", "Reporting-MTA: dns; xa.example\n\nFinal-Recipient: rfc822; xa@xa.example\nAction: failed\nStatus: 5.1.1\n")
	w.inject(returnPath(t, old[1]), failed)
	check(t, w.bridge.ReadReports(ctx))
	if f := w.told(returned, "delivery.reported"); f["recipient"] != "H03.91" || f["addressed"] != "H03.90" || f["address"] != "xa0@xa.example" || f["report"] != "failed" {
		t.Errorf("the evidence of what came back from the old address: %v", f)
	}
	if v := w.delivery(returned, "H03.91"); v.Transport != exchange.TransportProcessing {
		t.Errorf("the old address ended the successor's delivery: %+v", v)
	}
	w.inject(returnPath(t, fresh[1]), failed)
	check(t, w.bridge.ReadReports(ctx))
	if v := w.delivery(returned, "H03.91"); v.Transport != exchange.TransportFail {
		t.Errorf("what came back from the new address: %+v", v)
	}
	if f := w.told(returned, "delivery.failed"); f["recipient"] != "H03.91" || f["addressed"] != "H03.90" || f["failure"] == "" || f["reason"] == "" {
		t.Errorf("its evidence: %v", f)
	}
	check(t, w.service.Check(ctx, func(problem string) { t.Error(problem) }))
}
