package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pdf"
	"vanthu/signing/stamp"
)

type signCmd struct {
	keyFlags
	Profile       string   `default:"pades-b-b" enum:"adbe,pades-b-b,pades-b-t,pades-b-lt,pades-b-lta" help:"Hồ sơ chữ ký. | Signature profile."`
	Field         string   `help:"Trường chữ ký có sẵn hoặc mới. | Signature field, existing or new."`
	Image         string   `help:"Ảnh PNG của chữ ký. | PNG image of the signature." type:"existingfile"`
	Text          []string `help:"Dòng chữ hiển thị (lặp lại được). | Line of text in the appearance (repeatable)."`
	Page          int      `default:"1" help:"Trang, từ 1. | Page, from 1."`
	Rect          string   `help:"X,Y,W,H (mm từ góc trên trái). | in mm from the top left."`
	Reason        string   `help:"Lý do ký. | Reason."`
	Location      string   `help:"Nơi ký. | Location."`
	Certify       int      `help:"Chứng thực tài liệu: 1 không cho sửa gì, 2 cho điền biểu mẫu và ký, 3 cho cả chú thích. | Certify the document: 1 no changes, 2 forms and signatures, 3 annotations too." default:"0"`
	Fill          []string `sep:"none" help:"TRƯỜNG=GIÁ TRỊ: điền trường văn bản khi ký (lặp lại được). | FIELD=VALUE: fill in a text field with this signature (repeatable)."`
	After         []string `help:"Trường phải được ký trước. | Field that must be signed before."`
	Detached      bool     `help:"Ký tách rời (CMS) tệp bất kỳ. | Detached CMS of any file."`
	In            string   `arg:"" help:"Tệp vào. | Input." type:"existingfile"`
	Out           string   `arg:"" help:"Tệp ra. | Output."`
	longTermFlags `embed:""`
}

// Run signs In into Out. Out appears only when the signature was made and judged good; In is never changed.
func (c signCmd) Run(a *app) error {
	key, closeKey, err := c.openKey(a)
	if err != nil {
		return err
	}
	defer closeKey()
	if same, err := sameFile(c.In, c.Out); err != nil {
		return unreadable(err)
	} else if same {
		return unreadable(errors.New("IN and OUT are the same file; the original is kept, so give another OUT"))
	}
	if c.Detached {
		return c.detached(a, key)
	}
	options, err := c.options(a, key)
	if err != nil {
		return unreadable(err)
	}
	var judged *signing.Report
	before, after, err := rewrite(c.In, c.Out, func(in io.ReaderAt, size int64, out io.Writer) (err error) {
		judged, err = signing.SignChecked(a.ctx, in, size, out, options, signing.VerifyOptions{Offline: true, Now: time.Now})
		return err
	})
	if _, damaged := errors.AsType[*pdf.Error](err); damaged {
		return unreadable(fmt.Errorf("sign %s: %w; nothing was signed", c.In, err))
	}
	if err != nil {
		return fmt.Errorf("sign %s: %w; nothing was signed", c.In, err)
	}
	for _, reason := range judged.Reasons {
		fmt.Fprintln(a.stderr, reason) // an earlier signature that was bad before, say
	}
	for _, s := range slices.Backward(judged.Signatures) {
		if s.Kind == signing.KindSignature {
			fmt.Fprintf(a.stderr, "%s: %s, %s, %s (+%d bytes)\n", c.Out, s.Signer, s.Level, s.Algorithm, after-before)
			break
		}
	}
	return nil
}

// rewrite makes a file out of another, whole or not at all, and gives their sizes.
func rewrite(in, out string, work func(io.ReaderAt, int64, io.Writer) error) (before, after int64, err error) {
	source, err := os.Open(in)
	if err != nil {
		return 0, 0, unreadable(err)
	}
	defer source.Close() //nolint:errcheck // only read
	info, err := source.Stat()
	if err != nil {
		return 0, 0, unreadable(err)
	}
	count := counter{}
	err = writeOnce(out, func(w io.Writer) error {
		count.w = w
		return work(source, info.Size(), &count)
	})
	return info.Size(), count.n, err
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (c signCmd) detached(a *app, key *keys.Key) error {
	in, err := os.Open(c.In)
	if err != nil {
		return unreadable(err)
	}
	defer in.Close() //nolint:errcheck // only read
	options, err := c.detachedOptions(a)
	if err != nil {
		return unreadable(err)
	}
	cms, err := signing.SignDetached(a.ctx, in, key, options)
	if err != nil {
		return fmt.Errorf("sign %s: %w", c.In, err)
	}
	return writeOnce(c.Out, func(w io.Writer) error {
		_, err := w.Write(cms)
		return err
	})
}

// detachedOptions takes the level from the profile; the plain one means the highest that needs no more than --tsa.
func (c signCmd) detachedOptions(a *app) (o signing.DetachedOptions, err error) {
	if o.TSA, err = c.client(); err != nil {
		return o, err
	}
	switch signing.Profile(c.Profile) {
	case signing.ProfileBT:
		o.Level = signing.LevelT
	case signing.ProfileBLT:
		o.Level = signing.LevelLT
	case signing.ProfileBLTA:
		o.Level = signing.LevelLTA
	default:
		return o, nil
	}
	o.Trust, o.Revocation, err = c.evidence(a)
	return o, err
}

func (c signCmd) options(a *app, key *keys.Key) (signing.SignOptions, error) {
	options := signing.SignOptions{
		Key: key, Profile: signing.Profile(c.Profile), Field: c.Field, Page: c.Page,
		Reason: c.Reason, Location: c.Location, At: time.Now(), Certify: c.Certify, After: c.After,
	}
	for _, text := range c.Fill {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return options, fmt.Errorf("--fill %q: want FIELD=VALUE", text)
		}
		if options.Fill == nil {
			options.Fill = make(map[string]string)
		}
		options.Fill[name] = value
	}
	var err error
	if options.TSA, err = c.client(); err != nil {
		return options, err
	}
	if options.Profile == signing.ProfileBLT || options.Profile == signing.ProfileBLTA {
		if options.Trust, options.Revocation, err = c.evidence(a); err != nil {
			return options, err
		}
	}
	if c.Rect != "" {
		rect, err := stamp.ParseRectMM(c.Rect)
		if err != nil {
			return options, err
		}
		options.Rect = &rect
	}
	if c.Image == "" && len(c.Text) == 0 {
		return options, nil
	}
	options.Appearance = &stamp.Appearance{Lines: c.Text}
	if c.Image != "" {
		picture, err := os.ReadFile(c.Image)
		if err != nil {
			return options, err
		}
		options.Appearance.Image = picture
	}
	return options, nil
}

func sameFile(a, b string) (bool, error) {
	first, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	second, err := os.Stat(b)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return os.SameFile(first, second), nil
}

// writeOnce writes a file whole or not at all: a temporary file beside it, fsync, rename.
func writeOnce(name string, write func(io.Writer) error) error {
	dir := filepath.Dir(name)
	temp, err := os.CreateTemp(dir, ".vanthu-*")
	if err != nil {
		return unreadable(fmt.Errorf("write %s: %w", name, err))
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // gone already when all went well
	if err := errors.Join(write(temp), temp.Chmod(0o644), temp.Sync()); err != nil {
		return fmt.Errorf("write %s: %w; nothing was left behind", name, errors.Join(err, temp.Close()))
	}
	if err := temp.Close(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Rename(temp.Name(), name)
}
