package peer

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing/cms"
	"vanthu/storage/blob"
)

// card is what was lately learnt of an agency of another hub.
type card struct {
	Capability
	certificate *x509.Certificate
	until       time.Time
}

// cardOf asks the hub of an agency what it takes, at most every few minutes.
func (p *Peers) cardOf(ctx context.Context, h *Hub, code registry.AgencyID, fresh bool) (*card, error) {
	now := p.now()
	p.mu.Lock()
	c, ok := p.cards[code]
	p.mu.Unlock()
	if ok && !fresh && now.Before(c.until) && c.Hub == h.ID {
		return &c, nil
	}
	c = card{until: now.Add(cardKept)}
	if err := p.get(ctx, h, prefix+"/agencies/"+string(code)+"/capability", typeCapability, &c.Capability); err != nil {
		return nil, err
	}
	der, err := base64.StdEncoding.DecodeString(c.Certificate)
	if err == nil {
		c.certificate, err = x509.ParseCertificate(der)
	}
	if err != nil {
		return nil, fmt.Errorf("the certificate of %s: %w", code, err)
	}
	if c.Hub != h.ID || c.At.Sub(now).Abs() > maxSkew {
		return nil, fmt.Errorf("%w: what hub %s says of %s is of %s", errSignature, h.ID, code, c.At)
	}
	p.mu.Lock()
	p.cards[code] = c
	p.mu.Unlock()
	return &c, nil
}

// CarryDocument brings a document to the hub of its recipient and takes the recipient's receipt back. It may be called
// again at any time: consignment, key and encrypted bytes are the same each time, so that an upload goes on where it
// stopped.
func (p *Peers) CarryDocument(ctx context.Context, c exchange.Consignment) error {
	h, err := p.hubOf(ctx, c.Envelope.To)
	if err != nil {
		return err
	}
	err = p.carry(ctx, h, c, false)
	var said *refusal
	if errors.As(err, &said) && (said.Code == codePartMissing || said.Code == codeKey || said.Code == codeDigest) {
		err = p.carry(ctx, h, c, true) // once more, with everything anew
	}
	if err != nil {
		return asTold(h, err)
	}
	return nil
}

func (p *Peers) carry(ctx context.Context, h *Hub, c exchange.Consignment, fresh bool) error {
	e := &c.Envelope
	card, err := p.cardOf(ctx, h, e.To, fresh)
	if err != nil {
		return err
	}
	if err := card.takes(e); err != nil {
		return err
	}
	key, err := hkdf.Key(sha256.New, p.cfg.Key, []byte(c.Delivery), strings.Join([]string{"hx content", string(e.Digest), registry.Fingerprint(card.certificate)}, "\n"), contentKey)
	if err != nil {
		return fmt.Errorf("the key of the content: %w", err)
	}
	digest, err := p.upload(ctx, h, e, key)
	if err != nil {
		return err
	}
	wrapped, err := cms.Envelop(key, card.certificate)
	if err != nil {
		return registry.NewError(exchange.KindUnavailable, "Không mã hóa được cho nơi nhận.", "The content cannot be encrypted for the recipient.").Because(err)
	}
	s, err := p.own(ctx)
	if err != nil {
		return err
	}
	seals, err := p.seals(ctx, e.From)
	if err != nil {
		return err
	}
	signed, err := p.sign(ctx, typeConsignment, Consignment{V: 1, ID: string(c.Delivery), Hub: s.id, To: h.ID, At: p.now(), Envelope: *e, Certificates: seals,
		Parts: []Part{{Digest: string(digest), Size: sealedSize(e.Size), Key: base64.StdEncoding.EncodeToString(wrapped)}}}, false)
	if err != nil {
		return err
	}
	got, err := p.call(ctx, h, http.MethodPut, prefix+"/consignments/"+string(c.Delivery), signed, nil)
	if err != nil {
		return err
	}
	var answer Answer
	if err := p.read(h, got.data, typeAnswer, &answer); err != nil {
		return err
	}
	if answer.ID != string(c.Delivery) || answer.Hub != h.ID {
		return fmt.Errorf("%w: the answer is about consignment %.60q", errSignature, answer.ID)
	}
	if c.Taken != nil {
		if err := c.Taken(ctx); err != nil {
			return err
		}
	}
	return p.takeReceipt(ctx, h, answer.Receipt)
}

