package exchange

import (
	"context"
	"io"
	"slices"
	"strings"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// ListFilter narrows Documents; newest first.
type ListFilter struct {
	State State
	Query string // words of description and text; see Search
	Year  int    // of the number
	After string // Next of the page before
	Limit int    // 0 = 50, at most 200
}

// ownDocument gives a document of the actor's own agency; others' look as if
// they were not there.
func (s *Service) ownDocument(ctx context.Context, tx *sqldb.Tx, by registry.Actor, id DocumentID) (*Document, error) {
	d, err := selectDocument(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	held := false
	if d != nil {
		if held, err = s.holds(ctx, tx, by, d.Agency); err != nil {
			return nil, err
		}
	}
	if !held {
		return nil, fail(KindNotFound, "Không có văn bản đi này trong sổ của cơ quan.", "There is no such document in your agency's outgoing register.")
	}
	d.holder = by.Agency
	return d, nil
}

// Document gives one outgoing document of the actor's agency, with recipients.
func (s *Service) Document(ctx context.Context, by registry.Actor, id DocumentID) (d *Document, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if d, err = s.ownDocument(ctx, tx, by, id); err != nil || d.State != StateSent {
			return err
		}
		d.Recipients, err = selectRecipients(ctx, tx, id)
		return err
	})
	if err != nil {
		return nil, storageError("reading document", err)
	}
	return d, nil
}

// Documents lists the agency's outgoing documents and those of agencies it
// continues, newest first, without recipients. The system sees every agency's.
func (s *Service) Documents(ctx context.Context, by registry.Actor, f ListFilter) (Page[Document], error) {
	if f.State != "" && !slices.Contains(States(), f.State) {
		return Page[Document]{}, failf(KindInvalid, "Không có trạng thái %q.", "There is no state %q.", string(f.State))
	}
	f.Limit = pageLimit(f.Limit)
	if err := s.beforeSearch(ctx, by.Agency, f.Query); err != nil {
		return Page[Document]{}, err
	}
	var list []Document
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		line, err := s.line(ctx, tx, by)
		if err != nil {
			return err
		}
		if f.Query == "" {
			list, err = selectDocuments(ctx, tx, line, f, f.Limit+1)
			return err
		}
		key := func(d Document) string { return string(d.ID) }
		for _, agency := range searched(line) {
			found, err := searchRows(ctx, tx, s.search.outgoing, agency, f.Query, f.After, f.Limit+1, key, func(ids []DocumentID) ([]Document, error) {
				return selectDocumentsByID(ctx, tx, ids, f.conditions([]registry.AgencyID{agency}))
			})
			if err != nil {
				return err
			}
			list = append(list, found...)
		}
		slices.SortFunc(list, func(a, b Document) int { return strings.Compare(key(b), key(a)) }) // newest first
		list = list[:min(len(list), f.Limit+1)]
		return nil
	})
	for i := range list {
		list[i].holder = by.Agency
	}
	return page(list, f.Limit, func(d Document) string { return string(d.ID) }), storageError("listing documents", err)
}

// PDF opens the current file of an outgoing document. The bytes are checked as
// they are read: a damaged file ends in blob.ErrCorrupt instead of io.EOF. It is
// kept who did, see DocumentViews.
func (s *Service) PDF(ctx context.Context, by registry.Actor, id DocumentID) (io.ReadCloser, int64, error) {
	var d *Document
	now := s.clock()
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if d, err = s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		return s.look(ctx, tx, by, string(id), "view.document", d.Agency, now)
	})
	if err != nil {
		return nil, 0, storageError("opening document", err)
	}
	return s.open(ctx, d.PDF)
}

// IncomingPDF opens the file of an incoming document; see PDF. It is kept who
// did: what nobody has opened can be recalled without asking.
func (s *Service) IncomingPDF(ctx context.Context, by registry.Actor, id IncomingID) (io.ReadCloser, int64, error) {
	in, err := s.viewed(ctx, by, id)
	if err != nil {
		return nil, 0, storageError("opening incoming document", err)
	}
	return s.open(ctx, in.PDF)
}

func (s *Service) open(ctx context.Context, ref blob.Ref) (io.ReadCloser, int64, error) {
	r, size, err := s.cfg.Store.Blobs.Open(ctx, ref.Digest)
	if err != nil {
		return nil, 0, fail(KindUnavailable, "Tệp đã lưu không mở được.", "The stored file cannot be opened.").
			Advise("Báo quản trị viên chạy “vanthu check”.", "Have the administrator run “vanthu check”.").
			Keeping("Thông tin đăng ký và nhật ký của văn bản vẫn còn.", "The registration and the evidence of the document are kept.").Because(err)
	}
	return r, size, nil
}

// Report gives our validator's judgement of the current file, as made when the
// file became the document's.
func (s *Service) Report(ctx context.Context, by registry.Actor, id DocumentID) (r *signing.Report, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		r, err = selectReport(ctx, tx, id)
		return err
	})
	return r, storageError("reading report", err)
}
