package exchange

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"vanthu/signing"
	"vanthu/signing/pdf"
	"vanthu/storage/blob"
)

const (
	verdictLife   = 10 * time.Minute // revocation data may change: a verdict is not kept longer
	verdictMax    = 4096
	verifyTimeout = time.Minute
	recentBudget  = 64 << 20
	recentLargest = 4 << 20
)

// verdicts keeps the judgement of a content for a short time, so that three
// recipients of one document on this hub cost one verification, and what was
// judged when it was signed is not judged again on arrival.
type verdicts struct {
	flight singleflight.Group
	mu     sync.Mutex
	kept   map[verdictKey]verdict
}

type verdictKey struct {
	digest blob.Digest
	trust  uint64
}

type verdict struct {
	report *signing.Report // never changed after it was made
	until  time.Time
}

func newVerdicts() *verdicts { return &verdicts{kept: map[verdictKey]verdict{}} }

func (v *verdicts) get(k verdictKey, now time.Time) *signing.Report {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e, ok := v.kept[k]; ok && now.Before(e.until) {
		return e.report
	}
	return nil
}

func (v *verdicts) put(k verdictKey, r *signing.Report, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.kept) >= verdictMax {
		for old, e := range v.kept { // the expired, else an arbitrary half
			if !now.Before(e.until) || len(v.kept) > verdictMax/2 {
				delete(v.kept, old)
			}
		}
	}
	v.kept[k] = verdict{r, now.Add(verdictLife)}
}

func (s *Service) verifyOptions() signing.VerifyOptions {
	return signing.VerifyOptions{
		Trust: s.trust.Load().trust, Now: s.cfg.Now, Offline: s.cfg.Offline, MaxSize: s.cfg.MaxPDF,
		Fetcher: s.cfg.Fetcher, RequireRevocation: s.cfg.RequireRevocation,
	}
}

// judge gives our validator's report on a stored PDF; a file that cannot be read
// at all gets a report of its own that says so. The error is I/O.
func (s *Service) judge(ctx context.Context, ref blob.Ref) (*signing.Report, error) {
	key := verdictKey{ref.Digest, s.trust.Load().generation}
	if r := s.verdicts.get(key, s.cfg.Now()); r != nil {
		return r, nil
	}
	name := string(key.digest) + strconv.FormatUint(key.trust, 10)
	done := s.verdicts.flight.DoChan(name, func() (any, error) {
		// The work outlives the caller that began it: others wait for it too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), verifyTimeout)
		defer cancel()
		data, err := s.bytes(ctx, ref)
		if err != nil {
			return nil, err
		}
		r, err := signing.VerifyPDF(ctx, bytes.NewReader(data), int64(len(data)), s.verifyOptions())
		var unreadable *pdf.Error
		if errors.As(err, &unreadable) && unreadable.Kind != pdf.Stopped {
			r = &signing.Report{Verdict: signing.TotalFailed, Integrity: signing.Unclear, Reasons: []string{unreadable.Error()}}
		} else if err != nil {
			return nil, fmt.Errorf("verifying %s: %w", ref.Digest, err)
		}
		s.verdicts.put(key, r, s.cfg.Now())
		return r, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*signing.Report), nil
	}
}

// judged keeps a report just made for a content.
func (s *Service) judged(d blob.Digest, r *signing.Report) {
	s.verdicts.put(verdictKey{d, s.trust.Load().generation}, r, s.cfg.Now())
}

// readPDF reads a PDF that comes in, up to the limit. Whether it is one is for
// the validator to say.
func (s *Service) readPDF(r io.Reader) ([]byte, error) {
	var data bytes.Buffer
	if sized, ok := r.(interface{ Len() int }); ok && int64(sized.Len()) <= s.cfg.MaxPDF {
		data.Grow(sized.Len() + bytes.MinRead)
	}
	if _, err := data.ReadFrom(io.LimitReader(r, s.cfg.MaxPDF+1)); err != nil {
		return nil, fmt.Errorf("reading the PDF: %w", err)
	}
	if int64(data.Len()) > s.cfg.MaxPDF {
		return nil, s.tooLarge()
	}
	return data.Bytes(), nil
}

