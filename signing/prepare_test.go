package signing_test

import (
	"bytes"
	"context"
	"errors"
	"image/color"
	"slices"
	"strings"
	"testing"
	"time"

	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pdf"
	"vanthu/signing/pdf/pdftest"
	"vanthu/signing/stamp"
)

// officialFields are the fields of a document by NĐ 30/2020 Phụ lục I.
func officialFields() []signing.FieldPlace {
	initial, leader := stamp.RectMM{X: 86, Y: 205, W: 34, H: 8}, stamp.SignerSpace()
	seal := stamp.RectMM{X: 86, Y: 206, W: 58, H: 36}
	number, date := stamp.NumberCell(), stamp.DateCell()
	return []signing.FieldPlace{
		{Name: "initial", Page: -1, Rect: &initial, Tip: "Ký nháy"},
		{Name: "leader", Page: -1, Rect: &leader, Lock: &pdf.FieldLock{Action: "Exclude", Fields: []string{"seal", "number", "date"}}},
		{Name: "seal", Page: -1, Rect: &seal, Lock: &pdf.FieldLock{Action: "All"}},
		{Name: "number", Page: 1, Rect: &number, Text: &signing.TextField{Size: stamp.BodySize, Align: stamp.AlignCenter}},
		{Name: "date", Page: 1, Rect: &date, Text: &signing.TextField{Size: stamp.BodySize, Align: stamp.AlignCenter, Italic: true}},
	}
}

func prepared(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := signing.Prepare(context.Background(), bytes.NewReader(data), int64(len(data)), &out, signing.PrepareOptions{Fields: officialFields()}); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(out.Bytes(), data) {
		t.Fatal("the file's own bytes were changed")
	}
	return out.Bytes()
}

// TestSealFillsNumberAndDate is the life of a document: initials, leader, and the seal that fills in number and date.
func TestSealFillsNumberAndDate(t *testing.T) {
	k := testKeys(t)
	for name, data := range inputs(t) {
		if skipScale(signing.ProfileBLT, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := prepared(t, data)
			file = signAndCheck(t, file, signing.SignOptions{Key: k.officer, Profile: signing.ProfileBB, Field: "initial", At: time.Now()})
			file = signAndCheck(t, file, signing.SignOptions{Key: k.leader, Profile: signing.ProfileBT, TSA: k.tsa, Field: "leader", At: time.Now(),
				Appearance: &stamp.Appearance{Image: mark(color.NRGBA{R: 20, G: 40, B: 200}, 300, 120), Within: &stamp.RectMM{X: 25, Y: 8, W: 25, H: 10}}})
			text := map[string]string{"number": "Số: 15/QĐ-UBND", "date": "Bắc Kạn, ngày 05 tháng 3 năm 2020"}
			file = signAndCheck(t, file, signing.SignOptions{Key: k.seal, Profile: signing.ProfileBT, TSA: k.tsa, Field: "seal", At: time.Now(),
				After: []string{"leader"}, Fill: text, Appearance: &stamp.Appearance{Image: mark(color.NRGBA{R: 210, G: 20, B: 30}, 300, 300), Within: &stamp.RectMM{X: 20, Y: 0, W: 36, H: 36}}})
			checkOutside(t, file, 3, signing.ProfileBT)
			shown := strings.Join(strings.Fields(run(t, "pdftotext", save(t, "text.pdf", file), "-")), " ")
			for _, want := range text {
				if !strings.Contains(shown, want) {
					t.Errorf("pdftotext shows %q, want %q in it", shown, want)
				}
			}
			l, err := signing.Inspect(context.Background(), bytes.NewReader(file), int64(len(file)), 0)
			if err != nil || l.Signatures != 3 || len(l.Empty) != 0 || l.Texts["number"] != text["number"] || l.Texts["date"] != text["date"] {
				t.Errorf("%+v, %v", l, err)
			}
			keepPicture(t, file)
		})
	}
}

