package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows says which top folders a folder may import. Nothing else is allowed.
func arrows() map[string][]string {
	return map[string][]string{
		"cmd":            {"cmd", "signing", "exchange", "mail", "storage"},
		"exchange":       {"exchange", "mail", "signing", "storage"},
		"mail":           {"mail", "storage"},
		"signing":        {"signing"},
		"storage":        {"storage"},
		"certs-testdata": {"certs-testdata"},
	}
}

// room is a third-party module and the folders that may import it.
type room struct {
	module  string
	folders []string
}

func rooms() []room {
	return []room{
		{"github.com/digitorus/", []string{"signing"}},
		{"go.mozilla.org/pkcs7", []string{"signing"}},
		{"software.sslmate.com/src/go-pkcs12", []string{"signing/keys"}},
		{"github.com/ebitengine/purego", []string{"signing/keys/cryptoki"}},
		{"github.com/klippa-app/go-pdfium", []string{"signing/pdf/picture"}},
		{"github.com/tetratelabs/wazero", []string{"signing/pdf/picture"}},
		{"github.com/russellhaering/goxmldsig", []string{"signing/pki"}},
		{"github.com/beevik/etree", []string{"signing/pki"}},
		{"github.com/emersion/go-smtp", []string{"mail/smtpd", "mail/outbound"}},
		{"github.com/emersion/go-imap/", []string{"mail/imapd"}},
		{"github.com/minio/minio-go/", []string{"storage/blob/s3"}},
		{"modernc.org/sqlite", []string{"storage/sqldb"}},
		{"github.com/jackc/pgx/", []string{"storage/sqldb"}},
		{"github.com/riverqueue/", []string{"storage/jobs"}},
		{"golang.org/x/mod/sumdb/", []string{"storage/ledger", "exchange/transparency", "exchange/receipt"}},
		{"html/template", []string{"exchange/console"}},
		{"github.com/danielgtaylor/huma/", []string{"exchange/httpapi"}},
		{"github.com/alecthomas/kong", []string{"cmd"}},
		{"github.com/xuri/", []string{"cmd", "exchange/sheet"}},
		{"database/sql", []string{"storage", "exchange", "mail"}},
	}
}

// forbiddenNames are package names that say nothing about what they own.
func forbiddenNames() []string {
	return []string{"util", "utils", "common", "helper", "helpers", "types", "models", "core", "base", "shared", "misc", "mocks"}
}

func in(folder, parent string) bool { return folder == parent || strings.HasPrefix(folder, parent+"/") }

// violations reads the imports of every Go file under root itself (the test cache does not see what a child process
// reads) and returns each arrow that turns back, each module outside its room and each name that is not allowed.
func violations(root fs.FS) ([]string, error) {
	var out []string
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := path.Base(name); name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, imported)
		}
		out = append(out, judgeFile(name, file.Name.Name, imports)...)
		return nil
	})
	return out, err
}

func judgeFile(name, pkg string, imports []string) []string {
	var out []string
	folder := path.Dir(name)
	top, _, _ := strings.Cut(folder, "/")
	allowed, known := arrows()[top]
	if !known {
		out = append(out, name+": "+top+" is not a top folder of the house")
	}
	if slices.Contains(forbiddenNames(), pkg) {
		out = append(out, name+": package name "+pkg+" says nothing")
	}
	isTest := strings.HasSuffix(name, "_test.go")
	for _, imported := range imports {
		if rest, ours := strings.CutPrefix(imported, "vanthu/"); ours {
			target, _, _ := strings.Cut(rest, "/")
			if target == "certs-testdata" && isTest {
				continue
			}
			if !slices.Contains(allowed, target) {
				out = append(out, fmt.Sprintf("%s: %s may not import %s", name, top, imported))
			}
			continue
		}
		if isTest {
			continue // a test may hold a real client of the other side in its hand
		}
		for _, r := range rooms() {
			if !strings.HasPrefix(imported, r.module) {
				continue
			}
			if !slices.ContainsFunc(r.folders, func(f string) bool { return in(folder, f) }) {
				out = append(out, fmt.Sprintf("%s: %s belongs to %v", name, imported, r.folders))
			}
		}
		if top == "certs-testdata" && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
			out = append(out, name+": certs-testdata uses the standard library only, not "+imported)
		}
	}
	return out
}

func repositoryRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "..", "..")
}

func TestImportsKeepTheArrows(t *testing.T) {
	found, err := violations(os.DirFS(repositoryRoot(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

func TestImportsRefusePlantedViolations(t *testing.T) {
	planted := map[string]string{
		"storage/blob/x.go":       "package blob\nimport _ \"vanthu/exchange\"\n",
		"signing/x.go":            "package signing\nimport _ \"vanthu/mail\"\n",
		"mail/x.go":               "package mail\nimport _ \"vanthu/signing/cms\"\n",
		"mail/imapd/x.go":         "package imapd\nimport _ \"github.com/emersion/go-smtp\"\n",
		"exchange/x.go":           "package exchange\nimport _ \"modernc.org/sqlite\"\n",
		"exchange/httpapi/x.go":   "package httpapi\nimport _ \"html/template\"\n",
		"exchange/common/x.go":    "package common\n",
		"cmd/vanthu/x.go":         "package main\nimport _ \"vanthu/certs-testdata\"\n",
		"web/x.go":                "package web\n",
		"certs-testdata/x.go":     "package certs\nimport _ \"golang.org/x/crypto/ocsp\"\n",
		"storage/jobs/x.go":       "package jobs\nimport _ \"github.com/minio/minio-go/v7\"\n",
		"exchange/registry/x.go":  "package registry\nimport _ \"github.com/digitorus/pdfsign/sign\"\n",
		"certs-testdata/y.go":     "package certs\nimport _ \"vanthu/signing/keys\"\n",
		"exchange/x_test.go":      "package exchange\nimport _ \"vanthu/cmd/vanthu\"\n",
		"exchange/sheet.go":       "package exchange\nimport _ \"github.com/xuri/excelize/v2\"\n",
		"storage/ledger/third.go": "package ledger\nimport _ \"github.com/alecthomas/kong\"\n",
	}
	for name, source := range planted {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(source), 0o644); err != nil {
				t.Fatal(err)
			}
			found, err := violations(os.DirFS(dir))
			if err != nil {
				t.Fatal(err)
			}
			if len(found) == 0 {
				t.Fatalf("the planted violation was not seen:\n%s", source)
			}
		})
	}
}
