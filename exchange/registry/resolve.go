package registry

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"vanthu/storage/sqldb"
)

// maxSuccession bounds a chain of successors.
const maxSuccession = 64

// The kinds of a code.
const (
	CodeQD20    = "qd20"    // QĐ 20/2020/QĐ-TTg
	CodeQCVN102 = "qcvn102" // QCVN 102:2016/BTTTT
)

// Code is one identification code of an agency, with the time it is or was in
// use (mã định danh theo thời gian).
type Code struct {
	Code      string    `json:"code"`
	Kind      string    `json:"kind"` // CodeQD20, CodeQCVN102
	ValidFrom time.Time `json:"valid_from,omitzero"`
	ValidTo   time.Time `json:"valid_to,omitzero"`
}

// kindOf tells by which rule a code is made.
func kindOf(code string) string {
	if legacyCode.MatchString(code) {
		return CodeQCVN102
	}
	return CodeQD20
}

// Codes gives all codes of an agency: the present ones first, then former ones.
func (r *Registry) Codes(ctx context.Context, id AgencyID) (out []Code, err error) {
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		a, err := selectAgency(ctx, tx, id)
		if err != nil {
			return err
		}
		if a == nil {
			return errUnknownCode(string(id))
		}
		out = []Code{{string(a.ID), kindOf(string(a.ID)), a.ValidFrom, a.ValidTo}}
		if a.LegacyCode != "" {
			out = append(out, Code{a.LegacyCode, CodeQCVN102, a.ValidFrom, a.ValidTo})
		}
		former, err := selectCodes(ctx, tx, a.ID)
		out = append(out, former...)
		return err
	})
	return out, wrap("reading codes", err)
}

// AddCode registers a further code of an agency: a former one, or one of another
// list. Administrators of the agency may; a code that is or was another's is a
// conflict.
func (r *Registry) AddCode(ctx context.Context, by Actor, id AgencyID, c Code) error {
	parsed, err := ParseAgencyID(c.Code)
	if err != nil {
		return err
	}
	c.Code, c.Kind = string(parsed), kindOf(string(parsed))
	if !c.ValidTo.IsZero() && !c.ValidFrom.Before(c.ValidTo) {
		return NewError(KindInvalid, "Ngày hết hiệu lực phải sau ngày có hiệu lực.", "The last day must be after the first.")
	}
	err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := mayManage(ctx, tx, by, id, true); err != nil {
			return err
		}
		owner, err := codeOwner(ctx, tx, c.Code)
		if err != nil {
			return err
		}
		if owner != "" {
			return errTaken(c.Code, owner)
		}
		return insertCode(ctx, tx, id, c)
	})
	r.agencies.clear()
	return wrap("adding code", err)
}

// freeCodes checks that the codes of an agency are and were nobody else's.
func freeCodes(ctx context.Context, tx *sqldb.Tx, a Agency) error {
	for _, code := range []string{string(a.ID), a.LegacyCode} {
		if code == "" {
			continue
		}
		owner, err := codeOwner(ctx, tx, code)
		if err != nil {
			return err
		}
		if owner != "" && owner != a.ID {
			return errTaken(code, owner)
		}
	}
	return nil
}

// Resolution is the answer to "who is this code, and where do documents go".
type Resolution struct {
	Asked  string     `json:"asked"`
	Agency Agency     `json:"agency"`        // as it was at the time asked about
	Via    []AgencyID `json:"via,omitempty"` // agencies that ended before that time, first to last
	Former bool       `json:"former,omitempty"`

	Notice   string `json:"notice,omitempty"` // what the sender should note: the new code
	NoticeEN string `json:"notice_en,omitempty"`
}

// Resolve gives the agency that a code stands for at a time, following the
// successors of agencies that have ended, with its name and data as of then. The
// code must be exact: one in small letters, with spaces, or with letters that
// only look Latin is refused with the code that is probably meant, as are codes
// that are not known, not yet valid, or that ended without a successor
// (KindInvalid).
func (r *Registry) Resolve(ctx context.Context, code string, at time.Time) (res *Resolution, err error) {
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		res, err = r.ResolveIn(ctx, tx, code, at)
		return err
	})
	if err != nil {
		return nil, wrap("resolving code", err)
	}
	return res, nil
}

