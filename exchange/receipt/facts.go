package receipt

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanthu/signing"
)

// How it is known what a recipient said, in Line.Proof.
const (
	ProofSigned   = "signed"   // by the recipient itself, as somebody other than the bundle's issuer says
	ProofRegister = "register" // by a certificate that only the bundle's issuer says is the recipient's
	ProofWord     = "word"     // by nobody: it is what the sender says
)

// spoken is a receipt and how far it can be believed.
type spoken struct {
	Body
	proof string
}

// acceptance is the evidence that a receipt came.
type acceptance struct {
	entryFacts
	at   time.Time
	name string // of the member
}

// accept reads from the evidence which receipts came; each comes once.
func (v *verification) accept() *problem {
	v.accepted = map[string]*acceptance{}
	for i := range v.proofs {
		p := &v.proofs[i]
		if p.Entry.Kind != kindAccepted {
			continue
		}
		name := evidenceName(p.Index)
		f, err := factsOf(p)
		switch {
		case err != nil || f["receipt"] == "":
			return broken(name, "Không đọc được chứng cứ %q.", "The evidence %q cannot be read.", name)
		case v.accepted[f["receipt"]] != nil:
			return broken(name, "Hai chứng cứ tiếp nhận cùng một biên nhận %q.", "Two pieces of evidence accept the receipt %q.", f["receipt"])
		}
		v.accepted[f["receipt"]] = &acceptance{f, p.Entry.At, name}
	}
	return nil
}

// receipts judges the recipients' receipts: those in the bundle, and those that the evidence speaks of and that are not.
func (v *verification) receipts() *problem {
	if p := v.accept(); p != nil {
		return p
	}
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
		if _, twice := v.spoken[b.ID]; twice {
			return broken(m.name, "Biên nhận %q có hai lần.", "The receipt %q is there twice.", b.ID)
		}
		v.spoken[b.ID] = spoken{b, ProofWord}
		p := v.receipt(base, m.data, &b)
		if p != nil && !p.unknown {
			return p
		}
		if doubt == nil {
			doubt = p
		}
	}
	for _, id := range slices.Sorted(maps.Keys(v.accepted)) {
		a := v.accepted[id]
		if _, here := v.spoken[id]; !here && doubt == nil {
			doubt = unsaid(a.name, a.entryFacts["from"], a.entryFacts["status"])
		}
	}
	return doubt
}

// unsaid is what is said of a recipient's status that the recipient did not sign.
func unsaid(member, who, status string) *problem {
	p := broken(member, "Trạng thái %[1]q của %[2]s không có biên nhận đã ký trong gói: đó chỉ là lời của bên gửi.",
		"There is no signed receipt of the status %[1]q of %[2]s in the bundle: only the sender says so.", status, who)
	p.unknown = true
	return p
}

// receipt judges one: its signature holds, its signer speaks for the agency by the issuer's register, and somebody other
// than the issuer says so too, since the issuer is the one whom the receipt is held against others by.
func (v *verification) receipt(base string, body []byte, b *Body) *problem {
	name := base + ".p7s"
	signature := v.byName[name]
	if signature == nil {
		return unsaid(base+".json", b.From, b.Status)
	}
	report, err := signing.VerifyDetached(v.ctx, bytes.NewReader(body), signature, v.options(v.provenBy()))
	if err != nil || len(report.Signatures) != 1 {
		return broken(name, "Không đọc được chữ ký của biên nhận.", "The signature of the receipt cannot be read.")
	}
	code := b.From
	if b.Successor != "" {
		code = b.Successor
	}
	signer := signerOf(signature)
	switch {
	case report.Verdict == signing.TotalFailed || report.Integrity != signing.Intact:
		return judged(name, report)
	case signer == nil || !v.statement.speaks(code, signer, b.At):
		return broken(name, "Chứng thư ký biên nhận không phải của cơ quan %s.", "The certificate that signed the receipt is not one of the agency %s.", code)
	case b.Successor != "" && !v.statement.succeeds(b.From, b.Successor, b.At):
		return broken(name, "Cơ quan %[1]s không kế thừa %[2]s.", "The agency %[1]s does not continue %[2]s.", b.Successor, b.From)
	}
	v.spoken[b.ID] = spoken{*b, ProofRegister}
	return v.believed(name, b, code, signer, report)
}

// believed judges who signed a receipt whose cryptography holds.
func (v *verification) believed(name string, b *Body, code string, signer *x509.Certificate, report *signing.Report) *problem {
	if a := v.accepted[b.ID]; a != nil && !v.statement.speaks(code, signer, a.at) {
		p := broken(name, "Chứng thư của %s đã hết hiệu lực khi nhật ký tiếp nhận biên nhận.", "The certificate of %s had ended when the log took the receipt.", code)
		p.unknown = true
		return p
	}
	switch {
	case noRootOnly(report) && v.o.Trust != nil && v.pinned(signer, code):
		v.remark("Biên nhận của %s: chứng thư do người kiểm tra biết là của cơ quan này; gốc của nó chưa được tin ở đây.",
			"Receipt of %s: the reader knows its certificate to be the agency's; its root is not trusted here.", code)
	case report.Verdict != signing.TotalPassed && (v.o.Trust == nil || !noRootOnly(report)):
		return judged(name, report)
	case !v.identified(signer, code, report):
		return unidentified(name, signer, code)
	}
	v.spoken[b.ID] = spoken{*b, ProofSigned}
	return nil
}

// succeeds tells whether the statement has an agency continue another at a time.
func (s *Statement) succeeds(from, to string, at time.Time) bool {
	return slices.ContainsFunc(s.Parties, func(p Party) bool {
		return p.Code == from && slices.ContainsFunc(p.Successors, func(o Succession) bool { return o.Code == to && !at.Before(o.From) })
	})
}