func (s *Service) tooLarge() *Error {
	limit := float64(s.cfg.MaxPDF) / (1 << 20)
	return failf(KindTooLarge, "Tệp lớn hơn giới hạn %.1f MiB.", "The file is over the limit of %.1f MiB.", limit).
		Advise("Giảm độ phân giải ảnh quét hoặc tách phụ lục ra tệp riêng.", "Scan at a lower resolution, or put annexes into files of their own.").
		Keeping("Chưa lưu gì.", "Nothing was stored.")
}

// unreadable turns what the PDF reader refuses into words for people; it gives
// nil for other errors.
func (s *Service) unreadable(err error) *Error {
	var pe *pdf.Error
	if !errors.As(err, &pe) || pe.Kind == pdf.Stopped {
		return nil
	}
	var e *Error
	switch pe.Kind {
	case pdf.NotPDF:
		e = fail(KindInvalid, "Tệp này không phải PDF.", "This file is not a PDF.").
			Advise("Xuất văn bản ra PDF rồi tải lên lại.", "Export the document as PDF and upload it again.")
	case pdf.Encrypted:
		e = fail(KindInvalid, "Tệp PDF có mật khẩu (mã hóa) nên không ký và kiểm tra được.", "The PDF is encrypted and cannot be signed or verified.").
			Advise("Bỏ mật khẩu của tệp rồi tải lên lại.", "Remove its password and upload it again.")
	case pdf.TooLarge:
		e = s.tooLarge()
	default:
		e = fail(KindInvalid, "Tệp PDF bị hỏng, không đọc được.", "The PDF is damaged and cannot be read.").
			Advise("Mở tệp bằng trình đọc PDF, in lại ra PDF rồi tải lên lại.", "Open it in a PDF reader, print it to PDF and upload that.")
	}
	return e.Keeping("Chưa lưu gì.", "Nothing was stored.").Because(err)
}

// put stores bytes and remembers them for the next step.
func (s *Service) put(ctx context.Context, data []byte) (blob.Ref, error) {
	ref, err := blob.PutBytes(ctx, s.cfg.Store.Blobs, data)
	if err != nil {
		return ref, storageError("storing the PDF", err)
	}
	s.recent.put(ref.Digest, data)
	return ref, nil
}

// bytes gives a stored PDF, from memory when it was handled a moment ago.
func (s *Service) bytes(ctx context.Context, ref blob.Ref) ([]byte, error) {
	if data := s.recent.get(ref.Digest); data != nil {
		return data, nil
	}
	data, err := blob.ReadAll(ctx, s.cfg.Store.Blobs, ref.Digest, s.cfg.MaxPDF)
	if errors.Is(err, blob.ErrCorrupt) || errors.Is(err, blob.ErrNotFound) {
		return nil, fail(KindUnavailable, "Tệp đã lưu bị hỏng hoặc bị mất, không đọc được.", "The stored file is damaged or gone.").
			Advise("Báo quản trị viên chạy “vanthu check” và khôi phục tệp từ bản sao lưu.", "Have the administrator run “vanthu check” and restore the file from the backup.").
			Keeping("Thông tin đăng ký và nhật ký của văn bản vẫn còn.", "The registration and the evidence of the document are kept.").Because(err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ref.Digest, err)
	}
	s.recent.put(ref.Digest, data)
	return data, nil
}

// recentBytes keeps the PDFs handled last, so that initial, approval, seal and
// archive do not each read and hash the same file. The bytes are never changed.
type recentBytes struct {
	mu     sync.Mutex
	budget int64
	size   int64
	order  *list.List // of recentEntry, newest first
	items  map[blob.Digest]*list.Element
}

type recentEntry struct {
	digest blob.Digest
	data   []byte
}

func newRecentBytes(budget int64) *recentBytes {
	return &recentBytes{budget: budget, order: list.New(), items: map[blob.Digest]*list.Element{}}
}

func (c *recentBytes) get(d blob.Digest) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[d]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(recentEntry).data
}

func (c *recentBytes) put(d blob.Digest, data []byte) {
	if len(data) > recentLargest {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[d]; ok {
		return
	}
	c.items[d] = c.order.PushFront(recentEntry{d, data})
	c.size += int64(len(data))
	for c.size > c.budget {
		old := c.order.Remove(c.order.Back()).(recentEntry)
		delete(c.items, old.digest)
		c.size -= int64(len(old.data))
	}
}

// drop forgets a content that is superseded.
func (c *recentBytes) drop(d blob.Digest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.items[d]; ok {
		c.order.Remove(e)
		delete(c.items, d)
		c.size -= int64(len(e.Value.(recentEntry).data))
	}
}
