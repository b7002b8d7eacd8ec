package peer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"vanthu/exchange"
	"vanthu/storage/blob"
)

func TestSegments(t *testing.T) {
	key := bytes.Repeat([]byte{9}, contentKey)
	for _, n := range []int{0, 1, segmentSize - 1, segmentSize, segmentSize + 1, 3*segmentSize + 5} {
		plain := bytes.Repeat([]byte("abcdefg"), n/7+1)[:n]
		r, err := sealing(key, bytes.NewReader(plain), 0)
		check(t, err)
		text, err := io.ReadAll(r)
		check(t, err)
		if int64(len(text)) != sealedSize(int64(n)) {
			t.Errorf("%d bytes become %d, not %d", n, len(text), sealedSize(int64(n)))
		}
		if back, ok := plainSize(int64(len(text))); !ok || back != int64(n) {
			t.Errorf("%d bytes encrypted are said to have been %d", n, back)
		}
		o, err := opening(key, bytes.NewReader(text))
		check(t, err)
		if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %v", n, err)
		}
		const whole = segmentSize + segmentTag
		bad := map[string][]byte{"cut": text[:len(text)-1], "altered": append(bytes.Clone(text[:len(text)-1]), text[len(text)-1]^1)}
		if len(text) > whole {
			bad["a segment missing"] = text[whole:]
			bad["cut between segments"] = text[:whole]
			r, err := sealing(key, bytes.NewReader(plain[segmentSize:]), 1) // goes on in the middle
			check(t, err)
			if rest, err := io.ReadAll(r); err != nil || !bytes.Equal(rest, text[whole:]) {
				t.Errorf("%d bytes: from the second segment on it is other ciphertext (%v)", n, err)
			}
		}
		for name, b := range bad {
			o, err := opening(key, bytes.NewReader(b))
			check(t, err)
			if _, err := io.ReadAll(o); !errors.Is(err, errContent) {
				t.Errorf("%d bytes, %s: %v", n, name, err)
			}
		}
	}
}

// pattern yields n bytes that do not compress and cost nothing to keep.
type pattern struct {
	left int64
	sum  [32]byte
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), p.left))
	for i := 0; i < n; i += len(p.sum) {
		copy(b[i:n], p.sum[:])
		p.sum[0]++
		if p.sum[0] == 0 {
			p.sum = sha256.Sum256(p.sum[:])
		}
	}
	p.left -= int64(n)
	return n, nil
}

