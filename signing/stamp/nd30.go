package stamp

import (
	"fmt"
	"strings"
	"time"
)

// The positions below are those of the drawing in NĐ 30/2020/NĐ-CP Phụ lục I mục IV.2, an A4 page. The
// drawing is schematic, so they are defaults that configuration may replace.
const (
	signerX, signerW = 110.0, 76.0  // column of the signer's position (7a) and name (7b)
	signerTop        = 206.0        // lower edge of cell 7a
	signerBottom     = 239.0        // upper edge of cell 7b
	leaderX, leaderY = 144.0, 219.0 // cell 7c
	leaderW, leaderH = 25.0, 11.0
	cornerTop        = 7.0  // upper edge of cell 14
	cornerRight      = 9.0  // from the right edge of the page to that of cell 14
	cornerWidth      = 29.0 // width of cell 14
	cornerWidest     = 84.0 // the right half of the page, less its margin
	cornerLines      = 3    // lines before the corner box grows to the left
	cornerFontSize   = 10.0 // points
)

// LeaderCell is where the drawing of NĐ 30/2020 has the competent person's signature (chữ ký của người
// có thẩm quyền, ô 7c).
func LeaderCell() RectMM { return RectMM{leaderX, leaderY, leaderW, leaderH} }

// BodySize is the size in points of number, place and date (NĐ 30/2020 Phụ lục I phần I mục II.3, II.4: 13 to 14).
const BodySize = 13.0

// NumberCell is where the number and symbol of a document stand on the first page (số, ký hiệu của văn bản, ô 3).
func NumberCell() RectMM { return RectMM{33, 37, 67, 7} }

// DateCell is where place and date stand on the first page (địa danh và thời gian ban hành, ô 4).
func DateCell() RectMM { return RectMM{108, 37, 84, 7} }

// SignerSpace is the whole space between the signer's position (7a) and name (7b).
func SignerSpace() RectMM { return RectMM{signerX, signerTop, signerW, signerBottom - signerTop} }

// LeaderImage is where LeaderSignature puts an image of the default width.
func LeaderImage() RectMM {
	return RectMM{signerX + (signerW-leaderW)/2, leaderY, leaderW, leaderH}
}

// SealRight is where the right edge of a seal lies that covers the left third of the rectangle.
func (r RectMM) SealRight() float64 { return r.X + r.W/3 }

// Middle is half the height.
func (r RectMM) Middle() float64 { return r.Y + r.H/2 }

// Union is the smallest rectangle that holds both.
func (r RectMM) Union(o RectMM) RectMM {
	x, y := min(r.X, o.X), min(r.Y, o.Y)
	return RectMM{x, y, max(r.X+r.W, o.X+o.W) - x, max(r.Y+r.H, o.Y+o.H) - y}
}

// LeaderSignature shows the image of the competent person's handwritten signature (NĐ 30/2020 Phụ lục
// I phần I mục II.7.d: blue, PNG, transparent) centred between the signer's position and name. width is
// that of the image in mm, 0 for the one of cell 7c; the height follows from the image's proportions
// and is at most the free space between the two cells.
func LeaderSignature(image []byte, width float64) (*Appearance, RectMM, error) {
	w, h, err := ImageSize(image)
	if err != nil {
		return nil, RectMM{}, fmt.Errorf("image of the person's signature: %w", err)
	}
	if width <= 0 {
		width = leaderW
	}
	width = min(width, signerW)
	height := width * float64(h) / float64(w)
	if free := signerBottom - signerTop; height > free {
		width, height = width*free/height, free
	}
	cell := LeaderCell()
	r := RectMM{X: signerX + (signerW-width)/2, Y: cell.Y + (cell.H-height)/2, W: width, H: height}
	r.Y = max(signerTop, min(r.Y, signerBottom-height))
	return &Appearance{Image: image}, r, nil
}

// AgencySeal shows the image of the agency's seal (dấu, ô 8) over the left third of the leader's
// signature image (Phụ lục I phần I mục II.8.a: red, PNG, transparent, at the size of the real seal).
// width and height are those of the real seal in mm, which the decree does not give: they come from the
// agency's configuration.
func AgencySeal(image []byte, leader RectMM, width, height float64) (*Appearance, RectMM, error) {
	if width <= 0 || height <= 0 {
		return nil, RectMM{}, fmt.Errorf("the size of the real seal is not configured: %w", ErrRect)
	}
	r := RectMM{X: leader.SealRight() - width, Y: leader.Middle() - height/2, W: width, H: height}
	return &Appearance{Image: image}, r, nil
}

// CopyForm is the form of an electronic copy (hình thức sao).
type CopyForm string

// The forms of NĐ 30/2020 Điều 25.
const (
	CopyWhole   CopyForm = "SAO Y"
	CopyRelayed CopyForm = "SAO LỤC"
	CopyExtract CopyForm = "TRÍCH SAO"
)

// SigningTime writes a time as signatures on documents show it: day, time of day and the zone of
// Vietnam by ISO 8601.
func SigningTime(t time.Time) string {
	return t.In(time.FixedZone("ICT", 7*3600)).Format("02/01/2006 15:04:05 -07:00")
}

// AnnexText is what the agency's signature shows on an annex in its own file (NĐ 30/2020 Phụ lục I phần
// I mục III.1.d, Mẫu 2.2): code of the document and signing time, no image. pageWidth is the shown width
// of the first page in mm; the box stands in its top right corner.
func AnnexText(code string, at time.Time, pageWidth float64) (*Appearance, RectMM, error) {
	return corner([]string{"Số: " + code, SigningTime(at)}, pageWidth)
}

// CopyText is what the agency's signature shows on an electronic copy (Phụ lục I phần II mục I.3, Mẫu
// 3.2): form of the copy, name of the copying agency and signing time, no image.
func CopyText(form CopyForm, agency string, at time.Time, pageWidth float64) (*Appearance, RectMM, error) {
	return corner([]string{string(form), agency, SigningTime(at)}, pageWidth)
}

// corner sets text in Times 10 points, black, into the top right corner: as wide as cell 14, wider to
// the left when it would take more than three lines.
func corner(parts []string, pageWidth float64) (*Appearance, RectMM, error) {
	f, err := loadFace(false)
	if err != nil {
		return nil, RectMM{}, err
	}
	for i, p := range parts {
		parts[i] = strings.TrimSpace(p)
	}
	a := &Appearance{Lines: []string{strings.Join(parts, "; ")}, FontSize: cornerFontSize, Align: AlignRight}
	lines, err := cleanLines(f, a.Lines)
	if err != nil {
		return nil, RectMM{}, err
	}
	widest := min(cornerWidest, pageWidth-2*cornerRight)
	for width := min(cornerWidth, widest); ; width = min(width+1, widest) {
		wrapped, ok := wrap(f, lines, (width*PointsPerMM-2*textPadding)*1000/cornerFontSize)
		last := width >= widest
		if !ok && last {
			return nil, RectMM{}, fmt.Errorf("in the %.0f mm of the page's top right corner: %w", widest, ErrDoesNotFit)
		}
		if ok && (len(wrapped) <= cornerLines || last) {
			// Half a point more than the lines need, against rounding of millimetres.
			height := (float64(len(wrapped))*cornerFontSize*lineHeight + 2*textPadding + 0.5) / PointsPerMM
			return a, RectMM{X: pageWidth - cornerRight - width, Y: cornerTop, W: width, H: height}, nil
		}
	}
}
