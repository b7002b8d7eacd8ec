package exchange

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

// Event is one line of a timeline, made from an evidence entry. Kind and Params
// are stable; Text is for people.
type Event struct {
	At     time.Time         `json:"at"`
	Kind   string            `json:"kind"`  // e.g. document.signed
	Actor  string            `json:"actor"` // a person's name, or system:job
	By     string            `json:"by"`    // Actor in Vietnamese words; ByIn gives other languages
	Agency string            `json:"agency"`
	Text   string            `json:"text"` // Vietnamese; In gives other languages
	Params map[string]string `json:"params,omitempty"`
	Entry  ledger.EntryID    `json:"entry"`
	Index  int64             `json:"index"` // in the log; -1 until sequenced
	// TimePending says that no time stamp covers it yet: its time is the hub's own word.
	TimePending bool `json:"time_pending,omitempty"`

	names map[string]string // of the agencies in Params, by code
}

// Timeline gives what happened to an outgoing document of the actor's agency,
// oldest first, from the evidence; what recipients did stands there by their
// signed receipts.
func (s *Service) Timeline(ctx context.Context, by registry.Actor, id DocumentID) (out []Event, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		out, err = s.events(ctx, tx, string(id))
		return err
	})
	return s.told(ctx, s.timed(ctx, out)), storageError("reading timeline", err)
}

// timed marks the events whose time is pending; without a time-stamp authority none is.
func (s *Service) timed(ctx context.Context, list []Event) []Event {
	if s.cfg.TSA == nil || len(list) == 0 {
		return list
	}
	from, err := s.pendingFrom(ctx)
	for i := range list {
		list[i].TimePending = err != nil || list[i].Index < 0 || list[i].Index >= from
	}
	return list
}

// IncomingTimeline gives what the actor's agency did with an incoming document.
func (s *Service) IncomingTimeline(ctx context.Context, by registry.Actor, id IncomingID) (out []Event, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := s.ownIncoming(ctx, tx, by, id); err != nil {
			return err
		}
		out, err = s.events(ctx, tx, string(id))
		return err
	})
	return s.told(ctx, s.timed(ctx, out)), storageError("reading timeline", err)
}

func (s *Service) events(ctx context.Context, tx *sqldb.Tx, subject string) ([]Event, error) {
	records, err := s.ledger.Entries(ctx, tx, subject)
	if err != nil {
		return nil, err
	}
	out := make([]Event, len(records))
	for i, r := range records {
		e := Event{At: r.At, Kind: r.Kind, Entry: r.ID, Index: r.Index}
		if err := json.Unmarshal(r.Body, &e.Params); err != nil {
			return nil, fmt.Errorf("decoding evidence %s: %w", r.ID, err)
		}
		e.Actor, e.Agency = e.Params["actor_name"], e.Params["agency"]
		if e.Actor == "" {
			e.Actor = r.Actor
		}
		out[i] = e
	}
	return out, nil
}

// mostNames bounds the recipients that a sentence lists; Params has all.
const mostNames = 12

// told puts events in words, outside of the transaction that read them: the
// registry has transactions of its own. An agency is named as it is named now.
func (s *Service) told(ctx context.Context, list []Event) []Event {
	names := map[string]string{}
	for i := range list {
		e := &list[i]
		e.names = names
		for _, param := range []string{"from", "recipient", "recipients", "predecessor", "successor", "via"} {
			codes := strings.Split(e.Params[param], ",")
			for _, code := range codes[:min(len(codes), mostNames)] {
				if _, known := names[code]; known || code == "" {
					continue
				}
				names[code] = ""
				if a, err := s.reg.Agency(ctx, registry.AgencyID(code)); err == nil {
					names[code] = a.Name
				}
			}
		}
		e.By, e.Text = e.ByIn("vi"), e.In("vi")
	}
	return list
}

// ByIn says in lang (vi|en) who did it: a person by name, the hub's own jobs as
// the hub.
func (e Event) ByIn(lang string) string {
	switch {
	case !strings.HasPrefix(e.Actor, "system:"):
		return e.Actor + e.inPlaceOf(lang)
	case lang == "en":
		return "The hub"
	}
	return "Hệ thống"
}

