package peer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing/cms"
	"vanthu/storage/blob"
)

// pair is two hubs that know each other and what it takes to send by hand.
type pair struct {
	a, b *station
	hub  *Hub // b, as a knows it
	key  []byte
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{a: newStation(t, "a", nil, "H03"), b: newStation(t, "b", func(c *Config) { c.MaxPart = 1 << 20; c.MaxStored = 1 << 20 }, "H26"), key: bytes.Repeat([]byte{7}, contentKey)}
	connect(t, p.a, p.b)
	var err error
	p.hub, err = p.a.peers.hub(context.Background(), p.b.id(t))
	check(t, err)
	return p
}

// sealed encrypts content by the key of the pair.
func (p *pair) sealed(t *testing.T, content []byte) []byte {
	t.Helper()
	r, err := sealing(p.key, bytes.NewReader(content), 0)
	check(t, err)
	var b bytes.Buffer
	_, err = b.ReadFrom(r)
	check(t, err)
	return b.Bytes()
}

// consignment makes a good one of content; change makes it bad.
func (p *pair) consignment(t *testing.T, content []byte, change func(*Consignment)) (*Consignment, []byte) {
	t.Helper()
	wrapped, err := cms.Envelop(p.key, mustKey(t, p.b, "H26"))
	check(t, err)
	text := p.sealed(t, content)
	now := time.Now().UTC().Truncate(time.Microsecond)
	c := &Consignment{V: 1, ID: uuid.Must(uuid.NewV7()).String(), Hub: p.a.id(t), To: p.hub.ID, At: now,
		Envelope: exchange.Envelope{Document: exchange.DocumentID(uuid.Must(uuid.NewV7()).String()), From: "H03", To: "H26", Axis: "H03,2026/03/05,05/QĐ-UBND",
			Type: "QĐ", Number: 5, Year: now.Year(), Notation: "QĐ-UBND", Subject: "Về việc thử", Issued: now.Truncate(24 * time.Hour), Place: "Bắc Kạn",
			SignerName: "Nguyễn Văn A", SignerPosition: "Chủ tịch", Digest: blob.Sum(content), Size: int64(len(content)), Sent: now},
		Parts: []Part{{Digest: string(blob.Sum(text)), Size: int64(len(text)), Key: base64.StdEncoding.EncodeToString(wrapped)}}}
	if change != nil {
		change(c)
	}
	return c, text
}

func (p *pair) put(t *testing.T, path string, body []byte, header map[string]string) (*reply, error) {
	t.Helper()
	return p.a.peers.call(context.Background(), p.hub, http.MethodPut, prefix+path, body, header)
}

func (p *pair) upload(t *testing.T, text []byte) {
	t.Helper()
	_, err := p.put(t, "/parts/"+string(blob.Sum(text)), text, nil)
	check(t, err)
}

func (p *pair) consign(t *testing.T, c any, id string) (int, *Answer, error) {
	t.Helper()
	signed, err := p.a.peers.sign(context.Background(), typeConsignment, c, false)
	check(t, err)
	res, err := p.put(t, "/consignments/"+id, signed, nil)
	if err != nil {
		return 0, nil, err
	}
	var answer Answer
	check(t, p.a.peers.read(p.hub, res.data, typeAnswer, &answer))
	return res.status, &answer, nil
}

func wantCode(t *testing.T, err error, c code) *refusal {
	t.Helper()
	var r *refusal
	if !errors.As(err, &r) || r.Code != c {
		t.Errorf("%v, want %s", err, c)
		return &refusal{}
	}
	return r
}

