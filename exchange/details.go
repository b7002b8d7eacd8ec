package exchange

import (
	"unicode/utf8"

	"vanthu/exchange/registry"
)

// Circulation is a mark of how far a document may go (chỉ dẫn phạm vi lưu hành,
// NĐ 30/2020 Phụ lục I).
type Circulation string

// The circulation marks.
const (
	CirculationNone     Circulation = ""
	CirculationReturn   Circulation = "return"   // XEM XONG TRẢ LẠI
	CirculationInternal Circulation = "internal" // LƯU HÀNH NỘI BỘ
)

// In gives the mark as it is printed, or its meaning in English.
func (c Circulation) In(lang string) string {
	switch {
	case c == CirculationReturn && lang == "en":
		return "Return after reading"
	case c == CirculationReturn:
		return "XEM XONG TRẢ LẠI"
	case c == CirculationInternal && lang == "en":
		return "Internal"
	case c == CirculationInternal:
		return "LƯU HÀNH NỘI BỘ"
	}
	return ""
}

// Details is what else stands on a document. All of it may be left out; a copy
// (SY, TrS, SL) needs CopyOf.
type Details struct {
	Circulation Circulation `json:"circulation,omitempty"`
	Content     string      `json:"content,omitempty"`    // tóm tắt nội dung
	Drafter     string      `json:"drafter,omitempty"`    // ký hiệu người soạn thảo
	Pages       int         `json:"pages,omitempty"`      // số trang
	Copies      int         `json:"copies,omitempty"`     // số lượng bản phát hành
	Language    string      `json:"language,omitempty"`   // ngôn ngữ; "" = tiếng Việt
	ToPlaces    []string    `json:"to_places,omitempty"`  // the lines under Nơi nhận
	Appendixes  []string    `json:"appendixes,omitempty"` // names of annexes
	CopyOf      string      `json:"copy_of,omitempty"`    // number and symbol of what is copied
}

// Limits of the details (NĐ 30/2020 Phụ lục VI phần II; the edXML fields of the same).
const (
	maxContent  = 500
	maxDrafter  = 10
	maxCount    = 999
	maxLanguage = 30
	maxToPlace  = 150
	maxToPlaces = 1000 // together
	maxAppendix = 250
	maxList     = 100
)

// pinned is the details as rows and evidence carry them: JSON, "" = none.
func (d Details) pinned() string {
	if d.empty() {
		return ""
	}
	return string(canonical(d))
}

// IsZero tells whether nothing is said; JSON leaves the details out then.
func (d Details) IsZero() bool { return d.empty() }

func (d Details) empty() bool {
	return d.Circulation == "" && d.Content == "" && d.Drafter == "" && d.Pages == 0 && d.Copies == 0 && d.Language == "" &&
		len(d.ToPlaces) == 0 && len(d.Appendixes) == 0 && d.CopyOf == ""
}

// clean checks and normalises the details of a document of type t.
func (d *Details) clean(t DocType) error {
	if err := d.bound(); err != nil {
		return err
	}
	switch {
	case t.Copy && d.CopyOf == "":
		return fail(KindInvalid, "Thiếu số, ký hiệu của văn bản được sao.", "The number and symbol of the document copied are missing.")
	case !t.Copy && d.CopyOf != "":
		return fail(KindInvalid, "Chỉ bản sao (SY, TrS, SL) mới có văn bản được sao.", "Only a copy (SY, TrS, SL) names a document copied.")
	case t.Copy:
		if _, _, _, err := ParseCode(d.CopyOf); err != nil {
			return err
		}
	}
	return nil
}

// bound checks and normalises what each field holds, whoever wrote it.
func (d *Details) bound() error {
	if d.Circulation != CirculationNone && d.Circulation.In("vi") == "" {
		return failf(KindInvalid, "Không có dấu chỉ dẫn phạm vi lưu hành %q.", "There is no circulation mark %q.", string(d.Circulation))
	}
	for _, f := range []struct {
		vi, en string
		at     *string
		max    int
	}{
		{"Nội dung", "The content", &d.Content, maxContent},
		{"Ký hiệu người soạn thảo", "The drafter's mark", &d.Drafter, maxDrafter},
		{"Ngôn ngữ", "The language", &d.Language, maxLanguage},
		{"Văn bản được sao", "The document copied", &d.CopyOf, maxNotation + 12},
	} {
		s, err := registry.CleanLine(f.vi, f.en, *f.at, f.max)
		if err != nil {
			return err
		}
		*f.at = s
	}
	for _, f := range []struct {
		vi, en string
		n      int
	}{{"Số trang", "The number of pages", d.Pages}, {"Số lượng bản", "The number of copies", d.Copies}} {
		if f.n < 0 || f.n > maxCount {
			return failf(KindInvalid, "%[1]s: %[3]d, phải từ 0 đến %[4]d.", "%[2]s is %[3]d; 0 to %[4]d are allowed.", f.vi, f.en, f.n, maxCount)
		}
	}
	if err := cleanList("Nơi nhận", "A place of receipt", d.ToPlaces, maxToPlace, maxToPlaces); err != nil {
		return err
	}
	return cleanList("Phụ lục", "An appendix", d.Appendixes, maxAppendix, 0)
}

// cleanList checks and normalises lines of one field; together 0 = no limit on
// their sum.
func cleanList(vi, en string, list []string, each, together int) error {
	if len(list) > maxList {
		return failf(KindInvalid, "%[1]s: %[3]d dòng, tối đa %[4]d.", "%[2]s: %[3]d lines; at most %[4]d are allowed.", vi, en, len(list), maxList)
	}
	sum := 0
	for i, line := range list {
		s, err := registry.CleanLine(vi, en, line, each)
		if err != nil {
			return err
		}
		if s == "" {
			return failf(KindInvalid, "%[1]s: dòng %[3]d trống.", "%[2]s: line %[3]d is empty.", vi, en, i+1)
		}
		list[i] = s
		sum += utf8.RuneCountInString(s)
	}
	if together > 0 && sum > together {
		return failf(KindInvalid, "%[1]s: dài %[3]d ký tự, tối đa %[4]d.", "%[2]s has %[3]d characters, at most %[4]d are allowed.", vi, en, sum, together)
	}
	return nil
}
