package picture

import (
	"context"
	"image"
	"image/color"
	"image/draw"
	"io"

	"github.com/klippa-app/go-pdfium"
)

// Bounds of a comparison.
const (
	// MaxPages is how many pages of each state are looked at.
	MaxPages = 40
	// MaxPairs is how many pages that differ are kept.
	MaxPairs = 8
)

// Pair is one page in two states.
type Pair struct {
	Page          int         // counted from 1
	Before, After *image.RGBA // nil: the state has no such page
	// Regions are where the two differ, in pixels of After (of Before where there is no After); one that differs all over
	// has one region.
	Regions []image.Rectangle
}

// Changes are the pages that look different in two states of a file.
type Changes struct {
	Pairs []Pair
	// PagesBefore and PagesAfter are how many pages each state has, Looked how many of them were compared.
	PagesBefore, PagesAfter, Looked int
}

// Changes draws the pages of a file as it was when it had signed bytes only, and as it is now, and gives those that
// differ. What a page shows differently is found; that nothing looks different proves nothing.
func (r *Renderer) Changes(ctx context.Context, file io.ReaderAt, signed, size int64) (*Changes, error) {
	out := new(Changes)
	err := r.job(ctx, func(p pdfium.Pdfium) error {
		before, countBefore, err := open(p, io.NewSectionReader(file, 0, signed), signed)
		if err != nil {
			return err
		}
		after, countAfter, err := open(p, io.NewSectionReader(file, 0, size), size)
		if err != nil {
			return err
		}
		out.PagesBefore, out.PagesAfter = countBefore, countAfter
		for i := 0; i < min(max(countBefore, countAfter), MaxPages) && len(out.Pairs) < MaxPairs; i++ {
			pair := Pair{Page: i + 1}
			if i < countBefore {
				if pair.Before, err = r.draw(p, before, i); err != nil {
					return err
				}
			}
			if i < countAfter {
				if pair.After, err = r.draw(p, after, i); err != nil {
					return err
				}
			}
			out.Looked++
			if pair.Regions = Differ(pair.Before, pair.After); len(pair.Regions) > 0 {
				out.Pairs = append(out.Pairs, pair)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// tile is the side of the squares in which a difference is looked for, in pixels.
const tile = 12

// Differ gives the regions in which two pictures differ visibly, neighbouring ones as one. A picture that is missing or
// has another size differs all over.
func Differ(before, after *image.RGBA) []image.Rectangle {
	switch {
	case before == nil && after == nil:
		return nil
	case after == nil:
		return []image.Rectangle{before.Bounds()}
	case before == nil || before.Bounds() != after.Bounds():
		return []image.Rectangle{after.Bounds()}
	}
	bounds := after.Bounds()
	columns, rows := (bounds.Dx()+tile-1)/tile, (bounds.Dy()+tile-1)/tile
	marked := make([]bool, columns*rows)
	for i := 0; i < len(after.Pix); i += 4 {
		if visible(before.Pix[i], after.Pix[i]) || visible(before.Pix[i+1], after.Pix[i+1]) || visible(before.Pix[i+2], after.Pix[i+2]) {
			x, y := i%after.Stride/4, i/after.Stride
			marked[y/tile*columns+x/tile] = true
		}
	}
	var regions []image.Rectangle
	for i := range marked {
		if marked[i] {
			grown := connected(marked, columns, rows, i)
			regions = append(regions, image.Rect(grown.Min.X*tile, grown.Min.Y*tile, grown.Max.X*tile, grown.Max.Y*tile).Intersect(bounds))
		}
	}
	return regions
}

// visible leaves out what the smoothing of edges may change.
func visible(a, b uint8) bool {
	const least = 24
	return max(a, b)-min(a, b) > least
}

// connected takes a tile and all that touch it, at a distance of up to two tiles, out of the marked ones and gives the
// rectangle around them.
func connected(marked []bool, columns, rows, start int) image.Rectangle {
	const reach = 2
	box := image.Rectangle{}
	for todo := []int{start}; len(todo) > 0; {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		x, y := i%columns, i/columns
		box = box.Union(image.Rect(x, y, x+1, y+1))
		marked[i] = false
		for dy := max(0, y-reach); dy <= min(rows-1, y+reach); dy++ {
			for dx := max(0, x-reach); dx <= min(columns-1, x+reach); dx++ {
				if near := dy*columns + dx; marked[near] {
					marked[near] = false
					todo = append(todo, near)
				}
			}
		}
	}
	return box
}

// Mark draws a red frame around each region.
func Mark(picture *image.RGBA, regions []image.Rectangle) {
	const thick = 3
	red := image.NewUniform(color.RGBA{R: 0xc0, G: 0x10, B: 0x20, A: 0xff})
	for _, r := range regions {
		out := r.Inset(-thick - 1)
		for _, side := range []image.Rectangle{
			image.Rect(out.Min.X, out.Min.Y, out.Max.X, out.Min.Y+thick), image.Rect(out.Min.X, out.Max.Y-thick, out.Max.X, out.Max.Y),
			image.Rect(out.Min.X, out.Min.Y, out.Min.X+thick, out.Max.Y), image.Rect(out.Max.X-thick, out.Min.Y, out.Max.X, out.Max.Y),
		} {
			draw.Draw(picture, side.Intersect(picture.Bounds()), red, image.Point{}, draw.Src)
		}
	}
}
