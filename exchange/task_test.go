package exchange

import (
	"strings"
	"testing"
	"time"

	"vanthu/exchange/registry"
)

// colleague adds a second officer to an agency.
func (w *world) colleague(t *testing.T, a registry.AgencyID, login string) registry.Actor {
	t.Helper()
	p, err := w.reg.AddPerson(t.Context(), registry.System("test"), registry.Person{Login: login, Name: "Người " + login, Agency: a, Roles: []registry.Role{officer}}, "")
	if err != nil {
		t.Fatal(err)
	}
	actor, err := w.reg.ActorOf(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	return actor
}

// registered takes a document of H03 into the register of H03.01.
func (w *world) registered(t *testing.T, n int) *Incoming {
	t.Helper()
	d := w.sent(t, n, "H03.01")
	w.runLanes(t)
	in, err := w.Register(t.Context(), w.as(clerk, "H03.01"), w.incoming(t, "H03.01", d.ID).ID)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func (w *world) tasks(t *testing.T, by registry.Actor, view TaskView) []IncomingID {
	t.Helper()
	p, err := w.Tasks(t.Context(), by, view, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]IncomingID, 0, len(p.Items))
	for _, in := range p.Items {
		ids = append(ids, in.ID)
	}
	return ids
}

func wantTasks(t *testing.T, what string, got []IncomingID, want ...IncomingID) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
}

func TestWorkOnAnIncomingDocument(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := t.Context()
		boss, lan := w.as(leader, "H03.01"), w.as(officer, "H03.01")
		binh, chi := w.colleague(t, "H03.01", "binh"), w.colleague(t, "H03.01", "chi")
		in := w.registered(t, 1)
		wantTasks(t, "unassigned", w.tasks(t, boss, TasksUnassigned), in.ID)
		due := w.clock.Now().AddDate(0, 0, 3)
		_, err := w.AssignTo(ctx, boss, in.ID, Assignment{Lead: lan.Person, With: []registry.PersonID{w.as(officer, "H03.02").Person}})
		wantKind(t, err, KindInvalid)
		if in, err = w.AssignTo(ctx, boss, in.ID, Assignment{Lead: lan.Person, With: []registry.PersonID{binh.Person, chi.Person, lan.Person}, Due: due, Instruction: "Chủ trì tham mưu, báo cáo trước hạn"}); err != nil {
			t.Fatal(err)
		}
		if in.Status != StatusAssigned || !in.TaskDue.Equal(dateOf(due)) {
			t.Errorf("%+v", in)
		}
		wantTasks(t, "lead", w.tasks(t, lan, TasksMine), in.ID)
		wantTasks(t, "co-handler", w.tasks(t, binh, TasksCo), in.ID)
		wantTasks(t, "lead takes no part beside", w.tasks(t, lan, TasksCo))
		if _, err := w.FinishPart(ctx, binh, in.ID, "đã góp ý"); err != nil {
			t.Fatal(err)
		}
		wantTasks(t, "part done", w.tasks(t, binh, TasksCo))
		_, err = w.FinishPart(ctx, binh, in.ID, "")
		wantKind(t, err, KindConflict)
		_, err = w.Say(ctx, lan, in.ID, OpinionInstruction, "tôi chỉ đạo")
		wantKind(t, err, KindForbidden)
		_, err = w.Say(ctx, binh, in.ID, OpinionProposal, "đề xuất")
		wantKind(t, err, KindForbidden)
		if _, err := w.Say(ctx, lan, in.ID, OpinionProposal, "Đề xuất ban hành văn bản trả lời"); err != nil {
			t.Fatal(err)
		}
		_, err = w.Reassign(ctx, chi, in.ID, chi.Person, "tôi muốn làm")
		wantKind(t, err, KindForbidden)
		if in, err = w.Reassign(ctx, lan, in.ID, binh.Person, "đi công tác"); err != nil || in.Assignee != binh.Person || in.Status != StatusAssigned {
			t.Fatalf("%+v, %v", in, err)
		}
		wantTasks(t, "given away", w.tasks(t, lan, TasksMine))
		w.clock.set(dateOf(due).Add(30 * time.Hour))
		wantTasks(t, "overdue", w.tasks(t, boss, TasksOverdue), in.ID)
		wantTasks(t, "overdue of another", w.tasks(t, lan, TasksOverdue))
		w.answered(t, in, binh, boss)
		w.wantSlip(t, in.ID)
		w.runLanes(t)
		w.clean(t)
	})
}

