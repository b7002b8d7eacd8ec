package exchange

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/exchange/sheet"
	"vanthu/storage/sqldb"
)

// Book is a register or report that an agency prints (NĐ 30/2020 Điều 16.2.b and
// 22.3.b: a register kept in a system must print with all its contents).
type Book string

// The books. The columns of the registers are those of NĐ 30/2020 Phụ lục IV; for
// the two reports (Phụ lục VI I.V) the decree gives no form, the columns are ours.
const (
	BookOutgoing         Book = "out"        // sổ đăng ký văn bản đi, 10 columns
	BookIncoming         Book = "in"         // sổ đăng ký văn bản đến, 10 columns
	BookFollowUp         Book = "followup"   // sổ theo dõi giải quyết văn bản đến, 7 columns
	BookHandlingIncoming Book = "report-in"  // báo cáo tình hình giải quyết văn bản đến
	BookHandlingOutgoing Book = "report-out" // báo cáo tình hình giải quyết văn bản đi
)

// Books are all books.
func Books() []Book {
	return []Book{BookOutgoing, BookIncoming, BookFollowUp, BookHandlingIncoming, BookHandlingOutgoing}
}

// BookQuery says which book. The year is that of the numbers; From and To (the
// day after the last) narrow it to a period by date of issue or arrival, zero =
// the whole year.
type BookQuery struct {
	Book     Book
	Year     int
	From, To time.Time
}

// Holds tells whether a time is within the period asked for.
func (q BookQuery) Holds(t time.Time) bool {
	return (q.From.IsZero() || !t.Before(q.From)) && (q.To.IsZero() || t.Before(q.To))
}

// period says in words what the book covers.
func (q BookQuery) period() string {
	if q.From.IsZero() && q.To.IsZero() {
		return fmt.Sprintf("Năm %d", q.Year)
	}
	from, to := q.From, q.To
	if from.IsZero() {
		from = time.Date(q.Year, time.January, 1, 0, 0, 0, 0, Vietnam())
	}
	if to.IsZero() {
		to = time.Date(q.Year+1, time.January, 1, 0, 0, 0, 0, Vietnam())
	}
	const day = "02/01/2006"
	return "Từ ngày " + from.In(Vietnam()).Format(day) + " đến hết ngày " + to.Add(-time.Microsecond).In(Vietnam()).Format(day)
}

// FollowUpEntry is one line of the follow-up register (sổ theo dõi giải quyết văn
// bản đến; the column's number stands behind each field).
type FollowUpEntry struct {
	ArrivalNumber int        `json:"arrival_number"`    // 1 số đến
	Title         string     `json:"title"`             // 2 tên loại, số, ký hiệu, ngày, tháng và cơ quan ban hành
	Handler       string     `json:"handler"`           // 3 đơn vị hoặc người nhận: who leads
	CoHandlers    []string   `json:"co_handlers"`       // 3 and who takes part
	Due           time.Time  `json:"due,omitzero"`      // 4 thời hạn giải quyết, a day
	Progress      string     `json:"progress"`          // 5 tiến độ giải quyết
	Answer        string     `json:"answer"`            // 6 số, ký hiệu văn bản trả lời
	Note          string     `json:"note"`              // 7 ghi chú
	Arrived       time.Time  `json:"arrived"`           // when it was registered
	Finished      time.Time  `json:"finished,omitzero"` // when the work was done
	Overdue       bool       `json:"overdue"`           // the work goes on after the day it was due
	Late          bool       `json:"late"`              // the work was done after that day
	Incoming      IncomingID `json:"incoming"`
	Status        Status     `json:"status"`

	handler            registry.PersonID
	typ, code          string
	issued             time.Time
	sender, senderName string
	open               bool
}

