package peer

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// The jobs of this package; the lane is the hub.
const (
	jobPush jobs.Kind = "peer.push" // evidence that waits for it
	jobPoll jobs.Kind = "peer.poll" // its descriptor, agencies and evidence
)

type hubArgs struct {
	Hub string `json:"hub"`
}

// Delta is a page of the agencies that a hub serves, signed by it.
type Delta struct {
	Hub     string           `json:"hub"`
	Since   int64            `json:"since"`
	Version int64            `json:"version"` // where to go on
	More    bool             `json:"more"`
	Changes []registry.Delta `json:"changes"`
}

func (p *Peers) agencies(w http.ResponseWriter, r *http.Request, _ *Hub) error {
	ctx := r.Context()
	since, err := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
	if err != nil || since < 0 {
		return refuse(codeInvalid, "since không hợp lệ.", "since is not valid.")
	}
	s, err := p.own(ctx)
	if err != nil {
		return err
	}
	list, err := p.cfg.Registry.Deltas(ctx, since, deltaBatch)
	if err != nil {
		return err
	}
	d := Delta{Hub: s.id, Since: since, Version: since, More: len(list) == deltaBatch, Changes: []registry.Delta{}}
	for _, c := range list {
		d.Version = c.Version
		if c.Agency.Channel == registry.ChannelLocal {
			d.Changes = append(d.Changes, c)
		}
	}
	return p.answer(w, r, http.StatusOK, typeDelta, d)
}

// wakeSoon puts the jobs of a hub into the queue; that it fails is no matter, they come by themselves.
func (p *Peers) wakeSoon(ctx context.Context, hub string) {
	err := p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return p.wakeHub(ctx, tx, hub) })
	if err != nil {
		p.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "waking a hub", slog.String("hub", hub), slog.String("error", err.Error()))
	}
}

// runPoll asks one hub for news and comes back after a while, or when the link has rested.
func (p *Peers) runPoll(ctx context.Context, raw json.RawMessage) error {
	var args hubArgs
	if err := json.Unmarshal(raw, &args); err != nil {
		return jobs.Cancel(fmt.Errorf("poll of a hub: %w", err))
	}
	if _, err := p.parts.expire(); err != nil {
		p.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "removing old parts", slog.String("error", err.Error()))
	}
	h, err := p.hub(ctx, args.Hub)
	if err != nil {
		return err
	}
	if h == nil || h.Disabled {
		return nil
	}
	if rest := p.link(h.ID).rest(p.now()); rest > 0 {
		return jobs.Snooze(rest)
	}
	if err := p.Sync(ctx, h.ID); err != nil {
		p.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "asking a hub for news", slog.String("hub", h.ID), slog.String("error", err.Error()))
		return jobs.Snooze(max(time.Second, p.link(h.ID).rest(p.now())))
	}
	return jobs.Snooze(p.cfg.PollEvery)
}

// Sync reads a hub's descriptor, what is new of its agencies, and the evidence that waits there for this hub.
func (p *Peers) Sync(ctx context.Context, id string) error {
	h, err := p.hub(ctx, id)
	if err != nil {
		return err
	}
	if h == nil {
		return registry.NewError(exchange.KindNotFound, "Không có máy chủ này.", "There is no such hub.")
	}
	data, err := p.fetchDescriptor(ctx, h, false)
	if err != nil {
		return err
	}
	d, err := readDescriptor(data, valid(h.Keys, p.now()), p.now())
	if err != nil {
		return p.trouble(ctx, h, err)
	}
	if d.Hub != h.ID || d.Version < h.version {
		return p.trouble(ctx, h, fmt.Errorf("%w: a descriptor of %s, version %d", errSignature, d.Hub, d.Version))
	}
	if d.Version > h.version || d.Limits.Chunk != h.chunk || !slices.Equal(d.TLS, h.tls) || d.Name != h.Name {
		if err := p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return updateHub(ctx, tx, h, d) }); err != nil {
			return fmt.Errorf("taking a descriptor over: %w", err)
		}
		p.link(h.ID).know(nil, time.Time{})
		if h, err = p.hub(ctx, id); err != nil {
			return err
		}
	}
	if err := p.learn(ctx, h); err != nil {
		return err
	}
	return p.pull(ctx, h)
}

// valid gives the keys that count at a time.
func valid(keys []Key, now time.Time) []Key {
	return slices.DeleteFunc(slices.Clone(keys), func(k Key) bool { return !k.validAt(now) })
}

// trouble notes a problem with a hub and gives it back.
func (p *Peers) trouble(ctx context.Context, h *Hub, cause error) error {
	p.lost(ctx, h, cause)
	return cause
}

// learn takes over what is new of the agencies of a hub.
func (p *Peers) learn(ctx context.Context, h *Hub) error {
	since := h.registry
	for {
		var d Delta
		if err := p.get(ctx, h, prefix+"/agencies?since="+strconv.FormatInt(since, 10), typeDelta, &d); err != nil {
			return err
		}
		if d.Hub != h.ID || d.Since != since || len(d.Changes) > deltaBatch || d.More && d.Version <= since {
			return p.trouble(ctx, h, fmt.Errorf("%w: another list of agencies than was asked for", errSignature))
		}
		for _, c := range d.Changes {
			problem, err := p.learnAgency(ctx, h, c)
			if err != nil {
				return err
			}
			if problem != "" {
				p.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "agency of a hub not taken over", slog.String("hub", h.ID),
					slog.String("agency", clip(string(c.Agency.ID), 40)), slog.String("reason", problem))
			}
		}
		if d.Version > since {
			since = d.Version
			if err := p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return setRegistry(ctx, tx, h.ID, since) }); err != nil {
				return err
			}
		}
		if !d.More {
			p.link(h.ID).know(nil, time.Time{})
			return nil
		}
	}
}

