package logproof

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Limits of an entry, in bytes.
const (
	maxKind    = 100
	maxSubject = 200
	maxActor   = 200
	maxBody    = 256 << 10
)

// SaltSize is the size of an entry's salt in bytes.
const SaltSize = 16

// EntryID names one entry: a UUIDv7.
type EntryID string

// Entry is one piece of evidence (chứng cứ).
type Entry struct {
	ID      EntryID         `json:"id"`      // made by the ledger
	Kind    string          `json:"kind"`    // what was done, "document.signed"; at most 100 bytes
	Subject string          `json:"subject"` // to what: an id; at most 200 bytes
	At      time.Time       `json:"at"`      // when, to the microsecond; zero means now
	Actor   string          `json:"actor"`   // by whom; at most 200 bytes
	Body    json.RawMessage `json:"body"`    // details; at most 256 KiB, kept as canonical JSON; nil means {}
}

// timeFormat is how a leaf writes its time: UTC to the microsecond, always of
// the same length.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// Normalise checks an entry's fields against their limits and gives its body the canonical form.
func (e *Entry) Normalise() error {
	for _, field := range []struct {
		name, value string
		least, most int
	}{
		{"kind", e.Kind, 1, maxKind},
		{"subject", e.Subject, 1, maxSubject},
		{"actor", e.Actor, 0, maxActor},
	} {
		if n := len(field.value); n < field.least || n > field.most {
			return fmt.Errorf("%s of %d bytes; %d to %d are allowed", field.name, n, field.least, field.most)
		}
		if !utf8.ValidString(field.value) || strings.ContainsRune(field.value, 0) {
			return fmt.Errorf("%s is not proper text", field.name)
		}
	}
	if len(e.Body) > maxBody {
		return fmt.Errorf("body of %d bytes; %d are allowed", len(e.Body), maxBody)
	}
	if len(e.Body) == 0 {
		e.Body = json.RawMessage("{}")
		return nil
	}
	body, err := canonical(e.Body)
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	e.Body = body
	return nil
}

// Leaf gives what the log holds of an entry, which must be normalised.
func Leaf(e *Entry, salt []byte) []byte {
	var hidden bytes.Buffer
	hidden.Write(salt)
	hidden.WriteString(`{"actor":`)
	writeString(&hidden, e.Actor)
	hidden.WriteString(`,"body":`)
	hidden.Write(e.Body)
	hidden.WriteString(`,"subject":`)
	writeString(&hidden, e.Subject)
	hidden.WriteByte('}')
	digest := sha256.Sum256(hidden.Bytes())

	var b bytes.Buffer
	b.WriteString(`{"at":`)
	writeString(&b, e.At.UTC().Format(timeFormat))
	b.WriteString(`,"digest":`)
	writeString(&b, hex.EncodeToString(digest[:]))
	b.WriteString(`,"id":`)
	writeString(&b, string(e.ID))
	b.WriteString(`,"kind":`)
	writeString(&b, e.Kind)
	b.WriteString(`,"v":1}`)
	return b.Bytes()
}

// check makes sure that an entry from outside is one that Append could have
// written, so that no two different entries have the same leaf. Its body may
// have been written anew by a JSON encoder on its way here: it is brought back
// to the canonical form.
func (e *Entry) check() error {
	if e.At.Nanosecond()%int(time.Microsecond) != 0 {
		return errors.New("its time is finer than a microsecond")
	}
	if id, err := uuid.Parse(string(e.ID)); err != nil || id.String() != string(e.ID) {
		return errors.New("its id is no UUID")
	}
	if len(e.Body) == 0 {
		return errors.New("it has no body")
	}
	return e.Normalise()
}