// FollowUpRegister gives the agency's follow-up register of a year in the order
// of arrival numbers. Everyone of the agency may read it.
func (s *Service) FollowUpRegister(ctx context.Context, by registry.Actor, year int) ([]FollowUpEntry, error) {
	if err := checkYear(year); err != nil {
		return nil, err
	}
	var list []FollowUpEntry
	co := map[IncomingID][]registry.PersonID{}
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if list, err = selectFollowUp(ctx, tx, by.Agency, year); err != nil {
			return err
		}
		return eachCoHandler(ctx, tx, by.Agency, year, func(id IncomingID, p registry.PersonID) { co[id] = append(co[id], p) })
	})
	if err != nil {
		return nil, storageError("reading follow-up register", err)
	}
	now, names := s.clock(), s.namer(ctx)
	for i := range list {
		e := &list[i]
		e.Handler, e.CoHandlers = names.person(e.handler), []string{}
		for _, p := range co[e.Incoming] {
			e.CoHandlers = append(e.CoHandlers, names.person(p))
		}
		author := e.senderName
		if author == "" {
			author = names.agency(registry.AgencyID(e.sender))
		}
		e.Title = fmt.Sprintf("%s số %s ngày %s của %s", typeName(e.typ), e.code, e.issued.In(Vietnam()).Format("02/01/2006"), author)
		e.progress(now)
	}
	return list, nil
}

// progress says in words where the work stands.
func (e *FollowUpEntry) progress(now time.Time) {
	e.Overdue = e.open && pastDue(e.Due, now)
	e.Late = !e.open && !e.Finished.IsZero() && pastDue(e.Due, e.Finished)
	e.Progress = e.Status.In("vi")
	switch {
	case e.open && e.Status == StatusFinished:
		e.Progress = "Đang xử lý lại"
	case e.Status == StatusFinished:
		e.Progress = "Hoàn thành ngày " + e.Finished.In(Vietnam()).Format("02/01/2006")
	}
	if e.Overdue {
		e.Progress += " – quá hạn"
	} else if e.Late {
		e.Progress += " – quá hạn"
	}
}

// pastDue tells whether the day by which something is due has gone.
func pastDue(due, at time.Time) bool {
	return !due.IsZero() && !at.Before(dateOf(due).AddDate(0, 0, 1))
}

// typeName gives the name of a type as registers write it, what is not one of the
// 29 as it came.
func typeName(code string) string {
	if t, ok := DocTypeOf(code); ok {
		return strings.TrimSuffix(t.Name, " (cá biệt)")
	}
	return code
}

// namer gives names from the registry, each asked for once.
type namer struct {
	ctx      context.Context
	reg      *registry.Registry
	agencies map[registry.AgencyID]string
	people   map[registry.PersonID]string
}

func (s *Service) namer(ctx context.Context) *namer {
	return &namer{ctx, s.reg, map[registry.AgencyID]string{}, map[registry.PersonID]string{}}
}

// agency gives an agency's name as it is now, its code when it is not known.
func (n *namer) agency(id registry.AgencyID) string {
	if name, ok := n.agencies[id]; ok {
		return name
	}
	name := string(id)
	if a, err := n.reg.Agency(n.ctx, id); err == nil {
		name = a.Name
	}
	n.agencies[id] = name
	return name
}

func (n *namer) person(id registry.PersonID) string {
	if id == "" {
		return ""
	}
	if name, ok := n.people[id]; ok {
		return name
	}
	name := string(id)
	if p, err := n.reg.Person(n.ctx, id); err == nil {
		name = p.Name
	}
	n.people[id] = name
	return name
}

