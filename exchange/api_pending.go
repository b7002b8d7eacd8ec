package exchange

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"time"

	"vanthu/exchange/registry"
	"vanthu/mail"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
	"vanthu/storage"
	"vanthu/storage/blob"
	"vanthu/storage/ledger"
)

// IncomingID names a document in an agency's incoming register (UUIDv7).
type IncomingID string

// DeliveryID names one document on its way to one recipient (UUIDv7).
type DeliveryID string

// Status is the business status of a delivery (trạng thái xử lý), two digits.
type Status string

// The statuses (QĐ 28/2018 Điều 10.2.h; numbers of the national axis).
const (
	StatusArrived      Status = "01" // đã đến
	StatusRefused      Status = "02" // từ chối tiếp nhận
	StatusRegistered   Status = "03" // đã tiếp nhận, vào sổ văn bản đến
	StatusAssigned     Status = "04" // phân công xử lý
	StatusProcessing   Status = "05" // đang xử lý
	StatusFinished     Status = "06" // hoàn thành
	StatusRecall       Status = "13" // yêu cầu lấy lại
	StatusRecallAgreed Status = "15" // đồng ý lấy lại
	StatusRecallDenied Status = "16" // từ chối lấy lại
)

// Delivery is one document on its way to one recipient.
type Delivery struct {
	ID            DeliveryID        `json:"id"`
	Document      DocumentID        `json:"document"`
	Recipient     registry.AgencyID `json:"recipient"`
	Seq           int64             `json:"seq"` // order within the recipient's lane
	Channel       string            `json:"channel"`
	Transport     string            `json:"transport"` // initial, processing, done, fail
	Status        Status            `json:"status,omitempty"`
	Attempts      int               `json:"attempts"`
	LastError     string            `json:"last_error,omitempty"`
	Next          time.Time         `json:"next,omitzero"`
	Created       time.Time         `json:"created"`
	Updated       time.Time         `json:"updated"`
	ArrivalNumber int               `json:"arrival_number,omitempty"` // số đến at the recipient
}

// Incoming is a document in an agency's incoming register (văn bản đến).
type Incoming struct {
	ID            IncomingID        `json:"id"`
	Agency        registry.AgencyID `json:"agency"`
	From          registry.AgencyID `json:"from"`
	Document      DocumentID        `json:"document"`
	Code          string            `json:"code"`
	Type          string            `json:"type"`
	Subject       string            `json:"subject"`
	SignerName    string            `json:"signer_name"`
	Issued        time.Time         `json:"issued"`
	Priority      Priority          `json:"priority"`
	Due           time.Time         `json:"due,omitzero"`
	PDF           blob.Ref          `json:"pdf"`
	Report        *signing.Report   `json:"report,omitempty"`
	Status        Status            `json:"status"`
	ArrivalNumber int               `json:"arrival_number,omitempty"` // số đến
	ArrivalYear   int               `json:"arrival_year,omitempty"`
	Received      time.Time         `json:"received"`
	Registered    time.Time         `json:"registered,omitzero"`
	Updated       time.Time         `json:"updated"`
	Assignee      registry.PersonID `json:"assignee,omitempty"`
	Note          string            `json:"note,omitempty"`
}

// Receipt is a status signed by the receiving agency (biên nhận).
type Receipt struct {
	ID            string            `json:"id"`
	Document      DocumentID        `json:"document"`
	From          registry.AgencyID `json:"from"` // who received the document
	To            registry.AgencyID `json:"to"`   // who sent it
	Status        Status            `json:"status"`
	Note          string            `json:"note,omitempty"`
	ArrivalNumber int               `json:"arrival_number,omitempty"`
	At            time.Time         `json:"at"`
	Body          []byte            `json:"body"`      // canonical JSON
	Signature     []byte            `json:"signature"` // detached CMS over Body, DER
}

