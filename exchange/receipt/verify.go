package receipt

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"vanthu/signing"
	"vanthu/signing/cms"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
	"vanthu/storage/ledger/logproof"
)

// The steps of a verification, in order.
const (
	StepContainer = "container" // every byte of the file is where it belongs
	StepTime      = "time"      // the archive time stamp holds
	StepSignature = "signature" // the issuer's signature holds over every member
	StepStatement = "statement" // the statement can be read and is the issuer's
	StepLog       = "log"       // checkpoint and proofs hold
	StepReceipts  = "receipts"  // the recipients' receipts hold
	StepFacts     = "facts"     // statement, receipts and evidence say the same
	StepDocument  = "document"  // the document is the one that the bundle speaks of
)

// VerifyOptions of Verify.
type VerifyOptions struct {
	Trust *pki.Trust // roots for signatures and time stamps; nil: nobody is trusted, the best verdict is INDETERMINATE
	At    time.Time  // the time of looking; zero means now
	// Document is a PDF to compare with the bundle's; nil: only one inside is compared.
	Document []byte
	// LogKey is the log's public key when the reader has it from elsewhere; "" takes the one that the issuer signed.
	LogKey string
	// Identities are certificates that the reader knows to be an agency's. Without one, a signer counts as the agency only
	// when its certificate says so itself, under a root of Trust.
	Identities []Identity
}

// Check is the outcome of one step. Member names what broke, "" when it is no single member.
type Check struct {
	Step    string          `json:"step"`
	Verdict signing.Verdict `json:"verdict"`
	Member  string          `json:"member,omitempty"`
	Text    string          `json:"text"` // Vietnamese
	TextEN  string          `json:"text_en"`
}

// Result is the verdict on a bundle.
type Result struct {
	File     string          `json:"file,omitempty"`
	Verdict  signing.Verdict `json:"verdict"`
	ValidAt  time.Time       `json:"valid_at,omitzero"` // the proven time of the bundle
	Checks   []Check         `json:"checks"`
	Remarks  []Remark        `json:"remarks,omitempty"`
	Issuer   string          `json:"issuer,omitempty"` // who made the bundle, as its statement says
	Signer   *Signer         `json:"signer,omitempty"` // who signed it, as the certificate says; nil = unreadable
	Document *Facts          `json:"document,omitempty"`
	Only     []string        `json:"only,omitempty"` // the recipients that the bundle speaks of, when not of all
	Trail    []Line          `json:"trail,omitempty"`
	// Authorities are the self-signed certificates that the bundle's signatures lead to: who has no root installed can
	// compare the fingerprints (SHA-256) by another way.
	Authorities []Authority `json:"authorities,omitempty"`
	LogKey      string      `json:"log_key,omitempty"`
}

// Remark does not change the verdict.
type Remark struct {
	Text   string `json:"text"`
	TextEN string `json:"text_en"`
}

// Authority is a certificate at the top of a chain.
type Authority struct {
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"`
	Trusted     bool   `json:"trusted"`
}

// verification is the state of one Verify.
type verification struct {
	ctx     context.Context
	o       VerifyOptions
	at      time.Time // of looking
	raw     []byte
	members []member
	byName  map[string][]byte
	trust   *pki.Trust // the caller's, with the bundle's own validation data

	statement *Statement
	issued    *signing.Report // on the issuer's signature
	logged    time.Time       // at which the checkpoint is proven to have stood; zero = no time stamp of its own
	proofs    []logproof.Proof
	accepted  map[string]*acceptance // by the receipt's id
	spoken    map[string]spoken      // the same
	result    *Result
}

