package cms

import (
	"bytes"
	"crypto"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"time"

	"vanthu/signing/pki"
)

// maxCandidates bounds how many certificates of one identifier are tried.
const maxCandidates = 8

// Verify judges one of sd.Signers. digest gives the digest of detached content; nil means the SignedData's own Content.
// extra are further certificates among which the signer's may be (a DSS dictionary), all untrusted.
func (sd *SignedData) Verify(si *SignerInfo, digest ContentDigest, extra ...*x509.Certificate) Result {
	r := Result{Hash: si.Hash(), Algorithm: si.SignatureOID.String()}
	if digest == nil {
		if !sd.HasContent {
			r.add(pki.CodeNoContent, pki.SignedDataNotFound, "")
			return r
		}
		digest = DigestOf(sd.Content)
	}
	if r.Hash == 0 {
		r.add(pki.CodeAlgorithm, pki.CryptoNoPOE, "digest "+si.DigestOID.String())
		return r
	}
	actual, err := digest(r.Hash)
	if r.ReadError = err; err != nil && !si.HasSignedAttributes {
		return r
	}
	algorithm, err := pki.ParseSignatureAlgorithm(si.SignatureOID, si.signatureParams, r.Hash)
	if err != nil {
		r.add(pki.CodeAlgorithm, pki.CryptoConstraints, err.Error())
		r.Intact = si.HasSignedAttributes && r.ReadError == nil && bytes.Equal(si.MessageDigest(), actual)
		if si.HasSignedAttributes && r.ReadError == nil && !r.Intact {
			r.add(pki.CodeDigest, pki.HashFailure, "")
		}
		return r
	}
	r.Algorithm = algorithm.String()
	if algorithm.Hash != r.Hash && algorithm.Scheme != pki.EdDSA {
		mismatch := pki.Reason{Code: pki.CodeDigestMismatch, Sub: pki.SigConstraints,
			Detail: pki.HashName(r.Hash) + ", " + algorithm.String()}
		if algorithm.Scheme == pki.PKCS1v15 {
			r.Weak = append(r.Weak, mismatch) // the signature value itself names its digest
		} else {
			r.Reasons = append(r.Reasons, mismatch)
		}
	}
	if si.HasSignedAttributes {
		r.Intact = len(actual) > 0 && bytes.Equal(si.MessageDigest(), actual)
		sd.checkAttributes(si, &r)
	}
	sd.checkSignature(si, algorithm, actual, extra, &r)
	r.Weak = append(r.Weak, pki.CheckDigest(r.Hash, time.Time{})...)
	if r.Signer != nil && pki.PublicKey(r.Signer) != nil {
		r.Weak = append(r.Weak, pki.CheckKey(pki.PublicKey(r.Signer), time.Time{})...)
	}
	r.Valid = len(r.Reasons) == 0 && r.ReadError == nil
	return r
}

func (r *Result) add(code pki.Code, sub pki.Sub, detail string) {
	r.Reasons = append(r.Reasons, pki.Reason{Code: code, Sub: sub, Detail: detail})
}

// checkAttributes judges the signed attributes that RFC 5652 §5.3 and §11 demand.
func (sd *SignedData) checkAttributes(si *SignerInfo, r *Result) {
	_, digests, values := attribute(si.SignedAttributes, oidMessageDigest())
	switch {
	case digests > 1 || values > 1:
		r.add(pki.CodeDuplicate, pki.FormatFailure, "message-digest")
	case si.MessageDigest() == nil:
		r.add(pki.CodeMissingAttribute, pki.FormatFailure, "message-digest")
	case !r.Intact && r.ReadError == nil:
		r.add(pki.CodeDigest, pki.HashFailure, "")
	}
	raw, types, values := attribute(si.SignedAttributes, oidContentType())
	var contentType asn1.ObjectIdentifier
	switch {
	case types > 1 || values > 1:
		r.add(pki.CodeDuplicate, pki.FormatFailure, "content-type")
	case raw == nil:
		r.add(pki.CodeMissingAttribute, pki.SigConstraints, "content-type")
	default:
		in := reader(raw)
		if contentType, _ = in.oid(); !contentType.Equal(sd.ContentType) {
			r.add(pki.CodeContentType, pki.FormatFailure, "")
		}
	}
	if _, times, values := attribute(si.SignedAttributes, oidSigningTime()); times > 1 || values > 1 {
		r.add(pki.CodeDuplicate, pki.FormatFailure, "signing-time")
	}
	if raw, _, _ := attribute(si.SignedAttributes, oidAlgorithmProtection()); raw != nil && !si.protects(raw) {
		r.add(pki.CodeDigestMismatch, pki.SigConstraints, "algorithm protection")
	}
}

