package exchange

import (
	"fmt"
	"strings"
)

// Symbol is number and symbol taken apart (số, ký hiệu; NĐ 30/2020 Điều 15, Phụ
// lục III).
type Symbol struct {
	Number int    `json:"number"`
	Year   int    `json:"year,omitempty"` // of legal normative documents: 28/2018/QĐ-TTg
	Type   string `json:"type,omitempty"` // DocType.Code; "" = công văn, or a type we do not know
	Org    string `json:"org"`            // chữ viết tắt tên cơ quan; several groups where the symbol has them
	Unit   string `json:"unit,omitempty"` // chữ viết tắt tên đơn vị soạn thảo, of công văn: 05/BNV-VP
}

// ParseSymbol takes number and symbol apart. A first group that is the
// abbreviation of a type, with more behind it, is the type; without it the
// document is a công văn, whose first group is the agency and the rest the unit.
func ParseSymbol(code string) (Symbol, error) {
	number, year, notation, err := ParseCode(code)
	if err != nil {
		return Symbol{}, err
	}
	s := Symbol{Number: number, Year: year}
	first, rest, more := strings.Cut(notation, "-")
	if !more {
		s.Org = notation
		return s, nil
	}
	for _, t := range AllTypes() {
		if t.Abbr == first && t.Legal == (year != 0) {
			s.Type, s.Org = t.Code, rest
			return s, nil
		}
	}
	s.Org, s.Unit = first, rest
	return s, nil
}

// Notation gives the symbol alone: QĐ-UBND, BNV-VP.
func (s Symbol) Notation() string {
	if t, ok := DocTypeOf(s.Type); ok && t.Abbr != "" {
		return t.Abbr + "-" + s.Org
	}
	if s.Unit != "" {
		return s.Org + "-" + s.Unit
	}
	return s.Org
}

// String puts number and symbol together as they are printed.
func (s Symbol) String() string { return formatCode(s.Number, s.Year, s.Notation()) }

// formatCode writes number and symbol, with the year for year != 0; see FormatCode.
func formatCode(number, year int, notation string) string {
	if number > 0 && year != 0 {
		return fmt.Sprintf("%02d/%04d/%s", number, year, notation)
	}
	return FormatCode(number, notation)
}

// codeOf writes number and symbol of a document of a type: the year stands in
// those of legal normative types only.
func codeOf(typ string, number, year int, notation string) string {
	if isLegal(typ) {
		return formatCode(number, year, notation)
	}
	return FormatCode(number, notation)
}

// isLegal tells a legal normative type by its code.
func isLegal(typ string) bool { return strings.HasPrefix(typ, "L.") }
