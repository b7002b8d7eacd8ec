package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"vanthu/signing"
	"vanthu/signing/pdf/picture"
	"vanthu/signing/pki"
)

// Exit codes of `vanthu verify`: the worst of the files decides.
const (
	exitVerifyFailed        = 1
	exitVerifyIndeterminate = 3
	exitVerifyNoSignature   = 4
)

type verifyCmd struct {
	JSON     bool     `name:"json" help:"Một đối tượng JSON cho mỗi tệp. | One JSON object per file."`
	XML      bool     `name:"xml" help:"Báo cáo XML theo ETSI TS 119 102-2, mỗi tệp một báo cáo. | ETSI TS 119 102-2 report, one per file."`
	Trust    []string `help:"Chứng thư gốc được tin: tệp PEM, DER, danh sách tin cậy XML, hoặc thư mục. | What to trust: PEM, DER or trust list (XML) files, or folders." type:"path"`
	Signers  []string `name:"list-signer" help:"Chứng thư (PEM) ký danh sách tin cậy. | Certificates (PEM) that sign the trust lists." type:"existingfile"`
	Unsigned bool     `name:"unsigned-lists" help:"Tin danh sách tin cậy không xét chữ ký của nó. | Take trust lists without checking their signature."`
	At       string   `help:"Thời điểm xét, RFC 3339. | Time to judge at."`
	Offline  bool     `help:"Không dùng mạng. | Use no network."`
	Require  bool     `name:"require-revocation" help:"Không biết chứng thư còn hiệu lực thì không đạt. | A certificate of unknown status does not pass."`
	Detached string   `help:"Chữ ký CMS tách rời của tệp. | Detached CMS of the one file." type:"existingfile"`
	Pictures string   `help:"Thư mục ghi hình các trang lúc ký và hiện tại của tệp đã bị sửa. | Folder for pictures of the pages of changed files as signed and as they are." type:"path"`
	Files    []string `arg:"" name:"file" help:"Tệp cần kiểm tra. | Files to judge."`

	renderer *picture.Renderer
}

// Run judges the files one after another; a file that cannot be read does not stop the others.
func (c verifyCmd) Run(a *app) error {
	options, err := c.options(a)
	if err != nil {
		return unreadable(err)
	}
	if c.Detached != "" && len(c.Files) != 1 {
		return unreadable(fmt.Errorf("--detached goes with one file, not %d", len(c.Files)))
	}
	if c.Pictures != "" {
		renderer := picture.New(picture.Options{})
		defer renderer.Close() //nolint:errcheck // everything worth keeping is written
		c.renderer = renderer
	}
	worst := exitOK
	bars := newProgress(a.stderr, len(c.Files), "verify")
	for _, name := range c.Files {
		code, err := c.one(a, name, options)
		bars.step()
		if err != nil {
			return err
		}
		if severity(code) > severity(worst) {
			worst = code
		}
	}
	bars.done()
	if worst != exitOK {
		return &exitError{code: worst}
	}
	return nil
}

func (c verifyCmd) options(a *app) (signing.VerifyOptions, error) {
	options := signing.VerifyOptions{Trust: &pki.Trust{}, Offline: c.Offline, Now: time.Now, RequireRevocation: c.Require}
	if !c.Offline {
		options.Fetcher = pki.NewFetcher(pki.FetchOptions{})
	}
	if c.At != "" {
		at, err := time.Parse(time.RFC3339, c.At)
		if err != nil {
			return options, fmt.Errorf("--at: %w", err)
		}
		options.At = at
	}
	lists, err := listOptions(c.Signers, c.Unsigned, time.Now())
	if err != nil {
		return options, fmt.Errorf("--list-signer: %w", err)
	}
	trust, notes, err := pki.LoadTrustPaths(c.Trust, lists)
	if err != nil {
		return options, fmt.Errorf("--trust: %w", err)
	}
	for _, note := range notes {
		fmt.Fprintln(a.stderr, "vanthu:", note)
	}
	options.Trust = trust
	return options, nil
}

// one judges a file and prints its report. The error is one of printing; an unreadable file is printed and coded.
func (c verifyCmd) one(a *app, name string, options signing.VerifyOptions) (int, error) {
	judged, err := c.judge(a, name, options)
	if err != nil {
		fmt.Fprintf(a.stderr, "vanthu: %s: %v\n", name, err)
		if c.JSON {
			return exitUsage, json.NewEncoder(a.stdout).Encode(map[string]string{"file": name, "error": err.Error()})
		}
		return exitUsage, nil
	}
	judged.File = name
	if c.renderer != nil && c.Detached == "" {
		if err := c.pictures(a, name, judged, c.renderer); err != nil {
			return exitUsage, err
		}
	}
	if c.XML {
		return verdictCode(judged.Verdict), printXML(a, judged)
	}
	if c.JSON {
		return verdictCode(judged.Verdict), json.NewEncoder(a.stdout).Encode(judged)
	}
	return verdictCode(judged.Verdict), printReport(a, judged)
}

func (c verifyCmd) judge(a *app, name string, options signing.VerifyOptions) (*signing.Report, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	if c.Detached != "" {
		cms, err := os.ReadFile(c.Detached)
		if err != nil {
			return nil, err
		}
		return signing.VerifyDetached(a.ctx, file, cms, options)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return signing.VerifyPDF(a.ctx, file, info.Size(), options)
}

// printXML prints the report of the standard; it has none for a file without signatures, which is said beside it.
func printXML(a *app, r *signing.Report) error {
	data, err := r.XML()
	if errors.Is(err, signing.ErrNothingToReport) {
		_, err = fmt.Fprintf(a.stderr, "%s: %s\n", r.File, r.Sentence(a.lang))
		return err
	}
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(data)
	return err
}

func printReport(a *app, r *signing.Report) error {
	if _, err := fmt.Fprintf(a.stdout, "%s: %s (%s)\n  %s\n", r.File, r.Verdict, r.Integrity, r.Sentence(a.lang)); err != nil {
		return err
	}
	for _, s := range r.Signatures {
		if _, err := fmt.Fprintf(a.stdout, "  - %s [%s] %s %s: %s; %s, %s, %s\n",
			s.Field, s.Kind, s.Indication, s.SubIndication, s.Signer, s.Level, s.Covers, s.LaterChanges); err != nil {
			return err
		}
		reasons := s.Reasons
		if a.lang == "vi" && len(s.ReasonsVI) > 0 {
			reasons = s.ReasonsVI
		}
		for _, reason := range reasons {
			if _, err := fmt.Fprintf(a.stdout, "      %s\n", reason); err != nil {
				return err
			}
		}
	}
	return nil
}

func verdictCode(v signing.Verdict) int {
	switch v {
	case signing.TotalPassed:
		return exitOK
	case signing.TotalFailed:
		return exitVerifyFailed
	case signing.Indeterminate:
		return exitVerifyIndeterminate
	default:
		return exitVerifyNoSignature
	}
}

// severity orders the codes of several files: any failure, then unreadable, then any indeterminate, then no signature.
func severity(code int) int {
	switch code {
	case exitVerifyFailed:
		return 4
	case exitUsage:
		return 3
	case exitVerifyIndeterminate:
		return 2
	case exitVerifyNoSignature:
		return 1
	default:
		return 0
	}
}
