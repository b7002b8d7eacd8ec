package transparency

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"vanthu/storage/ledger"
	"vanthu/storage/ledger/logproof"
)

// Bounds of what witnesses and logs send.
const (
	maxAnswer  = 16 << 10
	maxRequest = 64 << 10
	maxPath    = 63 // hashes of a consistency proof, C2SP tlog-witness
)

// sizeType is the media type of the size that a witness has seen.
const sizeType = "text/x.tlog.size"

func originOf(vkey string) (string, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return "", fmt.Errorf("key of a log: %w", err)
	}
	return v.Name(), nil
}

// ask has a witness cosign a checkpoint. The witness says which size it saw last, when it is not what we think.
func (p *Publisher) ask(ctx context.Context, w Peer, checkpoint string, tree tlog.Tree) (string, error) {
	text, err := logproof.SignedText(p.cfg.Ledger.VerifierKey(), checkpoint)
	if err != nil {
		return "", err
	}
	old := p.lastCosigned(ctx, w)
	for range 2 {
		lines, conflict, err := p.post(ctx, w, old, checkpoint, tree)
		if err != nil {
			return "", err
		}
		if conflict >= 0 {
			if conflict > tree.N {
				return "", fmt.Errorf("it has seen %d entries of this log, which has %d", conflict, tree.N)
			}
			old = conflict
			continue
		}
		for line := range strings.Lines(lines) {
			if _, err := w.Witness.Verify(text, line); err == nil {
				return strings.TrimSuffix(line, "\n") + "\n", nil
			}
		}
		return "", fmt.Errorf("%w: its answer has no line of its own", logproof.ErrCosignature)
	}
	return "", errors.New("it does not keep to the size that it named")
}

// lastCosigned gives the size that a witness cosigned last; a wrong guess costs one more request.
func (p *Publisher) lastCosigned(ctx context.Context, w Peer) int64 {
	last, err := p.cfg.Ledger.Published(ctx, false, true)
	if err != nil || last == nil {
		return 0
	}
	text, err := logproof.SignedText(p.cfg.Ledger.VerifierKey(), last.Note)
	if err != nil {
		return 0
	}
	if _, err := w.Witness.Cosigned(last.Note, text); err != nil {
		return 0
	}
	return last.Size
}

// post sends one request; conflict is the size that the witness has, or -1.
func (p *Publisher) post(ctx context.Context, w Peer, old int64, checkpoint string, tree tlog.Tree) (lines string, conflict int64, err error) {
	proof, err := p.cfg.Ledger.Consistency(ctx, old, tree.N)
	if err != nil {
		return "", -1, err
	}
	var body strings.Builder
	fmt.Fprintf(&body, "old %d\n", old)
	for _, h := range proof {
		body.WriteString(encodeHash(h) + "\n")
	}
	body.WriteString("\n" + checkpoint)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(w.URL, "/")+"/add-checkpoint", strings.NewReader(body.String()))
	if err != nil {
		return "", -1, err
	}
	request.Header.Set("Content-Type", "text/plain; charset=utf-8")
	answer, err := p.client.Do(request)
	if err != nil {
		return "", -1, err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	got, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch {
	case err != nil:
		return "", -1, err
	case answer.StatusCode == http.StatusOK:
		return string(got), -1, nil
	case answer.StatusCode == http.StatusConflict && strings.HasPrefix(answer.Header.Get("Content-Type"), sizeType):
		size, err := strconv.ParseInt(strings.TrimSpace(string(got)), 10, 64)
		if err != nil || size < 0 {
			return "", -1, errors.New("it names no size that can be")
		}
		return "", size, nil
	}
	return "", -1, fmt.Errorf("it answers with HTTP status %d", answer.StatusCode)
}

// addCheckpoint is a request to cosign (C2SP tlog-witness).
type addCheckpoint struct {
	old        int64
	proof      []tlog.Hash
	checkpoint string
}

