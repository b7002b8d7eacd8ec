package exchange

import (
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/blob"
)

// DocumentID names an outgoing document at its issuing agency (UUIDv7), constant
// over every retry and channel.
type DocumentID string

// Step is one of the signatures on a document, in order.
type Step string

// The steps (NĐ 30/2020 Điều 32, 14.3: persons first, then the clerk for the agency).
const (
	StepInitial Step = "initial" // ký nháy: the officer or a leader of the drafting unit
	StepApprove Step = "approve" // ký duyệt: the competent person
	StepSeal    Step = "seal"    // ký số của cơ quan: the clerk with the agency's key
)

// State is where an outgoing document stands.
type State string

// The states of an outgoing document (văn bản đi).
const (
	StateDraft      State = "draft"      // dự thảo
	StateInitialled State = "initialled" // đã ký nháy
	StateApproved   State = "approved"   // người có thẩm quyền đã ký
	StateSealed     State = "sealed"     // đã ký số của cơ quan
	StateSent       State = "sent"       // đã phát hành
	StateCancelled  State = "cancelled"  // đã hủy số
)

// Document is an outgoing document (văn bản đi).
type Document struct {
	ID             DocumentID          `json:"id"`
	Agency         registry.AgencyID   `json:"agency"`
	Type           string              `json:"type"`             // one of DocTypes, e.g. QĐ, CV
	Subject        string              `json:"subject"`          // trích yếu, at most 500 characters
	Notation       string              `json:"notation"`         // ký hiệu, e.g. QĐ-UBND
	Number         int                 `json:"number,omitempty"` // 0 = not numbered
	Year           int                 `json:"year,omitempty"`
	Issued         time.Time           `json:"issued,omitzero"` // ngày ban hành, midnight in Vietnam
	Place          string              `json:"place"`
	Priority       Priority            `json:"priority"`
	Due            time.Time           `json:"due,omitzero"` // hạn xử lý
	SignerName     string              `json:"signer_name"`
	SignerPosition string              `json:"signer_position"`
	Competence     string              `json:"competence,omitempty"` // quyền hạn ký: TM., Q., KT., TL., TUQ.
	State          State               `json:"state"`
	PDF            blob.Ref            `json:"pdf"`
	Axis           string              `json:"axis,omitempty"` // OrganId,yyyy/MM/dd,number/notation
	CreatedBy      registry.PersonID   `json:"created_by"`
	Created        time.Time           `json:"created"`
	Updated        time.Time           `json:"updated"`
	Sent           time.Time           `json:"sent,omitzero"`
	Archived       time.Time           `json:"archived,omitzero"`
	Package        blob.Ref            `json:"package,omitzero"` // the archived package, in the archive store
	Recipients     []registry.AgencyID `json:"recipients,omitempty"`

	version int64 // row version, for the guard against two acts at once
}

// Priority is the urgency (độ khẩn) of a document, as in edXML.
type Priority int

// The urgencies (NĐ 30/2020 Điều 4.2.c; the last is from the older rule).
const (
	PriorityNormal     Priority = 0 // thường
	PriorityUrgent     Priority = 1 // khẩn
	PriorityVeryUrgent Priority = 2 // thượng khẩn
	PriorityExpress    Priority = 3 // hỏa tốc
	PriorityTimed      Priority = 4 // hỏa tốc hẹn giờ
)
