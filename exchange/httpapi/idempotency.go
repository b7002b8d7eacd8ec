package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strings"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// maxKey bounds an Idempotency-Key, in bytes.
const maxKey = 200

// maxKeptBody bounds an answer that is kept; a larger one is given out but not kept, and its key is given back.
const maxKeptBody = 4 << 20

// inMemory is how much of a request is held in memory while its digest is made; more goes to a temporary file.
const inMemory = 1 << 20

// idempotent makes every POST repeatable (draft-ietf-httpapi-idempotency-key-header): the same key with the same request
// gets the first answer again, with another request it is refused. Answers that carry a secret are not kept.
func (a *api) idempotent(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		if r.Method != http.MethodPost || key == "" || answersSecret(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		actor, err := a.registry.Authenticate(r.Context(), bearer(r.Header.Get("Authorization")))
		if err != nil {
			next.ServeHTTP(w, r) // answers that there is no such token
			return
		}
		if err := a.repeatable(w, r, next, actor.Tag(), key); err != nil {
			writeProblem(w, r, problemOf(a.log, r.Context(), err))
		}
	})
}

// answersSecret knows the calls that answer with a secret.
func answersSecret(path string) bool {
	switch path {
	case "/api/v1/login", "/api/v1/tokens", "/api/v1/webhooks", "/api/v1/me/second-factor", "/api/v1/me/second-factor/confirm":
		return true
	}
	if strings.HasSuffix(path, "/signing-tickets") {
		return true
	}
	return strings.HasPrefix(path, "/api/v1/webhooks/") && strings.HasSuffix(path, "/secret")
}

// repeatable runs one request under its key. An error is one that has not been answered yet.
func (a *api) repeatable(w http.ResponseWriter, r *http.Request, next http.Handler, caller, key string) error {
	if len(key) > maxKey {
		return registry.NewError(exchange.KindInvalid, "Idempotency-Key quá dài (tối đa 200 ký tự).", "Idempotency-Key is too long (200 characters at most).")
	}
	body, ok := r.Body.(*spooled)
	if !ok {
		return errors.New("the body of the request was not taken in")
	}
	request, err := digestOf(r, body)
	if err != nil {
		return err
	}
	earlier, err := a.keep.begin(r.Context(), caller, key, request)
	if err != nil {
		return err
	}
	if earlier != nil {
		return repeat(w, earlier, request)
	}
	recorder := &answerRecorder{ResponseWriter: w}
	// A caller who has gone does not undo what was done: the key is settled all the same.
	settle := context.WithoutCancel(r.Context())
	finished := false
	defer func() {
		if finished {
			return
		}
		// The handler panicked: what it did is not known, so the key is given back and the caller may look and repeat.
		a.logFailure(r, a.keep.release(settle, caller, key))
	}()
	next.ServeHTTP(recorder, r)
	finished = true
	if recorder.status >= http.StatusInternalServerError || recorder.status == http.StatusUnauthorized || recorder.over {
		a.logFailure(r, a.keep.release(settle, caller, key))
		return nil
	}
	a.logFailure(r, a.keep.finish(settle, caller, key, keptAnswer{
		status: recorder.status, header: recorder.Header().Get("Content-Type"), body: recorder.body.Bytes(),
	}))
	return nil
}

func (a *api) logFailure(r *http.Request, err error) {
	if err != nil {
		a.log.ErrorContext(r.Context(), "idempotency key not settled", slog.String("request", requestID(r.Context())), slog.Any("error", err))
	}
}

// repeat gives the earlier answer again.
func repeat(w http.ResponseWriter, earlier *keptAnswer, request string) error {
	switch {
	case earlier.request != request:
		return registry.NewError(exchange.KindInvalid, "Idempotency-Key này đã dùng cho một yêu cầu khác.", "This Idempotency-Key was used for another request.").
			Advise("Dùng khóa mới cho yêu cầu mới.", "Use a new key for a new request.")
	case earlier.status == 0:
		return registry.NewError(exchange.KindConflict, "Yêu cầu với khóa này đang chạy hoặc đã bị ngắt giữa chừng.", "The request with this key is running, or was interrupted.").
			Advise("Xem lại văn bản trước khi gửi lại với khóa mới.", "Look at the document before repeating with a new key.")
	}
	if earlier.header != "" {
		w.Header().Set("Content-Type", earlier.header)
	}
	w.Header().Set("Idempotent-Replayed", "true")
	w.WriteHeader(earlier.status)
	_, _ = w.Write(earlier.body) // the reader has gone if this fails; the answer is still kept
	return nil
}

// answerRecorder passes an answer on and remembers it.
type answerRecorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
	over   bool
}

func (a *answerRecorder) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answerRecorder) Write(data []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.body.Len()+len(data) > maxKeptBody {
		a.over = true
	} else {
		a.body.Write(data)
	}
	return a.ResponseWriter.Write(data)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answerRecorder) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// spooled is a request body that can be read twice.
type spooled struct {
	io.ReadSeeker
	file *os.File
}

// Close frees the temporary file, if there is one.
func (s *spooled) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

func spool(body io.Reader) (*spooled, error) {
	var head bytes.Buffer
	n, err := io.CopyN(&head, body, inMemory)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if n < inMemory {
		return &spooled{ReadSeeker: bytes.NewReader(head.Bytes())}, nil
	}
	file, err := os.CreateTemp("", "vanthu-body-*")
	if err != nil {
		return nil, fmt.Errorf("spool the request: %w", err)
	}
	// Removed at once: the open file lives on until it is closed, whatever happens to the process.
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("spool the request: %w", err), file.Close())
	}
	if _, err := io.Copy(file, io.MultiReader(&head, body)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("spool the request: %w", err), file.Close())
	}
	return &spooled{ReadSeeker: file, file: file}, nil
}

// secretMembers of a JSON body never go into a stored digest: a passphrase could be guessed from it.
func secretMembers() []string { return []string{"passphrase", "password"} }

// digestOf names a request by method, path and what its body says: the parts of a form without their random boundary,
// the members of an object without its secrets, the bytes of anything else. The body is rewound.
func digestOf(r *http.Request, body io.ReadSeeker) (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %s\n%s\n", r.Method, r.URL.RequestURI(), r.Header.Get(actingHeader))
	if err := digestBody(hash, r.Header.Get("Content-Type"), body); err != nil {
		return "", registry.NewError(exchange.KindInvalid, "Nội dung yêu cầu không đọc được.", "The body of the request cannot be read.").Because(err)
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("rewind the request: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func digestBody(hash io.Writer, contentType string, body io.Reader) error {
	media, params, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && strings.HasPrefix(media, "multipart/") && params["boundary"] != "":
		form := multipart.NewReader(body, params["boundary"])
		for {
			part, err := form.NextRawPart()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			inner := sha256.New()
			if _, err := io.Copy(inner, part); err != nil {
				return err
			}
			fmt.Fprintf(hash, "%q %x\n", part.FormName(), inner.Sum(nil))
		}
	case err == nil && media == "application/json":
		var members map[string]json.RawMessage
		data, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		if json.Unmarshal(data, &members) != nil {
			_, err := hash.Write(data)
			return err
		}
		for _, secret := range secretMembers() {
			delete(members, secret)
		}
		return json.NewEncoder(hash).Encode(members)
	default:
		_, err := io.Copy(hash, body)
		return err
	}
}
