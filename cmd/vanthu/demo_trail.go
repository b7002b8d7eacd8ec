package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/storage/archive"
	"vanthu/storage/blob"
	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

// demoRun is one run of the main job, each step checked before the next.
type demoRun struct {
	app    *app
	hub    *Hub
	json   bool
	source []byte // a PDF of the user's own; nil: one is written
	began  time.Time

	province province
	officer  *apiClient
	leader   *apiClient
	clerk    *apiClient
	document *exchange.Document
	pdf      []byte // as it was sent
	sealed   archiveFigures
}

// archiveFigures is what the demonstration found in the archive.
type archiveFigures struct {
	Digest        string   `json:"digest"`
	Bytes         int64    `json:"bytes"`
	Files         []string `json:"files"`
	Store         string   `json:"store"`
	Locked        bool     `json:"locked"` // the store itself says that the package cannot be deleted
	LockedUntil   string   `json:"locked_until,omitempty"`
	ReadBackEqual bool     `json:"read_back_equal"`
}

// trail is the main job, in order.
func (r *demoRun) trail() error {
	ctx, cancel := context.WithTimeoutCause(r.app.ctx, demoDeadline, fmt.Errorf("not done within %s", demoDeadline))
	defer cancel()
	for _, step := range []func(context.Context) error{
		r.settle, r.draft, r.signByPeople, r.numberAndSeal, r.judge, r.send, r.arrive, r.work, r.collectReceipts, r.archived, r.logged, r.mail, r.rate,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *demoRun) settle(ctx context.Context) error {
	r.province = plannedProvince(r.hub.config.Domain)
	bars := newProgress(r.app.stderr, 3*len(r.province.offices()), "province")
	if err := r.province.settle(ctx, r.hub, bars.step); err != nil {
		return err
	}
	bars.done()
	var err error
	sender, client := r.province.sender, httpClient()
	if r.officer, err = login(ctx, r.hub.baseURL(), client, sender.officer.Login, sender.officer.password); err != nil {
		return err
	}
	if r.leader, err = login(ctx, r.hub.baseURL(), client, sender.leader.Login, sender.leader.password); err != nil {
		return err
	}
	if r.clerk, err = login(ctx, r.hub.baseURL(), client, sender.clerk.Login, sender.clerk.password); err != nil {
		return err
	}
	return r.say("province", fmt.Sprintf("%s và %d cơ quan nhận, %d tài khoản thư", sender.agency.Name, len(r.province.receivers), 4*len(r.province.offices())+1), nil)
}

func (r *demoRun) draft(ctx context.Context) error {
	source := r.source
	subject := "Về việc gửi, nhận văn bản điện tử có ký số giữa các cơ quan trong tỉnh"
	if source == nil {
		sender := r.province.sender
		recipients := []string{"Như trên"}
		for _, o := range r.province.receivers {
			recipients = append(recipients, o.agency.Name)
		}
		var err error
		source, err = paper{
			Agency: []string{"ỦY BAN NHÂN DÂN", "TỈNH " + strings.ToUpper(provinceName)},
			Type:   "THÔNG BÁO", Subject: subject, Date: time.Now().In(vietnam()),
			Body: []string{
				"Thực hiện quy định về công tác văn thư và về việc gửi, nhận văn bản điện tử giữa các cơ quan trong hệ thống hành chính nhà nước, Ủy ban nhân dân tỉnh đề nghị các cơ quan, đơn vị gửi, nhận văn bản điện tử có ký số trên hệ thống, không gửi kèm bản giấy, trừ trường hợp pháp luật có quy định khác.",
				"Văn bản đến được kiểm tra chữ ký số trước khi tiếp nhận, vào sổ trong ngày; kết quả xử lý được phản hồi cho cơ quan gửi qua hệ thống.",
				"Đề nghị các cơ quan, đơn vị triển khai thực hiện và báo cáo kết quả theo quy định.",
			},
			Position: sender.leader.Position, Name: sender.leader.Name, Recipients: recipients,
		}.write()
		if err != nil {
			return err
		}
	}
	doc, err := r.officer.draft(ctx, map[string]string{
		"type": "TB", "subject": subject, "notation": "TB-UBND",
		"signer_name": r.province.sender.leader.Name, "signer_position": r.province.sender.leader.Position,
	}, source)
	if err != nil {
		return err
	}
	r.document = doc
	return r.say("draft", fmt.Sprintf("%s trình dự thảo, PDF %d byte, SHA-256 %.16s…", r.province.sender.officer.Name, doc.PDF.Size, doc.PDF.Digest), doc)
}

func (r *demoRun) signByPeople(ctx context.Context) error {
	first, err := specimenSignature(1)
	if err != nil {
		return err
	}
	second, err := specimenSignature(2)
	if err != nil {
		return err
	}
	sender := r.province.sender
	if err := r.sign(ctx, r.officer, "initial", signRequest{Step: exchange.StepInitial, Passphrase: sender.officer.pin, Image: first}, 1); err != nil {
		return err
	}
	return r.sign(ctx, r.leader, "approve", signRequest{Step: exchange.StepApprove, Passphrase: sender.leader.pin, Image: second}, 2)
}

func (r *demoRun) sign(ctx context.Context, by *apiClient, step string, request signRequest, want int) error {
	out, err := by.sign(ctx, r.document.ID, request)
	if err != nil {
		return err
	}
	if out.Report == nil || out.Report.Integrity != signing.Intact || len(out.Report.Signatures) != want {
		return fmt.Errorf("%s: the verdict is not %d intact signatures: %+v", step, want, out.Report)
	}
	*r.document = out.Document
	last := out.Report.Signatures[want-1]
	return r.say(step, fmt.Sprintf("%s ký (%s, %s), kiểm tra lại: %s", last.Signer, last.Level, last.Algorithm, last.Indication), last)
}

func (r *demoRun) numberAndSeal(ctx context.Context) error {
	doc, err := r.clerk.number(ctx, r.document.ID)
	if err != nil {
		return err
	}
	*r.document = *doc
	if err := r.say("number", "cấp số "+doc.Code(), doc); err != nil {
		return err
	}
	seal, err := specimenSeal()
	if err != nil {
		return err
	}
	return r.sign(ctx, r.clerk, "seal", signRequest{Step: exchange.StepSeal, Passphrase: r.province.sender.sealPIN, Image: seal}, 3)
}

// judge looks at the sealed file as a stranger would: bytes from the API, nothing but the trusted roots.
func (r *demoRun) judge(ctx context.Context) error {
	if err := r.clerk.get(ctx, "/documents/"+string(r.document.ID)+"/pdf", &r.pdf); err != nil {
		return err
	}
	report, err := signing.VerifyPDF(ctx, bytes.NewReader(r.pdf), int64(len(r.pdf)), r.hub.verifyOptions())
	if err != nil {
		return err
	}
	if report.Verdict != signing.TotalPassed {
		return fmt.Errorf("the sealed document is %s: %s", report.Verdict, report.Sentence("en"))
	}
	signers := make([]string, 0, len(report.Signatures))
	keys := make(map[string]bool)
	for _, s := range report.Signatures {
		signers = append(signers, s.Signer)
		keys[s.Fingerprint] = true
	}
	if len(keys) != 3 {
		return fmt.Errorf("want three signatures by three keys, got %d keys", len(keys))
	}
	return r.say("verify", fmt.Sprintf("%s: %s", report.Verdict, strings.Join(signers, " → ")), report)
}

func (r *demoRun) send(ctx context.Context) error {
	var to []registry.AgencyID
	for _, o := range r.province.receivers {
		to = append(to, o.agency.ID)
	}
	out, err := r.clerk.send(ctx, r.document.ID, to)
	if err != nil {
		return err
	}
	if len(out.Deliveries) != len(to) {
		return fmt.Errorf("%d deliveries for %d recipients", len(out.Deliveries), len(to))
	}
	*r.document = out.Document
	return r.say("send", fmt.Sprintf("%s gửi %d cơ quan", out.Document.Code(), len(to)), out.Deliveries)
}

// waitStatus waits until every delivery shows the status at the sender.
func (r *demoRun) waitStatus(ctx context.Context, status exchange.Status) ([]exchange.Delivery, error) {
	var list []exchange.Delivery
	err := poll(ctx, "status "+string(status)+" of every delivery", func() (bool, error) {
		var err error
		list, err = r.clerk.deliveries(ctx, r.document.ID)
		return err == nil && !slices.ContainsFunc(list, func(d exchange.Delivery) bool { return d.Status != status }), err
	})
	return list, err
}

func (r *demoRun) arrive(ctx context.Context) error {
	list, err := r.waitStatus(ctx, exchange.StatusArrived)
	if err != nil {
		return err
	}
	return r.say("arrived", fmt.Sprintf("01 đã đến: %d/%d, chữ ký đã kiểm tra khi đến", len(list), len(r.province.receivers)), list)
}

// receiverDesk is one receiving agency at work on the document.
type receiverDesk struct {
	office                 *office
	clerk, leader, officer *apiClient
	incoming               exchange.IncomingID
}

// openDesks logs the receivers in and finds the document in each register of arrivals: once, with a good verdict.
func (r *demoRun) openDesks(ctx context.Context) ([]receiverDesk, error) {
	client := httpClient()
	desks := make([]receiverDesk, len(r.province.receivers))
	for i := range desks {
		o := &r.province.receivers[i]
		desk := receiverDesk{office: o}
		for _, seat := range []struct {
			who  person
			into **apiClient
		}{{o.clerk, &desk.clerk}, {o.leader, &desk.leader}, {o.officer, &desk.officer}} {
			var err error
			if *seat.into, err = login(ctx, r.hub.baseURL(), client, seat.who.Login, seat.who.password); err != nil {
				return nil, err
			}
		}
		found, err := desk.clerk.incoming(ctx, "&status=01")
		if err != nil {
			return nil, err
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("%s: the incoming document is there %d times", o.agency.ID, len(found))
		}
		var in exchange.Incoming
		if err := desk.clerk.get(ctx, "/incoming/"+string(found[0].ID), &in); err != nil {
			return nil, err
		}
		if in.Report == nil || in.Report.Verdict != signing.TotalPassed {
			return nil, fmt.Errorf("%s: the incoming document has no good verdict", o.agency.ID)
		}
		desk.incoming = in.ID
		desks[i] = desk
	}
	return desks, nil
}

// work lets each receiver register, assign, work on and finish the document; each status travels back.
func (r *demoRun) work(ctx context.Context) error {
	desks, err := r.openDesks(ctx)
	if err != nil {
		return err
	}
	for _, act := range []struct {
		name, text string
		status     exchange.Status
		who        func(receiverDesk) *apiClient
		body       func(receiverDesk) any
	}{
		{"register", "03 đã tiếp nhận, vào sổ", exchange.StatusRegistered, func(d receiverDesk) *apiClient { return d.clerk }, nil},
		{"assign", "04 đã phân công", exchange.StatusAssigned, func(d receiverDesk) *apiClient { return d.leader }, func(d receiverDesk) any {
			return map[string]string{"person": string(d.office.officer.ID), "note": "Chuyển xử lý theo thẩm quyền"}
		}},
		{"process", "05 đang xử lý", exchange.StatusProcessing, func(d receiverDesk) *apiClient { return d.officer }, nil},
		{"finish", "06 hoàn thành", exchange.StatusFinished, func(d receiverDesk) *apiClient { return d.officer }, nil},
	} {
		var numbers []string
		for _, desk := range desks {
			var body any
			if act.body != nil {
				body = act.body(desk)
			}
			in, err := act.who(desk).act(ctx, desk.incoming, act.name, body)
			if err != nil {
				return err
			}
			numbers = append(numbers, fmt.Sprintf("%s: số đến %d", desk.office.agency.ID, in.ArrivalNumber))
		}
		list, err := r.waitStatus(ctx, act.status)
		if err != nil {
			return err
		}
		if err := r.say(act.name, act.text+", đã báo về nơi gửi ("+strings.Join(numbers, ", ")+")", list); err != nil {
			return err
		}
	}
	return nil
}

func (r *demoRun) collectReceipts(ctx context.Context) error {
	list, err := r.clerk.receipts(ctx, r.document.ID)
	if err != nil {
		return err
	}
	want := 5 * len(r.province.receivers)
	if len(list) != want {
		return fmt.Errorf("%d receipts, want %d", len(list), want)
	}
	for _, receipt := range list {
		report, err := signing.VerifyDetached(ctx, bytes.NewReader(receipt.Body), receipt.Signature, r.hub.verifyOptions())
		if err != nil {
			return fmt.Errorf("receipt %s: %w", receipt.ID, err)
		}
		if report.Verdict != signing.TotalPassed {
			return fmt.Errorf("receipt %s is %s: %s", receipt.ID, report.Verdict, report.Sentence("en"))
		}
	}
	return r.say("receipts", fmt.Sprintf("%d biên nhận có chữ ký, tất cả hợp lệ", len(list)), nil)
}

// archived waits for the package, reads it back from its store and compares the document in it with the one sent.
func (r *demoRun) archived(ctx context.Context) error {
	err := poll(ctx, "the archive", func() (bool, error) {
		doc, err := r.clerk.document(ctx, r.document.ID)
		if err == nil {
			*r.document = *doc
		}
		return err == nil && !doc.Archived.IsZero(), err
	})
	if err != nil {
		return err
	}
	contents, err := archive.Open(ctx, r.hub.Store.Archive, r.document.Package.Digest)
	if err != nil {
		return fmt.Errorf("read the package back: %w", err)
	}
	equal := false
	figures := archiveFigures{Digest: string(r.document.Package.Digest), Bytes: r.document.Package.Size}
	for name, data := range contents.Files {
		figures.Files = append(figures.Files, name)
		equal = equal || blob.Sum(data) == r.document.PDF.Digest && bytes.Equal(data, r.pdf)
	}
	slices.Sort(figures.Files)
	can := r.hub.Store.Archive.Capabilities()
	figures.Store, figures.ReadBackEqual = can.Name, equal
	if err := figures.readLock(ctx, r.hub.Store.Archive, can.ObjectLock); err != nil {
		return err
	}
	r.sealed = figures
	if !equal {
		return errors.New("the package does not hold the document as it was sent")
	}
	return r.say("archive", fmt.Sprintf("gói lưu trữ %.16s… (%d tệp, %d byte, %s), đọc lại giống hệt", figures.Digest, len(figures.Files), figures.Bytes, figures.Store), figures)
}

// locker is an archive that can say until when a package is locked.
type locker interface {
	Retained(ctx context.Context, d blob.Digest) (time.Time, error)
}

// readLock asks the store for the lock of the package; a store that can lock must have done so.
func (f *archiveFigures) readLock(ctx context.Context, store blob.Backend, can bool) error {
	asked, ok := store.(locker)
	if !ok || !can {
		return nil
	}
	until, err := asked.Retained(ctx, blob.Digest(f.Digest))
	if err != nil {
		return fmt.Errorf("read the lock of the package: %w", err)
	}
	if !until.After(time.Now()) {
		return errors.New("the package is in a store that can lock, and is not locked")
	}
	f.Locked, f.LockedUntil = true, until.UTC().Format(time.RFC3339)
	return nil
}

// logged proves one entry of the evidence log with nothing but the log's public key.
func (r *demoRun) logged(ctx context.Context) error {
	if _, err := r.hub.Store.Ledger.Sequence(ctx); err != nil {
		return err
	}
	var records []ledger.Record
	err := r.hub.Store.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		records, err = r.hub.Store.Ledger.Entries(ctx, tx, string(r.document.ID))
		return err
	})
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return errors.New("no evidence of the document in the log")
	}
	for _, record := range records {
		proof, err := r.hub.Store.Ledger.Prove(ctx, record.ID)
		if err != nil {
			return fmt.Errorf("prove entry %s: %w", record.ID, err)
		}
		if err := ledger.VerifyProof(r.hub.Store.Ledger.VerifierKey(), proof); err != nil {
			return fmt.Errorf("proof of entry %s: %w", record.ID, err)
		}
	}
	return r.say("log", fmt.Sprintf("%d bằng chứng trong nhật ký Merkle, mỗi bằng chứng có chứng minh hợp lệ", len(records)), nil)
}

