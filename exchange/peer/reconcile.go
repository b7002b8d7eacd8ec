package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// treeKey names the lines of one day (UTC, by the sender's time) between this hub and another.
type treeKey struct{ hub, day string }

const (
	maxDays     = 400
	maxRequests = 2000 // of one reconciliation
	maxPrefixes = 256  // asked for in one request
	treesKept   = 4 * maxDays
	treeKept    = time.Minute // while another hub goes down in it, a tree stays as it was
	dayForm     = time.DateOnly
)

// dayRoot is the root of one day.
type dayRoot struct {
	Day   string `json:"day"`
	Count int    `json:"n"`
	Hash  string `json:"h"`
}

// trunk is the answer about a period.
type trunk struct {
	Hub  string    `json:"hub"`
	Days []dayRoot `json:"days"`
}

// branches is the answer about prefixes of one day: the children of each, and lines in full that were asked for.
type branches struct {
	Hub   string                  `json:"hub"`
	Day   string                  `json:"day"`
	Nodes map[string][]node       `json:"nodes,omitempty"`
	Lines []exchange.RegisterLine `json:"lines,omitempty"`
}

// grow builds the trees of all days of a period between this hub and another, from the registers of both directions.
func (p *Peers) grow(ctx context.Context, hub string, from, to time.Time) (map[string]*tree, error) {
	var held []registry.AgencyID
	err := p.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		held, err = selectHeld(ctx, tx, hub)
		return err
	})
	if err != nil {
		return nil, err
	}
	theirs := make(map[registry.AgencyID]bool, len(held))
	for _, a := range held {
		theirs[a] = true
	}
	days := map[string][]exchange.RegisterLine{}
	add := func(l exchange.RegisterLine) {
		day := l.Sent.UTC().Format(dayForm)
		days[day] = append(days[day], l)
	}
	err = p.cfg.Service.SentByHub(ctx, from, to, func(l exchange.RegisterLine) error {
		if theirs[l.To] {
			add(l)
		}
		return nil
	})
	if err == nil {
		err = p.cfg.Service.CameByHub(ctx, from, to, func(l exchange.RegisterLine) error {
			if theirs[l.From] {
				add(l)
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("reading the registers: %w", err)
	}
	out := make(map[string]*tree, len(days))
	for day, lines := range days {
		out[day] = newTree(lines)
	}
	return out, nil
}

// period reads the bounds of a period: days, the last one included.
func period(first, last string) (from, to time.Time, err error) {
	from, err1 := time.Parse(dayForm, first)
	to, err2 := time.Parse(dayForm, last)
	to = to.AddDate(0, 0, 1)
	if err1 != nil || err2 != nil || !from.Before(to) || to.Sub(from) > maxDays*24*time.Hour {
		return from, to, registry.NewError(exchange.KindInvalid, fmt.Sprintf("Khoảng ngày không hợp lệ (dạng 2026-03-31, tối đa %d ngày).", maxDays),
			fmt.Sprintf("The period is not valid (days as 2026-03-31, at most %d).", maxDays))
	}
	return from, to, nil
}

// reconcileDays answers GET /hx/v1/reconcile?from=DAY&to=DAY: the root of each day between this hub and the one that
// asks. Nothing of any other hub goes into it.
func (p *Peers) reconcileDays(w http.ResponseWriter, r *http.Request, from *Hub) error {
	first, last, err := period(r.URL.Query().Get("from"), r.URL.Query().Get("to"))
	if err != nil {
		return err
	}
	grown, err := p.grow(r.Context(), from.ID, first, last)
	if err != nil {
		return err
	}
	p.keepTrees(from.ID, grown)
	s, err := p.own(r.Context())
	if err != nil {
		return err
	}
	return p.answer(w, r, http.StatusOK, typeTree, trunk{Hub: s.id, Days: roots(grown)})
}

func roots(grown map[string]*tree) []dayRoot {
	out := make([]dayRoot, 0, len(grown))
	for day, t := range grown {
		out = append(out, dayRoot{Day: day, Count: len(t.leaves), Hash: hash(t.leaves)})
	}
	slices.SortFunc(out, func(a, b dayRoot) int { return strings.Compare(a.Day, b.Day) })
	return out
}

// keepTrees holds trees for the requests that follow.
func (p *Peers) keepTrees(hub string, grown map[string]*tree) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.trees)+len(grown) > treesKept {
		clear(p.trees)
	}
	until := p.now().Add(treeKept)
	for day, t := range grown {
		p.trees[treeKey{hub, day}] = &keptTree{t, until}
	}
}

type keptTree struct {
	*tree
	until time.Time
}

