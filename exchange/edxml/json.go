package edxml

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

type jsonDocument struct {
	Kind        Kind              `json:"kind"`
	SHA256      string            `json:"packetSha256"`
	SDKHash     string            `json:"sdkHashCode"`
	Header      *MessageHeader    `json:"MessageHeader"`
	Business    *Business         `json:"Bussiness"` //nolint:misspell // the key of the contract
	Trace       []TraceHeader     `json:"TraceHeaders"`
	Attachments []*Attachment     `json:"Attachments"`
	Contents    map[string]string `json:"Contents,omitempty"` // SHA-256 to Base64: what encode needs
}

type jsonStatus struct {
	Kind        Kind        `json:"kind"`
	SHA256      string      `json:"packetSha256"`
	SDKHash     string      `json:"sdkHashCode"`
	ResponseFor ResponseFor `json:"ResponseFor"`
	From        Organ       `json:"From"`
	Code        Text        `json:"StatusCode"`
	Description Text        `json:"Description"`
	Timestamp   Text        `json:"Timestamp"`
	Staff       *Staff      `json:"StaffInfo"`
}

// WriteJSON writes the packet as one JSON object, the keys being those of the national library's reading of it. With
// contents, the files stand beside it in Contents (SHA-256 to Base64), so that ReadJSON can make the packet again.
func (p *Packet) WriteJSON(w io.Writer, contents bool) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if p.Kind == KindStatus {
		s := p.Status
		return encoder.Encode(jsonStatus{Kind: p.Kind, SHA256: p.SHA256, SDKHash: p.SHA256, ResponseFor: s.ResponseFor, From: s.From,
			Code: s.Code, Description: s.Description, Timestamp: s.Timestamp, Staff: s.Staff})
	}
	d := jsonDocument{Kind: p.Kind, SHA256: p.SHA256, SDKHash: p.SHA256, Header: p.Header, Business: p.Business,
		Trace: append([]TraceHeader{}, p.Trace...), Attachments: append([]*Attachment{}, p.Attachments...)}
	if contents && len(p.Attachments) > 0 {
		d.Contents = map[string]string{}
		for _, a := range p.Attachments {
			data, err := a.read()
			if err != nil {
				return err
			}
			d.Contents[a.SHA256] = base64.StdEncoding.EncodeToString(data)
		}
	}
	return encoder.Encode(d)
}

func (a *Attachment) read() ([]byte, error) {
	r, err := a.Open()
	if err != nil {
		return nil, fmt.Errorf("opening attachment %s: %w", a.Name, err)
	}
	data, err := io.ReadAll(r)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("reading attachment %s: %w", a.Name, err)
	}
	return data, nil
}

// ReadJSON makes a packet from what WriteJSON wrote. The content of every attachment must be in Contents and match its
// digest. Errors are *Refusal.
func ReadJSON(data []byte) (*Packet, error) {
	var kind struct {
		Kind Kind `json:"kind"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return nil, refuse(Malformed, "", "not JSON: %v", err)
	}
	p := &Packet{Kind: kind.Kind}
	switch kind.Kind {
	case KindStatus:
		var s jsonStatus
		if err := json.Unmarshal(data, &s); err != nil {
			return nil, refuse(Malformed, "", "%v", err)
		}
		p.Status = &Status{ResponseFor: s.ResponseFor, From: s.From, Code: s.Code, Description: s.Description, Timestamp: s.Timestamp, Staff: s.Staff}
	case KindDocument:
		d := jsonDocument{}
		if err := json.Unmarshal(data, &d); err != nil {
			return nil, refuse(Malformed, "", "%v", err)
		}
		p.Header, p.Business, p.Trace, p.Attachments = d.Header, d.Business, d.Trace, d.Attachments
		if p.Header == nil {
			return nil, refuse(Missing, "MessageHeader", "is missing")
		}
		if err := p.attach(d.Contents); err != nil {
			return nil, err
		}
	default:
		return nil, refuse(Malformed, "kind", "is %q, neither %q nor %q", kind.Kind, KindDocument, KindStatus)
	}
	return p, nil
}

func (p *Packet) attach(contents map[string]string) error {
	if slices.Contains(p.Attachments, nil) {
		return refuse(Malformed, "Attachments", "has an empty entry")
	}
	for _, a := range p.Attachments {
		encoded, ok := contents[a.SHA256]
		if !ok {
			return refuse(Missing, "Contents", "has no content of attachment %q (sha256 %s)", a.Name, a.SHA256)
		}
		data, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return refuse(BadBase64, "Contents", "attachment %q: %v", a.Name, err)
		}
		sum := sha256.Sum256(data)
		if hex.EncodeToString(sum[:]) != a.SHA256 || int64(len(data)) != a.Size {
			return refuse(Malformed, "Contents", "attachment %q: the content is not what its digest and size say", a.Name)
		}
		a.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	}
	return nil
}
