package exchange

import (
	"context"
	"strings"
	"testing"

	"vanthu/storage/blob"
)

// losing is a blob store that has lost one blob.
type losing struct {
	blob.Backend
	lost blob.Digest
}

func (l losing) Stat(ctx context.Context, d blob.Digest) (blob.Ref, error) {
	if d == l.lost {
		return blob.Ref{}, blob.ErrNotFound
	}
	return l.Backend.Stat(ctx, d)
}

// TestCheckFindsLostRevision: the file of every revision has to be there, not
// only the last.
func TestCheckFindsLostRevision(t *testing.T) {
	w := newWorld(t, worldOptions{})
	draft := w.draft(t, 1)
	w.sign(t, draft, StepInitial, StepApprove)
	w.clean(t)
	w.store.Blobs = losing{w.store.Blobs, draft.PDF.Digest}
	wantProblem(t, w, "revision 1: blob "+string(draft.PDF.Digest)+" is missing")
}

// TestCheckComparesWithEvidence: what is reported names the field, the row's value
// and that of the evidence; a document through all of its life fits.
func TestCheckComparesWithEvidence(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := t.Context()
		d := w.sent(t, 1, "H03.01", "H03.02")
		w.runLanes(t)
		in := w.incoming(t, "H03.01", d.ID)
		if _, err := w.Register(ctx, w.as(clerk, "H03.01"), in.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Assign(ctx, w.as(leader, "H03.01"), in.ID, w.as(officer, "H03.01").Person, "xem xét"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Finish(ctx, w.as(officer, "H03.01"), in.ID, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Refuse(ctx, w.as(clerk, "H03.02"), w.incoming(t, "H03.02", d.ID).ID, "gửi nhầm"); err != nil {
			t.Fatal(err)
		}
		w.runLanes(t)
		if err := w.runArchive(ctx, canonical(archiveArgs{d.ID})); err != nil {
			t.Fatal(err)
		}
		cancelled := w.sign(t, w.draft(t, 2), StepApprove)
		if _, err := w.Number(ctx, w.as(clerk, "H03"), cancelled.ID); err != nil {
			t.Fatal(err)
		}
		if err := w.CancelNumber(ctx, w.as(clerk, "H03"), cancelled.ID, "thừa"); err != nil {
			t.Fatal(err)
		}
		w.clean(t)
		for _, c := range [][2]string{ // each is found with those before it
			{`UPDATE exchange_document SET subject = 'khác' WHERE number = 1`, `its subject is "khác", the evidence says "Về việc thử nghiệm số 1"`},
			{`UPDATE exchange_document SET archived = 0, package = ''`, `its package is "", the evidence says`},
			{`UPDATE exchange_incoming SET status = '03' WHERE status = '06'`, `its status is "03", the evidence says "06"`},
			{`UPDATE exchange_delivery SET status = '04' WHERE status = '06'`, `status 04 has 0 receipts`},
			{`DELETE FROM exchange_revision`, `0 revisions, the evidence says 4`},
			{`UPDATE exchange_incoming SET assignee = '' WHERE assignee <> ''`, `its to is "", the evidence says`},
			{`UPDATE ledger_entry SET kind = 'x' WHERE kind LIKE 'document.%'`, `there is no evidence of it`},
		} {
			if _, err := w.store.DB.Writer().ExecContext(ctx, c[0]); err != nil {
				t.Fatal(err)
			}
			wantProblem(t, w, c[1])
		}
	})
}

func wantProblem(t *testing.T, w *world, want string) {
	t.Helper()
	var all []string
	if err := w.Check(t.Context(), func(p string) { all = append(all, p) }); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(all, "\n"), want) {
		t.Errorf("%q is not among\n%s", want, strings.Join(all, "\n"))
	}
}