// Book makes a register or report of the actor's agency, ready to be written as
// PDF, XLSX or CSV. Everyone of the agency may read it.
func (s *Service) Book(ctx context.Context, by registry.Actor, q BookQuery) (*sheet.Paper, error) {
	if err := checkYear(q.Year); err != nil {
		return nil, err
	}
	p, err := s.letterhead(ctx, by)
	if err != nil {
		return nil, err
	}
	p.Subtitle = []string{q.period()}
	switch q.Book {
	case BookOutgoing:
		return p, s.outgoingBook(ctx, by, q, p)
	case BookIncoming:
		return p, s.incomingBook(ctx, by, q, p)
	case BookFollowUp:
		return p, s.followUpBook(ctx, by, q, p)
	case BookHandlingIncoming:
		return p, s.handlingIncoming(ctx, by, q, p)
	case BookHandlingOutgoing:
		return p, s.handlingOutgoing(ctx, by, q, p)
	}
	return nil, failf(KindInvalid, "Không có sổ %q.", "There is no register %q.", string(q.Book)).
		Advise("Chọn out, in, followup, report-in hoặc report-out.", "Choose out, in, followup, report-in or report-out.")
}

// letterhead begins a paper of the actor's agency.
func (s *Service) letterhead(ctx context.Context, by registry.Actor) (*sheet.Paper, error) {
	a, err := s.reg.Agency(ctx, by.Agency)
	if err != nil {
		return nil, err
	}
	p := &sheet.Paper{Agency: a.Name, Place: a.Place, Made: s.clock()}
	if a.Parent != "" {
		p.Superior = s.namer(ctx).agency(a.Parent)
	}
	return p, nil
}

// numbers is the line of a register's first page that says what it holds.
func numbers(from, to int) string { return fmt.Sprintf("Từ số %02d đến số %02d", from, to) }

func (s *Service) outgoingBook(ctx context.Context, by registry.Actor, q BookQuery, p *sheet.Paper) error {
	list, err := s.OutgoingRegister(ctx, by, q.Year)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(e OutgoingEntry) bool { return !q.Holds(e.Issued) })
	names := s.namer(ctx)
	t := &sheet.Table{Numbered: true, Empty: "Không có văn bản đi.", Columns: []sheet.Column{
		{Title: "Số, ký hiệu văn bản", Width: 33},
		{Title: "Ngày tháng văn bản", Width: 20, Align: sheet.Center, Kind: sheet.Date},
		{Title: "Tên loại và trích yếu nội dung văn bản"},
		{Title: "Người ký", Width: 30},
		{Title: "Nơi nhận văn bản", Width: 34},
		{Title: "Đơn vị, người nhận bản lưu", Width: 20},
		{Title: "Số lượng bản", Width: 12, Align: sheet.Center, Kind: sheet.Count},
		{Title: "Ngày chuyển", Width: 20, Align: sheet.Center, Kind: sheet.Date},
		{Title: "Ký nhận", Width: 16, Align: sheet.Center},
		{Title: "Ghi chú", Width: 20},
	}}
	for i := range list {
		e := &list[i]
		to := make([]string, 0, len(e.Recipients))
		for _, r := range e.Recipients {
			to = append(to, names.agency(registry.AgencyID(r)))
		}
		note, copies, signed := e.Note, any(e.Copies), ""
		if e.Cancelled {
			note = strings.TrimSuffix("Hủy số: "+e.Note, ": ")
		}
		if e.Copies == 0 {
			copies = nil
		} else if e.SignedFor != "" {
			signed = e.SignedFor + " nơi nhận"
		}
		t.Rows = append(t.Rows, sheet.Row{Struck: e.Cancelled, Cells: []any{e.Code, e.Issued, e.Title, e.Signer, strings.Join(to, "; "), e.KeptBy, copies, e.Sent, signed, note}})
	}
	p.Title = "SỔ ĐĂNG KÝ VĂN BẢN ĐI"
	if len(list) > 0 {
		p.Subtitle = append(p.Subtitle, numbers(list[0].Number, list[len(list)-1].Number))
	}
	p.Parts = []sheet.Part{{Name: "Văn bản đi", Table: t, Notes: []string{
		"Số bị hủy được gạch ngang, lý do ghi ở cột 10. Cột 9: số nơi nhận đã có biên nhận điện tử được ký số trên tổng số nơi nhận."}}}
	return nil
}

