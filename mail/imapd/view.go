package imapd

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"vanthu/mail"
)

// view is a selected mailbox as the client knows it.
type view struct {
	box      mail.Mailbox
	readOnly bool
	uids     []mail.UID            // by sequence number - 1
	modseq   int64                 // changes up to here were told
	own      map[int64]struct{}    // changes of this session after modseq: told already
	gone     map[mail.UID]struct{} // expunged, to be told when it is allowed
	recent   mail.UIDSet
	keywords []string // told in FLAGS
	wake     <-chan struct{}
	stop     func()
}

// seq is the sequence number of a message, 0 when the client does not know it.
func (v *view) seq(uid mail.UID) uint32 {
	i, ok := slices.BinarySearch(v.uids, uid)
	if !ok {
		return 0
	}
	return uint32(i) + 1
}

// allFlags lists the flags of the mailbox for FLAGS and PERMANENTFLAGS.
func (v *view) allFlags() []imap.Flag {
	list := make([]imap.Flag, 0, len(flagNames)+len(v.keywords))
	for _, known := range flagNames {
		list = append(list, known.name)
	}
	for _, w := range v.keywords {
		list = append(list, imap.Flag(w))
	}
	return list
}

// learn notes keywords the client was not told of; true when there are any.
func (v *view) learn(keywords []string) bool {
	news := false
	for _, w := range keywords {
		if !slices.ContainsFunc(v.keywords, func(x string) bool { return strings.EqualFold(x, w) }) {
			v.keywords, news = append(v.keywords, w), true
		}
	}
	return news
}

// Select implements imapserver.Session.
func (s *session) Select(name string, options *imap.SelectOptions) (*imap.SelectData, error) {
	m, err := s.server.cfg.Store.Mailbox(s.ctx, s.account.ID, name)
	if err != nil {
		return nil, s.explain("select", err)
	}
	readOnly := options != nil && options.ReadOnly
	wake, stop := s.server.cfg.Store.Watch(m.ID) // before the snapshot, so that nothing falls between
	snap, err := s.server.cfg.Store.Snapshot(s.ctx, m.ID, !readOnly && !s.rev2())
	if err != nil {
		stop()
		return nil, s.explain("select", err)
	}
	v := &view{box: snap.Mailbox, readOnly: readOnly, uids: snap.UIDs, modseq: snap.Mailbox.ModSeq, own: make(map[int64]struct{}),
		gone: make(map[mail.UID]struct{}), keywords: snap.Keywords, wake: wake, stop: stop}
	data := &imap.SelectData{
		Flags: v.allFlags(), NumMessages: count(v.uids), UIDNext: imap.UID(snap.Mailbox.UIDNext), UIDValidity: snap.Mailbox.UIDValidity,
		FirstUnseenSeqNum: v.seq(snap.FirstUnseen),
	}
	if !readOnly {
		data.PermanentFlags = append(v.allFlags(), imap.FlagWildcard)
	}
	if s.rev2() {
		data.List = &imap.ListData{Mailbox: snap.Mailbox.Name, Delim: mail.Delimiter}
	} else {
		v.recent = mail.UIDSet{{First: snap.Mailbox.RecentFrom, Last: snap.Mailbox.UIDNext - 1}}
		data.NumRecent = s.countRecent(v)
	}
	s.view, s.saved = v, nil
	return data, nil
}

func count(uids []mail.UID) uint32 { return uint32(len(uids)) }

func (s *session) countRecent(v *view) uint32 {
	n := uint32(0)
	for _, uid := range v.uids {
		if v.recent.Contains(uid) {
			n++
		}
	}
	return n
}

// Unselect implements imapserver.Session.
func (s *session) Unselect() error {
	s.unselect()
	return nil
}

func (s *session) unselect() {
	if s.view != nil {
		s.view.stop()
		s.view, s.saved = nil, nil
	}
}

