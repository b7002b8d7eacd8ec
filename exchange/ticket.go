package exchange

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

const (
	ticketLife = 10 * time.Minute
	// ticketTries bounds how often something may be given back for one ticket.
	ticketTries = 5
)

// TicketInput says which signature is to be made where its key is.
type TicketInput struct {
	Step        Step
	Certificate *x509.Certificate   // nil = the newest that is registered for the signer
	Chain       []*x509.Certificate // its issuers, as far as the signer has them
	Profile     signing.Profile     // "" as for Sign
	Image       []byte
	Invisible   bool
}

// Ticket is the right to give back one signature (phiếu ký một lần). Who holds it
// can do nothing else with it: only the value of the right key over exactly these
// bytes is taken.
type Ticket struct {
	Ticket      string          `json:"ticket" doc:"secret; shown once"`
	Document    DocumentID      `json:"document"`
	Code        string          `json:"code,omitempty"`
	Subject     string          `json:"subject"`
	Step        Step            `json:"step"`
	Profile     signing.Profile `json:"profile"`
	Signer      string          `json:"signer"`
	Certificate string          `json:"certificate" doc:"SHA-256 of the certificate that must sign, lower-case hex"`
	Hash        string          `json:"hash" doc:"SHA-256 or SHA-512"`
	ToSign      []byte          `json:"to_sign" doc:"what the key signs: the digest of the signed attributes by hash; for Ed25519 the attributes themselves"`
	Attributes  []byte          `json:"attributes" doc:"the signed attributes in DER"`
	Digest      []byte          `json:"digest" doc:"of the document's bytes by hash, for signers that make the whole CMS"`
	Expires     time.Time       `json:"expires"`
}

// BeginSigning lays out the signature of a step and gives a ticket for it. What
// Sign checks before is checked here, and "document.signing" stands in the evidence
// from now on. The document does not change until the ticket is used; a ticket for a
// document that changed in between is refused.
func (s *Service) BeginSigning(ctx context.Context, by registry.Actor, id DocumentID, in TicketInput) (*Ticket, error) {
	a, ok := actOf(in.Step)
	if !ok {
		return nil, failf(KindInvalid, "Không có bước ký %q.", "There is no signing step %q.", string(in.Step))
	}
	if err := allowed(by, a); err != nil {
		return nil, err
	}
	key, sign, err := s.ticketKey(ctx, by, in)
	if err != nil {
		return nil, err
	}
	d, err := s.Document(ctx, by, id)
	if err != nil {
		return nil, err
	}
	check := *d
	if err := check.advance(a); err != nil {
		return nil, err
	}
	data, err := s.bytes(ctx, d.PDF)
	if err != nil {
		return nil, err
	}
	placed, o, err := s.laidOut(ctx, d, sign, key, data)
	if err != nil {
		return nil, err
	}
	pending, err := signing.Begin(ctx, bytes.NewReader(placed), int64(len(placed)), o)
	if err != nil {
		return nil, s.signError(err)
	}
	base, err := s.put(ctx, placed)
	if err != nil {
		return nil, err
	}
	row := &ticketRow{delegation: delegationOf(by), document: d.ID, version: d.version, person: by.Person, step: in.Step, profile: sign.Profile,
		certificate: registry.Fingerprint(key.Certificate), pdf: d.PDF.Digest, base: base, created: s.clock()}
	row.expires = row.created.Add(ticketLife)
	text, err := json.Marshal(pending)
	if err != nil {
		return nil, fmt.Errorf("encoding what was laid out: %w", err)
	}
	row.pending = string(text)
	secret := make([]byte, 32)
	rand.Read(secret) // never fails: crypto/rand ends the program instead
	ticket := base64.RawURLEncoding.EncodeToString(secret)
	row.id = ticketDigest(ticket)
	_, err = s.beginSigning(ctx, by, id, a, sign, key, func(ctx context.Context, tx *sqldb.Tx, now *Document) error {
		if now.version != d.version {
			return changedOne(nothingChanged{}, nil)
		}
		if err := dropTickets(ctx, tx, d.ID, row.created.Add(-24*time.Hour)); err != nil {
			return err
		}
		return insertTicket(ctx, tx, row)
	})
	if err != nil {
		return nil, storageError("beginning to sign", err)
	}
	out := ticketOf(row, d, pending)
	out.Ticket, out.Signer = ticket, key.Certificate.Subject.CommonName
	return out, nil
}

// nothingChanged is the result of a guarded update that came too late.
type nothingChanged struct{}

func (nothingChanged) LastInsertId() (int64, error) { return 0, nil }
func (nothingChanged) RowsAffected() (int64, error) { return 0, nil }

func ticketDigest(ticket string) string {
	d := sha256.Sum256([]byte(ticket))
	return hex.EncodeToString(d[:])
}