func (s *Service) incomingBook(ctx context.Context, by registry.Actor, q BookQuery, p *sheet.Paper) error {
	list, err := s.IncomingRegister(ctx, by, q.Year)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(e IncomingEntry) bool { return !q.Holds(e.Arrived) })
	t := &sheet.Table{Numbered: true, Empty: "Không có văn bản đến.", Columns: []sheet.Column{
		{Title: "Ngày đến", Width: 20, Align: sheet.Center, Kind: sheet.Date},
		{Title: "Số đến", Width: 12, Align: sheet.Center},
		{Title: "Tác giả", Width: 32},
		{Title: "Số, ký hiệu văn bản", Width: 28},
		{Title: "Ngày tháng văn bản", Width: 20, Align: sheet.Center, Kind: sheet.Date},
		{Title: "Tên loại và trích yếu nội dung văn bản"},
		{Title: "Đơn vị hoặc người nhận", Width: 26},
		{Title: "Ngày chuyển", Width: 20, Align: sheet.Center, Kind: sheet.Date},
		{Title: "Ký nhận", Width: 16},
		{Title: "Ghi chú", Width: 22},
	}}
	for i := range list {
		e := &list[i]
		note := e.Note
		if e.Medium == MediumPaper {
			note = strings.TrimSuffix("Bản giấy. "+note, ". ")
		}
		t.Rows = append(t.Rows, sheet.Row{Cells: []any{e.Arrived, fmt.Sprintf("%02d", e.ArrivalNumber), e.Author, e.Code, e.Issued, e.Title, e.Handler, e.Forwarded, e.SignedFor, note}})
	}
	p.Title = "SỔ ĐĂNG KÝ VĂN BẢN ĐẾN"
	if len(list) > 0 {
		p.Subtitle = append(p.Subtitle, numbers(list[0].ArrivalNumber, list[len(list)-1].ArrivalNumber))
	}
	p.Parts = []sheet.Part{{Name: "Văn bản đến", Table: t, Notes: []string{"Cột 9: người nhận đã mở văn bản trên hệ thống, với ngày mở."}}}
	return nil
}

func (s *Service) followUpBook(ctx context.Context, by registry.Actor, q BookQuery, p *sheet.Paper) error {
	list, err := s.FollowUpRegister(ctx, by, q.Year)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(e FollowUpEntry) bool { return !q.Holds(e.Arrived) })
	p.Title = "SỔ THEO DÕI GIẢI QUYẾT VĂN BẢN ĐẾN"
	if len(list) > 0 {
		p.Subtitle = append(p.Subtitle, numbers(list[0].ArrivalNumber, list[len(list)-1].ArrivalNumber))
	}
	p.Parts = []sheet.Part{{Name: "Theo dõi", Table: followUpTable(list)}}
	return nil
}

func followUpTable(list []FollowUpEntry) *sheet.Table {
	t := &sheet.Table{Numbered: true, Empty: "Không có văn bản đến.", Columns: []sheet.Column{
		{Title: "Số đến", Width: 16, Align: sheet.Center},
		{Title: "Tên loại, số, ký hiệu, ngày, tháng và tên cơ quan, tổ chức ban hành văn bản"},
		{Title: "Đơn vị hoặc người nhận", Width: 45},
		{Title: "Thời hạn giải quyết", Width: 22, Align: sheet.Center, Kind: sheet.Date},
		{Title: "Tiến độ giải quyết", Width: 38},
		{Title: "Số, ký hiệu văn bản trả lời", Width: 32},
		{Title: "Ghi chú", Width: 32},
	}}
	for i := range list {
		e := &list[i]
		handlers := e.Handler
		if len(e.CoHandlers) > 0 {
			handlers += "\nPhối hợp: " + strings.Join(e.CoHandlers, ", ")
		}
		t.Rows = append(t.Rows, sheet.Row{Cells: []any{fmt.Sprintf("%02d", e.ArrivalNumber), e.Title, handlers, e.Due, e.Progress, e.Answer, e.Note}})
	}
	return t
}

