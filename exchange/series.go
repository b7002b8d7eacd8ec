package exchange

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// The series every agency has. Legal normative types have one each, named by the
// type's code (NĐ 30/2020 Điều 15.2).
const (
	seriesCopy = "copy" // bản sao: one series for sao y, trích sao and sao lục
)

var seriesGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,29}$`)

// Series is a series of numbers (hệ thống số) of an agency, beginning at 01 each
// year. The head of the agency decides which series administrative documents
// have (NĐ 30/2020 Điều 15.1): one for all of them unless types are listed here,
// and one of its own for an advisory board that signs with the agency's seal.
type Series struct {
	Code    string   `json:"code"` // lower-case letters, digits and hyphens
	Name    string   `json:"name"`
	Types   []string `json:"types,omitempty"`  // of documents that take their number here; none = only when chosen
	Symbol  string   `json:"symbol,omitempty"` // in the place of the agency's abbreviation, such as BCĐ
	Retired bool     `json:"retired,omitempty"`
	Last    int      `json:"last"` // the last number given this year
	Secret  bool     `json:"-"`    // refused: secret documents are numbered outside of the exchange
	BuiltIn bool     `json:"built_in,omitempty"`
}

// clean checks and normalises a series.
func (c *Series) clean() (err error) {
	if c.Secret {
		return secretSeries()
	}
	if !seriesGrammar.MatchString(c.Code) || slices.Contains([]string{seriesOutgoing, seriesIncoming, seriesLane, seriesCopy}, c.Code) {
		return failf(KindInvalid, "Mã sổ số %q không dùng được.", "The code %q of a series cannot be used.", c.Code).
			Advise("Dùng chữ thường a–z, chữ số và gạch ngang, ví dụ ban-chi-dao.", "Use a–z, digits and hyphens, such as steering-board.")
	}
	if c.Name, err = registry.CleanLine("Tên sổ số", "The name of the series", c.Name, 200); err != nil {
		return err
	}
	if c.Name == "" {
		return fail(KindInvalid, "Thiếu tên sổ số.", "The name of the series is missing.")
	}
	if lower := strings.ToLower(c.Name); slices.Contains(strings.Fields(lower), "mật") {
		return secretSeries()
	}
	if c.Symbol, err = registry.CleanLine("Chữ viết tắt", "The symbol", c.Symbol, maxNotation); err != nil {
		return err
	}
	if c.Symbol != "" && !notationGrammar.MatchString(c.Symbol) {
		return failf(KindInvalid, "Chữ viết tắt %q không hợp lệ.", "The symbol %q is not valid.", c.Symbol)
	}
	slices.Sort(c.Types)
	c.Types = slices.Compact(c.Types)
	for _, code := range c.Types {
		if t, ok := DocTypeOf(code); !ok || t.Copy {
			return failf(KindInvalid, "Loại văn bản %q không đặt vào sổ số riêng được.", "The document type %q cannot be put into a series.", code)
		}
	}
	return nil
}

func secretSeries() *Error {
	return fail(KindInvalid, "Văn bản mật có hệ thống số riêng, không đăng ký tại hệ thống này.", "Secret documents have a series of their own, which is not kept here.").
		Advise("Đăng ký theo chế độ bảo mật (NĐ 30/2020 Điều 15.2, QĐ 28/2018 Điều 1.2).", "Keep it by the rules for secrets (NĐ 30/2020 Điều 15.2, QĐ 28/2018 Điều 1.2).")
}

// SetSeries adds a series to the actor's agency or changes one. A type stands in
// one series. Numbers given stay where they are. Administrator.
func (s *Service) SetSeries(ctx context.Context, by registry.Actor, c Series) error {
	if err := allowed(by, ActSetSeries); err != nil {
		return err
	}
	if err := c.clean(); err != nil {
		return err
	}
	now := s.clock()
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err := selectSeries(ctx, tx, by.Agency, yearOf(now))
		if err != nil {
			return err
		}
		for _, other := range list {
			for _, t := range other.Types {
				if other.Code != c.Code && !other.Retired && !c.Retired && slices.Contains(c.Types, t) {
					return failf(KindConflict, "Loại văn bản %s đã thuộc sổ số “%s”.", "The type %s is in the series “%s” already.", t, other.Name)
				}
			}
		}
		if err := putSeries(ctx, tx, by.Agency, &c, now); err != nil {
			return err
		}
		f := s.facts(by)
		f["series"], f["name"], f["types"], f["symbol"], f["retired"] = c.Code, c.Name, strings.Join(c.Types, ","), c.Symbol, yesNo(c.Retired)
		return s.evidence(ctx, tx, "series.set", seriesSubject(by.Agency, c.Code), now, by, f)
	})
	return storageError("writing a series", err)
}

func seriesSubject(a registry.AgencyID, code string) string {
	return "series/" + string(a) + "/" + code
}

// SeriesList gives the series of the actor's agency with the last numbers of this
// year: first the one for all administrative documents and the one for copies.
func (s *Service) SeriesList(ctx context.Context, by registry.Actor) (list []Series, err error) {
	year := yearOf(s.clock())
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		own, err := selectSeries(ctx, tx, by.Agency, year)
		if err != nil {
			return err
		}
		list = []Series{{Code: seriesOutgoing, Name: "Văn bản hành chính", BuiltIn: true}, {Code: seriesCopy, Name: "Bản sao", BuiltIn: true}}
		for i := range list {
			if list[i].Last, err = lastNumber(ctx, tx, by.Agency, list[i].Code, year); err != nil {
				return err
			}
		}
		list = append(list, own...)
		return nil
	})
	return list, storageError("reading series", err)
}

// seriesOf tells in which series a document takes its number: the one chosen for
// it, the one that lists its type, or the one that its kind has by law.
func seriesOf(list []Series, d *Document) (string, error) {
	t, _ := DocTypeOf(d.Type)
	switch d.Series {
	case "", seriesOutgoing, seriesCopy:
	default:
		if t.Legal && d.Series == t.Code {
			return d.Series, nil
		}
		return chosenSeries(list, d.Series)
	}
	for _, c := range list {
		if !c.Retired && slices.Contains(c.Types, d.Type) {
			return c.Code, nil
		}
	}
	switch {
	case t.Copy:
		return seriesCopy, nil
	case t.Legal:
		return t.Code, nil
	}
	return seriesOutgoing, nil
}

// chosenSeries refuses a series that is not there or no longer used.
func chosenSeries(list []Series, code string) (string, error) {
	for _, c := range list {
		if c.Code == code && !c.Retired {
			return code, nil
		}
	}
	return "", failf(KindInvalid, "Cơ quan không có sổ số %q đang dùng.", "The agency has no series %q in use.", code)
}

// ReservedNumber is a number kept for a document to come (giữ số).
type ReservedNumber struct {
	Series  string    `json:"series"`
	Year    int       `json:"year"`
	Number  int       `json:"number"`
	Purpose string    `json:"purpose"`
	Since   time.Time `json:"since"`
	By      string    `json:"by"`
}

// mostReserved bounds one reservation.
const mostReserved = 50

// Reserve keeps the next count numbers of a series of this year for documents to
// come, with the purpose; "" is the series of administrative documents. Clerk. A
// number is taken with NumberReserved in the same year, or cancelled.
func (s *Service) Reserve(ctx context.Context, by registry.Actor, series string, count int, purpose string) (list []ReservedNumber, err error) {
	if err := allowed(by, ActNumber); err != nil {
		return nil, err
	}
	if count < 1 || count > mostReserved {
		return nil, failf(KindInvalid, "Giữ từ 1 đến %[1]d số mỗi lần, không phải %[2]d.", "Reserve 1 to %[1]d numbers at a time, not %[2]d.", mostReserved, count)
	}
	if purpose, err = registry.CleanLine("Mục đích", "The purpose", purpose, maxNote); err != nil {
		return nil, err
	}
	if purpose == "" {
		return nil, fail(KindInvalid, "Phải nêu mục đích giữ số.", "Reserving a number needs a purpose.")
	}
	if series == "" {
		series = seriesOutgoing
	}
	now := s.clock()
	year := yearOf(now)
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		if err := s.knownSeries(ctx, tx, by.Agency, series, year); err != nil {
			return err
		}
		for range count {
			n, err := nextNumber(ctx, tx, by.Agency, series, year)
			if err != nil {
				return err
			}
			r := ReservedNumber{Series: series, Year: year, Number: n, Purpose: purpose, Since: now, By: by.Tag()}
			if err := insertReserved(ctx, tx, by.Agency, &r); err != nil {
				return err
			}
			list = append(list, r)
		}
		f := s.facts(by)
		f["series"], f["year"], f["first"], f["last"], f["note"] = series, strconv.Itoa(year), strconv.Itoa(list[0].Number),
			strconv.Itoa(list[count-1].Number), purpose
		return s.evidence(ctx, tx, "number.reserved", seriesSubject(by.Agency, series), now, by, f)
	})
	if err != nil {
		return nil, storageError("reserving numbers", err)
	}
	return list, nil
}

// knownSeries refuses a series that the agency has not.
func (s *Service) knownSeries(ctx context.Context, tx *sqldb.Tx, a registry.AgencyID, code string, year int) error {
	if code == seriesOutgoing || code == seriesCopy {
		return nil
	}
	if t, ok := DocTypeOf(code); ok && t.Legal {
		return nil
	}
	list, err := selectSeries(ctx, tx, a, year)
	if err != nil {
		return err
	}
	_, err = chosenSeries(list, code)
	return err
}

// ReservedNumbers lists what is reserved and neither used nor cancelled, by
// series, year and number.
func (s *Service) ReservedNumbers(ctx context.Context, by registry.Actor) (list []ReservedNumber, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err = selectReserved(ctx, tx, by.Agency)
		return err
	})
	return list, storageError("listing reserved numbers", err)
}

// CancelReserved gives a reserved number up: it stays in the register, cancelled,
// with the reason. Clerk.
func (s *Service) CancelReserved(ctx context.Context, by registry.Actor, series string, year, number int, reason string) error {
	if err := allowed(by, ActCancelNumber); err != nil {
		return err
	}
	reason, err := registry.CleanLine("Lý do", "The reason", reason, maxNote)
	if err != nil {
		return err
	}
	if reason == "" {
		return fail(KindInvalid, "Phải nêu lý do hủy số.", "Cancelling a number needs a reason.")
	}
	now := s.clock()
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		done, err := cancelReserved(ctx, tx, by.Agency, series, year, number, reason, now)
		if err != nil {
			return err
		}
		if !done {
			return notReserved(number, year)
		}
		f := s.facts(by)
		f["series"], f["year"], f["number"], f["note"] = series, strconv.Itoa(year), strconv.Itoa(number), reason
		return s.evidence(ctx, tx, "number.reserved-cancelled", seriesSubject(by.Agency, series), now, by, f)
	})
	return storageError("cancelling a reserved number", err)
}

func notReserved(number, year int) *Error {
	return failf(KindConflict, "Số %d năm %d không phải số đang giữ.", "The number %d of %d is not reserved.", number, year).
		Advise("Xem lại danh sách số đang giữ.", "Look at the list of reserved numbers.")
}

// NumberReserved gives a document a number that was reserved in its series this
// year, with today as date of issue: a date is never put back. Clerk.
func (s *Service) NumberReserved(ctx context.Context, by registry.Actor, id DocumentID, number int) (*Document, error) {
	if number < 1 {
		return nil, notReserved(number, yearOf(s.clock()))
	}
	return s.numbered(ctx, by, id, number)
}

// numbered is Number, and NumberReserved for a reserved number > 0.
func (s *Service) numbered(ctx context.Context, by registry.Actor, id DocumentID, reserved int) (*Document, error) {
	if err := allowed(by, ActNumber); err != nil {
		return nil, err
	}
	now := s.clock()
	var d *Document
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if d, err = s.ownDocument(ctx, tx, by, id); err != nil {
			return err
		}
		if err := d.advance(ActNumber); err != nil {
			return err
		}
		was := d.version
		if err := s.takeNumber(ctx, tx, by, d, reserved, now); err != nil {
			return err
		}
		d.Updated = now
		return updateDocument(ctx, tx, d, was)
	})
	if err != nil {
		return nil, storageError("numbering document", err)
	}
	return d, nil
}

// number takes the next number in the acting transaction: whatever undoes the
// transaction gives the number back, so there is no gap.
func (s *Service) number(ctx context.Context, tx *sqldb.Tx, by registry.Actor, d *Document, now time.Time) error {
	return s.takeNumber(ctx, tx, by, d, 0, now)
}

func (s *Service) takeNumber(ctx context.Context, tx *sqldb.Tx, by registry.Actor, d *Document, reserved int, now time.Time) error {
	if d.Number != 0 {
		return failf(KindConflict, "Văn bản đã có số %s.", "The document already has the number %s.", d.Code())
	}
	d.Year, d.Issued = yearOf(now), dateOf(now)
	list, err := selectSeriesOf(ctx, tx, d)
	if err != nil {
		return err
	}
	if d.Series, err = seriesOf(list, d); err != nil {
		return err
	}
	if d.Number = reserved; reserved == 0 {
		if d.Number, err = nextNumber(ctx, tx, d.Agency, d.Series, d.Year); err != nil {
			return err
		}
	}
	if taken, err := codeTaken(ctx, tx, d); err != nil || taken {
		if err != nil {
			return err
		}
		return failf(KindConflict, "Số và ký hiệu %s đã có trong năm %d.", "The number and symbol %s are taken in %d.", d.Code(), d.Year).
			Advise("Đặt chữ viết tắt riêng cho sổ số này.", "Give this series a symbol of its own.").
			Keeping("Số chưa bị lấy đi.", "No number was taken.")
	}
	if reserved == 0 {
		err = insertNumber(ctx, tx, d, now, by.Tag())
	} else {
		var used bool
		if used, err = takeReserved(ctx, tx, d, now); err == nil && !used {
			err = notReserved(reserved, d.Year)
		}
	}
	if err != nil {
		return err
	}
	d.Axis = axisID(d.Agency, d.Issued, d.Code())
	f := s.facts(by)
	f["code"], f["number"], f["year"], f["axis"] = d.Code(), strconv.Itoa(d.Number), strconv.Itoa(d.Year), d.Axis
	f["issued"], f["series"] = pinnedTime(d.Issued), d.Series
	calendar, err := s.calendar(ctx, tx)
	if err != nil {
		return err
	}
	f["send_by"] = pinnedTime(calendar.NoonNext(d.Issued)) // by the calendar of this day: the rate can be recomputed when it has changed
	if reserved != 0 {
		f["reserved"] = yesNo(true)
	}
	return s.evidence(ctx, tx, "document.numbered", string(d.ID), now, by, f)
}

// checkIssued refuses a date of issue that is still to come in Vietnam.
func checkIssued(issued, now time.Time) error {
	if dateOf(issued).After(dateOf(now)) {
		return failf(KindInvalid, "Ngày ban hành %s còn ở tương lai.", "The date of issue %s is in the future.", issued.In(Vietnam()).Format("02/01/2006")).
			Advise("Kiểm tra lại ngày ban hành.", "Check the date of issue.")
	}
	return nil
}

// String names a reserved number for people.
func (r ReservedNumber) String() string { return fmt.Sprintf("%02d/%d", r.Number, r.Year) }
