package peer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"

	"vanthu/storage/blob"
)

// parts keeps encrypted parts until a consignment names them, a folder for each hub. A part is no promise: one that a
// crash or its age took away is asked for again when it is named.
type parts struct {
	dir    string
	most   int64 // bytes of one part
	stored int64 // bytes of all parts of one hub
	now    func() time.Time

	mu   sync.Mutex
	busy map[string]bool
}

func newParts(dir string, most, stored int64, now func() time.Time) *parts {
	return &parts{dir: dir, most: most, stored: stored, now: now, busy: map[string]bool{}}
}

func (s *parts) path(hub string, d blob.Digest) string { return filepath.Join(s.dir, hub, string(d)) }

const growing = ".part"

// take lets one request at a time write a part.
func (s *parts) take(path string) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[path] {
		return nil, false
	}
	s.busy[path] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.busy, path)
	}, true
}

// offset tells how much of a part is here, and whether that is all of it.
func (s *parts) offset(hub string, d blob.Digest) (n int64, complete bool, err error) {
	info, err := os.Stat(s.path(hub, d))
	if err == nil {
		return info.Size(), true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, false, fmt.Errorf("looking for a part: %w", err)
	}
	info, err = os.Stat(s.path(hub, d) + growing)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("looking for a part: %w", err)
	}
	return info.Size(), false, nil
}

// span is where a piece of a part belongs.
type span struct{ first, last, total int64 }

func (r span) size() int64 { return r.last - r.first + 1 }

var rangeGrammar = regexp.MustCompile(`^bytes (\d{1,18})-(\d{1,18})/(\d{1,18})$`)

// readRange reads a Content-Range of the form "bytes 0-499/1234" (RFC 9110 §14.4); without one the body is all of it.
func readRange(text string, length int64) (span, error) {
	if text == "" {
		if length <= 0 {
			return span{}, refuse(codeInvalid, "Thiếu Content-Length.", "Content-Length is missing.")
		}
		return span{0, length - 1, length}, nil
	}
	m := rangeGrammar.FindStringSubmatch(text)
	if m == nil {
		return span{}, refuse(codeInvalid, "Content-Range không hợp lệ.", "The Content-Range is not valid.")
	}
	var n [3]int64
	for i := range n {
		n[i], _ = strconv.ParseInt(m[i+1], 10, 64) // at most 18 digits, by the pattern
	}
	r := span{n[0], n[1], n[2]}
	if r.first > r.last || r.last >= r.total || length >= 0 && length != r.size() {
		return span{}, refuse(codeInvalid, "Content-Range không khớp.", "The Content-Range does not fit.")
	}
	return r, nil
}

// write takes a piece of a part whose own digest is given. What does not have it leaves no trace; what is complete has
// to have the part's digest. It gives how much is there now.
func (s *parts) write(ctx context.Context, hub string, d blob.Digest, at span, body io.Reader, sum string) (n int64, complete bool, err error) {
	path := s.path(hub, d)
	release, ok := s.take(path)
	if !ok {
		return 0, false, refuse(codeBusy, "Phần này đang được tải lên.", "This part is being uploaded.")
	}
	defer release()
	n, complete, err = s.offset(hub, d)
	if err != nil || complete {
		return n, complete, err
	}
	if at.total > s.most {
		return n, false, refuse(codeTooLarge, "Phần tải lên quá lớn.", "The part is too large.")
	}
	if at.first != n {
		e := refuse(codeOffset, "Phần này phải tiếp tục ở vị trí khác.", "The part goes on elsewhere.")
		e.Offset = n
		return n, false, e
	}
	if err := s.room(hub, at.size()); err != nil {
		return n, false, err
	}
	if err := s.append(path, at, body, sum); err != nil {
		return n, false, err
	}
	if n = at.last + 1; n < at.total {
		return n, false, nil
	}
	return n, true, s.finish(ctx, path, d)
}

// room makes the hub's folder and refuses what would be more than it may have waiting here.
func (s *parts) room(hub string, more int64) error {
	folder := filepath.Join(s.dir, hub)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("making the folder of parts: %w", err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("reading the folder of parts: %w", err)
	}
	total := more
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	if total > s.stored {
		return refuse(codeFull, "Quá nhiều phần chưa được gửi trong một chuyến hàng.", "Too many parts wait for a consignment that names them.")
	}
	return nil
}

func (s *parts) append(path string, at span, body io.Reader, sum string) (err error) {
	file, err := os.OpenFile(path+growing, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening a part: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(io.NewOffsetWriter(file, at.first), hash), io.LimitReader(body, at.size()+1))
	if err == nil && (n != at.size() || hex.EncodeToString(hash.Sum(nil)) != sum) {
		err = refuse(codeDigest, "Nội dung tải lên không khớp mã băm đã ký.", "What was uploaded has not the digest that was signed.")
	}
	if err != nil {
		return errors.Join(err, file.Truncate(at.first))
	}
	return nil
}

// finish gives a part its name when it has its digest, and throws it away when not.
func (s *parts) finish(ctx context.Context, path string, d blob.Digest) error {
	file, err := os.Open(path + growing)
	if err != nil {
		return fmt.Errorf("reading a part again: %w", err)
	}
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	if err = errors.Join(err, file.Close(), ctx.Err()); err != nil {
		return fmt.Errorf("reading a part again: %w", err)
	}
	if hex.EncodeToString(hash.Sum(nil)) != string(d) {
		return errors.Join(refuse(codeDigest, "Phần tải lên không khớp mã băm; hãy tải lại từ đầu.", "The part has not its digest; upload it again."), os.Remove(path+growing))
	}
	return os.Rename(path+growing, path)
}

// open gives a complete part; fs.ErrNotExist when it is not here.
func (s *parts) open(hub string, d blob.Digest) (*os.File, error) { return os.Open(s.path(hub, d)) }

// drop removes a part that is no longer needed.
func (s *parts) drop(hub string, d blob.Digest) error {
	err := os.Remove(s.path(hub, d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// expire removes the parts that nothing has named for too long. It gives how many.
func (s *parts) expire() (n int, err error) {
	limit := s.now().Add(-partKept)
	hubs, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the folder of parts: %w", err)
	}
	for _, hub := range hubs {
		folder := filepath.Join(s.dir, hub.Name())
		entries, err := os.ReadDir(folder)
		if err != nil {
			return n, fmt.Errorf("reading the folder of parts: %w", err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || info.ModTime().After(limit) {
				continue // gone meanwhile, or young
			}
			if err := os.Remove(filepath.Join(folder, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return n, fmt.Errorf("removing an old part: %w", err)
			}
			n++
		}
	}
	return n, nil
}
