package axis

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"vanthu/exchange/edxml"
)

// Client calls an axis as the software of an agency does. It is safe for concurrent use: nothing of one call is kept for
// the next.
type Client struct {
	URL    string // what stands before /sendEdoc
	System string
	Secret []byte
	HTTP   *http.Client
	Now    func() time.Time
	Most   int64 // bytes of one packet
}

// param is one parameter of a call; the order is the order in which they are signed.
type param struct{ name, value string }

const (
	clientVersion = "3.0.201608"
	clientAgent   = "JAVASDKAgent/1.0.0 XRoad/VPCP" // axes are known to look at it
	callTimeout   = 5 * time.Minute
)

// request makes a signed call. The signature is over the very text that travels; names keep their case, which HTTP
// ignores and some servers do not.
func (c *Client) request(ctx context.Context, op string, body io.Reader, size int64, contentType string, params []param) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/"+op, body)
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", op, err)
	}
	r.ContentLength = size
	all := append([]param{{"systemid", c.System}}, params...)
	all = append(all, param{"timestamp", formatStamp(c.Now())}, param{"Content-Type", contentType})
	var signed strings.Builder
	names := make([]string, len(all))
	for i, p := range all {
		if strings.ContainsFunc(p.value, func(c rune) bool { return c < ' ' || c > '~' }) {
			return nil, fmt.Errorf("calling %s: the parameter %s is not plain ASCII", op, p.name)
		}
		names[i] = p.name
		r.Header[headerPrefix+p.name] = []string{p.value}
		if i > 0 {
			signed.WriteByte(',')
		}
		fmt.Fprintf(&signed, "%s:%s", quote(headerPrefix+p.name), quote(p.value))
	}
	text := "{" + signed.String() + "}"
	mac := hmac.New(sha256.New, c.Secret)
	mac.Write([]byte(text))
	r.Header[headerPrefix+"sign-header-key"] = []string{strings.Join(names, ";")}
	r.Header[headerPrefix+"sign-header"] = []string{text}
	r.Header[headerPrefix+"hash-header"] = []string{hex.EncodeToString(mac.Sum(nil))}
	r.Header[headerPrefix+"version"] = []string{clientVersion}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", clientAgent)
	return r, nil
}

// quote writes a JSON text without the escapes for HTML, as other clients do.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("cannot happen: a text does not encode: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// answered is what every answer has.
type answered struct {
	Status string          `json:"status"`
	Code   Code            `json:"ErrorCode"`
	Reason string          `json:"ErrorDesc"`
	DocID  string          `json:"DocId"`
	Data   json.RawMessage `json:"data"`
}

// call makes a call and gives its answer; an answer other than OK is a *Fault.
func (c *Client) call(ctx context.Context, op string, body io.Reader, size int64, contentType string, params ...param) (*answered, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.request(ctx, op, body, size, contentType, params)
	if err != nil {
		return nil, err
	}
	res, err := c.HTTP.Do(r)
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", op, err)
	}
	most := c.Most/3*4 + 8<<20
	data, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, fmt.Errorf("reading the answer to %s: %w", op, err)
	}
	var a answered
	if res.StatusCode != http.StatusOK || int64(len(data)) > most || json.Unmarshal(data, &a) != nil || a.Status == "" {
		return nil, fmt.Errorf("the answer to %s is not one of an axis (HTTP status %d, %d bytes)", op, res.StatusCode, len(data))
	}
	if a.Status != "OK" {
		return nil, &Fault{Code: a.Code, Reason: clip(a.Reason, 300)}
	}
	return &a, nil
}

const (
	plainJSON   = "application/json"
	octetStream = "application/octet-stream"
)

// Send sends a packet of size bytes for an agency and gives the id that the axis gives it. hash is the SHA-256 of the
// packet; behind it goes a line end that the hash does not count, as the national client writes it.
func (c *Client) Send(ctx context.Context, from string, kind edxml.Kind, packet io.Reader, size int64, hash []byte) (docID string, err error) {
	a, err := c.call(ctx, "sendEdoc", io.MultiReader(packet, strings.NewReader("\r\n")), size+2, octetStream,
		param{"servicetype", "eDoc"}, param{"messagetype", string(kind)}, param{"hash-file", shortHex(hash)}, param{"from", from})
	if err != nil {
		return "", err
	}
	if a.DocID == "" {
		return "", errors.New("the axis took the packet and gave no DocId")
	}
	return a.DocID, nil
}

// Listed is a packet that waits at the axis.
type Listed struct {
	DocID  string `json:"docId"`
	Kind   string `json:"messageType"`
	From   string `json:"from"`
	To     string `json:"to"`
	Status string `json:"status"`
}

// Received lists the packets of a kind that wait for the agencies of this system.
func (c *Client) Received(ctx context.Context, kind edxml.Kind) (list []Listed, err error) {
	a, err := c.call(ctx, "getReceivedEdocList", http.NoBody, 0, plainJSON, param{"servicetype", "eDoc"}, param{"messagetype", string(kind)})
	if err != nil {
		return nil, err
	}
	return list, c.list(a, &list)
}

// list reads a list; an axis that has nothing to tell says so by an empty text.
func (c *Client) list(a *answered, into any) error {
	if text := string(a.Data); text == "" || text == `""` || text == "null" {
		return nil
	}
	if err := json.Unmarshal(a.Data, into); err != nil {
		return fmt.Errorf("the list of the axis: %w", err)
	}
	return nil
}

// SentState is what the axis says of a packet that was sent, at one recipient.
type SentState struct {
	SenderDocID string `json:"senderDocId"`
	To          string `json:"toCode"`
	Status      string `json:"receiveStatus"`
	Said        string `json:"receiveStatusDesc"`
}

// Sent tells where a packet stands at its recipients.
func (c *Client) Sent(ctx context.Context, docID string) (list []SentState, err error) {
	a, err := c.call(ctx, "getSentEdocList", http.NoBody, 0, plainJSON, param{"servicetype", "eDoc"}, param{"messagetype", string(edxml.KindDocument)}, param{"docId", docID})
	if err != nil {
		return nil, err
	}
	return list, c.list(a, &list)
}

// Fetch gives the bytes of a packet.
func (c *Client) Fetch(ctx context.Context, docID string) ([]byte, error) {
	a, err := c.call(ctx, "getEdoc", strings.NewReader("{}"), 2, plainJSON, param{"docId", docID}, param{"filePath", "packet.edxml"})
	if err != nil {
		return nil, err
	}
	var text string
	if err := json.Unmarshal(a.Data, &text); err != nil {
		return nil, fmt.Errorf("packet %.60q: %w", docID, err)
	}
	data, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(text))
	if err != nil {
		return nil, fmt.Errorf("packet %.60q: %w", docID, err)
	}
	return data, nil
}

// UpdateStatus says how far this side is with a packet: processing, done, fail.
func (c *Client) UpdateStatus(ctx context.Context, docID, status string) error {
	_, err := c.call(ctx, "updateStatus", strings.NewReader("{}"), 2, plainJSON, param{"docId", docID}, param{"status", status})
	return err
}

// Listing is an agency in the axis' list.
type Listing struct {
	ID   string `json:"id"`
	PID  string `json:"pid"` // of the one above it
	Code string `json:"code"`
	Name string `json:"name"`
	Mail string `json:"mail"`
}

// Agencies gives the agencies that are reached at the axis.
func (c *Client) Agencies(ctx context.Context) (list []Listing, err error) {
	a, err := c.call(ctx, "getAgenciesList", http.NoBody, 0, plainJSON)
	if err != nil {
		return nil, err
	}
	return list, c.list(a, &list)
}
