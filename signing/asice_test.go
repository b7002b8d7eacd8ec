package signing_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"vanthu/signing"
)

func containerFiles() map[string]string {
	return map[string]string{"quyết định.pdf": strings.Repeat("văn bản ", 500), "phụ lục/bảng 1.csv": "a;b\n1;2\n", "trống.txt": ""}
}

func sealContainer(t testing.TB, level string) []byte {
	t.Helper()
	k := testKeys(t)
	var files []signing.ContainerFile
	for name, text := range containerFiles() {
		files = append(files, signing.ContainerFile{Name: name, Content: strings.NewReader(text), Size: int64(len(text))})
	}
	var out bytes.Buffer
	o := signing.DetachedOptions{Level: level, TSA: k.tsa, Trust: k.trust, At: time.Now()}
	if err := signing.SignContainer(context.Background(), &out, files, k.seal, o); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// repack writes a container anew, each file changed by edit; nil leaves it out.
func repack(t *testing.T, data []byte, edit func(name string, content []byte) []byte, more map[string]string) []byte {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	put := func(name string, content []byte) {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if content = edit(f.Name, content); content != nil {
			put(f.Name, content)
		}
	}
	for name, text := range more {
		put(name, []byte(text))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestContainer(t *testing.T) {
	k := testKeys(t)
	v := signing.VerifyOptions{Trust: k.trust, Offline: true}
	for _, level := range []string{"B-B", "B-T", "B-LT", "B-LTA"} {
		data := sealContainer(t, level)
		if !bytes.Equal(data[30:38], []byte("mimetype")) || !bytes.HasPrefix(data[38:], []byte("application/vnd.etsi.asic-e+zip")) {
			t.Errorf("the container does not begin with its type: %q", data[:80])
		}
		report, names, err := signing.VerifyContainer(context.Background(), bytes.NewReader(data), int64(len(data)), v)
		if err != nil || report.Verdict != signing.TotalPassed || report.Signatures[0].Level != level || len(names) != len(containerFiles()) {
			t.Fatalf("%s: %v, %v, %+v", level, err, names, report)
		}
	}
	whole := sealContainer(t, "B-B")
	same := func(_ string, content []byte) []byte { return content }
	swap := func(part, by string) func(string, []byte) []byte {
		return func(name string, content []byte) []byte {
			if strings.Contains(name, part) {
				return []byte(by)
			}
			return content
		}
	}
	drop := func(part string) func(string, []byte) []byte {
		return func(name string, content []byte) []byte {
			if strings.Contains(name, part) {
				return nil
			}
			return append([]byte{}, content...)
		}
	}
	for name, c := range map[string]struct {
		data      []byte
		verdict   signing.Verdict
		integrity signing.Integrity
		fails     bool
	}{
		"packed anew":       {data: repack(t, whole, same, nil), verdict: signing.TotalPassed, integrity: signing.Intact},
		"changed file":      {data: repack(t, whole, swap("bảng", "a;b\n9;9\n"), nil), verdict: signing.TotalFailed, integrity: signing.Altered},
		"removed file":      {data: repack(t, whole, drop("bảng"), nil), verdict: signing.Indeterminate, integrity: signing.Unclear},
		"added file":        {data: repack(t, whole, same, map[string]string{"thêm.txt": "x"}), verdict: signing.Indeterminate, integrity: signing.Unclear},
		"changed manifest":  {data: repack(t, whole, func(n string, b []byte) []byte { return bytes.Replace(b, []byte("text/csv"), []byte("text/cvs"), 1) }, nil), verdict: signing.TotalFailed, integrity: signing.Altered},
		"broken signature":  {data: repack(t, whole, swap("p7s", "garbage"), nil), verdict: signing.TotalFailed, integrity: signing.Altered},
		"no manifest":       {data: repack(t, whole, drop("ASiCManifest"), nil), verdict: signing.NoSignature, integrity: signing.Unclear},
		"no signature":      {data: repack(t, whole, drop("p7s"), nil), fails: true},
		"manifest with DTD": {data: repack(t, whole, swap("ASiCManifest", `<!DOCTYPE a [<!ENTITY b "c">]><a/>`), nil), fails: true},
		"other type":        {data: repack(t, whole, swap("mimetype", "application/zip"), nil), fails: true},
		"leads outside":     {data: repack(t, whole, same, map[string]string{"../x": "x"}), fails: true},
		"doubled":           {data: repack(t, whole, same, map[string]string{"trống.txt": "x"}), fails: true},
		"bomb":              {data: repack(t, whole, swap("quyết", strings.Repeat("\x00", 40<<20)), nil), fails: true},
		"something behind":  {data: append(bytes.Clone(whole), "more"...), fails: true},
		"something before":  {data: append([]byte("more"), whole...), fails: true},
		"no container":      {data: []byte("hello"), fails: true},
	} {
		report, _, err := signing.VerifyContainer(context.Background(), bytes.NewReader(c.data), int64(len(c.data)), v)
		if c.fails {
			if !errors.Is(err, signing.ErrContainer) {
				t.Errorf("%s: %v, want ErrContainer", name, err)
			}
			continue
		}
		if err != nil || report.Verdict != c.verdict || report.Integrity != c.integrity {
			t.Errorf("%s: %v, %+v, want %s %s", name, err, report, c.verdict, c.integrity)
		}
	}
	for _, name := range []string{"", "/x", "../x", "a/../b", "META-INF/x", "mimetype", `a\b`} {
		files := []signing.ContainerFile{{Name: name, Content: strings.NewReader("x"), Size: 1}}
		if err := signing.SignContainer(context.Background(), io.Discard, files, k.seal, signing.DetachedOptions{}); !errors.Is(err, signing.ErrContainer) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

// TestContainerOutside has unzip and openssl read a container.
func TestContainerOutside(t *testing.T) {
	data := sealContainer(t, "B-T")
	in, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	get := func(name string) []byte {
		f, err := in.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	out := run(t, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", save(t, "sig", get("META-INF/signature001.p7s")),
		"-content", save(t, "manifest", get("META-INF/ASiCManifest001.xml")), "-noverify", "-out", os.DevNull)
	if !strings.Contains(out, "successful") {
		t.Error(out)
	}
}

func FuzzContainer(f *testing.F) {
	f.Add(sealContainer(f, "B-B"))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	k := testKeys(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		report, _, err := signing.VerifyContainer(context.Background(), bytes.NewReader(data), int64(len(data)),
			signing.VerifyOptions{Trust: k.trust, Offline: true, MaxSize: 8 << 20})
		if err == nil && report == nil {
			t.Error("neither a report nor an error")
		}
	})
}
