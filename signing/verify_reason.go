package signing

import (
	"slices"
	"strings"

	"vanthu/signing/pdf"
	"vanthu/signing/pki"
)

// Codes of reasons that this package gives beside those of package pki and the field codes of package pdf.
const (
	codeDamaged        pki.Code = "damaged"
	codeEncrypted      pki.Code = "encrypted"
	codeForm           pki.Code = "form-unreadable"
	codeRemoved        pki.Code = "signature-removed"
	codeTrailing       pki.Code = "trailing-bytes"
	codeAmbiguous      pki.Code = "ambiguous-structure"
	codeOutsideForm    pki.Code = "outside-the-form"
	codeEarlier        pki.Code = "earlier-signature"
	codeSubFilter      pki.Code = "subfilter"
	codePadding        pki.Code = "padding"
	codeForbidden      pki.Code = "changes-forbidden"
	codeChangesUnclear pki.Code = "changes-unclear"
	codePermitted      pki.Code = "changes-permitted"
	codeNoESS          pki.Code = "no-signing-certificate-attribute"
	codeManySigners    pki.Code = "many-signers"
	codeTimestampBad   pki.Code = "timestamp-broken"
	codeTimestampOrder pki.Code = "timestamp-order"
	codeNotRevokedYet  pki.Code = "revoked-later"
	codeNotChecked     pki.Code = "revocation-not-checked"
	codeUnreachable    pki.Code = "revocation-unreachable"
	codeWeakThen       pki.Code = "weak-but-proven"
	codeTooLate        pki.Code = "time-out-of-order"
)

// sentence is a reason in both languages.
type sentence struct {
	code   pki.Code
	en, vi string
}

// sentences is made on each call so that nothing of the package can be changed; it is only wanted for people.
func sentences() []sentence {
	return []sentence{
		{codeDamaged, "the file is damaged, so that programs may show different content", "tệp bị hỏng, các chương trình có thể hiển thị nội dung khác nhau"},
		{codeEncrypted, "the file is encrypted and cannot be read", "tệp được mã hóa và không đọc được"},
		{codeForm, "the form fields cannot be read", "không đọc được các trường biểu mẫu"},
		{codeRemoved, "an earlier version of the file was signed and the signature was removed", "phiên bản trước của tệp có chữ ký và chữ ký đó đã bị gỡ"},
		{codeTrailing, "bytes were appended that belong to no version of the document", "có dữ liệu được thêm vào mà không thuộc phiên bản nào của tài liệu"},
		{codeAmbiguous, "what was added after signing can be read in more than one way", "phần thêm sau khi ký có thể được đọc theo nhiều cách"},
		{codeOutsideForm, "the signature stands on a page only, not in the form of the document: the file was rewritten, or programs differ on whether it is signed",
			"chữ ký chỉ nằm trên trang, không có trong biểu mẫu của tài liệu: tệp đã được ghi lại, hoặc các chương trình không thống nhất là tệp có chữ ký"},
		{codeEarlier, "an earlier signature did not hold before this signing already; signing did not change it", "một chữ ký có từ trước đã không đạt từ trước lần ký này; việc ký không làm thay đổi nó"},
		{codeSubFilter, "the form of the signature is not supported", "dạng chữ ký không được hỗ trợ"},
		{codePadding, "the unsigned room after the signature value is not empty", "phần trống không được ký sau giá trị chữ ký không rỗng"},
		{codeForbidden, "the document was changed after signing in a way that is not permitted", "tài liệu đã bị thay đổi sau khi ký theo cách không được phép"},
		{codeChangesUnclear, "it cannot be decided whether later changes are permitted", "không xác định được các thay đổi sau khi ký có được phép hay không"},
		{codePermitted, "the document was extended after signing in a permitted way", "tài liệu được bổ sung sau khi ký theo cách được phép"},
		{codeNoESS, "the signature does not name its certificate in a signed attribute, as PAdES requires", "chữ ký không nêu chứng thư trong thuộc tính đã ký như PAdES yêu cầu"},
		{codeManySigners, "the signature holds more than one signer, which PDF signatures must not", "chữ ký chứa nhiều hơn một người ký, trái với quy định của chữ ký PDF"},
		{codeTimestampBad, "a time stamp of the signature is broken", "một dấu thời gian của chữ ký bị hỏng"},
		{codeTimestampOrder, "a later time stamp shows an earlier time", "dấu thời gian đặt sau lại có thời điểm sớm hơn"},
		{codeNotRevokedYet, "the certificate was revoked after the proven time of the signature", "chứng thư bị thu hồi sau thời điểm ký đã được chứng minh"},
		{codeNotChecked, "whether the certificate was revoked was not checked for lack of data", "chưa kiểm tra việc thu hồi chứng thư vì không có dữ liệu"},
		{codeUnreachable, "the authority gave no usable answer on whether the certificate was revoked", "cơ quan chứng thực không trả lời được là chứng thư có bị thu hồi hay không"},
		{codeWeakThen, "the algorithms are weak today but were sound at the proven time", "thuật toán nay đã yếu nhưng còn đủ mạnh vào thời điểm đã được chứng minh"},
		{codeTooLate, "the signature existed before its certificate was valid", "chữ ký tồn tại trước khi chứng thư có hiệu lực"},
		{pdf.FieldByteRange, "the signed byte range is malformed", "phạm vi byte được ký sai định dạng"},
		{pdf.FieldStart, "the signed byte range does not start at the beginning of the file", "phạm vi byte được ký không bắt đầu từ đầu tệp"},
		{pdf.FieldOrder, "the signed byte range overlaps itself or leaves the file", "phạm vi byte được ký chồng lấn hoặc vượt ra ngoài tệp"},
		{pdf.FieldEnd, "the signed byte range does not end where a version of the document ends", "phạm vi byte được ký không kết thúc ở cuối một phiên bản của tài liệu"},
		{pdf.FieldGap, "the gap of the signed byte range is not exactly the signature value", "khoảng trống của phạm vi byte được ký không đúng bằng giá trị chữ ký"},
		{pdf.FieldContents, "the signature value is missing or malformed", "giá trị chữ ký bị thiếu hoặc sai định dạng"},
		{pdf.FieldTwice, "the signature dictionary has an entry twice", "từ điển chữ ký có một mục bị lặp"},
		{pdf.FieldChanged, "the signature dictionary was changed after signing", "từ điển chữ ký đã bị thay đổi sau khi ký"},
		{pdf.FieldMissing, "the signed version of the document does not hold this signature", "phiên bản được ký của tài liệu không chứa chữ ký này"},
		{pdf.FieldUnreadable, "the signature dictionary cannot be read", "không đọc được từ điển chữ ký"},
	}
}

