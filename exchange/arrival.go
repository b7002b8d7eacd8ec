package exchange

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// The channels by which a document arrives.
const (
	ArrivedLocal = "local" // from an agency of this hub
	ArrivedPeer  = "peer"  // from another hub
	ArrivedAxis  = "axis"  // by the national axis
	ArrivedMail  = "mail"  // as signed mail to the official account
	ArrivedPaper = "paper" // registered by the clerk from a scan
)

const maxRef = 255

// Arrival is one coming of a document. A document that comes by several channels
// is one entry of the register with several arrivals.
type Arrival struct {
	Channel string // ArrivedLocal, ArrivedPeer, ArrivedAxis or ArrivedMail
	Ref     string // the channel's own name for it (docId, Message-ID), at most 255 characters
	// Envelope.Document may be empty where the channel carries none of our ids: then it
	// is that of the sender's document on this hub, else derived from sender and axis id.
	Envelope Envelope
	PDF      io.Reader
}

// ArrivalRecord is an arrival as it is kept.
type ArrivalRecord struct {
	ID       string            `json:"id"`
	Incoming IncomingID        `json:"incoming"`
	From     registry.AgencyID `json:"from"`
	Document DocumentID        `json:"document"`
	Channel  string            `json:"channel"`
	Ref      string            `json:"ref,omitempty"`
	At       time.Time         `json:"at"`
	PDF      blob.Ref          `json:"pdf"`
	Differs  bool              `json:"differs"` // other bytes under the same id: kept beside the entry, not taken for it
	Settled  time.Time         `json:"settled,omitzero"`
	Note     string            `json:"note,omitempty"`
	Envelope Envelope          `json:"envelope"`
	// Differences are what the envelope says otherwise than the entry's first one.
	Differences []Difference `json:"differences,omitempty"`

	agency registry.AgencyID
}

// Difference is one field in which two envelopes are not alike.
type Difference struct {
	Field string `json:"field"`
	Entry string `json:"entry"` // what the entry says
	Here  string `json:"here"`
}

// DerivedID is the id of a document that came without one of ours: the same for
// the same sender and identifier, whatever the channel.
func DerivedID(from registry.AgencyID, identifier string) DocumentID {
	return DocumentID(uuid.NewSHA1(uuid.NameSpaceOID, []byte("vanthu document\n"+string(from)+"\n"+identifier)).String())
}

// ReceiveBy takes a document by any channel and gives the agency's signed first
// receipt, durable on return (see Receive). The same document (sender, id or
// number with symbol and date, and content) is one entry: a further arrival adds
// a line to it and gives the same receipt. Other content under a known id is a
// conflict; it is kept for the clerk, who sees the difference. What may be a
// duplicate (the same content under another number, or the same number with
// other content) is an entry of its own that the clerk merges or keeps apart.
func (s *Service) ReceiveBy(ctx context.Context, from registry.AgencyID, a Arrival) (*Receipt, error) {
	switch a.Channel {
	case ArrivedLocal, ArrivedPeer, ArrivedAxis, ArrivedMail:
	default:
		return nil, failf(KindInvalid, "Không có kênh nhận %q.", "There is no channel %q.", a.Channel)
	}
	var err error
	if a.Ref, err = registry.CleanLine("Mã của kênh", "The channel's id", a.Ref, maxRef); err != nil {
		return nil, err
	}
	data, err := s.readPDF(a.PDF)
	if err != nil {
		return nil, err
	}
	if got := blob.Sum(data); got != a.Envelope.Digest {
		return nil, mismatch().Advise("Gửi lại văn bản.", "Send the document again.")
	}
	if err := s.identify(ctx, from, &a.Envelope); err != nil {
		return nil, err
	}
	if err := a.Envelope.clean(); err != nil {
		return nil, err
	}
	ref, err := s.put(ctx, data)
	if err != nil {
		return nil, err
	}
	return s.receive(ctx, from, a.Channel, a.Ref, a.Envelope, ref)
}

// ReceiveStoredBy is ReceiveBy for a PDF that is in the blob store already; the
// envelope has an id.
func (s *Service) ReceiveStoredBy(ctx context.Context, from registry.AgencyID, channel, ref string, env Envelope, pdf blob.Ref) (*Receipt, error) {
	ref, err := registry.CleanLine("Mã của kênh", "The channel's id", ref, maxRef)
	if err != nil {
		return nil, err
	}
	return s.receive(ctx, from, channel, ref, env, pdf)
}

