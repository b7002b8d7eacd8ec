package exchange

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/storage/archive"
)

// TestWorkFile opens a file, puts a document of each kind into it and hands it to
// the archive with its table of contents.
func TestWorkFile(t *testing.T) {
	each(t, func(t *testing.T, postgres bool) {
		ctx := context.Background()
		w := newWorld(t, worldOptions{postgres: postgres})
		by, clk := w.as(officer, "H03.01"), w.as(clerk, "H03.01")
		d := w.sent(t, 1, "H03.01")
		w.runLanes(t)
		in := w.incoming(t, "H03.01", d.ID)
		f, err := w.OpenFile(ctx, by, WorkFileInput{Code: "01/TC", Title: "Hồ sơ về việc tổ chức", Maintenance: "10 năm"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.OpenFile(ctx, by, WorkFileInput{Code: "01/TC", Title: "khác", Maintenance: "5 năm"})
		wantKind(t, err, KindConflict)
		_, err = w.OpenFile(ctx, by, WorkFileInput{Code: "02/TC", Title: "khác"})
		wantKind(t, err, KindInvalid)
		_, err = w.AddToFile(ctx, by, f.ID, ItemIncoming, string(in.ID))
		wantKind(t, err, KindConflict) // has no number yet
		_, err = w.CloseFile(ctx, by, f.ID)
		wantKind(t, err, KindConflict) // empty
		if _, err := w.Register(ctx, clk, in.ID); err != nil {
			t.Fatal(err)
		}
		_, err = w.AddToFile(ctx, w.as(leader, "H03.01"), f.ID, ItemIncoming, string(in.ID))
		wantKind(t, err, KindForbidden)
		if _, err := w.AddToFile(ctx, by, f.ID, ItemIncoming, string(in.ID)); err != nil {
			t.Fatal(err)
		}
		_, err = w.AddToFile(ctx, by, f.ID, ItemIncoming, string(in.ID))
		wantKind(t, err, KindConflict)
		_, err = w.HandOverFile(ctx, clk, f.ID)
		wantKind(t, err, KindConflict) // not closed
		if _, err := w.CloseFile(ctx, by, f.ID); err != nil {
			t.Fatal(err)
		}
		_, err = w.HandOverFile(ctx, by, f.ID)
		wantKind(t, err, KindForbidden)
		handed, err := w.HandOverFile(ctx, clk, f.ID)
		if err != nil || handed.Receiver != clk.Name {
			t.Fatal(handed, err)
		}
		p, err := archive.Open(ctx, w.store.Archive, handed.Package.Digest)
		if err != nil || !bytes.HasPrefix(p.Files["mucluc.pdf"], []byte("%PDF")) || len(p.Files["0001.pdf"]) != int(in.PDF.Size) {
			t.Errorf("package %v %v", p, err)
		}
		if !strings.Contains(string(p.Files["mucluc.json"]), d.Code()) {
			t.Error("the table of contents does not name the document")
		}
		_, _, err = w.File(ctx, w.as(clerk, "H03.02"), f.ID)
		wantKind(t, err, KindNotFound)
		own, err := w.OpenFile(ctx, w.as(clerk, "H03"), WorkFileInput{Code: "01", Title: "Văn bản đi", Maintenance: "5 năm"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.AddToFile(ctx, w.as(clerk, "H03"), own.ID, ItemOutgoing, string(d.ID)); err != nil {
			t.Fatal(err)
		}
		_, items, err := w.File(ctx, w.as(clerk, "H03"), own.ID)
		if err != nil || len(items) != 1 || items[0].Code != d.Code() || items[0].Author != "UBND tỉnh Bắc Kạn" {
			t.Errorf("%+v %v", items, err)
		}
		w.clean(t)
	})
}

// TestExportIsSigned opens the container as anybody can, and judges its signature.
func TestExportIsSigned(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, worldOptions{})
	w.sent(t, 1, "H03.01")
	var out bytes.Buffer
	if err := w.ExportBook(ctx, w.as(clerk, "H03"), BookQuery{Book: BookOutgoing, Year: 2026}, &out); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	if z.File[0].Name != "mimetype" || z.File[0].Method != zip.Store || string(files["mimetype"]) != asicType {
		t.Errorf("the container begins with %s", z.File[0].Name)
	}
	for _, name := range []string{"register.pdf", "register.xlsx", "register.csv"} {
		if !strings.Contains(string(files[asicManifest]), base64.StdEncoding.EncodeToString(digest(files[name]))) {
			t.Errorf("the manifest does not vouch for %s", name)
		}
	}
	report, err := signing.VerifyDetached(ctx, bytes.NewReader(files[asicManifest]), files[asicSignature], w.verifyOptions())
	if err != nil || report.Verdict != signing.TotalPassed {
		t.Errorf("the signature: %+v %v", report, err)
	}
	report, err = signing.VerifyDetached(ctx, bytes.NewReader(append(files[asicManifest], ' ')), files[asicSignature], w.verifyOptions())
	if err != nil || report.Verdict == signing.TotalPassed {
		t.Errorf("another manifest passes: %v", err)
	}
	if registry.Fold(string(files["register.csv"])) == "" {
		t.Error("an empty register")
	}
}
