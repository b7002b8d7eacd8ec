package pki

// Sub is a sub-indication of ETSI EN 319 102-1 §5.1.3 (chỉ dấu phụ của kết quả kiểm tra).
type Sub string

// Sub-indications that the packages cms, pki and tsa give. Those for which Failed is true make a signature TOTAL-FAILED
// (ETSI EN 319 102-1 table 5), the others INDETERMINATE.
const (
	FormatFailure         Sub = "FORMAT_FAILURE"
	HashFailure           Sub = "HASH_FAILURE"
	SigCryptoFailure      Sub = "SIG_CRYPTO_FAILURE"
	Revoked               Sub = "REVOKED"
	Expired               Sub = "EXPIRED"
	NotYetValid           Sub = "NOT_YET_VALID"
	SigConstraints        Sub = "SIG_CONSTRAINTS_FAILURE"
	ChainConstraints      Sub = "CHAIN_CONSTRAINTS_FAILURE"
	ChainGeneral          Sub = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
	CryptoConstraints     Sub = "CRYPTO_CONSTRAINTS_FAILURE"
	CryptoNoPOE           Sub = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
	TimestampOrder        Sub = "TIMESTAMP_ORDER_FAILURE"
	NoSigningCertificate  Sub = "NO_SIGNING_CERTIFICATE_FOUND"
	NoCertificateChain    Sub = "NO_CERTIFICATE_CHAIN_FOUND"
	RevokedNoPOE          Sub = "REVOKED_NO_POE"
	RevokedCANoPOE        Sub = "REVOKED_CA_NO_POE"
	OutOfBoundsNoPOE      Sub = "OUT_OF_BOUNDS_NO_POE"
	OutOfBoundsNotRevoked Sub = "OUT_OF_BOUNDS_NOT_REVOKED"
	NoPOE                 Sub = "NO_POE"
	TryLater              Sub = "TRY_LATER"
	SignedDataNotFound    Sub = "SIGNED_DATA_NOT_FOUND"
	Generic               Sub = "GENERIC"
)

// Failed tells whether the sub-indication belongs to TOTAL-FAILED rather than INDETERMINATE.
func (s Sub) Failed() bool {
	switch s {
	case FormatFailure, HashFailure, SigCryptoFailure, Revoked, Expired, NotYetValid:
		return true
	}
	return false
}

// Code names one exact cause, stable for programs and for translation.
type Code string

// Reason is why something was not, or not fully, accepted: a result for people and programs, never an error.
type Reason struct {
	Code   Code
	Sub    Sub
	Detail string // what in this very case: an algorithm, a date, a name; may be empty; English or neutral
	// DetailVI is Detail in Vietnamese where DetailIn cannot know it; empty otherwise.
	DetailVI string
}

// Reasons is a list of reasons, most important first.
type Reasons []Reason

// Has tells whether the code is in the list.
func (rs Reasons) Has(code Code) bool {
	for _, r := range rs {
		if r.Code == code {
			return true
		}
	}
	return false
}

// Sub returns the sub-indication of the most serious reason (the first that makes TOTAL-FAILED, else the first), or
// "" for an empty list.
func (rs Reasons) Sub() Sub {
	for _, r := range rs {
		if r.Sub.Failed() {
			return r.Sub
		}
	}
	if len(rs) > 0 {
		return rs[0].Sub
	}
	return ""
}

// Texts gives one sentence per reason in "vi" or "en".
func (rs Reasons) Texts(lang string) []string {
	texts := make([]string, len(rs))
	for i, r := range rs {
		texts[i] = r.Text(lang)
	}
	return texts
}

// Text is the reason as one sentence in Vietnamese ("vi") or English (anything else), with the detail in parentheses.
func (r Reason) Text(lang string) string {
	text := r.Code.text(lang)
	if d := r.DetailIn(lang); d != "" {
		text += " (" + d + ")"
	}
	return text
}

// String is the English sentence.
func (r Reason) String() string { return r.Text("en") }