// Verify judges a bundle with nothing but itself and the trusted roots. The verdict is about the time at which the bundle
// was stamped: it stays good when certificates end afterwards. A verdict is never an error; errors are those of ctx.
func Verify(ctx context.Context, bundle []byte, o VerifyOptions) (*Result, error) {
	v := &verification{ctx: ctx, o: o, at: o.At, raw: bundle, byName: map[string][]byte{}, spoken: map[string]spoken{}, result: &Result{Verdict: signing.TotalPassed, Checks: []Check{}}}
	if v.at.IsZero() {
		v.at = time.Now()
	}
	for _, step := range []struct {
		name string
		run  func() *problem
	}{
		{StepContainer, v.container}, {StepTime, v.time}, {StepSignature, v.signature}, {StepStatement, v.readStatement},
		{StepLog, v.log}, {StepReceipts, v.receipts}, {StepFacts, v.facts}, {StepDocument, v.document},
	} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := step.run()
		v.note(step.name, p)
		if p != nil && p.fatal {
			break
		}
	}
	if v.statement != nil {
		v.result.Issuer, v.result.Document, v.result.LogKey, v.result.Only = v.statement.Issuer, &v.statement.Document, v.statement.Log.Key, v.statement.Only
		v.result.Trail = trail(v.statement, v.proofs, v.spoken, v.provenBy())
	}
	return v.result, ctx.Err()
}

// problem is why a step did not pass.
type problem struct {
	member  string
	text    finding
	unknown bool // INDETERMINATE, not TOTAL_FAILED
	fatal   bool // nothing after it can be judged
}

func broken(member, vi, en string, args ...any) *problem {
	return &problem{member: member, text: said(vi, en, args...)}
}

func fatal(p *problem) *problem {
	p.fatal = true
	return p
}

func (v *verification) note(step string, p *problem) {
	c := Check{Step: step, Verdict: signing.TotalPassed}
	c.Text, c.TextEN = passed(step)
	if step == StepReceipts && len(v.spoken) == 0 {
		c.Text, c.TextEN = "Gói không có biên nhận nào của nơi nhận.", "The bundle has no receipt of any recipient."
	}
	if p != nil {
		c.Verdict, c.Member, c.Text, c.TextEN = signing.TotalFailed, p.member, p.text.vi, p.text.en
		if p.unknown {
			c.Verdict = signing.Indeterminate
		}
		if v.result.Verdict != signing.TotalFailed {
			v.result.Verdict = c.Verdict
		}
	}
	v.result.Checks = append(v.result.Checks, c)
}

func (v *verification) remark(vi, en string, args ...any) {
	f := said(vi, en, args...)
	if slices.Contains(v.result.Remarks, Remark{f.vi, f.en}) {
		return
	}
	v.result.Remarks = append(v.result.Remarks, Remark{f.vi, f.en})
}

func passed(step string) (vi, en string) {
	switch step {
	case StepContainer:
		return "Tệp nguyên vẹn, từng byte ở đúng chỗ.", "The file is whole; every byte is where it belongs."
	case StepTime:
		return "Dấu thời gian hợp lệ.", "The time stamp holds."
	case StepSignature:
		return "Chữ ký của cơ quan lập biên bản hợp lệ, bao trùm mọi thành phần.", "The issuer's signature holds and covers every member."
	case StepStatement:
		return "Nội dung biên bản đọc được, do đúng cơ quan ký.", "The statement can be read and its issuer is who signed it."
	case StepLog:
		return "Mọi chứng cứ đều nằm trong nhật ký minh bạch đã ký.", "All evidence stands in the signed log."
	case StepReceipts:
		return "Mọi biên nhận của nơi nhận có chữ ký hợp lệ.", "Every recipient's receipt has a good signature."
	case StepFacts:
		return "Biên bản, biên nhận và chứng cứ khớp nhau.", "Statement, receipts and evidence agree."
	}
	return "Văn bản khớp với biên bản.", "The document is the one of the bundle."
}

