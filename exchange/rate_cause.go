package exchange

import (
	"time"

	"vanthu/exchange/registry"
)

// RateDefinition is the version of the definition of the electronic exchange
// rate; RATE.md holds it in words. It changes with every change of what counts,
// and the figures are then made anew from the evidence.
const RateDefinition = "rate/1"

// What Missing.Of counts.
const (
	OfDocument = "document"
	OfDelivery = "delivery"
)

// Stage is how far a document or delivery has to come to count; a cause stands
// at the stage that is not reached.
type Stage string

// The stages in order: a document is signed and sent; a delivery is sent, has
// arrived (01) and is registered (03).
const (
	StageSigned     Stage = "signed"     // có chữ ký số của cơ quan
	StageSent       Stage = "sent"       // đã gửi qua hệ thống
	StageArrived    Stage = "arrived"    // đã đến, không bị trả lại hay lấy lại
	StageRegistered Stage = "registered" // đã vào sổ văn bản đến
)

// The sides of a delivery, for RateCause.Side.
const (
	SideSender    = "sender"
	SideRecipient = "recipient"
)

// The kinds of failure that stop a delivery or a signature, as the evidence
// names them.
const (
	failKey         = "key"         // the signer's key or certificate cannot sign
	failValidator   = "validator"   // our validator did not accept the signature
	failOther       = "other"       // anything else
	failInactive    = "inactive"    // the agency is closed or unknown
	failChannel     = "channel"     // no way leads to the recipient
	failCertificate = "certificate" // the recipient's receipt key or certificate
	failConflict    = "conflict"    // other content under the same id
	failFile        = "file"        // the stored file is damaged or gone
	failUnreachable = "unreachable" // no connection
)

// stalledAfter is how long a delivery may wait for its first attempt: a lane
// that works takes it within seconds, so that longer means that its job is dead
// or the hub's queue stands still.
const stalledAfter = 15 * time.Minute

// RateCause is one reason for which a document or delivery is not counted as
// exchanged electronically, whose turn it is, and what mends it.
type RateCause struct {
	Cause  string        `json:"cause"`
	Of     string        `json:"of"`    // OfDocument or OfDelivery
	Stage  Stage         `json:"stage"` // that is not reached
	Side   string        `json:"side"`  // of whom it is the turn: SideSender or SideRecipient
	Owner  registry.Role `json:"owner"` // the role whose turn it is; "" = the hub works on it
	Text   string        `json:"text"`
	TextEN string        `json:"text_en"`
	Act    string        `json:"act"` // what mends it
	ActEN  string        `json:"act_en"`

	document func(*rateDocument, int64) bool
	delivery func(*rateDelivery, int64) bool
}

// RateCauses is the closed table of causes in their order: what is missing has
// the first cause that fits, so that causes exclude each other, and the last of
// each unit fits whatever is left, so that they add up to the gap.
func RateCauses() []RateCause { return append(documentCauses(), deliveryCauses()...) }

