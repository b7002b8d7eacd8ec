package agent

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Events of the journal.
const (
	EventSigning = "signing" // before the person is asked
	EventSigned  = "signed"
	EventRefused = "refused"
	EventFailed  = "failed"
)

// ErrUsed means that a ticket has made its signature.
var ErrUsed = errors.New("agent: the ticket was used")

// ErrJournal means that the journal cannot be written or read: nothing is signed then.
var ErrJournal = errors.New("agent: the journal cannot be kept")

// Record is one line of the journal. It names the ticket and the signature by their SHA-256; it never holds a PIN.
type Record struct {
	At          string `json:"at"` // RFC 3339
	Event       string `json:"event"`
	Hub         string `json:"hub"`
	Ticket      string `json:"ticket"`
	Document    string `json:"document"`
	Code        string `json:"code,omitempty"`
	Subject     string `json:"subject"`
	Step        string `json:"step"`
	Digest      string `json:"digest"`
	Certificate string `json:"certificate"`
	Signature   string `json:"signature,omitempty"`
	Reason      string `json:"reason,omitempty"`
	// Before is the SHA-256 of the line before this one, so that a line that is taken out or changed shows.
	Before string `json:"before"`
}

// Journal is the file of what a key was used for (nhật ký sử dụng khóa): one JSON object a line, only ever added to, each
// flushed to the disk before it counts. It is safe for concurrent use.
type Journal struct {
	mu   sync.Mutex
	file *os.File
	last string
	used map[string]bool
	now  func() time.Time
}

// OpenJournal opens or begins a journal and reads which tickets were used. ErrJournal says that a line does not follow
// from the one before: somebody changed the file. A last line that was cut off in a crash is closed off and kept.
func OpenJournal(name string, now func() time.Time) (*Journal, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJournal, err)
	}
	j := &Journal{file: file, used: map[string]bool{}, now: now}
	if err := j.read(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

func (j *Journal) read() error {
	scanner := bufio.NewScanner(j.file)
	scanner.Buffer(nil, 1<<20)
	for number := 1; scanner.Scan(); number++ {
		line := scanner.Bytes()
		var r Record
		if err := json.Unmarshal(line, &r); err != nil {
			j.last = digest(line) // cut off in a crash: the next line follows from it all the same
			continue
		}
		if r.Before != j.last {
			return fmt.Errorf("%w: line %d does not follow from the one before; the file was changed", ErrJournal, number)
		}
		j.last = digest(line)
		if r.Event == EventSigned {
			j.used[r.Ticket] = true
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	return j.closeLine()
}

// closeLine ends a line that was cut off.
func (j *Journal) closeLine() error {
	info, err := j.file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	var end [1]byte
	if _, err := j.file.ReadAt(end[:], info.Size()-1); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	if end[0] == '\n' {
		return nil
	}
	if _, err := j.file.Write([]byte{'\n'}); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	return nil
}

func digest(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// Used tells whether a ticket (its SHA-256) has made a signature.
func (j *Journal) Used(ticket string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.used[ticket]
}

// Add writes one line and waits until it is on the disk.
func (j *Journal) Add(event string, r Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.At, r.Event, r.Before = j.now().UTC().Format(time.RFC3339Nano), event, j.last
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	j.last = digest(line)
	if event == EventSigned {
		j.used[r.Ticket] = true
	}
	return nil
}

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }
