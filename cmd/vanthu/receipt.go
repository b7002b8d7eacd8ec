package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/receipt"
	"vanthu/exchange/receipt/page"
	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/pki"
)

type receiptCmd struct {
	Get    receiptGetCmd    `cmd:"" help:"Lấy biên bản gửi nhận của một văn bản. | Get the receipt bundle of a document."`
	Verify receiptVerifyCmd `cmd:"" help:"Kiểm tra biên bản, không cần máy chủ và mạng. | Judge bundles without hub or network."`
	Page   receiptPageCmd   `cmd:"" help:"In trang kiểm tra biên bản, dùng được từ USB không cần mạng. | Print the verification page, which works from a USB stick."`
}

type receiptPageCmd struct {
	Trust  []string `help:"Chứng thư gốc mà trang tin: tệp PEM, DER, hoặc thư mục. | Roots that the page trusts: PEM, DER files, or folders." type:"path"`
	LogKey string   `name:"log-key" help:"Khóa công khai của nhật ký minh bạch mà trang tin. | Public key of the log that the page trusts."`
}

// Run prints one HTML file with the whole verifier in it.
func (c receiptPageCmd) Run(a *app) error {
	trust, _, err := pki.LoadTrustPaths(c.Trust, pki.ListOptions{})
	if err != nil {
		return unreadable(fmt.Errorf("--trust: %w", err))
	}
	html, err := page.HTML(trust.Roots, c.LogKey, time.Now())
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(html)
	return err
}

type receiptGetCmd struct {
	ID       string   `arg:"" help:"Mã văn bản đi. | Id of the outgoing document."`
	Out      string   `short:"o" help:"Tệp kết quả; mặc định đặt theo số, ký hiệu. | Output file; named after the code by default." type:"path"`
	Document bool     `help:"Kèm tệp PDF của văn bản. | With the document itself."`
	For      []string `name:"for" placeholder:"CODE" help:"Chỉ lập cho những nơi nhận này. | Speak of these recipients only."`
	Server   string   `help:"Địa chỉ máy chủ đang chạy. | Address of a running hub." placeholder:"URL"`
	Token    string   `env:"VANTHU_TOKEN" help:"Mã truy cập API. | API token."`
	Data     string   `default:"vanthu-data" env:"VANTHU_DATA" help:"Thư mục dữ liệu, khi máy chủ không chạy. | Data folder, when no hub runs."`
	Config   string   `help:"Tệp cấu hình khác. | Another configuration file." type:"existingfile"`
}

// Run asks a running hub, or opens the data folder of one that does not run.
func (c receiptGetCmd) Run(a *app) error {
	name, data, err := c.fetch(a)
	if err != nil {
		return err
	}
	if c.Out != "" {
		name = c.Out
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	_, err = fmt.Fprintln(a.stdout, name)
	return err
}

func (c receiptGetCmd) fetch(a *app) (name string, data []byte, err error) {
	if c.Server != "" {
		client := &apiClient{base: strings.TrimSuffix(c.Server, "/"), token: c.Token, http: &http.Client{Timeout: 5 * time.Minute}}
		path := "/documents/" + c.ID + "/receipt"
		query := url.Values{}
		if c.Document {
			query.Set("document", "true")
		}
		if len(c.For) > 0 {
			query.Set("for", strings.Join(c.For, ","))
		}
		if len(query) > 0 {
			path += "?" + query.Encode()
		}
		err = client.get(a.ctx, path, &data)
		return "bien-ban-" + c.ID + receipt.Extension, data, err
	}
	cfg, err := configOf(c.Data, c.Config)
	if err != nil {
		return "", nil, unreadable(err)
	}
	if _, err := os.Stat(c.Data); err != nil {
		return "", nil, unreadable(err)
	}
	hub, err := openHub(a.ctx, hubOptions{dir: c.Data, config: cfg, log: a.log, now: time.Now})
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, hub.Store.Close(a.ctx)) }()
	bundle, err := hub.Service.ReceiptBundle(a.ctx, registry.System("receipt"), exchange.DocumentID(c.ID), c.Document, agencyIDs(c.For)...)
	if err != nil {
		return "", nil, err
	}
	return bundle.Name, bundle.Data, nil
}

type receiptVerifyCmd struct {
	JSON     bool     `name:"json" help:"Một đối tượng JSON cho mỗi tệp. | One JSON object per file."`
	Trust    []string `help:"Chứng thư gốc được tin: tệp PEM, DER, danh sách tin cậy XML, hoặc thư mục. | What to trust: PEM, DER or trust list (XML) files, or folders." type:"path"`
	Document string   `help:"Văn bản PDF để đối chiếu. | The PDF to compare with." type:"existingfile"`
	At       string   `help:"Thời điểm xem, RFC 3339. | Time of looking."`
	Signer   []string `placeholder:"CODE=FILE" help:"Chứng thư đã biết là của một cơ quan: MÃ=tệp PEM, hoặc MÃ=SHA-256. | A certificate known to be an agency's: CODE=PEM file, or CODE=SHA-256."`
	LogKey   string   `name:"log-key" help:"Khóa công khai đã biết của nhật ký minh bạch. | The log's public key, when it is known."`
	Files    []string `arg:"" name:"file" help:"Gói biên bản. | Bundles." type:"existingfile"`
}