func mismatch() *Error {
	return fail(KindInvalid, "Nội dung tệp không khớp mã băm trong bì thư.", "The file does not match the digest in the envelope.")
}

// identify gives an envelope without a document id the one it has here.
func (s *Service) identify(ctx context.Context, from registry.AgencyID, env *Envelope) error {
	if env.Document != "" {
		return nil
	}
	if env.Axis == "" {
		env.Axis = axisID(from, env.Issued, FormatCode(env.Number, env.Notation))
	}
	env.Document = DerivedID(from, env.Axis)
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		ours, err := selectByAxis(ctx, tx, from, env.Axis)
		if ours != "" {
			env.Document = ours
		}
		return err
	})
	return storageError("looking for the document", err)
}

// receive is what all channels have in common.
func (s *Service) receive(ctx context.Context, from registry.AgencyID, channel, ref string, env Envelope, pdf blob.Ref) (*Receipt, error) {
	if pdf.Digest != env.Digest {
		return nil, mismatch()
	}
	var known *entry
	told := false
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if known, err = findEntry(ctx, tx, env); err != nil || known == nil {
			return err
		}
		told, err = hasReceipts(ctx, tx, known.id)
		return err
	})
	if err != nil {
		return nil, storageError("receiving document", err)
	}
	a := &arrival{env: env}
	if known == nil || !told {
		if a, err = s.prepare(ctx, from, env, pdf, time.Time{}); err != nil {
			return nil, storageError("receiving document", err)
		}
	} else if env.From != from {
		return nil, fail(KindForbidden, "Cơ quan gửi trong bì thư không phải là bên đang gửi.", "The sender in the envelope is not the one who sends.")
	}
	a.channel, a.ref, a.pdf = channel, ref, pdf
	now := s.clock()
	var r *Receipt
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r, err = s.insertArrival(ctx, tx, a, now)
		return err
	})
	if errors.Is(err, errOtherContent) {
		err = errors.Join(err, s.keepDifference(ctx, a, now))
	}
	if err != nil {
		return nil, storageError("receiving document", err)
	}
	return r, nil
}

// errOtherContent marks the conflict of two contents under one id.
var errOtherContent = errors.New("other content under a known id")

// entry is a line of the register as reception looks for it.
type entry struct {
	id     IncomingID
	digest blob.Digest
	into   IncomingID // the entry it was merged into
}

// again adds an arrival to an entry that is there and gives its first receipt.
func (s *Service) again(ctx context.Context, tx *sqldb.Tx, e *entry, a *arrival, now time.Time) (*Receipt, error) {
	if e.digest != a.env.Digest {
		return nil, failf(KindConflict, "Văn bản %s đã đến trước đây với nội dung khác.", "The document %s has arrived before with other content.", string(a.env.Document)).
			Advise("Gửi bản mới như một văn bản khác.", "Send the new content as another document.").
			Keeping("Bản đã đến trước vẫn giữ nguyên.", "What arrived before is kept as it was.").Because(errOtherContent)
	}
	if err := s.addArrival(ctx, tx, cmp.Or(e.into, e.id), a, now, false); err != nil {
		return nil, err
	}
	list, err := selectReceipts(ctx, tx, `incoming`, string(e.id), false)
	if err == nil && len(list) == 0 && a.receipt != nil {
		return s.heard(ctx, tx, e.id, a.receipt, now) // it was forwarded here before its sender's own copy came
	}
	if err == nil && len(list) == 0 {
		err = errors.New("cannot happen: incoming row without its first receipt")
	}
	if err != nil {
		return nil, err
	}
	return &list[0], nil
}

// addArrival writes an arrival that is not there yet, with evidence unless it is
// the entry's first, of which incoming.received speaks.
func (s *Service) addArrival(ctx context.Context, tx *sqldb.Tx, id IncomingID, a *arrival, now time.Time, first bool) error {
	added, err := insertArrivalRow(ctx, tx, id, a, now, false)
	if err != nil || !added || first {
		return err
	}
	f := facts{"agency": string(a.env.To), "from": string(a.env.From), "channel": a.channel, "ref": a.ref, "document": string(a.env.Document), "digest": string(a.pdf.Digest)}
	return s.evidence(ctx, tx, "arrival.again", string(id), now, registry.System("reception"), f)
}

