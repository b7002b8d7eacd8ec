package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"vanthu/signing/keys"
	"vanthu/signing/pki"
)

// Prepared is a signature waiting for its value, for keys that sign elsewhere (token, HSM, remote service).
type Prepared struct {
	request   SignRequest
	algorithm pki.SignatureAlgorithm
	encoded   []byte // AlgorithmIdentifier of the signature
	digest    []byte // AlgorithmIdentifier of the digest
	attrs     []byte // DER of the signed attributes as SET OF: what is signed
	digestAt  int    // where the digest stands in attrs
}

// Prepare makes the signed attributes. Key.Certificate must be set. Key types other than RSA, ECDSA and Ed25519 and
// digests that do not fit give an error.
func Prepare(r SignRequest) (*Prepared, error) {
	if r.Key == nil || r.Key.Certificate == nil {
		return nil, errors.New("preparing signature: no certificate")
	}
	p := &Prepared{}
	if err := p.choose(&r); err != nil {
		return nil, err
	}
	if r.ContentType == nil {
		r.ContentType = oidData()
	}
	if r.Content != nil {
		sum, err := DigestOf(r.Content)(r.Hash)
		if err != nil {
			return nil, fmt.Errorf("preparing signature: %w", err)
		}
		if r.Digest != nil && !bytes.Equal(r.Digest, sum) {
			return nil, errors.New("preparing signature: the digest is not that of the content")
		}
		r.Digest = sum
	}
	if len(r.Digest) != r.Hash.Size() {
		return nil, fmt.Errorf("preparing signature: digest of %d bytes, %s has %d", len(r.Digest), pki.HashName(r.Hash), r.Hash.Size())
	}
	p.request = r
	if err := p.encodeAttributes(); err != nil {
		return nil, err
	}
	return p, nil
}

// SetDigest puts the digest of the content in the place of the one given to [Prepare], which may have been zeros. The
// order of the attributes stays, since their types differ before the digest does.
func (p *Prepared) SetDigest(sum []byte) error {
	if len(sum) != p.request.Hash.Size() || p.request.Content != nil {
		return fmt.Errorf("preparing signature: digest of %d bytes, %s has %d", len(sum), pki.HashName(p.request.Hash), p.request.Hash.Size())
	}
	p.request.Digest = sum
	copy(p.attrs[p.digestAt:], sum)
	return nil
}

// choose settles the algorithms by the type of the certificate's key.
func (p *Prepared) choose(r *SignRequest) error {
	public := pki.PublicKey(r.Key.Certificate)
	if r.Hash == 0 {
		r.Hash = crypto.SHA256
		if _, ok := public.(ed25519.PublicKey); ok {
			r.Hash = crypto.SHA512
		}
	}
	if p.digest = digestAlgorithm(r.Hash); p.digest == nil || len(pki.CheckDigest(r.Hash, time.Time{})) > 0 {
		return fmt.Errorf("preparing signature: digest algorithm %s is not for new signatures", pki.HashName(r.Hash))
	}
	a := pki.SignatureAlgorithm{Hash: r.Hash}
	switch public.(type) {
	case *rsa.PublicKey:
		a.Scheme = pki.PKCS1v15
		if r.PSS || r.Key.Certificate.PublicKey == nil {
			a.Scheme, a.MGFHash, a.SaltLength = pki.PSS, r.Hash, r.Hash.Size()
		}
	case *ecdsa.PublicKey:
		a.Scheme = pki.ECDSA
	case ed25519.PublicKey:
		if r.Hash != crypto.SHA512 {
			return errors.New("preparing signature: Ed25519 needs SHA512 (RFC 8419)")
		}
		a.Scheme = pki.EdDSA
	default:
		return fmt.Errorf("preparing signature: %w: %T", keys.ErrUnsupported, public)
	}
	encoded, err := encodeAlgorithm(a)
	p.algorithm, p.encoded = a, encoded
	return err
}