func TestConsignmentOnce(t *testing.T) {
	p := newPair(t)
	c, text := p.consignment(t, samplePDF("once", 0), nil)
	_, _, err := p.consign(t, c, c.ID)
	wantCode(t, err, codePartMissing) // named, never uploaded
	p.upload(t, text)
	status, first, err := p.consign(t, c, c.ID)
	check(t, err)
	if status != http.StatusCreated || first.State != "consigned" {
		t.Errorf("%d %+v", status, first)
	}
	status, again, err := p.consign(t, c, c.ID)
	check(t, err)
	if status != http.StatusOK || again.Receipt != first.Receipt {
		t.Error("the repeat gives another receipt")
	}
	other, text := p.consignment(t, samplePDF("other", 0), func(o *Consignment) { o.ID = c.ID; o.Envelope.Document = c.Envelope.Document })
	p.upload(t, text)
	_, _, err = p.consign(t, other, c.ID)
	wantCode(t, err, codeConflict)
	other.ID = uuid.Must(uuid.NewV7()).String() // the same document by another id is the same arrival
	other.Envelope, other.Parts = c.Envelope, nil
	same, text := p.consignment(t, samplePDF("once", 0), func(o *Consignment) { o.Envelope = c.Envelope })
	p.upload(t, text)
	_, third, err := p.consign(t, same, same.ID)
	check(t, err)
	if third.Receipt.Body != first.Receipt.Body {
		t.Error("the same document by another id gives another receipt")
	}
	if n := len(p.b.incoming(t, "H26")); n != 1 {
		t.Errorf("%d entries", n)
	}
	var told struct {
		ID          string          `json:"id"`
		Consignment json.RawMessage `json:"consignment"`
	}
	check(t, p.a.peers.get(context.Background(), p.hub, prefix+"/consignments/"+c.ID, typeAnswer, &told))
	if told.ID != c.ID || len(told.Consignment) == 0 {
		t.Errorf("%+v", told)
	}
	err = p.a.peers.get(context.Background(), p.hub, prefix+"/consignments/"+uuid.NewString(), typeAnswer, &told)
	if exchange.KindOf(err) != exchange.KindInvalid {
		t.Errorf("an unknown consignment: %v", err)
	}
}

func TestBadConsignments(t *testing.T) {
	p := newPair(t)
	for name, test := range map[string]struct {
		change func(*Consignment)
		want   code
	}{
		"other digest than declared":    {func(c *Consignment) { c.Envelope.Digest = blob.Sum([]byte("x")) }, codeInvalid},
		"other size than declared":      {func(c *Consignment) { c.Envelope.Size++; c.Parts[0].Size++ }, codeInvalid},
		"sizes that do not fit":         {func(c *Consignment) { c.Envelope.Size++ }, codeInvalid},
		"subject of 4,000 characters":   {func(c *Consignment) { c.Envelope.Subject = strings.Repeat("ă", 4000) }, codeInvalid},
		"line break in the subject":     {func(c *Consignment) { c.Envelope.Subject = "a\r\nBcc: x" }, codeInvalid},
		"code of the receiver's own":    {func(c *Consignment) { c.Envelope.From = "H26" }, codeAuthority},
		"code that nobody has":          {func(c *Consignment) { c.Envelope.From = "H99" }, codeEarly},
		"unknown receiver":              {func(c *Consignment) { c.Envelope.To = "H77" }, codeRecipient},
		"look-alike receiver":           {func(c *Consignment) { c.Envelope.To = "Н26" }, codeRecipient}, // Cyrillic
		"lower-case receiver":           {func(c *Consignment) { c.Envelope.To = "h26" }, codeRecipient},
		"receiver of the sender's hub":  {func(c *Consignment) { c.Envelope.To = "H03" }, codeRecipient},
		"no part":                       {func(c *Consignment) { c.Parts = nil }, codeInvalid},
		"for another hub":               {func(c *Consignment) { c.To = c.Hub }, codeInvalid},
		"key that is none":              {func(c *Consignment) { c.Parts[0].Key = "AAAA" }, codeKey},
		"certificate that is none":      {func(c *Consignment) { c.Certificates = []sealCertificate{{Certificate: "AAAA"}} }, codeInvalid},
		"number below one":              {func(c *Consignment) { c.Envelope.Number = 0 }, codeInvalid},
		"digest that is none":           {func(c *Consignment) { c.Parts[0].Digest = "../../x" }, codeInvalid},
		"version that is not known yet": {func(c *Consignment) { c.V = 2 }, codeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			c, text := p.consignment(t, samplePDF(name, 0), test.change)
			p.upload(t, text)
			_, _, err := p.consign(t, c, c.ID)
			wantCode(t, err, test.want)
		})
	}
	t.Run("10,001 receivers", func(t *testing.T) {
		c, _ := p.consignment(t, samplePDF("many", 0), nil)
		var loose map[string]any
		check(t, json.Unmarshal(mustJSON(t, c), &loose))
		to := make([]string, 10_001)
		for i := range to {
			to[i] = fmt.Sprintf("H26.%d", i)
		}
		loose["envelope"].(map[string]any)["to"] = to
		_, _, err := p.consign(t, loose, c.ID)
		wantCode(t, err, codeInvalid)
	})
	t.Run("unknown members", func(t *testing.T) {
		c, text := p.consignment(t, samplePDF("unknown", 0), nil)
		p.upload(t, text)
		var loose map[string]any
		check(t, json.Unmarshal(mustJSON(t, c), &loose))
		loose["x-later"] = map[string]any{"a": 1}
		status, _, err := p.consign(t, loose, c.ID)
		if err != nil || status != http.StatusCreated {
			t.Fatal(status, err)
		}
		var told struct {
			Consignment json.RawMessage `json:"consignment"`
		}
		check(t, p.a.peers.get(context.Background(), p.hub, prefix+"/consignments/"+c.ID, typeAnswer, &told))
		payload, err := open(told.Consignment, typeConsignment, []Key{mustSelf(t, p.a)})
		if err != nil || !bytes.Contains(payload, []byte("x-later")) {
			t.Errorf("the unknown member is not kept: %v", err)
		}
	})
	if n := len(p.b.incoming(t, "H26")); n != 1 {
		t.Errorf("%d entries, want the one that was good", n)
	}
}

