package transparency

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"vanthu/storage/ledger"
)

// Prefix is where Handler expects to be mounted.
const Prefix = "/log/"

// numberPath is a tile's number in path elements of three digits, all but the last with an x before it (C2SP tlog-tiles).
var numberPath = regexp.MustCompile(`^(?:x[0-9]{3}/){0,5}[0-9]{3}$`) //nolint:gochecknoglobals // a compiled constant

// Handler serves the log.
func (p *Publisher) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /log/checkpoint", p.serveCheckpoint)
	mux.HandleFunc("GET /log/checkpoint.tsr", p.serveStamp)
	mux.HandleFunc("GET /log/key", p.serveKey)
	mux.HandleFunc("GET /log/tile/{level}/{rest...}", p.serveTile)
	mux.HandleFunc("POST /log/witness/add-checkpoint", p.serveWitness)
	return mux
}

func (p *Publisher) serveCheckpoint(w http.ResponseWriter, r *http.Request) {
	checkpoint, err := p.cfg.Ledger.Checkpoint(r.Context())
	if err == nil && len(p.cfg.Witnesses) > 0 {
		// Who relies on witnesses wants their lines; the entries after that checkpoint come with the next one.
		var last *ledger.Publication
		if last, err = p.cfg.Ledger.Published(r.Context(), false, true); last != nil {
			checkpoint = last.Note
		}
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	text(w, checkpoint)
}

func text(w http.ResponseWriter, body string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*") // public, and read by pages of monitors
	_, _ = w.Write([]byte(body))              // a reader that went away is no error of ours
}

func (p *Publisher) serveKey(w http.ResponseWriter, _ *http.Request) {
	text(w, p.cfg.Ledger.VerifierKey()+"\n")
}

// stampedCheckpoint is the answer of checkpoint.tsr.
type stampedCheckpoint struct {
	Checkpoint string `json:"checkpoint"`
	Token      []byte `json:"token"` // over the signed part of the checkpoint, SHA-256
}

func (p *Publisher) serveStamp(w http.ResponseWriter, r *http.Request) {
	last, err := p.cfg.Ledger.Published(r.Context(), true, false)
	switch {
	case err != nil:
		p.fail(w, r, err)
		return
	case last == nil:
		http.Error(w, "no checkpoint has a time stamp yet", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	_ = json.NewEncoder(w).Encode(stampedCheckpoint{Checkpoint: last.Note, Token: last.Token}) // as above
}

// serveTile serves hashes and entry bundles. Both are the same for ever, partial ones too.
func (p *Publisher) serveTile(w http.ResponseWriter, r *http.Request) {
	number, width, ok := parseTile(r.PathValue("rest"))
	if !ok {
		http.Error(w, "not the path of a tile (C2SP tlog-tiles)", http.StatusBadRequest)
		return
	}
	var data []byte
	var err error
	if level := r.PathValue("level"); level == "entries" {
		data, err = p.cfg.Ledger.EntryBundle(r.Context(), number, width)
	} else {
		n, parsed := strconv.Atoi(level)
		if parsed != nil || strconv.Itoa(n) != level {
			http.Error(w, "not the level of a tile", http.StatusBadRequest)
			return
		}
		data, err = p.cfg.Ledger.TileData(r.Context(), n, number, width)
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) //nolint:gosec // G705: digests, of a type that no browser shows; the error as above
}

// parseTile reads x001/x234/067 or x001/x234/067.p/8.
func parseTile(path string) (number int64, width int, ok bool) {
	const whole = 256
	width = whole
	if base, part, partial := strings.Cut(path, ".p/"); partial {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n >= whole || strconv.Itoa(n) != part {
			return 0, 0, false
		}
		path, width = base, n
	}
	if !numberPath.MatchString(path) {
		return 0, 0, false
	}
	for i, element := range strings.Split(path, "/") {
		n, err := strconv.ParseInt(strings.TrimPrefix(element, "x"), 10, 64)
		if err != nil || i == 0 && n == 0 && strings.Contains(path, "/") {
			return 0, 0, false // a number has one path: no leading group of zeros
		}
		number = number*1000 + n
	}
	return number, width, true
}

// fail tells what is not there from what is broken.
func (p *Publisher) fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		http.Error(w, "the log is not that large", http.StatusNotFound)
	case errors.Is(err, ledger.ErrHole):
		p.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "the evidence log has a hole", slog.String("error", err.Error()))
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		p.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "serving the evidence log", slog.String("error", err.Error()))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

func encodeHash(h [32]byte) string { return base64.StdEncoding.EncodeToString(h[:]) }