// The kinds of evidence that pin what a bundle says.
const (
	kindDrafted  = "document.drafted"
	kindRevised  = "document.revised"
	kindNumbered = "document.numbered"
	kindUpdated  = "document.updated"
	kindSigned   = "document.signed"
	kindSent     = "document.sent"
	kindAccepted = "receipt.accepted"
)

// facts compares what the statement and the receipts say with the evidence.
func (v *verification) facts() *problem {
	s := v.statement
	pins := entryFacts{}
	anchored := false // the digest
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
		case kindDrafted, kindRevised, kindNumbered, kindUpdated:
			maps.Copy(pins, f)
		case kindSigned:
			pins["digest"], anchored = f["digest"], true
		case kindSent:
			if f["digest"] != "" {
				pins["digest"], anchored = f["digest"], true
			}
			if !s.Document.Sent.IsZero() && !p.Entry.At.Equal(s.Document.Sent) {
				return broken(memberStatement, "Biên bản ghi gửi lúc %[1]s, chứng cứ ghi %[2]s.", "The statement says sent at %[1]s, the evidence says %[2]s.",
					s.Document.Sent.UTC().Format(time.RFC3339), p.Entry.At.UTC().Format(time.RFC3339))
			}
		}
	}
	if !anchored {
		return broken(memberStatement, "Không có chứng cứ nào về việc ký hoặc gửi chính tệp này.", "No evidence says that this very file was signed or sent.")
	}
	if p := v.pins(pins); p != nil {
		return p
	}
	return v.matched()
}

// pins compares the statement with what the evidence pins; what it does not pin is the issuer's word.
func (v *verification) pins(pins entryFacts) *problem {
	d := v.statement.Document
	if t, err := time.Parse(time.RFC3339Nano, pins["issued"]); err == nil {
		pins["issued"] = t.In(vietnam()).Format(time.DateOnly)
		if utc := t.UTC().Format(time.DateOnly); utc == d.Issued { // a day is kept as its midnight, in UTC or in Vietnam
			pins["issued"] = utc
		}
	}
	said := map[string]string{
		"digest": d.Digest, "code": d.Code, "axis": d.Axis, "subject": d.Subject, "type": d.Type, "place": d.Place,
		"signer_name": d.SignerName, "signer_position": d.SignerPosition, "issued": d.Issued,
	}
	for _, key := range slices.Sorted(maps.Keys(said)) {
		if pinned, ok := pins[key]; ok && pinned != said[key] {
			return broken(memberStatement, "Biên bản ghi %[1]s là %[2]q, chứng cứ ghi %[3]q.", "The statement says that %[1]s is %[2]q, the evidence says %[3]q.", key, said[key], pinned)
		}
	}
	if _, ok := pins["subject"]; !ok {
		v.remark("Trích yếu không có chứng cứ trong gói: đó là lời của cơ quan lập.", "No evidence in the bundle pins the subject: it is what the issuer says.")
	}
	return nil
}

// matched compares each receipt with the evidence of its coming: all that both say is the same.
func (v *verification) matched() *problem {
	for _, m := range v.members {
		if !strings.HasPrefix(m.name, folderReceipts) || !strings.HasSuffix(m.name, ".json") {
			continue
		}
		var b Body
		if err := json.Unmarshal(m.data, &b); err != nil {
			return broken(m.name, "Không đọc được biên nhận %q.", "The receipt %q cannot be read.", m.name)
		}
		sum := sha256.Sum256(m.data)
		a := v.accepted[b.ID]
		switch {
		case b.Document != v.statement.Document.ID || b.Digest != v.statement.Document.Digest || b.To != v.statement.Document.From:
			return broken(m.name, "Biên nhận %q là của văn bản khác.", "The receipt %q is about another document.", m.name)
		case a == nil || a.entryFacts["digest"] != hex.EncodeToString(sum[:]):
			return broken(m.name, "Không có chứng cứ tiếp nhận biên nhận %q.", "No evidence says that the receipt %q came.", m.name)
		case b.At.After(a.at.Add(skew)):
			return broken(m.name, "Biên nhận %q ghi thời điểm sau khi nhật ký tiếp nhận nó.", "The receipt %q is dated after the log took it.", m.name)
		}
		if key := a.contradicts(&b); key != "" {
			return broken(a.name, "Chứng cứ %[1]q ghi %[2]s khác với biên nhận đã ký.", "The evidence %[1]q says another %[2]s than the signed receipt.", a.name, key)
		}
	}
	return nil
}

// contradicts names what the evidence says otherwise than the receipt; "" = nothing.
func (a *acceptance) contradicts(b *Body) string {
	number := ""
	if b.ArrivalNumber != 0 {
		number = strconv.Itoa(b.ArrivalNumber)
	}
	said := map[string]string{"from": b.From, "status": b.Status, "note": b.Note, "arrival_number": number, "successor": b.Successor}
	for key, value := range map[string]string{"agency": b.To, "step": fmt.Sprint(b.Step)} { // not in every version's evidence
		if _, ok := a.entryFacts[key]; ok {
			said[key] = value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(said)) {
		if a.entryFacts[key] != said[key] {
			return key
		}
	}
	return ""
}

// document compares the PDF inside and the reader's own with the digest.
func (v *verification) document() *problem {
	for name, data := range map[string][]byte{memberDocument: v.byName[memberDocument], "": v.o.Document} {
		if data == nil {
			continue
		}
		sum := sha256.Sum256(data)
		if hex.EncodeToString(sum[:]) != v.statement.Document.Digest || int64(len(data)) != v.statement.Document.Size {
			return broken(name, "Văn bản không phải là văn bản của biên bản này.", "The document is not the one that the bundle speaks of.")
		}
	}
	return nil
}
