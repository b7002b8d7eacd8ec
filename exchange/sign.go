package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/stamp"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// SignInput says which step and with which key.
type SignInput struct {
	Step       Step
	Key        *keys.Key       // or Passphrase
	Passphrase string          // opens the stored key of the person (initial, approve) or of the agency (seal)
	Profile    signing.Profile // "" = pades-b-t where there is a time-stamp authority, else pades-b-b
	Image      []byte          // PNG of the handwritten signature or of the seal; nil = text
	Invisible  bool

	mandate *registry.Mandate // in whose place the signer signs; nil = the own
}

// Sign makes the signature of one step: officer or leader initial, leader
// approves, clerk seals, in this order (the initial may be left out unless
// Config.RequireInitial). Evidence is written before and after; the result
// counts only when our validator passes all of it. A failure leaves the document
// as it was; of two who sign at once one wins and the other gets a conflict.
func (s *Service) Sign(ctx context.Context, by registry.Actor, id DocumentID, in SignInput) (*Document, *signing.Report, error) {
	a, ok := actOf(in.Step)
	if !ok {
		return nil, nil, failf(KindInvalid, "Không có bước ký %q.", "There is no signing step %q.", string(in.Step))
	}
	if err := allowed(by, a); err != nil {
		return nil, nil, err
	}
	in.Profile, in.mandate = s.profileOr(in.Profile), by.OnBehalfOf
	key, err := s.signingKey(ctx, by, in)
	if err != nil {
		return nil, nil, err
	}
	d, err := s.beginSigning(ctx, by, id, a, in, key)
	if err != nil {
		return nil, nil, storageError("beginning to sign", err)
	}
	ref, report, err := s.signPDF(ctx, d, in, key)
	if err == nil {
		s.judged(ref.Digest, report)
		err = s.finishSigning(ctx, by, d, a, in, key, ref, report)
	}
	if err != nil {
		s.signingFailed(ctx, by, d, in, err)
		return nil, report, storageError("signing document", err)
	}
	return d, report, nil
}

// profileOr gives the profile that was asked for, else the best that needs no
// validation data.
func (s *Service) profileOr(p signing.Profile) signing.Profile {
	switch {
	case p != "":
		return p
	case s.cfg.TSA != nil:
		return signing.ProfileBT
	}
	return signing.ProfileBB
}

// inSigning is what else belongs to the transaction of an act of signing.
type inSigning func(ctx context.Context, tx *sqldb.Tx, d *Document) error

// beginSigning checks that the step can be made and leaves evidence that it is
// about to be.
func (s *Service) beginSigning(ctx context.Context, by registry.Actor, id DocumentID, a Act, in SignInput, key *keys.Key, also ...inSigning) (*Document, error) {
	var d *Document
	now := s.clock()
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if d, err = s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		if !by.System && d.Agency != by.Agency {
			return fail(KindConflict, "Cơ quan ban hành đã kết thúc hoạt động, văn bản không ký thêm được nữa.", "The issuing agency has ended; its documents can no longer be signed.").
				Advise("Soạn lại văn bản ở cơ quan kế thừa.", "Draft it anew at the successor.")
		}
		check := *d
		if err := check.advance(a); err != nil {
			return err
		}
		if d.Returned {
			return fail(KindConflict, "Dự thảo đã bị trả lại, chưa được sửa.", "The draft was given back and is not changed yet.").
				Advise("Người soạn thảo tải lên bản sửa trước.", "Its drafter uploads a new version first.")
		}
		if a == ActApprove && d.State == StateDraft && s.cfg.RequireInitial {
			return fail(KindConflict, "Văn bản chưa được ký nháy.", "The document is not initialled yet.").
				Advise("Chuyên viên ký nháy trước, rồi lãnh đạo ký duyệt.", "An officer initials it first, then the leader approves.")
		}
		if err := d.fitsForm(by, a); err != nil {
			return err
		}
		for _, do := range also {
			if err := do(ctx, tx, d); err != nil {
				return err
			}
		}
		return s.evidence(ctx, tx, "document.signing", string(d.ID), now, by, s.signFacts(by, d.PDF.Digest, in, key))
	})
	return d, err
}

