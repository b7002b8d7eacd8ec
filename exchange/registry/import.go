package registry

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"vanthu/storage/sqldb"
)

// ImportHeader is the first line of an agency CSV. Columns may stand in any
// order; only code and name are required. Dates are yyyy-mm-dd in Vietnam.
const ImportHeader = "code,legacy_code,name,symbol,place,level,mail,parent,valid_from,valid_to,channel"

const (
	maxImportBytes    = 64 << 20
	maxImportProblems = 100
)

type importLine struct {
	Agency
	line int
}

// ImportAgencies reads agencies as UTF-8 CSV with the header ImportHeader and
// adds or updates them in one transaction. When any line is wrong nothing is
// applied; the result lists the problems by line (the first 100) and the error
// is of KindInvalid.
func (r *Registry) ImportAgencies(ctx context.Context, by Actor, from io.Reader) (ImportResult, error) {
	lines, problems, err := readAgencyCSV(from)
	if err != nil {
		return ImportResult{}, err
	}
	var res ImportResult
	now := r.now()
	if len(problems) == 0 {
		err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			res, problems, err = importAgencies(ctx, tx, by, lines, now)
			if err == nil && len(problems) > 0 {
				err = errImport
			}
			return err
		})
		r.agencies.clear()
	}
	if len(problems) > 0 {
		res = ImportResult{Problems: problems}
		return res, NewError(KindInvalid,
			fmt.Sprintf("Tệp có %d dòng sai; chưa nhập cơ quan nào. Dòng %d: %s", len(problems), problems[0].Line, problems[0].Text),
			fmt.Sprintf("The file has %d bad lines; no agency was imported. Line %d: %s", len(problems), problems[0].Line, problems[0].TextEN)).
			Advise("Sửa các dòng đã nêu rồi nhập lại cả tệp.", "Mend the lines named and import the whole file again.")
	}
	return res, wrap("importing agencies", err)
}

var errImport = errors.New("import has problems")

func readAgencyCSV(from io.Reader) (lines []importLine, problems []ImportProblem, err error) {
	limited := &io.LimitedReader{R: from, N: maxImportBytes + 1}
	buffered := bufio.NewReader(limited)
	if bom, err := buffered.Peek(3); err == nil && string(bom) == "\xef\xbb\xbf" {
		if _, err := buffered.Discard(len(bom)); err != nil {
			return nil, nil, fmt.Errorf("reading CSV: %w", err)
		}
	}
	in := csv.NewReader(buffered)
	in.FieldsPerRecord = -1
	in.ReuseRecord = true
	header, err := in.Read()
	if err != nil {
		return nil, nil, NewError(KindInvalid, "Tệp CSV rỗng hoặc không đọc được.", "The CSV file is empty or cannot be read.").
			Advise("Dòng đầu phải là: "+ImportHeader, "The first line must be: "+ImportHeader).Because(err)
	}
	columns, err := importColumns(header)
	if err != nil {
		return nil, nil, err
	}
	seen := map[AgencyID]int{}
	legacy := map[string]int{}
	for len(problems) < maxImportProblems {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		line, _ := in.FieldPos(0)
		if err != nil {
			var pe *csv.ParseError
			if !errors.As(err, &pe) {
				return nil, nil, fmt.Errorf("reading CSV: %w", err)
			}
			problems = append(problems, problem(pe.Line, fmt.Errorf("%w", pe.Err)))
			break // quoting is lost from here on
		}
		a, err := importRecord(columns, record)
		if err == nil {
			err = duplicate(seen, legacy, a, line)
		}
		if err != nil {
			problems = append(problems, problem(line, err))
			continue
		}
		lines = append(lines, importLine{a, line})
	}
	if limited.N <= 0 {
		return nil, nil, NewError(KindTooLarge, "Tệp CSV lớn hơn 64 MiB.", "The CSV file is over 64 MiB.")
	}
	return lines, problems, nil
}

func duplicate(seen map[AgencyID]int, legacy map[string]int, a Agency, line int) error {
	if first, ok := seen[a.ID]; ok {
		return NewError(KindInvalid, fmt.Sprintf("Mã %s đã có ở dòng %d.", a.ID, first), fmt.Sprintf("The code %s is on line %d already.", a.ID, first))
	}
	seen[a.ID] = line
	if a.LegacyCode == "" {
		return nil
	}
	if first, ok := legacy[a.LegacyCode]; ok {
		return NewError(KindInvalid, fmt.Sprintf("Mã %s đã có ở dòng %d.", a.LegacyCode, first),
			fmt.Sprintf("The code %s is on line %d already.", a.LegacyCode, first))
	}
	legacy[a.LegacyCode] = line
	return nil
}