// Poll implements imapserver.Session: tells what changed since the last time.
// Expunges wait until the protocol allows them (RFC 9051 §7.5.1).
func (s *session) Poll(w *imapserver.UpdateWriter, allowExpunge bool) error {
	v := s.view
	if v == nil {
		return nil
	}
	select {
	case <-v.wake:
		if err := s.refresh(w); err != nil {
			return err
		}
	default:
	}
	if !allowExpunge || len(v.gone) == 0 {
		return nil
	}
	for i := len(v.uids) - 1; i >= 0; i-- {
		if _, ok := v.gone[v.uids[i]]; !ok {
			continue
		}
		v.uids = slices.Delete(v.uids, i, i+1)
		if err := w.WriteExpunge(uint32(i) + 1); err != nil {
			return err
		}
	}
	clear(v.gone)
	return nil
}

// refresh reads the changes and tells of new messages and flags; expunges are
// noted in v.gone.
func (s *session) refresh(w *imapserver.UpdateWriter) error {
	v := s.view
	ch, err := s.server.cfg.Store.Changes(s.ctx, v.box.ID, v.modseq)
	if errors.Is(err, mail.ErrNotFound) {
		for _, uid := range v.uids {
			v.gone[uid] = struct{}{}
		}
		return nil
	}
	if err != nil {
		return s.explain("poll", err)
	}
	last, more, keywords := v.take(ch)
	if more {
		if err := s.tellNew(w, last); err != nil {
			return err
		}
	}
	if keywords {
		if err := w.WriteMailboxFlags(v.allFlags()); err != nil {
			return err
		}
	}
	if err := v.tellFlags(w, ch.Changed, last); err != nil {
		return err
	}
	v.modseq = ch.ModSeq
	for seq := range v.own {
		if seq <= v.modseq {
			delete(v.own, seq)
		}
	}
	return nil
}

// take brings the view up to date with the changes, expunges aside: last was
// the last message that the client knew, more says that there are newer ones,
// keywords that there are flags it was not told of.
func (v *view) take(ch *mail.Changes) (last mail.UID, more, keywords bool) {
	for _, uid := range ch.Expunged {
		if v.seq(uid) != 0 {
			v.gone[uid] = struct{}{}
		}
	}
	if n := len(v.uids); n > 0 {
		last = v.uids[n-1]
	}
	for i := range ch.Changed {
		if ch.Changed[i].UID > last {
			v.uids, more = append(v.uids, ch.Changed[i].UID), true
		}
		keywords = v.learn(ch.Changed[i].Keywords) || keywords
	}
	return last, more, keywords
}

// tellFlags tells what others did to the flags of messages up to last.
func (v *view) tellFlags(w *imapserver.UpdateWriter, changed []mail.FlagState, last mail.UID) error {
	for i := range changed {
		f := &changed[i]
		if _, own := v.own[f.ModSeq]; own || f.UID > last {
			continue
		}
		if seq := v.seq(f.UID); seq != 0 {
			if err := w.WriteMessageFlags(seq, imap.UID(f.UID), formatFlags(f.Flags, f.Keywords, v.recent.Contains(f.UID))); err != nil {
				return err
			}
		}
	}
	return nil
}

// tellNew announces messages above last, and takes their \Recent when this
// session is the first to be told.
func (s *session) tellNew(w *imapserver.UpdateWriter, last mail.UID) error {
	v := s.view
	if err := w.WriteNumMessages(count(v.uids)); err != nil {
		return err
	}
	if s.rev2() {
		return nil
	}
	newest := v.uids[len(v.uids)-1]
	from, err := s.server.cfg.Store.RecentFrom(s.ctx, v.box.ID, newest, !v.readOnly)
	if err != nil {
		return s.explain("poll", err)
	}
	if from = max(from, last+1); from <= newest {
		v.recent = append(v.recent, mail.UIDRange{First: from, Last: newest})
	}
	return w.WriteNumRecent(s.countRecent(v))
}

