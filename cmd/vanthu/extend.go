package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"vanthu/signing"
	"vanthu/signing/pdf"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
)

// longTermFlags say where time stamps and validation data come from.
type longTermFlags struct {
	TSA     string   `help:"Máy chủ dấu thời gian RFC 3161. | RFC 3161 time-stamp authority URL."`
	Trust   []string `help:"Chứng thư gốc được tin: tệp hoặc thư mục; cho pades-b-lt, pades-b-lta. | Trusted roots: files or folders; for pades-b-lt, pades-b-lta." type:"path"`
	CRL     []string `name:"crl" help:"Danh sách thu hồi, DER hoặc PEM. | Revocation lists, DER or PEM." type:"existingfile"`
	OCSP    []string `name:"ocsp" help:"Trả lời OCSP, DER. | OCSP responses, DER." type:"existingfile"`
	Offline bool     `help:"Không hỏi cơ quan chứng thực qua mạng. | Ask no authority over the network."`
}

// client is the time-stamp authority, nil when none is named.
func (f longTermFlags) client() (tsa.Client, error) {
	if f.TSA == "" {
		return nil, nil //nolint:nilnil // none is an answer
	}
	client, err := tsa.NewHTTP(f.TSA, tsa.HTTPOptions{})
	if err != nil {
		return nil, fmt.Errorf("--tsa: %w", err)
	}
	return client, nil
}

// evidence is what chains end in, with the revocation data at hand, and who is asked for the rest.
func (f longTermFlags) evidence(a *app) (*pki.Trust, signing.RevocationSource, error) {
	trust, notes, err := pki.LoadTrustPaths(f.Trust, pki.ListOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("--trust: %w", err)
	}
	for _, note := range notes {
		fmt.Fprintln(a.stderr, "vanthu:", note)
	}
	var own pki.Evidence
	for _, name := range f.CRL {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		own.CRLs = append(own.CRLs, pemBlocks(data)...)
	}
	for _, name := range f.OCSP {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		own.OCSPs = append(own.OCSPs, data)
	}
	trust.CRLs, trust.OCSPs = append(trust.CRLs, own.CRLs...), append(trust.OCSPs, own.OCSPs...)
	if f.Offline {
		return trust, nil, nil
	}
	return trust, pki.NewFetcher(pki.FetchOptions{}), nil
}

// pemBlocks takes the revocation lists out of a PEM file; any other file is one in DER.
func pemBlocks(data []byte) (lists [][]byte) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		lists = append(lists, block.Bytes)
	}
	if lists == nil {
		lists = [][]byte{data}
	}
	return lists
}

type extendCmd struct {
	To            string `default:"pades-b-lta" enum:"pades-b-t,pades-b-lt,pades-b-lta" help:"Mức cần đạt. | The level to reach."`
	Renew         bool   `help:"Gia hạn: dấu thời gian mới, SHA-512. | Renew: a new time stamp, SHA-512."`
	In            string `arg:"" help:"Tệp vào. | Input." type:"existingfile"`
	Out           string `arg:"" help:"Tệp ra. | Output."`
	longTermFlags `embed:""`
}

// Run extends the signatures of In into Out. Out appears only when our validator finds every signature as good as before.
func (c extendCmd) Run(a *app) error {
	if same, err := sameFile(c.In, c.Out); err != nil {
		return unreadable(err)
	} else if same {
		return unreadable(errors.New("IN and OUT are the same file; the original is kept, so give another OUT"))
	}
	options := signing.ExtendOptions{To: signing.Profile(c.To), At: time.Now()}
	var err error
	if options.TSA, err = c.client(); err != nil {
		return unreadable(err)
	}
	if options.Trust, options.Revocation, err = c.evidence(a); err != nil {
		return unreadable(err)
	}
	if c.Renew {
		options = options.Renewal()
	}
	var judged *signing.Report
	before, after, err := rewrite(c.In, c.Out, func(in io.ReaderAt, size int64, out io.Writer) (err error) {
		judged, err = signing.ExtendChecked(a.ctx, in, size, out, options, signing.VerifyOptions{Trust: options.Trust, Offline: true, Now: time.Now})
		return err
	})
	if _, damaged := errors.AsType[*pdf.Error](err); damaged {
		return unreadable(fmt.Errorf("extend %s: %w; nothing was written", c.In, err))
	}
	if err != nil {
		return fmt.Errorf("extend %s: %w; nothing was written", c.In, err)
	}
	for _, s := range judged.Signatures {
		fmt.Fprintf(a.stderr, "%s: %s, %s (+%d bytes)\n", c.Out, s.Signer, s.Level, after-before)
	}
	return nil
}