// Event is one line of a timeline.
type Event struct {
	At     time.Time         `json:"at"`
	Kind   string            `json:"kind"` // e.g. document.signed
	Actor  string            `json:"actor"`
	Agency string            `json:"agency"`
	Text   string            `json:"text"` // Vietnamese; In gives other languages
	Params map[string]string `json:"params,omitempty"`
	Entry  ledger.EntryID    `json:"entry"`
	Index  int64             `json:"index"` // in the log; -1 until sequenced
}

// In gives the event's sentence in lang (vi|en).
func (e Event) In(lang string) string { return e.Text }

// Envelope is what travels with a document's PDF.
type Envelope struct {
	Document       DocumentID        `json:"document"`
	From           registry.AgencyID `json:"from"`
	To             registry.AgencyID `json:"to"`
	Axis           string            `json:"axis"`
	Type           string            `json:"type"`
	Number         int               `json:"number"`
	Year           int               `json:"year"`
	Notation       string            `json:"notation"`
	Subject        string            `json:"subject"`
	Issued         time.Time         `json:"issued"`
	Place          string            `json:"place"`
	Priority       Priority          `json:"priority"`
	Due            time.Time         `json:"due,omitzero"`
	SignerName     string            `json:"signer_name"`
	SignerPosition string            `json:"signer_position"`
	Competence     string            `json:"competence,omitempty"`
	Digest         blob.Digest       `json:"digest"`
	Size           int64             `json:"size"`
	Sent           time.Time         `json:"sent"`
}

// DraftInput is what a new document needs. Notation and Place are made from the
// type and the agency when empty.
type DraftInput struct {
	Type, Subject, Notation, Place         string
	Priority                               Priority
	Due                                    time.Time
	SignerName, SignerPosition, Competence string
	Secrecy                                string // any mark of secrecy: refused, QĐ 28/2018 Điều 1.2
	PDF                                    io.Reader
}

// SignInput says which step and with which key.
type SignInput struct {
	Step       Step
	Key        *keys.Key       // or Passphrase
	Passphrase string          // opens the stored key of the person (initial, approve) or of the agency (seal)
	Profile    signing.Profile // "" = pades-b-t with a time-stamp authority, else pades-b-b
	Image      []byte          // PNG of the handwritten signature or the seal
	Invisible  bool
}

// Page is one page of a list; Next is the After of the following one, "" at the end.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// ListFilter narrows Documents; newest first.
type ListFilter struct {
	State State
	Query string // in subject, code and signer; marks and case are ignored
	Year  int
	After string
	Limit int // 0 = 50, at most 200
}

// IncomingFilter narrows Incomings; newest first.
type IncomingFilter struct {
	Status   Status
	Query    string
	Year     int // arrival year
	Assignee registry.PersonID
	After    string
	Limit    int
}

// OutgoingEntry is one line of the outgoing register (sổ đăng ký văn bản đi), NĐ 30/2020 Phụ lục IV.
type OutgoingEntry struct {
	Number     int        `json:"number"`
	Year       int        `json:"year"`
	Code       string     `json:"code"`          // 1 số, ký hiệu
	Issued     time.Time  `json:"issued"`        // 2
	Title      string     `json:"title"`         // 3 tên loại và trích yếu
	Signer     string     `json:"signer"`        // 4
	Recipients []string   `json:"recipients"`    // 5 nơi nhận
	KeptBy     string     `json:"kept_by"`       // 6
	Copies     int        `json:"copies"`        // 7
	Sent       time.Time  `json:"sent,omitzero"` // 8
	SignedFor  string     `json:"signed_for"`    // 9 ký nhận: how many receipts are held
	Note       string     `json:"note"`          // 10; the reason when Cancelled
	Cancelled  bool       `json:"cancelled"`
	Document   DocumentID `json:"document"`
}

