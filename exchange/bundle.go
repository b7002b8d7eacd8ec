package exchange

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"vanthu/exchange/receipt"
	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/storage/ledger"
	"vanthu/storage/ledger/logproof"
	"vanthu/storage/sqldb"
)

// Bundle is a receipt bundle as a file.
type Bundle struct {
	Name        string // of the file, ASCII
	Data        []byte
	TimePending bool // no time-stamp authority was to be had
}

// bundled is what a bundle is made of.
type bundled struct {
	document   *Document
	deliveries []Delivery
	receipts   []Receipt
	entries    []ledger.EntryID
	only       []registry.AgencyID            // the recipients it speaks of; none = all
	foreign    map[registry.AgencyID][]string // fingerprints by which receipts of other hubs were taken
	last       int64                          // place of the newest entry; -1 = one has none yet
}

// ReceiptBundle makes the receipt bundle (biên bản gửi nhận) of a document that was sent: one file that proves to
// anyone, without this hub, what happened to it until now. The document itself is inside when withDocument is true. Our
// own verification has judged the bundle before it is given out. It speaks of all recipients, or of some only; a document
// that was sent to very many has no bundle about all of them.
func (s *Service) ReceiptBundle(ctx context.Context, by registry.Actor, id DocumentID, withDocument bool, only ...registry.AgencyID) (*Bundle, error) {
	b, err := s.bundled(ctx, by, id, only)
	if err != nil {
		return nil, storageError("reading what the bundle is made of", err)
	}
	in := receipt.Input{}
	if in.Checkpoint, in.CheckpointToken, err = s.checkpointOver(ctx, by, id, b); err != nil {
		return nil, storageError("reading the evidence log", err)
	}
	if in.Proofs, err = s.ledger.ProveIn(ctx, in.Checkpoint, b.entries); err != nil {
		return nil, storageError("proving evidence", err)
	}
	issuer := cmp.Or(by.Agency, b.document.Agency)
	if in.Statement, err = s.statement(ctx, issuer, b); err != nil {
		return nil, storageError("reading the register", err)
	}
	for _, r := range b.receipts {
		in.Receipts = append(in.Receipts, receipt.Signed{Body: r.Body, Signature: r.Signature})
	}
	if withDocument {
		if in.PDF, err = s.bytes(ctx, b.document.PDF); err != nil {
			return nil, storageError("reading the PDF", err)
		}
	}
	key, err := s.cfg.ReceiptKey(ctx, issuer)
	if err != nil {
		return nil, fail(KindUnavailable, "Cơ quan chưa có khóa ký biên bản.", "The agency has no key that signs bundles.").Because(fmt.Errorf("%w: %w", errReceiptKey, err))
	}
	data, err := receipt.Make(ctx, in, receipt.Options{Key: key, TSA: s.cfg.TSA, Trust: s.cfg.Trust, Revocation: s.cfg.Revocation})
	if errors.Is(err, receipt.ErrTooLarge) {
		return nil, fail(KindTooLarge, "Văn bản có quá nhiều nơi nhận cho một biên bản.", "The document has too many recipients for one bundle.").
			Advise("Lập biên bản cho từng nhóm nơi nhận: chọn nơi nhận khi lấy biên bản.", "Make a bundle for some recipients at a time: name them when asking for it.").Because(err)
	}
	if err != nil {
		return nil, fail(KindUnavailable, "Chưa lập được biên bản.", "The bundle cannot be made now.").Because(err)
	}
	result, err := receipt.Verify(ctx, data, receipt.VerifyOptions{Trust: s.cfg.Trust, At: s.clock()})
	if err != nil {
		return nil, err
	}
	if result.Verdict == signing.TotalFailed {
		failed := slices.IndexFunc(result.Checks, func(c receipt.Check) bool { return c.Verdict == signing.TotalFailed })
		wrong := result.Checks[max(failed, 0)]
		return nil, fail(KindUnavailable, "Biên bản vừa lập không qua được kiểm tra của chính hệ thống.", "The bundle just made does not pass our own verification.").
			Advise("Báo quản trị viên chạy “vanthu check”.", "Have the administrator run “vanthu check”.").Because(fmt.Errorf("step %s: %s", wrong.Step, wrong.TextEN))
	}
	return &Bundle{Name: bundleName(b.document), Data: data, TimePending: result.ValidAt.IsZero()}, nil
}

// bundleName is made of the code, in letters that every system has.
func bundleName(d *Document) string {
	code := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z':
			return r
		case r == 'Đ':
			return 'D'
		case r == '/', r == '-', r == '.':
			return '-'
		}
		return -1
	}, d.Code())
	return "bien-ban-" + code + receipt.Extension
}

