package exchange

// DocType is one of the document types of NĐ 30/2020 Điều 7 (loại văn bản).
type DocType struct {
	Code       string `json:"code"` // the key in Document.Type: the abbreviation, or CV, TCg where there is none
	Abbr       string `json:"abbr"` // in the symbol (NĐ 30/2020 Phụ lục III.I); "" for công văn and thư công
	Name       string `json:"name"`
	NameEN     string `json:"name_en"`
	TypeDetail int    `json:"type_detail"` // QCVN 102 list B; -1 = none known
}

// DocTypes gives the 29 types in the order of the decree.
func DocTypes() []DocType {
	return []DocType{
		{"NQ", "NQ", "Nghị quyết (cá biệt)", "Resolution", 1},
		{"QĐ", "QĐ", "Quyết định (cá biệt)", "Decision", 2},
		{"CT", "CT", "Chỉ thị", "Directive", 3},
		{"QC", "QC", "Quy chế", "Regulation", 4},
		{"QyĐ", "QyĐ", "Quy định", "Rules", 5},
		{"TC", "TC", "Thông cáo", "Communiqué", 6},
		{"TB", "TB", "Thông báo", "Announcement", 7},
		{"HD", "HD", "Hướng dẫn", "Guidance", 8},
		{"CTr", "CTr", "Chương trình", "Programme", 9},
		{"KH", "KH", "Kế hoạch", "Plan", 10},
		{"PA", "PA", "Phương án", "Scheme", 11},
		{"ĐA", "ĐA", "Đề án", "Proposal", 12},
		{"DA", "DA", "Dự án", "Project", 13},
		{"BC", "BC", "Báo cáo", "Report", 14},
		{"BB", "BB", "Biên bản", "Minutes", 15},
		{"TTr", "TTr", "Tờ trình", "Submission", 16},
		{"HĐ", "HĐ", "Hợp đồng", "Contract", 17},
		{"CV", "", "Công văn", "Official letter", 18},
		{"CĐ", "CĐ", "Công điện", "Official telegram", 19},
		{"BGN", "BGN", "Bản ghi nhớ", "Memorandum", 20},
		{"BTT", "BTT", "Bản thỏa thuận", "Agreement", 22},
		{"GUQ", "GUQ", "Giấy ủy quyền", "Power of attorney", 24},
		{"GM", "GM", "Giấy mời", "Invitation", 25},
		{"GGT", "GGT", "Giấy giới thiệu", "Letter of introduction", 26},
		{"GNP", "GNP", "Giấy nghỉ phép", "Leave permit", 27},
		{"PG", "PG", "Phiếu gửi", "Dispatch note", 30},
		{"PC", "PC", "Phiếu chuyển", "Transfer note", 31},
		{"PB", "PB", "Phiếu báo", "Notice slip", -1},
		{"TCg", "", "Thư công", "Official correspondence", 32},
	}
}

// DocTypeOf gives the type with a code.
func DocTypeOf(code string) (DocType, bool) {
	for _, t := range DocTypes() {
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
