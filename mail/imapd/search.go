package imapd

import (
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"vanthu/mail"
)

// maxSearchDepth bounds NOT and OR inside each other.
const maxSearchDepth = 50

// Search implements imapserver.Session.
func (s *session) Search(kind imapserver.NumKind, criteria *imap.SearchCriteria, options *imap.SearchOptions) (*imap.SearchData, error) {
	if s.view == nil {
		return nil, errNotSelected
	}
	q, err := s.query(criteria, 0)
	if err != nil {
		return nil, err
	}
	found, err := s.server.cfg.Store.Search(s.ctx, s.view.box.ID, q)
	if err != nil {
		return nil, s.explain("search", err)
	}
	known := found[:0]
	for _, uid := range found {
		if s.view.seq(uid) != 0 {
			known = append(known, uid)
		}
	}
	if options.ReturnSave {
		s.saved = known
	}
	return s.searchData(kind, known), nil
}

func (s *session) searchData(kind imapserver.NumKind, uids []mail.UID) *imap.SearchData {
	data := &imap.SearchData{Count: count(uids)}
	number := func(uid mail.UID) uint32 {
		if kind == imapserver.NumKindUID {
			return uint32(uid)
		}
		return s.view.seq(uid)
	}
	if n := len(uids); n > 0 {
		data.Min, data.Max = number(uids[0]), number(uids[n-1])
	}
	if kind == imapserver.NumKindUID {
		var all imap.UIDSet
		for _, uid := range uids {
			all.AddNum(imap.UID(uid))
		}
		data.All = all
		return data
	}
	var all imap.SeqSet
	for _, uid := range uids {
		all.AddNum(number(uid))
	}
	data.All = all
	return data
}

// query turns the library's criteria into the store's.
func (s *session) query(c *imap.SearchCriteria, depth int) (*mail.Query, error) {
	if depth > maxSearchDepth {
		return nil, bad("The search is nested too deeply")
	}
	q := &mail.Query{Since: c.Since, Before: c.Before, SentSince: c.SentSince, SentBefore: c.SentBefore, Body: c.Body, Text: c.Text}
	for _, set := range c.SeqNum {
		uids, err := s.messages(set)
		if err != nil {
			return nil, err
		}
		q.UIDs = append(q.UIDs, uids)
	}
	for _, set := range c.UID {
		q.UIDs = append(q.UIDs, s.uidSet(set))
	}
	if c.Larger > 0 {
		q.Larger = &c.Larger
	}
	if c.Smaller > 0 {
		q.Smaller = &c.Smaller
	}
	for _, h := range c.Header {
		q.Header = append(q.Header, mail.HeaderQuery{Name: h.Key, Value: h.Value})
	}
	if err := s.queryFlags(q, c); err != nil {
		return nil, err
	}
	for i := range c.Not {
		sub, err := s.query(&c.Not[i], depth+1)
		if err != nil {
			return nil, err
		}
		q.Not = append(q.Not, *sub)
	}
	for i := range c.Or {
		var pair [2]mail.Query
		for j := range pair {
			sub, err := s.query(&c.Or[i][j], depth+1)
			if err != nil {
				return nil, err
			}
			pair[j] = *sub
		}
		q.Or = append(q.Or, pair)
	}
	return q, nil
}

// queryFlags adds the flags; \Recent is known to the session alone.
func (s *session) queryFlags(q *mail.Query, c *imap.SearchCriteria) error {
	var err error
	if q.With, q.Keywords, err = parseFlags(c.Flag); err != nil {
		return err
	}
	if q.Without, q.NoKeyword, err = parseFlags(c.NotFlag); err != nil {
		return err
	}
	recent := s.view.recent
	if recent == nil {
		recent = mail.UIDSet{}
	}
	for _, f := range c.Flag {
		if strings.EqualFold(string(f), string(flagRecent)) {
			q.UIDs = append(q.UIDs, recent)
		}
	}
	for _, f := range c.NotFlag {
		if strings.EqualFold(string(f), string(flagRecent)) {
			q.Not = append(q.Not, mail.Query{UIDs: []mail.UIDSet{recent}})
		}
	}
	return nil
}
