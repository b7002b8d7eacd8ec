package pki

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// Every code has a sentence in both languages.
func TestEveryCodeHasWords(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		lit, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		count++
		code := Code(strings.Trim(lit.Value, `"`))
		vi, en := code.text("vi"), code.text("en")
		if vi == string(code) || en == string(code) || vi == en {
			t.Errorf("%s: %q, %q", code, vi, en)
		}
		return true
	})
	if count < 30 {
		t.Errorf("only %d codes found", count)
	}
}

func TestReasons(t *testing.T) {
	rs := Reasons{{Code: CodeNoChain, Sub: NoCertificateChain, Detail: "issuer X."}, {Code: CodeDigest, Sub: HashFailure}}
	if rs.Sub() != HashFailure || !rs.Has(CodeDigest) || rs.Has(CodeRevoked) {
		t.Errorf("%v", rs.Sub())
	}
	if (Reasons{rs[0]}).Sub() != NoCertificateChain || (Reasons{}).Sub() != "" {
		t.Error("first reason, or none")
	}
	if got := rs[0].Text("vi"); got != "không có đường dẫn từ chứng thư đến cơ quan chứng thực tin cậy (đơn vị cấp X)" {
		t.Error(got)
	}
	if got := rs.Texts("en"); len(got) != 2 || got[1] != "the content was changed after signing" || rs[1].String() != got[1] {
		t.Error(got)
	}
}