func documentCauses() []RateCause {
	const clerk, leader, admin = registry.RoleClerk, registry.RoleLeader, registry.RoleAdministrator
	list := []RateCause{
		{Cause: "paper-recipient", Stage: StageSigned, Side: SideRecipient, Owner: admin,
			Text: "Phát hành giấy vì cho là nơi nhận chưa nhận được bản điện tử, trong khi danh bạ ghi nơi nhận đã kết nối", TextEN: "Issued on paper because the recipient is said to be unable, though the registry has a way to it",
			Act: "Kiểm tra kết nối của nơi nhận, rồi phát hành bản điện tử", ActEN: "Check the recipient's connection, then issue it electronically",
			document: func(d *rateDocument, _ int64) bool { return d.has(ratePaper) && d.Reason == PaperRecipient }},
		{Cause: "paper-outage", Stage: StageSigned, Side: SideSender, Owner: admin,
			Text: "Phát hành giấy do hệ thống của cơ quan gửi gián đoạn", TextEN: "Issued on paper because the sender's system was down",
			Act: "Khôi phục hệ thống; gửi bù bản điện tử có ký số", ActEN: "Bring the system back; send a signed electronic copy",
			document: func(d *rateDocument, _ int64) bool { return d.has(ratePaper) && d.Reason == PaperOutage }},
		{Cause: "paper-choice", Stage: StageSigned, Side: SideSender, Owner: clerk,
			Text: "Chỉ phát hành bản giấy theo lựa chọn của cơ quan", TextEN: "Issued on paper only, by choice",
			Act: "Ký số và gửi bản điện tử", ActEN: "Sign and send it electronically",
			document: func(d *rateDocument, _ int64) bool { return d.has(ratePaper) }},
		{Cause: "sender-key", Stage: StageSigned, Side: SideSender, Owner: admin,
			Text: "Khóa ký của bên gửi hết hạn hoặc không dùng được", TextEN: "The sender's key has expired or cannot sign",
			Act: "Gia hạn hoặc thay chứng thư số, rồi ký lại", ActEN: "Renew or replace the certificate, then sign again",
			document: func(d *rateDocument, _ int64) bool { return !d.has(rateSealed) && d.Failure == failKey }},
		{Cause: "signature-refused", Stage: StageSigned, Side: SideSender, Owner: clerk,
			Text: "Chữ ký vừa tạo không được bộ kiểm tra chấp nhận", TextEN: "The signature made was not accepted by the validator",
			Act: "Kiểm tra chứng thư và tệp, rồi ký lại", ActEN: "Check the certificate and the file, then sign again",
			document: func(d *rateDocument, _ int64) bool { return !d.has(rateSealed) && d.Failure == failValidator }},
		{Cause: "signing-failed", Stage: StageSigned, Side: SideSender, Owner: clerk,
			Text: "Ký số không thành công", TextEN: "Signing failed",
			Act: "Ký lại; nếu vẫn lỗi, báo quản trị", ActEN: "Sign again; if it fails again, tell the administrator",
			document: func(d *rateDocument, _ int64) bool { return !d.has(rateSealed) && d.Failure == failOther }},
		{Cause: "unapproved", Stage: StageSigned, Side: SideSender, Owner: leader,
			Text: "Đã có số nhưng chờ người có thẩm quyền ký", TextEN: "Numbered, waiting for the competent person's signature",
			Act: "Ký duyệt", ActEN: "Approve",
			document: func(d *rateDocument, _ int64) bool { return !d.has(rateSealed) && !d.has(rateApproved) }},
		{Cause: "unsealed", Stage: StageSigned, Side: SideSender, Owner: clerk,
			Text: "Đã cấp số nhưng chưa ký số cơ quan", TextEN: "Numbered, not sealed by the agency",
			Act: "Ký số của cơ quan", ActEN: "Seal",
			document: func(d *rateDocument, _ int64) bool { return !d.has(rateSealed) }},
		{Cause: "no-channel", Stage: StageSent, Side: SideRecipient, Owner: admin,
			Text: "Không gửi được: chưa có kênh tới nơi nhận", TextEN: "Not sent: there is no channel to the recipient",
			Act: "Khai báo kênh của nơi nhận trong danh bạ, rồi gửi lại", ActEN: "Enter the recipient's channel in the registry, then send again",
			document: func(d *rateDocument, _ int64) bool { return d.Failure == failChannel }},
		{Cause: "recipient-inactive", Stage: StageSent, Side: SideSender, Owner: clerk,
			Text: "Không gửi được: nơi nhận đã ngừng hoạt động hoặc không có trong danh bạ", TextEN: "Not sent: the recipient is closed or unknown",
			Act: "Chọn cơ quan kế thừa, rồi gửi lại", ActEN: "Choose the successor, then send again",
			document: func(d *rateDocument, _ int64) bool { return d.Failure == failInactive }},
		{Cause: "unsent-late", Stage: StageSent, Side: SideSender, Owner: clerk,
			Text: "Đã ký số cơ quan, quá hạn gửi", TextEN: "Sealed, not sent in time",
			Act: "Gửi ngay", ActEN: "Send at once",
			document: func(d *rateDocument, now int64) bool { return d.SendBy > 0 && now > d.SendBy }},
		{Cause: "unsent", Stage: StageSent, Side: SideSender, Owner: clerk,
			Text: "Đã ký số cơ quan nhưng chưa gửi", TextEN: "Sealed, not sent",
			Act: "Gửi trước trưa ngày làm việc tiếp theo", ActEN: "Send before noon of the next working day",
			document: func(*rateDocument, int64) bool { return true }},
	}
	for i := range list {
		list[i].Of = OfDocument
	}
	return list
}

