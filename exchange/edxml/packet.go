package edxml

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// Namespace of every element of a packet (QCVN 102:2016/BTTTT).
const Namespace = "http://www.mic.gov.vn/TBT/QCVN_102_2016"

// businessElement is spelt so in the regulation's schema.
const businessElement = "Bussiness" //nolint:misspell // the wire's own spelling

// Kind says which of the two kinds of packet one is.
type Kind string

// The kinds of packet, as the transport calls them (messagetype).
const (
	KindDocument Kind = "edoc"   // văn bản điện tử
	KindStatus   Kind = "status" // trạng thái xử lý
)

// Business types of a document packet (loại nghiệp vụ): Business.DocType.
const (
	BusinessNew     Text = "0" // văn bản mới
	BusinessRecall  Text = "1" // thu hồi
	BusinessUpdate  Text = "2" // cập nhật
	BusinessReplace Text = "3" // thay thế
)

// Text is a text of the packet in NFC without blanks around it; "" stands for an element that is absent or empty, and
// is null in JSON.
type Text string

// MarshalJSON writes "" as null.
func (t Text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(t))
}

// Packet is one edXML packet (gói tin). Close it: attachments may stand in a temporary file.
type Packet struct {
	Kind        Kind
	SHA256      string // of the packet's bytes, lower-case hex; set by Decode
	Size        int64  // of the packet's bytes; set by Decode
	Header      *MessageHeader
	Business    *Business
	Trace       []TraceHeader
	Attachments []*Attachment
	Status      *Status
	Signed      bool // the header bears a Signature element; its legal weight is none, the signatures that count are in the files
	spools      []*os.File
}

// Close removes the temporary files of the attachments.
func (p *Packet) Close() error {
	var first error
	for _, f := range p.spools {
		name := f.Name()
		if err := f.Close(); err != nil && first == nil {
			first = err
		}
		if err := os.Remove(name); err != nil && first == nil {
			first = err
		}
	}
	p.spools = nil
	if first != nil {
		return fmt.Errorf("removing the packet's temporary files: %w", first)
	}
	return nil
}

// Organ is a sender or a recipient (cơ quan, tổ chức).
type Organ struct {
	ID        Text `json:"OrganId"`
	InCharge  Text `json:"OrganizationInCharge"` // the parent's code, or in some systems its name
	Name      Text `json:"OrganName"`
	Address   Text `json:"OrganAdd"`
	Email     Text `json:"Email"`
	Telephone Text `json:"Telephone"`
	Fax       Text `json:"Fax"`
	Website   Text `json:"Website"`
}

// Code is number and symbol of a document (số và ký hiệu). The number is text: documents of law carry the year in it.
type Code struct {
	Number   Text `json:"CodeNumber"`
	Notation Text `json:"CodeNotation"`
}

// Promulgation says where and when a document was issued (địa danh, ngày ban hành). Date is yyyy/MM/dd in Vietnam.
type Promulgation struct {
	Place Text `json:"Place"`
	Date  Text `json:"PromulgationDate"`
}

// DocumentType is the type of a document (loại văn bản): Type 1 of law, 2 administrative; Detail -1 = not said.
type DocumentType struct {
	Type   int  `json:"Type"`
	Detail int  `json:"TypeDetail"`
	Name   Text `json:"TypeName"`
}

// Signer says who signed (người ký): capacity (quyền hạn: TM., KT., TL.…), position, name.
type Signer struct {
	Competence Text `json:"Competence"`
	Position   Text `json:"Position"`
	FullName   Text `json:"FullName"`
}

// OtherInfo holds urgency (0–4), circulation, drafter's mark, copies, pages and annexes of a document.
type OtherInfo struct {
	Priority       int    `json:"Priority"`
	Sphere         Text   `json:"SphereOfPromulgation"`
	TyperNotation  Text   `json:"TyperNotation"`
	Amount         int    `json:"PromulgationAmount"`
	Pages          int    `json:"PageAmount"`
	Direction      bool   `json:"Direction"`
	ReplyFors      Text   `json:"ReplyFors,omitempty"`
	ReferenceCodes Text   `json:"ReferenceCodes,omitempty"`
	Appendixes     []Text `json:"Appendixes,omitempty"`
}

