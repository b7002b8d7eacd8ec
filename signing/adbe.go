package signing

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"

	pdfsign "github.com/digitorus/pdfsign/sign"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"vanthu/signing/cms"
	"vanthu/signing/pdf"
)

// maxForeign is the size in bytes from which our own writer makes the adbe form too: pdfsign holds several copies of the
// file in memory.
const maxForeign = 4 << 20

// signAdobe makes an adbe.pkcs7.detached signature. pdfsign makes it where it does so soundly: it gets a file that
// our reader has read, of which it parses nothing but an extract of ours (see extract), draws our appearance, and
// has its result compared with the original entry by entry. Where it would damage the document or cannot fill a
// field, our own writer makes the same form.
func signAdobe(ctx context.Context, g *growing, f *pdf.File, o SignOptions) error {
	if _, ok := o.Key.Certificate.PublicKey.(ed25519.PublicKey); ok {
		return fmt.Errorf("profile %s with an Ed25519 key is accepted by no other program; use %s: %w", o.Profile, ProfileBB, ErrUnsupported)
	}
	if g.Size() > maxForeign || len(o.Fill) > 0 || o.Certify != 0 || o.Lock != nil {
		return signCMS(ctx, g, f, o, pdf.SubFilterAdobe)
	}
	x, err := newExtract(f, &o)
	var obstacle *obstacleError
	if errors.As(err, &obstacle) {
		return signCMS(ctx, g, f, o, pdf.SubFilterAdobe)
	}
	if err != nil {
		return fmt.Errorf("preparing the signature: %w", err)
	}
	room := 0
	for try := 1; ; try++ {
		signed, err := x.sign(ctx, g, o, room)
		if err != nil {
			return err
		}
		if o.TSA != nil {
			missing, err := addTimestamp(ctx, signed, x.field, o)
			if err != nil {
				return err
			}
			if missing > 0 && try < maxSignTries {
				room += missing + 256
				continue
			}
			if missing > 0 {
				return fmt.Errorf("the time stamp is %d bytes too large: %w", missing, pdf.ErrRoom)
			}
		}
		g.add(bytes.Clone(signed[x.size:]))
		return nil
	}
}