// encodeAlgorithm encodes a signature AlgorithmIdentifier: RFC 5754 §3, RFC 4056 §3, RFC 8419 §2.
func encodeAlgorithm(a pki.SignatureAlgorithm) ([]byte, error) {
	if known := knownAlgorithm(a); known != "" {
		return []byte(known), nil
	}
	null := []byte{tagNull, 0}
	oid, ok := a.OID()
	if !ok {
		return nil, fmt.Errorf("preparing signature: no identifier for %s", a)
	}
	switch a.Scheme {
	case pki.PKCS1v15:
		return wrap(tagSequence, encodeOID(oid), null), nil
	case pki.PSS:
		hash := wrap(tagSequence, encodeOID(pki.OIDByHash(a.Hash)), null)
		mgf := wrap(tagSequence, encodeOID(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}), hash)
		salt := wrap(tagInteger, []byte{byte(a.SaltLength)})
		params := wrap(tagSequence, wrap(tagContext0, hash), wrap(tagContext1, mgf), wrap(tagContext2, salt))
		return wrap(tagSequence, encodeOID(oid), params), nil
	}
	return wrap(tagSequence, encodeOID(oid)), nil
}

// encodeAttributes makes the signed attributes: content-type, message-digest, signing-time, signing-certificate-v2 and
// the caller's own.
func (p *Prepared) encodeAttributes() error {
	r := &p.request
	e := newEncoder(256)
	var few [8][]byte
	members := few[:0]
	done := 0
	add := func(kind string) { // what was written since the last attribute is the value
		e.head(tagSet, done)
		e.literal(kind)
		e.head(tagSequence, done)
		members = append(members, e.encoded()[:e.size()-done])
		done = e.size()
	}
	e.value(tagOctets, r.Digest)
	add(derMessageDigest)
	digest := members[0]
	e.oid(r.ContentType)
	add(derContentType)
	if r.SigningTime != nil {
		e.bytes(encodeTime(*r.SigningTime))
		add(derSigningTime)
	}
	if !r.OmitESS {
		sum := sha256.Sum256(r.Key.Certificate.Raw) // SHA-256 is the default, so its identifier must be left out
		since := e.size()
		e.value(tagOctets, sum[:])
		for range 3 { // ESSCertIDv2, certs, SigningCertificateV2
			e.head(tagSequence, since)
		}
		add(derSigningCertificateV2)
	}
	for _, a := range r.SignedAttributes {
		if encodeOID(a.Type) == nil || len(a.Values) == 0 {
			return fmt.Errorf("preparing signature: attribute %s is empty", a.Type)
		}
		members = append(members, encodeAttribute(a))
	}
	length := 0
	for _, m := range members {
		length += len(m)
	}
	slices.SortFunc(members, slices.Compare)
	p.attrs = appendHeader(make([]byte, 0, wrapped(length)), tagSet, length)
	for _, m := range members {
		if p.attrs = append(p.attrs, m...); &m[0] == &digest[0] {
			p.digestAt = len(p.attrs) - len(r.Digest)
		}
	}
	return nil
}

func encodeAttribute(a Attribute) []byte {
	return wrap(tagSequence, encodeOID(a.Type), wrapSet(tagSet, a.Values))
}

// encodeTime is UTCTime until 2049, then GeneralizedTime (RFC 5652 §11.3).
func encodeTime(t time.Time) []byte {
	t = t.UTC()
	if y := t.Year(); y >= 1950 && y < 2050 {
		return wrap(tagUTCTime, []byte(t.Format("060102150405Z")))
	}
	return wrap(tagGeneralized, []byte(t.Format("20060102150405Z")))
}

// ToSign returns the bytes that the key must sign (the DER of the signed attributes), their digest by opts.HashFunc
// (the bytes themselves for Ed25519), and the options for crypto.Signer. The slices must not be changed.
func (p *Prepared) ToSign() (message, digest []byte, opts crypto.SignerOpts) {
	switch p.algorithm.Scheme {
	case pki.EdDSA:
		return p.attrs, p.attrs, crypto.Hash(0)
	case pki.PSS:
		opts = &rsa.PSSOptions{SaltLength: p.algorithm.SaltLength, Hash: p.algorithm.Hash}
	default:
		opts = p.algorithm.Hash
	}
	h := p.algorithm.Hash.New()
	h.Write(p.attrs)
	return p.attrs, h.Sum(nil), opts
}