func TestParts(t *testing.T) {
	p := newPair(t)
	text := p.sealed(t, bytes.Repeat([]byte("canary-91b2 "), 20_000))
	path, total := "/parts/"+string(blob.Sum(text)), len(text)
	piece := func(from, to int) map[string]string {
		return map[string]string{headerRange: fmt.Sprintf("bytes %d-%d/%d", from, to-1, total)}
	}
	_, err := p.put(t, path, text[:1000], piece(0, 1000))
	check(t, err)
	_, err = p.put(t, path, text[5000:6000], piece(5000, 6000))
	if r := wantCode(t, err, codeOffset); r.Offset != 1000 {
		t.Errorf("it goes on at %d", r.Offset)
	}
	_, err = p.put(t, path, text[1000:2000], piece(1000, 2500))
	wantCode(t, err, codeInvalid)
	_, err = p.put(t, path, text[1000:2000], map[string]string{headerRange: "bytes 1000-1999/*"})
	wantCode(t, err, codeInvalid)
	res, err := p.put(t, path, text[1000:], piece(1000, total))
	check(t, err)
	if res.status != http.StatusCreated {
		t.Errorf("status %d", res.status)
	}
	res, err = p.put(t, path, text, nil) // idempotent by digest
	check(t, err)
	if res.header.Get(headerOffset) != fmt.Sprint(total) {
		t.Error("a repeat is not the same")
	}
	_, err = p.put(t, "/parts/"+string(blob.Sum([]byte("other"))), text, nil)
	wantCode(t, err, codeDigest)
	_, err = p.put(t, "/parts/"+string(blob.Sum(text[:100])), make([]byte, 10), nil)
	wantCode(t, err, codeInvalid) // too small for anything encrypted
	_, err = p.put(t, "/parts/"+string(blob.Sum(text[:7])), text[:100], map[string]string{headerRange: fmt.Sprintf("bytes 0-99/%d", sealedSize(2<<20))})
	wantCode(t, err, codeTooLarge)
	full := error(nil)
	for i := 0; i < 20 && full == nil; i++ {
		_, full = p.put(t, "/parts/"+string(blob.Sum([]byte{byte(i)})), text[:100_000], map[string]string{headerRange: fmt.Sprintf("bytes 0-%d/%d", 99_999, sealedSize(900_000))})
	}
	wantCode(t, full, codeFull)
	noCanary(t, p.b.dir+"/parts", "canary-91b2")
	old := time.Now().Add(-2 * partKept)
	file := p.b.peers.parts.path(p.a.id(t), blob.Sum(text))
	check(t, os.Chtimes(file, old, old))
	if n, err := p.b.peers.parts.expire(); err != nil || n != 1 {
		t.Errorf("%d parts expired, %v", n, err)
	}
}