func deliveryCauses() []RateCause {
	const clerk, admin = registry.RoleClerk, registry.RoleAdministrator
	failed := func(kind string) func(*rateDelivery, int64) bool {
		return func(v *rateDelivery, _ int64) bool {
			return v.Failure == kind && (v.State == deliveryRetrying || v.State == deliveryFailed)
		}
	}
	list := []RateCause{
		{Cause: "paper", Stage: StageSent, Side: SideSender, Owner: clerk,
			Text: "Chỉ gửi bản giấy", TextEN: "Sent on paper only",
			Act: "Gửi bản điện tử; xem nguyên nhân ở văn bản", ActEN: "Send it electronically; the document has the reason",
			delivery: func(v *rateDelivery, _ int64) bool { return v.State == deliveryPaper }},
		{Cause: "recalled", Stage: StageArrived, Side: SideSender, Owner: clerk,
			Text: "Đã lấy lại", TextEN: "Recalled",
			Act: "Gửi bản thay thế nếu có", ActEN: "Send what replaces it, if anything does",
			delivery: func(v *rateDelivery, _ int64) bool { return v.Status == StatusRecallAgreed || v.State == deliveryTaken }},
		{Cause: "signature-invalid", Stage: StageArrived, Side: SideSender, Owner: clerk,
			Text: "Chữ ký số không hợp lệ khi đến, hệ thống nơi nhận trả lại", TextEN: "The signature was not valid on arrival; returned at the door",
			Act: "Ký số lại rồi gửi bản mới", ActEN: "Sign again and send a new one",
			delivery: func(v *rateDelivery, _ int64) bool { return v.Status == StatusRefused && v.flags&rateAtDoor != 0 }},
		{Cause: "refused", Stage: StageArrived, Side: SideSender, Owner: clerk,
			Text: "Nơi nhận từ chối, trả lại", TextEN: "Refused by the recipient",
			Act: "Xem lý do trả lại, sửa rồi gửi lại", ActEN: "See the reason, mend it and send again",
			delivery: func(v *rateDelivery, _ int64) bool { return v.Status == StatusRefused }},
		{Cause: "recipient-inactive", Stage: StageArrived, Side: SideSender, Owner: clerk,
			Text: "Nơi nhận đã ngừng hoạt động", TextEN: "The recipient is closed",
			Act: "Gửi cho cơ quan kế thừa", ActEN: "Send to the successor", delivery: failed(failInactive)},
		{Cause: "no-channel", Stage: StageArrived, Side: SideRecipient, Owner: admin,
			Text: "Chưa có kênh tới nơi nhận", TextEN: "There is no channel to the recipient",
			Act: "Khai báo kênh của nơi nhận, rồi gửi lại", ActEN: "Enter the recipient's channel, then send again", delivery: failed(failChannel)},
		{Cause: "recipient-certificate", Stage: StageArrived, Side: SideRecipient, Owner: admin,
			Text: "Chứng thư của nơi nhận hết hạn hoặc chưa đăng ký, không ký được biên nhận", TextEN: "The recipient's certificate has expired or is missing; no receipt can be signed",
			Act: "Gia hạn chứng thư của nơi nhận", ActEN: "Renew the recipient's certificate", delivery: failed(failCertificate)},
		{Cause: "content-conflict", Stage: StageArrived, Side: SideSender, Owner: clerk,
			Text: "Nơi nhận đã có nội dung khác cùng mã văn bản", TextEN: "The recipient has other content under the same id",
			Act: "Phát hành bản mới như một văn bản khác", ActEN: "Issue the new content as another document", delivery: failed(failConflict)},
		{Cause: "file-damaged", Stage: StageArrived, Side: SideSender, Owner: admin,
			Text: "Tệp lưu trữ hỏng hoặc mất", TextEN: "The stored file is damaged or gone",
			Act: "Chạy vanthu check, khôi phục tệp từ bản sao lưu, rồi gửi lại", ActEN: "Run vanthu check, restore the file from the backup, then send again", delivery: failed(failFile)},
		{Cause: "unreachable", Stage: StageArrived, Side: SideRecipient, Owner: admin,
			Text: "Không kết nối được với hệ thống của nơi nhận", TextEN: "The recipient's system cannot be reached",
			Act: "Liên hệ quản trị của nơi nhận; gửi lại khi có kết nối", ActEN: "Call the recipient's administrator; send again when it is back", delivery: failed(failUnreachable)},
		{Cause: "failed", Stage: StageArrived, Side: SideSender, Owner: admin,
			Text: "Không chuyển được, đã thôi thử lại", TextEN: "Not delivered, given up",
			Act: "Xem lỗi ở lượt gửi, khắc phục rồi gửi lại", ActEN: "See the delivery's error, mend it and send again",
			delivery: func(v *rateDelivery, _ int64) bool { return v.State == deliveryFailed }},
		{Cause: "retrying", Stage: StageArrived, Side: SideSender,
			Text: "Chuyển lỗi, hệ thống đang thử lại", TextEN: "Failed, being tried again",
			Act: "Chờ; hệ thống tự thử lại", ActEN: "Wait; the hub tries again",
			delivery: func(v *rateDelivery, _ int64) bool { return v.State == deliveryRetrying }},
		{Cause: "unanswered", Stage: StageArrived, Side: SideRecipient, Owner: admin,
			Text: "Kênh đã nhận chuyển, nơi nhận chưa lấy văn bản về", TextEN: "The channel has it, the recipient has not fetched it",
			Act: "Liên hệ nơi nhận để lấy văn bản từ kênh", ActEN: "Call the recipient to fetch it from the channel",
			delivery: func(v *rateDelivery, _ int64) bool { return v.State == deliveryCarried }},
		{Cause: "stalled", Stage: StageArrived, Side: SideSender, Owner: admin,
			Text: "Chờ chuyển quá lâu, công việc nền đã dừng", TextEN: "Waiting too long: its job is dead or the queue stands still",
			Act: "Khởi động lại hệ thống, xem nhật ký công việc", ActEN: "Restart the hub, look at the jobs' log",
			delivery: func(v *rateDelivery, now int64) bool {
				return v.State == deliveryWaiting && now-v.Since > stalledAfter.Microseconds()
			}},
		{Cause: "waiting", Stage: StageArrived, Side: SideSender,
			Text: "Đang chờ chuyển", TextEN: "Waiting for its turn",
			Act: "Chờ; hệ thống đang chuyển", ActEN: "Wait; the hub is at work",
			delivery: func(v *rateDelivery, _ int64) bool { return v.State == deliveryWaiting }},
		{Cause: "unregistered", Stage: StageRegistered, Side: SideRecipient, Owner: clerk,
			Text: "Đã đến nhưng nơi nhận chưa vào sổ", TextEN: "Arrived, not registered by the recipient",
			Act: "Văn thư nơi nhận vào sổ văn bản đến", ActEN: "The recipient's clerk registers it",
			delivery: func(*rateDelivery, int64) bool { return true }},
	}
	for i := range list {
		list[i].Of = OfDelivery
	}
	return list
}
