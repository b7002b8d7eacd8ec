package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"

	"vanthu/signing/keys"
)

// ErrSealed means that an envelope cannot be opened: damaged, altered, of an unknown form, or not for this key. What
// exactly is wrong is not told: the difference would help to open it without the key.
var ErrSealed = errors.New("cms: the envelope cannot be opened with this key")

// maxEnveloped bounds the content of one envelope in bytes: it is for keys and short messages, larger content is
// encrypted in segments under a key that travels in an envelope.
const maxEnveloped = 1 << 20

const (
	contentKeySize = 32 // AES-256
	gcmNonceSize   = 12
	gcmTagSize     = 16
	wrapBlock      = 8
)

func oidAuthEnveloped() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 23}
}
func oidAES256GCM() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}
}
func oidAES256Wrap() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 45}
}
func oidStdDH() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 132, 1, 11, 1} }
func oidECPublicKey() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
}
func oidOAEP() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7} }
func oidMGF1() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8} }
func oidSHA256() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
}

// Envelop encrypts content (at most 1 MiB) for the holders of the certificates: CMS AuthEnvelopedData (RFC 5083) with
// AES-256-GCM (RFC 5084), its key by RSA-OAEP with SHA-256 (RFC 3560, 2048 bits at least) or by ephemeral-static ECDH on
// P-256, P-384 or P-521 with the X9.63 KDF over SHA-256 and AES-256 key wrap (RFC 5753). Other keys are an error.
func Envelop(content []byte, recipients ...*x509.Certificate) ([]byte, error) {
	if len(content) > maxEnveloped || len(recipients) == 0 {
		return nil, fmt.Errorf("enveloping: %d bytes for %d recipients", len(content), len(recipients))
	}
	secret := make([]byte, contentKeySize+gcmNonceSize)
	rand.Read(secret) // never fails: crypto/rand ends the program instead
	key, nonce := secret[:contentKeySize], secret[contentKeySize:]
	infos := make([][]byte, len(recipients))
	for i, c := range recipients {
		var err error
		if infos[i], err = recipientInfo(c, key); err != nil {
			return nil, fmt.Errorf("enveloping for %q: %w", c.Subject.CommonName, err)
		}
	}
	box, err := gcm(key)
	if err != nil {
		return nil, err
	}
	sealed := box.Seal(nil, nonce, content, nil)
	text, tag := sealed[:len(content)], sealed[len(content):]
	algorithm := wrap(tagSequence, encodeOID(oidAES256GCM()), wrap(tagSequence, wrap(tagOctets, nonce), wrap(tagInteger, []byte{gcmTagSize})))
	return wrap(tagSequence, encodeOID(oidAuthEnveloped()), wrap(tagContext0, wrap(tagSequence,
		wrap(tagInteger, []byte{0}),
		wrapSet(tagSet, infos),
		wrap(tagSequence, encodeOID(oidData()), algorithm, wrap(tagPlain0, text)),
		wrap(tagOctets, tag),
	))), nil
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// issuerAndSerial names a certificate (RFC 5652 §10.2.4).
func issuerAndSerial(c *x509.Certificate) ([]byte, error) {
	serial, err := asn1.Marshal(c.SerialNumber)
	if err != nil {
		return nil, err
	}
	return wrap(tagSequence, c.RawIssuer, serial), nil
}

func recipientInfo(c *x509.Certificate, key []byte) ([]byte, error) {
	id, err := issuerAndSerial(c)
	if err != nil {
		return nil, err
	}
	switch public := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() < 2048 {
			return nil, errors.New("an RSA key of less than 2048 bits")
		}
		wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, key, nil)
		if err != nil {
			return nil, err
		}
		return wrap(tagSequence, wrap(tagInteger, []byte{0}), id, oaepAlgorithm(), wrap(tagOctets, wrapped)), nil
	case *ecdsa.PublicKey:
		return agreedInfo(public, id, key)
	}
	return nil, fmt.Errorf("a key of type %T cannot be encrypted for", c.PublicKey)
}

// oaepAlgorithm is RSAES-OAEP with SHA-256 in both places (RFC 4055 §4.1).
func oaepAlgorithm() []byte {
	hash := wrap(tagSequence, encodeOID(oidSHA256()), []byte{tagNull, 0})
	return wrap(tagSequence, encodeOID(oidOAEP()), wrap(tagSequence,
		wrap(tagContext0, hash), wrap(tagContext1, wrap(tagSequence, encodeOID(oidMGF1()), hash))))
}

