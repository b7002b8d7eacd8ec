package stamp

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"sync"

	"vanthu/signing/pdf"
)

// ErrImage is wrapped when an image cannot be used: neither PNG nor JPEG, damaged, or too large.
var ErrImage = errors.New("not a usable PNG or JPEG image")

// image stores the picture and draws it into the box, centred, its proportions kept.
func (d *drawing) image(data []byte, b box) error {
	x, w, h, err := encodeImage(data, d.add)
	if err != nil {
		return err
	}
	d.xobjects["Im"] = d.add(x)
	scale := min(b.w/float64(w), b.h/float64(h))
	iw, ih := float64(w)*scale, float64(h)*scale
	d.content = fmt.Appendf(d.content, "q %s 0 0 %s %s %s cm /Im Do Q\n", num(iw), num(ih),
		num(b.x+(b.w-iw)/2), num(b.y+(b.h-ih)/2))
	return nil
}

// ImageSize gives the width and height in pixels of what Form draws of the image: a PNG without its
// transparent margins.
func ImageSize(data []byte) (w, h int, err error) {
	_, w, h, err = encodeImage(data, func(pdf.Object) pdf.Ref { return pdf.Ref{} })
	return w, h, err
}

func encodeImage(data []byte, add func(pdf.Object) pdf.Ref) (x *pdf.Stream, w, h int, err error) {
	if len(data) > MaxImageBytes {
		return nil, 0, 0, fmt.Errorf("image of %d bytes, at most %d: %w", len(data), MaxImageBytes, ErrImage)
	}
	cfg, format, err := decodeConfig(data)
	if err != nil {
		return nil, 0, 0, errors.Join(ErrImage, err)
	}
	if cfg.Width <= 0 || cfg.Height <= 0 || cfg.Width > MaxImagePixels/cfg.Height {
		return nil, 0, 0, fmt.Errorf("image of %d × %d pixels, at most %d in all: %w", cfg.Width, cfg.Height, MaxImagePixels, ErrImage)
	}
	if format == "jpeg" {
		return encodeJPEG(data, cfg)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, 0, 0, errors.Join(ErrImage, err)
	}
	p := straighten(img)
	if p == nil {
		return nil, 0, 0, fmt.Errorf("image is wholly transparent: %w", ErrImage)
	}
	return p.xobject(add), p.w, p.h, nil
}

func decodeConfig(data []byte) (image.Config, string, error) {
	if bytes.HasPrefix(data, []byte{0xFF, 0xD8}) {
		cfg, err := jpeg.DecodeConfig(bytes.NewReader(data))
		return cfg, "jpeg", err
	}
	cfg, err := png.DecodeConfig(bytes.NewReader(data))
	return cfg, "png", err
}

// encodeJPEG passes the file through as DCTDecode. It is decoded once, so that a damaged one is
// refused here and not by a reader.
func encodeJPEG(data []byte, cfg image.Config) (*pdf.Stream, int, int, error) {
	space := pdf.Name("DeviceRGB")
	switch cfg.ColorModel {
	case color.GrayModel:
		space = "DeviceGray"
	case color.CMYKModel:
		return nil, 0, 0, fmt.Errorf("JPEG in CMYK, convert it to RGB: %w", ErrImage)
	}
	if _, err := jpeg.Decode(bytes.NewReader(data)); err != nil {
		return nil, 0, 0, errors.Join(ErrImage, err)
	}
	dict := imageDict(cfg.Width, cfg.Height, space)
	dict["Filter"] = pdf.Name("DCTDecode")
	return &pdf.Stream{Dict: dict, Raw: data, Length: int64(len(data))}, cfg.Width, cfg.Height, nil
}

func imageDict(w, h int, space pdf.Object) pdf.Dict {
	return pdf.Dict{
		"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Image"), "Width": int64(w), "Height": int64(h),
		"ColorSpace": space, "BitsPerComponent": int64(8),
	}
}

// pixels is an image with colour and alpha apart, colour not multiplied by alpha (ISO 32000-2
// §11.6.5.2: an SMask without Matte wants it so).
type pixels struct {
	w, h  int
	rgb   []byte
	alpha []byte // nil when opaque
}

// straighten takes the image apart without its transparent margins; nil when nothing is visible.
func straighten(img image.Image) *pixels {
	at := colorReader(img)
	r := visible(img.Bounds(), at)
	if r.Empty() {
		return nil
	}
	p := &pixels{w: r.Dx(), h: r.Dy(), rgb: make([]byte, 0, 3*r.Dx()*r.Dy()), alpha: make([]byte, 0, r.Dx()*r.Dy())}
	opaque := true
	var sum [3]int
	var weight int
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := at(x, y)
			p.rgb = append(p.rgb, c.R, c.G, c.B)
			p.alpha = append(p.alpha, c.A)
			opaque = opaque && c.A == 255
			a := int(c.A)
			sum[0], sum[1], sum[2], weight = sum[0]+int(c.R)*a, sum[1]+int(c.G)*a, sum[2]+int(c.B)*a, weight+a
		}
	}
	if opaque {
		p.alpha = nil
		return p
	}
	// Invisible pixels take the mean visible colour: viewers that smooth colour and mask apart then
	// show no dark or white fringe, and the data packs better.
	for i, a := range p.alpha {
		if a == 0 {
			p.rgb[3*i], p.rgb[3*i+1], p.rgb[3*i+2] = byte(sum[0]/weight), byte(sum[1]/weight), byte(sum[2]/weight)
		}
	}
	return p
}

