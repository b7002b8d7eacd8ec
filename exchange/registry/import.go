package registry

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ImportHeader is the first line of an agency CSV. Columns may stand in any
// order; only code and name are required. Dates are yyyy-mm-dd in Vietnam.
const ImportHeader = "code,legacy_code,name,symbol,place,level,mail,parent,valid_from,valid_to,channel,accepts,max_size,encryption"

const (
	maxImportBytes    = 64 << 20
	maxImportProblems = 100
)

type importLine struct {
	Agency
	line int
	has  map[string]bool // the file's columns
}

// merged gives the line's agency, with what the file has no column for as it is
// in the registry.
func (l importLine) merged(old Agency) Agency {
	a := l.Agency
	keep := func(column string, copy func()) {
		if !l.has[column] {
			copy()
		}
	}
	keep("legacy_code", func() { a.LegacyCode = old.LegacyCode })
	keep("symbol", func() { a.Symbol = old.Symbol })
	keep("place", func() { a.Place = old.Place })
	keep("level", func() { a.Level = old.Level })
	keep("mail", func() { a.Mail = old.Mail })
	keep("parent", func() { a.Parent = old.Parent })
	keep("valid_from", func() { a.ValidFrom = old.ValidFrom })
	keep("valid_to", func() { a.ValidTo = old.ValidTo })
	keep("channel", func() { a.Channel = old.Channel })
	keep("accepts", func() { a.Accepts = old.Accepts })
	keep("max_size", func() { a.MaxSize = old.MaxSize })
	keep("encryption", func() { a.Encryption = old.Encryption })
	a.Heir = old.Heir
	return a
}

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
	has := map[string]bool{}
	for _, c := range columns {
		has[c] = true
	}
	seen := map[AgencyID]int{}
	legacy := map[string]int{}
	for len(problems) < maxImportProblems {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var pe *csv.ParseError
			if !errors.As(err, &pe) {
				return nil, nil, fmt.Errorf("reading CSV: %w", err)
			}
			problems = append(problems, problem(pe.Line, fmt.Errorf("%w", pe.Err)))
			break // quoting is lost from here on
		}
		line, _ := in.FieldPos(0)
		a, err := importRecord(columns, record)
		if err == nil {
			err = duplicate(seen, legacy, a, line)
		}
		if err != nil {
			problems = append(problems, problem(line, err))
			continue
		}
		lines = append(lines, importLine{a, line, has})
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
		case "accepts":
			a.Accepts = v
		case "max_size":
			a.MaxSize, err = importSize(v)
		case "encryption":
			a.Encryption = strings.TrimSpace(v)
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

func importSize(s string) (int64, error) {
	if s = strings.TrimSpace(s); s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, NewError(KindInvalid, fmt.Sprintf("Dung lượng %q không phải số byte.", s), fmt.Sprintf("The size %q is not a number of bytes.", s))
	}
	return n, nil
}

func problem(line int, err error) ImportProblem {
	var e *Error
	if errors.As(err, &e) {
		return ImportProblem{Line: line, Text: e.Message, TextEN: e.MessageEN}
	}
	return ImportProblem{Line: line, Text: "Dòng CSV hỏng: " + err.Error(), TextEN: "Broken CSV: " + err.Error()}
}

// importPlace checks that the parent exists, that there is no loop, and that the
// agency lies below the importing administrator's own (any place for a root one).
func importPlace(parent func(AgencyID) (up AgencyID, known bool), by Actor, root bool, a Agency) error {
	inside := root || a.ID == by.Agency
	at := a.ID
	for depth := 0; ; depth++ {
		up, _ := parent(at)
		if up == "" {
			break
		}
		if _, ok := parent(up); !ok {
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