// Complete checks the signature value against the certificate and makes the SignedData in DER. A wrong value is
// refused with ErrSignature.
func (p *Prepared) Complete(signature []byte) ([]byte, error) {
	if !p.algorithm.Verify(pki.PublicKey(p.request.Key.Certificate), p.attrs, signature) {
		return nil, ErrSignature
	}
	return p.finish(signature)
}

// finish adds the unsigned attributes and assembles.
func (p *Prepared) finish(signature []byte) ([]byte, error) {
	var unsigned []Attribute
	if p.request.UnsignedAttributes != nil {
		var err error
		if unsigned, err = p.request.UnsignedAttributes(signature); err != nil {
			return nil, fmt.Errorf("adding unsigned attributes: %w", err)
		}
	}
	return p.assemble(signature, unsigned), nil
}

// assemble encodes the ContentInfo. The version follows RFC 5652 §5.1.
func (p *Prepared) assemble(signature []byte, unsigned []Attribute) []byte {
	r := &p.request
	version := byte(1)
	if !r.ContentType.Equal(oidData()) {
		version = 3
	}
	if len(r.OCSPs) > 0 {
		version = 5
	}
	extra := 0
	for _, a := range unsigned {
		for _, v := range a.Values {
			extra += len(v) + 64
		}
	}
	e := newEncoder(p.size(len(signature), extra))
	p.encodeSigner(e, signature, unsigned)
	e.head(tagSet, 0)
	if len(r.CRLs)+len(r.OCSPs) > 0 {
		members := append([][]byte(nil), r.CRLs...)
		for _, o := range r.OCSPs {
			members = append(members, wrap(tagContext1, encodeOID(oidOCSPInfo()), o))
		}
		e.set(tagContext1, members)
	}
	if certs := p.certificates(); len(certs) > 0 {
		e.set(tagContext0, certs)
	}
	since := e.size()
	if r.Content != nil {
		e.value(tagOctets, r.Content)
		e.head(tagContext0, since)
	}
	e.oid(r.ContentType)
	e.head(tagSequence, since)
	e.value(tagSet, p.digest)
	e.version(version)
	e.head(tagSequence, 0)
	e.head(tagContext0, 0)
	e.literal(derSignedData)
	e.head(tagSequence, 0)
	return e.encoded()
}

// encodeSigner writes the one SignerInfo (RFC 5652 §5.3) as the first, which is the last, of an encoding.
func (p *Prepared) encodeSigner(e *encoder, signature []byte, unsigned []Attribute) {
	c := p.request.Key.Certificate
	if len(unsigned) > 0 {
		members := make([][]byte, len(unsigned))
		for i, a := range unsigned {
			members[i] = encodeAttribute(a)
		}
		e.set(tagContext1, members)
	}
	e.value(tagOctets, signature)
	e.bytes(p.encoded)
	in := reader(p.attrs)
	attrs, _ := in.want(tagSet)
	e.value(tagContext0, attrs.body)
	e.bytes(p.digest)
	since := e.size()
	e.bytes(encodeSerial(c))
	e.bytes(c.RawIssuer)
	e.head(tagSequence, since)
	e.version(1)
	e.head(tagSequence, 0)
}

// encodeSerial encodes the serial number of an existing certificate: crypto/asn1 cannot fail on it.
func encodeSerial(c *x509.Certificate) []byte {
	if bits := c.SerialNumber.BitLen(); c.SerialNumber.Sign() > 0 && bits < 0x7f*8 {
		out := make([]byte, 2+bits/8+1) // with the sign bit
		out[0], out[1] = tagInteger, byte(len(out)-2)
		c.SerialNumber.FillBytes(out[2:])
		return out
	}
	der, err := asn1.Marshal(c.SerialNumber)
	if err != nil {
		return []byte{tagInteger, 1, 0}
	}
	return der
}

func (p *Prepared) certificates() [][]byte {
	if p.request.OmitCertificates {
		return nil
	}
	key := p.request.Key
	list := append(make([][]byte, 0, 1+len(key.Chain)), key.Certificate.Raw)
	for _, c := range key.Chain {
		list = append(list, c.Raw)
	}
	return list
}

// Sign makes a SignedData in DER with one signer. A signer whose value its certificate does not verify is refused with
// ErrSignature.
func Sign(r SignRequest) ([]byte, error) {
	p, err := Prepare(r)
	if err != nil {
		return nil, err
	}
	return p.Sign()
}