// ResponseFor names the document that this one answers (văn bản được phản hồi). Code is number and symbol in one.
type ResponseFor struct {
	OrganID    Text `json:"OrganId"`
	Code       Text `json:"Code"`
	DocumentID Text `json:"DocumentId"`
	Date       Text `json:"PromulgationDate"`
}

// MessageHeader describes a document (thông tin văn bản).
type MessageHeader struct {
	From            Organ         `json:"From"`
	Code            Code          `json:"Code"`
	Promulgation    Promulgation  `json:"PromulgationInfo"`
	DocumentID      Text          `json:"DocumentId"` // mã định danh văn bản, opaque
	SteeringType    int           `json:"SteeringType"`
	To              []Organ       `json:"To"`
	Type            DocumentType  `json:"DocumentType"`
	Subject         Text          `json:"Subject"` // trích yếu
	Content         Text          `json:"Content"`
	Signer          Signer        `json:"SignerInfo"`
	Due             Text          `json:"DueDate"` // yyyy/MM/dd
	ToPlaces        []Text        `json:"ToPlaces,omitempty"`
	Other           OtherInfo     `json:"OtherInfo"`
	ResponseForTask []Text        `json:"ResponseForTask,omitempty"`
	ResponseFor     []ResponseFor `json:"ResponseFor,omitempty"`
	ApplicationType Text          `json:"ApplicationType,omitempty"`
}

// Business says what is done with the document (nghiệp vụ): new, recall, update, replace.
type Business struct {
	DocType      Text             `json:"BussinessDocType"`
	Reason       Text             `json:"BussinessDocReason"`
	DocumentID   Text             `json:"DocumentId"` // of the document recalled or updated
	Paper        Text             `json:"Paper"`      // "1": a paper copy follows
	Changes      []BusinessChange `json:"BussinessDocumentInfo,omitempty"`
	Replacements []Replacement    `json:"ReplacementInfoList,omitempty"`
	Staff        []Staff          `json:"StaffInfo,omitempty"`
}

// BusinessChange says what an update changes: "1" in Document = the content, in Receiver = the list of recipients.
type BusinessChange struct {
	Document  Text             `json:"DocumentInfo"`
	Receiver  Text             `json:"DocumentReceiver"`
	Receivers []ChangeReceiver `json:"ReceiverList,omitempty"`
}

// ChangeReceiver is a recipient removed (Type "0") or added ("1") by an update.
type ChangeReceiver struct {
	OrganID Text `json:"OrganId"`
	Type    Text `json:"ReceiverType"`
}

// Replacement names a document that is replaced and for whom.
type Replacement struct {
	DocumentID Text   `json:"DocumentId"`
	OrganIDs   []Text `json:"OrganIdList,omitempty"`
}

// Staff is the official who handles the document (cán bộ xử lý).
type Staff struct {
	Department   Text `json:"Department"`
	DepartmentID Text `json:"DepartmentId,omitempty"`
	Name         Text `json:"Staff"`
	StaffID      Text `json:"StaffId,omitempty"`
	Mobile       Text `json:"Mobile"`
	Email        Text `json:"Email"`
}

// TraceHeader is one hop of the packet's way. Timestamp is yyyy/MM/dd HH:mm:ss in Vietnam.
type TraceHeader struct {
	OrganID   Text `json:"OrganId"`
	Timestamp Text `json:"Timestamp"`
}

// Status is what a recipient says of a document, or a sender when he asks for it back (trạng thái xử lý).
type Status struct {
	ResponseFor ResponseFor `json:"ResponseFor"`
	From        Organ       `json:"From"`
	Code        Text        `json:"StatusCode"` // 01–06, 13, 15, 16
	Description Text        `json:"Description"`
	Timestamp   Text        `json:"Timestamp"` // yyyy/MM/dd HH:mm:ss in Vietnam
	Staff       *Staff      `json:"StaffInfo"`
}

// Attachment is a file of the packet (tệp đính kèm), unwrapped where the packet had it in a zip for transport only.
type Attachment struct {
	ContentID   Text   `json:"ContentId"` // without cid:
	Name        Text   `json:"AttachmentName"`
	Description Text   `json:"Description"`
	Size        int64  `json:"size"`
	SHA256      string `json:"sha256"`
	// Open gives the content; it can be called again until the packet is closed.
	Open func() (io.ReadCloser, error) `json:"-"`
}
