package exchange

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// Revise puts a new version in the place of a draft: its file and its whole
// description. Initials are lost with the old file; all versions are kept (NĐ
// 30/2020 Phụ lục VI: drafts, comments and views are kept). Officer or leader,
// before the competent person has signed, or after the draft was given back.
func (s *Service) Revise(ctx context.Context, by registry.Actor, id DocumentID, in DraftInput, note string) (*Document, error) {
	if err := allowed(by, ActRevise); err != nil {
		return nil, err
	}
	note, err := registry.CleanLine("Ghi chú", "The note", note, maxNote)
	if err != nil {
		return nil, err
	}
	now := s.clock()
	fresh, report, err := s.described(ctx, by, in, now)
	if err != nil {
		return nil, err
	}
	var d Document
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		old, err := s.ownDocument(ctx, tx, by, id)
		if err != nil {
			return err
		}
		if err := old.advance(ActRevise); err != nil {
			return err
		}
		d = *fresh
		d.ID, d.Agency, d.CreatedBy, d.Created, d.State = old.ID, old.Agency, old.CreatedBy, old.Created, old.State
		if err := updateDocument(ctx, tx, &d, old.version); err != nil {
			return err
		}
		if err := redescribe(ctx, tx, &d); err != nil {
			return err
		}
		if err := insertRevision(ctx, tx, revision{document: d.ID, seq: d.version, pdf: d.PDF, person: by.Person, report: report, at: now}); err != nil {
			return err
		}
		if err := insertDraftVersion(ctx, tx, &d, d.version, note, by, now); err != nil {
			return err
		}
		f := s.facts(by)
		maps.Copy(f, d.described())
		f["digest"], f["size"] = string(d.PDF.Digest), strconv.FormatInt(d.PDF.Size, 10)
		if note != "" {
			f["note"] = note
		}
		return s.evidence(ctx, tx, "document.revised", string(d.ID), now, by, f)
	})
	if err != nil {
		return nil, storageError("storing a new version", err)
	}
	return &d, nil
}

// The kinds of Comment.
const (
	CommentOpinion = "comment" // ý kiến góp ý
	CommentReturn  = "return"  // lý do trả lại
)

// Comment is what somebody said about a version of a draft.
type Comment struct {
	ID      string            `json:"id"`
	Version int64             `json:"version"`
	Person  registry.PersonID `json:"person"`
	Name    string            `json:"name"`
	Kind    string            `json:"kind"`
	Text    string            `json:"text"`
	At      time.Time         `json:"at"`
}

// ReturnDraft gives a draft back to its drafter with the reason; it has to be
// revised before anybody signs it. Leader, officer or clerk, as long as it has no
// number.
func (s *Service) ReturnDraft(ctx context.Context, by registry.Actor, id DocumentID, reason string) (*Document, error) {
	return s.say(ctx, by, id, ActReturn, reason)
}

// CommentDraft keeps an opinion about the newest version of a draft.
func (s *Service) CommentDraft(ctx context.Context, by registry.Actor, id DocumentID, text string) (*Document, error) {
	return s.say(ctx, by, id, ActComment, text)
}

func (s *Service) say(ctx context.Context, by registry.Actor, id DocumentID, a Act, text string) (*Document, error) {
	if err := allowed(by, a); err != nil {
		return nil, err
	}
	text, err := registry.CleanLine("Nội dung", "The text", text, maxNote)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, fail(KindInvalid, "Thiếu nội dung góp ý hoặc lý do trả lại.", "The comment or the reason is missing.")
	}
	c := Comment{ID: newID(), Person: by.Person, Name: by.FullName(), Kind: CommentOpinion, Text: text, At: s.clock()}
	kind := "document.commented"
	var d *Document
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if d, err = s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		c.Version = d.version
		if a == ActReturn {
			c.Kind, kind = CommentReturn, "document.returned"
			if d.Number != 0 {
				return fail(KindConflict, "Văn bản đã có số, không trả lại được; hủy số nếu cần.", "The document has a number and cannot be given back; cancel the number instead.")
			}
			if err := d.advance(ActReturn); err != nil {
				return err
			}
			was := d.version
			d.Returned, d.Updated = true, c.At
			if err := updateDocument(ctx, tx, d, was); err != nil {
				return err
			}
		} else if d.State != StateDraft && d.State != StateInitialled {
			return fail(KindConflict, "Chỉ góp ý được khi văn bản còn là dự thảo.", "Only drafts are commented.")
		}
		if err := insertComment(ctx, tx, d.ID, &c); err != nil {
			return err
		}
		f := s.facts(by)
		f["note"], f["version"] = text, strconv.FormatInt(c.Version, 10)
		return s.evidence(ctx, tx, kind, string(d.ID), c.At, by, f)
	})
	if err != nil {
		return nil, storageError("keeping a comment", err)
	}
	return d, nil
}

// Comments gives what was said about a draft of the actor's agency, oldest first.
func (s *Service) Comments(ctx context.Context, by registry.Actor, id DocumentID) (out []Comment, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		out, err = selectComments(ctx, tx, id)
		return err
	})
	return out, storageError("reading comments", err)
}

// DraftVersion is one version of a draft and what its description changed.
type DraftVersion struct {
	Seq     int64             `json:"seq"`
	PDF     blob.Ref          `json:"pdf"`
	Note    string            `json:"note,omitempty"`
	Person  registry.PersonID `json:"person"`
	Name    string            `json:"name"`
	At      time.Time         `json:"at"`
	Changed []FieldChange     `json:"changed,omitempty"` // against the version before

	description facts
}

// FieldChange is one field of a description that changed.
type FieldChange struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// DraftVersions gives the versions of a draft of the actor's agency, oldest
// first, each with what changed in the description.
func (s *Service) DraftVersions(ctx context.Context, by registry.Actor, id DocumentID) (out []DraftVersion, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		out, err = selectDraftVersions(ctx, tx, id)
		return err
	})
	for i := 1; i < len(out); i++ {
		before, after := out[i-1].description, out[i].description
		for _, field := range slices.Sorted(maps.Keys(after)) {
			if before[field] != after[field] {
				out[i].Changed = append(out[i].Changed, FieldChange{field, before[field], after[field]})
			}
		}
	}
	return out, storageError("reading versions", err)
}

// SignResult is what became of one document of SignMany.
type SignResult struct {
	ID       DocumentID `json:"id"`
	Document *Document  `json:"document,omitempty"`
	Err      error      `json:"-"`
}

// mostSigned bounds SignMany.
const mostSigned = 200

// SignMany makes the same step on many documents: the key is opened once, each
// signature has its own evidence, and one that is refused does not block the
// next. The results are in the order of ids.
func (s *Service) SignMany(ctx context.Context, by registry.Actor, ids []DocumentID, in SignInput) ([]SignResult, error) {
	if len(ids) == 0 || len(ids) > mostSigned {
		return nil, failf(KindInvalid, "Ký từ 1 đến %[1]d văn bản mỗi lần, không phải %[2]d.", "Sign 1 to %[1]d documents at a time, not %[2]d.", mostSigned, len(ids))
	}
	out := make([]SignResult, len(ids))
	for i, id := range ids {
		out[i].ID = id
		if ctx.Err() != nil {
			out[i].Err = ctx.Err()
			continue
		}
		out[i].Document, _, out[i].Err = s.Sign(ctx, by, id, in)
	}
	return out, nil
}
