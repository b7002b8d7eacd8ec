package exchange

import "slices"

// DocType is one of the document types of NĐ 30/2020 Điều 7 (loại văn bản), a
// legal normative type (văn bản quy phạm pháp luật), or a copy (bản sao).
type DocType struct {
	Code       string `json:"code"` // the key in Document.Type: the abbreviation, or CV, TCg where there is none
	Abbr       string `json:"abbr"` // in the symbol (NĐ 30/2020 Phụ lục III.I); "" for công văn and thư công
	Name       string `json:"name"`
	NameEN     string `json:"name_en"`
	TypeDetail int    `json:"type_detail"`     // QCVN 102 list B, for legal types list A; -1 = none known
	Legal      bool   `json:"legal,omitempty"` // its symbol carries the year, and it has a series of its own (NĐ 30/2020 Điều 15.2)
	Copy       bool   `json:"copy,omitempty"`  // all kinds of copy are one series
}

// DocTypes gives the 29 types in the order of the decree.
func DocTypes() []DocType {
	return []DocType{
		{"NQ", "NQ", "Nghị quyết (cá biệt)", "Resolution", 1, false, false},
		{"QĐ", "QĐ", "Quyết định (cá biệt)", "Decision", 2, false, false},
		{"CT", "CT", "Chỉ thị", "Directive", 3, false, false},
		{"QC", "QC", "Quy chế", "Regulation", 4, false, false},
		{"QyĐ", "QyĐ", "Quy định", "Rules", 5, false, false},
		{"TC", "TC", "Thông cáo", "Communiqué", 6, false, false},
		{"TB", "TB", "Thông báo", "Announcement", 7, false, false},
		{"HD", "HD", "Hướng dẫn", "Guidance", 8, false, false},
		{"CTr", "CTr", "Chương trình", "Programme", 9, false, false},
		{"KH", "KH", "Kế hoạch", "Plan", 10, false, false},
		{"PA", "PA", "Phương án", "Scheme", 11, false, false},
		{"ĐA", "ĐA", "Đề án", "Proposal", 12, false, false},
		{"DA", "DA", "Dự án", "Project", 13, false, false},
		{"BC", "BC", "Báo cáo", "Report", 14, false, false},
		{"BB", "BB", "Biên bản", "Minutes", 15, false, false},
		{"TTr", "TTr", "Tờ trình", "Submission", 16, false, false},
		{"HĐ", "HĐ", "Hợp đồng", "Contract", 17, false, false},
		{"CV", "", "Công văn", "Official letter", 18, false, false},
		{"CĐ", "CĐ", "Công điện", "Official telegram", 19, false, false},
		{"BGN", "BGN", "Bản ghi nhớ", "Memorandum", 20, false, false},
		{"BTT", "BTT", "Bản thỏa thuận", "Agreement", 22, false, false},
		{"GUQ", "GUQ", "Giấy ủy quyền", "Power of attorney", 24, false, false},
		{"GM", "GM", "Giấy mời", "Invitation", 25, false, false},
		{"GGT", "GGT", "Giấy giới thiệu", "Letter of introduction", 26, false, false},
		{"GNP", "GNP", "Giấy nghỉ phép", "Leave permit", 27, false, false},
		{"PG", "PG", "Phiếu gửi", "Dispatch note", 30, false, false},
		{"PC", "PC", "Phiếu chuyển", "Transfer note", 31, false, false},
		{"PB", "PB", "Phiếu báo", "Notice slip", -1, false, false},
		{"TCg", "", "Thư công", "Official correspondence", 32, false, false},
	}
}

// LegalTypes gives the legal normative types that agencies number (QCVN
// 102:2016/SĐ1:2022 list A, without those of the National Assembly and its
// Standing Committee, whose symbols name the term of office instead).
func LegalTypes() []DocType {
	return []DocType{
		{"L.NQ", "NQ", "Nghị quyết (quy phạm pháp luật)", "Resolution (normative)", 5, true, false},
		{"L.NQLT", "NQLT", "Nghị quyết liên tịch", "Joint resolution", 6, true, false},
		{"L.NĐ", "NĐ", "Nghị định", "Decree", 7, true, false},
		{"L.QĐ", "QĐ", "Quyết định (quy phạm pháp luật)", "Decision (normative)", 8, true, false},
		{"L.TT", "TT", "Thông tư", "Circular", 9, true, false},
		{"L.TTLT", "TTLT", "Thông tư liên tịch", "Joint circular", 10, true, false},
		{"L.CT", "CT", "Chỉ thị (quy phạm pháp luật)", "Directive (normative)", 11, true, false},
	}
}

// CopyTypes gives the kinds of copy (NĐ 30/2020 Điều 25, Phụ lục III.I).
func CopyTypes() []DocType {
	return []DocType{
		{"SY", "SY", "Bản sao y", "True copy", -1, false, true},
		{"TrS", "TrS", "Bản trích sao", "Extract", -1, false, true},
		{"SL", "SL", "Bản sao lục", "Copy of a copy", -1, false, true},
	}
}

// AllTypes gives every type: DocTypes, LegalTypes, CopyTypes.
func AllTypes() []DocType { return slices.Concat(DocTypes(), LegalTypes(), CopyTypes()) }

// DocTypeOf gives the type with a code.
func DocTypeOf(code string) (DocType, bool) {
	for _, t := range AllTypes() {
		if t.Code == code {
			return t, true
		}
	}
	return DocType{}, false
}

// In gives the type's name in lang (vi|en).
func (t DocType) In(lang string) string {
	if lang == "en" {
		return t.NameEN
	}
	return t.Name
}
