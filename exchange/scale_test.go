package exchange

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// scaled gives VANTHU_SCALE as a number, or what is usual without it.
func scaled(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("VANTHU_SCALE")); err == nil {
		return n
	}
	return usual
}

// medians runs a thing some times and logs the median and the longest time.
func medians(tb testing.TB, name string, runs int, do func(i int) int) {
	tb.Helper()
	times := make([]time.Duration, runs)
	got := 0
	for i := range times {
		began := time.Now()
		got += do(i)
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	tb.Logf("%s: median %v, longest %v (%d on average)", name, times[runs/2].Round(10*time.Microsecond), times[runs-1].Round(10*time.Microsecond), got/runs)
}

// officeText makes the words of documents: a thousand words of offices by the law
// of Zipf, so that some stand in every other document, and names that are rare.
type officeText struct {
	random *rand.Rand
	zipf   *rand.Zipf
	words  []string
}

func newOfficeText() *officeText {
	random := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("việc quyết định phê duyệt thực hiện kế hoạch triển khai báo cáo nghị quyết hội đồng nhân dân tỉnh huyện xã phường đất đai hồ sơ thủ tục hành chính dự án đầu tư xây dựng giáo dục y tế ngân sách tài chính công thương nông nghiệp môi trường giao thông vận tải quý năm tháng đề nghị cung cấp thông tin tổ chức cán bộ")
	syllables := strings.Fields("an bình cường dũng giang hà hải hòa hùng khánh lâm linh long mai minh nam nga phúc quang sơn tân thanh thủy trung tuấn vân việt xuân")
	for len(words) < 1000 {
		words = append(words, syllables[random.IntN(len(syllables))]+string(rune('a'+random.IntN(26)))+syllables[random.IntN(len(syllables))])
	}
	return &officeText{random: random, zipf: rand.NewZipf(random, 1.2, 5, uint64(len(words)-1)), words: words}
}

func (o *officeText) text(words int) string {
	var b strings.Builder
	for range words {
		b.WriteString(o.words[o.zipf.Uint64()])
		b.WriteByte(' ')
	}
	return b.String()
}

// generateOffice writes n documents, four outgoing to six incoming, with the words
// that searches look through: three of ten are those of the agency H03, the others
// those of 200 agencies. Text of the PDFs is as long as words words.
func (w *world) generateOffice(tb testing.TB, n, words int) {
	tb.Helper()
	ctx := tb.Context()
	o := newOfficeText()
	pattern := w.approvedAs(tb, DraftInput{Type: "QĐ"})
	numbers := map[registry.AgencyID]int{}
	issued := dateOf(time.Date(2026, time.January, 5, 0, 0, 0, 0, Vietnam()))
	make1 := func(ctx context.Context, tx *sqldb.Tx, i int) error {
		agency := registry.AgencyID("H03")
		if i%10 > 2 {
			agency = registry.AgencyID(fmt.Sprintf("H03.%03d", o.random.IntN(200)))
		}
		subject, day := "Về việc "+o.text(8), issued.AddDate(0, 0, i*365/n)
		if i%5 < 2 {
			d := *pattern
			numbers[agency]++
			d.ID, d.Agency, d.Subject, d.State = DocumentID(newID()), agency, subject, StateSent
			d.Number, d.Year, d.Issued, d.Notation = numbers[agency], 2026, day, "UBND-VP"
			if err := insertDocument(ctx, tx, &d); err != nil {
				return err
			}
			return w.search.outgoing.Put(ctx, tx, string(d.ID), string(agency), d.words(), o.text(words))
		}
		numbers["in:"+agency]++
		in := &Incoming{ID: IncomingID(newID()), Agency: agency, From: registry.AgencyID(fmt.Sprintf("G%02d", o.random.IntN(90))), Document: DocumentID(newID()),
			Code: fmt.Sprintf("%d/QĐ-UBND", o.random.IntN(9000)+1), Type: "QĐ", Subject: subject, SignerName: pattern.SignerName, Issued: day, Verdict: "TOTAL_PASSED",
			Status: StatusRegistered, ArrivalNumber: numbers["in:"+agency], ArrivalYear: 2026, Received: day, Registered: day, Updated: day, Medium: MediumElectronic}
		in.PDF = blob.Ref{Digest: blob.Sum(fmt.Append(nil, i)), Size: 1}
		if _, err := insertIncoming(ctx, tx, in); err != nil {
			return err
		}
		return w.search.incoming.Put(ctx, tx, string(in.ID), string(agency), in.words(), o.text(words))
	}
	began := time.Now()
	const batch = 1000
	for from := 0; from < n; from += batch {
		err := w.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			for i := from; i < min(from+batch, n); i++ {
				if err := make1(ctx, tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	tb.Logf("%d documents of %d words written in %v", n, words, time.Since(began).Round(time.Second))
}

// generateArrivals writes n entries of the incoming registers of 200 agencies,
// spread over a year.
func (w *world) generateArrivals(tb testing.TB, year, n int) {
	tb.Helper()
	first := time.Date(year, time.January, 1, 8, 0, 0, 0, Vietnam())
	const batch = 2000
	for from := 0; from < n; from += batch {
		err := w.db.Update(tb.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			for i := from; i < min(from+batch, n); i++ {
				at := first.Add(time.Duration(i) * (365 * 24 * time.Hour / time.Duration(n)))
				in := &Incoming{ID: IncomingID(fmt.Sprintf("%010d", i)), Agency: registry.AgencyID(fmt.Sprintf("H03.%03d", i%200)), From: "H03", Document: DocumentID(fmt.Sprintf("%010d", i)),
					Code: "1/QĐ", Type: "QĐ", PDF: blob.Ref{Digest: blob.Sum(fmt.Append(nil, i)), Size: 1}, Verdict: "TOTAL_PASSED", Status: StatusRegistered,
					ArrivalNumber: i/200 + 1, ArrivalYear: year, Received: at, Registered: at, Updated: at, Medium: MediumElectronic}
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
}

// BenchmarkOfficeSearch prints the median times of Service.Search, with rights,
// rows and pages, and of a list with other conditions, in VANTHU_SCALE documents
// (5,000 by default), 30 of 100 in one agency, on each engine that is there.
func BenchmarkOfficeSearch(b *testing.B) {
	n := scaled(5_000)
	for _, postgres := range []bool{false, true} {
		name := map[bool]string{false: "sqlite", true: "postgres"}[postgres]
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, worldOptions{postgres: postgres})
			ctx, by := b.Context(), w.as(clerk, "H03")
			if _, err := w.IndexDocuments(ctx); err != nil {
				b.Fatal(err)
			}
			w.generateOffice(b, n, 20)
			find := func(text string) func(int) int {
				return func(int) int {
					page, err := w.Search(ctx, by, text, "", 50)
					if err != nil {
						b.Fatal(err)
					}
					return len(page.Items)
				}
			}
			for _, text := range []string{"việc", "quyet dinh", "phê duyệt", "quyết định phê duyệt dự án đầu tư", `"ke hoach trien khai"`, "123/UBND-VP", "1500/QĐ-UBND", "G17", "G17 báo cáo",
				"xuân", "khong co chu nay", "hoi dong nhan dan tinh xay dung"} {
				medians(b, fmt.Sprintf("%s, %d documents, %q", name, n, text), 15, find(text))
			}
			medians(b, name+", page 20 of việc", 5, func(int) int {
				after, page := "", Page[Found]{}
				for range 20 {
					var err error
					if page, err = w.Search(ctx, by, "việc", after, 50); err != nil {
						b.Fatal(err)
					}
					after = page.Next
				}
				return len(page.Items)
			})
			medians(b, name+", drafts with the words quyết định (there are none)", 5, func(int) int {
				list, err := w.Documents(ctx, by, ListFilter{Query: "quyết định", State: StateDraft})
				if err != nil {
					b.Fatal(err)
				}
				return len(list.Items)
			})
			for b.Loop() {
				find("quyết định")(0)
			}
		})
	}
}