// inPlaceOf names whose place the actor took, "" = acted for itself.
func (e Event) inPlaceOf(lang string) string {
	name, form := e.Params["on_behalf_name"], e.Params["form"]
	switch {
	case name == "":
		return ""
	case form != "":
		return " (" + form + " " + name + ")"
	case lang == "en":
		return " (for " + name + ")"
	}
	return " (thay " + name + ")"
}

// agencies gives codes parted by commas as names with codes.
func (e Event) agencies(codes, lang string) string {
	if codes == "" {
		return ""
	}
	list := strings.Split(codes, ",")
	more := len(list) - mostNames
	list = list[:min(len(list), mostNames)]
	for i, code := range list {
		if name := e.names[code]; name != "" {
			list[i] = name + " (" + code + ")"
		}
	}
	text := strings.Join(list, ", ")
	if more <= 0 {
		return text
	}
	if lang == "en" {
		return fmt.Sprintf("%s and %d more", text, more)
	}
	return fmt.Sprintf("%s và %d nơi khác", text, more)
}

// In gives the event's sentence in lang (vi|en).
func (e Event) In(lang string) string {
	vi, en := e.template()
	if lang == "en" {
		return e.fill(en, lang)
	}
	return e.fill(vi, lang)
}

// template gives the sentence of a kind with {parameters}; parts in [brackets]
// are left out when their parameter is missing.
func (e Event) template() (vi, en string) {
	switch e.Kind {
	case "document.drafted":
		return "Tạo dự thảo: {subject}", "Drafted: {subject}"
	case "document.signing":
		return "Bắt đầu {step}", "Began to sign: {step}"
	case "document.signed":
		return "Đã {step}: {signer}", "Signed ({step}): {signer}"
	case "document.sign-failed":
		return "Không {step} được: {reason}", "Signing failed ({step}): {reason}"
	case "document.numbered":
		return "Cấp số {code}", "Numbered {code}"
	case "document.number-cancelled":
		return "Hủy số {code}: {note}", "Number {code} cancelled: {note}"
	case "document.sent":
		return "Phát hành {code} tới {count} nơi nhận: {recipients}", "Sent {code} to {count} recipients: {recipients}"
	}
	return deliveryTemplate(e.Kind)
}

// deliveryTemplate has the kinds of what happens on the way and to agencies.
func deliveryTemplate(kind string) (vi, en string) {
	switch kind {
	case "delivery.failed":
		return "Không gửi được tới {recipient} sau {attempts} lần: {reason}", "Not delivered to {recipient} after {attempts} attempts: {reason}"
	case "delivery.postponed":
		return "Chưa gửi được tới {recipient}, hệ thống thử lại: {reason}", "Not delivered to {recipient} yet, being tried again: {reason}"
	case "document.send-refused":
		return "Chưa gửi được: {reason}", "Not sent: {reason}"
	case "document.paper":
		return "Phát hành {code} bằng bản giấy[ tới {recipients}][, {others}]", "Issued {code} on paper[ to {recipients}][, {others}]"
	case "document.paper-copy":
		return "Gửi kèm bản giấy của {code}[: {note}]", "A paper copy of {code} goes too[: {note}]"
	case "document.secret":
		return "Ghi nhận một văn bản mật, không qua hệ thống", "Counted a secret document, outside of the exchange"
	case "delivery.carried":
		return "Đã chuyển sang kênh {channel} cho {recipient}", "Handed to the channel {channel} for {recipient}"
	case "delivery.reported":
		return "Hệ thống thư báo về {recipient}: {report}[ ({detail})]", "Mail system reported on {recipient}: {report}[ ({detail})]"
	case "delivery.fetched":
		return "Hệ thống của {recipient} đã lấy văn bản", "The system of {recipient} has fetched the document"
	case "delivery.retried":
		return "Gửi lại cho {count} nơi nhận: {recipients}", "Sent again to {count} recipients: {recipients}"
	case "receipt.accepted":
		return "{from_name}: {status}[, số đến {arrival_number}][ – {note}]", "{from_name}: {status}[, arrival number {arrival_number}][ – {note}]"
	case "document.archived":
		return "Đã lưu trữ gói hồ sơ ({size} byte)", "Archived ({size} bytes)"
	case "agency.succeeded":
		return "Cơ quan {predecessor} kết thúc hoạt động[, {successor} kế thừa]", "The agency {predecessor} ended[, {successor} continues it]"
	case "agency.renamed":
		return "Đổi tên {from_name} thành {to_name}", "Renamed from {from_name} to {to_name}"
	case "delivery.rerouted":
		return "Nơi nhận {predecessor} kết thúc hoạt động, văn bản chuyển tới {successor}", "The recipient {predecessor} ended, the document goes to {successor}"
	case "delivery.joined":
		return "Nơi nhận {predecessor} kết thúc hoạt động, {successor} nhận văn bản bằng một bản khác", "The recipient {predecessor} ended, {successor} has the document by another copy"
	case "document.inherited":
		return "Dự thảo chuyển từ {predecessor} sang {successor}", "The draft went from {predecessor} to {successor}"
	}
	return incomingTemplate(kind)
}