// handled counts the work of one person.
type handled struct {
	name                             string
	all, inTime, late, open, overdue int
}

func (h *handled) add(e *FollowUpEntry) {
	h.all++
	switch {
	case e.Overdue:
		h.overdue++
	case e.open:
		h.open++
	case e.Late:
		h.late++
	default:
		h.inTime++
	}
}

func (h *handled) row(bold bool) sheet.Row {
	return sheet.Row{Bold: bold, Cells: []any{h.name, h.all, h.inTime, h.late, h.open, h.overdue, share(h.inTime, h.inTime+h.late+h.overdue)}}
}

// share gives part of whole; nil, an empty cell, when there is nothing to divide.
func share(part, whole int) any {
	if whole == 0 {
		return nil
	}
	return float64(part) / float64(whole)
}

// handlingIncoming is the báo cáo tình hình giải quyết văn bản đến: by who leads,
// then the overdue one by one.
func (s *Service) handlingIncoming(ctx context.Context, by registry.Actor, q BookQuery, p *sheet.Paper) error {
	list, err := s.FollowUpRegister(ctx, by, q.Year)
	if err != nil {
		return err
	}
	all, people := handled{name: "Tổng cộng"}, map[registry.PersonID]*handled{}
	var overdue []FollowUpEntry
	for i := range list {
		e := &list[i]
		if !q.Holds(e.Arrived) {
			continue
		}
		if e.Overdue {
			overdue = append(overdue, *e)
		}
		if people[e.handler] == nil {
			people[e.handler] = &handled{name: cmp.Or(e.Handler, "Chưa phân công")}
		}
		people[e.handler].add(e)
		all.add(e)
	}
	count := func(title string) sheet.Column {
		return sheet.Column{Title: title, Width: 27, Align: sheet.Right, Kind: sheet.Count}
	}
	t := &sheet.Table{Empty: "Không có văn bản đến.", Columns: []sheet.Column{{Title: "Đơn vị, người chủ trì"}, count("Văn bản đến"), count("Hoàn thành đúng hạn"),
		count("Hoàn thành quá hạn"), count("Đang xử lý, còn hạn"), count("Chưa xong, đã quá hạn"), {Title: "Tỷ lệ đúng hạn", Width: 27, Align: sheet.Right, Kind: sheet.Share}}}
	rows := make([]*handled, 0, len(people))
	for _, h := range people {
		rows = append(rows, h)
	}
	slices.SortFunc(rows, func(a, b *handled) int { return cmp.Compare(registry.Fold(a.name), registry.Fold(b.name)) })
	for _, h := range rows {
		t.Rows = append(t.Rows, h.row(false))
	}
	if len(rows) > 0 {
		t.Rows = append(t.Rows, all.row(true))
	}
	p.Title = "BÁO CÁO TÌNH HÌNH GIẢI QUYẾT VĂN BẢN ĐẾN"
	p.Parts = []sheet.Part{
		{Name: "Tổng hợp", Table: t, Notes: []string{"Văn bản không có thời hạn được tính là đúng hạn khi hoàn thành. Tỷ lệ đúng hạn = hoàn thành đúng hạn / (hoàn thành đúng hạn + hoàn thành quá hạn + chưa xong đã quá hạn)."}},
		{Name: "Quá hạn", Heading: "Văn bản đã quá hạn mà chưa giải quyết xong", Table: followUpTable(overdue)},
	}
	p.Parts[1].Table.Empty = "Không có văn bản quá hạn."
	p.Signatures = reportSignatures()
	return nil
}

func reportSignatures() []sheet.Signature {
	return []sheet.Signature{{Title: "NGƯỜI LẬP BIỂU", Hint: "(Ký, ghi rõ họ tên)"}, {Title: "THỦ TRƯỞNG CƠ QUAN", Hint: "(Ký, ghi rõ họ tên)"}}
}