// agreedInfo is a KeyAgreeRecipientInfo for one recipient (RFC 5753 §3.1.1).
func agreedInfo(public *ecdsa.PublicKey, id, key []byte) ([]byte, error) {
	theirs, err := public.ECDH()
	if err != nil {
		return nil, err
	}
	ours, err := theirs.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	shared, err := ours.ECDH(theirs)
	if err != nil {
		return nil, err
	}
	wrapped, err := wrapKey(agreedKey(shared), key)
	if err != nil {
		return nil, err
	}
	point := append([]byte{0}, ours.PublicKey().Bytes()...)
	origin := wrap(tagContext0, wrap(tagContext1, wrap(tagSequence, encodeOID(oidECPublicKey())), wrap(tagBits, point)))
	return wrap(tagContext1, wrap(tagInteger, []byte{3}), origin,
		wrap(tagSequence, encodeOID(oidStdDH()), wrapAlgorithm()),
		wrap(tagSequence, wrap(tagSequence, id, wrap(tagOctets, wrapped)))), nil
}

const tagBits = 0x03

func wrapAlgorithm() []byte { return wrap(tagSequence, encodeOID(oidAES256Wrap())) }

// agreedKey derives the key-encryption key (SEC 1 §3.6.1 with the ECC-CMS-SharedInfo of RFC 5753 §7.2): one block of
// SHA-256 is all that AES-256 needs.
func agreedKey(shared []byte) []byte {
	bits := binary.BigEndian.AppendUint32(nil, 8*contentKeySize)
	info := wrap(tagSequence, wrapAlgorithm(), wrap(tagContext2, wrap(tagOctets, bits)))
	sum := sha256.New()
	sum.Write(shared)
	sum.Write([]byte{0, 0, 0, 1})
	sum.Write(info)
	return sum.Sum(nil)
}

// wrapIV is the initial value of RFC 3394 §2.2.3.1.
func wrapIV() []byte { return bytes.Repeat([]byte{0xa6}, wrapBlock) }

// wrapKey is AES key wrap (RFC 3394 §2.2.1).
func wrapKey(kek, key []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	out := append(wrapIV(), key...)
	n := len(key) / wrapBlock
	var buffer [aes.BlockSize]byte
	for j := range 6 {
		for i := 1; i <= n; i++ {
			copy(buffer[:wrapBlock], out[:wrapBlock])
			copy(buffer[wrapBlock:], out[i*wrapBlock:])
			block.Encrypt(buffer[:], buffer[:])
			binary.BigEndian.PutUint64(out, binary.BigEndian.Uint64(buffer[:])^uint64(n*j+i))
			copy(out[i*wrapBlock:], buffer[wrapBlock:])
		}
	}
	return out, nil
}

// unwrapKey is its inverse (RFC 3394 §2.2.2).
func unwrapKey(kek, wrapped []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil || len(wrapped) != contentKeySize+wrapBlock {
		return nil, ErrSealed
	}
	out := bytes.Clone(wrapped)
	n := contentKeySize / wrapBlock
	var buffer [aes.BlockSize]byte
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			binary.BigEndian.PutUint64(buffer[:], binary.BigEndian.Uint64(out)^uint64(n*j+i))
			copy(buffer[wrapBlock:], out[i*wrapBlock:(i+1)*wrapBlock])
			block.Decrypt(buffer[:], buffer[:])
			copy(out[:wrapBlock], buffer[:wrapBlock])
			copy(out[i*wrapBlock:], buffer[wrapBlock:])
		}
	}
	if subtle.ConstantTimeCompare(out[:wrapBlock], wrapIV()) != 1 {
		return nil, ErrSealed
	}
	return out[wrapBlock:], nil
}

// OpenEnvelope gives the content of an envelope in the form that Envelop makes. Every failure is ErrSealed.
func OpenEnvelope(der []byte, key *keys.Key) ([]byte, error) {
	if len(der) > 2*maxEnveloped || key == nil {
		return nil, ErrSealed
	}
	e, ok := parseEnvelope(der)
	if !ok {
		return nil, ErrSealed
	}
	id, err := issuerAndSerial(key.Certificate)
	if err != nil {
		return nil, ErrSealed
	}
	var contentKey []byte
	infos := reader(e.infos)
	for n := 0; len(infos) > 0 && n < 1000; n++ {
		info, ok := infos.next()
		if !ok {
			return nil, ErrSealed
		}
		if k, err := openInfo(info, id, key); err == nil {
			contentKey = k
			break
		}
	}
	if len(contentKey) != contentKeySize {
		return nil, ErrSealed
	}
	box, err := gcm(contentKey)
	if err != nil {
		return nil, ErrSealed
	}
	content, err := box.Open(nil, e.nonce, append(bytes.Clone(e.text), e.tag...), nil)
	if err != nil {
		return nil, ErrSealed
	}
	return content, nil
}

// envelope is an AuthEnvelopedData taken apart.
type envelope struct{ infos, nonce, text, tag []byte }

