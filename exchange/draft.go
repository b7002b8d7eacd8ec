package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/pdf"
	"vanthu/storage/sqldb"
)

// DraftInput is what a new document needs. Notation and Place are made from the
// type and the agency when empty.
type DraftInput struct {
	Type, Subject, Notation, Place         string
	Priority                               Priority
	Due                                    time.Time // hạn xử lý; zero = none
	SignerName, SignerPosition, Competence string
	Secrecy                                string // any mark of secrecy: refused, QĐ 28/2018 Điều 1.2
	Series                                 string // chosen series of numbers; "" = by the type, see Series
	Details                                Details
	PDF                                    io.Reader
}

// Draft stores a PDF and its description as a draft of the actor's agency. The
// PDF must be readable, not encrypted, within Config.MaxPDF, and carry no
// signature that fails.
func (s *Service) Draft(ctx context.Context, by registry.Actor, in DraftInput) (*Document, error) {
	if err := allowed(by, ActDraft); err != nil {
		return nil, err
	}
	now := s.clock()
	d, report, err := s.described(ctx, by, in, now)
	if err != nil {
		return nil, err
	}
	f := s.facts(by)
	maps.Copy(f, d.described())
	f["digest"], f["size"] = string(d.PDF.Digest), strconv.FormatInt(d.PDF.Size, 10)
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := insertDocument(ctx, tx, d); err != nil {
			return err
		}
		if err := insertRevision(ctx, tx, revision{document: d.ID, seq: d.version, pdf: d.PDF, person: by.Person, report: report, at: now}); err != nil {
			return err
		}
		if err := insertDraftVersion(ctx, tx, d, d.version, "", by, now); err != nil {
			return err
		}
		return s.evidence(ctx, tx, "document.drafted", string(d.ID), now, by, f)
	})
	if err != nil {
		return nil, storageError("storing the draft", err)
	}
	return d, nil
}

// described checks what is typed and stores the file: a document that no row
// names yet, with our validator's judgement.
func (s *Service) described(ctx context.Context, by registry.Actor, in DraftInput, now time.Time) (*Document, *signing.Report, error) {
	t, err := in.clean()
	if err != nil {
		return nil, nil, err
	}
	agency, err := s.party(ctx, by.Agency, now, "ban hành", "issuing")
	if err != nil {
		return nil, nil, err
	}
	symbol, err := s.symbolOf(ctx, agency, in.Series)
	if err != nil {
		return nil, nil, err
	}
	if in.Notation == "" {
		if symbol == "" {
			return nil, nil, fail(KindInvalid, "Thiếu ký hiệu văn bản và cơ quan chưa có chữ viết tắt.", "The symbol is missing and the agency has no abbreviation.").
				Advise("Nhập ký hiệu, ví dụ QĐ-UBND.", "Type a symbol, such as QĐ-UBND.")
		}
		in.Notation = defaultNotation(t, symbol)
	}
	if err := checkNotation(t, in.Notation); err != nil {
		return nil, nil, err
	}
	if in.Place == "" {
		in.Place = agency.Place
	}
	data, err := s.readPDF(in.PDF)
	if err != nil {
		return nil, nil, err
	}
	report, err := s.judgeDraft(ctx, data)
	if err != nil {
		return nil, nil, err
	}
	ref, err := s.put(ctx, data)
	if err != nil {
		return nil, nil, err
	}
	s.judged(ref.Digest, report)
	d := &Document{
		ID: DocumentID(newID()), Agency: agency.ID, Type: t.Code, Subject: in.Subject, Notation: in.Notation, Place: in.Place,
		Priority: in.Priority, Due: in.Due.UTC().Truncate(time.Microsecond), SignerName: in.SignerName, SignerPosition: in.SignerPosition,
		Competence: in.Competence, Series: in.Series, Details: in.Details, State: StateDraft, PDF: ref, CreatedBy: by.Person, Created: now, Updated: now, version: 1,
	}
	if in.Due.IsZero() {
		d.Due = time.Time{}
	}
	return d, report, nil
}

// symbolOf gives the abbreviation that stands in symbols: the agency's, or that
// of the series chosen, which must be one in use.
func (s *Service) symbolOf(ctx context.Context, agency *registry.Agency, series string) (symbol string, err error) {
	symbol = agency.Symbol
	if series == "" {
		return symbol, nil
	}
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err := selectSeries(ctx, tx, agency.ID, yearOf(s.clock()))
		if err != nil {
			return err
		}
		if _, err := chosenSeries(list, series); err != nil {
			return err
		}
		for _, c := range list {
			if c.Code == series && c.Symbol != "" {
				symbol = c.Symbol
			}
		}
		return nil
	})
	return symbol, storageError("reading series", err)
}

// judgeDraft reads a draft with our validator: what cannot be read, cannot be
// signed later or fails is refused before anything is stored.
func (s *Service) judgeDraft(ctx context.Context, data []byte) (*signing.Report, error) {
	limits := pdf.DefaultLimits()
	limits.MaxSize = s.cfg.MaxPDF
	f, err := pdf.OpenContext(ctx, bytes.NewReader(data), int64(len(data)), limits)
	if err == nil {
		_, err = pdf.NewUpdate(f)
	}
	if e := s.unreadable(err); e != nil {
		return nil, e
	}
	if errors.Is(err, pdf.ErrUnsupported) {
		return nil, fail(KindInvalid, "Tệp PDF này không thêm chữ ký được.", "No signature can be added to this PDF.").
			Advise("Mở tệp bằng trình đọc PDF, in lại ra PDF rồi tải lên lại.", "Open it in a PDF reader, print it to PDF and upload that.").
			Keeping("Chưa lưu gì.", "Nothing was stored.").Because(err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the draft: %w", err)
	}
	report, err := signing.VerifyPDF(ctx, bytes.NewReader(data), int64(len(data)), s.verifyOptions())
	if e := s.unreadable(err); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, fmt.Errorf("reading the draft: %w", err)
	}
	if report.Verdict == signing.TotalFailed {
		return nil, failf(KindInvalid, "Tệp đã có chữ ký số không hợp lệ: %[1]s", "The file carries a signature that fails: %[2]s",
			clip(report.Sentence("vi")), clip(report.Sentence("en"))).
			Advise("Dùng bản gốc chưa ký.", "Use the original without signatures.").Keeping("Chưa lưu gì.", "Nothing was stored.")
	}
	return report, nil
}
