package transparency_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	certs "vanthu/certs-testdata"
	"vanthu/exchange/transparency"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
	"vanthu/storage/ledger"
	"vanthu/storage/ledger/logproof"
	"vanthu/storage/sqldb"
)

// switchedTSA is a real embedded authority that can be down.
type switchedTSA struct {
	tsa.Client
	down bool
}

func (s *switchedTSA) Timestamp(ctx context.Context, digest []byte, hash crypto.Hash) ([]byte, error) {
	if s.down {
		return nil, tsa.ErrUnavailable
	}
	return s.Client.Timestamp(ctx, digest, hash)
}

func clockAuthority(t *testing.T) *switchedTSA {
	t.Helper()
	signer, chain := certs.Identity(t, certs.TSA)
	key, err := keys.New(signer, chain...)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := tsa.NewAuthority(key, tsa.AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &switchedTSA{Client: authority}
}

func seed(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(b)), ed25519.SeedSize)))
}

type hub struct {
	db     *sqldb.DB
	ledger *ledger.Ledger
	pub    *transparency.Publisher
	url    string
}

func openHub(t *testing.T, key ed25519.PrivateKey, origin string, cfg transparency.Config) *hub {
	t.Helper()
	db, err := sqldb.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	l, err := ledger.New(db, key, origin, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Ledger = l
	pub, err := transparency.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(pub.Handler())
	t.Cleanup(server.Close)
	return &hub{db: db, ledger: l, pub: pub, url: server.URL}
}

// fill appends n entries and has them sequenced.
func (h *hub) fill(t *testing.T, n int) {
	t.Helper()
	err := h.db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for i := range n {
			e := ledger.Entry{Kind: "document.sent", Subject: "vb", Actor: "Nguyễn Thị Văn Thư", Body: fmt.Appendf(nil, `{"n":%d}`, i)}
			if _, err := h.ledger.Append(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for {
		got, err := h.ledger.Sequence(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got == 0 {
			return
		}
	}
}

func get(t *testing.T, url string) (string, http.Header, int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), answer.Header, answer.StatusCode
}

// monitor reads a log with golang.org/x/mod/sumdb alone, knowing its address and public key.
type monitor struct {
	t    *testing.T
	url  string
	vkey string
}

func (m monitor) path(kind string, n int64, w int) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	if w < 256 {
		name += fmt.Sprintf(".p/%d", w)
	}
	return m.url + "/log/tile/" + kind + "/" + name
}

// Height, ReadTiles and SaveTiles are tlog.TileReader.
func (m monitor) Height() int { return 8 }

func (m monitor) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range tiles {
		body, header, status := get(m.t, m.path(fmt.Sprint(tile.L), tile.N, tile.W))
		if status != http.StatusOK {
			return nil, fmt.Errorf("tile %v: HTTP status %d", tile, status)
		}
		if !strings.Contains(header.Get("Cache-Control"), "immutable") {
			m.t.Errorf("tile %v: Cache-Control %q", tile, header.Get("Cache-Control"))
		}
		out = append(out, []byte(body))
	}
	return out, nil
}

func (m monitor) SaveTiles([]tlog.Tile, [][]byte) {}

// tree opens the checkpoint with sumdb/note.
func (m monitor) tree() tlog.Tree {
	m.t.Helper()
	body, header, _ := get(m.t, m.url+"/log/checkpoint")
	if header.Get("Cache-Control") != "no-cache" {
		m.t.Errorf("the checkpoint is cacheable: %q", header.Get("Cache-Control"))
	}
	verifier, err := note.NewVerifier(m.vkey)
	if err != nil {
		m.t.Fatal(err)
	}
	opened, err := note.Open([]byte(body), note.VerifierList(verifier))
	if err != nil {
		m.t.Fatal(err)
	}
	var tree tlog.Tree
	lines := strings.Split(opened.Text, "\n")
	if _, err := fmt.Sscan(lines[1], &tree.N); err != nil {
		m.t.Fatal(err)
	}
	if tree.Hash, err = tlog.ParseHash(lines[2]); err != nil {
		m.t.Fatal(err)
	}
	return tree
}

// audit reads every entry and tells the first place at which the log is not what its root says; -1 = none.
func (m monitor) audit() (place int64, err error) {
	tree := m.tree()
	hashes := tlog.TileHashReader(tree, m)
	for first := int64(0); first < tree.N; first += 256 {
		body, _, status := get(m.t, m.path("entries", first/256, int(min(256, tree.N-first))))
		if status != http.StatusOK {
			return first, fmt.Errorf("entries from %d: HTTP status %d: %s", first, status, body)
		}
		for at := first; body != ""; at++ {
			n := int(binary.BigEndian.Uint16([]byte(body)))
			leaf := body[2 : 2+n]
			body = body[2+n:]
			if strings.Contains(leaf, "Nguyễn") || strings.Contains(leaf, `"vb"`) {
				return at, errors.New("the log names a person or a document")
			}
			want, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, at)})
			if err != nil {
				return at, err
			}
			if want[0] != tlog.RecordHash([]byte(leaf)) {
				return at, fmt.Errorf("entry %d is not the one below the signed root", at)
			}
		}
	}
	return -1, nil
}