// sign runs pdfsign and checks what it made. room is kept free behind the signature, beside that for a time stamp.
func (x *extract) sign(ctx context.Context, src io.ReaderAt, o SignOptions, room int) ([]byte, error) {
	reader, err := x.reader()
	if err != nil {
		return nil, fmt.Errorf("handing the file to pdfsign: %w", err)
	}
	if o.TSA != nil {
		room += timestampRoom
	}
	data := pdfsign.SignData{
		Signature: pdfsign.SignDataSignature{CertType: pdfsign.ApprovalSignature, Info: pdfsign.SignDataSignatureInfo{
			Name: o.Name, Reason: o.Reason, Location: o.Location, ContactInfo: o.ContactInfo, Date: o.At,
		}},
		Signer: o.Key.Signer, DigestAlgorithm: digestFor(o.Key), Certificate: o.Key.Certificate,
		CertificateChains: [][]*x509.Certificate{o.Key.Certificates()}, Context: ctx,
		// pdfsign's own TSA client checks no answer: ours adds the token afterwards, in room made here.
		PreSignCallback: func(c *pdfsign.SignContext) error {
			c.SignatureMaxLength += uint32(hex.EncodedLen(room))
			return nil
		},
	}
	if x.visible {
		data.Appearance = pdfsign.Appearance{
			Visible: true, Page: 1, LowerLeftX: x.rect[0], LowerLeftY: x.rect[1], UpperRightX: x.rect[2], UpperRightY: x.rect[3],
			Renderer: func(c *pdfsign.SignContext, _ [4]float64) ([]byte, error) { return x.draw(c, o) },
		}
	}
	var out bytes.Buffer
	out.Grow(int(x.size) + 64<<10)
	input := &originalThenTrailer{file: io.NewSectionReader(src, 0, x.size), trailer: x.trailer}
	if err := pdfsign.SignWithData(input, &out, reader, x.size, data); err != nil {
		return nil, fmt.Errorf("signing with pdfsign: %w", err)
	}
	original := make([]byte, min(x.size, int64(out.Len())))
	if _, err := src.ReadAt(original, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	if int64(len(original)) != x.size || !bytes.HasPrefix(out.Bytes(), original) {
		return nil, fmt.Errorf("pdfsign changed the file's own bytes: %w", ErrCheck)
	}
	if err := x.check(out.Bytes()); err != nil {
		return nil, fmt.Errorf("checking what pdfsign made: %w", err)
	}
	return out.Bytes(), nil
}

// draw stores our appearance through pdfsign; the form itself is returned, since pdfsign stores that.
func (x *extract) draw(c *pdfsign.SignContext, o SignOptions) ([]byte, error) {
	var form *pdf.Stream
	var failed error
	w, h := x.geometry.Size(x.rect)
	_, err := o.Appearance.Form(w, h, x.geometry.Rotate, func(obj pdf.Object) pdf.Ref {
		if s, ok := obj.(*pdf.Stream); ok && s.Dict.Name("Subtype") == "Form" {
			form = s
			return pdf.Ref{}
		}
		num, err := c.AddObject(pdf.AppendObject(nil, obj))
		failed = errors.Join(failed, err)
		return pdf.Ref{Num: num}
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	return pdf.AppendObject(nil, form), nil
}

// originalThenTrailer is the file that pdfsign copies; beyond its end, where pdfsign is told to look for the
// trailer, stands ours, in the spelling that pdfsign's text replacement needs.
type originalThenTrailer struct {
	file    *io.SectionReader
	trailer []byte
	rest    io.Reader
}

func (r *originalThenTrailer) Seek(offset int64, whence int) (int64, error) {
	r.rest = nil
	if beyond := offset - r.file.Size() - 1; whence == io.SeekStart && beyond >= 0 {
		r.rest = bytes.NewReader(r.trailer)
		return offset, nil
	}
	return r.file.Seek(offset, whence)
}

func (r *originalThenTrailer) Read(p []byte) (int, error) {
	if r.rest != nil {
		return r.rest.Read(p)
	}
	return r.file.Read(p)
}

// check compares the signed file with the original: one more field with a sound ByteRange, and nothing lost
// from trailer, catalog, form and page.
func (x *extract) check(signed []byte) error {
	f, err := pdf.Open(bytes.NewReader(signed), int64(len(signed)), pdf.DefaultLimits())
	if err != nil {
		return errors.Join(ErrCheck, err)
	}
	s, err := newestSignature(f, x.field)
	if err != nil {
		return err
	}
	if len(s.Problems) > 0 || s.ByteRange[2]+s.ByteRange[3] != int64(len(signed)) {
		return fmt.Errorf("the ByteRange %v is not sound (%v): %w", s.ByteRange, s.Problems, ErrCheck)
	}
	v := f.Latest()
	catalog, _, err := v.Catalog()
	if err != nil {
		return errors.Join(ErrCheck, err)
	}
	if err := sameEntries("the catalog", x.catalog, catalog, "AcroForm"); err != nil {
		return err
	}
	if err := sameEntries("the trailer", x.oldTrailer, v.Trailer(), "Root", "Prev", "Size", "ID", "XRefStm", "Type", "W", "Index",
		"Length", "Filter", "DecodeParms"); err != nil {
		return err
	}
	form, _ := v.Resolve(catalog["AcroForm"])
	formDict, _ := form.(pdf.Dict)
	fields, _ := formDict["Fields"].(pdf.Array)
	if !oneMore(x.fields, fields) {
		return fmt.Errorf("the form's fields %v became %v: %w", x.fields, fields, ErrCheck)
	}
	if !x.visible {
		return nil
	}
	return x.checkPage(v)
}

func (x *extract) checkPage(v *pdf.View) error {
	o, err := v.Get(x.pageRef)
	page, ok := o.(pdf.Dict)
	if err != nil || !ok {
		return errors.Join(fmt.Errorf("the page is gone: %w", ErrCheck), err)
	}
	if err := sameEntries("the page", x.page, page, "Annots"); err != nil {
		return err
	}
	annots, _ := page["Annots"].(pdf.Array)
	if !oneMore(x.annots, annots) {
		return fmt.Errorf("the page's annotations %v became %v: %w", x.annots, annots, ErrCheck)
	}
	return nil
}

// oneMore tells whether after is before with one object appended; both hold references only.
func oneMore(before, after pdf.Array) bool {
	return len(after) == len(before)+1 && slices.Equal(before, after[:len(before)])
}

func sameEntries(what string, before, after pdf.Dict, except ...pdf.Name) error {
	before, after = maps.Clone(before), maps.Clone(after)
	for _, key := range except {
		delete(before, key)
		delete(after, key)
	}
	if !reflect.DeepEqual(before, after) {
		return fmt.Errorf("%s changed from %s to %s: %w", what, pdf.AppendObject(nil, before), pdf.AppendObject(nil, after), ErrCheck)
	}
	return nil
}

func newestSignature(f *pdf.File, field string) (pdf.Field, error) {
	signatures, err := f.Signatures()
	if err != nil {
		return pdf.Field{}, errors.Join(ErrCheck, err)
	}
	if n := len(signatures); n > 0 && signatures[n-1].Name == field {
		return signatures[n-1], nil
	}
	return pdf.Field{}, fmt.Errorf("the signature in field %q cannot be found: %w", field, ErrCheck)
}

// addTimestamp puts a time stamp over the newest signature into its unsigned attributes, in place. It returns how
// many bytes are missing when the room is too small.
func addTimestamp(ctx context.Context, signed []byte, field string, o SignOptions) (missing int, err error) {
	f, err := pdf.Open(bytes.NewReader(signed), int64(len(signed)), pdf.DefaultLimits())
	if err != nil {
		return 0, errors.Join(ErrCheck, err)
	}
	s, err := newestSignature(f, field)
	if err != nil {
		return 0, err
	}
	sd, used, err := cms.ParsePadded(s.Contents, cms.DefaultLimits())
	if err != nil || len(sd.Signers) != 1 {
		return 0, errors.Join(fmt.Errorf("reading the new signature: %w", ErrCheck), err)
	}
	attributes, err := timestamp(ctx, o.TSA, sd.Signers[0].Signature)
	if err != nil {
		return 0, err
	}
	der, err := withUnsigned(s.Contents[:used], attributes[0])
	if err != nil {
		return 0, err
	}
	if missing = len(der) - len(s.Contents); missing > 0 {
		return missing, nil
	}
	hex.Encode(signed[s.ContentsStart+1:s.ContentsEnd-1], der)
	return 0, nil
}

// withUnsigned adds the first unsigned attribute to a SignedData in DER with one signer that has none:
// unsignedAttrs is the last element of SignerInfo, signerInfos that of SignedData (RFC 5652 §5.1, §5.3).
func withUnsigned(der []byte, a cms.Attribute) ([]byte, error) {
	malformed := fmt.Errorf("adding the time stamp: %w", cms.ErrMalformed)
	input := cryptobyte.String(der)
	var contentInfo, contentType, explicit, signedData, infos, info cryptobyte.String
	explicitTag := asn1.Tag(0).ContextSpecific().Constructed()
	if !input.ReadASN1(&contentInfo, asn1.SEQUENCE) || !contentInfo.ReadASN1Element(&contentType, asn1.OBJECT_IDENTIFIER) ||
		!contentInfo.ReadASN1(&explicit, explicitTag) || !explicit.ReadASN1(&signedData, asn1.SEQUENCE) {
		return nil, malformed
	}
	var before []byte // version, digestAlgorithms, encapContentInfo, certificates, crls
	for !signedData.Empty() {
		var element cryptobyte.String
		var tag asn1.Tag
		if !signedData.ReadAnyASN1Element(&element, &tag) {
			return nil, malformed
		}
		if signedData.Empty() {
			if !element.ReadASN1(&infos, asn1.SET) || !infos.ReadASN1(&info, asn1.SEQUENCE) || !infos.Empty() {
				return nil, malformed
			}
			break
		}
		before = append(before, element...)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(contentType)
		b.AddASN1(explicitTag, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(before)
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddBytes(info)
						b.AddASN1(asn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { addAttribute(b, a) })
					})
				})
			})
		})
	})
	return b.Bytes()
}

func addAttribute(b *cryptobyte.Builder, a cms.Attribute) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(a.Type)
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
			for _, v := range a.Values {
				b.AddBytes(v)
			}
		})
	})
}