// protects tells whether a CMSAlgorithmProtection attribute names the algorithms of the SignerInfo (RFC 6211 §2).
func (si *SignerInfo) protects(raw []byte) bool {
	in := reader(raw)
	seq, ok := in.want(tagSequence)
	if !ok {
		return false
	}
	in = seq.body
	digest, _, ok := in.algorithm()
	if !ok || !digest.Equal(si.DigestOID) {
		return false
	}
	implicit, ok := in.want(tagContext1)
	if !ok {
		return true // a MAC algorithm, or nothing: no claim about the signature
	}
	in = implicit.body
	oid, ok := in.oid()
	return ok && oid.Equal(si.SignatureOID) && bytes.Equal(in, si.signatureParams)
}

// checkSignature finds the signer's certificate and checks the signature value and the ESS binding.
func (sd *SignedData) checkSignature(si *SignerInfo, a pki.SignatureAlgorithm, digest []byte, extra []*x509.Certificate, r *Result) {
	if a.Scheme == pki.EdDSA && si.HasSignedAttributes && r.Hash != crypto.SHA512 {
		r.add(pki.CodeDigestMismatch, pki.SigConstraints, "RFC 8419 requires SHA512 with Ed25519")
	}
	candidates, unreadable := sd.candidates(si, extra)
	if len(candidates) == 0 {
		if unreadable != nil {
			r.add(pki.CodeAlgorithm, pki.CryptoConstraints, "certificate: "+unreadable.Error())
			return
		}
		r.add(pki.CodeNoSigner, pki.NoSigningCertificate, "")
		return
	}
	r.Signer = candidates[0]
	var verified []*x509.Certificate
	for _, c := range candidates {
		if sd.signedWith(si, a, pki.PublicKey(c), digest, r) {
			verified = append(verified, c)
		}
	}
	if len(verified) == 0 {
		switch {
		case pki.PublicKey(r.Signer) == nil:
			r.add(pki.CodeAlgorithm, pki.CryptoConstraints, "public key of the certificate")
		case a.Scheme == pki.EdDSA && !si.HasSignedAttributes && !sd.HasContent:
			r.add(pki.CodeAlgorithm, pki.CryptoConstraints, "Ed25519 over detached content without signed attributes")
		default:
			r.add(pki.CodeSignature, pki.SigCryptoFailure, a.String())
		}
		return
	}
	r.Signer, r.Authentic = verified[0], true
	if !si.HasSignedAttributes {
		r.Intact = true
		return
	}
	var reason *pki.Reason
	for _, c := range verified {
		if reason = si.checkESS(c, r); reason == nil {
			r.Signer = c
			return
		}
	}
	r.Reasons = append(r.Reasons, *reason)
}

// candidates returns the certificates that the identifier names, embedded ones first, and why one of them could not be
// parsed.
func (sd *SignedData) candidates(si *SignerInfo, extra []*x509.Certificate) (list []*x509.Certificate, unreadable error) {
	for i, raw := range sd.RawCertificates {
		if len(list) == maxCandidates {
			return list, nil
		}
		if si.Serial != nil {
			if !si.matches(raw) {
				continue
			}
			c, err := sd.certificate(i)
			if err != nil {
				unreadable = err
				continue
			}
			list = append(list, c)
			continue
		}
		if c, err := sd.certificate(i); err == nil && bytes.Equal(c.SubjectKeyId, si.SubjectKeyID) {
			list = append(list, c)
		}
	}
	for _, c := range extra {
		if c == nil || len(list) == maxCandidates {
			continue
		}
		named := si.Serial != nil && c.SerialNumber.Cmp(si.Serial) == 0 && bytes.Equal(c.RawIssuer, si.Issuer) ||
			si.Serial == nil && bytes.Equal(c.SubjectKeyId, si.SubjectKeyID)
		if named && !contains(list, c) {
			list = append(list, c)
		}
	}
	return list, unreadable
}

func contains(list []*x509.Certificate, c *x509.Certificate) bool {
	for _, have := range list {
		if have.Equal(c) {
			return true
		}
	}
	return false
}

// SignerCertificate returns the embedded certificate that the signer's identifier names, or nil.
func (sd *SignedData) SignerCertificate(si *SignerInfo) *x509.Certificate {
	if list, _ := sd.candidates(si, nil); len(list) > 0 {
		return list[0]
	}
	return nil
}

