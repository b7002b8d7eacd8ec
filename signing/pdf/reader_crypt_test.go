package pdf

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func openFile(t *testing.T, path string) (*File, error) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Open(bytes.NewReader(data), int64(len(data)), Limits{})
}

// The files were made by qpdf 11.3 from one source, encrypted with the empty user password.
func TestEncrypted(t *testing.T) {
	for _, name := range []string{"rc4-40", "rc4-128", "aes-128", "aes-256-r5", "aes-256"} {
		t.Run(name, func(t *testing.T) {
			f, err := openFile(t, filepath.Join("testdata", name+".pdf"))
			if err != nil {
				t.Fatal(err)
			}
			if !f.Encrypted() {
				t.Error("not reported as encrypted")
			}
			v := f.Latest()
			info, err := v.Resolve(v.Trailer()["Info"])
			if err != nil {
				t.Fatal(err)
			}
			if d, _ := info.(Dict); string(d["Title"].(String).B) != "plain title" {
				t.Errorf("title %q", d["Title"])
			}
			err = v.Pages(func(_ int, _ Ref, page Dict) bool {
				st, err := v.Resolve(page["Contents"])
				if err != nil {
					t.Fatal(err)
				}
				data, err := v.StreamData(st.(*Stream))
				if err != nil || !bytes.HasPrefix(data, []byte("BT (secret) Tj")) {
					t.Errorf("content %q, %v", data, err)
				}
				return true
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	_, err := openFile(t, filepath.Join("testdata", "password.pdf"))
	var e *Error
	if !errors.As(err, &e) || e.Kind != Encrypted {
		t.Errorf("a file with a password gives %v", err)
	}
}
