package pki

import "strings"

// DetailIn is the reason's detail in a language; "" when there is none for people of that language: what programs say of
// errors is English.
func (r Reason) DetailIn(lang string) string {
	text := strings.TrimSuffix(r.Detail, ".")
	if lang != "vi" {
		return text
	}
	if r.DetailVI != "" {
		return strings.TrimSuffix(r.DetailVI, ".")
	}
	switch r.Code {
	case CodeMalformed, CodeToken, CodeNoContent:
		return "" // the text of an error
	case CodeAlgorithm:
		// Only an object identifier or a name has no English in it.
		if !strings.HasPrefix(text, "digest ") && strings.Contains(text, " ") {
			return ""
		}
	}
	if text == "key usage" {
		return "mục đích dùng khóa"
	}
	for _, start := range [][2]string{{"issuer ", "đơn vị cấp "}, {"digest ", "thuật toán băm "}} {
		if rest, ok := strings.CutPrefix(text, start[0]); ok && !strings.HasPrefix(text, "digest of ") {
			return start[1] + rest
		}
	}
	for _, p := range detailPhrases() {
		if p[0] == text || strings.HasPrefix(text, p[0]) && strings.HasSuffix(p[0], " ") || strings.HasSuffix(text, p[0]) && p[0][0] == ',' {
			return strings.Replace(text, p[0], p[1], 1)
		}
	}
	return text
}

// detailPhrases are the English words in details, whole, at the start when they end with a
// space, or at the end when they start with a comma: elsewhere they could be part of a name.
func detailPhrases() [][2]string {
	return [][2]string{
		{"extended key usage must be timeStamping, critical and only", "mục đích mở rộng phải là timeStamping, quan trọng và duy nhất"},
		{"signing-certificate of the time stamp", "signing-certificate của dấu thời gian"},
		{"digest of signing-certificate", "thuật toán băm của signing-certificate"},
		{"RFC 8419 requires SHA512 with Ed25519", "RFC 8419 yêu cầu SHA512 với Ed25519"},
		{"issued after the certificate expired", "phát hành sau khi chứng thư hết hạn"},
		{"CRL for some reasons only", "CRL chỉ dành cho một số lý do"},
		{"extended key usage", "mục đích sử dụng mở rộng"},
		{"algorithm protection", "thuộc tính bảo vệ thuật toán"},
		{"malformed names in ", "tên sai định dạng trong "},
		{"malformed in ", "sai định dạng trong "},
		{"not permitted: ", "không được phép: "},
		{"excluded: ", "bị loại trừ: "},
		{"too many names", "quá nhiều tên"},
		{"OCSP response", "phản hồi OCSP"},
		{"OCSP signing", "ký OCSP"},
		{"CRL signing", "ký CRL"},
		{"CRL of ", "CRL của "},
		{", key usage", ", mục đích dùng khóa"},
		{"public key type", "loại khóa công khai"},
		{"time stamp", "dấu thời gian"},
	}
}