// signedWith checks the signature value under one public key (RFC 5652 §5.4): over the DER of the signed attributes as
// a SET OF, else over the content digest.
func (sd *SignedData) signedWith(si *SignerInfo, a pki.SignatureAlgorithm, public crypto.PublicKey, digest []byte, r *Result) bool {
	if !si.HasSignedAttributes {
		if a.Scheme == pki.EdDSA {
			// Without attributes Ed25519 signs the content itself, which must be at hand and be what was digested.
			own, err := DigestOf(sd.Content)(r.Hash)
			return err == nil && sd.HasContent && subtle.ConstantTimeCompare(own, digest) == 1 &&
				a.Verify(public, sd.Content, si.Signature)
		}
		return a.Hash == r.Hash && a.VerifyDigest(public, digest, si.Signature)
	}
	asFound := wrap(tagSet, si.signedBody)
	if a.Verify(public, asFound, si.Signature) {
		return true
	}
	// DER demands ascending order; some signers send another order than they signed.
	sorted := wrapSet(tagSet, si.signedMembers())
	if !bytes.Equal(sorted, asFound) && a.Verify(public, sorted, si.Signature) {
		return true
	}
	if a.Scheme == pki.PKCS1v15 && a.Hash != r.Hash {
		a.Hash = r.Hash
		return a.Verify(public, asFound, si.Signature)
	}
	return false
}

// signedMembers are the signed attributes in DER, as found.
func (si *SignerInfo) signedMembers() [][]byte {
	var members [][]byte
	for in := reader(si.signedBody); len(in) > 0; {
		v, ok := in.next()
		if !ok {
			break
		}
		members = append(members, v.full)
	}
	return members
}

// checkESS compares the certificate with the ESS signing-certificate attributes (RFC 5035 §5.4): the first reference
// of each must be this certificate. Neither attribute present is no fault here: a profile decides.
func (si *SignerInfo) checkESS(c *x509.Certificate, r *Result) *pki.Reason {
	for _, kind := range []struct {
		oid asn1.ObjectIdentifier
		v2  bool
	}{{oidSigningCertificateV2(), true}, {oidSigningCertificate(), false}} {
		raw, count, values := attribute(si.SignedAttributes, kind.oid)
		if count == 0 {
			continue
		}
		if count > 1 || values != 1 {
			return &pki.Reason{Code: pki.CodeDuplicate, Sub: pki.FormatFailure, Detail: "signing-certificate"}
		}
		hash, want, ok := essReference(raw, kind.v2)
		if !ok {
			return &pki.Reason{Code: pki.CodeMissingAttribute, Sub: pki.FormatFailure, Detail: "signing-certificate"}
		}
		if hash == 0 {
			return &pki.Reason{Code: pki.CodeAlgorithm, Sub: pki.CryptoNoPOE, Detail: "digest of signing-certificate"}
		}
		sum, err := DigestOf(c.Raw)(hash)
		if err != nil || subtle.ConstantTimeCompare(sum, want) != 1 {
			return &pki.Reason{Code: pki.CodeSignerMismatch, Sub: pki.NoSigningCertificate, Detail: c.Subject.String()}
		}
		r.HasESS = true
	}
	return nil
}

// NamesCertificate tells whether a signing-certificate attribute stands among the signed attributes, right or wrong.
func (si *SignerInfo) NamesCertificate() bool {
	_, v1, _ := attribute(si.SignedAttributes, oidSigningCertificate())
	_, v2, _ := attribute(si.SignedAttributes, oidSigningCertificateV2())
	return v1+v2 > 0
}

// essReference reads the first certificate reference of SigningCertificate or SigningCertificateV2.
func essReference(raw []byte, v2 bool) (hash crypto.Hash, digest []byte, ok bool) {
	in := reader(raw)
	for range 3 { // SigningCertificate, certs, ESSCertID
		v, ok := in.want(tagSequence)
		if !ok {
			return 0, nil, false
		}
		in = v.body
	}
	hash = crypto.SHA1
	if v2 {
		hash = crypto.SHA256
		if len(in) > 0 && in[0] == tagSequence {
			oid, _, ok := in.algorithm()
			if !ok {
				return 0, nil, false
			}
			hash = pki.HashByOID(oid)
		}
	}
	v, ok := in.want(tagOctets)
	return hash, v.body, ok
}