// colorReader reads straight (not premultiplied) colours without a detour through premultiplied ones
// where the decoder gives them straight.
func colorReader(img image.Image) func(x, y int) color.NRGBA {
	switch m := img.(type) {
	case *image.NRGBA:
		return m.NRGBAAt
	case *image.NRGBA64:
		return func(x, y int) color.NRGBA {
			c := m.NRGBA64At(x, y)
			return color.NRGBA{R: uint8(c.R >> 8), G: uint8(c.G >> 8), B: uint8(c.B >> 8), A: uint8(c.A >> 8)}
		}
	case *image.Paletted:
		palette := make([]color.NRGBA, 256)
		for i, c := range m.Palette {
			palette[i] = color.NRGBAModel.Convert(c).(color.NRGBA)
		}
		return func(x, y int) color.NRGBA { return palette[m.ColorIndexAt(x, y)] }
	default:
		return func(x, y int) color.NRGBA { return color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA) }
	}
}

// visible is the smallest rectangle that holds every pixel with alpha.
func visible(b image.Rectangle, at func(x, y int) color.NRGBA) image.Rectangle {
	var r image.Rectangle
	for y := b.Min.Y; y < b.Max.Y; y++ {
		first, last := -1, -1
		for x := b.Min.X; x < b.Max.X; x++ {
			if at(x, y).A != 0 {
				if first < 0 {
					first = x - b.Min.X
				}
				last = x - b.Min.X
			}
		}
		if first >= 0 {
			r = r.Union(image.Rect(b.Min.X+first, y, b.Min.X+last+1, y+1))
		}
	}
	return r
}

// xobject makes the image stream, with its mask stored through add. Images of at most 256 colours
// become indexed ones, a third of the size.
func (p *pixels) xobject(add func(pdf.Object) pdf.Ref) *pdf.Stream {
	var dict pdf.Dict
	var data []byte
	colors := 3
	if palette, indexes := p.index(); indexes != nil {
		dict = imageDict(p.w, p.h, pdf.Array{pdf.Name("Indexed"), pdf.Name("DeviceRGB"), int64(len(palette)/3 - 1),
			pdf.String{B: palette, Hex: true}})
		data, colors = indexes, 1
	} else {
		dict, data = imageDict(p.w, p.h, pdf.Name("DeviceRGB")), p.rgb
	}
	if p.alpha != nil {
		dict["SMask"] = add(predicted(imageDict(p.w, p.h, pdf.Name("DeviceGray")), p.alpha, p.w, 1))
	}
	if colors == 1 {
		return flate(dict, data)
	}
	return predicted(dict, data, p.w, colors)
}

// index gives palette and indexes, nil when there are more than 256 colours.
func (p *pixels) index() (palette, indexes []byte) {
	seen := make(map[[3]byte]byte, 256)
	indexes = make([]byte, 0, len(p.rgb)/3)
	for i := 0; i < len(p.rgb); i += 3 {
		c := [3]byte{p.rgb[i], p.rgb[i+1], p.rgb[i+2]}
		n, ok := seen[c]
		if !ok {
			if len(seen) == 256 {
				return nil, nil
			}
			n = byte(len(seen))
			seen[c] = n
			palette = append(palette, c[:]...)
		}
		indexes = append(indexes, n)
	}
	return palette, indexes
}

// predicted packs samples with the PNG "up" predictor (ISO 32000-2 §7.4.4.4), good for scans with
// soft edges, or without it where that is smaller.
func predicted(dict pdf.Dict, data []byte, w, colors int) *pdf.Stream {
	row := w * colors
	up := make([]byte, 0, len(data)+len(data)/row)
	previous := make([]byte, row)
	for rest := data; len(rest) >= row; rest = rest[row:] {
		up = append(up, 2)
		for i, v := range rest[:row] {
			up = append(up, v-previous[i])
		}
		previous = rest[:row]
	}
	plain := flate(dict, data)
	if packed := deflate(up); len(packed) < len(plain.Raw) {
		dict["DecodeParms"] = pdf.Dict{"Predictor": int64(15), "Colors": int64(colors), "Columns": int64(w)}
		return &pdf.Stream{Dict: dict, Raw: packed, Length: int64(len(packed))}
	}
	return plain
}

// flate makes a compressed stream of the data.
func flate(dict pdf.Dict, data []byte) *pdf.Stream {
	packed := deflate(data)
	dict["Filter"] = pdf.Name("FlateDecode")
	return &pdf.Stream{Dict: dict, Raw: packed, Length: int64(len(packed))}
}

// deflaters are compressors to be used again: a new one takes a megabyte, most streams here have a few kilobytes.
var deflaters = sync.Pool{New: func() any {
	w, _ := zlib.NewWriterLevel(nil, zlib.BestCompression) // the level is a valid one
	return w
}}

func deflate(data []byte) []byte {
	var b bytes.Buffer
	w, _ := deflaters.Get().(*zlib.Writer)
	w.Reset(&b)
	_, _ = w.Write(data) // a bytes.Buffer does not fail
	_ = w.Close()
	w.Reset(nil) // keeps nothing of the document
	deflaters.Put(w)
	return b.Bytes()
}
