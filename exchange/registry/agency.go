package registry

import (
	"context"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanthu/storage/sqldb"
)

// Limits of an agency's data (NĐ 30/2020 Phụ lục VI phần II; the code by QĐ 20/2020).
const (
	maxCode    = 35
	maxName    = 200
	maxSymbol  = 30
	maxPlace   = 50
	maxLevel   = 50
	maxMail    = 100
	maxAccepts = 500
	maxDepth   = 16 // of the tree
)

var (
	// legacyCode is the grammar of QCVN 102:2016: level 4.3.2.1, 13 characters.
	legacyCode = regexp.MustCompile(`^\d{3}\.\d{2}\.\d{2}\.[A-Z]\d{2}$`)
	// currentCode is the grammar of QĐ 20/2020/QĐ-TTg: groups from level 1 down.
	currentCode = regexp.MustCompile(`^[A-Z0-9]+(\.[A-Z0-9]+)*$`)
	// symbolGrammar is one or more groups of letters as in a document's symbol (NĐ 30/2020 Phụ lục I).
	symbolGrammar = regexp.MustCompile(`^\p{Lu}[\p{L}\d.&]*(-[\p{L}\d.&]+)*$`)
)

func itoa(n int) string { return strconv.Itoa(n) }

// ParseAgencyID checks an identification code: QCVN 102:2016 (13 characters,
// 000.00.15.H51) or QĐ 20/2020/QĐ-TTg (up to 35 characters, H51.15). Letters
// are made capital; letters that only look Latin are refused.
func ParseAgencyID(s string) (AgencyID, error) {
	c := strings.ToUpper(strings.TrimSpace(s))
	if len(c) > maxCode || !currentCode.MatchString(c) {
		return "", NewError(KindInvalid,
			"Mã định danh "+strconv.Quote(s)+" không hợp lệ.", "The agency code "+strconv.Quote(s)+" is not valid.").
			Advise("Mã gồm các nhóm chữ cái A–Z và chữ số, cách nhau bằng dấu chấm, tối đa 35 ký tự, ví dụ H03.12 hoặc 000.00.12.H03.",
				"A code is groups of A–Z and digits separated by dots, at most 35 characters, such as H03.12 or 000.00.12.H03.")
	}
	return AgencyID(c), nil
}

// clean checks and normalises an agency in place.
func (a *Agency) clean() error {
	id, err := ParseAgencyID(string(a.ID))
	if err != nil {
		return err
	}
	a.ID = id
	a.LegacyCode = strings.ToUpper(strings.TrimSpace(a.LegacyCode))
	if a.LegacyCode != "" && !legacyCode.MatchString(a.LegacyCode) {
		return NewError(KindInvalid, "Mã QCVN 102 "+strconv.Quote(a.LegacyCode)+" không hợp lệ.",
			"The QCVN 102 code "+strconv.Quote(a.LegacyCode)+" is not valid.").
			Advise("Mã gồm 13 ký tự, ví dụ 000.00.12.H03.", "It has 13 characters, such as 000.00.12.H03.")
	}
	if a.Parent != "" {
		if a.Parent, err = ParseAgencyID(string(a.Parent)); err != nil {
			return err
		}
		if a.Parent == a.ID {
			return NewError(KindInvalid, "Cơ quan không thể là cấp trên của chính mình.", "An agency cannot be its own parent.")
		}
	}
	for _, f := range []struct {
		vi, en string
		at     *string
		max    int
	}{
		{"Tên cơ quan", "The name", &a.Name, maxName},
		{"Chữ viết tắt", "The symbol", &a.Symbol, maxSymbol},
		{"Địa danh", "The place", &a.Place, maxPlace},
		{"Cấp", "The level", &a.Level, maxLevel},
		{"Thư điện tử", "The mail address", &a.Mail, maxMail},
	} {
		if *f.at, err = CleanLine(f.vi, f.en, *f.at, f.max); err != nil {
			return err
		}
	}
	return a.cleanRest()
}

