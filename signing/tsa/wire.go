package tsa

import (
	"crypto"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"vanthu/signing/pki"
)

// request is a TimeStampReq (RFC 3161 §2.4.1).
type request struct {
	hashOID  asn1.ObjectIdentifier
	imprint  []byte
	policy   asn1.ObjectIdentifier
	nonce    *big.Int
	certs    bool
	critical bool // an extension is there; none is supported
}

// failure is a bit of PKIFailureInfo (RFC 3161 §2.4.2).
type failure int

const (
	badAlgorithm        failure = 0
	badRequest          failure = 2
	badDataFormat       failure = 5
	unacceptedPolicy    failure = 15
	unacceptedExtension failure = 16
	systemFailure       failure = 25
)

func (f failure) String() string {
	switch f {
	case badAlgorithm:
		return "badAlg"
	case badRequest:
		return "badRequest"
	case badDataFormat:
		return "badDataFormat"
	case 14:
		return "timeNotAvailable"
	case unacceptedPolicy:
		return "unacceptedPolicy"
	case unacceptedExtension:
		return "unacceptedExtension"
	case 17:
		return "addInfoNotAvailable"
	case systemFailure:
		return "systemFailure"
	}
	return fmt.Sprintf("failure %d", int(f))
}

func tagged(n uint8) cbasn1.Tag { return cbasn1.Tag(n).Constructed().ContextSpecific() }

// addImprint writes a MessageImprint.
func addImprint(b *cryptobyte.Builder, hash asn1.ObjectIdentifier, imprint []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(hash)
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(imprint)
	})
}

// readImprint reads a MessageImprint.
func readImprint(in *cryptobyte.String) (hash asn1.ObjectIdentifier, imprint []byte, ok bool) {
	var seq, algorithm cryptobyte.String
	ok = in.ReadASN1(&seq, cbasn1.SEQUENCE) && seq.ReadASN1(&algorithm, cbasn1.SEQUENCE) &&
		algorithm.ReadASN1ObjectIdentifier(&hash) && seq.ReadASN1Bytes(&imprint, cbasn1.OCTET_STRING) && seq.Empty()
	return hash, imprint, ok
}

func (r *request) encode() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		addImprint(b, r.hashOID, r.imprint)
		if r.policy != nil {
			b.AddASN1ObjectIdentifier(r.policy)
		}
		if r.nonce != nil {
			b.AddASN1BigInt(r.nonce)
		}
		if r.certs {
			b.AddASN1Boolean(true)
		}
	})
	return b.Bytes()
}

func parseRequest(der []byte) (*request, bool) {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	var version int
	r := &request{}
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&version) || version != 1 {
		return nil, false
	}
	var ok bool
	if r.hashOID, r.imprint, ok = readImprint(&seq); !ok {
		return nil, false
	}
	if seq.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER) && !seq.ReadASN1ObjectIdentifier(&r.policy) {
		return nil, false
	}
	if seq.PeekASN1Tag(cbasn1.INTEGER) {
		r.nonce = new(big.Int)
		if !seq.ReadASN1Integer(r.nonce) || r.nonce.BitLen() > 512 {
			return nil, false
		}
	}
	if seq.PeekASN1Tag(cbasn1.BOOLEAN) && !seq.ReadASN1Boolean(&r.certs) {
		return nil, false
	}
	var extensions cryptobyte.String
	if !seq.ReadOptionalASN1(&extensions, &r.critical, tagged(0)) || !seq.Empty() {
		return nil, false
	}
	return r, true
}

// encodeResponse writes a TimeStampResp: granted with a token, or rejected with a failure.
func encodeResponse(token []byte, fail failure) ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if token != nil {
				b.AddASN1Int64(0)
				return
			}
			b.AddASN1Int64(2)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(fail.String())) })
			})
			b.AddASN1(cbasn1.BIT_STRING, func(b *cryptobyte.Builder) {
				bits := make([]byte, int(fail)/8+1)
				bits[fail/8] = 0x80 >> (fail % 8)
				b.AddUint8(uint8(7 - fail%8)) // DER: no zero bits at the end
				b.AddBytes(bits)
			})
		})
		b.AddBytes(token)
	})
	return b.Bytes()
}

