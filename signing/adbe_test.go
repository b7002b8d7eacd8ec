package signing_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"testing"
	"time"

	"vanthu/signing"
	"vanthu/signing/pdf"
	"vanthu/signing/pdf/pdftest"
	"vanthu/signing/stamp"
)

// TestWhoMakesTheAdobeForm: pdfsign where it is sound, our own writer where pdfsign would damage the document
// or write a broken signature dictionary. Either way the result passes.
func TestWhoMakesTheAdobeForm(t *testing.T) {
	k := testKeys(t)
	visible := func(o *signing.SignOptions) {
		o.Rect = &stamp.RectMM{X: 120, Y: 20, W: 60, H: 25}
		o.Appearance = &stamp.Appearance{Lines: []string{"Ký bởi: Ủy ban nhân dân tỉnh Bắc Kạn"}}
	}
	for name, c := range map[string]struct {
		doc    pdftest.Options
		form   pdftest.Form
		change func(*signing.SignOptions)
		want   pdf.Name
	}{
		"plain":                  {pdftest.Options{}, pdftest.Table, nil, "Digitorus PDFSign"},
		"hybrid":                 {pdftest.Options{}, pdftest.Hybrid, nil, "Digitorus PDFSign"},
		"visible":                {pdftest.Options{Rotate: 270, CropBox: true}, pdftest.Table, visible, "Digitorus PDFSign"},
		"visible, annotations":   {pdftest.Options{IndirectAnnots: true}, pdftest.Table, visible, "Digitorus PDFSign"},
		"odd strings (S1, S2)":   {pdftest.Options{OddCatalog: true, LooseTrailer: true}, pdftest.Table, visible, "Digitorus PDFSign"},
		"stream without info":    {pdftest.Options{NoInfo: true}, pdftest.ObjectStreams, visible, "Digitorus PDFSign"},
		"stream with info":       {pdftest.Options{}, pdftest.Stream, nil, "vanthu"},
		"form (S3)":              {pdftest.Options{AcroForm: true}, pdftest.Table, nil, "vanthu"},
		"direct annotation (S4)": {pdftest.Options{DirectAnnots: true}, pdftest.Table, visible, "vanthu"},
		"direct, invisible":      {pdftest.Options{DirectAnnots: true}, pdftest.Table, nil, "Digitorus PDFSign"},
		"named field (S7)":       {pdftest.Options{}, pdftest.Table, func(o *signing.SignOptions) { o.Field = "seal" }, "vanthu"},
		"closing bracket in ĩ":   {pdftest.Options{}, pdftest.Table, func(o *signing.SignOptions) { o.Name = "Nguyễn Thị Nghĩa" }, "vanthu"},
	} {
		t.Run(name, func(t *testing.T) {
			o := signing.SignOptions{Key: k.officer, Profile: signing.ProfileAdobe, TSA: k.tsa, Reason: "Phê duyệt", At: time.Now()}
			if c.change != nil {
				c.change(&o)
			}
			data := pdftest.New(c.doc).Bytes(c.form)
			signed := signAndCheck(t, data, o)
			f, err := pdf.Open(bytes.NewReader(signed), int64(len(signed)), pdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			signatures, err := f.Signatures()
			if err != nil || len(signatures) != 1 {
				t.Fatalf("signatures %v, %v", signatures, err)
			}
			d := signatures[0].Dict
			build, _ := d["Prop_Build"].(pdf.Dict)
			app, _ := build["App"].(pdf.Dict)
			if app["Name"] != c.want {
				t.Errorf("made by %v, want %v", app["Name"], c.want)
			}
			if d.Name("SubFilter") != pdf.SubFilterAdobe || d["M"] == nil {
				t.Errorf("signature dictionary %s", pdf.AppendObject(nil, d))
			}
			if s, _ := d["Name"].(pdf.String); s.Text() != o.Name && o.Name != "" {
				t.Errorf("name reads %q, want %q", s.Text(), o.Name)
			}
			checkOutside(t, signed, 1, signing.ProfileAdobe)
			keepPicture(t, signed)
		})
	}
}

// bigTSA gives tokens that are larger than the room reserved at first.
type bigTSA struct{ calls int }

func (b *bigTSA) Timestamp(ctx context.Context, digest []byte, h crypto.Hash) ([]byte, error) {
	b.calls++
	return append([]byte{0x30, 0x82, 0x2E, 0xE0}, bytes.Repeat([]byte{0x05, 0x00}, 6000)...), nil
}

// TestTimestampThatDoesNotFit: a second try with more room, no endless one.
func TestTimestampThatDoesNotFit(t *testing.T) {
	k := testKeys(t)
	data := pdftest.New(pdftest.Options{}).Bytes(pdftest.Table)
	for _, profile := range []signing.Profile{signing.ProfileAdobe, signing.ProfileBT} {
		client := &bigTSA{}
		o := signing.SignOptions{Key: k.officer, Profile: profile, TSA: client, At: time.Now()}
		var out bytes.Buffer
		if err := signing.SignPDF(context.Background(), bytes.NewReader(data), int64(len(data)), &out, o); err != nil {
			t.Fatalf("%s: %v", profile, err)
		}
		if client.calls != 2 {
			t.Errorf("%s: %d tokens were asked for, want 2", profile, client.calls)
		}
	}
}

type noTSA struct{}

func (noTSA) Timestamp(context.Context, []byte, crypto.Hash) ([]byte, error) {
	return nil, errors.New("out of order")
}

func TestTimestampFails(t *testing.T) {
	k := testKeys(t)
	data := pdftest.New(pdftest.Options{}).Bytes(pdftest.Table)
	for _, profile := range []signing.Profile{signing.ProfileAdobe, signing.ProfileBT} {
		var out bytes.Buffer
		o := signing.SignOptions{Key: k.officer, Profile: profile, TSA: noTSA{}, At: time.Now()}
		if err := signing.SignPDF(context.Background(), bytes.NewReader(data), int64(len(data)), &out, o); err == nil || out.Len() > 0 {
			t.Errorf("%s: got %v and %d bytes, want an error and nothing", profile, err, out.Len())
		}
	}
}