// answered finishes the work with a reply, opens it again and ends it.
func (w *world) answered(t *testing.T, in *Incoming, by, boss registry.Actor) {
	t.Helper()
	ctx := t.Context()
	reply := w.sign(t, w.draft(t, 50), StepInitial, StepApprove)
	_, err := w.FinishWith(ctx, by, in.ID, reply.ID, "")
	wantKind(t, err, KindInvalid) // H03's, not ours
	numbered, err := w.Register(ctx, w.as(clerk, "H03.01"), in.ID)
	wantKind(t, err, KindConflict)
	if numbered != nil {
		t.Error("an error with a document")
	}
	done, err := w.Finish(ctx, by, in.ID, "đã trả lời")
	if err != nil || done.Status != StatusFinished || done.Finished.IsZero() {
		t.Fatalf("%+v, %v", done, err)
	}
	wantTasks(t, "done", w.tasks(t, by, TasksMine))
	_, err = w.Reopen(ctx, by, in.ID, "sót nội dung", time.Time{})
	wantKind(t, err, KindForbidden)
	again, err := w.Reopen(ctx, boss, in.ID, "sót nội dung", w.clock.Now().AddDate(0, 0, 5))
	if err != nil || again.Status != StatusFinished || again.Reopened.IsZero() {
		t.Fatalf("%+v, %v", again, err)
	}
	wantTasks(t, "opened again", w.tasks(t, by, TasksMine), in.ID)
	list, err := w.FollowUpRegister(ctx, by, 2026)
	if err != nil || len(list) != 1 || list[0].Progress != "Đang xử lý lại" || list[0].Overdue {
		t.Fatalf("%+v, %v", list, err)
	}
	if _, err := w.Finish(ctx, by, in.ID, "đã bổ sung"); err != nil {
		t.Fatal(err)
	}
	_, err = w.Finish(ctx, by, in.ID, "")
	wantKind(t, err, KindConflict)
}

func (w *world) wantSlip(t *testing.T, id IncomingID) {
	t.Helper()
	p, err := w.HandlingSlip(t.Context(), w.as(officer, "H03.01"), id)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	all.WriteString(strings.Join(p.Subtitle, "\n"))
	for _, part := range p.Parts {
		all.WriteString("\n" + strings.Join(part.Text, "\n"))
	}
	for _, want := range []string{"Số đến: 01", "giao officer 1 chủ trì (thời hạn: 08/03/2026)", "đi công tác", "Chủ trì tham mưu, báo cáo trước hạn", "giao Người binh phối hợp", "Đề xuất ban hành văn bản trả lời"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("the slip does not say %q:\n%s", want, all.String())
		}
	}
	shown(t, "slip", p)
}

// TestAnswerStandsInTheRegister: column 6 of the follow-up register.
func TestAnswerStandsInTheRegister(t *testing.T) {
	w := newWorld(t, worldOptions{})
	ctx := t.Context()
	d, err := w.Draft(ctx, w.as(officer, "H03.01"), DraftInput{Type: "BC", Subject: "Báo cáo kết quả", SignerName: "Lê Thị B", PDF: strings.NewReader(string(samplePDF(3)))})
	if err != nil {
		t.Fatal(err)
	}
	d = w.sign(t, d, StepApprove)
	in := w.registered(t, 1)
	_, err = w.FinishWith(ctx, w.as(leader, "H03.01"), in.ID, d.ID, "")
	wantKind(t, err, KindConflict) // no number yet
	if d, err = w.Number(ctx, w.as(clerk, "H03.01"), d.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.FinishWith(ctx, w.as(leader, "H03.01"), in.ID, d.ID, "đã báo cáo"); err != nil {
		t.Fatal(err)
	}
	list, err := w.FollowUpRegister(ctx, w.as(clerk, "H03.01"), 2026)
	if err != nil || len(list) != 1 || list[0].Answer != d.Code() || !strings.HasPrefix(list[0].Progress, "Hoàn thành ngày") {
		t.Errorf("%+v, %v", list, err)
	}
	pdf, _, err := w.IncomingPDF(ctx, w.as(officer, "H03.01"), in.ID)
	readAll(t, pdf, err)
	w.runLanes(t)
	w.clean(t)
}