// IncomingEntry is one line of the incoming register (sổ đăng ký văn bản đến).
type IncomingEntry struct {
	Arrived       time.Time  `json:"arrived"`            // 1 ngày đến
	ArrivalNumber int        `json:"arrival_number"`     // 2 số đến
	Author        string     `json:"author"`             // 3 tác giả
	Code          string     `json:"code"`               // 4
	Issued        time.Time  `json:"issued"`             // 5
	Title         string     `json:"title"`              // 6
	Handler       string     `json:"handler"`            // 7
	Forwarded     time.Time  `json:"forwarded,omitzero"` // 8
	SignedFor     string     `json:"signed_for"`         // 9
	Note          string     `json:"note"`               // 10
	Incoming      IncomingID `json:"incoming"`
	Status        Status     `json:"status"`
}

// Counts are the figures of Stats for one agency or all of them.
type Counts struct {
	Population int     `json:"population"`
	Electronic int     `json:"electronic"`
	Rate       float64 `json:"rate"`      // 0..1; 1 when Population is 0
	Cancelled  int     `json:"cancelled"` // numbers cancelled: not in the population
	Excluded   int     `json:"excluded"`

	Deliveries   int     `json:"deliveries"`
	Arrived      int     `json:"arrived"`
	Registered   int     `json:"registered"`
	Completed    int     `json:"completed"`
	Refused      int     `json:"refused"`
	DeliveryRate float64 `json:"delivery_rate"`
}

// Missing is why documents or deliveries are not electronic, with whose turn it is.
type Missing struct {
	Cause  string `json:"cause"`
	Text   string `json:"text"`
	TextEN string `json:"text_en"`
	Owner  string `json:"owner"` // role, or "hub"
	Count  int    `json:"count"`
	Of     string `json:"of"` // document or delivery
}

// AgencyCounts are the figures of one agency.
type AgencyCounts struct {
	Agency registry.AgencyID `json:"agency"`
	Name   string            `json:"name"`
	Counts
}

// Stats is the electronic exchange rate of a period, with its causes.
type Stats struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Counts
	Missing  []Missing      `json:"missing"`
	ByAgency []AgencyCounts `json:"by_agency"`
}

// Config of New. Store, Registry and ReceiptKey are required.
type Config struct {
	Store          *storage.Store
	Registry       *registry.Registry
	Mail           *mail.Store // nil = no notification mail
	ReceiptKey     func(ctx context.Context, a registry.AgencyID) (*keys.Key, error)
	TSA            tsa.Client
	Trust          *pki.Trust
	Now            func() time.Time
	Logger         *slog.Logger
	MaxPDF         int64         // bytes; 0 = 50 MiB
	Retention      time.Duration // of archived packages; 0 = 10 years
	AllowTestKeys  bool
	RequireInitial bool   // refuse approval of a draft nobody initialled
	Domain         string // of the notification mail's sender
}

// Service is the life of documents.
type Service struct{ cfg Config }

var errPending = fail(KindUnavailable, "chưa sẵn sàng", "not ready")

// New migrates the tables and registers the job handlers; call it before Store.Start.
func New(cfg Config) (*Service, error) { return &Service{cfg: cfg}, nil }