// container reads the file and the order of its members.
func (v *verification) container() *problem {
	members, hurt := unpack(v.raw)
	if hurt != nil {
		return fatal(&problem{member: hurt.member, text: hurt.text})
	}
	v.members = members
	for _, m := range members {
		if !known(m.name) {
			return fatal(broken(m.name, "Thành phần lạ %q.", "The member %q does not belong there.", m.name))
		}
		limit := maxSmall
		switch {
		case m.name == memberStatement || m.name == memberReadme || m.name == memberManifest || m.name == memberArchive || strings.HasPrefix(m.name, folderCRLs):
			limit = maxStatement
		case m.name == memberDocument:
			limit = maxBundle
		}
		if len(m.data) > limit {
			return fatal(broken(m.name, "Thành phần %q quá lớn.", "The member %q is too large.", m.name))
		}
		v.byName[m.name] = m.data
	}
	if members[0].name != memberType || string(members[0].data) != MediaType {
		return fatal(broken(members[0].name, "Tệp không phải là gói ASiC-E.", "The file is no ASiC-E container."))
	}
	for _, name := range []string{memberReadme, memberStatement, memberCheckpoint, memberManifest, memberSignature} {
		if v.byName[name] == nil {
			return fatal(broken(name, "Thiếu thành phần %q.", "The member %q is missing.", name))
		}
	}
	if (v.byName[memberArchive] == nil) != (v.byName[memberTimestamp] == nil) {
		return fatal(broken(memberArchive, "Dấu thời gian thiếu một nửa.", "Half of the time stamp is missing."))
	}
	v.gather()
	return nil
}

func known(name string) bool {
	switch name {
	case memberType, memberReadme, memberStatement, memberCheckpoint, memberCheckpointToken, memberManifest, memberSignature, memberArchive, memberTimestamp, memberDocument:
		return true
	}
	for folder, exts := range map[string][]string{
		folderReceipts: {".json", ".p7s"}, folderEvidence: {".json"},
		folderCertificates: {".cer"}, folderCRLs: {".crl"}, folderOCSPs: {".ocsp"},
	} {
		if rest, ok := strings.CutPrefix(name, folder); ok && !strings.Contains(rest, "/") {
			return slices.ContainsFunc(exts, func(ext string) bool { return strings.HasSuffix(rest, ext) })
		}
	}
	return false
}

// gather takes the validation data, all of it signed by others and none of it trusted for being there.
func (v *verification) gather() {
	v.trust = &pki.Trust{}
	if v.o.Trust != nil {
		*v.trust = *v.o.Trust
	}
	for _, m := range v.members {
		switch {
		case strings.HasPrefix(m.name, folderCertificates):
			if c, err := x509.ParseCertificate(m.data); err == nil {
				v.trust.Intermediates = append(slices.Clip(v.trust.Intermediates), c)
				v.authority(c)
			}
		case strings.HasPrefix(m.name, folderCRLs):
			v.trust.CRLs = append(slices.Clip(v.trust.CRLs), m.data)
		case strings.HasPrefix(m.name, folderOCSPs):
			v.trust.OCSPs = append(slices.Clip(v.trust.OCSPs), m.data)
		}
	}
}

func (v *verification) authority(c *x509.Certificate) {
	if !bytes.Equal(c.RawIssuer, c.RawSubject) {
		return
	}
	v.result.Authorities = append(v.result.Authorities, Authority{
		Name: c.Subject.String(), Fingerprint: fingerprintOf(c),
		Trusted: slices.ContainsFunc(slices.Concat(v.trust.Roots, v.trust.TimestampRoots), c.Equal),
	})
}

// time judges the archive time stamp: its time is when everything else is judged.
func (v *verification) time() *problem {
	archive := v.byName[memberArchive]
	if archive == nil {
		v.remark("Biên bản chưa có dấu thời gian; chữ ký được xét tại thời điểm xem.", "The bundle has no time stamp yet; signatures are judged as of now.")
		return nil
	}
	if !bytes.Equal(archive, manifest(memberTimestamp, tokenType, archivedMembers(v.members))) {
		return broken(memberArchive, "Danh sách của dấu thời gian không khớp các thành phần.", "What the time stamp lists is not what the bundle has.")
	}
	at, p := v.stamp(memberTimestamp, archive)
	if p == nil {
		v.result.ValidAt = at
		if root := v.result.ended(v.at, v.trust); root != "" {
			v.remark("Chứng thư của %q đã hết hạn; kết quả đúng tại %s theo dấu thời gian.", "The certificate of %q has ended; the verdict is as of %s by the time stamp.",
				root, at.UTC().Format(time.RFC3339))
		}
	}
	return p
}