// Idle implements imapserver.Session.
func (s *session) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	s.idle.Lock()
	defer s.idle.Unlock()
	if s.closed {
		return nil
	}
	if s.view == nil {
		select {
		case <-stop:
		case <-s.ctx.Done():
		}
		return nil
	}
	timer := time.NewTimer(idlePoll)
	defer timer.Stop()
	for {
		if err := s.Poll(w, true); err != nil {
			return err
		}
		timer.Reset(idlePoll)
		wake := s.view.wake
		select {
		case <-stop:
			return nil
		case <-s.ctx.Done():
			return nil
		case <-wake:
		case <-timer.C:
		}
		if err := s.refresh(w); err != nil {
			return err
		}
	}
}

// Expunge implements imapserver.Session; CLOSE calls it with an empty writer.
func (s *session) Expunge(w *imapserver.ExpungeWriter, uids *imap.UIDSet) error {
	v := s.view
	if v == nil {
		return errNotSelected
	}
	closing := w == nil || *w == imapserver.ExpungeWriter{}
	if v.readOnly {
		if closing {
			return nil // CLOSE of an EXAMINEd mailbox removes nothing (RFC 9051 §6.4.2)
		}
		return errReadOnly
	}
	var set mail.UIDSet
	if uids != nil {
		set = s.uidSet(*uids)
		if len(set) == 0 {
			return nil
		}
	}
	gone, _, err := s.server.cfg.Store.Expunge(s.ctx, v.box.ID, set)
	if err != nil {
		return s.explain("expunge", err)
	}
	if closing {
		return nil
	}
	return s.tellExpunged(gone, w.WriteExpunge)
}

// tellExpunged announces messages that this session removed, from the last to the first.
func (s *session) tellExpunged(uids []mail.UID, write func(seq uint32) error) error {
	v := s.view
	for _, uid := range slices.Backward(uids) {
		seq := v.seq(uid)
		if seq == 0 {
			continue
		}
		v.uids = slices.Delete(v.uids, int(seq)-1, int(seq))
		delete(v.gone, uid)
		if err := write(seq); err != nil {
			return err
		}
	}
	return nil
}

// uidSet turns a UID set of the client into one of ours. "*" is the last
// message; $ is what the last SEARCH saved.
func (s *session) uidSet(set imap.UIDSet) mail.UIDSet {
	if imap.IsSearchRes(set) {
		return mail.UIDs(s.saved...)
	}
	last := mail.UID(0)
	if n := len(s.view.uids); n > 0 {
		last = s.view.uids[n-1]
	}
	var out mail.UIDSet
	for _, r := range set {
		first, stop := mail.UID(r.Start), mail.UID(r.Stop)
		if first == 0 {
			first = last
		}
		if stop == 0 {
			stop = last
		}
		if first > stop { // n:* with n above the last means the last (RFC 9051 §9, seq-range)
			first, stop = stop, first
		}
		if first > 0 {
			out = append(out, mail.UIDRange{First: first, Last: stop})
		}
	}
	return out
}

// messages resolves a set of sequence numbers or UIDs to UIDs that the client
// knows. A sequence number above the last is the client's error.
func (s *session) messages(set imap.NumSet) (mail.UIDSet, error) {
	v := s.view
	if v == nil {
		return nil, errNotSelected
	}
	switch set := set.(type) {
	case imap.UIDSet:
		return s.uidSet(set), nil
	case imap.SeqSet:
		n := count(v.uids)
		var uids []mail.UID
		for _, r := range set {
			if n == 0 && (r.Start == 0 || r.Stop == 0) {
				continue // 1:* of an empty mailbox is nothing
			}
			first, stop := r.Start, r.Stop
			if first == 0 {
				first = n
			}
			if stop == 0 {
				stop = n
			}
			if first > stop {
				first, stop = stop, first
			}
			if stop > n {
				return nil, errNoMessage
			}
			for i := max(first, 1); i <= stop; i++ {
				uids = append(uids, v.uids[i-1])
			}
		}
		return mail.UIDs(uids...), nil
	default:
		return nil, errNoMessage
	}
}