// TestLargeContent uploads and opens a large file in pieces while the line breaks, in memory that does not depend on its
// size: 2 GB with VANTHU_SCALE.
func TestLargeContent(t *testing.T) {
	ctx := context.Background()
	size := int64(scale(24<<20, 2<<30))
	small := func(c *Config) { c.Chunk = 1 << 20 }
	a, b := newStation(t, "a", small, "H03"), newStation(t, "b", small, "H26")
	connect(t, a, b)
	ref, err := a.store.Blobs.Put(ctx, &pattern{left: size})
	check(t, err)
	hub, err := a.peers.hub(ctx, b.id(t))
	check(t, err)
	var most atomic.Uint64
	stop := make(chan struct{})
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most.Store(max(most.Load(), m.HeapAlloc))
			}
		}
	}()
	e := &exchange.Envelope{Digest: ref.Digest, Size: ref.Size, From: "H03", To: "H26"}
	key := bytes.Repeat([]byte{5}, contentKey)
	started := time.Now()
	sender, part := a.id(t), partOf(t, a, e, key)
	half, cancel := context.WithCancel(ctx)
	go func() { // the line breaks when some of it is there
		for half.Err() == nil {
			if n, _, err := b.peers.parts.offset(sender, part); err == nil && n > size/3 {
				cancel()
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if _, err := a.peers.upload(half, hub, e, key); err == nil {
		t.Log("the upload was over before the line broke")
	}
	cancel()
	a.peers.link(hub.ID).up()
	var digest blob.Digest
	until(t, "the upload", func() bool {
		digest, err = a.peers.upload(ctx, hub, e, key)
		a.peers.link(hub.ID).up()
		return err == nil
	})
	file, err := b.peers.parts.open(a.id(t), digest)
	check(t, err)
	defer file.Close()
	plain, err := opening(key, file)
	check(t, err)
	got, err := b.store.Blobs.Put(ctx, plain)
	check(t, err)
	close(stop)
	if got != ref {
		t.Errorf("%+v arrived, %+v was sent", got, ref)
	}
	extra := int64(most.Load()) - int64(before.HeapAlloc)
	if extra > 64<<20 {
		t.Errorf("%d MiB of memory beside what there was", extra>>20)
	}
	t.Logf("%d MiB up and opened, at most %.1f MiB of memory more for both hubs, %s", size>>20, float64(extra)/(1<<20), time.Since(started).Round(time.Millisecond))
}

// partOf gives the digest that content has when encrypted.
func partOf(t *testing.T, a *station, e *exchange.Envelope, key []byte) blob.Digest {
	t.Helper()
	hash := sha256.New()
	if err := a.peers.sealed(context.Background(), e, key, 0, func(r io.Reader) error { _, err := io.Copy(hash, r); return err }); err != nil {
		t.Error(err)
	}
	return blob.Digest(fmt.Sprintf("%x", hash.Sum(nil)))
}

func FuzzReadDescriptor(f *testing.F) {
	now := time.Unix(1_760_000_000, 0)
	k := testSigner(now)
	payload, err := json.Marshal(Descriptor{V: 1, Hub: "hx00000000000000000000", At: now, Keys: []Key{k.Key}})
	check(f, err)
	f.Add(payload)
	f.Add([]byte(`{"v":1,"hub":"hx","keys":[{}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		signed, err := seal(typeDescriptor, payload, []signer{k})
		check(t, err)
		if d, err := readDescriptor(signed, []Key{k.Key}, now); err == nil && (len(d.Keys) == 0 || !hubGrammar.MatchString(d.Hub)) {
			t.Errorf("%+v", d)
		}
		if _, err := open(payload, typeDescriptor, []Key{k.Key}); err == nil {
			t.Error("what nobody signed is open")
		}
	})
}

func FuzzReadConsignment(f *testing.F) {
	k := testSigner(time.Now())
	const id = "0190b5c4-7d1e-7abc-8def-0123456789ab"
	f.Add([]byte(`{"v":1,"id":"` + id + `","envelope":{"size":5},"parts":[{"digest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":21}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		signed, err := seal(typeConsignment, payload, []signer{k})
		check(t, err)
		if c, err := readConsignment(signed, []Key{k.Key}, id); err == nil {
			if n, ok := plainSize(c.Parts[0].Size); !ok || n != c.Envelope.Size || len(c.Parts) != 1 {
				t.Errorf("%+v", c)
			}
		}
	})
}

func FuzzReadRange(f *testing.F) {
	f.Add("bytes 0-499/1234", int64(500))
	f.Add("", int64(7))
	f.Fuzz(func(t *testing.T, text string, length int64) {
		if r, err := readRange(text, length); err == nil && (r.first < 0 || r.size() <= 0 || r.last >= r.total) {
			t.Errorf("%q: %+v", text, r)
		}
	})
}

func FuzzEvidence(f *testing.F) {
	p := &Peers{self: &self{id: "hx11111111111111111111"}}
	from := &Hub{ID: "hx00000000000000000000"}
	f.Add([]byte(`{"hub":"hx00000000000000000000","to":"hx11111111111111111111","events":[{"seq":1,"event":{"id":"x","kind":"receipt","receipt":{"body":"e30="}}}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		b, err := p.readBatch(context.Background(), payload, from)
		if err != nil {
			return
		}
		for _, n := range b.Events {
			var e Event
			if json.Unmarshal(n.Event, &e) == nil && e.Receipt != nil {
				_, _ = json.Marshal(e)
			}
		}
		if len(b.Events) > eventBatch {
			t.Error("too many events")
		}
	})
}