// ended names a trusted root that is over at a time.
func (r *Result) ended(at time.Time, trust *pki.Trust) string {
	for _, c := range slices.Concat(trust.Roots, trust.TimestampRoots) {
		if at.After(c.NotAfter) {
			return c.Subject.CommonName
		}
	}
	return ""
}

// stamp judges a token over data at the token's own time: whether its authority has ended since does not matter, whether
// it was revoked does.
func (v *verification) stamp(name string, data []byte) (time.Time, *problem) {
	token, err := tsa.ParseToken(v.byName[name])
	if err != nil {
		return time.Time{}, broken(name, "Không đọc được dấu thời gian.", "The time stamp cannot be read.")
	}
	result := token.Verify(cms.DigestOf(data), tsa.VerifyOptions{Trust: v.trust, Pool: v.trust.Intermediates})
	switch {
	case !result.Intact:
		return time.Time{}, broken(name, "Dấu thời gian bị hỏng: %[1]s", "The time stamp is broken: %[2]s", reasons(result.Reasons, "vi"), reasons(result.Reasons, "en"))
	case token.Time.After(v.at.Add(skew)):
		return time.Time{}, broken(name, "Dấu thời gian ở tương lai: %s.", "The time stamp lies in the future: %s.", token.Time.UTC().Format(time.RFC3339))
	case !result.Trusted:
		p := broken(name, "Chưa tin cơ quan cấp dấu thời gian: %[1]s", "The time-stamp authority is not trusted: %[2]s", reasons(result.Reasons, "vi"), reasons(result.Reasons, "en"))
		p.unknown = true
		return time.Time{}, p
	}
	if p := v.wrapping(name, token); p != nil {
		return time.Time{}, p
	}
	if p := v.stampRevoked(name, token.Time, result.Chain); p != nil {
		return time.Time{}, p
	}
	return token.Time, nil
}

// wrapping refuses what a token carries outside of its own signature and the bundle's: certificates that are not among
// the bundle's validation data, where a change would go unseen.
func (v *verification) wrapping(name string, token *tsa.Token) *problem {
	for _, c := range token.SignedData.Certificates() {
		if !slices.ContainsFunc(v.members, func(m member) bool {
			return strings.HasPrefix(m.name, folderCertificates) && bytes.Equal(m.data, c.Raw)
		}) {
			return broken(name, "Dấu thời gian mang chứng thư không có trong gói: %s.", "The time stamp carries a certificate that the bundle does not have: %s.", c.Subject.String())
		}
	}
	return nil
}

// stampRevoked judges whether a time stamp's authority was revoked, by all that is known at the time of looking. A later
// revocation for a reason that leaves the key secret does not count (RFC 3161 §4); any other lets the time stamp prove
// nothing, since who has the key writes any time.
func (v *verification) stampRevoked(name string, stamped time.Time, chain []*x509.Certificate) *problem {
	evidence := pki.Evidence{CRLs: v.trust.CRLs, OCSPs: v.trust.OCSPs}
	for i, r := range pki.CheckChain(chain, evidence, pki.RevocationOptions{At: stamped, Now: v.at, Pool: v.trust.Intermediates, Trust: v.trust}) {
		const affiliationChanged, superseded, cessation = 3, 4, 5
		later := r.At.After(stamped)
		switch {
		case r.Status == pki.StatusUnknown:
			v.remark("Không có dữ liệu thu hồi dùng được cho chứng thư cấp dấu thời gian %s.", "There is no usable revocation data about the time-stamp certificate %s.", chain[i].Subject.String())
		case r.Status != pki.StatusRevoked, later && r.ReasonCode >= affiliationChanged && r.ReasonCode <= cessation:
		default:
			p := broken(name, "Chứng thư của cơ quan cấp dấu thời gian đã bị thu hồi lúc %s.", "The certificate of the time-stamp authority was revoked at %s.", r.At.UTC().Format(time.RFC3339))
			p.unknown = later
			return p
		}
	}
	return nil
}