// Store implements imapserver.Session.
func (s *session) Store(w *imapserver.FetchWriter, numSet imap.NumSet, flags *imap.StoreFlags, _ *imap.StoreOptions) error {
	set, err := s.messages(numSet)
	if err != nil {
		return err
	}
	v := s.view
	if v.readOnly {
		return errReadOnly
	}
	bits, keywords, err := parseFlags(flags.Flags)
	if err != nil {
		return err
	}
	op := map[imap.StoreFlagsOp]mail.FlagOp{imap.StoreFlagsSet: mail.SetFlags, imap.StoreFlagsAdd: mail.AddFlags, imap.StoreFlagsDel: mail.RemoveFlags}[flags.Op]
	states, modseq, err := s.server.cfg.Store.StoreFlags(s.ctx, v.box.ID, set, op, bits, keywords)
	if err != nil {
		return s.explain("store", err)
	}
	news := false
	for i := range states {
		news = v.learn(states[i].Keywords) || news
	}
	if news {
		s.announce()
	}
	if modseq != 0 {
		v.own[modseq] = struct{}{}
	}
	if flags.Silent {
		return nil
	}
	for i := range states {
		seq := v.seq(states[i].UID)
		if seq == 0 {
			continue
		}
		m := w.CreateMessage(seq)
		m.WriteUID(imap.UID(states[i].UID))
		m.WriteFlags(formatFlags(states[i].Flags, states[i].Keywords, v.recent.Contains(states[i].UID)))
		if err := m.Close(); err != nil {
			return err
		}
	}
	return nil
}

// announce tells the mailbox's flags before a keyword is used for the first
// time. The library has no writer for it here; between two of its answers, in
// its own goroutine, ours may write.
func (s *session) announce() {
	var b strings.Builder
	for i, f := range s.view.allFlags() {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(f))
	}
	s.conn.say("* FLAGS (" + b.String() + ")\r\n* OK [PERMANENTFLAGS (" + b.String() + ` \*)] Flags permitted` + "\r\n")
}

// Copy implements imapserver.Session.
func (s *session) Copy(numSet imap.NumSet, dest string) (*imap.CopyData, error) {
	res, err := s.copyTo(numSet, dest, false)
	if err != nil || len(res.From) == 0 {
		return nil, err
	}
	return copyData(res), nil
}

// Move implements imapserver.SessionMove (RFC 6851).
func (s *session) Move(w *imapserver.MoveWriter, numSet imap.NumSet, dest string) error {
	if s.view != nil && s.view.readOnly {
		return errReadOnly
	}
	res, err := s.copyTo(numSet, dest, true)
	if err != nil || len(res.From) == 0 {
		return err
	}
	if err := w.WriteCopyData(copyData(res)); err != nil {
		return err
	}
	return s.tellExpunged(res.From, w.WriteExpunge)
}

func (s *session) copyTo(numSet imap.NumSet, dest string, move bool) (*mail.CopyResult, error) {
	set, err := s.messages(numSet)
	if err != nil {
		return nil, err
	}
	to, err := s.server.cfg.Store.Mailbox(s.ctx, s.account.ID, dest)
	if errors.Is(err, mail.ErrNotFound) {
		return nil, errTryCreate
	}
	if err != nil {
		return nil, s.explain("copy", err)
	}
	run := s.server.cfg.Store.Copy
	if move {
		run = s.server.cfg.Store.Move
	}
	res, err := run(s.ctx, s.view.box.ID, set, to.ID)
	if err != nil {
		return nil, s.explain("copy", err)
	}
	return res, nil
}

func copyData(res *mail.CopyResult) *imap.CopyData {
	data := &imap.CopyData{UIDValidity: res.UIDValidity}
	for i := range res.From {
		data.SourceUIDs.AddNum(imap.UID(res.From[i]))
		data.DestUIDs.AddNum(imap.UID(res.To[i]))
	}
	return data
}
