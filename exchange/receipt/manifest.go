package receipt

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// manifest writes an ASiCManifest (ETSI EN 319 162-1 annex A.4) over members: for a signature, or for the archive time
// stamp. Names are plain ASCII and need no escapes; a bundle has exactly this text.
func manifest(reference, referenceType string, members []member) []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	b.WriteString(`<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">` + "\n")
	b.WriteString(`<asic:SigReference URI="` + reference + `" MimeType="` + referenceType + `"/>` + "\n")
	for _, m := range members {
		sum := sha256.Sum256(m.data)
		b.WriteString(`<asic:DataObjectReference URI="` + m.name + `" MimeType="` + typeOf(m.name) + `"><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>` +
			base64.StdEncoding.EncodeToString(sum[:]) + `</ds:DigestValue></asic:DataObjectReference>` + "\n")
	}
	b.WriteString("</asic:ASiCManifest>\n")
	return []byte(b.String())
}

const (
	signatureType = "application/pkcs7-signature"
	tokenType     = "application/vnd.etsi.timestamp-token"
)

func typeOf(name string) string {
	_, ext, _ := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ".")
	switch ext {
	case "json":
		return "application/json"
	case "html":
		return "text/html"
	case "pdf":
		return "application/pdf"
	case "p7s":
		return signatureType
	case "tst":
		return tokenType
	case "cer":
		return "application/pkix-cert"
	case "crl":
		return "application/pkix-crl"
	case "ocsp":
		return "application/ocsp-response"
	case "xml":
		return "text/xml"
	}
	return "text/plain"
}

// signedMembers are those that the bundle's signature covers: all but the type and META-INF.
func signedMembers(members []member) []member {
	var out []member
	for _, m := range members {
		if m.name != memberType && !strings.HasPrefix(m.name, "META-INF/") {
			out = append(out, m)
		}
	}
	return out
}

// archivedMembers are those that the archive time stamp covers: the signed ones, the manifest and the signature.
func archivedMembers(members []member) []member {
	var out []member
	for _, m := range members {
		if m.name != memberType && m.name != memberArchive && m.name != memberTimestamp {
			out = append(out, m)
		}
	}
	return out
}