func (a *Agency) cleanRest() error {
	if a.Name == "" {
		return NewError(KindInvalid, "Thiếu tên cơ quan.", "The agency's name is missing.")
	}
	if a.Symbol != "" && !symbolGrammar.MatchString(a.Symbol) {
		return NewError(KindInvalid, "Chữ viết tắt "+strconv.Quote(a.Symbol)+" không hợp lệ.",
			"The symbol "+strconv.Quote(a.Symbol)+" is not valid.").
			Advise("Dùng chữ in hoa, ví dụ UBND hoặc SNV.", "Use capital letters, such as UBND or SNV.")
	}
	if a.Mail != "" && !plainAddress(a.Mail) {
		return NewError(KindInvalid, "Địa chỉ thư "+strconv.Quote(a.Mail)+" không hợp lệ.",
			"The mail address "+strconv.Quote(a.Mail)+" is not valid.")
	}
	if !a.ValidTo.IsZero() && !a.ValidFrom.Before(a.ValidTo) {
		return NewError(KindInvalid, "Ngày hết hiệu lực phải sau ngày có hiệu lực.", "The last day must be after the first.")
	}
	if a.Channel == "" {
		a.Channel = ChannelLocal
	}
	return a.cleanCapabilities()
}

// cleanCapabilities checks what the agency says it takes.
func (a *Agency) cleanCapabilities() (err error) {
	if a.Accepts, err = CleanLine("Loại văn bản nhận", "The types taken", strings.ReplaceAll(a.Accepts, " ", ""), maxAccepts); err != nil {
		return err
	}
	if a.MaxSize < 0 {
		return NewError(KindInvalid, "Dung lượng tối đa không được âm.", "The largest size cannot be below zero.")
	}
	if a.Encryption != "" && a.Encryption != EncryptionRequired {
		return NewError(KindInvalid, "Chế độ mã hóa "+strconv.Quote(a.Encryption)+" không có; dùng required hoặc để trống.",
			"There is no encryption mode "+strconv.Quote(a.Encryption)+"; use required or leave it empty.")
	}
	return nil
}

func plainAddress(s string) bool {
	p, err := mail.ParseAddress(s)
	return err == nil && p.Address == s
}

// AddAgency registers an agency. Administrators may add below their own agency;
// the root needs the system or an administrator of a root agency. A code that
// is taken, as id or as legacy code, is a conflict.
func (r *Registry) AddAgency(ctx context.Context, by Actor, a Agency) error {
	if err := a.clean(); err != nil {
		return err
	}
	now := r.now()
	err := r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := parentExists(ctx, tx, a.Parent); err != nil {
			return err
		}
		if err := mayManage(ctx, tx, by, a.Parent, false); err != nil {
			return err
		}
		if err := freeCodes(ctx, tx, a); err != nil {
			return err
		}
		return insertAgencies(ctx, tx, []Agency{a}, by.Tag(), now)
	})
	if sqldb.IsConflict(err) {
		return NewError(KindConflict, "Mã định danh "+string(a.ID)+" đã có.", "The code "+string(a.ID)+" is taken.").Because(err)
	}
	r.agencies.clear()
	return wrap("adding agency", err)
}

// UpdateAgency replaces what is known of an agency; its code stays.
func (r *Registry) UpdateAgency(ctx context.Context, by Actor, a Agency) error {
	if err := a.clean(); err != nil {
		return err
	}
	err := r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return r.UpdateIn(ctx, tx, by, a) })
	r.agencies.clear()
	return wrap("updating agency", err)
}

// UpdateIn is UpdateAgency in the caller's transaction; whoever calls ends with
// Forget.
func (r *Registry) UpdateIn(ctx context.Context, tx *sqldb.Tx, by Actor, a Agency) error {
	if err := a.clean(); err != nil {
		return err
	}
	now := r.now()
	if err := mayManage(ctx, tx, by, a.ID, true); err != nil {
		return err
	}
	if err := parentExists(ctx, tx, a.Parent); err != nil {
		return err
	}
	old, err := selectAgency(ctx, tx, a.ID)
	if err != nil {
		return err
	}
	a.Heir = old.Heir
	if old.same(a) {
		return nil
	}
	if err := freeCodes(ctx, tx, a); err != nil {
		return err
	}
	if err := updateAgencies(ctx, tx, []change{{*old, a}}, by.Tag(), now); err != nil {
		return err
	}
	return noCycle(ctx, tx, a.ID)
}