func (s *Service) signFacts(by registry.Actor, digest blob.Digest, in SignInput, key *keys.Key) facts {
	f := s.facts(by)
	f["step"], f["profile"], f["digest"] = string(in.Step), string(in.Profile), string(digest)
	f["certificate"], f["signer"] = registry.Fingerprint(key.Certificate), key.Certificate.Subject.CommonName
	return f
}

// signPDF signs the current bytes, stores the result, and has our validator judge
// it: every signature in it must pass, and the new one must cover the whole file.
func (s *Service) signPDF(ctx context.Context, d *Document, in SignInput, key *keys.Key) (ref blob.Ref, report *signing.Report, err error) {
	data, err := s.bytes(ctx, d.PDF)
	if err != nil {
		return ref, nil, err
	}
	signed, err := s.addSignature(ctx, d, in, key, data)
	if err != nil {
		return ref, nil, err
	}
	return s.settleSigned(ctx, in, key, data, signed)
}

// settleSigned stores what was signed, here or elsewhere, and has it judged.
func (s *Service) settleSigned(ctx context.Context, in SignInput, key *keys.Key, data, signed []byte) (ref blob.Ref, report *signing.Report, err error) {
	// The disk and the validator work at the same time. A file that does not pass
	// stays behind as a blob without a row.
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		ref, err = s.put(gctx, signed)
		return err
	})
	g.Go(func() (err error) {
		if report, err = signing.VerifyPDF(gctx, bytes.NewReader(signed), int64(len(signed)), s.verifyOptions()); err != nil {
			return fmt.Errorf("judging the signed file: %w", err)
		}
		if !countsAsSigned(report, registry.Fingerprint(key.Certificate), int64(len(data)), int64(len(signed)), in.Profile) {
			return unchanged(failf(KindInvalid, "Chữ ký vừa tạo không được bộ kiểm tra chấp nhận: %[1]s",
				"The signature just made is not accepted by the validator: %[2]s", clip(report.Sentence("vi")), clip(report.Sentence("en")))).
				Advise("Kiểm tra chứng thư của khóa ký (hạn dùng, tổ chức cấp).", "Check the certificate of the key (validity, issuer).").
				Because(errNotAccepted)
		}
		return nil
	})
	err = g.Wait()
	return ref, report, err
}

// addSignature gives the bytes with one more signature, the former ones unchanged
// before it.
func (s *Service) addSignature(ctx context.Context, d *Document, in SignInput, key *keys.Key, data []byte) ([]byte, error) {
	original := data
	data, o, err := s.laidOut(ctx, d, in, key, data)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(len(data) + 32<<10)
	if err := signing.SignPDF(ctx, bytes.NewReader(data), int64(len(data)), &out, o); err != nil {
		return nil, s.signError(err)
	}
	if int64(out.Len()) > s.cfg.MaxPDF {
		return nil, unchanged(s.tooLarge())
	}
	if !bytes.HasPrefix(out.Bytes(), original) {
		return nil, errors.New("signing changed the bytes that were there")
	}
	return out.Bytes(), nil
}

// laidOut gives the bytes with the places for all signatures, and how the next one
// is to be made.
func (s *Service) laidOut(ctx context.Context, d *Document, in SignInput, key *keys.Key, data []byte) (placed []byte, o signing.SignOptions, err error) {
	agency, err := s.reg.Agency(ctx, d.Agency)
	if err != nil {
		return nil, o, err
	}
	now := s.clock()
	o = signing.SignOptions{Key: key, Profile: in.Profile, TSA: s.cfg.TSA, Field: fieldName(in.Step), Reason: signReason(in.Step, d, in.mandate),
		Location: d.Place, At: now, MaxSize: s.cfg.MaxPDF, Trust: s.cfg.Trust, Revocation: s.revocationSource()}
	data, layout, err := s.placeFields(ctx, data, now)
	if err != nil {
		return nil, o, err
	}
	rect := stamp.RectMM{}
	if !in.Invisible {
		if rect, err = s.appearance(&o, in, agency, now); err != nil {
			return nil, o, err
		}
		o.Rect, o.Page = &rect, -1
	}
	s.intoField(&o, layout, in.Step, rect)
	if in.Step == StepSeal {
		o.After = []string{fieldName(StepApprove)}
		fillIn(&o, layout, d)
	}
	return data, o, nil
}