// Run judges bundles with nothing but them and the trusted roots. Exit 0 when all pass, 1 when one does not.
func (c receiptVerifyCmd) Run(a *app) error {
	options := receipt.VerifyOptions{At: time.Now(), LogKey: c.LogKey}
	if c.At != "" {
		at, err := time.Parse(time.RFC3339, c.At)
		if err != nil {
			return unreadable(fmt.Errorf("--at: %w", err))
		}
		options.At = at
	}
	trust, notes, err := pki.LoadTrustPaths(c.Trust, pki.ListOptions{})
	if err != nil {
		return unreadable(fmt.Errorf("--trust: %w", err))
	}
	for _, note := range notes {
		fmt.Fprintln(a.stderr, "vanthu:", note)
	}
	options.Trust = trust
	if options.Identities, err = identities(c.Signer); err != nil {
		return unreadable(fmt.Errorf("--signer: %w", err))
	}
	if c.Document != "" {
		if options.Document, err = os.ReadFile(c.Document); err != nil {
			return unreadable(err)
		}
	}
	code := exitOK
	for _, name := range c.Files {
		bundle, err := os.ReadFile(name)
		if err != nil {
			return unreadable(err)
		}
		result, err := receipt.Verify(a.ctx, bundle, options)
		if err != nil {
			return err
		}
		result.File = name
		if result.Verdict != signing.TotalPassed {
			code = exitFail
		}
		if err := c.print(a, result); err != nil {
			return err
		}
	}
	if code != exitOK {
		return &exitError{code: code}
	}
	return nil
}

// identities reads CODE=FILE and CODE=FINGERPRINT.
func identities(list []string) ([]receipt.Identity, error) {
	var out []receipt.Identity
	for _, one := range list {
		code, value, ok := strings.Cut(one, "=")
		if !ok || code == "" {
			return nil, fmt.Errorf("%q is not CODE=FILE", one)
		}
		if raw, err := hex.DecodeString(value); err == nil && len(raw) == sha256.Size {
			out = append(out, receipt.Identity{Agency: code, Fingerprint: strings.ToLower(value)})
			continue
		}
		data, err := os.ReadFile(value)
		if err != nil {
			return nil, err
		}
		der := data
		if block, _ := pem.Decode(data); block != nil {
			der = block.Bytes
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", value, err)
		}
		out = append(out, receipt.Identity{Agency: code, Fingerprint: registry.Fingerprint(certificate)})
	}
	return out, nil
}

func agencyIDs(codes []string) []registry.AgencyID {
	out := make([]registry.AgencyID, len(codes))
	for i, code := range codes {
		out[i] = registry.AgencyID(code)
	}
	return out
}

func (c receiptVerifyCmd) print(a *app, r *receipt.Result) error {
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(r)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", r.File, r.Verdict)
	if !r.ValidAt.IsZero() {
		fmt.Fprintf(&b, " (%s)", r.ValidAt.Format(time.RFC3339))
	}
	b.WriteString("\n")
	choose := func(vi, en string) string {
		if a.lang == "en" {
			return en
		}
		return vi
	}
	for _, check := range r.Checks {
		mark := "+"
		if check.Verdict != signing.TotalPassed {
			mark = "!"
		}
		fmt.Fprintf(&b, "  %s %-9s %s\n", mark, check.Step, choose(check.Text, check.TextEN))
	}
	for _, remark := range r.Remarks {
		fmt.Fprintf(&b, "  - %s\n", choose(remark.Text, remark.TextEN))
	}
	if s := r.Signer; s != nil {
		whose := s.Agency
		if whose == "" {
			whose = choose("chưa biết là của cơ quan nào", "whose it is, is not known")
		}
		fmt.Fprintf(&b, "  %s: %s (%s)\n    %s: %s\n    SHA-256 %s\n", choose("Người ký", "Signed by"), s.Subject, whose, choose("Do", "Certified by"), s.Issuer, s.Fingerprint)
	}
	if len(r.Only) > 0 {
		fmt.Fprintf(&b, "  %s: %s\n", choose("Chỉ nói về nơi nhận", "Speaks of these recipients only"), strings.Join(r.Only, ", "))
	}
	if r.Document != nil {
		fmt.Fprintf(&b, "  %s, %s, %s\n  SHA-256 %s\n", r.Document.Code, r.Document.Subject, r.Document.From, r.Document.Digest)
	}
	for _, line := range r.Trail {
		fmt.Fprintf(&b, "  %s  %s", line.At.Format(time.RFC3339), choose(line.Text, line.TextEN))
		if !line.Claimed.IsZero() {
			fmt.Fprintf(&b, " [%s %s]", choose("nơi nhận ghi", "the recipient says"), line.Claimed.Format(time.RFC3339))
		}
		b.WriteString("\n")
	}
	for _, authority := range r.Authorities {
		if !authority.Trusted {
			fmt.Fprintf(&b, "  %s: %s SHA-256 %s\n", choose("Gốc chưa được tin", "Root not trusted"), authority.Name, authority.Fingerprint)
		}
	}
	_, err := a.stdout.Write([]byte(b.String()))
	return err
}