// TestForeignClientReadsTheLog has the sumdb client verify tiles, entries and checkpoints, and find what was altered and
// what was removed; vanthu's own check finds both too.
func TestForeignClientReadsTheLog(t *testing.T) {
	h := openHub(t, seed('k'), "hub.example/log", transparency.Config{})
	h.fill(t, 600)
	m := monitor{t, h.url, h.ledger.VerifierKey()}
	if key, _, _ := get(t, h.url+"/log/key"); strings.TrimSpace(key) != m.vkey {
		t.Errorf("key %q", key)
	}
	if place, err := m.audit(); err != nil || place != -1 {
		t.Fatalf("an honest log: place %d, %v", place, err)
	}
	before := m.tree()
	h.fill(t, 60)
	after := m.tree()
	proof, err := tlog.ProveTree(after.N, before.N, tlog.TileHashReader(after, m))
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.CheckTree(proof, after.N, after.Hash, before.N, before.Hash); err != nil {
		t.Errorf("the log did not only grow: %v", err)
	}
	for _, spoil := range []string{
		`UPDATE ledger_entry SET actor = 'Người khác' WHERE position = 300`,
		`DELETE FROM ledger_entry WHERE position = 300`,
	} {
		err := h.db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, spoil)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		place, err := m.audit()
		if err == nil || place != 300 && place != 256 {
			t.Errorf("%s: the client saw place %d, %v", spoil, place, err)
		}
		var problems []string
		if err := h.ledger.Check(t.Context(), func(p string) { problems = append(problems, p) }); err != nil || !strings.Contains(strings.Join(problems, "\n"), "300") {
			t.Errorf("%s: check says %q, %v", spoil, problems, err)
		}
	}
}

