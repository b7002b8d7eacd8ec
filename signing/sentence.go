package signing

import (
	"fmt"
	"strings"
)

// Sentence is the judgement as one sentence for people, in Vietnamese ("vi") or English (anything else). It names a
// signer only where the signature passed or where saying who is meant helps; untrusted names stand in quotes.
func (r *Report) Sentence(lang string) string {
	vi := lang == "vi"
	pick := func(english, vietnamese string) string {
		if vi {
			return vietnamese
		}
		return english
	}
	switch r.Verdict {
	case NoSignature:
		if why := r.why(vi); why != "" {
			return pick("The document carries no signature: ", "Tài liệu không có chữ ký số: ") + why + "."
		}
		return pick("The document carries no digital signature.", "Tài liệu không có chữ ký số.")
	case TotalPassed:
		return r.passed(pick)
	case TotalFailed:
		return pick("The document must not be relied on: ", "Không được sử dụng tài liệu này: ") + r.blame(pick, vi) + "."
	}
	if r.Integrity == Intact {
		return pick("The content is unchanged since it was signed, but it is not certain who signed it: ",
			"Nội dung không thay đổi từ khi ký, nhưng chưa xác định chắc chắn được người ký: ") + r.blame(pick, vi) + "."
	}
	return pick("The signatures cannot be judged: ", "Chưa thể kết luận về chữ ký: ") + r.blame(pick, vi) + "."
}

// passed lists who signed.
func (r *Report) passed(pick func(string, string) string) string {
	var names []string
	extended := false
	for _, s := range r.Signatures {
		if s.Kind == KindSignature {
			name := s.Signer
			if s.Organization != "" && s.Organization != s.Signer {
				name += " (" + s.Organization + ")"
			}
			names = append(names, name)
		}
		extended = extended || s.LaterChanges == ChangesPermitted
	}
	end := pick("and was not changed since.", "và không thay đổi từ khi ký.")
	if extended {
		end = pick("and was only extended in permitted ways since.", "và chỉ được bổ sung theo cách được phép từ khi ký.")
	}
	if len(names) == 0 {
		return pick("The document carries a valid time stamp ", "Tài liệu có dấu thời gian hợp lệ ") + end
	}
	return pick("The document is validly signed by ", "Tài liệu có chữ ký hợp lệ của ") + strings.Join(names, ", ") + ", " + end
}

// blame names the signature that decided, and why.
func (r *Report) blame(pick func(string, string) string, vi bool) string {
	for _, s := range r.Signatures {
		if s.Indication != r.Verdict {
			continue
		}
		reasons := s.Reasons
		if vi {
			reasons = s.ReasonsVI
		}
		why := ""
		if len(reasons) > 0 {
			why = strings.TrimPrefix(reasons[0], code(reasons[0]))
		}
		what := pick("the signature", "chữ ký")
		if s.Kind == KindTimestamp {
			what = pick("the time stamp", "dấu thời gian")
		}
		name := s.Signer
		if name == "" {
			name = s.Field
		}
		return fmt.Sprintf("%s “%s”: %s", what, name, why)
	}
	return r.why(vi)
}

// why is the reason for the file as a whole.
func (r *Report) why(vi bool) string {
	switch {
	case len(r.Reasons) == 0:
		return ""
	case vi && len(r.ReasonsVI) > 0:
		return r.ReasonsVI[0]
	}
	return strings.TrimPrefix(r.Reasons[0], code(r.Reasons[0]))
}

// code is the "code: " that starts an English reason.
func code(reason string) string {
	if before, _, ok := strings.Cut(reason, ": "); ok && !strings.Contains(before, " ") {
		return before + ": "
	}
	return ""
}
