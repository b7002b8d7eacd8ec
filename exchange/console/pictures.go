package console

import (
	"bytes"
	"context"
	"encoding/base64"
	"html/template"
	"image"
	"image/jpeg"
	"io"
	"log/slog"
	"strconv"

	"vanthu/signing"
	"vanthu/signing/pdf/picture"
)

// Pictures draws the pages of a file that differ from a signed state of it; see picture.Renderer.
type Pictures func(ctx context.Context, file io.ReaderAt, signed, size int64) (*picture.Changes, error)

// maxPicturePairs bounds how many pages are shown side by side.
const maxPicturePairs = 4

// picturesView are the pages as signed and as they are now.
type picturesView struct {
	Note  string // what was looked at, or why there is nothing to see
	Pairs []picturePair
}

type picturePair struct {
	Page        string
	Before, Now template.URL // "" = there is no such page
}

// pictures shows what was changed after signing; nil where nothing was, or nothing is left to compare with.
func (v *visit) pictures(report *signing.Report, file []byte) *picturesView {
	signed, ok := report.ChangedFrom()
	if !ok || v.srv.cfg.Pictures == nil {
		return nil
	}
	changes, err := v.srv.cfg.Pictures(v.ctx(), bytes.NewReader(file), signed, int64(len(file)))
	if err != nil {
		v.srv.log.LogAttrs(v.ctx(), slog.LevelInfo, "pages not drawn", slog.String("request", v.id), slog.String("error", err.Error()))
		return &picturesView{Note: v.say("pictures.failed")}
	}
	view := &picturesView{Note: v.say("pictures.note", v.num(len(changes.Pairs)), v.num(changes.Looked))}
	if len(changes.Pairs) == 0 {
		view.Note = v.say("pictures.same", v.num(changes.Looked))
	}
	for _, pair := range changes.Pairs[:min(len(changes.Pairs), maxPicturePairs)] {
		view.Pairs = append(view.Pairs, picturePair{Page: strconv.Itoa(pair.Page), Before: inline(pair.Before, pair.Regions), Now: inline(pair.After, pair.Regions)})
	}
	return view
}

// inline is a picture with its marks as an address that carries it.
func inline(drawn *image.RGBA, regions []image.Rectangle) template.URL {
	if drawn == nil {
		return ""
	}
	picture.Mark(drawn, regions)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, drawn, &jpeg.Options{Quality: 80}); err != nil {
		return "" // a buffer takes everything, and the picture is within the format's bounds
	}
	return template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(out.Bytes())) //nolint:gosec // base64 of our own picture
}