// TestLocks: after the leader's signature only what the seal needs may change, after the seal nothing.
func TestLocks(t *testing.T) {
	k := testKeys(t)
	file := prepared(t, pdftest.New(pdftest.Options{AcroForm: true}).Bytes(pdftest.Table))
	sign := func(key *keys.Key, field string, change func(*signing.SignOptions)) error {
		o := signing.SignOptions{Key: key, Profile: signing.ProfileBB, Field: field, At: time.Now()}
		if change != nil {
			change(&o)
		}
		signed, _, err := signing.SignAndCheck(context.Background(), file, o, signing.VerifyOptions{Trust: k.trust, Offline: true})
		if err == nil {
			file = signed
		}
		return err
	}
	fill := func(name, value string) func(*signing.SignOptions) {
		return func(o *signing.SignOptions) { o.Fill = map[string]string{name: value} }
	}
	after := func(names ...string) func(*signing.SignOptions) {
		return func(o *signing.SignOptions) { o.After = names }
	}
	for _, c := range []struct {
		name   string
		key    *keys.Key
		field  string
		change func(*signing.SignOptions)
		want   error
	}{
		{"seal before the leader", k.seal, "seal", after("leader"), signing.ErrOrder},
		{"no such text field", k.leader, "leader", fill("nothing", "x"), pdf.ErrNoField},
		{"no glyph", k.leader, "leader", fill("number", "漢"), nil},
		{"leader", k.leader, "leader", nil, nil},
		{"initials too late", k.officer, "initial", nil, pdf.ErrNotPermitted},
		{"a locked text field", k.seal, "seal", fill("Họ tên", "x"), pdf.ErrNotPermitted},
		{"seal by the leader", k.leader, "seal", after("leader"), signing.ErrOrder},
		{"seal", k.seal, "seal", fill("number", "Số: 07/QĐ-UBND"), nil},
		{"another field", k.officer, "later", nil, pdf.ErrNotPermitted},
	} {
		before := len(file)
		err := sign(c.key, c.field, c.change)
		var glyph *stamp.MissingGlyphError
		if c.name == "no glyph" {
			if !errors.As(err, &glyph) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if !errors.Is(err, c.want) || (err != nil && len(file) != before) {
			t.Fatalf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	// Whoever does not ask our writer is found out by our validator: a number filled in after the seal.
	f, err := pdf.Open(bytes.NewReader(file), int64(len(file)), pdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var placed bytes.Buffer
	if _, err := pdf.AddFields(bytes.NewReader(file), f, time.Now(), &placed, pdf.FieldSpec{Name: "more"}); !errors.Is(err, pdf.ErrNotPermitted) {
		t.Errorf("fields after a signature: %v", err)
	}
	report, err := signing.VerifyPDF(context.Background(), bytes.NewReader(file), int64(len(file)), signing.VerifyOptions{Trust: k.trust, Offline: true})
	if err != nil || report.Verdict != signing.TotalPassed {
		t.Errorf("%v, %+v", err, report)
	}
}

// TestPrepareRefuses: nothing is placed in a signed document, or under names that are taken.
func TestPrepareRefuses(t *testing.T) {
	k := testKeys(t)
	data := pdftest.New(pdftest.Options{}).Bytes(pdftest.Stream)
	signed := signAndCheck(t, data, signing.SignOptions{Key: k.officer, Profile: signing.ProfileBB, At: time.Now()})
	for name, c := range map[string]struct {
		data []byte
		want error
	}{"signed": {signed, pdf.ErrNotPermitted}, "prepared twice": {prepared(t, data), pdf.ErrFieldName}} {
		var out bytes.Buffer
		err := signing.Prepare(context.Background(), bytes.NewReader(c.data), int64(len(c.data)), &out, signing.PrepareOptions{Fields: officialFields()})
		if !errors.Is(err, c.want) || out.Len() > 0 {
			t.Errorf("%s: %v, %d bytes", name, err, out.Len())
		}
	}
}

// TestCertify makes the certification of ISO 32000-2 §12.8.2.2 and sees what it permits.
func TestCertify(t *testing.T) {
	k := testKeys(t)
	data := pdftest.New(pdftest.Options{}).Bytes(pdftest.Table)
	verify := signing.VerifyOptions{Trust: k.trust, Offline: true}
	for _, profile := range []signing.Profile{signing.ProfileBB, signing.ProfileAdobe, signing.ProfileBLTA} {
		for level := 1; level <= 3; level++ {
			o := signing.SignOptions{Key: k.officer, Profile: profile, At: time.Now(), Certify: level}
			if profile == signing.ProfileBLTA {
				o.TSA, o.Trust = k.tsa, k.trust
			}
			file := signAndCheck(t, data, o)
			checkOutside(t, file, 1, profile)
			f, err := pdf.Open(bytes.NewReader(file), int64(len(file)), pdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			catalog, _, err := f.Latest().Catalog()
			if perms, _ := catalog["Perms"].(pdf.Dict); err != nil || perms["DocMDP"] == nil {
				t.Errorf("%s, level %d: /Perms %v, %v", profile, level, catalog["Perms"], err)
			}
			_, _, err = signing.SignAndCheck(context.Background(), file, signing.SignOptions{Key: k.leader, Profile: signing.ProfileBB, At: time.Now()}, verify)
			if refused := errors.Is(err, pdf.ErrNotPermitted); refused != (level == 1) || !refused && err != nil {
				t.Errorf("%s, level %d: second signature %v", profile, level, err)
			}
			o.Key = k.leader
			if _, _, err = signing.SignAndCheck(context.Background(), file, o, verify); !errors.Is(err, pdf.ErrNotPermitted) {
				t.Errorf("%s, level %d: second certification %v", profile, level, err)
			}
		}
	}
	o := signing.SignOptions{Key: k.officer, Profile: signing.ProfileBB, At: time.Now(), Certify: 4}
	if _, _, err := signing.SignAndCheck(context.Background(), data, o, verify); !errors.Is(err, pdf.ErrUnsupported) {
		t.Errorf("level 4: %v", err)
	}
}

// TestCopies signs the three forms of electronic copies and an annex: text alone, in the top right corner of page 1.
func TestCopies(t *testing.T) {
	k := testKeys(t)
	at := time.Date(2020, 3, 5, 2, 9, 8, 0, time.UTC)
	now := time.Now()
	data := pdftest.New(pdftest.Options{}).Bytes(pdftest.Table)
	agency := "Ủy ban nhân dân tỉnh Bắc Kạn"
	for form, want := range map[stamp.CopyForm]string{stamp.CopyWhole: "SAO Y", stamp.CopyRelayed: "SAO LỤC", stamp.CopyExtract: "TRÍCH SAO", "": "Số: 15/QĐ-UBND"} {
		a, rect, err := stamp.CopyText(form, agency, at, 210)
		if form == "" {
			a, rect, err = stamp.AnnexText("15/QĐ-UBND", at, 210)
		}
		if err != nil || len(a.Image) > 0 || a.FontSize != 10 || a.Color != (stamp.Color{}) || rect.X < 105 || rect.Y > 20 {
			t.Fatalf("%s: %+v at %v, %v", want, a, rect, err)
		}
		file := signAndCheck(t, data, signing.SignOptions{Key: k.seal, Profile: signing.ProfileBB, At: now, Appearance: a, Rect: &rect, Page: 1})
		text := strings.Join(strings.Fields(run(t, "pdftotext", save(t, "copy.pdf", file), "-")), " ")
		parts := []string{want, "05/03/2020 09:09:08 +07:00"}
		if form != "" {
			parts = slices.Insert(parts, 1, agency)
		}
		if joined := strings.Join(parts, "; "); !strings.Contains(text, joined) {
			t.Errorf("pdftotext shows %q, want %q", text, joined)
		}
		keepPicture(t, file)
	}
}
