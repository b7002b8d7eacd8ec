package exchange

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"vanthu/exchange/registry"
	"vanthu/exchange/sheet"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// subjects are as they are in real registers, short and up to the limit.
func subjects() []string {
	return []string{
		"Về việc triển khai gửi, nhận văn bản điện tử giữa các cơ quan nhà nước trên địa bàn tỉnh",
		"Mời họp Ban Chỉ đạo cải cách hành chính",
		"Về việc phê duyệt kế hoạch sử dụng đất năm 2026 của huyện Chợ Đồn",
		"=HYPERLINK(\"http://example.com\")",
		strings.TrimSpace(strings.Repeat("Về việc tăng cường công tác quản lý, bảo vệ rừng và phòng cháy, chữa cháy rừng mùa khô ", 5)),
	}
}

// generateYear fills a year of H03's outgoing and incoming registers with n
// documents each, as rows: every 50th number cancelled, every 3rd document
// answered, some overdue.
func (w *world) generateYear(tb testing.TB, year, n int) {
	tb.Helper()
	ctx := context.Background()
	start := time.Date(year, 1, 1, 1, 0, 0, 0, Vietnam())
	step := 364 * 24 * time.Hour / time.Duration(n)
	types := []string{"CV", "QĐ", "KH", "TB", "BC"}
	officer := w.as(officer, "H03").Person
	err := w.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for i := range n {
			at := start.Add(step * time.Duration(i))
			d := &Document{ID: DocumentID(newID()), Agency: "H03", Type: types[i%len(types)], Subject: subjects()[i%5], Notation: "UBND-VXNV", Number: i + 1, Year: year,
				Issued: dateOf(at), SignerName: "Nguyễn Văn A", Competence: "KT. CHỦ TỊCH", State: StateSent, Sent: at, Created: at, Updated: at, version: 1,
				PDF: blob.Ref{Digest: blob.Sum(fmt.Append(nil, i)), Size: 1}}
			if err := w.generated(ctx, tx, d, i); err != nil {
				return err
			}
			in := &Incoming{ID: IncomingID(newID()), Agency: "H03", From: w.agencies[1+i%3], Document: DocumentID(newID()), Code: FormatCode(i+1, "SNV-VP"), Type: types[i%len(types)],
				Subject: subjects()[i%5], Issued: dateOf(at), PDF: d.PDF, Status: StatusRegistered, ArrivalNumber: i + 1, ArrivalYear: year, Medium: MediumElectronic,
				Received: at, Registered: at, Updated: at, version: 1, TaskDue: dateOf(at).AddDate(0, 0, 7)}
			switch i % 5 {
			case 1, 2:
				in.Status, in.Assignee, in.Assigned, in.Note = StatusAssigned, officer, at.Add(time.Hour), "Phòng Văn xã chủ trì tham mưu"
			case 3, 4:
				in.Status, in.Assignee, in.Assigned, in.Finished, in.Answer = StatusFinished, officer, at.Add(time.Hour), at.AddDate(0, 0, i%12), d.ID
			}
			if i%7 == 0 {
				in.Medium, in.SenderName = MediumPaper, "Công ty cổ phần Khoáng sản Bắc Sơn"
			}
			if _, err := insertIncoming(ctx, tx, in); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func (w *world) generated(ctx context.Context, tx *sqldb.Tx, d *Document, i int) error {
	cancelled, reason := int64(0), ""
	if i%50 == 49 {
		d.State, d.Sent = StateCancelled, time.Time{}
		cancelled, reason = sqldb.Micros(d.Created), "Soạn thảo sai thể thức, lập lại văn bản khác"
	}
	if err := insertDocument(ctx, tx, d); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO exchange_number (agency, series, year, number, document, at, given_by, cancelled, reason) VALUES ($1,$2,$3,$4,$5,$6,'test',$7,$8)`,
		string(d.Agency), seriesOutgoing, d.Year, d.Number, string(d.ID), sqldb.Micros(d.Created), cancelled, reason); err != nil || cancelled > 0 {
		return err
	}
	var list []Delivery
	for seq, to := range w.agencies[1 : 2+i%3] {
		list = append(list, Delivery{ID: DeliveryID(newID()), Document: d.ID, Recipient: to, Seq: int64(i*3 + seq), Channel: "local", Transport: "done", Created: d.Sent})
	}
	if err := insertDeliveries(ctx, tx, d.Agency, list); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE exchange_delivery SET status = '03', step = 2 WHERE document = $1`, string(d.ID))
	return err
}

// shown writes a paper as PDF and XLSX, keeps both under VANTHU_SHOTS for a person
// to look at, and gives the words of the PDF's pages (none without pdftotext).
func shown(t *testing.T, name string, p *sheet.Paper) (pages []string, book *excelize.File) {
	t.Helper()
	dir := os.Getenv("VANTHU_SHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	var pdf, xlsx bytes.Buffer
	if err := p.PDF(&pdf); err != nil {
		t.Fatal(err)
	}
	if err := p.XLSX(&xlsx); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name+".pdf")
	if err := os.WriteFile(file, pdf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".xlsx"), xlsx.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	book, err := excelize.OpenReader(&xlsx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := book.Close(); err != nil {
			t.Error(err)
		}
	})
	tool, err := exec.LookPath("pdftotext")
	if err != nil {
		return nil, book
	}
	out, err := exec.CommandContext(t.Context(), tool, "-layout", file, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\f"), "\f"), book
}

// wantBook checks that a register has its columns on every page and every number
// on paper and in the workbook.
func wantBook(t *testing.T, name string, p *sheet.Paper, columns int, numbers []string) {
	t.Helper()
	table := p.Parts[0].Table
	if len(table.Columns) != columns || len(table.Rows) != len(numbers) {
		t.Fatalf("%s: %d columns, %d rows; want %d, %d", name, len(table.Columns), len(table.Rows), columns, len(numbers))
	}
	pages, book := shown(t, name, p)
	var words []string
	for i, page := range pages {
		fields := strings.Fields(page)
		words = append(words, fields...)
		if n := slices.Index(fields, fmt.Sprintf("(%d)", columns)); n < 0 {
			t.Errorf("%s: page %d has no head with %d columns", name, i+1, columns)
		}
	}
	if len(pages) > 0 {
		slices.Sort(words)
		for _, n := range numbers {
			if _, ok := slices.BinarySearch(words, n); !ok {
				t.Errorf("%s: number %s is not on paper", name, n)
			}
		}
	}
	rows, err := book.GetRows(book.GetSheetName(0))
	if err != nil {
		t.Fatal(err)
	}
	head := slices.IndexFunc(rows, func(row []string) bool { return len(row) == columns && row[columns-1] == fmt.Sprintf("(%d)", columns) })
	if head < 0 || len(rows) < head+1+len(numbers) {
		t.Fatalf("%s: the workbook has %d rows", name, len(rows))
	}
	for i, n := range numbers {
		if row := rows[head+1+i]; !slices.Contains(row[:2], n) {
			t.Errorf("%s: row %d of the workbook is %q, want number %s", name, i, row, n)
		}
	}
}

func TestRegistersOfAYear(t *testing.T) {
	n := 300
	if os.Getenv("VANTHU_SCALE") != "" {
		n = 5000
	}
	each(t, func(t *testing.T, postgres bool) {
		if postgres {
			n = 100
		}
		w := newWorld(t, worldOptions{postgres: postgres})
		ctx := t.Context()
		w.generateYear(t, 2026, n)
		w.clock.set(time.Date(2026, 12, 31, 8, 0, 0, 0, Vietnam()))
		book := func(b Book) *sheet.Paper {
			p, err := w.Book(ctx, w.as(clerk, "H03"), BookQuery{Book: b, Year: 2026})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		codes, arrivals := make([]string, n), make([]string, n)
		for i := range n {
			codes[i], arrivals[i] = FormatCode(i+1, "UBND-VXNV"), fmt.Sprintf("%02d", i+1)
		}
		suffix := map[bool]string{true: "-postgres"}[postgres]
		out := book(BookOutgoing)
		wantBook(t, "out"+suffix, out, 10, codes)
		if row := out.Parts[0].Table.Rows[49]; !row.Struck || !strings.HasPrefix(row.Cells[9].(string), "Hủy số: Soạn thảo sai") {
			t.Errorf("a cancelled number: %+v", row)
		}
		in := book(BookIncoming)
		wantBook(t, "in"+suffix, in, 10, arrivals)
		if row := in.Parts[0].Table.Rows[0]; row.Cells[2] != "Công ty cổ phần Khoáng sản Bắc Sơn" || row.Cells[9] != "Bản giấy" {
			t.Errorf("on paper: %+v", row)
		}
		followed := book(BookFollowUp)
		wantBook(t, "followup"+suffix, followed, 7, arrivals)
		if row := followed.Parts[0].Table.Rows[3]; row.Cells[5] != FormatCode(4, "UBND-VXNV") || !strings.HasPrefix(row.Cells[4].(string), "Hoàn thành ngày") {
			t.Errorf("answered: %+v", row)
		}
		w.wantReports(t, n, suffix, book(BookHandlingIncoming), book(BookHandlingOutgoing))
	})
}

// wantReports checks that the handling reports account for every document.
func (w *world) wantReports(t *testing.T, n int, suffix string, in, out *sheet.Paper) {
	t.Helper()
	shown(t, "report-in"+suffix, in)
	shown(t, "report-out"+suffix, out)
	rows := in.Parts[0].Table.Rows
	total := rows[len(rows)-1].Cells
	if total[1] != n || total[2].(int)+total[3].(int)+total[4].(int)+total[5].(int) != n || len(in.Parts[1].Table.Rows) != total[5] {
		t.Errorf("handled: %v of %d, %d overdue listed", total, n, len(in.Parts[1].Table.Rows))
	}
	rows = out.Parts[0].Table.Rows
	total = rows[len(rows)-1].Cells
	if total[1] != n || total[2] != n/50 || total[3] != n-n/50 {
		t.Errorf("issued: %v", total)
	}
	if total[4] != total[5].(int)+total[6].(int)+total[7].(int)+total[8].(int)+total[9].(int) {
		t.Errorf("the deliveries do not add up: %v", total)
	}
}

func TestBookOfAPeriod(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.generateYear(t, 2026, 100)
	q := BookQuery{Book: BookIncoming, Year: 2026, From: time.Date(2026, 4, 1, 0, 0, 0, 0, Vietnam()), To: time.Date(2026, 7, 1, 0, 0, 0, 0, Vietnam())}
	p, err := w.Book(t.Context(), w.as(officer, "H03"), q)
	if err != nil {
		t.Fatal(err)
	}
	rows := p.Parts[0].Table.Rows
	if len(rows) != 25 || p.Subtitle[0] != "Từ ngày 01/04/2026 đến hết ngày 30/06/2026" || p.Subtitle[1] != "Từ số 26 đến số 50" {
		t.Errorf("%d rows, %q", len(rows), p.Subtitle)
	}
	for _, row := range rows {
		if at := row.Cells[0].(time.Time); !q.Holds(at) {
			t.Errorf("%v is outside of the period", at)
		}
	}
	// Another agency's register has nothing of it.
	p, err = w.Book(t.Context(), w.as(clerk, "H03.01"), q)
	if err != nil || len(p.Parts[0].Table.Rows) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, wrong := range []BookQuery{{Book: "all", Year: 2026}, {Book: BookIncoming, Year: 26}} {
		_, err := w.Book(t.Context(), registry.Actor{Agency: "H03"}, wrong)
		wantKind(t, err, KindInvalid)
	}
}
