package edxml

import (
	"errors"
	"fmt"
)

// Reason is why a packet is refused.
type Reason string

// The reasons. Each is one class of what a reader of foreign packets meets.
const (
	Malformed    Reason = "malformed"     // not well-formed XML, or text where none may be
	Doctype      Reason = "doctype"       // a DOCTYPE, whatever it declares
	WrongRoot    Reason = "namespace"     // not an edXML packet of QCVN 102:2016
	TooLarge     Reason = "too-large"     // a limit of size, count or depth
	Duplicate    Reason = "duplicate"     // an element twice where one decides
	Missing      Reason = "missing"       // an element without which the packet means nothing
	BadValue     Reason = "bad-value"     // a value of the wrong type or form
	BadBase64    Reason = "base64"        // an attachment that is no Base64
	BadZip       Reason = "zip"           // an attachment said to be zipped that is no sound zip
	UnsafeName   Reason = "unsafe-name"   // a file name with a path in it
	HiddenMarkup Reason = "hidden-markup" // a comment or instruction inside a value
)

// Refusal is the error of a packet that is not taken: what is wrong and where. The packet's sender must mend it;
// sending it again unchanged ends the same way.
type Refusal struct {
	Reason Reason
	Where  string // element or attachment, may be empty
	Detail string
}

// Error says where and what.
func (r *Refusal) Error() string {
	if r.Where == "" {
		return fmt.Sprintf("edXML packet refused (%s): %s", r.Reason, r.Detail)
	}
	return fmt.Sprintf("edXML packet refused (%s): %s %s", r.Reason, r.Where, r.Detail)
}

func refuse(reason Reason, where, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Where: where, Detail: fmt.Sprintf(format, args...)}
}

// AsRefusal gives the refusal in an error, nil when the error is of another kind (input or output).
func AsRefusal(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return nil
}