func reasons(list pki.Reasons, lang string) string {
	texts := make([]string, 0, len(list))
	for _, r := range list {
		texts = append(texts, r.Text(lang))
	}
	return strings.Join(texts, " ")
}

// options judge as of the time of looking, with all that is known by then, signatures that stood at a proven time.
func (v *verification) options(proven time.Time) signing.VerifyOptions {
	return signing.VerifyOptions{Trust: v.trust, At: v.at, Proven: proven, Offline: true, MaxSize: maxBundle}
}

// provenBy is the earliest proven time at which the log had the bundle's entries; zero = none is proven.
func (v *verification) provenBy() time.Time {
	if v.logged.IsZero() || !v.result.ValidAt.IsZero() && v.result.ValidAt.Before(v.logged) {
		return v.result.ValidAt
	}
	return v.logged
}

// signature judges the issuer's signature over all members.
func (v *verification) signature() *problem {
	if !bytes.Equal(v.byName[memberManifest], manifest(memberSignature, signatureType, signedMembers(v.members))) {
		return broken(memberManifest, "Danh sách đã ký không khớp các thành phần.", "What was signed is not what the bundle has.")
	}
	if c := signerOf(v.byName[memberSignature]); c != nil {
		v.result.Signer = &Signer{Subject: c.Subject.String(), Issuer: c.Issuer.String(), Fingerprint: fingerprintOf(c)}
	}
	report, err := signing.VerifyDetached(v.ctx, bytes.NewReader(v.byName[memberManifest]), v.byName[memberSignature], v.options(v.result.ValidAt))
	if err != nil || len(report.Signatures) != 1 {
		return broken(memberSignature, "Không đọc được chữ ký.", "The signature cannot be read.")
	}
	v.issued = report
	return judged(memberSignature, report)
}

// judged makes a problem of a report that did not pass.
func judged(name string, report *signing.Report) *problem {
	if report.Verdict == signing.TotalPassed {
		return nil
	}
	var vi, en []string
	for _, s := range report.Signatures {
		vi, en = append(vi, s.ReasonsVI...), append(en, s.Reasons...)
	}
	p := broken(name, "%[1]s: %[2]s", "%[1]s: %[3]s", name, strings.Join(append(vi, report.ReasonsVI...), " "), strings.Join(append(en, report.Reasons...), " "))
	p.unknown = report.Verdict == signing.Indeterminate
	return p
}

// signerOf gives the certificate of the one signer of a CMS.
func signerOf(der []byte) *x509.Certificate {
	sd, err := cms.Parse(der, cms.DefaultLimits())
	if err != nil || len(sd.Signers) != 1 {
		return nil
	}
	return sd.SignerCertificate(sd.Signers[0])
}

// readStatement reads receipt.json; its signer must speak for the agency that it names, by a source other than itself.
func (v *verification) readStatement() *problem {
	var s Statement
	if err := strict(v.byName[memberStatement], &s); err != nil || s.V != version {
		return fatal(broken(memberStatement, "Không đọc được nội dung biên bản.", "The statement cannot be read."))
	}
	v.statement = &s
	signer := signerOf(v.byName[memberSignature])
	if signer == nil || !s.speaks(s.Issuer, signer, s.Made) {
		return broken(memberSignature, "Chứng thư ký không phải của cơ quan %s.", "The signing certificate is not one of the agency %s.", s.Issuer)
	}
	if !s.TimePending && v.byName[memberArchive] == nil {
		return broken(memberArchive, "Biên bản được lập có dấu thời gian, nhưng dấu thời gian đã bị gỡ.", "The bundle was made with a time stamp, which was taken away.")
	}
	if !v.result.ValidAt.IsZero() && s.Made.After(v.result.ValidAt.Add(5*time.Minute)) {
		return broken(memberStatement, "Thời điểm lập sau dấu thời gian.", "The statement is later than its time stamp.")
	}
	if !v.identified(signer, s.Issuer, v.issued) {
		return unidentified(memberSignature, signer, s.Issuer)
	}
	v.result.Signer.Agency = s.Issuer
	return nil
}