// treeOf gives the tree of a day, as it was told of a moment ago or anew.
func (p *Peers) treeOf(ctx context.Context, hub, day string) (*tree, error) {
	p.mu.Lock()
	kept := p.trees[treeKey{hub, day}]
	p.mu.Unlock()
	if kept != nil && p.now().Before(kept.until) {
		return kept.tree, nil
	}
	from, to, err := period(day, day)
	if err != nil {
		return nil, err
	}
	grown, err := p.grow(ctx, hub, from, to)
	if err != nil {
		return nil, err
	}
	p.keepTrees(hub, grown)
	if t := grown[day]; t != nil {
		return t, nil
	}
	return &tree{}, nil
}

// reconcileDay answers GET /hx/v1/reconcile/DAY?under=P,P,…&lines=PLACE,…: the children of nodes, and lines in full.
func (p *Peers) reconcileDay(w http.ResponseWriter, r *http.Request, from *Hub) error {
	ctx, day := r.Context(), r.PathValue("day")
	t, err := p.treeOf(ctx, from.ID, day)
	if err != nil {
		return err
	}
	s, err := p.own(ctx)
	if err != nil {
		return err
	}
	out := branches{Hub: s.id, Day: day, Nodes: map[string][]node{}}
	query := r.URL.Query()
	for _, list := range []string{query.Get("under"), query.Get("lines")} {
		if strings.Count(list, ",") >= maxPrefixes || strings.Trim(list, digits+",") != "" {
			return refuse(codeInvalid, "Danh sách nhánh không hợp lệ.", "The list of branches is not valid.")
		}
	}
	if query.Has("under") {
		for prefix := range strings.SplitSeq(query.Get("under"), ",") {
			if len(prefix) < hashCut {
				out.Nodes[prefix] = t.children(prefix)
			}
		}
	}
	if list := query.Get("lines"); list != "" {
		for place := range strings.SplitSeq(list, ",") {
			if len(place) == hashCut {
				for _, l := range t.under(place) {
					out.Lines = append(out.Lines, *l.line)
				}
			}
		}
	}
	return p.answer(w, r, http.StatusOK, typeTree, out)
}

// The kinds of a difference between two registers.
const (
	OnlyHere    = "only-here"    // this hub has the line, the other has not
	OnlyThere   = "only-there"   // the other hub has it
	OtherDigest = "other-digest" // both have it with different content
	OtherNumber = "other-number" // both have it with different numbers
)

// Discrepancy is one difference.
type Discrepancy struct {
	Kind  string                 `json:"kind"`
	Day   string                 `json:"day"`
	Here  *exchange.RegisterLine `json:"here,omitempty"`
	There *exchange.RegisterLine `json:"there,omitempty"`
}

// Minutes are the result of a reconciliation (biên bản đối soát), signed by the hub that asked for it.
type Minutes struct {
	ID          string        `json:"id"`
	Hub         string        `json:"hub"`
	Other       string        `json:"other"`
	From        string        `json:"from"` // first day
	To          string        `json:"to"`   // last day
	At          time.Time     `json:"at"`
	Lines       int           `json:"lines"` // compared, as this hub has them
	Days        []dayRoot     `json:"days"`
	OtherDays   []dayRoot     `json:"other_days"`
	Differences []Discrepancy `json:"differences"`
	Signed      string        `json:"signed,omitempty"` // the JWS of all of this

	Bytes    int64 `json:"bytes"` // that answers had
	Requests int   `json:"requests"`
}