func (s *Service) Draft(ctx context.Context, by registry.Actor, in DraftInput) (*Document, error) {
	return nil, errPending
}
func (s *Service) Sign(ctx context.Context, by registry.Actor, id DocumentID, in SignInput) (*Document, *signing.Report, error) {
	return nil, nil, errPending
}
func (s *Service) Number(ctx context.Context, by registry.Actor, id DocumentID) (*Document, error) {
	return nil, errPending
}
func (s *Service) CancelNumber(ctx context.Context, by registry.Actor, id DocumentID, reason string) error {
	return errPending
}
func (s *Service) Send(ctx context.Context, by registry.Actor, id DocumentID, to []registry.AgencyID) (*Document, []Delivery, error) {
	return nil, nil, errPending
}
func (s *Service) Receive(ctx context.Context, from registry.AgencyID, env Envelope, pdf io.Reader) (*Receipt, error) {
	return nil, errPending
}
func (s *Service) ReceiveStored(ctx context.Context, from registry.AgencyID, env Envelope, pdf blob.Ref) (*Receipt, error) {
	return nil, errPending
}
func (s *Service) Register(ctx context.Context, by registry.Actor, id IncomingID) (*Incoming, error) {
	return nil, errPending
}
func (s *Service) Assign(ctx context.Context, by registry.Actor, id IncomingID, to registry.PersonID, note string) (*Incoming, error) {
	return nil, errPending
}
func (s *Service) Process(ctx context.Context, by registry.Actor, id IncomingID, note string) (*Incoming, error) {
	return nil, errPending
}
func (s *Service) Finish(ctx context.Context, by registry.Actor, id IncomingID, note string) (*Incoming, error) {
	return nil, errPending
}
func (s *Service) Refuse(ctx context.Context, by registry.Actor, id IncomingID, reason string) (*Incoming, error) {
	return nil, errPending
}
func (s *Service) Document(ctx context.Context, by registry.Actor, id DocumentID) (*Document, error) {
	return nil, errPending
}
func (s *Service) Documents(ctx context.Context, by registry.Actor, f ListFilter) (Page[Document], error) {
	return Page[Document]{}, errPending
}
func (s *Service) Incoming(ctx context.Context, by registry.Actor, id IncomingID) (*Incoming, error) {
	return nil, errPending
}
func (s *Service) Incomings(ctx context.Context, by registry.Actor, f IncomingFilter) (Page[Incoming], error) {
	return Page[Incoming]{}, errPending
}
func (s *Service) Deliveries(ctx context.Context, by registry.Actor, id DocumentID) ([]Delivery, error) {
	return nil, errPending
}
func (s *Service) Receipts(ctx context.Context, by registry.Actor, id DocumentID) ([]Receipt, error) {
	return nil, errPending
}
func (s *Service) IncomingReceipts(ctx context.Context, by registry.Actor, id IncomingID) ([]Receipt, error) {
	return nil, errPending
}
func (s *Service) Timeline(ctx context.Context, by registry.Actor, id DocumentID) ([]Event, error) {
	return nil, errPending
}
func (s *Service) IncomingTimeline(ctx context.Context, by registry.Actor, id IncomingID) ([]Event, error) {
	return nil, errPending
}
func (s *Service) PDF(ctx context.Context, by registry.Actor, id DocumentID) (io.ReadCloser, int64, error) {
	return nil, 0, errPending
}
func (s *Service) IncomingPDF(ctx context.Context, by registry.Actor, id IncomingID) (io.ReadCloser, int64, error) {
	return nil, 0, errPending
}
func (s *Service) Report(ctx context.Context, by registry.Actor, id DocumentID) (*signing.Report, error) {
	return nil, errPending
}
func (s *Service) OutgoingRegister(ctx context.Context, by registry.Actor, year int) ([]OutgoingEntry, error) {
	return nil, errPending
}
func (s *Service) IncomingRegister(ctx context.Context, by registry.Actor, year int) ([]IncomingEntry, error) {
	return nil, errPending
}
func (s *Service) Stats(ctx context.Context, by registry.Actor, from, to time.Time) (*Stats, error) {
	return nil, errPending
}
func (s *Service) Check(ctx context.Context, yield func(problem string)) error { return errPending }

// Code is number and symbol as printed, "05/QĐ-UBND"; "" while there is no number.
func (d *Document) Code() string { return "" }

// DocType is one of the 29 document types of NĐ 30/2020 Điều 7.
type DocType struct {
	Code       string `json:"code"` // the key used in Document.Type: abbreviation, or CV, TCg
	Abbr       string `json:"abbr"` // in the symbol; "" for công văn and thư công
	Name       string `json:"name"`
	NameEN     string `json:"name_en"`
	TypeDetail int    `json:"type_detail"` // QCVN 102 list B; -1 = none known
}

// DocTypes gives the 29 types in the order of the decree.
func DocTypes() []DocType { return nil }

var _ = json.Marshal