func (s *Service) bundled(ctx context.Context, by registry.Actor, id DocumentID, only []registry.AgencyID) (b *bundled, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		b = &bundled{only: only}
		if b.document, err = s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		if b.document.State != StateSent {
			return fail(KindConflict, "Văn bản chưa phát hành nên chưa có biên bản gửi nhận.", "The document was not sent yet; there is nothing to prove.")
		}
		if b.deliveries, err = selectDeliveries(ctx, tx, id); err != nil {
			return err
		}
		if b.receipts, err = selectAllReceipts(ctx, tx, id); err != nil {
			return err
		}
		if b.foreign, err = selectForeignCertificates(ctx, tx, id); err != nil {
			return err
		}
		records, err := s.ledger.Entries(ctx, tx, string(id))
		if err != nil {
			return err
		}
		return b.choose(records)
	})
	return b, err
}

// choose keeps what outsiders may see and what is about the recipients that were asked for.
func (b *bundled) choose(records []ledger.Record) error {
	for _, code := range b.only {
		if !slices.ContainsFunc(b.deliveries, func(v Delivery) bool { return v.Recipient == code }) {
			return failf(KindNotFound, "Văn bản không gửi cho %s.", "The document was not sent to %s.", code)
		}
	}
	if len(b.only) > 0 {
		b.deliveries = slices.DeleteFunc(b.deliveries, func(v Delivery) bool { return !slices.Contains(b.only, v.Recipient) })
	}
	accepted := map[string]bool{}
	described := ledger.EntryID("") // the text of the document as it was signed: earlier ones are the office's own affair
	for _, r := range records {
		if r.Kind == "document.drafted" || r.Kind == "document.revised" {
			described = r.ID
		}
	}
	for _, r := range records {
		var f facts
		if err := json.Unmarshal(r.Body, &f); err != nil || !b.public(&r, f, described) {
			continue
		}
		if r.Kind == "receipt.accepted" {
			accepted[f["receipt"]] = true
		}
		b.entries = append(b.entries, r.ID)
		if b.last = r.Index; r.Index < 0 {
			break
		}
	}
	// A status that came after a later one is kept and changed nothing; there is no evidence of it.
	b.receipts = slices.DeleteFunc(b.receipts, func(r Receipt) bool { return !accepted[r.ID] })
	return nil
}

// public tells whether an entry may leave the agency in a bundle: what was done with the document as others received it.
// Reviews, comments, delegations and failures of signing stay inside.
func (b *bundled) public(r *ledger.Record, f facts, described ledger.EntryID) bool {
	mine := func(key string) bool { return len(b.only) == 0 || slices.Contains(b.only, registry.AgencyID(f[key])) }
	switch r.Kind {
	case "document.drafted", "document.revised":
		return r.ID == described && !slices.ContainsFunc(slices.Collect(maps.Keys(f)), func(key string) bool {
			return !slices.Contains(publicFacts(), key)
		})
	case "document.numbered", "document.updated", "document.signed", "document.sent":
		return true
	case "receipt.accepted":
		return mine("from") || len(b.only) > 0 && mine("addressed")
	}
	return strings.HasPrefix(r.Kind, "delivery.") && mine("recipient")
}

// publicFacts are the keys of a draft's evidence that say only what the document itself says.
func publicFacts() []string {
	return []string{"actor_name", "agency", "type", "subject", "notation", "place", "priority", "due", "signer_name", "signer_position", "competence", "details", "digest", "size"}
}

// checkpointOver gives a checkpoint that covers all entries: the newest time-stamped one if it does, else the newest.
// Entries that wait are sequenced first.
func (s *Service) checkpointOver(ctx context.Context, by registry.Actor, id DocumentID, b *bundled) (string, []byte, error) {
	if b.last < 0 {
		if _, err := s.ledger.Sequence(ctx); err != nil {
			return "", nil, err
		}
		again, err := s.bundled(ctx, by, id, b.only)
		if err != nil {
			return "", nil, err
		}
		if *b = *again; b.last < 0 {
			return "", nil, ledger.ErrPending
		}
	}
	last, err := s.ledger.Published(ctx, true, false)
	if err != nil {
		return "", nil, err
	}
	if last != nil && last.Size > b.last {
		return last.Note, last.Token, nil
	}
	text, err := s.ledger.Checkpoint(ctx)
	return text, nil, err
}

