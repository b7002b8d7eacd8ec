package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"time"

	"codeberg.org/go-fonts/liberation/liberationserifbold"
	"codeberg.org/go-fonts/liberation/liberationserifitalic"
	"codeberg.org/go-fonts/liberation/liberationserifregular"
	"codeberg.org/go-pdf/fpdf"
)

// paper is what the demonstration and the load write down: an administrative document in the form of
// NĐ 30/2020 Phụ lục I (A4, margins 20/20/30/20 mm, Times metrics). Number, place and date are left to the seal, which
// fills them in.
type paper struct {
	Agency         []string // cơ quan ban hành, one or two lines
	Type, Subject  string   // tên loại, trích yếu
	Body           []string
	Position, Name string
	Recipients     []string
	Date           time.Time
	ScanBytes      int // a noisy picture of about this many bytes is added as a last page, as scanned annexes have
}

const serif = "serif"

// write renders the paper as a PDF.
func (p paper) write() ([]byte, error) {
	doc := fpdf.New("P", "mm", "A4", "")
	doc.SetCompression(true)
	doc.SetCatalogSort(true)
	doc.SetTitle(p.Type+" "+p.Subject, true)
	doc.SetLang("vi")
	doc.SetCreationDate(p.Date)
	doc.SetModificationDate(p.Date)
	doc.SetMargins(30, 20, 20)
	doc.SetAutoPageBreak(true, 20)
	doc.AddUTF8FontFromBytes(serif, "", liberationserifregular.TTF)
	doc.AddUTF8FontFromBytes(serif, "B", liberationserifbold.TTF)
	doc.AddUTF8FontFromBytes(serif, "I", liberationserifitalic.TTF)
	doc.AddPage()
	p.head(doc)
	p.text(doc)
	p.foot(doc)
	if p.ScanBytes > 0 {
		if err := p.scan(doc); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	if err := doc.Output(&out); err != nil {
		return nil, fmt.Errorf("write the PDF: %w", err)
	}
	return out.Bytes(), nil
}

func (p paper) head(doc *fpdf.Fpdf) {
	left, right := 30.0, 98.0
	line := func(x, y, w float64, style string, size float64, text string) {
		doc.SetFont(serif, style, size)
		doc.SetXY(x, y)
		doc.CellFormat(w, 5, text, "", 0, "C", false, 0, "")
	}
	for i, name := range p.Agency {
		line(left, 20+5*float64(i), 66, "B", 12, name)
	}
	line(right, 20, 92, "B", 12, "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM")
	line(right, 25, 92, "B", 13, "Độc lập - Tự do - Hạnh phúc")
	doc.Line(left+22, 31, left+44, 31)
	doc.Line(right+20, 31, right+72, 31)
}

func (p paper) text(doc *fpdf.Fpdf) {
	doc.SetXY(30, 48)
	doc.SetFont(serif, "B", 14)
	doc.MultiCell(160, 7, p.Type, "", "C", false)
	doc.MultiCell(160, 7, p.Subject, "", "C", false)
	doc.Ln(4)
	doc.SetFont(serif, "", 13)
	for _, paragraph := range p.Body {
		doc.MultiCell(160, 6.5, "        "+paragraph, "", "J", false)
		doc.Ln(1.5)
	}
}

func (p paper) foot(doc *fpdf.Fpdf) {
	y := 196.0
	doc.SetFont(serif, "I", 12)
	doc.SetXY(30, y)
	doc.CellFormat(70, 5, "Nơi nhận:", "", 2, "L", false, 0, "")
	doc.SetFont(serif, "", 11)
	for _, recipient := range p.Recipients {
		doc.SetX(30)
		doc.CellFormat(76, 5, "- "+recipient+";", "", 2, "L", false, 0, "")
	}
	doc.SetX(30)
	doc.CellFormat(76, 5, "- Lưu: VT.", "", 2, "L", false, 0, "")
	doc.SetFont(serif, "B", 13)
	doc.SetXY(110, y)
	doc.CellFormat(76, 6, p.Position, "", 2, "C", false, 0, "")
	doc.SetXY(110, 241)
	doc.CellFormat(76, 6, p.Name, "", 2, "C", false, 0, "")
}

// scan adds a page with a picture that does not compress, so that a file has the size that scanned annexes give it.
func (p paper) scan(doc *fpdf.Fpdf) error {
	side := int(math.Sqrt(float64(p.ScanBytes)))
	picture := image.NewGray(image.Rect(0, 0, side, side))
	noise := rand.New(rand.NewPCG(uint64(p.ScanBytes), uint64(len(p.Subject)))) //nolint:gosec // grain of a picture, no secret
	for i := range picture.Pix {
		picture.Pix[i] = byte(noise.UintN(256))
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, picture); err != nil {
		return fmt.Errorf("draw the annex: %w", err)
	}
	doc.AddPage()
	doc.RegisterImageOptionsReader("annex", fpdf.ImageOptions{ImageType: "PNG"}, &encoded)
	doc.ImageOptions("annex", 30, 20, 160, 160, false, fpdf.ImageOptions{ImageType: "PNG"}, 0, "")
	return nil
}

// specimenSeal draws a red round seal with a star, on a transparent ground, marked as a specimen by its empty ring:
// the demonstration must not make anything that looks like a real agency's seal.
func specimenSeal() ([]byte, error) {
	const side = 480
	centre := float64(side) / 2
	return drawPNG(side, side, color.NRGBA{R: 0xD8, G: 0x1E, B: 0x1E, A: 0xFF}, func(x, y float64) float64 {
		dx, dy := x-centre, y-centre
		r := math.Hypot(dx, dy)
		ring := math.Max(edge(math.Abs(r-226)-8), edge(math.Abs(r-150)-3))
		// A five-pointed star: the distance to its border in the sector of this angle.
		angle := math.Mod(math.Atan2(dx, -dy)+2*math.Pi, 2*math.Pi/5)
		if angle > math.Pi/5 {
			angle = 2*math.Pi/5 - angle
		}
		outer, inner := 110.0, 42.0
		ix, iy := inner*math.Sin(math.Pi/5), inner*math.Cos(math.Pi/5)
		px, py := r*math.Sin(angle), r*math.Cos(angle)
		nx, ny := outer-iy, ix // normal of the side from (0,outer) to (ix,iy)
		star := edge((px*nx + (py-outer)*ny) / math.Hypot(nx, ny))
		return math.Max(ring, star)
	})
}

// specimenSignature draws a blue pen stroke on a transparent ground.
func specimenSignature(seed uint64) ([]byte, error) {
	const width, height = 600, 260
	shape := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // the form of a pen stroke, no secret
	type point struct{ x, y float64 }
	var pen []point
	a, b, c := 3+shape.Float64()*2, 5+shape.Float64()*3, shape.Float64()*math.Pi
	for i := range 900 {
		t := float64(i) / 900
		pen = append(pen, point{
			x: 40 + 500*t + 34*math.Sin(b*2*math.Pi*t+c),
			y: 130 - 70*(1-t)*math.Cos(a*2*math.Pi*t+c) + 24*math.Sin(2*a*2*math.Pi*t),
		})
	}
	cells := make(map[image.Point][]point)
	for _, p := range pen {
		cells[image.Pt(int(p.x)/16, int(p.y)/16)] = append(cells[image.Pt(int(p.x)/16, int(p.y)/16)], p)
	}
	return drawPNG(width, height, color.NRGBA{R: 0x12, G: 0x2F, B: 0xA8, A: 0xFF}, func(x, y float64) float64 {
		best := math.Inf(1)
		for cx := int(x)/16 - 1; cx <= int(x)/16+1; cx++ {
			for cy := int(y)/16 - 1; cy <= int(y)/16+1; cy++ {
				for _, p := range cells[image.Pt(cx, cy)] {
					best = math.Min(best, math.Hypot(p.x-x, p.y-y))
				}
			}
		}
		return edge(best - 3.2)
	})
}

// edge turns a signed distance to a border (inside is negative) into coverage from 0 to 1.
func edge(distance float64) float64 { return math.Min(1, math.Max(0, 0.5-distance)) }

func drawPNG(width, height int, ink color.NRGBA, coverage func(x, y float64) float64) ([]byte, error) {
	picture := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			pixel := ink
			pixel.A = uint8(255 * coverage(float64(x)+0.5, float64(y)+0.5))
			picture.SetNRGBA(x, y, pixel)
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, fmt.Errorf("draw the image: %w", err)
	}
	return out.Bytes(), nil
}
