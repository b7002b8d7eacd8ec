package exchange

import (
	"slices"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/blob"
)

// DocumentID names an outgoing document at its issuing agency (UUIDv7), the same
// over every retry and channel.
type DocumentID string

// Step is one of the signatures on a document.
type Step string

// The steps, in order (NĐ 30/2020 Điều 14.3, 32.2: persons first, then the clerk
// for the agency).
const (
	StepInitial Step = "initial" // ký nháy: an officer, or a leader of the drafting unit
	StepApprove Step = "approve" // ký duyệt: the competent person
	StepSeal    Step = "seal"    // ký số của cơ quan: the clerk, with the agency's key
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

// States are all states in order.
func States() []State {
	return []State{StateDraft, StateInitialled, StateApproved, StateSealed, StateSent, StateCancelled, StatePaper}
}

// Act is something a person does to a document.
type Act string

// The acts on outgoing and incoming documents.
const (
	ActDraft        Act = "draft"
	ActInitial      Act = "initial"
	ActApprove      Act = "approve"
	ActNumber       Act = "number"
	ActSeal         Act = "seal"
	ActSend         Act = "send"
	ActCancelNumber Act = "cancel-number"
	ActRetry        Act = "retry" // of failed deliveries

	ActRegister Act = "register"
	ActAssign   Act = "assign"
	ActProcess  Act = "process"
	ActFinish   Act = "finish"
	ActRefuse   Act = "refuse"

	ActRecall        Act = "recall" // by the sender
	ActAgreeRecall   Act = "agree-recall"
	ActDeclineRecall Act = "decline-recall"
	ActAgreeUpdate   Act = "agree-update"
	ActDeclineUpdate Act = "decline-update"

	ActRevise      Act = "revise"   // a new version of a draft
	ActReturn      Act = "return"   // a draft, to its drafter
	ActComment     Act = "comment"  // on a draft
	ActSchedule    Act = "schedule" // a sending to come
	ActForward     Act = "forward"  // an incoming document, to other agencies
	ActReassign    Act = "reassign" // the work on an incoming document
	ActArchive     Act = "archive"  // by the hub
	ActSetSeries   Act = "set-series"
	ActSetCalendar Act = "set-calendar" // days off and days worked instead
)

// RolesFor tells which roles may do an act: officers draft, initial and process;
// leaders approve and assign; only clerks number, seal, send, register and
// refuse (NĐ 30/2020 Điều 32.2.c: only the clerk uses the agency's key).
func RolesFor(a Act) []registry.Role {
	const clerk, leader, officer = registry.RoleClerk, registry.RoleLeader, registry.RoleOfficer
	switch a {
	case ActDraft, ActRevise, ActInitial, ActProcess, ActFinish:
		return []registry.Role{officer, leader}
	case ActApprove, ActAssign:
		return []registry.Role{leader}
	case ActReassign: // a leader, or who leads the work
		return []registry.Role{leader, officer, clerk}
	case ActComment, ActReturn:
		return []registry.Role{officer, leader, clerk}
	case ActNumber, ActSeal, ActSend, ActSchedule, ActForward, ActCancelNumber, ActRegister, ActRefuse, ActRecall, ActAgreeRecall, ActDeclineRecall,
		ActAgreeUpdate, ActDeclineUpdate:
		return []registry.Role{clerk}
	case ActRetry:
		return []registry.Role{clerk, registry.RoleAdministrator}
	case ActSetCalendar, ActSetSeries:
		return []registry.Role{registry.RoleAdministrator}
	}
	return nil
}

func may(by registry.Actor, a Act) bool {
	if by.OnBehalfOf != nil {
		s, ok := scopeOf(a)
		return ok && by.OnBehalfOf.Allows(s)
	}
	return by.System || slices.ContainsFunc(RolesFor(a), by.Has)
}

// scopeOf gives the scope of a delegation that covers an act; what has none is
// done in one's own name only.
func scopeOf(a Act) (registry.Scope, bool) {
	switch a {
	case ActInitial:
		return registry.ScopeInitial, true
	case ActApprove, ActReturn:
		return registry.ScopeApprove, true
	case ActAssign, ActReassign:
		return registry.ScopeAssign, true
	}
	if slices.Contains(RolesFor(a), registry.RoleClerk) && a != ActComment {
		return registry.ScopeClerk, true
	}
	return "", false
}

// transition is one line of a state machine.
type transition[S comparable] struct {
	from S
	act  Act
	to   S
}

// documentTransitions is the whole life of an outgoing document. An act that has
// no line for a state is a conflict.
func documentTransitions() []transition[State] {
	return []transition[State]{
		{StateDraft, ActRevise, StateDraft},
		{StateInitialled, ActRevise, StateDraft}, // a new file has no initials
		{StateDraft, ActReturn, StateDraft},
		{StateInitialled, ActReturn, StateDraft},
		{StateApproved, ActReturn, StateDraft}, // while it has no number
		{StateDraft, ActInitial, StateInitialled},
		{StateDraft, ActApprove, StateApproved}, // refused when initials are required by configuration
		{StateInitialled, ActApprove, StateApproved},
		{StateApproved, ActNumber, StateApproved},
		{StateApproved, ActSeal, StateSealed},
		{StateApproved, ActCancelNumber, StateCancelled},
		{StateSealed, ActNumber, StateSealed},
		{StateSealed, ActSend, StateSent},
		{StateSealed, ActCancelNumber, StateCancelled},
	}
}

func next[S comparable](table []transition[S], from S, a Act) (S, bool) {
	for _, t := range table {
		if t.from == from && t.act == a {
			return t.to, true
		}
	}
	var none S
	return none, false
}

// actOf gives the act of a signing step.
func actOf(s Step) (Act, bool) {
	switch s {
	case StepInitial:
		return ActInitial, true
	case StepApprove:
		return ActApprove, true
	case StepSeal:
		return ActSeal, true
	}
	return "", false
}

// Document is an outgoing document (văn bản đi).
type Document struct {
	ID             DocumentID          `json:"id"`
	Agency         registry.AgencyID   `json:"agency"`
	Type           string              `json:"type"`             // a DocType's code
	Subject        string              `json:"subject"`          // trích yếu, at most 500 characters
	Notation       string              `json:"notation"`         // ký hiệu, e.g. QĐ-UBND
	Number         int                 `json:"number,omitempty"` // số; 0 = none yet
	Year           int                 `json:"year,omitempty"`   // of the number
	Issued         time.Time           `json:"issued,omitzero"`  // ngày ban hành: midnight in Vietnam, +07:00
	Place          string              `json:"place"`            // địa danh
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
	Package        blob.Ref            `json:"package,omitzero"` // in the archive store, once archived
	Recipients     []registry.AgencyID `json:"recipients,omitempty"`
	Series         string              `json:"series,omitempty"`   // of the number, or chosen for it; see Series
	Returned       bool                `json:"returned,omitempty"` // given back: the drafter has to change it first
	SendAt         time.Time           `json:"send_at,omitzero"`   // when the hub will send it (hẹn giờ gửi)
	Details        Details             `json:"details,omitzero"`

	version int64
	plan    string            // JSON of a sending to come
	holder  registry.AgencyID // for whom it was read: Agency, or who continues it
}

// Code is number and symbol as printed, "05/QĐ-UBND" (NĐ 30/2020 Điều 15); ""
// while there is no number.
func (d *Document) Code() string { return codeOf(d.Type, d.Number, d.Year, d.Notation) }

// Acts gives what the actor may do with the document now.
func (d *Document) Acts(by registry.Actor) []Act {
	var out []Act
	if !by.System && by.Agency != d.Agency && by.Agency != d.holder {
		return nil
	}
	for _, t := range documentTransitions() {
		ok := t.from == d.State && may(by, t.act)
		switch t.act {
		case ActNumber, ActReturn:
			ok = ok && d.Number == 0
		case ActInitial, ActApprove:
			ok = ok && !d.Returned
		case ActCancelNumber:
			ok = ok && d.Number != 0
		}
		if ok {
			out = append(out, t.act)
		}
	}
	return out
}

// Priority is the urgency (độ khẩn), coded as in edXML.
type Priority int

// The urgencies (NĐ 30/2020 Điều 4.2.c; the last is from the older rule).
const (
	PriorityNormal     Priority = 0 // thường
	PriorityUrgent     Priority = 1 // khẩn
	PriorityVeryUrgent Priority = 2 // thượng khẩn
	PriorityExpress    Priority = 3 // hỏa tốc
	PriorityTimed      Priority = 4 // hỏa tốc hẹn giờ
)

// In gives the urgency's name in lang (vi|en).
func (p Priority) In(lang string) string {
	vi := []string{"Thường", "Khẩn", "Thượng khẩn", "Hỏa tốc", "Hỏa tốc hẹn giờ"}
	en := []string{"Normal", "Urgent", "Very urgent", "Express", "Express at a set time"}
	if p < 0 || int(p) >= len(vi) {
		return ""
	}
	if lang == "en" {
		return en[p]
	}
	return vi[p]
}

// In gives the state's name in lang (vi|en).
func (s State) In(lang string) string {
	vi, en := "", ""
	switch s {
	case StateDraft:
		vi, en = "Dự thảo", "Draft"
	case StateInitialled:
		vi, en = "Đã ký nháy", "Initialled"
	case StateApproved:
		vi, en = "Đã ký duyệt", "Approved"
	case StateSealed:
		vi, en = "Đã ký số cơ quan", "Sealed"
	case StateSent:
		vi, en = "Đã phát hành", "Sent"
	case StateCancelled:
		vi, en = "Đã hủy số", "Cancelled"
	case StatePaper:
		vi, en = "Đã phát hành bản giấy", "Issued on paper"
	}
	if lang == "en" {
		return en
	}
	return vi
}

// Limits of a document's data (NĐ 30/2020 Phụ lục VI phần II).
const (
	maxSubject    = 500
	maxNotation   = 30
	maxPlace      = 50
	maxSignerName = 50
	maxPosition   = 100
	maxCompetence = 100
	maxNote       = 500
	maxRecipients = 10_000
)