// countsAsSigned tells whether the whole file passes and its newest signature,
// by the certificate given, covers all of it; at the long-term levels all that was
// there before, and what follows it is permitted.
func countsAsSigned(r *signing.Report, fingerprint string, before, size int64, profile signing.Profile) bool {
	if r.Verdict != signing.TotalPassed || r.Integrity != signing.Intact {
		return false
	}
	for _, sig := range r.Signatures {
		covers := sig.CoversTo == size
		if profile == signing.ProfileBLT || profile == signing.ProfileBLTA {
			covers = sig.CoversTo > before && sig.LaterChanges == signing.ChangesPermitted
		}
		if sig.Kind == signing.KindSignature && covers && sig.Fingerprint == fingerprint {
			return true
		}
	}
	return false
}

func (s *Service) signError(err error) error {
	if e := s.unreadable(err); e != nil {
		return unchanged(e)
	}
	switch {
	case errors.Is(err, signing.ErrKey):
		return unchanged(fail(KindInvalid, "Khóa này không ký được: chứng thư hết hạn, chưa có hiệu lực hoặc sai mục đích.",
			"This key cannot sign: its certificate has expired, is not yet valid or is for another purpose.").Because(err))
	case errors.Is(err, signing.ErrUnsupported):
		return unchanged(fail(KindInvalid, "Cách ký này chưa được hỗ trợ.", "This way of signing is not supported.").
			Advise("Chọn pades-b-b hoặc pades-b-t.", "Choose pades-b-b or pades-b-t.").Because(err))
	case errors.Is(err, signing.ErrOrder):
		return unchanged(fail(KindConflict, "Thứ tự ký không đúng: người có thẩm quyền ký trước, cơ quan ký sau, bằng chứng thư khác.",
			"The order of signatures is not kept: the competent person signs first, then the agency, with another certificate.").Because(err))
	case errors.Is(err, signing.ErrEvidence):
		return unchanged(fail(KindUnavailable, "Chưa có đủ dữ liệu kiểm tra chứng thư để ký lưu lâu dài.", "The validation data for a long-term signature is not complete.").
			Advise("Thử lại khi cơ quan chứng thực trả lời, hoặc ký ở mức pades-b-t.", "Try again when the authority answers, or sign as pades-b-t.").Because(err))
	}
	return unchanged(fail(KindUnavailable, "Chưa ký được văn bản.", "The document could not be signed.").
		Advise("Thử lại; nếu vẫn lỗi, kiểm tra dịch vụ cấp dấu thời gian và tệp PDF.", "Try again; if it fails again, check the time-stamp service and the PDF.").Because(err))
}

// finishSigning makes the signed bytes the document's, with the evidence.
func (s *Service) finishSigning(ctx context.Context, by registry.Actor, d *Document, a Act, in SignInput, key *keys.Key, ref blob.Ref, report *signing.Report, also ...inSigning) error {
	now := s.clock()
	was, before := d.version, d.PDF.Digest
	if err := d.advance(a); err != nil {
		return err
	}
	d.PDF, d.Updated = ref, now
	f := s.signFacts(by, ref.Digest, in, key)
	f["before"], f["verdict"] = string(before), string(report.Verdict)
	rev := revision{document: d.ID, seq: was + 1, pdf: ref, step: in.Step, person: by.Person, certificate: f["certificate"], report: report, at: now}
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := updateDocument(ctx, tx, d, was); err != nil {
			return err
		}
		for _, do := range also {
			if err := do(ctx, tx, d); err != nil {
				return err
			}
		}
		if err := insertRevision(ctx, tx, rev); err != nil {
			return err
		}
		return s.evidence(ctx, tx, "document.signed", string(d.ID), now, by, f)
	})
	if err == nil {
		s.recent.drop(before)
	}
	return err
}