// TestTilePaths lists what is no tile.
func TestTilePaths(t *testing.T) {
	h := openHub(t, seed('k'), "hub.example/log", transparency.Config{})
	h.fill(t, 300)
	for path, want := range map[string]int{
		"/log/tile/0/000": 200, "/log/tile/0/001.p/44": 200, "/log/tile/0/001.p/1": 200, "/log/tile/1/000.p/1": 200,
		"/log/tile/entries/000": 200, "/log/tile/entries/001.p/44": 200,
		"/log/tile/0/001": 404, "/log/tile/0/001.p/45": 404, "/log/tile/1/000": 404, "/log/tile/0/x001/000": 404, "/log/tile/entries/001": 404,
		"/log/tile/60/000": 404, "/log/tile/0/x999/x999/x999/x999/x999/999": 404, "/log/tile/entries/x999/x999/x999/x999/x999/999": 404,
		"/log/tile/0/0": 400, "/log/tile/0/x000/001": 400, "/log/tile/0/001.p/256": 400, "/log/tile/0/001.p/0": 400, "/log/tile/0/001.p/044": 400,
		"/log/tile/00/000": 400, "/log/tile/-1/000": 404, "/log/tile/data/000": 400, "/log/tile/0/000/": 400,
	} {
		if _, _, status := get(t, h.url+path); status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
}

// TestStampsComeLater: while the time-stamp authority is down the log goes on, and one stamp later covers everything.
func TestStampsComeLater(t *testing.T) {
	clock := clockAuthority(t)
	h := openHub(t, seed('k'), "hub.example/log", transparency.Config{TSA: clock, Trust: &pki.Trust{TimestampRoots: certs.Roots(t)}})
	clock.down = true
	h.fill(t, 10)
	if err := h.pub.Publish(t.Context()); !errors.Is(err, tsa.ErrUnavailable) || !strings.Contains(err.Error(), "pending") {
		t.Errorf("authority down: %v", err)
	}
	if _, size, err := h.pub.Proven(t.Context()); err != nil || size != 0 {
		t.Errorf("%d entries are proven, %v", size, err)
	}
	if _, _, status := get(t, h.url+"/log/checkpoint.tsr"); status != http.StatusNotFound {
		t.Errorf("a stamp is served: %d", status)
	}
	h.fill(t, 5)
	clock.down = false
	if err := h.pub.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	at, size, err := h.pub.Proven(t.Context())
	if err != nil || size != 15 || time.Since(at).Abs() > time.Hour {
		t.Errorf("%d entries are proven at %v, %v", size, at, err)
	}
	body, _, _ := get(t, h.url+"/log/checkpoint.tsr")
	var served struct {
		Checkpoint string
		Token      []byte
	}
	if err := json.Unmarshal([]byte(body), &served); err != nil {
		t.Fatal(err)
	}
	if _, err := logproof.OpenCheckpoint(h.ledger.VerifierKey(), served.Checkpoint); err != nil || len(served.Token) == 0 {
		t.Errorf("%s: %v", body, err)
	}
	check := func() (problems []string) {
		if err := h.pub.Check(t.Context(), func(p string) { problems = append(problems, p) }); err != nil {
			t.Fatal(err)
		}
		return problems
	}
	if got := check(); len(got) > 0 {
		t.Errorf("problems: %q", got)
	}
	err = h.db.Update(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE ledger_publication SET token = $1`, "MAA=")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := check(); len(got) != 1 {
		t.Errorf("a spoilt stamp: %q", got)
	}
}

// TestWitnesses: a neighbour hub cosigns the log while it only grows, and refuses a second history.
func TestWitnesses(t *testing.T) {
	key, origin := seed('k'), "hub.example/log"
	public, _ := key.Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		t.Fatal(err)
	}
	witness := openHub(t, seed('w'), "neighbour.example/log", transparency.Config{
		Logs: []transparency.Log{{VerifierKey: vkey}}, WitnessName: "neighbour.example/witness", WitnessKey: seed('v'),
	})
	who, err := logproof.ParseWitness(witness.pub.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	asked := transparency.Config{Witnesses: []transparency.Peer{{URL: witness.url + "/log/witness", Witness: who}}}
	h := openHub(t, key, origin, asked)
	for range 3 {
		h.fill(t, 270)
		if err := h.pub.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := h.pub.Publish(t.Context()); err != nil { // nothing new: nobody is asked, nothing changes
			t.Fatal(err)
		}
		served, _, _ := get(t, h.url+"/log/checkpoint")
		text, err := logproof.SignedText(vkey, served)
		if err != nil {
			t.Fatal(err)
		}
		if at, err := who.Cosigned(served, text); err != nil || time.Since(at).Abs() > time.Hour {
			t.Fatalf("cosigned at %v, %v:\n%s", at, err, served)
		}
		if _, err := who.Cosigned(strings.Replace(served, "hub", "hup", 1), strings.Replace(text, "hub", "hup", 1)); err == nil {
			t.Error("the cosignature is good for another text")
		}
	}
	monitor{t, h.url, vkey}.tree() // sumdb/note reads a checkpoint that has cosignatures

	// The same key shows the witness another history, of each length.
	for _, n := range []int{100, 810, 900} {
		liar := openHub(t, key, origin, asked)
		liar.fill(t, n)
		if err := liar.pub.Publish(t.Context()); err == nil {
			t.Errorf("a second history of %d entries was cosigned", n)
		}
	}
	h.fill(t, 1)
	if err := h.pub.Publish(t.Context()); err != nil {
		t.Errorf("the honest log afterwards: %v", err)
	}
}

// emptyLog is the signed checkpoint of a log without entries, with a root that it says it has.
func emptyLog(t *testing.T, root tlog.Hash) string {
	t.Helper()
	signer, _ := emptyKeys(t)
	text, err := note.Sign(&note.Note{Text: "empty.example/log\n0\n" + base64.StdEncoding.EncodeToString(root[:]) + "\n"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func emptyKeys(t *testing.T) (note.Signer, string) {
	t.Helper()
	secret, public, err := note.GenerateKey(bytes.NewReader(make([]byte, 64)), "empty.example/log")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signer, public
}

// TestWitnessRefuses lists requests that are none.
func TestWitnessRefuses(t *testing.T) {
	_, empty := emptyKeys(t)
	witness := openHub(t, seed('w'), "neighbour.example/log", transparency.Config{WitnessName: "n.example/w", WitnessKey: seed('v'), Logs: []transparency.Log{{VerifierKey: empty}}})
	for body, want := range map[string]int{
		"": 400, "old 0\n\n": 404, "old -1\n\nx\n1\n": 400, "old 00\n\nx\n": 400, "old 1\nnothash\n\nx\n": 400, "new 1\n\nx\n": 400,
		"old 0\n\nhub.example/log\n1\nAAAA\n": 404, "old 0\n\n" + emptyLog(t, tlog.Hash{1}): 422, "old 0\n\n" + emptyLog(t, tlog.Hash(sha256.Sum256(nil))): 200, "old 0\n" + strings.Repeat(strings.Repeat("A", 43)+"=\n", 64) + "\nx\n": 400,
		strings.Repeat("x", 70<<10): 413,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, witness.url+"/log/witness/add-checkpoint", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%.40q: status %d, want %d", body, answer.StatusCode, want)
		}
	}
}
