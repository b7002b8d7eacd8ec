package exchange

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"vanthu/signing"
	"vanthu/signing/pdf"
	"vanthu/signing/stamp"
)

// Text fields of a prepared document, which the seal fills in.
const (
	numberField = "VanThu-Number"
	dateField   = "VanThu-Date"
)

// initialBox and approveBox are the fields of the people on the last page: beside
// the signer's column, and between the signer's position and name.
func initialBox() stamp.RectMM { return initialRect() }
func approveBox() stamp.RectMM { return stamp.SignerSpace() }

// sealBox holds the seal, over the left third of the leader's signature, and the
// text in its place.
func (s *Service) sealBox() stamp.RectMM {
	text, size := sealText(), s.cfg.SealSize
	return text.Union(stamp.RectMM{X: stamp.LeaderImage().SealRight() - size, Y: stamp.LeaderImage().Middle() - size/2, W: size, H: size})
}

// places are the fields that a document gets before its first signature, so that
// later ones change neither pages nor the form (NĐ 30/2020 Phụ lục I): approval
// closes all but what the seal needs, the seal closes everything.
func (s *Service) places() []signing.FieldPlace {
	initial, approve, seal := initialBox(), approveBox(), s.sealBox()
	number, date := stamp.NumberCell(), stamp.DateCell()
	open := []string{fieldName(StepSeal)}
	var texts []signing.FieldPlace
	if !s.cfg.NumberOnPaper {
		open = append(open, numberField, dateField)
		texts = []signing.FieldPlace{
			{Name: numberField, Page: 1, Rect: &number, Tip: "Số, ký hiệu của văn bản", Text: &signing.TextField{Size: stamp.BodySize, Align: stamp.AlignCenter}},
			{Name: dateField, Page: 1, Rect: &date, Tip: "Địa danh, thời gian ban hành", Text: &signing.TextField{Size: stamp.BodySize, Align: stamp.AlignCenter, Italic: true}},
		}
	}
	return append([]signing.FieldPlace{
		{Name: fieldName(StepInitial), Page: -1, Rect: &initial, Tip: "Ký nháy"},
		{Name: fieldName(StepApprove), Page: -1, Rect: &approve, Tip: "Chữ ký của người có thẩm quyền", Lock: &pdf.FieldLock{Action: "Exclude", Fields: open}},
		{Name: fieldName(StepSeal), Page: -1, Rect: &seal, Tip: "Chữ ký của cơ quan", Lock: &pdf.FieldLock{Action: "All"}},
	}, texts...)
}

// placeFields places the fields in a document that nobody has signed and that brings no
// signature fields of its own; any other stays as it is.
func (s *Service) placeFields(ctx context.Context, data []byte, now time.Time) ([]byte, *signing.Layout, error) {
	l, err := s.inspect(ctx, data)
	if err != nil {
		return nil, nil, err
	}
	places := s.places()
	taken := slices.ContainsFunc(places, func(p signing.FieldPlace) bool { _, ok := l.Texts[p.Name]; return ok })
	if l.Signatures > 0 || len(l.Empty) > 0 || taken {
		return data, l, nil
	}
	var out bytes.Buffer
	out.Grow(len(data) + 32<<10)
	err = signing.Prepare(ctx, bytes.NewReader(data), int64(len(data)), &out, signing.PrepareOptions{Fields: places, At: now, MaxSize: s.cfg.MaxPDF})
	if err != nil {
		return nil, nil, s.signError(err)
	}
	l, err = s.inspect(ctx, out.Bytes())
	return out.Bytes(), l, err
}

func (s *Service) inspect(ctx context.Context, data []byte) (*signing.Layout, error) {
	l, err := signing.Inspect(ctx, bytes.NewReader(data), int64(len(data)), s.cfg.MaxPDF)
	if err != nil {
		return nil, s.signError(err)
	}
	return l, nil
}

// intoField makes the signature go into the field that waits for it, if there is
// one, and draws at r, where the field is ours and so reaches around it.
func (s *Service) intoField(o *signing.SignOptions, l *signing.Layout, step Step, r stamp.RectMM) {
	i := slices.IndexFunc(l.Empty, func(f signing.EmptyField) bool { return f.Name == o.Field })
	if i < 0 {
		return
	}
	o.Rect, o.Page = nil, 0
	if l.Empty[i].Width == 0 {
		o.Appearance = nil
	}
	box := map[Step]stamp.RectMM{StepInitial: initialBox(), StepApprove: approveBox(), StepSeal: s.sealBox()}[step]
	if o.Appearance != nil && math.Abs(l.Empty[i].Width-box.W) < 0.5 && math.Abs(l.Empty[i].Height-box.H) < 0.5 {
		o.Appearance.Within = &stamp.RectMM{X: r.X - box.X, Y: r.Y - box.Y, W: r.W, H: r.H}
	}
}

// fillIn has the seal write number and date into the fields that wait for them.
func fillIn(o *signing.SignOptions, l *signing.Layout, d *Document) {
	if d.Code() == "" {
		return
	}
	o.Fill = map[string]string{}
	if v, ok := l.Texts[numberField]; ok && v == "" {
		o.Fill[numberField] = "Số: " + d.Code()
	}
	if v, ok := l.Texts[dateField]; ok && v == "" && !d.Issued.IsZero() {
		o.Fill[dateField] = placeAndDate(d.Place, d.Issued)
	}
}

// placeAndDate writes địa danh và thời gian ban hành (NĐ 30/2020 Phụ lục I phần I
// mục II.4): days below 10 and months 1 and 2 with a leading zero.
func placeAndDate(place string, at time.Time) string {
	at = at.In(time.FixedZone("ICT", 7*3600))
	month := fmt.Sprintf("%d", at.Month())
	if at.Month() < time.March {
		month = "0" + month
	}
	text := fmt.Sprintf("ngày %02d tháng %s năm %d", at.Day(), month, at.Year())
	if place == "" {
		return text
	}
	return place + ", " + text
}