// incomingTemplate has the kinds of a recipient.
func incomingTemplate(kind string) (vi, en string) {
	switch kind {
	case "incoming.received":
		return "Đã đến: {code} từ {from}, chữ ký {verdict}[, {via} chuyển tiếp][: {words}]", "Arrived: {code} from {from}, signatures {verdict}[, forwarded by {via}][: {words}]"
	case "incoming.rejected":
		return "Trả lại tự động {code} của {from}: {note}", "Returned at the door {code} of {from}: {note}"
	case "incoming.register":
		return "Vào sổ văn bản đến, số đến {number}/{year}", "Registered with arrival number {number}/{year}"
	case "incoming.assign":
		return "Phân công cho {to_name}[: {note}]", "Assigned to {to_name}[: {note}]"
	case "incoming.process":
		return "Bắt đầu xử lý[: {note}]", "Work began[: {note}]"
	case "incoming.finish":
		return "Hoàn thành[: {note}]", "Finished[: {note}]"
	case "incoming.reassign":
		return "Chuyển người xử lý cho {to_name}: {note}", "Given to {to_name} instead: {note}"
	case "incoming.follow":
		return "Là một với văn bản khác trong sổ: {status}[ – {note}]", "One with another entry of the register: {status}[ – {note}]"
	case "arrival.again":
		return "Đến thêm một lần qua kênh {channel}, cùng nội dung", "Came once more by {channel}, with the same content"
	case "arrival.differs":
		return "Đến thêm một lần qua kênh {channel} với nội dung KHÁC; đã giữ lại để văn thư xem", "Came by {channel} with OTHER content; kept for the clerk to look at"
	case "arrival.alike":
		return "Có thể trùng với văn bản khác đã đến", "May be a duplicate of another document"
	case "arrival.merged":
		return "Gộp với một lần đến khác: {note}", "Merged with another arrival: {note}"
	case "arrival.apart":
		return "Xác nhận không trùng: {note}", "Kept apart: {note}"
	case "work.co-handlers":
		return "Giao phối hợp: {names}[: {note}]", "Co-handlers: {names}[: {note}]"
	case "work.part-done":
		return "Xong phần phối hợp: {note}", "Part done: {note}"
	case "work.withdrawn":
		return "Thôi giao phối hợp cho {to_name}: {note}", "Taken back from {to_name}: {note}"
	case "work.instruction":
		return "Bút phê: {note}", "Instruction: {note}"
	case "work.proposal":
		return "Đề xuất: {note}", "Proposal: {note}"
	case "work.comment":
		return "Ý kiến: {note}", "Comment: {note}"
	case "work.reopened":
		return "Mở lại việc xử lý: {note}", "Opened again: {note}"
	case "work.closed":
		return "Xử lý lại xong[: {note}]", "Done again[: {note}]"
	case "work.answered":
		return "Gắn văn bản trả lời {answer_code}", "Answered by {answer_code}"
	case "incoming.refuse":
		return "Từ chối tiếp nhận: {note}", "Refused: {note}"
	}
	return requestTemplate(kind)
}