// Agency gives one agency by its code or its legacy code.
func (r *Registry) Agency(ctx context.Context, id AgencyID) (*Agency, error) {
	if a, ok := r.agencies.get(id); ok {
		return &a, nil
	}
	generation := r.agencies.generation()
	var a *Agency
	err := r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		a, err = selectAgency(ctx, tx, id)
		return err
	})
	if err != nil {
		return nil, wrap("reading agency", err)
	}
	if a == nil {
		return nil, NewError(KindNotFound, "Không có cơ quan mang mã "+strconv.Quote(string(id))+".",
			"There is no agency with the code "+strconv.Quote(string(id))+".").
			Advise("Kiểm tra lại mã định danh trong danh bạ cơ quan.", "Check the code in the list of agencies.")
	}
	r.agencies.put(generation, id, *a)
	return a, nil
}

// Agencies lists agencies in code order.
func (r *Registry) Agencies(ctx context.Context, f Filter) ([]Agency, error) {
	if f.Limit <= 0 {
		f.Limit = 200
	}
	f.Limit = min(f.Limit, 1000)
	var out []Agency
	err := r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		out, err = selectAgencies(ctx, tx, f)
		return err
	})
	return out, wrap("listing agencies", err)
}

// Subtree gives the code of an agency and of everything below it.
func (r *Registry) Subtree(ctx context.Context, root AgencyID) ([]AgencyID, error) {
	var out []AgencyID
	err := r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		out, err = selectSubtree(ctx, tx, root)
		return err
	})
	return out, wrap("reading the agency tree", err)
}

// Manages tells whether the actor is an administrator of the agency or of one above it.
func (r *Registry) Manages(ctx context.Context, by Actor, a AgencyID) (bool, error) {
	err := r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return mayManage(ctx, tx, by, a, true) })
	if KindOf(err) == KindForbidden {
		return false, nil
	}
	return err == nil, wrap("checking administrator", err)
}

// mayManage checks that by administers agency a: its own or one below. Only the
// system and administrators of a root agency may manage the level above all
// (a == ""). exists asks that a is known.
func mayManage(ctx context.Context, tx *sqldb.Tx, by Actor, a AgencyID, exists bool) error {
	denied := NewError(KindForbidden, "Chỉ quản trị viên của cơ quan này hoặc cấp trên được làm việc này.",
		"Only an administrator of this agency or of one above it may do this.")
	if !by.Has(RoleAdministrator) {
		return denied
	}
	chain, err := selectAncestors(ctx, tx, a)
	if err != nil {
		return err
	}
	if exists && len(chain) == 0 {
		return NewError(KindNotFound, "Không có cơ quan mang mã "+strconv.Quote(string(a))+".",
			"There is no agency with the code "+strconv.Quote(string(a))+".")
	}
	if by.System {
		return nil
	}
	if slices.Contains(chain, by.Agency) {
		return nil
	}
	own, err := selectAncestors(ctx, tx, by.Agency)
	if err != nil {
		return err
	}
	if a == "" && len(own) == 1 {
		return nil
	}
	return denied
}

func parentExists(ctx context.Context, tx *sqldb.Tx, parent AgencyID) error {
	if parent == "" {
		return nil
	}
	p, err := selectAgency(ctx, tx, parent)
	if err != nil {
		return err
	}
	if p == nil {
		return NewError(KindInvalid, "Không có cơ quan cấp trên mang mã "+strconv.Quote(string(parent))+".",
			"There is no parent agency with the code "+strconv.Quote(string(parent))+".")
	}
	return nil
}

func noCycle(ctx context.Context, tx *sqldb.Tx, id AgencyID) error {
	chain, err := selectAncestors(ctx, tx, id)
	if err != nil {
		return err
	}
	if len(chain) >= maxDepth {
		return NewError(KindInvalid, "Cây cơ quan bị vòng hoặc quá sâu tại "+string(id)+".",
			"The tree of agencies has a loop or is too deep at "+string(id)+".")
	}
	return nil
}

// vietnam is the time zone of every legal date: UTC+7 without summer time.
func vietnam() *time.Location { return time.FixedZone("+07", 7*3600) }

// Below gives the agencies under root that exist at a time, of one level or of every
// one (""), without root itself, in code order.
func (r *Registry) Below(ctx context.Context, root AgencyID, level string, at time.Time) ([]AgencyID, error) {
	if _, err := r.Agency(ctx, root); err != nil {
		return nil, err
	}
	var out []AgencyID
	err := r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		out, err = selectBelow(ctx, tx, root, level, at)
		return err
	})
	return out, wrap("reading the agency tree", err)
}
