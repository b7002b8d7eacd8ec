package signing

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strings"
	"sync"

	"go.mozilla.org/pkcs7"

	"vanthu/signing/keys"
)

// ErrMessage is wrapped when a message has not the form of S/MIME that was asked for, or is over the limits.
var ErrMessage = errors.New("signing: not a usable S/MIME message")

// maxMessage bounds a message in bytes; VerifyOptions.MaxSize takes its place.
const maxMessage = 64 << 20

// SignMessage makes a multipart/signed entity (RFC 8551 §3.5.3, S/MIME) of a MIME entity: its header fields, an empty
// line and its body. The lines of the entity are ended by CR LF, and it is to be sent as it then stands: whoever carries
// it must change nothing, so text in 8 bits should be encoded before. The result begins with its own MIME header.
func SignMessage(ctx context.Context, entity []byte, key *keys.Key, o DetachedOptions) ([]byte, error) {
	if len(entity) > maxMessage {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", len(entity), maxMessage, ErrMessage)
	}
	entity = canonical(entity)
	signature, err := SignDetached(ctx, bytes.NewReader(entity), key, o)
	if err != nil {
		return nil, err
	}
	var random [18]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("making a boundary: %w", err)
	}
	boundary := "vanthu-" + hex.EncodeToString(random[:])
	micalg := "sha-256"
	if digestFor(key).Size() == 64 {
		micalg = "sha-512"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n micalg=%s; boundary=\"%s\"\r\n\r\n", micalg, boundary)
	fmt.Fprintf(&b, "--%s\r\n%s\r\n--%s\r\n", boundary, entity, boundary)
	b.WriteString("Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n" +
		"Content-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n")
	writeBase64(&b, signature)
	fmt.Fprintf(&b, "\r\n--%s--\r\n", boundary)
	return b.Bytes(), nil
}

// canonical ends every line with CR LF (RFC 8551 §3.1.1).
func canonical(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
}