// requestTemplate is template for what senders ask after sending.
func requestTemplate(kind string) (vi, en string) {
	switch kind {
	case "document.updated":
		return "Cập nhật văn bản đã phát hành: {note}[; thêm nơi nhận: {recipients}]", "Updated after it was sent: {note}[; recipients added: {recipients}]"
	case "request.recall":
		return "Yêu cầu thu hồi từ {count} nơi nhận: {note}", "Asked {count} recipients to give it back: {note}"
	case "request.update":
		return "Báo cập nhật cho {count} nơi nhận: {note}", "Told {count} recipients of the update: {note}"
	case "request.replace":
		return "Gửi văn bản thay thế, thu hồi từ {count} nơi nhận: {note}", "Sent a replacement, asked {count} recipients to give this back: {note}"
	case "request.closed":
		return "Mọi nơi nhận đã trả lời: {settled} đồng ý, {kept} giữ lại", "All recipients have answered: {settled} agreed, {kept} keep theirs"
	case "notice.early":
		return "Yêu cầu của {from} đến trước văn bản: {note}", "A request of {from} came before its document: {note}"
	case "notice.received":
		return "{from} yêu cầu cập nhật văn bản", "{from} asks to update the document"
	case "document.revised":
		return "Bản dự thảo mới: {subject}[ – {note}]", "New version of the draft: {subject}[ – {note}]"
	case "document.returned":
		return "Trả lại người soạn thảo: {note}", "Given back to its drafter: {note}"
	case "document.commented":
		return "Góp ý: {note}", "Commented: {note}"
	case "number.reserved":
		return "Giữ số {first}–{last} năm {year}: {note}", "Reserved the numbers {first}–{last} of {year}: {note}"
	case "number.reserved-cancelled":
		return "Hủy số giữ {number}/{year}: {note}", "Reserved number {number}/{year} cancelled: {note}"
	case "delivery.overdue":
		return "Sau {hours} giờ chưa chuyển được tới {recipient}[: {reason}]", "Not delivered to {recipient} within {hours} hours[: {reason}]"
	case "delivery.undelivered":
		return "Không chuyển được tới {recipient} trong {hours} giờ[: {reason}]", "Non-delivery: {recipient} has not had it for {hours} hours[: {reason}]"
	case "delivery.arrived-late":
		return "Đã chuyển được tới {recipient} sau {hours} giờ", "Delivered to {recipient} after {hours} hours after all"
	case "view.incoming", "view.document":
		return "Mở xem văn bản", "Opened the file"
	case "incoming.recall":
		return "{from} yêu cầu lấy lại văn bản[: {note}]", "{from} asks for the document back[: {note}]"
	case "incoming.agree-recall":
		return "Đồng ý trả lại văn bản[: {note}]", "Gave the document back[: {note}]"
	case "incoming.decline-recall":
		return "Từ chối trả lại văn bản: {note}", "Declined to give the document back: {note}"
	case "incoming.agree-update":
		return "Nhận cập nhật của {from}[: {note}]", "Took over the update of {from}[: {note}]"
	case "incoming.decline-update":
		return "Từ chối cập nhật của {from}: {note}", "Declined the update of {from}: {note}"
	}
	return peopleTemplate(kind)
}

func (e Event) fill(template, lang string) string {
	var b strings.Builder
	for template != "" {
		part, optional := template, false
		if i := strings.IndexByte(template, '['); i == 0 {
			end := strings.IndexByte(template, ']')
			part, optional, template = template[1:end], true, template[end+1:]
		} else if i > 0 {
			part, template = template[:i], template[i:]
		} else {
			template = ""
		}
		text, whole := e.replace(part, lang)
		if whole || !optional {
			b.WriteString(text)
		}
	}
	return b.String()
}

// replace puts parameters in; whole tells that none was missing.
func (e Event) replace(part, lang string) (text string, whole bool) {
	whole = true
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(part, "{")
		b.WriteString(before)
		if !found {
			return b.String(), whole
		}
		name, after, _ := strings.Cut(rest, "}")
		v := e.Params[name]
		switch {
		case name == "step":
			v = Step(v).In(lang)
		case name == "status":
			v = Status(v).In(lang)
		case name == "from_name" && v == "":
			v = e.agencies(e.Params["from"], lang)
		case name == "from" || name == "recipient" || name == "recipients" || name == "predecessor" || name == "successor" || name == "via":
			v = e.agencies(v, lang)
		}
		whole = whole && v != ""
		b.WriteString(v)
		part = after
	}
}

// In gives the step's name in lang (vi|en).
func (s Step) In(lang string) string {
	vi, en := string(s), string(s)
	switch s {
	case StepInitial:
		vi, en = "ký nháy", "initials"
	case StepApprove:
		vi, en = "ký duyệt", "approval"
	case StepSeal:
		vi, en = "ký số cơ quan", "agency seal"
	}
	if lang == "en" {
		return en
	}
	return vi
}