// keepDifference keeps other bytes under a known id, for the clerk to look at.
func (s *Service) keepDifference(ctx context.Context, a *arrival, now time.Time) error {
	return s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		e, err := findEntry(ctx, tx, a.env)
		if err != nil || e == nil {
			return err
		}
		added, err := insertArrivalRow(ctx, tx, e.id, a, now, true)
		if err != nil || !added {
			return err
		}
		f := facts{"agency": string(a.env.To), "from": string(a.env.From), "channel": a.channel, "ref": a.ref, "document": string(a.env.Document),
			"digest": string(a.pdf.Digest), "known": string(e.digest)}
		return s.evidence(ctx, tx, "arrival.differs", string(e.id), now, registry.System("reception"), f)
	})
}

// markAlike notes the entries that may be the same document as a new one.
func (s *Service) markAlike(ctx context.Context, tx *sqldb.Tx, in *Incoming, now time.Time) error {
	if in.Status == StatusRefused {
		return nil
	}
	list, err := selectAlike(ctx, tx, in)
	if err != nil || len(list) == 0 {
		return err
	}
	var others []string
	for _, l := range list {
		l.Incoming, l.Agency, l.At = in.ID, in.Agency, now
		if err := insertLikeness(ctx, tx, l); err != nil {
			return err
		}
		others = append(others, string(l.Other))
	}
	f := facts{"agency": string(in.Agency), "from": string(in.From), "code": in.Code, "others": strings.Join(others, ","), "why": list[0].Why}
	return s.evidence(ctx, tx, "arrival.alike", string(in.ID), now, registry.System("reception"), f)
}

// Why two entries may be one document.
const (
	AlikeContent = "content" // the same bytes
	AlikeNumber  = "number"  // the same number, symbol, date and author (NĐ 30/2020 Phụ lục VI I.III.1.h)
)

// Likeness is a pair of entries that may be one document; Incoming came later.
type Likeness struct {
	Incoming IncomingID        `json:"incoming"`
	Other    IncomingID        `json:"other"`
	Agency   registry.AgencyID `json:"-"`
	Why      string            `json:"why"`
	At       time.Time         `json:"at"`
	Decision string            `json:"decision,omitempty"` // merged, apart; "" = the clerk has not decided
	Reason   string            `json:"reason,omitempty"`
}

// Alike gives the pairs of the agency on which a clerk has to decide, oldest first.
func (s *Service) Alike(ctx context.Context, by registry.Actor) (list []Likeness, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err = selectLikeness(ctx, tx, by.Agency)
		return err
	})
	return list, storageError("reading probable duplicates", err)
}

// Arrivals gives how a document of the agency's register came, oldest first, with
// what each envelope says otherwise than the first.
func (s *Service) Arrivals(ctx context.Context, by registry.Actor, id IncomingID) (list []ArrivalRecord, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownIncoming(ctx, tx, by, id); err != nil {
			return err
		}
		list, err = selectArrivals(ctx, tx, id)
		return err
	})
	for i := range list {
		if i > 0 {
			list[i].Differences = differences(list[0].Envelope, list[i].Envelope)
		}
	}
	return list, storageError("reading arrivals", err)
}

// differences compares what two envelopes say of a document.
func differences(a, b Envelope) []Difference {
	var out []Difference
	for _, f := range []struct{ name, a, b string }{
		{"code", FormatCode(a.Number, a.Notation), FormatCode(b.Number, b.Notation)},
		{"issued", pinnedTime(a.Issued), pinnedTime(b.Issued)},
		{"type", a.Type, b.Type},
		{"subject", a.Subject, b.Subject},
		{"signer_name", a.SignerName, b.SignerName},
		{"priority", fmt.Sprint(a.Priority), fmt.Sprint(b.Priority)},
		{"due", pinnedTime(a.Due), pinnedTime(b.Due)},
		{"document", string(a.Document), string(b.Document)},
		{"digest", string(a.Digest), string(b.Digest)},
	} {
		if f.a != f.b {
			out = append(out, Difference{f.name, f.a, f.b})
		}
	}
	return out
}

// ArrivalPDF opens the bytes of one arrival, other than the entry's when it differs.
func (s *Service) ArrivalPDF(ctx context.Context, by registry.Actor, id IncomingID, arrival string) (io.ReadCloser, int64, error) {
	list, err := s.Arrivals(ctx, by, id)
	if err != nil {
		return nil, 0, err
	}
	for _, a := range list {
		if a.ID == arrival {
			return s.open(ctx, a.PDF)
		}
	}
	return nil, 0, fail(KindNotFound, "Không có lần đến này.", "There is no such arrival.")
}