// writeBase64 writes lines of 64 characters.
func writeBase64(b *bytes.Buffer, data []byte) {
	text := base64.StdEncoding.EncodeToString(data)
	for len(text) > 0 {
		n := min(64, len(text))
		b.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
}

// VerifyMessage judges a multipart/signed message and gives the MIME entity that was signed, byte for byte; the header
// of the message itself is signed by nobody. An error is I/O, the end of ctx, or ErrMessage for anything else than one
// signed entity with one signature.
func VerifyMessage(ctx context.Context, message io.Reader, o VerifyOptions) (report *Report, entity []byte, err error) {
	limit := o.MaxSize
	if limit <= 0 {
		limit = maxMessage
	}
	data, err := io.ReadAll(io.LimitReader(stoppable{ctx, message}, limit+1))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the message: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, nil, fmt.Errorf("over %d bytes: %w", limit, ErrMessage)
	}
	head, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	kind, params, err := mime.ParseMediaType(head.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/signed" || params["boundary"] == "" || len(params["boundary"]) > 70 {
		return nil, nil, fmt.Errorf("content type %q: %w", kind, ErrMessage)
	}
	body, err := io.ReadAll(head.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	parts := splitParts(body, params["boundary"])
	if len(parts) != 2 {
		return nil, nil, fmt.Errorf("%d parts, want the signed one and the signature: %w", len(parts), ErrMessage)
	}
	signature, err := signaturePart(parts[1])
	if err != nil {
		return nil, nil, err
	}
	entity = canonical(parts[0])
	report, err = VerifyDetached(ctx, bytes.NewReader(entity), signature, o)
	return report, entity, err
}

// splitParts cuts at the boundary lines (RFC 2046 §5.1.1); the line end before one belongs to it. A message whose last
// boundary is missing has no parts.
func splitParts(body []byte, boundary string) (parts [][]byte) {
	start := -1
	for at := 0; at < len(body); {
		end := len(body)
		if i := bytes.IndexByte(body[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line := strings.TrimRight(string(body[at:end]), " \t\r\n")
		last := line == "--"+boundary+"--"
		if line == "--"+boundary || last {
			if start >= 0 {
				parts = append(parts, bytes.TrimSuffix(bytes.TrimSuffix(body[start:max(start, at)], []byte("\n")), []byte("\r")))
			}
			if start = end; last {
				return parts
			}
		}
		at = end
	}
	return nil
}

// signaturePart decodes application/pkcs7-signature.
func signaturePart(part []byte) ([]byte, error) {
	m, err := mail.ReadMessage(bytes.NewReader(part))
	if err != nil {
		return nil, fmt.Errorf("the signature: %w: %w", ErrMessage, err)
	}
	kind, _, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "application/pkcs7-signature" && kind != "application/x-pkcs7-signature" ||
		!strings.EqualFold(strings.TrimSpace(m.Header.Get("Content-Transfer-Encoding")), "base64") {
		return nil, fmt.Errorf("the signature has type %q: %w", kind, ErrMessage)
	}
	der, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		return nil, fmt.Errorf("the signature: %w: %w", ErrMessage, err)
	}
	return der, nil
}

// chooseAES makes the library encrypt with AES-256: it knows the algorithm as a variable of its package, whose default
// is DES. It is set once, before the first use, so that nothing races.
var chooseAES = sync.OnceFunc(func() { pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES256CBC })

// EncryptMessage encrypts a MIME entity for the recipients (RFC 8551 §3.3): AES-256 with a key of its own, which each
// RSA certificate (2048 bits at least) opens. Other certificates are refused with ErrUnsupported, as is an empty list.
// The result begins with its own MIME header. Encryption alone says nothing of the sender: sign first.
func EncryptMessage(entity []byte, recipients []*x509.Certificate) ([]byte, error) {
	if len(entity) > maxMessage {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", len(entity), maxMessage, ErrMessage)
	}
	if len(recipients) == 0 {
		return nil, fmt.Errorf("nobody to encrypt for: %w", ErrUnsupported)
	}
	for _, c := range recipients {
		key, ok := c.PublicKey.(*rsa.PublicKey)
		if !ok || key.N.BitLen() < 2048 {
			return nil, fmt.Errorf("the certificate of %q has no RSA key of 2048 bits or more: %w", c.Subject.CommonName, ErrUnsupported)
		}
		if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageKeyEncipherment == 0 {
			return nil, fmt.Errorf("the certificate of %q is not for encryption: %w", c.Subject.CommonName, ErrUnsupported)
		}
	}
	chooseAES()
	der, err := pkcs7.Encrypt(canonical(entity), recipients)
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	var b bytes.Buffer
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"\r\n" +
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7m\"\r\n\r\n")
	writeBase64(&b, der)
	return b.Bytes(), nil
}

// DecryptMessage opens a message of EncryptMessage and gives the MIME entity. Whatever is wrong with the ciphertext or
// the key gives the same ErrMessage: the difference would help to decrypt without the key.
func DecryptMessage(ctx context.Context, message io.Reader, key *keys.Key) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(stoppable{ctx, message}, 2*maxMessage+1))
	if err != nil {
		return nil, fmt.Errorf("reading the message: %w", err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil || len(data) > 2*maxMessage {
		return nil, fmt.Errorf("no message within %d bytes: %w", 2*maxMessage, ErrMessage)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "application/pkcs7-mime" && kind != "application/x-pkcs7-mime" || params["smime-type"] != "enveloped-data" {
		return nil, fmt.Errorf("content type %q: %w", kind, ErrMessage)
	}
	if key == nil || key.Signer == nil {
		return nil, keys.ErrNoKey
	}
	if _, ok := key.Signer.(*rsa.PrivateKey); !ok {
		return nil, fmt.Errorf("key of type %T: %w", key.Signer, ErrUnsupported)
	}
	der, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	p, err := pkcs7.Parse(der)
	if err == nil {
		if entity, err := p.Decrypt(key.Certificate, key.Signer); err == nil {
			return entity, nil
		}
	}
	return nil, fmt.Errorf("it cannot be decrypted with the key of %q: %w", key.Certificate.Subject.CommonName, ErrMessage)
}