// TestRequests: only what a hub that is known has signed just now, once, for this hub, counts.
func TestRequests(t *testing.T) {
	p := newPair(t)
	ctx := context.Background()
	request := func(change func(*http.Request), body string) *refusal {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.b.http.URL+prefix+"/evidence?after=0", strings.NewReader(body))
		check(t, err)
		check(t, p.a.peers.signRequest(ctx, r, p.hub.ID, []byte(body)))
		change(r)
		res, err := http.DefaultClient.Do(r)
		check(t, err)
		defer res.Body.Close()
		said := &refusal{}
		if res.StatusCode != http.StatusOK {
			check(t, json.NewDecoder(res.Body).Decode(said))
		}
		return said
	}
	if said := request(func(*http.Request) {}, ""); said.Code != "" {
		t.Errorf("a good request: %v", said)
	}
	var kept http.Header
	request(func(r *http.Request) { kept = r.Header.Clone() }, "")
	for name, test := range map[string]struct {
		change func(*http.Request)
		want   code
	}{
		"replayed":        {func(r *http.Request) { r.Header = kept }, codeReplay},
		"other path":      {func(r *http.Request) { r.URL.RawQuery = "after=1" }, codeSignature},
		"other time":      {func(r *http.Request) { r.Header.Set(headerTime, time.Now().UTC().Format(time.RFC3339)) }, codeSignature},
		"other nonce":     {func(r *http.Request) { r.Header.Set(headerNonce, "aaaaaaaaaaaaaaaaaaaaaa") }, codeSignature},
		"unknown hub":     {func(r *http.Request) { r.Header.Set(headerHub, "hx00000000000000000000") }, codeUnknownHub},
		"hub that is odd": {func(r *http.Request) { r.Header.Set(headerHub, "hx' OR 1=1") }, codeSignature},
		"other hub":       {func(r *http.Request) { r.Header.Set(headerTo, p.a.id(t)) }, codeSignature},
		"no signature":    {func(r *http.Request) { r.Header.Del(headerSignature) }, codeSignature},
		"range not signed": {func(r *http.Request) {
			r.Header.Set(headerRange, "bytes 0-1/2")
		}, codeSignature},
	} {
		if said := request(test.change, ""); said.Code != test.want {
			t.Errorf("%s: %v, want %s", name, said, test.want)
		}
	}
	check(t, p.b.peers.Disable(ctx, p.a.id(t), true))
	if said := request(func(*http.Request) {}, ""); said.Code != codeDisabled {
		t.Errorf("a hub that is shut out: %v", said)
	}
	check(t, p.b.peers.Disable(ctx, p.a.id(t), false))
	if said := request(func(*http.Request) {}, ""); said.Code != "" {
		t.Errorf("a hub that is let in again: %v", said)
	}
}

// TestClocks: 4 minutes apart is near enough, 6 are not, and the answer says what time it is there.
func TestClocks(t *testing.T) {
	var shift atomic.Int64
	b := newStation(t, "b", nil, "H26")
	a := newStation(t, "a", func(c *Config) { c.Now = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) } }, "H03")
	connect(t, a, b)
	h, err := a.peers.hub(context.Background(), b.id(t))
	check(t, err)
	for minutes, ok := range map[int]bool{4: true, -4: true, 6: false, -6: false} {
		shift.Store(int64(time.Duration(minutes) * time.Minute))
		_, err := a.peers.call(context.Background(), h, http.MethodGet, prefix+"/evidence?after=0", nil, nil)
		if ok {
			check(t, err)
			continue
		}
		if r := wantCode(t, err, codeClock); time.Since(r.Time).Abs() > time.Minute {
			t.Errorf("%d min: the answer says %s", minutes, r.Time)
		}
	}
}

// TestRotate: a new key counts as soon as the peer has seen it, the old one for the overlap.
func TestRotate(t *testing.T) {
	ctx := context.Background()
	var shift atomic.Int64
	later := func(c *Config) { c.Now = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) } }
	a, b := newStation(t, "a", later, "H03"), newStation(t, "b", later, "H26")
	connect(t, a, b)
	_, err := b.peers.Rotate(ctx, 24*time.Hour)
	check(t, err)
	check(t, a.peers.Sync(ctx, b.id(t)))
	hubs, err := a.peers.Hubs(ctx)
	check(t, err)
	if len(hubs[0].Keys) != 2 {
		t.Fatalf("keys: %+v", hubs[0].Keys)
	}
	check(t, b.peers.Sync(ctx, a.id(t)))
	shift.Store(int64(48 * time.Hour)) // the old key is over
	check(t, b.peers.Sync(ctx, a.id(t)))
	check(t, a.peers.Sync(ctx, b.id(t)))
	check(t, b.peers.Sync(ctx, a.id(t)))
	d, _, err := b.peers.Describe(ctx)
	check(t, err)
	if len(d.Keys) != 1 {
		t.Errorf("keys: %+v", d.Keys)
	}
}