func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("more than one JSON value")
	}
	return nil
}

// speaks tells whether a certificate is one that the statement lists for an agency at a time.
func (s *Statement) speaks(code string, c *x509.Certificate, at time.Time) bool {
	fingerprint := fingerprintOf(c)
	for _, p := range s.Parties {
		for _, one := range p.Certificates {
			if p.Code == code && one.Fingerprint == fingerprint && !at.Before(one.From) && (one.To.IsZero() || at.Before(one.To)) {
				return true
			}
		}
	}
	return false
}

// log judges checkpoint and proofs.
func (v *verification) log() *problem {
	key := v.statement.Log.Key
	if v.o.LogKey != "" && strings.TrimSpace(v.o.LogKey) != key {
		return broken(memberStatement, "Khóa của nhật ký không phải khóa đã biết.", "The log's key is not the one that is known.")
	}
	checkpoint := string(v.byName[memberCheckpoint])
	tree, err := logproof.OpenCheckpoint(key, checkpoint)
	if err != nil || tree.N != v.statement.Log.Size {
		return broken(memberCheckpoint, "Chữ ký của nhật ký không hợp lệ.", "The log's signature does not hold.")
	}
	var doubt *problem
	if v.byName[memberCheckpointToken] != nil {
		text, err := logproof.SignedText(key, checkpoint)
		if err != nil {
			return broken(memberCheckpoint, "Chữ ký của nhật ký không hợp lệ.", "The log's signature does not hold.")
		}
		if v.logged, doubt = v.stamp(memberCheckpointToken, []byte(text)); doubt != nil && !doubt.unknown {
			return doubt
		}
	}
	if proven := v.provenBy(); proven.IsZero() {
		v.remark("Thời điểm của các chứng cứ chưa có dấu thời gian nào xác nhận: đó là lời của hệ thống ghi nhật ký.", "No time stamp proves the times of the evidence: they are what the log's keeper says.")
	}
	if p := v.entries(tree); p != nil {
		return p
	}
	return doubt
}

// entries judges the evidence: each in the log that the checkpoint signs, and none later than what proves it.
func (v *verification) entries(tree tlog.Tree) *problem {
	proven := v.provenBy()
	last := int64(-1)
	for _, m := range v.members {
		if !strings.HasPrefix(m.name, folderEvidence) {
			continue
		}
		var p logproof.Proof
		if err := strict(m.data, &p); err != nil || p.Checkpoint != "" || p.Index <= last || m.name != fmt.Sprintf("%s%010d.json", folderEvidence, p.Index) {
			return broken(m.name, "Không đọc được chứng cứ %q.", "The evidence %q cannot be read.", m.name)
		}
		last = p.Index
		if err := logproof.VerifyIn(tree, &p); err != nil {
			return broken(m.name, "Chứng cứ %[1]q không nằm trong nhật ký: %[2]v", "The evidence %[1]q is not in the log: %[2]v", m.name, err)
		}
		if !proven.IsZero() && p.Entry.At.After(proven.Add(skew)) {
			return broken(m.name, "Chứng cứ %[1]q ghi thời điểm sau dấu thời gian (%[2]s).", "The evidence %[1]q is dated after the time stamp over it (%[2]s).", m.name, proven.UTC().Format(time.RFC3339))
		}
		v.proofs = append(v.proofs, p)
	}
	if len(v.proofs) == 0 {
		return broken(memberCheckpoint, "Biên bản không có chứng cứ nào.", "The bundle has no evidence.")
	}
	return nil
}