func importColumns(header []string) ([]string, error) {
	known := strings.Split(ImportHeader, ",")
	columns := make([]string, len(header))
	have := map[string]bool{}
	for i, h := range header {
		h = strings.ToLower(strings.TrimSpace(h))
		ok := false
		for _, k := range known {
			ok = ok || k == h
		}
		if !ok || have[h] {
			return nil, NewError(KindInvalid, fmt.Sprintf("Cột %q không có trong mẫu hoặc bị lặp.", h),
				fmt.Sprintf("The column %q is unknown or stands twice.", h)).
				Advise("Dòng đầu phải là: "+ImportHeader, "The first line must be: "+ImportHeader)
		}
		columns[i], have[h] = h, true
	}
	if !have["code"] || !have["name"] {
		return nil, NewError(KindInvalid, "Thiếu cột code hoặc name.", "The column code or name is missing.").
			Advise("Dòng đầu phải là: "+ImportHeader, "The first line must be: "+ImportHeader)
	}
	return columns, nil
}

func importRecord(columns, record []string) (Agency, error) {
	if len(record) != len(columns) {
		return Agency{}, NewError(KindInvalid, fmt.Sprintf("Có %d cột, cần %d.", len(record), len(columns)),
			fmt.Sprintf("It has %d columns, %d are needed.", len(record), len(columns)))
	}
	var a Agency
	for i, c := range columns {
		v := strings.Clone(record[i])
		var err error
		switch c {
		case "code":
			a.ID = AgencyID(v)
		case "legacy_code":
			a.LegacyCode = v
		case "name":
			a.Name = v
		case "symbol":
			a.Symbol = v
		case "place":
			a.Place = v
		case "level":
			a.Level = v
		case "mail":
			a.Mail = v
		case "parent":
			a.Parent = AgencyID(strings.TrimSpace(v))
		case "valid_from":
			a.ValidFrom, err = importDate(v)
		case "valid_to":
			a.ValidTo, err = importDate(v)
		case "channel":
			a.Channel = strings.TrimSpace(v)
		}
		if err != nil {
			return Agency{}, err
		}
	}
	return a, a.clean()
}

func importDate(s string) (time.Time, error) {
	if s = strings.TrimSpace(s); s == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, s, vietnam())
	if err != nil {
		return t, NewError(KindInvalid, fmt.Sprintf("Ngày %q không đúng dạng yyyy-mm-dd.", s), fmt.Sprintf("The date %q is not yyyy-mm-dd.", s))
	}
	return t.UTC(), nil
}

func problem(line int, err error) ImportProblem {
	var e *Error
	if errors.As(err, &e) {
		return ImportProblem{Line: line, Text: e.Message, TextEN: e.MessageEN}
	}
	return ImportProblem{Line: line, Text: "Dòng CSV hỏng: " + err.Error(), TextEN: "Broken CSV: " + err.Error()}
}

// importAgencies applies the lines or tells why it cannot.
func importAgencies(ctx context.Context, tx *sqldb.Tx, by Actor, lines []importLine, now time.Time) (ImportResult, []ImportProblem, error) {
	have, err := selectAllAgencies(ctx, tx)
	if err != nil {
		return ImportResult{}, nil, err
	}
	if err := mayManage(ctx, tx, by, by.Agency, false); err != nil {
		return ImportResult{}, nil, err
	}
	parents := make(map[AgencyID]AgencyID, len(have)+len(lines))
	for id, a := range have {
		parents[id] = a.Parent
	}
	for _, l := range lines {
		parents[l.ID] = l.Parent
	}
	root := by.System || have[by.Agency].Parent == ""
	var res ImportResult
	var problems []ImportProblem
	var add []Agency
	for _, l := range lines {
		if err := importPlace(parents, by, root, l.Agency); err != nil {
			problems = append(problems, problem(l.line, err))
			continue
		}
		old, ok := have[l.ID]
		switch {
		case !ok:
			add = append(add, l.Agency)
		case old == l.Agency:
			res.Unchanged++
		default:
			res.Changed++
			if err := updateAgency(ctx, tx, l.Agency, now); err != nil {
				return res, nil, importConflict(err)
			}
		}
	}
	if len(problems) > 0 {
		return res, problems[:min(len(problems), maxImportProblems)], nil
	}
	res.Added = len(add)
	return res, nil, importConflict(insertAgencies(ctx, tx, add, now))
}

func importConflict(err error) error {
	if sqldb.IsConflict(err) {
		return NewError(KindConflict, "Một mã QCVN 102 trong tệp đã thuộc về cơ quan khác.",
			"A QCVN 102 code in the file belongs to another agency already.").Because(err)
	}
	return err
}

// importPlace checks that the parent exists, that there is no loop, and that the
// agency lies below the importing administrator's own (any place for a root one).
func importPlace(parents map[AgencyID]AgencyID, by Actor, root bool, a Agency) error {
	inside := root || a.ID == by.Agency
	at := a.ID
	for depth := 0; parents[at] != ""; depth++ {
		up := parents[at]
		if _, ok := parents[up]; !ok {
			return NewError(KindInvalid, fmt.Sprintf("Không có cơ quan cấp trên %q.", up), fmt.Sprintf("There is no parent agency %q.", up))
		}
		if depth >= maxDepth {
			return NewError(KindInvalid, "Cây cơ quan bị vòng hoặc quá sâu.", "The tree of agencies has a loop or is too deep.")
		}
		inside = inside || up == by.Agency
		at = up
	}
	if !inside {
		return NewError(KindForbidden, "Cơ quan này không thuộc phạm vi quản trị của bạn.", "This agency is outside what you administer.")
	}
	return nil
}
