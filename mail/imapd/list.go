package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"vanthu/mail"
)

// entry is a name in the hierarchy: a mailbox, a subscription without one, or a
// level above others that is no mailbox.
type entry struct {
	name       string
	box        *mail.Mailbox // nil when there is none
	subscribed bool
	children   bool
}

// tree is all names of an account.
type tree struct {
	entries []*entry // by name, INBOX first
	byName  map[string]*entry
}

func (t *tree) add(name string) *entry {
	if e := t.byName[name]; e != nil {
		return e
	}
	e := &entry{name: name}
	t.entries = append(t.entries, e)
	t.byName[name] = e
	return e
}

// levels calls f for each level above a name, from the top.
func levels(name string, f func(above string)) {
	for i, r := range name {
		if r == mail.Delimiter {
			f(name[:i])
		}
	}
}

func (s *session) tree() (*tree, error) {
	boxes, err := s.server.cfg.Store.Mailboxes(s.ctx, s.account.ID)
	if err != nil {
		return nil, err
	}
	dangling, err := s.server.cfg.Store.Subscriptions(s.ctx, s.account.ID)
	if err != nil {
		return nil, err
	}
	t := &tree{byName: make(map[string]*entry, len(boxes))}
	for i := range boxes {
		e := t.add(boxes[i].Name)
		e.box, e.subscribed = &boxes[i], boxes[i].Subscribed
		levels(e.name, func(above string) { t.add(above).children = true })
	}
	for _, name := range dangling {
		t.add(name).subscribed = true
		levels(name, func(above string) { t.add(above) })
	}
	slices.SortFunc(t.entries, func(a, b *entry) int {
		if (a.name == mail.Inbox) != (b.name == mail.Inbox) {
			if a.name == mail.Inbox {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	return t, nil
}

// List implements imapserver.Session: LIST, LIST-EXTENDED (RFC 5258) and LSUB.
func (s *session) List(w *imapserver.ListWriter, ref string, patterns []string, options *imap.ListOptions) error {
	if len(patterns) == 0 { // LIST "" "" asks for the delimiter
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: mail.Delimiter})
	}
	for i := range patterns {
		patterns[i] = ref + patterns[i]
	}
	t, err := s.tree()
	if err != nil {
		return s.explain("list", err)
	}
	l := lister{tree: t, patterns: patterns, options: options, lsub: s.conn.command == "LSUB"}
	for _, e := range t.entries {
		data := l.data(e)
		if data == nil {
			continue
		}
		if options.ReturnStatus != nil && e.box != nil {
			if data.Status, err = s.status(e.box, options.ReturnStatus); err != nil {
				return s.explain("list", err)
			}
		}
		if err := w.WriteList(data); err != nil {
			return err
		}
	}
	return nil
}

// lister answers one LIST or LSUB.
type lister struct {
	tree     *tree
	patterns []string
	options  *imap.ListOptions
	lsub     bool
}

func (l *lister) matches(name string) bool {
	return slices.ContainsFunc(l.patterns, func(p string) bool {
		return matchList(name, p) || (name == mail.Inbox && matchList(name, strings.ToUpper(p)))
	})
}

// selected reports whether a name meets the selection options.
func (l *lister) selected(e *entry) bool {
	switch {
	case l.options.SelectSubscribed && !e.subscribed:
		return false
	case l.options.SelectSpecialUse && (e.box == nil || e.box.Use == mail.UseNone):
		return false
	case !l.options.SelectSubscribed && e.box == nil:
		return false
	}
	return true
}

// data is the answer for one name, nil when it is not listed.
func (l *lister) data(e *entry) *imap.ListData {
	if !l.matches(e.name) {
		return nil
	}
	selected := l.selected(e)
	below := l.selectedBelow(e)
	data := &imap.ListData{Delim: mail.Delimiter, Mailbox: e.name}
	if l.options.SelectRecursiveMatch && below {
		data.ChildInfo = &imap.ListDataChildInfo{Subscribed: l.options.SelectSubscribed}
	}
	switch {
	case selected, data.ChildInfo != nil:
	case below && (l.lsub || e.box == nil) && l.endsInPercent():
		// A level that only leads to others (RFC 9051 §6.3.9, "%").
	default:
		return nil
	}
	data.Attrs = l.attrs(e, selected)
	return data
}

// selectedBelow reports whether a name below e meets the selection without
// being listed itself: only then it is worth telling of.
func (l *lister) selectedBelow(e *entry) bool {
	prefix := e.name + string(mail.Delimiter)
	return slices.ContainsFunc(l.tree.entries, func(x *entry) bool {
		return strings.HasPrefix(x.name, prefix) && l.selected(x) && !l.matches(x.name)
	})
}

func (l *lister) endsInPercent() bool {
	return slices.ContainsFunc(l.patterns, func(p string) bool { return strings.HasSuffix(p, "%") })
}

func (l *lister) attrs(e *entry, selected bool) []imap.MailboxAttr {
	if l.lsub {
		if !selected || e.box == nil {
			return []imap.MailboxAttr{imap.MailboxAttrNoSelect}
		}
		return nil
	}
	var attrs []imap.MailboxAttr
	if e.box == nil {
		attrs = append(attrs, imap.MailboxAttrNonExistent)
	}
	if e.children {
		attrs = append(attrs, imap.MailboxAttrHasChildren)
	} else {
		attrs = append(attrs, imap.MailboxAttrHasNoChildren)
	}
	if e.subscribed && (l.options.SelectSubscribed || l.options.ReturnSubscribed) {
		attrs = append(attrs, imap.MailboxAttrSubscribed)
	}
	if e.box != nil && e.box.Use != mail.UseNone {
		attrs = append(attrs, imap.MailboxAttr(e.box.Use))
	}
	return attrs
}

// matchList matches a name against a pattern with * (anything) and % (anything
// within a level). It takes time in the product of their lengths at most,
// where the library's own matcher can be made to take exponential time.
func matchList(name, pattern string) bool {
	// reach[i] says whether the pattern read so far matches name[:i].
	reach := make([]bool, len(name)+1)
	reach[0] = true
	for k := range len(pattern) {
		p := pattern[k]
		switch p {
		case '*', '%':
			for i := 1; i <= len(name); i++ {
				reach[i] = reach[i] || (reach[i-1] && (p == '*' || name[i-1] != mail.Delimiter))
			}
		default:
			for i := len(name); i >= 1; i-- {
				reach[i] = reach[i-1] && name[i-1] == p
			}
			reach[0] = false
		}
	}
	return reach[len(name)]
}