// ResolveIn is Resolve in the caller's transaction.
func (r *Registry) ResolveIn(ctx context.Context, tx *sqldb.Tx, code string, at time.Time) (*Resolution, error) {
	if len(code) > maxCode || !currentCode.MatchString(code) {
		return nil, likely(ctx, tx, code)
	}
	a, err := selectAgency(ctx, tx, AgencyID(code))
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, likely(ctx, tx, code)
	}
	res := &Resolution{Asked: code, Former: code != string(a.ID) && code != a.LegacyCode}
	for len(res.Via) < maxSuccession {
		if at.Before(a.ValidFrom) {
			return nil, NewError(KindInvalid, fmt.Sprintf("Mã %s chỉ có hiệu lực từ %s.", a.ID, dayIn(a.ValidFrom)),
				fmt.Sprintf("The code %s is valid from %s only.", a.ID, dayIn(a.ValidFrom))).
				Advise("Dùng mã của cơ quan tiền thân.", "Use the code of its predecessor.")
		}
		if a.ActiveAt(at) {
			return res.at(ctx, tx, *a, at)
		}
		if a.Heir == "" {
			return nil, NewError(KindInvalid, fmt.Sprintf("%s (%s) đã kết thúc hoạt động từ %s, không có cơ quan kế thừa.", a.Name, a.ID, dayIn(a.ValidTo)),
				fmt.Sprintf("%s (%s) ended on %s without a successor.", a.Name, a.ID, dayIn(a.ValidTo))).
				Advise("Hỏi cơ quan cấp trên của nơi nhận nơi gửi mới.", "Ask the agency above it where to send now.")
		}
		res.Via = append(res.Via, a.ID)
		heir := a.Heir
		if a, err = selectAgency(ctx, tx, heir); err != nil {
			return nil, err
		}
		if a == nil {
			return nil, fmt.Errorf("agency %s names a successor %s that is not there", res.Via[len(res.Via)-1], heir)
		}
	}
	return nil, fmt.Errorf("the successors of %s do not end", code)
}

// at completes a resolution with what the agency was at the time.
func (res *Resolution) at(ctx context.Context, tx *sqldb.Tx, a Agency, at time.Time) (*Resolution, error) {
	old, err := selectAsOf(ctx, tx, a.ID, at)
	if err != nil {
		return nil, err
	}
	res.Agency = a
	if old != nil {
		ended, version := a.ValidTo, a.Version
		res.Agency = *old
		res.Agency.ValidTo, res.Agency.Version = ended, min(version, old.Version)
	}
	if len(res.Via) > 0 || res.Former {
		res.Notice = fmt.Sprintf("Mã %s nay là %s (%s).", res.Asked, a.ID, a.Name)
		res.NoticeEN = fmt.Sprintf("The code %s is now %s (%s).", res.Asked, a.ID, a.Name)
	}
	return res, nil
}

func dayIn(t time.Time) string { return t.In(vietnam()).Format("02/01/2006") }

func errUnknownCode(code string) *Error {
	return NewError(KindInvalid, "Không có cơ quan mang mã "+strconv.Quote(code)+".", "There is no agency with the code "+strconv.Quote(code)+".").
		Advise("Kiểm tra lại mã định danh trong danh bạ cơ quan.", "Check the code in the list of agencies.")
}

