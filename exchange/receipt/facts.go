package receipt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"

	"vanthu/signing"
)

// receipts judges the recipients' receipts.
func (v *verification) receipts() *problem {
	var doubt *problem
	for _, m := range v.members {
		base, ok := strings.CutSuffix(m.name, ".json")
		if !strings.HasPrefix(m.name, folderReceipts) {
			continue
		}
		if !ok {
			if v.byName[strings.TrimSuffix(m.name, ".p7s")+".json"] == nil {
				return broken(m.name, "Chữ ký %q không có biên nhận.", "The signature %q has no receipt.", m.name)
			}
			continue
		}
		var b Body
		if err := json.Unmarshal(m.data, &b); err != nil || b.V != 1 {
			return broken(m.name, "Không đọc được biên nhận %q.", "The receipt %q cannot be read.", m.name)
		}
		v.bodies = append(v.bodies, b)
		signature := v.byName[base+".p7s"]
		if signature == nil {
			v.remark("Trạng thái %q của %s đến qua kênh không ký biên nhận.", "The status %q of %s came over a channel that signs no receipts.", b.Status, b.From)
			continue
		}
		p := v.receipt(base+".p7s", m.data, signature, &b)
		if p != nil && !p.unknown {
			return p
		}
		if p != nil {
			doubt = p
		}
	}
	return doubt
}

// receipt judges one: its signature holds, and its signer speaks for the agency that the issuer's register names. The
// register says more than a chain: a receipt of a neighbour whose root is unknown here passes with a remark.
func (v *verification) receipt(name string, body, signature []byte, b *Body) *problem {
	report, err := signing.VerifyDetached(v.ctx, bytes.NewReader(body), signature, v.options())
	if err != nil || len(report.Signatures) != 1 {
		return broken(name, "Không đọc được chữ ký của biên nhận.", "The signature of the receipt cannot be read.")
	}
	signerCode := b.From
	if b.Successor != "" {
		signerCode = b.Successor
	}
	signer := signerOf(signature)
	switch {
	case report.Verdict == signing.TotalFailed || report.Integrity != signing.Intact:
		return judged(name, report)
	case signer == nil || !v.statement.speaks(signerCode, signer, b.At):
		return broken(name, "Chứng thư ký biên nhận không phải của cơ quan %s.", "The certificate that signed the receipt is not one of the agency %s.", signerCode)
	case report.Verdict == signing.Indeterminate && v.o.Trust != nil && v.result.Checks[len(v.result.Checks)-1].Verdict == signing.TotalPassed:
		v.remark("Biên nhận của %s: chứng thư theo sổ đăng ký của %s, gốc của nó chưa được tin ở đây.",
			"Receipt of %s: its certificate is known by the register of %s, its root is not trusted here.", signerCode, v.statement.Issuer)
		return nil
	}
	return judged(name, report)
}

// facts compares what the statement and the receipts say with the evidence.
func (v *verification) facts() *problem {
	s := v.statement
	pins := entryFacts{}
	accepted := map[string]string{} // receipt to digest
	for i := range v.proofs {
		p := &v.proofs[i]
		name := evidenceName(p.Index)
		f, err := factsOf(p)
		if err != nil {
			return broken(name, "Không đọc được chứng cứ %q.", "The evidence %q cannot be read.", name)
		}
		if p.Entry.Subject != s.Document.ID {
			return broken(name, "Chứng cứ %q là của văn bản khác.", "The evidence %q is about another document.", name)
		}
		switch p.Entry.Kind {
		case "document.drafted", "document.revised", "document.numbered", "document.updated":
			maps.Copy(pins, f)
		case "document.signed":
			pins["digest"] = f["digest"]
		case "receipt.accepted":
			accepted[f["receipt"]] = f["digest"]
		}
	}
	d := s.Document
	for key, value := range map[string]string{
		"digest": d.Digest, "code": d.Code, "axis": d.Axis, "subject": d.Subject, "type": d.Type, "place": d.Place,
		"signer_name": d.SignerName, "signer_position": d.SignerPosition,
	} {
		if pinned, ok := pins[key]; ok && pinned != value {
			return broken(memberStatement, "Biên bản ghi %[1]s là %[2]q, chứng cứ ghi %[3]q.", "The statement says that %[1]s is %[2]q, the evidence says %[3]q.", key, value, pinned)
		}
	}
	return v.matched(accepted)
}

// matched compares each receipt with the evidence of its coming.
func (v *verification) matched(accepted map[string]string) *problem {
	for _, m := range v.members {
		if !strings.HasPrefix(m.name, folderReceipts) || !strings.HasSuffix(m.name, ".json") {
			continue
		}
		var b Body
		if err := json.Unmarshal(m.data, &b); err != nil {
			return broken(m.name, "Không đọc được biên nhận %q.", "The receipt %q cannot be read.", m.name)
		}
		sum := sha256.Sum256(m.data)
		switch {
		case b.Document != v.statement.Document.ID || b.Digest != v.statement.Document.Digest:
			return broken(m.name, "Biên nhận %q là của văn bản khác.", "The receipt %q is about another document.", m.name)
		case accepted[b.ID] != hex.EncodeToString(sum[:]):
			return broken(m.name, "Không có chứng cứ tiếp nhận biên nhận %q.", "No evidence says that the receipt %q came.", m.name)
		}
	}
	return nil
}

// document compares the PDF inside and the reader's own with the digest.
func (v *verification) document() *problem {
	for name, data := range map[string][]byte{folderDocuments + "document.pdf": v.byName[folderDocuments+"document.pdf"], "": v.o.Document} {
		if data == nil {
			continue
		}
		sum := sha256.Sum256(data)
		if hex.EncodeToString(sum[:]) != v.statement.Document.Digest {
			return broken(name, "Văn bản không phải là văn bản của biên bản này.", "The document is not the one that the bundle speaks of.")
		}
	}
	return nil
}
