package exchange

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// TestReview: a draft is commented, given back, revised and signed; nothing of
// its past is lost.
func TestReview(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := context.Background()
		d := w.sign(t, w.draft(t, 1), StepInitial)
		_, err := w.CommentDraft(ctx, w.as(clerk, "H03"), d.ID, " ")
		wantKind(t, err, KindInvalid)
		if _, err := w.CommentDraft(ctx, w.as(clerk, "H03"), d.ID, "Sai căn cứ"); err != nil {
			t.Fatal(err)
		}
		_, err = w.ReturnDraft(ctx, w.as(leader, "H03.01"), d.ID, "Sửa căn cứ")
		wantKind(t, err, KindNotFound)
		back, err := w.ReturnDraft(ctx, w.as(leader, "H03"), d.ID, "Sửa căn cứ")
		if err != nil || back.State != StateDraft || !back.Returned {
			t.Fatalf("%+v, %v", back, err)
		}
		steps, err := w.NextAct(ctx, w.as(leader, "H03"), d.ID)
		if err != nil || len(steps) != 1 || steps[0].Act != ActRevise || steps[0].Person != w.as(officer, "H03").Person {
			t.Fatalf("%+v, %v", steps, err)
		}
		_, _, err = w.Sign(ctx, w.as(leader, "H03"), d.ID, SignInput{Step: StepApprove, Key: w.keys[StepApprove]})
		wantKind(t, err, KindConflict)
		in := DraftInput{Type: "TB", Subject: "Về việc đã sửa", SignerName: "Nguyễn Văn A", PDF: bytes.NewReader(samplePDF(2))}
		_, err = w.Revise(ctx, w.as(clerk, "H03"), d.ID, in, "")
		wantKind(t, err, KindForbidden)
		revised, err := w.Revise(ctx, w.as(officer, "H03"), d.ID, in, "Đã sửa căn cứ")
		if err != nil || revised.State != StateDraft || revised.Returned || revised.Notation != "TB-UBND" {
			t.Fatalf("%+v, %v", revised, err)
		}
		w.sign(t, revised, StepInitial, StepApprove)
		in.PDF = bytes.NewReader(samplePDF(3))
		_, err = w.Revise(ctx, w.as(officer, "H03"), d.ID, in, "")
		wantKind(t, err, KindConflict)
		versions, err := w.DraftVersions(ctx, w.as(officer, "H03"), d.ID)
		if err != nil || len(versions) != 2 || versions[1].Note != "Đã sửa căn cứ" {
			t.Fatalf("%+v, %v", versions, err)
		}
		var changed []string
		for _, c := range versions[1].Changed {
			changed = append(changed, c.Field)
		}
		if got := strings.Join(changed, " "); got != "competence notation signer_position subject type" {
			t.Errorf("changed: %s", got)
		}
		said, err := w.Comments(ctx, w.as(officer, "H03"), d.ID)
		if err != nil || len(said) != 2 || said[0].Text != "Sai căn cứ" || said[1].Kind != CommentReturn {
			t.Fatalf("%+v, %v", said, err)
		}
		w.kinds(t, d.ID)
		w.clean(t)
	})
}

// TestSignMany: one that is refused does not block the next.
func TestSignMany(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := context.Background()
	a, b := w.draft(t, 1), w.draft(t, 2)
	in := SignInput{Step: StepApprove, Key: w.keys[StepApprove], Invisible: true}
	_, err := w.SignMany(ctx, w.as(leader, "H03"), nil, in)
	wantKind(t, err, KindInvalid)
	list, err := w.SignMany(ctx, w.as(leader, "H03"), []DocumentID{a.ID, DocumentID(newID()), a.ID, b.ID}, in)
	if err != nil || len(list) != 4 {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, want := range []Kind{"", KindNotFound, KindConflict, ""} {
		if KindOf(list[i].Err) != want || (list[i].Err == nil) != (want == "") {
			t.Errorf("%d: %v, want %q", i, list[i].Err, want)
		}
	}
	if n := w.kinds(t, b.ID); n["document.signed"] != 1 {
		t.Errorf("%v", n)
	}
}