// likely refuses a code that is not one here, and names the right one where a
// look-alike or a slip of the finger explains it.
func likely(ctx context.Context, tx *sqldb.Tx, code string) error {
	e := errUnknownCode(clipCode(code))
	plain := Latin(code)
	switch {
	case hasForeign(code):
		e.Message = fmt.Sprintf("Mã %s có ký tự trông giống chữ Latinh nhưng không phải.", strconv.QuoteToASCII(clipCode(code)))
		e.MessageEN = fmt.Sprintf("The code %s has characters that only look Latin.", strconv.QuoteToASCII(clipCode(code)))
	case plain != code:
		e.Message = fmt.Sprintf("Mã %q viết sai dạng: mã chỉ gồm chữ in hoa A–Z, chữ số và dấu chấm, không có dấu cách.", clipCode(code))
		e.MessageEN = fmt.Sprintf("The code %q is not well formed: a code has capital letters A–Z, digits and dots, no spaces.", clipCode(code))
	}
	found, err := selectByCodes(ctx, tx, neighbours(plain))
	if err != nil {
		return err
	}
	if len(found) > 0 {
		names := make([]string, len(found))
		for i, id := range found {
			names[i] = string(id)
		}
		list := strings.Join(names, ", ")
		return e.Advise("Có lẽ mã đúng là "+list+".", "The right code is probably "+list+".")
	}
	return e
}

// clipCode bounds what an error repeats of a wrong code.
func clipCode(s string) string {
	if r := []rune(s); len(r) > maxCode+5 {
		return string(r[:maxCode+5]) + "…"
	}
	return s
}

// Latin gives what a code looks like: letters of other scripts that look Latin,
// full-width forms and the dots of other scripts replaced, spaces and invisible
// characters left out, in capitals. It is for suggestions, never for matching.
func Latin(s string) string {
	var b strings.Builder
	for _, c := range norm.NFKC.String(s) {
		if l, ok := lookAlike(c); ok {
			c = l
		}
		if c < unicode.MaxASCII && (c == '.' || unicode.IsLetter(c) || unicode.IsDigit(c)) {
			b.WriteRune(unicode.ToUpper(c))
		}
	}
	return b.String()
}

func hasForeign(s string) bool {
	for _, c := range s {
		if c > unicode.MaxASCII {
			return true
		}
	}
	return false
}

// lookAlike gives the Latin letter or the dot that a character looks like
// (Unicode UTS #39 names them confusables; these are the Cyrillic and Greek
// capitals and small letters with a Latin twin, and dots).
func lookAlike(c rune) (rune, bool) {
	const from = "АВЕЅІЈКМНОРСТУХЗавеѕіјкмнорстухΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορυχĐđ‧·•∙。"
	const same = "ABESIJKMHOPCTYX3ABESIJKMHOPCTYXABEZHIKMNOPTYXAIKVOPUXDD....."
	i := 0
	for _, f := range from {
		if f == c {
			return rune(same[i]), true
		}
		i++
	}
	return c, false
}

// neighbours gives the codes that are one slip away: as it looks, O for 0 and I
// for 1 and the other way round, two characters exchanged, the groups of the
// older rule turned round.
func neighbours(plain string) []string {
	if plain == "" || len(plain) > maxCode {
		return nil
	}
	out := []string{plain, strings.NewReplacer("O", "0", "I", "1", "L", "1").Replace(plain)}
	twin := map[byte]byte{'O': '0', '0': 'O', 'I': '1', '1': 'I', 'L': '1', 'S': '5', '5': 'S', 'B': '8', '8': 'B'}
	for i := range len(plain) {
		if t, ok := twin[plain[i]]; ok {
			out = append(out, plain[:i]+string(t)+plain[i+1:])
		}
		if i+1 < len(plain) && plain[i] != plain[i+1] {
			out = append(out, plain[:i]+string(plain[i+1])+string(plain[i])+plain[i+2:])
		}
	}
	if legacyCode.MatchString(plain) { // 000.00.12.H03 may be meant where H03.12 is known
		g := strings.Split(plain, ".")
		turned := []string{g[3]}
		for _, part := range []string{g[2], g[1], g[0]} {
			if strings.Trim(part, "0") != "" {
				turned = append(turned, part)
			}
		}
		out = append(out, strings.Join(turned, "."))
	}
	return out
}
