package imapd

import (
	"bytes"
	"errors"
	"io"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"vanthu/mail"
	"vanthu/storage/blob"
)

// fetchBatch is the number of messages whose parsed data is read at a time.
const fetchBatch = 500

// Fetch implements imapserver.Session.
func (s *session) Fetch(w *imapserver.FetchWriter, numSet imap.NumSet, options *imap.FetchOptions) error {
	set, err := s.messages(numSet)
	if err != nil || len(set) == 0 {
		return err
	}
	f := fetcher{session: s, w: w, options: options}
	if err := f.markSeen(set); err != nil {
		return s.explain("fetch", err)
	}
	err = s.server.cfg.Store.Messages(s.ctx, s.view.box.ID, set, false, func(m *mail.Message) error {
		f.batch = append(f.batch, *m)
		if len(f.batch) < fetchBatch {
			return nil
		}
		return f.flush()
	})
	if err == nil {
		err = f.flush()
	}
	if err == nil {
		err = f.damaged
	}
	return s.explain("fetch", err)
}

// fetcher answers one FETCH.
type fetcher struct {
	session *session
	w       *imapserver.FetchWriter
	options *imap.FetchOptions
	batch   []mail.Message
	seen    map[mail.UID]bool // became \Seen by this FETCH
	damaged error             // the first message that could not be read; the others are sent
}

// markSeen sets \Seen where a part is fetched without PEEK (RFC 9051 §6.4.5).
func (f *fetcher) markSeen(set mail.UIDSet) error {
	reads := false
	for _, b := range f.options.BodySection {
		// RFC822.HEADER arrives with Peek set, as RFC 3501 wants.
		reads = reads || !b.Peek
	}
	for _, b := range f.options.BinarySection {
		reads = reads || !b.Peek
	}
	v := f.session.view
	if !reads || v.readOnly {
		return nil
	}
	states, modseq, err := f.session.server.cfg.Store.StoreFlags(f.session.ctx, v.box.ID, set, mail.AddFlags, mail.FlagSeen, nil)
	if err != nil || modseq == 0 {
		return err
	}
	v.own[modseq] = struct{}{}
	f.seen = make(map[mail.UID]bool)
	for i := range states {
		if states[i].ModSeq == modseq {
			f.seen[states[i].UID] = true
		}
	}
	return nil
}

// flush writes the messages gathered so far. What was parsed is read for all of
// them at once; nothing is parsed here.
func (f *fetcher) flush() error {
	if len(f.batch) == 0 {
		return nil
	}
	if f.options.Envelope || f.options.BodyStructure != nil {
		digests := make([]blob.Digest, len(f.batch))
		for i := range f.batch {
			digests[i] = f.batch[i].Digest
		}
		if err := f.session.server.cfg.Store.Contents(f.session.ctx, digests); err != nil {
			return err
		}
	}
	for i := range f.batch {
		if err := f.message(&f.batch[i]); err != nil {
			return err
		}
	}
	f.batch = f.batch[:0]
	return nil
}

// message writes one FETCH response. Everything that can fail is read before
// the first byte is written.
func (f *fetcher) message(m *mail.Message) error {
	v := f.session.view
	seq := v.seq(m.UID)
	if seq == 0 {
		return nil // came in meanwhile; the client does not know it yet
	}
	parts, err := f.open(m)
	if err != nil {
		if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrCorrupt) || errors.Is(err, mail.ErrEncoding) {
			f.damaged = errors.Join(f.damaged, err)
			return nil
		}
		return err
	}
	defer parts.close()
	o := f.options
	resp := f.w.CreateMessage(seq)
	if o.UID {
		resp.WriteUID(imap.UID(m.UID))
	}
	if o.Flags || f.seen[m.UID] {
		resp.WriteFlags(formatFlags(m.Flags, m.Keywords, v.recent.Contains(m.UID)))
	}
	if o.InternalDate {
		resp.WriteInternalDate(m.Received)
	}
	if o.RFC822Size {
		resp.WriteRFC822Size(m.Size)
	}
	if o.Envelope {
		resp.WriteEnvelope(envelope(&parts.content.Envelope))
	}
	if o.BodyStructure != nil {
		resp.WriteBodyStructure(bodyStructure(parts.content.Structure))
	}
	err = parts.write(resp)
	return errors.Join(err, resp.Close())
}

// opened are the parts of a message that are about to be written.
type opened struct {
	content  *mail.Content
	sections []section
	binary   []binary
	sizes    []binary
}

type section struct {
	item *imap.FetchItemBodySection
	r    io.ReadCloser
	size int64
}

type binary struct {
	item *imap.FetchItemBinarySection
	size *imap.FetchItemBinarySectionSize
	data []byte
}

func (o *opened) close() {
	for i := range o.sections {
		_ = o.sections[i].r.Close()
	}
}

