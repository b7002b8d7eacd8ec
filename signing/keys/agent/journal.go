package agent

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
// flushed to the disk before it counts. It is safe for concurrent use, also by several programs with one file: a line is
// written under the file's lock, after what others wrote was read. Lines that are missing at the end do not show.
type Journal struct {
	mu   sync.Mutex
	file *os.File
	read int64 // bytes that were read or written by now
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
	if err := j.locked(func() error { return nil }); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

// locked does something to the file alone, knowing all that is in it.
func (j *Journal) locked(do func() error) (err error) {
	if err := lock(j.file); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	defer func() { err = errors.Join(err, unlock(j.file)) }()
	if err := j.catchUp(); err != nil {
		return err
	}
	return do()
}

// catchUp reads what was added since the last time, by this program or another.
func (j *Journal) catchUp() error {
	info, err := j.file.Stat()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	if info.Size() < j.read {
		return fmt.Errorf("%w: the file is shorter than it was", ErrJournal)
	}
	if info.Size() == j.read {
		return nil
	}
	if err := j.closeLine(info.Size()); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	scanner := bufio.NewScanner(io.NewSectionReader(j.file, j.read, info.Size()+1-j.read))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line := scanner.Bytes()
		var r Record
		if err := json.Unmarshal(line, &r); err == nil {
			if r.Before != j.last {
				return fmt.Errorf("%w: the line at byte %d does not follow from the one before; the file was changed", ErrJournal, j.read)
			}
			if r.Event == EventSigned {
				j.used[r.Ticket] = true
			}
		}
		j.last = digest(line) // one that was cut off in a crash too: the next follows from it all the same
		j.read += int64(len(line)) + 1
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	return nil
}

// closeLine ends a line that was cut off.
func (j *Journal) closeLine(size int64) error {
	var end [1]byte
	if _, err := j.file.ReadAt(end[:], size-1); err != nil || end[0] == '\n' {
		return err
	}
	_, err := j.file.Write([]byte{'\n'})
	return err
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

// Add writes one line and waits until it is on the disk. What could not be written whole is taken back.
func (j *Journal) Add(event string, r Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.locked(func() error {
		r.At, r.Event, r.Before = j.now().UTC().Format(time.RFC3339Nano), event, j.last
		line, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrJournal, err)
		}
		_, err = j.file.Write(append(line, '\n'))
		if err == nil {
			err = j.file.Sync()
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrJournal, errors.Join(err, j.file.Truncate(j.read)))
		}
		j.last, j.read = digest(line), j.read+int64(len(line))+1
		if event == EventSigned {
			j.used[r.Ticket] = true
		}
		return nil
	})
}

// Close closes the file when what is being written is.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Close()
}