// mail reads the notification in each official account over IMAP, and sends a message between two people.
func (r *demoRun) mail(ctx context.Context) error {
	secure := clientTLS(r.hub.identity.authority.Certificate())
	for _, o := range r.province.receivers {
		if err := r.awaitMail(ctx, o.agency.Mail, o.clerk.password, r.document.Code()); err != nil {
			return err
		}
	}
	if err := r.say("mail", fmt.Sprintf("thư báo có trong %d hộp thư công vụ (IMAP)", len(r.province.receivers)), nil); err != nil {
		return err
	}
	from, to := r.province.sender.clerk, r.province.receivers[0].clerk
	subject := "Trao đổi về văn bản " + r.document.Code()
	if err := submitMail(ctx, r.hub.address("submission"), secure, from.Mail, from.password, []string{to.Mail}, subject,
		"Kính gửi anh/chị,\n\nVăn bản đã được gửi trên hệ thống. Trân trọng."); err != nil {
		return fmt.Errorf("submit mail: %w", err)
	}
	if err := r.awaitMail(ctx, to.Mail, to.password, subject); err != nil {
		return err
	}
	return r.say("mail", fmt.Sprintf("%s → %s: đã đến (SMTP, IMAP)", from.Mail, to.Mail), nil)
}

func (r *demoRun) awaitMail(ctx context.Context, address, password, subject string) error {
	session, err := dialIMAP(ctx, r.hub.address("imap-tls"), clientTLS(r.hub.identity.authority.Certificate()), address, password)
	if err != nil {
		return err
	}
	err = poll(ctx, "mail in "+address, func() (bool, error) {
		subjects, err := session.subjects()
		return slices.ContainsFunc(subjects, func(s string) bool { return strings.Contains(s, subject) }), err
	})
	return errors.Join(err, session.logout())
}

// demoSummary is the last line of the trail.
type demoSummary struct {
	Step      string         `json:"step"`
	OK        bool           `json:"ok"`
	Rate      float64        `json:"rate"`
	Archive   archiveFigures `json:"archive"`
	Addresses []Address      `json:"addresses"`
	Console   string         `json:"console"`
	Seconds   float64        `json:"seconds"`
}

func (r *demoRun) rate(ctx context.Context) error {
	today := time.Now().In(vietnam()).Format(time.DateOnly)
	var stats exchange.Stats
	if err := r.clerk.get(ctx, "/stats?from="+today+"&to="+today, &stats); err != nil {
		return err
	}
	if err := r.say("rate", fmt.Sprintf("tỷ lệ điện tử %.0f %% (%d/%d văn bản; %d/%d lượt gửi hoàn thành)",
		100*stats.Rate, stats.Electronic, stats.Population, stats.Completed, stats.Deliveries), stats); err != nil {
		return err
	}
	if !r.json {
		return nil
	}
	return r.sayJSON(demoSummary{
		Step: "summary", OK: true, Rate: stats.Rate, Archive: r.sealed, Addresses: r.hub.addresses, Console: r.hub.baseURL(), Seconds: time.Since(r.began).Seconds(),
	})
}
