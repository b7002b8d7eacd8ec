package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"vanthu/signing/keys"
)

// keyFlags name the key that signs: a PKCS#12 file or a key in a PKCS#11 token. The passphrase or PIN is never an
// argument, which other users of the machine could read.
type keyFlags struct {
	Key             string `help:"Khóa PKCS#12. | Key, PKCS#12." type:"existingfile"`
	Token           string `help:"Thư viện PKCS#11 của USB token, thẻ hoặc HSM. | PKCS#11 module of the token, card or HSM." placeholder:"MODULE"`
	TokenLabel      string `name:"token-label" help:"Tên token, khi có nhiều. | Label of the token, where there are several."`
	TokenSerial     string `name:"token-serial" help:"Số sê-ri token. | Serial number of the token."`
	TokenKey        string `name:"token-key" help:"Tên khóa trong token, khi có nhiều. | Label of the key in the token, where there are several."`
	CertificateFile string `name:"certificate" help:"Chứng thư PEM, khi token không giữ. | Certificates in PEM that the token does not hold." type:"existingfile"`
	PassphraseFile  string `name:"passphrase-file" help:"Tệp chứa mật khẩu khóa hoặc mã PIN; nếu không: VANTHU_PASSPHRASE, hoặc hỏi. | File with the passphrase or PIN; else VANTHU_PASSPHRASE, or asked." type:"existingfile"`
}

// openKey opens the key; the function it gives closes the token.
func (c keyFlags) openKey(a *app) (*keys.Key, func(), error) {
	if err := c.one(); err != nil {
		return nil, nil, err
	}
	passphrase, err := c.passphrase(a)
	if err != nil {
		return nil, nil, unreadable(err)
	}
	return c.openWith(passphrase)
}

// one sees that one key is named.
func (c keyFlags) one() error {
	if (c.Key == "") == (c.Token == "") {
		return unreadable(errors.New("name one key: --key FILE.p12, or --token MODULE"))
	}
	return nil
}

// openWith opens the key by its passphrase or PIN.
func (c keyFlags) openWith(passphrase string) (*keys.Key, func(), error) {
	if c.Token != "" {
		return c.openToken(passphrase)
	}
	data, err := os.ReadFile(c.Key)
	if err != nil {
		return nil, nil, unreadable(err)
	}
	key, err := keys.FromPKCS12(data, passphrase)
	if errors.Is(err, keys.ErrPassphrase) && passphrase == "" {
		return nil, nil, &exitError{code: exitFail, err: fmt.Errorf("%s needs a passphrase: give --passphrase-file or VANTHU_PASSPHRASE; nothing was signed", c.Key)}
	}
	if errors.Is(err, keys.ErrPassphrase) {
		return nil, nil, &exitError{code: exitFail, err: fmt.Errorf("%s: wrong passphrase; nothing was signed", c.Key)}
	}
	if err != nil {
		return nil, nil, unreadable(fmt.Errorf("%s: %w", c.Key, err))
	}
	return key, func() {}, nil
}

func (c keyFlags) openToken(pin string) (*keys.Key, func(), error) {
	var certificates []*x509.Certificate
	if c.CertificateFile != "" {
		data, err := os.ReadFile(c.CertificateFile)
		if err != nil {
			return nil, nil, unreadable(err)
		}
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, unreadable(fmt.Errorf("%s: %w", c.CertificateFile, err))
			}
			certificates = append(certificates, certificate)
		}
	}
	token, err := keys.OpenToken(keys.TokenOptions{Module: c.Token, Label: c.TokenLabel, Serial: c.TokenSerial, PIN: pin, Certificates: certificates})
	if err != nil {
		return nil, nil, &exitError{code: exitFail, err: fmt.Errorf("%w; nothing was signed", err)}
	}
	key, err := token.Key(c.TokenKey)
	if err != nil {
		return nil, nil, &exitError{code: exitFail, err: errors.Join(fmt.Errorf("%w; nothing was signed", err), token.Close())}
	}
	return key, func() { _ = token.Close() }, nil // the signature is made: a failing log-out changes nothing
}

func (c keyFlags) passphrase(a *app) (string, error) {
	if c.PassphraseFile != "" {
		return readSecret(c.PassphraseFile)
	}
	if passphrase, ok := os.LookupEnv("VANTHU_PASSPHRASE"); ok {
		return passphrase, nil
	}
	if file, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		fmt.Fprint(a.stderr, "Mật khẩu khóa hoặc mã PIN | Passphrase or PIN: ")
		passphrase, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(a.stderr)
		return string(passphrase), err
	}
	return "", nil
}

// readSecret reads the first line of a file.
func readSecret(name string) (string, error) {
	data, err := os.ReadFile(name)
	first, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimRight(first, "\r"), err
}