// statement says what the register and the document's row say.
func (s *Service) statement(ctx context.Context, issuer registry.AgencyID, b *bundled) (receipt.Statement, error) {
	d := b.document
	out := receipt.Statement{
		Made: s.clock().Truncate(time.Second), Issuer: string(issuer), Log: receipt.Log{Key: s.ledger.VerifierKey()},
		Document: receipt.Facts{
			ID: string(d.ID), From: string(d.Agency), Code: d.Code(), Type: d.Type, Subject: d.Subject, Issued: d.Issued.Format(time.DateOnly), Place: d.Place,
			SignerName: d.SignerName, SignerPosition: d.SignerPosition, Axis: d.Axis, Digest: string(d.PDF.Digest), Size: d.PDF.Size, Sent: d.Sent,
		},
	}
	for _, code := range b.only {
		out.Only = append(out.Only, string(code))
	}
	codes := []registry.AgencyID{issuer, d.Agency}
	channels := map[registry.AgencyID]string{}
	for _, v := range b.deliveries {
		codes = append(codes, v.Recipient, v.Addressed, v.Successor)
		channels[v.Recipient] = v.Channel
	}
	for _, r := range b.receipts {
		codes = append(codes, r.From, r.Successor)
	}
	slices.Sort(codes)
	for _, code := range slices.Compact(codes) {
		if code == "" {
			continue
		}
		p, err := s.bundleParty(ctx, code)
		if err != nil {
			return out, err
		}
		s.addForeign(&p, b)
		if err := s.addSuccessors(ctx, &p, b); err != nil {
			return out, err
		}
		p.Channel, p.Recipient = channels[code], slices.ContainsFunc(b.deliveries, func(v Delivery) bool { return v.Recipient == code })
		out.Parties = append(out.Parties, p)
	}
	return out, nil
}

// bundleParty is the extract of the register about an agency: its name, its term, the certificates that speak for it.
func (s *Service) bundleParty(ctx context.Context, code registry.AgencyID) (receipt.Party, error) {
	p := receipt.Party{Code: string(code)}
	a, err := s.reg.Agency(ctx, code)
	if err != nil {
		if kind := KindOf(err); kind == KindNotFound {
			return p, nil
		}
		return p, err
	}
	p.Name, p.From, p.To = a.Name, a.ValidFrom, a.ValidTo
	list, err := s.reg.Certificates(ctx, registry.AgencyOwner(code))
	if err != nil {
		return p, err
	}
	for _, c := range list {
		to := c.ValidTo
		if !c.Revoked.IsZero() && (to.IsZero() || c.Revoked.Before(to)) {
			to = c.Revoked
		}
		p.Certificates = append(p.Certificates, receipt.Certificate{Fingerprint: c.Fingerprint, From: c.ValidFrom, To: to})
	}
	if a.Channel != registry.ChannelLocal {
		return p, nil
	}
	key, err := s.cfg.ReceiptKey(ctx, code)
	if err != nil {
		return p, nil //nolint:nilerr // an agency that cannot sign now has no certificate to name
	}
	p.Certificates = append(p.Certificates, receipt.Certificate{Fingerprint: registry.Fingerprint(key.Certificate), From: key.Certificate.NotBefore, To: key.Certificate.NotAfter})
	return p, nil
}

// addForeign names the certificates by which receipts of another hub's agency were taken.
func (s *Service) addForeign(p *receipt.Party, b *bundled) {
	for _, fingerprint := range b.foreign[registry.AgencyID(p.Code)] {
		if !slices.ContainsFunc(p.Certificates, func(c receipt.Certificate) bool { return c.Fingerprint == fingerprint }) {
			p.Certificates = append(p.Certificates, receipt.Certificate{Fingerprint: fingerprint})
		}
	}
}

// addSuccessors says who signed receipts in the place of an agency that had ended, if the register has it so.
func (s *Service) addSuccessors(ctx context.Context, p *receipt.Party, b *bundled) error {
	for _, r := range b.receipts {
		if r.Successor == "" || string(r.From) != p.Code || slices.ContainsFunc(p.Successors, func(o receipt.Succession) bool { return o.Code == string(r.Successor) }) {
			continue
		}
		then, err := s.reg.Resolve(ctx, p.Code, r.At)
		if err != nil {
			return err
		}
		if then.Agency.ID == r.Successor {
			p.Successors = append(p.Successors, receipt.Succession{Code: string(r.Successor), From: p.To})
		}
	}
	return nil
}

// pendingFrom gives the place in the log from which on the time of entries is not yet proven by a time stamp.
func (s *Service) pendingFrom(ctx context.Context) (int64, error) {
	last, err := s.ledger.Published(ctx, true, false)
	if err != nil || last == nil {
		return 0, err
	}
	return last.Size, nil
}

// Prove gives an evidence entry of a document of the actor's agency with its proof of inclusion against the newest
// checkpoint.
func (s *Service) Prove(ctx context.Context, by registry.Actor, id DocumentID, entry ledger.EntryID) (*logproof.Proof, error) {
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		records, err := s.ledger.Entries(ctx, tx, string(id))
		if err == nil && !slices.ContainsFunc(records, func(r ledger.Record) bool { return r.ID == entry }) {
			err = fail(KindNotFound, "Văn bản không có chứng cứ này.", "The document has no such evidence.")
		}
		return err
	})
	if err != nil {
		return nil, storageError("reading evidence", err)
	}
	proof, err := s.ledger.Prove(ctx, entry)
	if errors.Is(err, ledger.ErrPending) {
		return nil, fail(KindUnavailable, "Chứng cứ chưa vào nhật ký; thử lại sau một giây.", "The evidence is not in the log yet; try again in a second.")
	}
	return proof, storageError("proving evidence", err)
}