// reasonText is the sentence of a reason in "vi" or "en".
func reasonText(r pki.Reason, lang string) string {
	for _, s := range sentences() {
		if s.code != r.Code {
			continue
		}
		text := s.en
		if lang == "vi" {
			text = s.vi
		}
		detail := r.DetailIn(lang)
		if lang == "vi" && r.DetailVI == "" {
			detail = vietnameseDetail(r.Code, detail)
		}
		if detail != "" {
			text += " (" + detail + ")"
		}
		return text
	}
	return r.Text(lang)
}

// vietnameseDetail gives the details of this package's reasons: words where they are known, names and numbers as they
// are, and nothing instead of the English text of an error.
func vietnameseDetail(code pki.Code, detail string) string {
	switch code {
	case codeDamaged, codeEncrypted, codeForm, codeAmbiguous, codeTimestampBad:
		return ""
	case codeForbidden, codePermitted, codeChangesUnclear:
		if i := strings.LastIndex(detail, ", "); i >= 0 {
			return detail[i+len(", "):] // the rule is English, the way to the object is not
		}
		if strings.Contains(detail, " ") {
			return ""
		}
	case codeTrailing:
		count, _, _ := strings.Cut(detail, " ")
		return count + " byte"
	case pdf.FieldStart:
		return strings.Replace(detail, "starts at", "bắt đầu từ byte", 1)
	case pdf.FieldEnd:
		return strings.Replace(detail, "ends at", "kết thúc ở byte", 1)
	case pdf.FieldGap:
		return strings.NewReplacer("gap", "khoảng trống", " to ", " đến ").Replace(detail)
	case pdf.FieldContents:
		return map[string]string{"missing": "thiếu", "empty": "rỗng", "not a hexadecimal string": "không phải chuỗi thập lục phân"}[detail]
	}
	return detail
}

// rank orders reasons: those that make it fail, those that leave it open, remarks.
func rank(r pki.Reason) int {
	switch {
	case r.Sub.Failed():
		return 0
	case r.Sub != "":
		return 1
	}
	return 2
}

// once drops repeated reasons.
func once(reasons pki.Reasons) pki.Reasons {
	var out pki.Reasons
	for _, r := range reasons {
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// reasonTexts gives "code: sentence" in English, and the Vietnamese sentences.
func reasonTexts(reasons pki.Reasons) (en, vi []string) {
	en = make([]string, len(reasons))
	for i, r := range reasons {
		en[i] = string(r.Code) + ": " + reasonText(r, "en")
		vi = append(vi, reasonText(r, "vi"))
	}
	return en, vi
}

// fieldReason turns a problem of package pdf, "code: detail", into a reason.
func fieldReason(problem string) pki.Reason {
	code, detail, _ := strings.Cut(problem, ": ")
	return pki.Reason{Code: pki.Code(code), Sub: pki.FormatFailure, Detail: detail}
}

// indication is the result that reasons lead to; reasons without a sub-indication are remarks only.
func indication(reasons pki.Reasons) (Indication, SubIndication) {
	var first pki.Sub
	for _, r := range reasons {
		if r.Sub.Failed() {
			return TotalFailed, SubIndication(r.Sub)
		}
		if first == "" {
			first = r.Sub
		}
	}
	if first != "" {
		return Indeterminate, SubIndication(first)
	}
	return TotalPassed, ""
}