func ticketOf(t *ticketRow, d *Document, p *signing.Pending) *Ticket {
	return &Ticket{Document: d.ID, Code: d.Code(), Subject: d.Subject, Step: t.step, Profile: t.profile, Certificate: t.certificate,
		Hash: p.Hash.String(), ToSign: p.ToSign, Attributes: p.Attributes, Digest: p.Digest, Expires: t.expires}
}

// ticketKey gives the certificate that is to sign, which must be registered for the
// signer.
func (s *Service) ticketKey(ctx context.Context, by registry.Actor, in TicketInput) (*keys.Key, SignInput, error) {
	sign := SignInput{Step: in.Step, Profile: s.profileOr(in.Profile), Image: in.Image, Invisible: in.Invisible, mandate: by.OnBehalfOf}
	leaf := in.Certificate
	if leaf == nil {
		owner := registry.PersonOwner(by.Person)
		if in.Step == StepSeal {
			owner = registry.AgencyOwner(by.Agency)
		}
		known, err := s.reg.Certificates(ctx, owner)
		if err != nil {
			return nil, sign, err
		}
		now := s.clock()
		for i := range known { // newest first
			if known[i].ValidAt(now) {
				leaf = known[i].Certificate
				break
			}
		}
		if leaf == nil {
			return nil, sign, unchanged(fail(KindInvalid, "Chưa có chứng thư nào được đăng ký cho người (cơ quan) ký.", "No certificate is registered for the signer.").
				Advise("Quản trị viên đăng ký chứng thư của thiết bị ký.", "Have an administrator register the certificate of the token."))
		}
	}
	sign.Key = &keys.Key{Certificate: leaf, Chain: in.Chain}
	key, err := s.signingKey(ctx, by, sign)
	return key, sign, err
}

// OpenTicket tells what a ticket is for, to whoever holds it: the program beside the
// key shows it before it signs.
func (s *Service) OpenTicket(ctx context.Context, ticket string) (*Ticket, error) {
	var row *ticketRow
	var d *Document
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		row, d, err = s.liveTicket(ctx, tx, ticket)
		return err
	})
	if err != nil {
		return nil, storageError("reading ticket", err)
	}
	pending, err := row.open()
	if err != nil {
		return nil, err
	}
	return ticketOf(row, d, pending), nil
}

func (t *ticketRow) open() (*signing.Pending, error) {
	p := new(signing.Pending)
	if err := json.Unmarshal([]byte(t.pending), p); err != nil {
		return nil, fmt.Errorf("decoding what was laid out: %w", err)
	}
	return p, nil
}

// liveTicket reads a ticket that may still be used, and its document.
func (s *Service) liveTicket(ctx context.Context, tx *sqldb.Tx, ticket string) (*ticketRow, *Document, error) {
	t, err := selectTicket(ctx, tx, ticketDigest(ticket))
	if err != nil {
		return nil, nil, err
	}
	switch {
	case t == nil:
		return nil, nil, fail(KindNotFound, "Không có phiếu ký này.", "There is no such ticket.")
	case !t.spent.IsZero():
		return nil, nil, fail(KindConflict, "Phiếu ký đã được dùng.", "The ticket was used.").
			Advise("Xem lại văn bản: chữ ký có thể đã được ghi nhận.", "Look at the document: its signature may be there already.")
	case t.tries >= ticketTries:
		return nil, nil, fail(KindConflict, "Phiếu ký đã bị khóa sau nhiều lần trả về sai.", "The ticket is closed after too many wrong returns.").
			Advise("Bắt đầu ký lại từ đầu.", "Begin the signature anew.")
	case !s.clock().Before(t.expires):
		return nil, nil, unchanged(fail(KindConflict, "Phiếu ký đã hết hạn.", "The ticket has expired.").
			Advise("Bắt đầu ký lại từ đầu.", "Begin the signature anew."))
	}
	d, err := selectDocument(ctx, tx, t.document)
	if err != nil {
		return nil, nil, err
	}
	if d == nil || d.version != t.version || d.PDF.Digest != t.pdf {
		return nil, nil, fail(KindConflict, "Văn bản đã thay đổi sau khi phiếu ký được cấp.", "The document changed after the ticket was given.").
			Advise("Xem lại văn bản rồi bắt đầu ký lại.", "Look at the document, then begin the signature anew.")
	}
	return t, d, nil
}

// FinishSigning takes what came back for a ticket: the signature's value or a whole
// CMS. Nothing else is asked of who brings it: only the right key can have made it. A
// wrong return is refused with the reason and stands in the evidence; the ticket stays
// good for a right one until it expires, five returns in all.
func (s *Service) FinishSigning(ctx context.Context, ticket string, r signing.Returned) (*Document, *signing.Report, error) {
	return s.useTicket(ctx, ticket, func(ctx context.Context, base []byte, p *signing.Pending) ([]byte, error) {
		var out bytes.Buffer
		err := signing.Finish(ctx, bytes.NewReader(base), int64(len(base)), &out, p, r,
			signing.FinishOptions{TSA: s.cfg.TSA, Trust: s.cfg.Trust, Revocation: s.revocationSource()})
		return out.Bytes(), err
	})
}

