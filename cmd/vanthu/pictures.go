package main

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"

	"vanthu/signing"
	"vanthu/signing/pdf/picture"
)

// pictures writes what people compare: the pages of a file as signed and as they are now, where they differ. A file
// that cannot be drawn keeps its verdict and is told of.
func (c verifyCmd) pictures(a *app, name string, judged *signing.Report, renderer *picture.Renderer) error {
	signed, ok := judged.ChangedFrom()
	if !ok {
		return nil
	}
	file, err := os.Open(name)
	if err != nil {
		return unreadable(err)
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return unreadable(err)
	}
	changes, err := renderer.Changes(a.ctx, file, signed, info.Size())
	if err != nil {
		fmt.Fprintf(a.stderr, "vanthu: %s: %v\n", name, err)
		return nil
	}
	if err := os.MkdirAll(c.Pictures, 0o750); err != nil {
		return unreadable(err)
	}
	base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	for _, pair := range changes.Pairs {
		for state, drawn := range map[string]*image.RGBA{"signed": pair.Before, "now": pair.After} {
			if drawn == nil {
				continue
			}
			picture.Mark(drawn, pair.Regions)
			out := filepath.Join(c.Pictures, fmt.Sprintf("%s-page-%d-%s.png", base, pair.Page, state))
			if err := writeOnce(out, func(w io.Writer) error { return png.Encode(w, drawn) }); err != nil {
				return err
			}
			fmt.Fprintln(a.stderr, out)
		}
	}
	fmt.Fprintf(a.stderr, "%s: %s %d/%d\n", name, words(a.lang, "trang khác lúc ký:", "pages that differ from what was signed:"), len(changes.Pairs), changes.Looked)
	return nil
}
