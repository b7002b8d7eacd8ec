package agent

import (
	"bytes"
	"context"
	"crypto"
	"encoding/asn1"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// maxTicket bounds a hub's answer, in bytes.
const maxTicket = 256 << 10

// ticket is what a hub tells of a signing ticket (GET /api/v1/signing-tickets/{ticket}).
type ticket struct {
	Document    string    `json:"document"`
	Code        string    `json:"code"`
	Subject     string    `json:"subject"`
	Step        string    `json:"step"`
	Certificate string    `json:"certificate"`
	Hash        string    `json:"hash"`
	ToSign      []byte    `json:"to_sign"`
	Attributes  []byte    `json:"attributes"`
	Digest      []byte    `json:"digest"`
	Expires     time.Time `json:"expires"`
}

// fetch asks the hub itself what a ticket is for: the page's word is not enough.
func (a *Agent) fetch(ctx context.Context, origin, secret string) (*ticket, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+"/api/v1/signing-tickets/"+secret, nil) //nolint:gosec // the origin is one of those given at start, the ticket is of the characters of base64url
	if err != nil {
		return nil, no(ErrHub, origin, origin) // the error would quote the ticket
	}
	response, err := a.http.Do(request) //nolint:gosec // as above
	if err != nil {
		return nil, no(ErrHub, origin+": "+cause(err), origin+": "+cause(err))
	}
	defer response.Body.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(response.Body, maxTicket+1))
	if err != nil || len(data) > maxTicket {
		return nil, no(ErrHub, "câu trả lời bị cắt ngang hoặc quá dài", "the answer is cut short or too long")
	}
	if response.StatusCode != http.StatusOK {
		var problem struct {
			Detail string `json:"detail"`
		}
		_ = json.Unmarshal(data, &problem) // what is no JSON says nothing more than the status
		said := strings.TrimSpace(response.Status + " " + line(problem.Detail))
		return nil, no(ErrHub, said, said)
	}
	t := new(ticket)
	if err := json.Unmarshal(data, t); err != nil {
		return nil, no(ErrHub, "câu trả lời không phải phiếu ký", "the answer is no ticket")
	}
	t.Document, t.Code, t.Subject, t.Step = line(t.Document), line(t.Code), line(t.Subject), line(t.Step)
	return t, nil
}

// cause is an error of net/http without the address, which holds the ticket.
func cause(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, `": `); i >= 0 {
		return text[i+3:]
	}
	return "no answer"
}

// line keeps a text to one line without control characters: it is shown on a terminal.
func line(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) {
			return ' '
		}
		return c
	}, s)
	if runes := []rune(s); len(runes) > 300 {
		s = string(runes[:300]) + "…"
	}
	return s
}

func (t *ticket) hash() crypto.Hash {
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		if h.String() == t.Hash {
			return h
		}
	}
	return 0
}

// check refuses what the key here cannot or must not sign: another certificate's ticket, an expired one, and attributes
// that are no signed attributes of CMS over the digest that is shown (RFC 5652 §5.3).
func (t *ticket) check(certificate string, now time.Time) error {
	h := t.hash()
	switch {
	case t.Certificate != certificate:
		return no(ErrTicket, "phiếu dành cho chứng thư khác", "it is for another certificate")
	case !now.Before(t.Expires):
		return no(ErrTicket, "phiếu đã hết hạn", "it has expired")
	case h == 0 || len(t.Digest) != h.Size():
		return no(ErrTicket, "thuật toán băm "+line(t.Hash), "digest algorithm "+line(t.Hash))
	}
	named, err := messageDigest(t.Attributes)
	if err != nil {
		return err
	}
	if !bytes.Equal(named, t.Digest) {
		return no(ErrTicket, "thuộc tính ký nêu mã băm khác mã băm được hiện", "its attributes name another digest than the one shown")
	}
	return nil
}

// messageDigest reads the value of the one message-digest attribute; anything but DER attributes is refused, so that
// the key never signs bytes of another kind.
func messageDigest(der []byte) ([]byte, error) {
	type attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
	var list []attribute
	if rest, err := asn1.UnmarshalWithParams(der, &list, "set"); err != nil || len(rest) > 0 || len(list) > 32 {
		return nil, no(ErrTicket, "thuộc tính ký không đọc được", "its attributes cannot be read")
	}
	var found []byte
	content := 0
	for _, a := range list {
		switch {
		case a.Type.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}):
			content++
		case a.Type.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}):
			if found != nil || len(a.Values) != 1 {
				return nil, no(ErrTicket, "thuộc tính ký nêu nhiều mã băm", "its attributes name several digests")
			}
			if rest, err := asn1.Unmarshal(a.Values[0].FullBytes, &found); err != nil || len(rest) > 0 {
				return nil, no(ErrTicket, "mã băm trong thuộc tính ký không đọc được", "its digest cannot be read")
			}
		}
	}
	if found == nil || content != 1 {
		return nil, no(ErrTicket, "thuộc tính ký không nêu mã băm", "its attributes name no digest")
	}
	return found, nil
}
