package exchange

import (
	"context"
	"slices"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// RecipientList is a named list of recipients of an agency (danh sách nơi nhận):
// codes, and all agencies below Root of one Level ("all communes of a province").
type RecipientList struct {
	ID      string              `json:"id"`
	Name    string              `json:"name"`
	Members []registry.AgencyID `json:"members"`
	Root    registry.AgencyID   `json:"root,omitempty"`
	Level   string              `json:"level,omitempty"`
	Updated time.Time           `json:"updated"`
	By      string              `json:"by"`
}

// RecipientQuery says whom a sending goes to.
type RecipientQuery struct {
	Lists  []string            // ids of RecipientList
	Codes  []registry.AgencyID // and these
	Root   registry.AgencyID   // and all below this one
	Level  string              // of those below Root; "" = every level
	Except []registry.AgencyID
}

const (
	maxListName = 100
	maxLists    = 500
)

// SaveList keeps a list of recipients under its name: a new one without ID, else in
// the place of the former. Members must be agencies of the registry. Clerk.
func (s *Service) SaveList(ctx context.Context, by registry.Actor, l RecipientList) (*RecipientList, error) {
	if err := allowed(by, ActSend); err != nil {
		return nil, err
	}
	var err error
	if l.Name, err = registry.CleanLine("Tên danh sách", "The name", l.Name, maxListName); err != nil {
		return nil, err
	}
	if l.Name == "" || len(l.Members) == 0 && l.Root == "" {
		return nil, fail(KindInvalid, "Danh sách cần có tên và ít nhất một nơi nhận.", "A list needs a name and a recipient.")
	}
	if len(l.Members) > maxRecipients {
		return nil, failf(KindTooLarge, "Danh sách có tối đa %d nơi nhận.", "A list has at most %d recipients.", maxRecipients)
	}
	now := s.clock()
	members := make([]registry.AgencyID, 0, len(l.Members))
	for _, code := range l.Members {
		found, err := s.reg.Resolve(ctx, string(code), now)
		if err != nil {
			return nil, err
		}
		members = append(members, found.Agency.ID)
	}
	slices.Sort(members)
	l.Members = slices.Compact(members)
	if l.Root != "" {
		root, err := s.reg.Agency(ctx, l.Root)
		if err != nil {
			return nil, err
		}
		l.Root = root.ID
	}
	kind := "list.changed"
	if l.ID == "" {
		l.ID, kind = newID(), "list.added"
	}
	l.Updated, l.By = now, by.FullName()
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		saved, err := upsertList(ctx, tx, by.Agency, &l)
		if err != nil {
			return err
		}
		if !saved {
			return noList()
		}
		return s.evidence(ctx, tx, kind, l.ID, now, by, s.listFacts(by, &l))
	})
	if sqldb.IsConflict(err) {
		return nil, failf(KindConflict, "Đã có danh sách tên “%s”.", "There is a list named “%s” already.", l.Name)
	}
	if err != nil {
		return nil, storageError("keeping a list", err)
	}
	return &l, nil
}

func noList() *Error {
	return fail(KindNotFound, "Không có danh sách nơi nhận này.", "There is no such list.")
}

func (s *Service) listFacts(by registry.Actor, l *RecipientList) facts {
	f := s.facts(by)
	codes := make([]string, len(l.Members))
	for i, m := range l.Members {
		codes[i] = string(m)
	}
	f["name"], f["recipients"], f["root"], f["level"] = l.Name, strings.Join(codes, ","), string(l.Root), l.Level
	return f
}

// RecipientLists gives the lists of the actor's agency by name.
func (s *Service) RecipientLists(ctx context.Context, by registry.Actor) (out []RecipientList, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		out, err = selectLists(ctx, tx, by.Agency, maxLists)
		return err
	})
	return out, storageError("reading lists", err)
}

// DeleteList removes a list; what was sent by it stays. Clerk.
func (s *Service) DeleteList(ctx context.Context, by registry.Actor, id string) error {
	if err := allowed(by, ActSend); err != nil {
		return err
	}
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		name, err := deleteList(ctx, tx, by.Agency, id)
		if err != nil {
			return err
		}
		if name == "" {
			return noList()
		}
		f := s.facts(by)
		f["name"] = name
		return s.evidence(ctx, tx, "list.removed", id, s.clock(), by, f)
	})
	return storageError("removing a list", err)
}

// Recipients gives the codes that a query names now, each once, in order: lists of
// the agency, single codes, all active agencies below one. The own agency is left
// out. More than a sending takes is an error.
func (s *Service) Recipients(ctx context.Context, by registry.Actor, q RecipientQuery) ([]registry.AgencyID, error) {
	now := s.clock()
	all := slices.Clone(q.Codes)
	type below struct {
		root  registry.AgencyID
		level string
	}
	var trees []below
	if q.Root != "" {
		trees = append(trees, below{q.Root, q.Level})
	}
	if len(q.Lists) > 0 {
		lists, err := s.RecipientLists(ctx, by)
		if err != nil {
			return nil, err
		}
		for _, id := range q.Lists {
			i := slices.IndexFunc(lists, func(l RecipientList) bool { return l.ID == id })
			if i < 0 {
				return nil, noList()
			}
			all = append(all, lists[i].Members...)
			if lists[i].Root != "" {
				trees = append(trees, below{lists[i].Root, lists[i].Level})
			}
		}
	}
	for _, t := range trees {
		found, err := s.reg.Below(ctx, t.root, t.level, now)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	all = slices.DeleteFunc(all, func(a registry.AgencyID) bool { return a == by.Agency || slices.Contains(q.Except, a) })
	if len(all) > maxRecipients {
		return nil, failf(KindTooLarge, "Có %d nơi nhận, tối đa %d cho một lần gửi.", "There are %d recipients; at most %d in one sending.", len(all), maxRecipients).
			Advise("Chia danh sách thành nhiều lần gửi.", "Send in several parts.")
	}
	return all, nil
}