// Reconcile compares the registers of this hub and another between two days (by the sender's time, UTC) and keeps signed
// minutes. What is on its way at that moment is a difference too.
func (p *Peers) Reconcile(ctx context.Context, id, first, last string) (*Minutes, error) {
	from, to, err := period(first, last)
	if err != nil {
		return nil, err
	}
	h, err := p.hub(ctx, id)
	if err != nil {
		return nil, err
	}
	if h == nil {
		return nil, registry.NewError(exchange.KindNotFound, "Không có máy chủ này.", "There is no such hub.")
	}
	s, err := p.own(ctx)
	if err != nil {
		return nil, err
	}
	m := &Minutes{ID: uuid.Must(uuid.NewV7()).String(), Hub: s.id, Other: h.ID, From: first, To: last, At: p.now(), Differences: []Discrepancy{}}
	var told trunk
	grown, err := p.bothSides(ctx, h, m, from, to, &told)
	if err != nil {
		return nil, err
	}
	m.Days, m.OtherDays = roots(grown), told.Days
	other := make(map[string]dayRoot, len(told.Days))
	for _, d := range told.Days {
		other[d.Day] = d
		if grown[d.Day] == nil {
			grown[d.Day] = &tree{}
		}
	}
	for day, t := range grown {
		m.Lines += len(t.leaves)
		if len(t.leaves) == other[day].Count && (len(t.leaves) == 0 || hash(t.leaves) == other[day].Hash) {
			continue
		}
		if err := p.descend(ctx, h, m, day, t); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(m.Differences, func(a, b Discrepancy) int {
		return strings.Compare(a.Day+a.Kind+a.document(), b.Day+b.Kind+b.document())
	})
	return m, p.keepMinutes(ctx, m, from, to)
}

func (d *Discrepancy) document() string {
	if d.Here != nil {
		return string(d.Here.Document) + string(d.Here.To)
	}
	return string(d.There.Document) + string(d.There.To)
}

// bothSides lets both hubs read their registers at the same time.
func (p *Peers) bothSides(ctx context.Context, h *Hub, m *Minutes, from, to time.Time, told *trunk) (map[string]*tree, error) {
	type result struct {
		grown map[string]*tree
		err   error
	}
	mine := make(chan result, 1)
	go func() {
		grown, err := p.grow(ctx, h.ID, from, to)
		mine <- result{grown, err}
	}()
	err := p.measured(ctx, h, m, "?from="+m.From+"&to="+m.To, told)
	r := <-mine
	if err = errors.Join(err, r.err); err != nil {
		return nil, err
	}
	if told.Hub != h.ID || len(told.Days) > maxDays {
		return nil, fmt.Errorf("%w: an answer about other registers", errSignature)
	}
	return r.grown, nil
}

// measured asks and counts what comes back.
func (p *Peers) measured(ctx context.Context, h *Hub, m *Minutes, path string, into any) error {
	got, err := p.call(ctx, h, http.MethodGet, prefix+"/reconcile"+path, nil, nil)
	if err != nil {
		return asTold(h, err)
	}
	m.Bytes += int64(len(got.data))
	m.Requests++
	return p.read(h, got.data, typeTree, into)
}

// descend goes down a day's trees where they differ, a level in each request.
func (p *Peers) descend(ctx context.Context, h *Hub, m *Minutes, day string, t *tree) error {
	var mine []leaf
	var theirs []line
	for open := []string{""}; len(open) > 0; {
		if m.Requests >= maxRequests {
			return registry.NewError(exchange.KindTooLarge, "Hai sổ khác nhau quá nhiều; hãy đối soát từng khoảng ngắn hơn.", "The registers differ too much; compare shorter periods.")
		}
		ask := open[:min(len(open), maxPrefixes)]
		open = open[len(ask):]
		var b branches
		if err := p.measured(ctx, h, m, "/"+day+"?under="+url.QueryEscape(strings.Join(ask, ",")), &b); err != nil {
			return err
		}
		if b.Hub != h.ID || b.Day != day {
			return fmt.Errorf("%w: an answer about another day", errSignature)
		}
		for _, prefix := range ask {
			c := t.compare(prefix, b.Nodes[prefix])
			open = append(open, c.descend...)
			mine, theirs = append(mine, c.mine...), append(theirs, c.theirs...)
		}
	}
	there, err := p.linesOf(ctx, h, m, day, theirs)
	if err != nil {
		return err
	}
	for i := range mine {
		here := mine[i].line
		d := Discrepancy{Kind: OnlyHere, Day: day, Here: here}
		if other, ok := there[mine[i].at()]; ok {
			delete(there, mine[i].at())
			d.There, d.Kind = &other, OtherNumber
			if other.Digest != here.Digest {
				d.Kind = OtherDigest
			}
		}
		m.Differences = append(m.Differences, d)
	}
	for _, l := range there {
		m.Differences = append(m.Differences, Discrepancy{Kind: OnlyThere, Day: day, There: &l})
	}
	return nil
}

// linesOf asks for lines in full, by place.
func (p *Peers) linesOf(ctx context.Context, h *Hub, m *Minutes, day string, list []line) (map[string]exchange.RegisterLine, error) {
	out := make(map[string]exchange.RegisterLine, len(list))
	for chunk := range slices.Chunk(list, maxPrefixes) {
		places := make([]string, len(chunk))
		for i, l := range chunk {
			places[i] = l.Place
		}
		var b branches
		if err := p.measured(ctx, h, m, "/"+day+"?lines="+url.QueryEscape(strings.Join(places, ",")), &b); err != nil {
			return nil, err
		}
		for _, l := range b.Lines {
			at, _ := leafOf(&l, nil)
			out[at.at()] = l
		}
	}
	return out, nil
}

// keepMinutes signs and keeps minutes.
func (p *Peers) keepMinutes(ctx context.Context, m *Minutes, from, to time.Time) error {
	signed, err := p.sign(ctx, typeMinutes, m, false)
	if err != nil {
		return err
	}
	m.Signed = string(signed)
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding minutes: %w", err)
	}
	return p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return insertMinutes(ctx, tx, m.ID, m.Other, from, to, m.At, string(body))
	})
}