// MergeArrival makes other, which waits for registration, one with keep (clerk): its arrivals are keep's from now on, it leaves the lists, and
// its sender is told the status of keep. Keep has to be in the register or
// waiting for it.
func (s *Service) MergeArrival(ctx context.Context, by registry.Actor, keep, other IncomingID, reason string) (*Incoming, error) {
	reason, err := s.decided(by, reason)
	if err != nil {
		return nil, err
	}
	if keep == other {
		return nil, fail(KindInvalid, "Không thể gộp văn bản với chính nó.", "A document cannot be merged with itself.")
	}
	now := s.clock()
	var in *Incoming
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if in, err = s.ownIncoming(ctx, tx, by, keep); err != nil {
			return err
		}
		child, err := s.ownIncoming(ctx, tx, by, other)
		if err != nil {
			return err
		}
		if in.Merged != "" || child.Merged != "" || child.Status != StatusArrived || in.Status == StatusRefused || in.Status == StatusRecallAgreed {
			return fail(KindConflict, "Chỉ gộp được một văn bản đang chờ vào sổ vào một văn bản đang chờ hoặc đã vào sổ.",
				"Only a document that waits for registration can be merged, into one that waits or is registered.")
		}
		child.Merged = in.ID
		was := child.version
		if err := updateIncoming(ctx, tx, child, was); err != nil {
			return err
		}
		if err := moveArrivals(ctx, tx, child.ID, in.ID); err != nil {
			return err
		}
		if err := s.decide(ctx, tx, by, in.ID, child.ID, "merged", reason, now); err != nil {
			return err
		}
		return s.follow(ctx, tx, by, in, child, now)
	})
	if err != nil {
		return nil, storageError("merging arrivals", err)
	}
	return in, nil
}

// KeepApart says that two entries are two documents (clerk), with a reason.
func (s *Service) KeepApart(ctx context.Context, by registry.Actor, a, b IncomingID, reason string) error {
	reason, err := s.decided(by, reason)
	if err != nil {
		return err
	}
	now := s.clock()
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, id := range []IncomingID{a, b} {
			if _, err := s.ownIncoming(ctx, tx, by, id); err != nil {
				return err
			}
		}
		return s.decide(ctx, tx, by, a, b, "apart", reason, now)
	})
	return storageError("keeping arrivals apart", err)
}

func (s *Service) decided(by registry.Actor, reason string) (string, error) {
	if err := allowed(by, ActRegister); err != nil {
		return "", err
	}
	reason, err := registry.CleanLine("Lý do", "The reason", reason, maxNote)
	if err == nil && reason == "" {
		err = fail(KindInvalid, "Phải nêu lý do.", "A reason is needed.")
	}
	return reason, err
}

// decide writes a clerk's word on two entries.
func (s *Service) decide(ctx context.Context, tx *sqldb.Tx, by registry.Actor, a, b IncomingID, decision, reason string, now time.Time) error {
	if err := decideLikeness(ctx, tx, a, b, decision, reason, by.Tag(), now); err != nil {
		return err
	}
	f := s.facts(by)
	f["other"], f["note"] = string(b), reason
	return s.evidence(ctx, tx, "arrival."+decision, string(a), now, by, f)
}

// follow gives a merged document the status of the entry it is one with.
func (s *Service) follow(ctx context.Context, tx *sqldb.Tx, by registry.Actor, in, child *Incoming, now time.Time) error {
	switch in.Status {
	case StatusRegistered, StatusAssigned, StatusProcessing, StatusFinished:
	default:
		return nil // nothing to tell yet
	}
	was := child.version
	child.Status, child.Note, child.Updated = in.Status, in.Note, now
	child.version++
	if err := updateIncoming(ctx, tx, child, was); err != nil {
		return err
	}
	f := s.facts(by)
	f["code"], f["from"], f["status"], f["into"] = child.Code, string(child.From), string(child.Status), string(in.ID)
	if child.Note != "" {
		f["note"] = child.Note
	}
	if err := s.evidence(ctx, tx, "incoming.follow", string(child.ID), now, by, f); err != nil {
		return err
	}
	told := *child
	told.ArrivalNumber, told.ArrivalYear = in.ArrivalNumber, in.ArrivalYear
	return s.tell(ctx, tx, &told, now)
}

// followAll is follow for all that are one with in.
func (s *Service) followAll(ctx context.Context, tx *sqldb.Tx, by registry.Actor, in *Incoming, now time.Time) error {
	list, err := selectMerged(ctx, tx, in.ID)
	if err != nil {
		return err
	}
	for i := range list {
		if err := s.follow(ctx, tx, by, in, &list[i], now); err != nil {
			return err
		}
	}
	return nil
}