// learnAgency lets a hub speak for an agency and takes its data over. A code that is this hub's own, another hub's, or
// outside of what the administrator allowed is left as it is; the reason is given back.
func (p *Peers) learnAgency(ctx context.Context, h *Hub, c registry.Delta) (problem string, err error) {
	a := c.Agency
	if id, err := registry.ParseAgencyID(string(a.ID)); err != nil || id != a.ID {
		return "not an agency code", nil //nolint:nilerr // a result, told to whoever reads the log
	}
	if !h.covers(a.ID) {
		return "outside of the scope of this hub", nil
	}
	var holder string
	var stays bool
	err = p.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		holder, stays, err = selectEver(ctx, tx, a.ID, p.now())
		return err
	})
	if err != nil {
		return "", err
	}
	if holder != "" && holder != h.ID && stays {
		return "the hub " + holder + " speaks for it", nil
	}
	old, err := p.cfg.Registry.Agency(ctx, a.ID)
	if err != nil && registry.KindOf(err) != exchange.KindNotFound {
		return "", err
	}
	if old != nil && old.Channel != exchange.ChannelHub && (c.Op != registry.OpDelete || holder != h.ID) {
		return "this hub knows it with the channel " + old.Channel, nil
	}
	if problem, err = p.takeAgency(ctx, h, c, old != nil); err != nil || problem != "" {
		return problem, err
	}
	err = p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return upsertAgency(ctx, tx, a.ID, h.ID, a.ValidFrom, a.ValidTo)
	})
	return problem, err
}

// takeAgency writes a hub's agency into the registry. What was made here by hand stays as it is.
func (p *Peers) takeAgency(ctx context.Context, h *Hub, c registry.Delta, known bool) (problem string, err error) {
	a := c.Agency
	a.Channel, a.Heir, a.Version = exchange.ChannelHub, "", 0
	if a.Parent != "" {
		if _, err := p.cfg.Registry.Agency(ctx, a.Parent); registry.KindOf(err) == exchange.KindNotFound {
			a.Parent = ""
		} else if err != nil {
			return "", err
		}
	}
	c.Agency = a
	if c.Op != registry.OpDelete {
		c.Op = registry.OpModify
		if !known {
			c.Op = registry.OpCreate
		}
	} else if !known {
		return "", nil
	}
	out, err := p.cfg.Registry.ApplyDeltas(ctx, registry.System("peer"), "hub:"+h.ID, []registry.Delta{c})
	if err != nil {
		return "", err
	}
	if out[0].Result != registry.DeltaValid {
		return out[0].ReasonEN, nil
	}
	return "", nil
}

// seals gives the certificates by which an agency's documents are to be known.
func (p *Peers) seals(ctx context.Context, a registry.AgencyID) ([]sealCertificate, error) {
	list, err := p.cfg.Registry.Certificates(ctx, registry.AgencyOwner(a))
	if err != nil {
		return nil, err
	}
	var out []sealCertificate
	for _, c := range list[:min(len(list), maxCertificates)] {
		out = append(out, sealCertificate{base64.StdEncoding.EncodeToString(c.Certificate.Raw), c.ValidFrom, c.ValidTo, c.Revoked})
	}
	return out, nil
}

// knowSeals registers the certificates of an agency that its hub vouches for, and ends those that it has revoked.
func (p *Peers) knowSeals(ctx context.Context, a registry.AgencyID, list []sealCertificate) error {
	owner := registry.AgencyOwner(a)
	have, err := p.cfg.Registry.Certificates(ctx, owner)
	if err != nil {
		return err
	}
	for _, c := range list {
		der, err := base64.StdEncoding.DecodeString(c.Certificate)
		var parsed *x509.Certificate
		if err == nil {
			parsed, err = x509.ParseCertificate(der)
		}
		if err != nil {
			return refuse(codeInvalid, "Chứng thư của cơ quan gửi không đọc được.", "A certificate of the sender cannot be read.")
		}
		fingerprint := registry.Fingerprint(parsed)
		i := slices.IndexFunc(have, func(k registry.Certificate) bool { return k.Fingerprint == fingerprint })
		if i < 0 {
			err = p.addSeal(ctx, owner, parsed, c)
		}
		if err == nil && !c.Revoked.IsZero() && (i < 0 || have[i].Revoked.IsZero()) {
			err = p.cfg.Registry.RevokeCertificate(ctx, registry.System("peer"), owner, fingerprint, c.Revoked, "thu hồi ở máy chủ của cơ quan")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addSeal registers a certificate with the term that the agency's hub gives it.
func (p *Peers) addSeal(ctx context.Context, owner registry.Owner, c *x509.Certificate, as sealCertificate) error {
	system := registry.System("peer")
	if err := p.cfg.Registry.AddCertificate(ctx, system, owner, c); err != nil {
		return err
	}
	if as.From.IsZero() && as.Until.IsZero() {
		return nil
	}
	return p.cfg.Registry.LimitCertificate(ctx, system, owner, registry.Fingerprint(c), as.From, as.Until)
}