// outgoingGroup counts the deliveries of sent documents of one type that stand alike.
type outgoingGroup struct {
	docType string
	status  Status
	count   int
}

// issuedLine counts the documents of one type and their deliveries.
type issuedLine struct {
	issued, cancelled, sent                                     int
	deliveries, waiting, arrived, registered, finished, refused int
}

func (l *issuedLine) issue(state State, n int) {
	l.issued += n
	switch state {
	case StateCancelled:
		l.cancelled += n
	case StateSent:
		l.sent += n
	}
}

func (l *issuedLine) deliver(g outgoingGroup) {
	l.deliveries += g.count
	switch g.status {
	case StatusNone:
		l.waiting += g.count
	case StatusRefused:
		l.refused += g.count
	case StatusFinished:
		l.finished += g.count
	case StatusRegistered, StatusAssigned, StatusProcessing:
		l.registered += g.count
	default:
		l.arrived += g.count
	}
}

// handlingOutgoing is the báo cáo tình hình giải quyết văn bản đi: by type, what
// was issued and what became of it at the recipients.
func (s *Service) handlingOutgoing(ctx context.Context, by registry.Actor, q BookQuery, p *sheet.Paper) error {
	from, to := q.From, q.To
	if from.IsZero() {
		from = time.Date(q.Year, time.January, 1, 0, 0, 0, 0, Vietnam())
	}
	if to.IsZero() {
		to = time.Date(q.Year+1, time.January, 1, 0, 0, 0, 0, Vietnam())
	}
	lines, all := map[string]*issuedLine{}, &issuedLine{}
	at := func(docType string) []*issuedLine {
		if lines[docType] == nil {
			lines[docType] = &issuedLine{}
		}
		return []*issuedLine{lines[docType], all}
	}
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		clear(lines)
		*all = issuedLine{}
		if err := countIssued(ctx, tx, by.Agency, from, to, func(docType string, state State, n int) {
			for _, l := range at(docType) {
				l.issue(state, n)
			}
		}); err != nil {
			return err
		}
		return countOutgoing(ctx, tx, by.Agency, from, to, func(g outgoingGroup) {
			for _, l := range at(g.docType) {
				l.deliver(g)
			}
		})
	})
	if err != nil {
		return storageError("counting outgoing documents", err)
	}
	t := &sheet.Table{Empty: "Không có văn bản đi.", Columns: []sheet.Column{{Title: "Loại văn bản"}}}
	for _, title := range []string{"Đã cấp số", "Hủy số", "Đã gửi", "Lượt nơi nhận", "Chưa đến nơi", "Đã đến, chờ vào sổ", "Đang giải quyết", "Đã hoàn thành", "Bị trả lại"} {
		t.Columns = append(t.Columns, sheet.Column{Title: title, Width: 22, Align: sheet.Right, Kind: sheet.Count})
	}
	add := func(name string, l *issuedLine, bold bool) {
		t.Rows = append(t.Rows, sheet.Row{Bold: bold, Cells: []any{name, l.issued, l.cancelled, l.sent, l.deliveries, l.waiting, l.arrived, l.registered, l.finished, l.refused}})
	}
	for _, known := range DocTypes() {
		if l := lines[known.Code]; l != nil {
			add(known.Name, l, false)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(lines)) {
		if _, known := DocTypeOf(code); !known {
			add(code, lines[code], false)
		}
	}
	if len(t.Rows) > 0 {
		add("Tổng cộng", all, true)
	}
	p.Title = "BÁO CÁO TÌNH HÌNH GIẢI QUYẾT VĂN BẢN ĐI"
	p.Parts = []sheet.Part{{Name: "Văn bản đi", Table: t, Notes: []string{"Tình trạng tại nơi nhận theo biên nhận điện tử được ký số của nơi nhận."}}}
	p.Signatures = reportSignatures()
	return nil
}