func parseEnvelope(der []byte) (e envelope, ok bool) {
	top := reader(der)
	outer, ok := top.want(tagSequence)
	if !ok || len(top) > 0 {
		return e, false
	}
	in := reader(outer.body)
	if oid, ok := in.oid(); !ok || !oid.Equal(oidAuthEnveloped()) {
		return e, false
	}
	explicit, ok := in.want(tagContext0)
	if !ok {
		return e, false
	}
	in = reader(explicit.body)
	body, ok := in.want(tagSequence)
	if !ok {
		return e, false
	}
	in = reader(body.body)
	if v, ok := in.smallInt(); !ok || v != 0 {
		return e, false
	}
	infos, ok := in.want(tagSet)
	if !ok {
		return e, false
	}
	e.infos = infos.body
	sealed, ok := in.want(tagSequence)
	if !ok || !e.readSealed(sealed.body) {
		return e, false
	}
	tag, ok := in.want(tagOctets)
	e.tag = tag.body
	return e, ok && len(e.tag) == gcmTagSize && len(in) == 0
}

// readSealed reads the EncryptedContentInfo.
func (e *envelope) readSealed(body []byte) bool {
	in := reader(body)
	if oid, ok := in.oid(); !ok || !oid.Equal(oidData()) {
		return false
	}
	algorithm, params, ok := in.algorithm()
	if !ok || !algorithm.Equal(oidAES256GCM()) {
		return false
	}
	p := reader(params)
	sequence, ok := p.want(tagSequence)
	if !ok {
		return false
	}
	p = reader(sequence.body)
	nonce, ok := p.want(tagOctets)
	if !ok || len(nonce.body) != gcmNonceSize {
		return false
	}
	if size, ok := p.smallInt(); !ok || size != gcmTagSize {
		return false
	}
	text, ok := in.want(tagPlain0)
	e.nonce, e.text = nonce.body, text.body
	return ok
}

// openInfo gives the content key of a RecipientInfo that names the key's certificate.
func openInfo(info value, id []byte, key *keys.Key) ([]byte, error) {
	switch info.tag {
	case tagSequence:
		in := reader(info.body)
		if v, ok := in.smallInt(); !ok || v != 0 {
			return nil, ErrSealed
		}
		rid, ok := in.want(tagSequence)
		private, isRSA := key.Signer.(*rsa.PrivateKey)
		if !ok || !isRSA || !bytes.Equal(rid.full, id) {
			return nil, ErrSealed
		}
		algorithm, ok := in.want(tagSequence)
		if !ok || !bytes.Equal(algorithm.full, oaepAlgorithm()) {
			return nil, ErrSealed
		}
		wrapped, ok := in.want(tagOctets)
		if !ok {
			return nil, ErrSealed
		}
		return rsa.DecryptOAEP(sha256.New(), nil, private, wrapped.body, nil)
	case tagContext1:
		return openAgreed(info.body, id, key)
	}
	return nil, ErrSealed
}

func openAgreed(body, id []byte, key *keys.Key) ([]byte, error) {
	private, isEC := key.Signer.(*ecdsa.PrivateKey)
	if !isEC {
		return nil, ErrSealed
	}
	ours, err := private.ECDH()
	if err != nil {
		return nil, ErrSealed
	}
	in := reader(body)
	if v, ok := in.smallInt(); !ok || v != 3 {
		return nil, ErrSealed
	}
	point, ok := originPoint(&in)
	if !ok {
		return nil, ErrSealed
	}
	algorithm, params, ok := in.algorithm()
	if !ok || !algorithm.Equal(oidStdDH()) || !bytes.Equal(params, wrapAlgorithm()) {
		return nil, ErrSealed
	}
	list, ok := in.want(tagSequence)
	if !ok {
		return nil, ErrSealed
	}
	wrapped, ok := wrappedFor(list.body, id)
	if !ok {
		return nil, ErrSealed
	}
	theirs, err := ours.Curve().NewPublicKey(point)
	if err != nil {
		return nil, ErrSealed
	}
	shared, err := ours.ECDH(theirs)
	if err != nil {
		return nil, ErrSealed
	}
	return unwrapKey(agreedKey(shared), wrapped)
}

// originPoint reads the sender's ephemeral public key.
func originPoint(in *reader) ([]byte, bool) {
	origin, ok := in.want(tagContext0)
	if !ok {
		return nil, false
	}
	o := reader(origin.body)
	public, ok := o.want(tagContext1)
	if !ok {
		return nil, false
	}
	o = reader(public.body)
	if oid, _, ok := o.algorithm(); !ok || !oid.Equal(oidECPublicKey()) {
		return nil, false
	}
	bits, ok := o.want(tagBits)
	if !ok || len(bits.body) < 2 || bits.body[0] != 0 {
		return nil, false
	}
	return bits.body[1:], true
}

// wrappedFor finds the wrapped key of one recipient among RecipientEncryptedKeys.
func wrappedFor(list, id []byte) ([]byte, bool) {
	for in := reader(list); len(in) > 0; {
		one, ok := in.want(tagSequence)
		if !ok {
			return nil, false
		}
		r := reader(one.body)
		rid, ok := r.want(tagSequence)
		if !ok {
			return nil, false
		}
		wrapped, ok := r.want(tagOctets)
		if !ok {
			return nil, false
		}
		if bytes.Equal(rid.full, id) {
			return wrapped.body, true
		}
	}
	return nil, false
}