// takes refuses before anything is sent what the recipient does not take.
func (c *card) takes(e *exchange.Envelope) error {
	a := registry.Agency{Accepts: c.Types}
	switch {
	case !a.Takes(e.Type):
		return registry.NewError(exchange.KindInvalid, fmt.Sprintf("%s không nhận loại văn bản %s qua kênh này.", c.Name, e.Type), fmt.Sprintf("%s does not take documents of the type %s by this channel.", c.Name, e.Type))
	case c.MaxSize > 0 && e.Size > c.MaxSize:
		return registry.NewError(exchange.KindTooLarge, fmt.Sprintf("%s chỉ nhận tệp tới %d byte.", c.Name, c.MaxSize), fmt.Sprintf("%s takes files of at most %d bytes.", c.Name, c.MaxSize))
	}
	return nil
}

// upload brings the encrypted content to the other hub and gives its digest. Small content goes in one request; large
// content is encrypted twice, once to learn the digest and once to send it, so that nothing is held or written.
func (p *Peers) upload(ctx context.Context, h *Hub, e *exchange.Envelope, key []byte) (blob.Digest, error) {
	chunk := p.cfg.Chunk
	if h.chunk > 0 {
		chunk = min(chunk, h.chunk)
	}
	total := sealedSize(e.Size)
	if total <= chunk {
		var b bytes.Buffer
		b.Grow(int(total))
		if err := p.sealed(ctx, e, key, 0, func(r io.Reader) error { _, err := b.ReadFrom(r); return err }); err != nil {
			return "", err
		}
		d := blob.Sum(b.Bytes())
		_, err := p.call(ctx, h, http.MethodPut, prefix+"/parts/"+string(d), b.Bytes(), nil)
		return d, p.onwards(err)
	}
	hash := sha256.New()
	if err := p.sealed(ctx, e, key, 0, func(r io.Reader) error { _, err := io.Copy(hash, r); return err }); err != nil {
		return "", err
	}
	d := blob.Digest(hex.EncodeToString(hash.Sum(nil)))
	got, err := p.call(ctx, h, http.MethodGet, prefix+"/parts/"+string(d), nil, nil)
	if err != nil {
		return "", err
	}
	if got.status == http.StatusOK {
		return d, nil
	}
	offset, err := strconv.ParseInt(got.header.Get(headerOffset), 10, 64)
	if err != nil || offset < 0 || offset > total {
		return "", fmt.Errorf("the hub %s has %.30q bytes of a part of %d", h.ID, got.header.Get(headerOffset), total)
	}
	for range 3 { // the other hub may have more or less of it than it said
		var said *refusal
		if err = p.uploadFrom(ctx, h, e, key, d, offset, chunk); !errors.As(err, &said) || said.Code != codeOffset || said.Offset > total {
			break
		}
		offset = said.Offset
	}
	return d, err
}

// onwards lets an upload count as done that the other hub says it has in another state: the consignment will tell.
func (p *Peers) onwards(err error) error {
	var said *refusal
	if errors.As(err, &said) && said.Code == codeBusy {
		return nil
	}
	return err
}

// sealed hands the encrypted content to use, from segment first on.
func (p *Peers) sealed(ctx context.Context, e *exchange.Envelope, key []byte, first int64, use func(io.Reader) error) error {
	file, size, err := p.cfg.Blobs.Open(ctx, e.Digest)
	if err != nil {
		return fmt.Errorf("opening the document: %w", err)
	}
	err = func() error {
		if size != e.Size {
			return fmt.Errorf("the document has %d bytes, its envelope says %d: %w", size, e.Size, blob.ErrCorrupt)
		}
		if _, err := io.CopyN(io.Discard, file, first*segmentSize); err != nil {
			return fmt.Errorf("reading the document: %w", err)
		}
		r, err := sealing(key, file, uint64(first))
		if err != nil {
			return err
		}
		return use(r)
	}()
	return errors.Join(err, file.Close())
}

// uploadFrom sends the rest of a part in pieces.
func (p *Peers) uploadFrom(ctx context.Context, h *Hub, e *exchange.Envelope, key []byte, d blob.Digest, offset, chunk int64) error {
	const whole = segmentSize + segmentTag
	total := sealedSize(e.Size)
	first := min(offset, total-1) / whole
	return p.sealed(ctx, e, key, first, func(r io.Reader) error {
		if _, err := io.CopyN(io.Discard, r, offset-first*whole); err != nil {
			return fmt.Errorf("reading the document: %w", err)
		}
		buffer := make([]byte, min(chunk, total-offset))
		for offset < total {
			piece := buffer[:min(int64(len(buffer)), total-offset)]
			if _, err := io.ReadFull(r, piece); err != nil {
				return fmt.Errorf("reading the document: %w", err)
			}
			last := offset + int64(len(piece)) - 1
			header := map[string]string{headerRange: fmt.Sprintf("bytes %d-%d/%d", offset, last, total)}
			if _, err := p.call(ctx, h, http.MethodPut, prefix+"/parts/"+string(d), piece, header); err != nil {
				return err
			}
			offset = last + 1
		}
		return nil
	})
}