// parseResponse returns the token of a granted TimeStampResp; a refusal wraps ErrRefused with the authority's words.
func parseResponse(der []byte) ([]byte, error) {
	in := cryptobyte.String(der)
	var seq, status cryptobyte.String
	var code int
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1(&status, cbasn1.SEQUENCE) || !status.ReadASN1Integer(&code) {
		return nil, fmt.Errorf("%w: the answer is no time-stamp response", ErrRefused)
	}
	if code == 0 || code == 1 {
		if seq.Empty() {
			return nil, fmt.Errorf("%w: granted without a token", ErrRefused)
		}
		return seq, nil
	}
	var detail strings.Builder
	fmt.Fprintf(&detail, "status %d", code)
	if status.PeekASN1Tag(cbasn1.SEQUENCE) {
		var texts, text cryptobyte.String
		if status.ReadASN1(&texts, cbasn1.SEQUENCE) && texts.ReadASN1(&text, cbasn1.UTF8String) && len(text) < 500 {
			fmt.Fprintf(&detail, ", %q", []byte(text))
		}
	}
	var bits asn1.BitString
	if status.PeekASN1Tag(cbasn1.BIT_STRING) && status.ReadASN1BitString(&bits) {
		for i := range min(bits.BitLength, 64) {
			if bits.At(i) != 0 {
				fmt.Fprintf(&detail, ", %s", failure(i))
			}
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrRefused, detail.String())
}

// info is a TSTInfo (RFC 3161 §2.4.2) to write.
type info struct {
	policy   asn1.ObjectIdentifier
	hash     asn1.ObjectIdentifier
	imprint  []byte
	serial   *big.Int
	time     time.Time
	accuracy time.Duration
	nonce    *big.Int
}

func (i *info) encode() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1ObjectIdentifier(i.policy)
		addImprint(b, i.hash, i.imprint)
		b.AddASN1BigInt(i.serial)
		// Whole seconds: many readers know no fractions. Rounding down never promises too late a time.
		b.AddASN1GeneralizedTime(i.time.UTC().Truncate(time.Second))
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if s := int64(i.accuracy / time.Second); s > 0 {
				b.AddASN1Int64(s)
			}
			if ms := int64(i.accuracy % time.Second / time.Millisecond); ms > 0 {
				b.AddASN1Int64WithTag(ms, cbasn1.Tag(0).ContextSpecific())
			}
		})
		if i.nonce != nil {
			b.AddASN1BigInt(i.nonce)
		}
	})
	return b.Bytes()
}

// readInfo fills the token's fields from a TSTInfo.
func (t *Token) readInfo(der []byte) bool {
	in := cryptobyte.String(der)
	var seq, stamp cryptobyte.String
	var version int
	t.Serial = new(big.Int)
	var ok bool
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&version) || version != 1 ||
		!seq.ReadASN1ObjectIdentifier(&t.Policy) {
		return false
	}
	if t.HashOID, t.Imprint, ok = readImprint(&seq); !ok {
		return false
	}
	t.Hash = pki.HashByOID(t.HashOID)
	if !seq.ReadASN1Integer(t.Serial) || !seq.ReadASN1(&stamp, cbasn1.GeneralizedTime) {
		return false
	}
	if t.Time, ok = parseTime(string(stamp)); !ok {
		return false
	}
	if seq.PeekASN1Tag(cbasn1.SEQUENCE) && !t.readAccuracy(&seq) {
		return false
	}
	if seq.PeekASN1Tag(cbasn1.BOOLEAN) && !seq.ReadASN1Boolean(&t.Ordering) {
		return false
	}
	if seq.PeekASN1Tag(cbasn1.INTEGER) {
		t.Nonce = new(big.Int)
		if !seq.ReadASN1Integer(t.Nonce) {
			return false
		}
	}
	return seq.SkipOptionalASN1(tagged(0)) && t.readExtensions(&seq) && seq.Empty()
}

// readExtensions looks for critical extensions, none of which is understood.
func (t *Token) readExtensions(seq *cryptobyte.String) bool {
	var list cryptobyte.String
	var has bool
	if !seq.ReadOptionalASN1(&list, &has, tagged(1)) {
		return false
	}
	for !list.Empty() {
		var e cryptobyte.String
		var oid asn1.ObjectIdentifier
		var critical bool
		if !list.ReadASN1(&e, cbasn1.SEQUENCE) || !e.ReadASN1ObjectIdentifier(&oid) ||
			!e.ReadOptionalASN1Boolean(&critical, cbasn1.BOOLEAN, false) {
			return false
		}
		t.critical = t.critical || critical
	}
	return true
}

// parseTime reads genTime, which unlike DER elsewhere may have fractions of a second (RFC 3161 §2.4.2).
func parseTime(s string) (time.Time, bool) {
	if len(s) > 40 {
		return time.Time{}, false
	}
	t, err := time.Parse("20060102150405Z", s)
	return t.UTC(), err == nil
}

// readAccuracy reads seconds, [0] milliseconds and [1] microseconds.
func (t *Token) readAccuracy(seq *cryptobyte.String) bool {
	var in cryptobyte.String
	if !seq.ReadASN1(&in, cbasn1.SEQUENCE) {
		return false
	}
	var seconds, millis, micros int64
	if in.PeekASN1Tag(cbasn1.INTEGER) && !in.ReadASN1Integer(&seconds) {
		return false
	}
	for _, part := range []struct {
		n  uint8
		to *int64
	}{{0, &millis}, {1, &micros}} {
		tag := cbasn1.Tag(part.n).ContextSpecific()
		if in.PeekASN1Tag(tag) && !in.ReadASN1Int64WithTag(part.to, tag) {
			return false
		}
	}
	const most = 10 * 365 * 24 * 3600
	if seconds < 0 || seconds > most || millis < 0 || millis > 999 || micros < 0 || micros > 999 || !in.Empty() {
		return false
	}
	t.Accuracy = time.Duration(seconds)*time.Second + time.Duration(millis)*time.Millisecond + time.Duration(micros)*time.Microsecond
	return true
}

// usable tells whether time stamps are made over this digest algorithm.
func usable(h crypto.Hash) bool {
	switch h {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_384, crypto.SHA3_512:
		return true
	}
	return false
}