func (f *fetcher) open(m *mail.Message) (*opened, error) {
	s, o := f.session, &opened{}
	store := s.server.cfg.Store
	var err error
	if f.options.Envelope || f.options.BodyStructure != nil {
		if o.content, err = store.Content(s.ctx, m.Digest); err != nil {
			return nil, err
		}
	}
	for _, item := range f.options.BodySection {
		r, size, err := store.OpenSection(s.ctx, m, sectionOf(item))
		if errors.Is(err, mail.ErrNoSection) {
			r, size, err = io.NopCloser(bytes.NewReader(nil)), 0, nil
		}
		if err != nil {
			o.close()
			return nil, err
		}
		if p := item.Partial; p != nil {
			r, size = partial(r, size, p)
		}
		o.sections = append(o.sections, section{item, r, size})
	}
	for _, item := range f.options.BinarySection {
		data, err := f.openBinary(m, item.Part)
		if err != nil {
			o.close()
			return nil, err
		}
		if p := item.Partial; p != nil {
			data = data[min(p.Offset, int64(len(data))):]
			data = data[:min(p.Size, int64(len(data)))]
		}
		o.binary = append(o.binary, binary{item: item, data: data})
	}
	for _, item := range f.options.BinarySectionSize {
		data, err := f.openBinary(m, item.Part)
		if err != nil {
			o.close()
			return nil, err
		}
		o.sizes = append(o.sizes, binary{size: item, data: data})
	}
	return o, nil
}

func (f *fetcher) openBinary(m *mail.Message, part []int) ([]byte, error) {
	data, err := f.session.server.cfg.Store.OpenBinary(f.session.ctx, m, part)
	if errors.Is(err, mail.ErrNoSection) {
		return nil, nil
	}
	return data, err
}

func (o *opened) write(resp *imapserver.FetchResponseWriter) error {
	for i := range o.sections {
		sec := &o.sections[i]
		w := resp.WriteBodySection(sec.item, sec.size)
		_, err := io.CopyN(w, sec.r, sec.size)
		if err = errors.Join(err, w.Close()); err != nil {
			return err
		}
	}
	for _, b := range o.binary {
		w := resp.WriteBinarySection(b.item, int64(len(b.data)))
		_, err := w.Write(b.data)
		if err = errors.Join(err, w.Close()); err != nil {
			return err
		}
	}
	for _, b := range o.sizes {
		resp.WriteBinarySectionSize(b.size, uint32(len(b.data)))
	}
	return nil
}

// partial narrows a section to the bytes asked for. Sections stand in memory,
// so skipping costs nothing.
func partial(r io.ReadCloser, size int64, p *imap.SectionPartial) (io.ReadCloser, int64) {
	skip := min(max(p.Offset, 0), size)
	_, _ = io.CopyN(io.Discard, r, skip)
	return r, min(max(p.Size, 0), size-skip)
}

func sectionOf(item *imap.FetchItemBodySection) mail.Section {
	sec := mail.Section{Path: item.Part}
	switch item.Specifier {
	case imap.PartSpecifierHeader:
		sec.Kind, sec.Fields = mail.SectionHeader, item.HeaderFields
		if len(item.HeaderFieldsNot) > 0 {
			sec.Fields, sec.Not = item.HeaderFieldsNot, true
		}
	case imap.PartSpecifierText:
		sec.Kind = mail.SectionText
	case imap.PartSpecifierMIME:
		sec.Kind = mail.SectionMIME
	case imap.PartSpecifierNone:
		sec.Kind = mail.SectionAll
	}
	return sec
}

// envelope gives the stored envelope in the library's form.
func envelope(e *mail.MessageEnvelope) *imap.Envelope {
	return &imap.Envelope{
		Date: e.Date, Subject: e.Subject, From: addresses(e.From), Sender: addresses(e.Sender), ReplyTo: addresses(e.ReplyTo),
		To: addresses(e.To), Cc: addresses(e.Cc), Bcc: addresses(e.Bcc), InReplyTo: e.InReplyTo, MessageID: e.MessageID,
	}
}

func addresses(list []mail.EnvelopeAddress) []imap.Address {
	if len(list) == 0 {
		return nil
	}
	out := make([]imap.Address, len(list))
	for i, a := range list {
		out[i] = imap.Address{Name: a.Name, Mailbox: a.Mailbox, Host: a.Host}
	}
	return out
}

// bodyStructure gives the stored structure in the library's form.
func bodyStructure(p *mail.Part) imap.BodyStructure {
	var disposition *imap.BodyStructureDisposition
	if p.Disposition != "" {
		disposition = &imap.BodyStructureDisposition{Value: p.Disposition, Params: p.DispParams}
	}
	if p.Multipart() {
		bs := &imap.BodyStructureMultiPart{Subtype: p.Subtype, Extended: &imap.BodyStructureMultiPartExt{
			Params: p.Params, Disposition: disposition, Language: p.Language, Location: p.Location}}
		for _, c := range p.Children {
			bs.Children = append(bs.Children, bodyStructure(c))
		}
		return bs
	}
	bs := &imap.BodyStructureSinglePart{
		Type: p.Type, Subtype: p.Subtype, Params: p.Params, ID: p.ID, Description: p.Description, Encoding: p.Encoding,
		Size:     uint32(min(p.Size(), 1<<32-1)),
		Extended: &imap.BodyStructureSinglePartExt{Disposition: disposition, Language: p.Language, Location: p.Location},
	}
	switch {
	case p.Message():
		inner := p.Children[0]
		env := &imap.Envelope{}
		if inner.Envelope != nil {
			env = envelope(inner.Envelope)
		}
		bs.MessageRFC822 = &imap.BodyStructureMessageRFC822{Envelope: env, BodyStructure: bodyStructure(inner), NumLines: p.Lines}
	case p.Type == "text":
		bs.Text = &imap.BodyStructureText{NumLines: p.Lines}
	}
	return bs
}
