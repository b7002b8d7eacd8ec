package axis

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// headerPrefix stands before every parameter of a call.
const headerPrefix = "XroadVnpt-"

// Code is an error code of the axis as provinces document it.
type Code string

// The error codes that the server gives.
const (
	CodeOK               Code = "0"
	CodeNotFound         Code = "1"
	CodeBadFile          Code = "10"
	CodeUnknownSystem    Code = "15" // wrong system id or secret
	CodeUnknownRecipient Code = "18"
	CodeUnknownSender    Code = "19" // the sender is not this system's
	CodeInternal         Code = "20"
	CodeBadPacket        Code = "22" // not an edXML packet of the standard
	CodeRecipientLocked  Code = "23"
)

// Fault is an answer other than OK.
type Fault struct {
	Code   Code
	Reason string
}

// Error says the code and the reason.
func (f *Fault) Error() string { return fmt.Sprintf("axis error %s: %s", f.Code, f.Reason) }

func fault(code Code, format string, args ...any) *Fault {
	return &Fault{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// call is what a request says under its signature. Parameters are known by lower-case name: clients spell docId in
// several ways.
type call struct {
	system string
	at     time.Time
	params map[string]string
}

// vietnam is the time of the time stamps, which name no zone.
func vietnam() *time.Location { return time.FixedZone("+07", 7*3600) }

// maxSigned bounds the signed headers of a call.
const maxSigned = 64 << 10

// readCall checks the signature over the very string that came and that each signed parameter stands in its header.
// Headers that are not signed are ignored.
func readCall(h http.Header, secretOf func(system string) ([]byte, error)) (*call, error) {
	signed := h.Get(headerPrefix + "sign-header")
	if signed == "" || len(signed) > maxSigned {
		return nil, fault(CodeUnknownSystem, "XroadVnpt-sign-header is missing or too long")
	}
	var values map[string]string
	if err := json.Unmarshal([]byte(signed), &values); err != nil {
		return nil, fault(CodeUnknownSystem, "XroadVnpt-sign-header is not a JSON object of texts")
	}
	c := &call{params: make(map[string]string, len(values))}
	for name, value := range values {
		if !strings.HasPrefix(strings.ToLower(name), strings.ToLower(headerPrefix)) {
			return nil, fault(CodeUnknownSystem, "the signed header %.60q is none of the axis", name)
		}
		if sent := h.Values(name); len(sent) != 1 || sent[0] != value {
			return nil, fault(CodeUnknownSystem, "the header %.60q is not what was signed", name)
		}
		c.params[strings.ToLower(name[len(headerPrefix):])] = value
	}
	c.system = c.params["systemid"]
	secret, err := secretOf(c.system)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	given, err := hex.DecodeString(h.Get(headerPrefix + "hash-header"))
	if err != nil || len(secret) == 0 || !hmac.Equal(given, mac.Sum(nil)) {
		return nil, fault(CodeUnknownSystem, "system id or secret is wrong")
	}
	if c.at, err = parseStamp(c.params["timestamp"]); err != nil {
		return nil, fault(CodeUnknownSystem, "the time stamp %.40q is not ddMMyyyy'T'HHmmss+SSSS", c.params["timestamp"])
	}
	return c, nil
}

// parseStamp reads ddMMyyyy'T'HHmmss+SSSS: time in Vietnam, milliseconds after the plus, which is no zone.
func parseStamp(s string) (time.Time, error) {
	base, millis, _ := strings.Cut(s, "+")
	t, err := time.ParseInLocation("02012006T150405", base, vietnam())
	if err != nil || millis == "" {
		return t, err
	}
	ms, err := strconv.ParseUint(millis, 10, 16)
	return t.Add(time.Duration(ms) * time.Millisecond), err
}

func formatStamp(t time.Time) string {
	t = t.In(vietnam())
	return t.Format("02012006T150405") + fmt.Sprintf("+%04d", t.Nanosecond()/1e6)
}

// The forms in which a client's hash of a file matched ours.
const (
	hashedShort  = "short"  // hex without leading zeros of bytes, as the national client writes it
	hashedPadded = "padded" // plain hex
	hashedNone   = "none"   // the client gave no hash
)

// shortHex writes each byte in hex without a leading zero.
func shortHex(sum []byte) string {
	var b strings.Builder
	for _, c := range sum {
		b.WriteString(strconv.FormatUint(uint64(c), 16))
	}
	return b.String()
}

// matchHash tells in which form a given hash is that of sum, "" when in none. Both forms are one for files whose digest
// has no byte below 0x10.
func matchHash(given string, sum []byte) string {
	switch given = strings.ToLower(strings.TrimSpace(given)); given {
	case "":
		return hashedNone
	case hex.EncodeToString(sum):
		return hashedPadded
	case shortHex(sum):
		return hashedShort
	}
	return ""
}
