// Package picture draws pages of PDF files for people to look at: the page as it was signed beside the page as it is
// now, with what differs marked (hình trang lúc ký và hiện tại). A picture proves nothing; the verdict stands in package
// signing.
//
// The drawing is done by PDFium, compiled to WebAssembly and run by wazero: it has a memory of its own with an upper
// bound, no file system, no network and no clock that matters, and is thrown away after every job. A file that loops or
// eats memory ends its job with ErrLimit, and nothing else. One job runs at a time.
package picture

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

var (
	// ErrLimit means that a file took more time or memory than a job has.
	ErrLimit = errors.New("picture: the file takes more time or memory than a picture may")
	// ErrUnreadable means that PDFium cannot open the file or draw the page.
	ErrUnreadable = errors.New("picture: the page cannot be drawn")
	// ErrClosed means that the renderer was closed.
	ErrClosed = errors.New("picture: the renderer is closed")
)

// Options of New; the zero value is usable.
type Options struct {
	// Cache is a folder for the compiled program (about 20 MB), so that only the first start ever pays for it (some ten
	// seconds of a processor and 300 MB). "" = the user's cache folder; where there is none, nothing is kept.
	Cache string
	// Memory bounds what a job may use, in bytes; 0 = 256 MiB. It is rounded down to pages of 64 KiB.
	Memory int64
	// Time bounds a job; 0 = 20 s.
	Time time.Duration
	// Width and Height bound a picture in pixels; 0 = 1000 and 1414. The page keeps its proportions.
	Width, Height int
}

const (
	wasmPage      = 64 << 10
	defaultMemory = 256 << 20
	defaultTime   = 20 * time.Second
	defaultWidth  = 1000
	defaultHeight = 1414
)

// Renderer draws pages. It is safe for concurrent use; jobs wait for each other. Nothing is loaded before the first job.
type Renderer struct {
	options Options
	turn    chan struct{} // holds one token: the right to run a job
	pool    pdfium.Pool   // nil until the first job; guarded by turn
	cache   wazero.CompilationCache
	closed  bool
}

// New makes a renderer.
func New(o Options) *Renderer {
	if o.Memory <= 0 {
		o.Memory = defaultMemory
	}
	if o.Time <= 0 {
		o.Time = defaultTime
	}
	if o.Width <= 0 || o.Height <= 0 {
		o.Width, o.Height = defaultWidth, defaultHeight
	}
	r := &Renderer{options: o, turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	return r
}

// Close waits for the running job and lets go of the program.
func (r *Renderer) Close() error {
	<-r.turn
	defer func() { r.turn <- struct{}{} }()
	r.closed = true
	var problems error
	if r.pool != nil {
		problems = r.pool.Close()
	}
	if r.cache != nil {
		problems = errors.Join(problems, r.cache.Close(context.Background()))
	}
	r.pool, r.cache = nil, nil
	return problems
}

// load compiles the program, or fetches it from the cache.
func (r *Renderer) load() error {
	if r.closed {
		return ErrClosed
	}
	if r.pool != nil {
		return nil
	}
	config := wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling).
		WithMemoryLimitPages(uint32(min(r.options.Memory/wasmPage, 65536))).WithCloseOnContextDone(true)
	if folder := r.folder(); folder != "" {
		cache, err := wazero.NewCompilationCacheWithDir(folder)
		if err != nil {
			return fmt.Errorf("opening the folder of the compiled program: %w", err)
		}
		r.cache = cache
		config = config.WithCompilationCache(cache)
	}
	pool, err := webassembly.Init(webassembly.Config{MinIdle: 0, MaxIdle: 1, MaxTotal: 1, RuntimeConfig: config,
		FSConfig: wazero.NewFSConfig(), // nothing of the host
		Stdout:   io.Discard, Stderr: io.Discard})
	if err != nil {
		return fmt.Errorf("loading PDFium: %w", err)
	}
	r.pool = pool
	return nil
}

func (r *Renderer) folder() string {
	if r.options.Cache != "" {
		return r.options.Cache
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(base, "vanthu", "pdfium")
}

// work is what a job does with a fresh program.
type work func(pdfium.Pdfium) error

// job runs work in its turn, in a program of its own that ends with it. The time of loading does not count.
func (r *Renderer) job(ctx context.Context, do work) error {
	select {
	case <-r.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { r.turn <- struct{}{} }()
	if err := r.load(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.options.Time)
	defer cancel()
	instance, err := r.pool.GetInstanceWithContext(ctx)
	if err != nil {
		return fmt.Errorf("starting PDFium: %w", err)
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil { // the bridge panics where the program broke down under it
				done <- fmt.Errorf("%w: PDFium broke down", ErrLimit)
			}
		}()
		done <- do(instance)
	}()
	select {
	case err = <-done:
		// What broke down cannot be closed in order; its memory goes with it either way.
		_ = instance.Close()
	case <-ctx.Done():
		_ = instance.Kill() // makes the running call return
		<-done              //nolint:errcheck // that it was stopped is what is told
		return fmt.Errorf("%w: over %v", ErrLimit, r.options.Time)
	}
	return err
}

// open opens a file in a program.
func open(p pdfium.Pdfium, file io.ReadSeeker, size int64) (references.FPDF_DOCUMENT, int, error) {
	opened, err := p.OpenDocument(&requests.OpenDocument{FileReader: file, FileReaderSize: size})
	if err != nil {
		return "", 0, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	count, err := p.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: opened.Document})
	if err != nil {
		return "", 0, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return opened.Document, count.PageCount, nil
}

// draw draws a page, counted from 0, on white.
func (r *Renderer) draw(p pdfium.Pdfium, document references.FPDF_DOCUMENT, page int) (*image.RGBA, error) {
	drawn, err := p.RenderPageInPixels(&requests.RenderPageInPixels{Page: requests.Page{ByIndex: &requests.PageByIndex{Document: document, Index: page}},
		Width: r.options.Width, Height: r.options.Height, RenderFlags: enums.FPDF_RENDER_FLAG_ANNOT})
	if err != nil {
		return nil, fmt.Errorf("%w: page %d: %w", ErrUnreadable, page+1, err)
	}
	defer drawn.Cleanup()
	from := drawn.Result.RenderedImage
	out := image.NewRGBA(image.Rect(0, 0, from.Bounds().Dx(), from.Bounds().Dy()))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(out, out.Bounds(), from, from.Bounds().Min, draw.Over)
	return out, nil
}

// Page draws one page, counted from 1.
func (r *Renderer) Page(ctx context.Context, file io.ReaderAt, size int64, page int) (*image.RGBA, error) {
	var out *image.RGBA
	err := r.job(ctx, func(p pdfium.Pdfium) error {
		document, count, err := open(p, io.NewSectionReader(file, 0, size), size)
		if err != nil {
			return err
		}
		if page < 1 || page > count {
			return fmt.Errorf("%w: page %d of %d", ErrUnreadable, page, count)
		}
		out, err = r.draw(p, document, page-1)
		return err
	})
	return out, err
}