// Sign has the key of the request sign and makes the SignedData, as the function [Sign] does.
func (p *Prepared) Sign() ([]byte, error) {
	key := p.request.Key
	if key.Signer == nil {
		return nil, fmt.Errorf("signing: %w", keys.ErrNoKey)
	}
	_, digest, opts := p.ToSign()
	signature, err := key.Signer.Sign(rand.Reader, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	if !ownSoftwareKey(key) {
		return p.Complete(signature)
	}
	return p.finish(signature)
}

// ownSoftwareKey tells that the key is the standard library's and belongs to the certificate, so that its value needs no
// check, which would cost more than an ECDSA signature. What signs outside of the process is always checked.
func ownSoftwareKey(k *keys.Key) bool {
	switch k.Signer.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
		public, ok := pki.PublicKey(k.Certificate).(interface{ Equal(crypto.PublicKey) bool })
		return ok && public.Equal(k.Signer.Public())
	}
	return false
}

// EstimateSize returns an upper bound of the size of what Sign makes, in bytes; unsigned is the room for the values of
// unsigned attributes, such as a time-stamp token (0: none). r.Digest may be nil.
func EstimateSize(r SignRequest, unsigned int) (int, error) {
	if r.Digest == nil && r.Content == nil {
		hash := r.Hash
		if hash == 0 {
			hash = crypto.SHA256
			if r.Key != nil && r.Key.Certificate != nil && r.Key.Certificate.PublicKeyAlgorithm == x509.Ed25519 {
				hash = crypto.SHA512
			}
		}
		r.Digest = make([]byte, hash.Size())
	}
	p, err := Prepare(r)
	if err != nil {
		return 0, err
	}
	return p.Room(unsigned), nil
}

// Room is an upper bound of the size in bytes of what the signature will make; unsigned as with [EstimateSize].
func (p *Prepared) Room(unsigned int) int {
	size := 0
	switch key := pki.PublicKey(p.request.Key.Certificate).(type) {
	case *rsa.PublicKey:
		size = key.Size()
	case *ecdsa.PublicKey:
		size = 2*((key.Curve.Params().BitSize+7)/8+3) + 3
	case ed25519.PublicKey:
		size = ed25519.SignatureSize
	}
	return p.size(size, unsigned)
}

// size is the length of what assemble makes, without making it; it may be a few bytes more.
func (p *Prepared) size(signature, unsigned int) int {
	r := &p.request
	digest := len(p.digest)
	serial := r.Key.Certificate.SerialNumber.BitLen()/8 + 4
	info := 3 + wrapped(len(r.Key.Certificate.RawIssuer)+serial) + digest + len(p.attrs) + len(p.encoded) + wrapped(signature)
	if unsigned > 0 {
		info += wrapped(wrapped(len(encodeOID(oidTimestamp())) + wrapped(unsigned)))
	}
	encap := len(derData)
	if !r.ContentType.Equal(oidData()) {
		encap = len(encodeOID(r.ContentType))
	}
	if r.Content != nil {
		encap += wrapped(wrapped(len(r.Content)))
	}
	whole := 3 + wrapped(digest) + wrapped(encap) + wrapped(wrapped(info))
	certs, crls := 0, 0
	for _, der := range p.certificates() {
		certs += len(der)
	}
	for _, der := range r.CRLs {
		crls += len(der)
	}
	for _, der := range r.OCSPs {
		crls += wrapped(len(encodeOID(oidOCSPInfo())) + len(der))
	}
	for _, set := range []int{certs, crls} {
		if set > 0 {
			whole += wrapped(set)
		}
	}
	return wrapped(len(derSignedData) + wrapped(wrapped(whole)))
}

// wrapped is the length of a value of n bytes with its tag and length.
func wrapped(n int) int {
	size := n + 2
	for _, limit := range []int{0x80, 0x100, 0x10000, 0x1000000} {
		if n >= limit {
			size++
		}
	}
	return size
}

// TimestampAttribute is the signature-time-stamp unsigned attribute (RFC 3161 appendix A) of a token in DER.
func TimestampAttribute(token []byte) Attribute {
	return Attribute{Type: oidTimestamp(), Values: [][]byte{token}}
}
