package sheet

import (
	"math"
	"strconv"
)

// colour gives the colour of the i-th series: dark enough to tell apart in grey.
func colour(i int) (r, g, b int) {
	all := [...][3]int{{31, 78, 121}, {192, 112, 32}, {120, 160, 96}, {150, 150, 150}, {112, 48, 96}, {64, 160, 176}}
	c := all[i%len(all)]
	return c[0], c[1], c[2]
}

// highest gives the upper end of the value axis: a round number not below any value.
func (c *Chart) highest() float64 {
	if c.Percent {
		return 1
	}
	most := 0.0
	for _, s := range c.Series {
		for _, v := range s.Values {
			most = max(most, v)
		}
	}
	if most <= 0 {
		return 4
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for _, times := range []float64{1, 2, 4, 5, 8, 10} {
		if step*times >= most {
			return max(step*times, 4)
		}
	}
	return 10 * step
}

func (c *Chart) axis(v float64) string {
	if c.Percent {
		return Percent(v)
	}
	if v == math.Trunc(v) {
		return Grouped(int(v))
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

// chart draws columns over an axis with four lines, names below, a legend above.
func (d *pen) chart(c *Chart) {
	const high, axisWide, nameHigh, ticks = 52.0, 18.0, 11.0, 4
	if len(c.Labels) == 0 || len(c.Series) == 0 {
		return
	}
	d.turn(high + nameHigh + 22)
	if c.Title != "" {
		d.paragraph("C", "B", 12, 7, c.Title)
	}
	d.legend(c)
	x, y, wide, most := d.left+axisWide, d.GetY()+2, d.width-axisWide, c.highest()
	for i := range ticks + 1 {
		at := y + high - high*float64(i)/ticks
		d.SetDrawColor(205, 205, 205)
		d.Line(x, at, x+wide, at)
		d.SetFont(serif, "", 9)
		d.SetXY(d.left, at-2.2)
		d.CellFormat(axisWide-1, 4.4, c.axis(most*float64(i)/ticks), "", 0, "R", false, 0, "")
	}
	d.SetDrawColor(70, 70, 70)
	group := wide / float64(len(c.Labels))
	bar := min(group*0.8/float64(len(c.Series)), 14)
	every := int(math.Ceil(9 / group)) // labels need 9 mm each: with many, only some are named
	for i, label := range c.Labels {
		from := x + group*float64(i) + (group-bar*float64(len(c.Series)))/2
		for n, s := range c.Series {
			if i >= len(s.Values) || s.Values[i] <= 0 {
				continue
			}
			tall := high * min(s.Values[i]/most, 1)
			d.SetFillColor(colour(n))
			d.Rect(from+bar*float64(n), y+high-tall, bar*0.94, tall, "F")
		}
		if i%every != 0 {
			continue
		}
		d.SetFont(serif, "", 9)
		lines := d.split(label, group*float64(every))
		for n, line := range lines[:min(len(lines), 2)] {
			d.SetXY(x+group*float64(i)-group*float64(every-1)/2, y+high+1+4.4*float64(n))
			d.CellFormat(group*float64(every), 4.4, line, "", 0, "C", false, 0, "")
		}
	}
	d.Line(x, y+high, x+wide, y+high)
	d.SetY(y + high + nameHigh)
}

func (d *pen) legend(c *Chart) {
	if len(c.Series) < 2 && c.Series[0].Name == "" {
		return
	}
	const box = 3.2
	d.SetFont(serif, "", 10)
	whole := 0.0
	for _, s := range c.Series {
		whole += box + 2 + d.GetStringWidth(clean(s.Name)) + 8
	}
	x, y := d.left+max(0, (d.width-whole)/2), d.GetY()
	for i, s := range c.Series {
		d.SetFillColor(colour(i))
		d.Rect(x, y+1, box, box, "F")
		d.SetXY(x+box+1, y)
		long := d.GetStringWidth(clean(s.Name)) + 3
		d.CellFormat(long, 5, clean(s.Name), "", 0, "L", false, 0, "")
		x += box + long + 7
	}
	d.SetY(y + 7)
}