// TestClaims: a hub cannot speak for what is another's or outside of its scope.
func TestClaims(t *testing.T) {
	ctx := context.Background()
	a, b := newStation(t, "a", nil, "H03"), newStation(t, "b", nil, "H26", "H27.01", "H03.05")
	check(t, a.reg.AddAgency(ctx, registry.System("test"), registry.Agency{ID: "H03.05", Name: "Sở của a", Symbol: "S", Parent: "H03"}))
	d, _, err := b.peers.Describe(ctx)
	check(t, err)
	if _, err := a.peers.Add(ctx, Addition{URL: b.http.URL, Key: mustSelf(t, a).Public}); exchange.KindOf(err) != exchange.KindForbidden {
		t.Errorf("another key than the hub's: %v", err)
	}
	_, err = a.peers.Add(ctx, Addition{URL: b.http.URL, Key: d.Keys[0].Public, Scope: []string{"H26", "H03"}})
	check(t, err)
	e, _, err := a.peers.Describe(ctx)
	check(t, err)
	_, err = b.peers.Add(ctx, Addition{URL: a.http.URL, Key: e.Keys[0].Public})
	check(t, err)
	check(t, a.peers.Sync(ctx, d.Hub))
	for code, want := range map[registry.AgencyID]bool{"H26": true, "H27.01": false, "H03.05": false} {
		h, err := a.peers.hubOf(ctx, code)
		if (err == nil && h.ID == d.Hub) != want {
			t.Errorf("%s: %v %v, want %v", code, h, err, want)
		}
	}
	if ag, err := a.reg.Agency(ctx, "H03.05"); err != nil || ag.Channel != registry.ChannelLocal || ag.Name != "Sở của a" {
		t.Errorf("a's own agency is now %+v", ag)
	}
}

// TestOneEntryByAnyChannel: the same document by this protocol, by the axis and by mail, in each of the six orders, is
// one entry of the register with three arrivals and one receipt.
func TestOneEntryByAnyChannel(t *testing.T) {
	ctx := context.Background()
	p := newPair(t)
	for i, order := range [][]string{
		{"hub", "axis", "mail"}, {"hub", "mail", "axis"}, {"axis", "hub", "mail"}, {"axis", "mail", "hub"}, {"mail", "hub", "axis"}, {"mail", "axis", "hub"},
	} {
		content := samplePDF(fmt.Sprint("order", i), 0)
		c, text := p.consignment(t, content, func(c *Consignment) {
			c.Envelope.Number, c.Envelope.Axis = 100+i, fmt.Sprintf("H03,2026/03/05,%d/QĐ-UBND", 100+i)
		})
		p.upload(t, text)
		receipts := map[string]bool{}
		for _, channel := range order {
			if channel == "hub" {
				_, answer, err := p.consign(t, c, c.ID)
				check(t, err)
				body, err := base64.StdEncoding.DecodeString(answer.Receipt.Body)
				check(t, err)
				receipts[string(body)] = true
				continue
			}
			env := c.Envelope
			env.Document = "" // these channels carry none of our ids
			r, err := p.b.service.ReceiveBy(ctx, "H03", exchange.Arrival{Channel: channel, Ref: fmt.Sprint(channel, i), Envelope: env, PDF: bytes.NewReader(content)})
			check(t, err)
			receipts[string(r.Body)] = true
		}
		if len(receipts) != 1 {
			t.Errorf("%v: %d receipts", order, len(receipts))
		}
		list := p.b.incoming(t, "H26")
		if len(list) != i+1 {
			t.Fatalf("%v: %d entries, want %d", order, len(list), i+1)
		}
		for _, in := range list {
			if in.PDF.Digest != blob.Sum(content) {
				continue
			}
			arrivals, err := p.b.service.Arrivals(ctx, p.b.as(registry.RoleClerk, "H26"), in.ID)
			check(t, err)
			if len(arrivals) != 3 {
				t.Errorf("%v: %d arrivals", order, len(arrivals))
			}
		}
	}
}