// signingFailed closes the evidence that beginSigning opened.
func (s *Service) signingFailed(ctx context.Context, by registry.Actor, d *Document, in SignInput, cause error) {
	f := s.facts(by)
	f["step"], f["reason"], f["failure"] = string(in.Step), failureText(cause), signFailure(cause)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return s.evidence(ctx, tx, "document.sign-failed", string(d.ID), s.clock(), by, f)
	})
	if err != nil { // the failure itself is returned to the caller; only this trace of it is lost
		s.log.LogAttrs(ctx, slog.LevelError, "evidence of a failed signature not written", slog.String("document", string(d.ID)), slog.String("error", err.Error()))
	}
}

// revocationSource is whom a long-term signature asks about its certificates: the
// one who judges arriving signatures too.
func (s *Service) revocationSource() signing.RevocationSource {
	if s.cfg.Fetcher == nil {
		return nil // not a nil in an interface
	}
	return s.cfg.Fetcher
}

func fieldName(step Step) string {
	switch step {
	case StepInitial:
		return "VanThu-Initial"
	case StepApprove:
		return "VanThu-Approve"
	}
	return "VanThu-Seal"
}

func signReason(step Step, d *Document, m *registry.Mandate) string {
	switch step {
	case StepInitial:
		return "Ký nháy" + m.In()
	case StepApprove:
		return "Ký duyệt" + m.In()
	}
	if code := d.Code(); code != "" {
		return "Phát hành văn bản số " + code
	}
	return "Ký số của cơ quan"
}

// Places on the last page for what NĐ 30/2020 Phụ lục I gives no measure: the
// initials beside the signer's column, and text where there is no image. The
// seal's text stands left of the leader's signature, be that text or an image,
// and under the initials: none may hide another.
func initialRect() stamp.RectMM { return stamp.RectMM{X: 86, Y: 205, W: 34, H: 8} }
func approveText() stamp.RectMM { return stamp.RectMM{X: 122, Y: 214, W: 52, H: 20} }
func sealText() stamp.RectMM    { return stamp.RectMM{X: 86, Y: 214, W: 34, H: 20} }

// appearance sets what the signature shows and gives where.
func (s *Service) appearance(o *signing.SignOptions, in SignInput, agency *registry.Agency, now time.Time) (r stamp.RectMM, err error) {
	signer := o.Key.Certificate.Subject.CommonName
	if in.Image != nil {
		_, _, err = stamp.ImageSize(in.Image)
	}
	switch in.Step {
	case StepInitial:
		o.Appearance, r = &stamp.Appearance{Lines: []string{"Ký nháy: " + signer}}, initialRect()
		if in.Image != nil {
			o.Appearance = &stamp.Appearance{Image: in.Image}
		}
	case StepApprove:
		o.Appearance = &stamp.Appearance{Lines: []string{"Người ký: " + signer, "Thời gian ký: " + stamp.SigningTime(now)}, Align: stamp.AlignCenter}
		if m := in.mandate; m != nil {
			o.Appearance.Lines = append(o.Appearance.Lines, string(m.Form)+" "+m.Name)
		}
		r = approveText()
		if in.Image != nil && err == nil {
			o.Appearance, r, err = stamp.LeaderSignature(in.Image, 0)
		}
	case StepSeal:
		o.Appearance = &stamp.Appearance{Lines: []string{"Cơ quan: " + agency.Name, "Thời gian ký: " + stamp.SigningTime(now)}}
		r = sealText()
		if in.Image != nil && err == nil {
			o.Appearance, r, err = stamp.AgencySeal(in.Image, stamp.LeaderImage(), s.cfg.SealSize, s.cfg.SealSize)
		}
	}
	if err != nil {
		return r, unchanged(fail(KindInvalid, "Ảnh chữ ký hoặc con dấu không dùng được.", "The image of the signature or seal cannot be used.").
			Advise("Dùng ảnh PNG nền trong suốt.", "Use a PNG with a transparent background.").Because(err))
	}
	var missing *stamp.MissingGlyphError
	if err := stamp.MustCover(o.Appearance.Lines...); errors.As(err, &missing) {
		o.Appearance.Lines = []string{stamp.SigningTime(now)} // a name in another script: the certificate still carries it
	}
	return r, nil
}