func parseAddCheckpoint(body []byte) (*addCheckpoint, bool) {
	head, checkpoint, ok := strings.Cut(string(body), "\n\n")
	if !ok {
		return nil, false
	}
	a := &addCheckpoint{checkpoint: checkpoint}
	lines := bufio.NewScanner(strings.NewReader(head))
	for n := 0; lines.Scan(); n++ {
		if n == 0 {
			text, ok := strings.CutPrefix(lines.Text(), "old ")
			size, err := strconv.ParseInt(text, 10, 64)
			if !ok || err != nil || size < 0 || strconv.FormatInt(size, 10) != text {
				return nil, false
			}
			a.old = size
			continue
		}
		h, err := tlog.ParseHash(lines.Text())
		if err != nil || n > maxPath {
			return nil, false
		}
		a.proof = append(a.proof, h)
	}
	return a, lines.Err() == nil
}

// serveWitness cosigns a checkpoint of a log in the configuration, if it only grew since the last one cosigned.
func (p *Publisher) serveWitness(w http.ResponseWriter, r *http.Request) {
	if p.own == nil {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "the request is too large", http.StatusRequestEntityTooLarge)
		return
	}
	a, ok := parseAddCheckpoint(body)
	if !ok {
		http.Error(w, "not an add-checkpoint request (C2SP tlog-witness)", http.StatusBadRequest)
		return
	}
	origin, _, _ := strings.Cut(a.checkpoint, "\n")
	key, known := p.logs[origin]
	if !known {
		http.Error(w, "this log is not witnessed here", http.StatusNotFound)
		return
	}
	tree, err := logproof.OpenCheckpoint(key, a.checkpoint)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	p.cosign(w, r, origin, key, a, tree)
}

func (p *Publisher) cosign(w http.ResponseWriter, r *http.Request, origin, key string, a *addCheckpoint, tree tlog.Tree) {
	p.witness.Lock()
	defer p.witness.Unlock()
	seen, err := p.cfg.Ledger.Witnessed(r.Context(), origin)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	empty := tlog.Hash(sha256.Sum256(nil)) // of the tree without entries, RFC 6962 §2.1
	switch {
	case tree.N == 0 && tree.Hash != empty:
		http.Error(w, "a log without entries has one root only", http.StatusUnprocessableEntity)
		return
	case a.old > tree.N:
		http.Error(w, "the old size is larger than the checkpoint's", http.StatusBadRequest)
		return
	case a.old != seen.Size:
		conflict(w, seen.Size)
		return
	case a.old == tree.N && seen.Size > 0 && tree.Hash != seen.Root:
		p.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "a log shows two roots of one size", slog.String("origin", origin), slog.Int64("size", tree.N))
		conflict(w, seen.Size)
		return
	}
	if err := consistent(seen, tree, a.proof); err != nil {
		p.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "a log does not continue what was witnessed", slog.String("origin", origin), slog.String("error", err.Error()))
		http.Error(w, "the proof does not show that the log only grew", http.StatusUnprocessableEntity)
		return
	}
	if tree.N > seen.Size {
		ok, err := p.cfg.Ledger.Witness(r.Context(), origin, seen, ledger.Seen{Size: tree.N, Root: tree.Hash})
		if err != nil || !ok {
			p.fail(w, r, errors.Join(err, errors.New("another process cosigned at the same time")))
			return
		}
	}
	signed, err := logproof.SignedText(key, a.checkpoint)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	text(w, logproof.Cosign(*p.own, p.cfg.WitnessKey, signed, p.cfg.Now()))
}

func conflict(w http.ResponseWriter, size int64) {
	w.Header().Set("Content-Type", sizeType)
	w.WriteHeader(http.StatusConflict)
	_, _ = fmt.Fprintf(w, "%d\n", size) // a reader that went away is no error of ours
}

func consistent(seen ledger.Seen, tree tlog.Tree, proof []tlog.Hash) error {
	if seen.Size == 0 || seen.Size == tree.N {
		if len(proof) > 0 {
			return errors.New("a proof where none is needed")
		}
		return nil
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, seen.Size, seen.Root)
}