// TicketPDF gives the bytes that a ticket's signature belongs on, for programs that
// sign whole files (download, sign, upload).
func (s *Service) TicketPDF(ctx context.Context, ticket string) (io.ReadCloser, int64, error) {
	var row *ticketRow
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		row, _, err = s.liveTicket(ctx, tx, ticket)
		return err
	})
	if err != nil {
		return nil, 0, storageError("reading ticket", err)
	}
	data, err := s.bytes(ctx, row.base)
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), err
}

// UploadSigned takes a whole file that was signed elsewhere: TicketPDF's bytes must be
// its beginning, and what follows exactly the one new signature of the right person.
func (s *Service) UploadSigned(ctx context.Context, ticket string, file io.Reader) (*Document, *signing.Report, error) {
	if _, err := s.OpenTicket(ctx, ticket); err != nil { // before anything is read: who calls may have no account
		return nil, nil, err
	}
	signed, err := s.readPDF(file)
	if err != nil {
		return nil, nil, err
	}
	return s.useTicket(ctx, ticket, func(ctx context.Context, base []byte, p *signing.Pending) ([]byte, error) {
		want, err := x509.ParseCertificate(p.Certificates[0])
		if err != nil {
			return nil, fmt.Errorf("reading the prepared certificate: %w", err)
		}
		_, err = signing.AcceptReturned(ctx, base, signed, want, s.verifyOptions())
		return signed, err
	})
}

// useTicket counts the try, has the signed file made, judged and recorded, and spends
// the ticket in the transaction that makes the document signed.
func (s *Service) useTicket(ctx context.Context, ticket string, make func(context.Context, []byte, *signing.Pending) ([]byte, error)) (*Document, *signing.Report, error) {
	var row *ticketRow
	var d *Document
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if row, d, err = s.liveTicket(ctx, tx, ticket); err != nil {
			return err
		}
		return countTry(ctx, tx, row.id)
	})
	if err != nil {
		return nil, nil, storageError("reading ticket", err)
	}
	by, err := s.reg.ActorOf(ctx, row.person)
	if err == nil && row.delegation != "" {
		by, err = s.reg.ActingFor(ctx, by, row.delegation)
	}
	if err != nil {
		return nil, nil, err
	}
	a, _ := actOf(row.step)
	if err := allowed(by, a); err != nil { // the role may be gone since
		return nil, nil, err
	}
	pending, err := row.open()
	if err != nil {
		return nil, nil, err
	}
	leaf, err := x509.ParseCertificate(pending.Certificates[0])
	if err != nil {
		return nil, nil, fmt.Errorf("reading the prepared certificate: %w", err)
	}
	in := SignInput{Step: row.step, Profile: row.profile, Key: &keys.Key{Certificate: leaf}}
	ref, report, err := s.returned(ctx, by, row, pending, in, make)
	if err == nil {
		s.judged(ref.Digest, report)
		err = s.finishSigning(ctx, by, d, a, in, in.Key, ref, report, func(ctx context.Context, tx *sqldb.Tx, _ *Document) error {
			return spendTicket(ctx, tx, row.id, s.clock())
		})
	}
	if err != nil {
		s.signingFailed(ctx, by, d, in, err)
		return nil, report, storageError("signing document", err)
	}
	return d, report, nil
}

// returned makes the signed file of what came back and has it judged.
func (s *Service) returned(ctx context.Context, by registry.Actor, row *ticketRow, pending *signing.Pending, in SignInput, make func(context.Context, []byte, *signing.Pending) ([]byte, error)) (ref blob.Ref, report *signing.Report, err error) {
	if _, err := s.signingKey(ctx, by, in); err != nil { // the certificate may have been revoked since
		return ref, nil, err
	}
	base, err := s.bytes(ctx, row.base)
	if err != nil {
		return ref, nil, err
	}
	signed, err := make(ctx, base, pending)
	if why, ok := errors.AsType[*signing.ReturnedError](err); ok {
		return ref, nil, unchanged(failf(KindInvalid, "Chữ ký trả về không phải chữ ký được yêu cầu: %[1]s.", "What came back is not the signature that was asked for: %[2]s.", clip(why.VI), clip(why.EN)).
			Advise("Ký lại bằng đúng thiết bị và chứng thư đã đăng ký.", "Sign again with the registered token and certificate.").Because(err))
	}
	if err != nil {
		return ref, nil, s.signError(err)
	}
	if int64(len(signed)) > s.cfg.MaxPDF {
		return ref, nil, unchanged(s.tooLarge())
	}
	return s.settleSigned(ctx, in, in.Key, base, signed)
}

// NotACertificate is what the doors say of bytes that are no certificate.
func NotACertificate(err error) *Error {
	return fail(KindInvalid, "Chứng thư không đọc được.", "The certificate cannot be read.").
		Advise("Gửi chứng thư X.509 dạng DER.", "Send an X.509 certificate in DER.").Because(err)
}
