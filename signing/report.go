package signing

import "time"

// Verdict is the judgement of a whole file (kết luận).
type Verdict string

// The verdicts of a file: those of ETSI EN 319 102-1 §5.1.3, and a file without any signature.
const (
	TotalPassed   Verdict = "TOTAL_PASSED"
	TotalFailed   Verdict = "TOTAL_FAILED"
	Indeterminate Verdict = "INDETERMINATE"
	NoSignature   Verdict = "NO_SIGNATURE"
)

// Integrity (tính toàn vẹn) says whether the content is what was signed, leaving trust and revocation out.
type Integrity string

// The values of [Integrity].
const (
	Intact  Integrity = "intact"
	Altered Integrity = "altered"
	Unclear Integrity = "unclear"
)

// Indication is the result of one signature (ETSI EN 319 102-1 §5.1.3).
type Indication = Verdict

// SubIndication is why a signature did not pass (ETSI EN 319 102-1 §5.1.3, tables 5 and 6).
type SubIndication string

// The sub-indications in use. Those of the first group go with TOTAL_FAILED, the others with INDETERMINATE.
const (
	FormatFailure    SubIndication = "FORMAT_FAILURE"
	HashFailure      SubIndication = "HASH_FAILURE"
	SigCryptoFailure SubIndication = "SIG_CRYPTO_FAILURE"
	Revoked          SubIndication = "REVOKED"
	Expired          SubIndication = "EXPIRED"
	NotYetValid      SubIndication = "NOT_YET_VALID"

	SigConstraintsFailure     SubIndication = "SIG_CONSTRAINTS_FAILURE"
	ChainConstraintsFailure   SubIndication = "CHAIN_CONSTRAINTS_FAILURE"
	CertificateChainGeneral   SubIndication = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
	CryptoConstraintsFailure  SubIndication = "CRYPTO_CONSTRAINTS_FAILURE"
	CryptoConstraintsNoPOE    SubIndication = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
	OutOfBoundsNoPOE          SubIndication = "OUT_OF_BOUNDS_NO_POE"
	OutOfBoundsNotRevoked     SubIndication = "OUT_OF_BOUNDS_NOT_REVOKED"
	RevokedNoPOE              SubIndication = "REVOKED_NO_POE"
	RevokedCANoPOE            SubIndication = "REVOKED_CA_NO_POE"
	NoSigningCertificateFound SubIndication = "NO_SIGNING_CERTIFICATE_FOUND"
	NoCertificateChainFound   SubIndication = "NO_CERTIFICATE_CHAIN_FOUND"
	TimestampOrderFailure     SubIndication = "TIMESTAMP_ORDER_FAILURE"
	SignedDataNotFound        SubIndication = "SIGNED_DATA_NOT_FOUND"
	TryLater                  SubIndication = "TRY_LATER"
	Generic                   SubIndication = "GENERIC"
)

// Kinds of [Signature].
const (
	KindSignature = "signature"
	KindTimestamp = "timestamp" // a document time stamp (dấu thời gian của tài liệu)
)

// Values of [Signature].LaterChanges.
const (
	ChangesNone      = "none"
	ChangesPermitted = "permitted"
	ChangesForbidden = "forbidden"
	ChangesUnclear   = "unclear"
)

// Levels of [Signature] (ETSI EN 319 142-1 §6); LevelAdobe is every other form in use.
const (
	LevelAdobe = "adbe"
	LevelB     = "B-B"
	LevelT     = "B-T"
	LevelLT    = "B-LT"
	LevelLTA   = "B-LTA"
)

// Names of the five checks behind the sentence of a signature.
const (
	CheckContent   = "content"   // the signed bytes are unchanged
	CheckSignature = "signature" // the signature value fits the signer's certificate
	CheckSigner    = "signer"    // the certificate leads to a trusted authority and was valid
	CheckTime      = "time"      // a trusted authority proves the time
	CheckChanges   = "changes"   // what was added later is nothing or is permitted
)

// Check is one of the five checks behind a sentence; OK is nil when it could not be decided.
type Check struct {
	Name   string `json:"name"`
	OK     *bool  `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// Report is the judgement of one file (báo cáo kiểm tra).
type Report struct {
	File       string      `json:"file"`
	Verdict    Verdict     `json:"verdict"`
	Integrity  Integrity   `json:"integrity"`
	Signatures []Signature `json:"signatures"`
	Reasons    []string    `json:"reasons,omitempty"`    // about the file as a whole: "code: sentence", English
	ReasonsVI  []string    `json:"reasons_vi,omitempty"` // the same as Vietnamese sentences
}

// Signature is the judgement of one signature or document time stamp.
type Signature struct {
	Field         string        `json:"field"`
	Kind          string        `json:"kind"` // KindSignature or KindTimestamp
	Indication    Indication    `json:"indication"`
	SubIndication SubIndication `json:"subindication"` // "" when passed
	Signer        string        `json:"signer"`        // common name; untrusted unless passed
	Organization  string        `json:"organization"`  // O of the subject
	ClaimedTime   *time.Time    `json:"claimed_time"`  // null when none is claimed
	ProvenTime    *time.Time    `json:"proven_time"`   // earliest trusted time stamp; null without one
	Level         string        `json:"level"`
	Algorithm     string        `json:"algorithm"`
	Covers        string        `json:"covers"`        // "document" or "revision"
	LaterChanges  string        `json:"later_changes"` // ChangesNone, …
	Reasons       []string      `json:"reasons"`       // "code: sentence", English; codes are stable
	ReasonsVI     []string      `json:"reasons_vi,omitempty"`
	Integrity     Integrity     `json:"integrity"`
	Fingerprint   string        `json:"fingerprint,omitempty"` // SHA-256 of the signer's certificate, lower-case hex
	Email         string        `json:"email,omitempty"`
	Issuer        string        `json:"issuer,omitempty"`
	Serial        string        `json:"serial,omitempty"` // of the certificate, hexadecimal
	Reason        string        `json:"reason,omitempty"` // what the signer states as reason
	Location      string        `json:"location,omitempty"`
	CoversTo      int64         `json:"covers_to,omitempty"` // one past the last byte covered
	Checks        []Check       `json:"checks,omitempty"`
	Changes       []Change      `json:"changes,omitempty"`       // what was added or changed later, the worst first
	ChangedPages  []int         `json:"changed_pages,omitempty"` // pages that look otherwise than when it was signed, or may; from 1

	subFilter string     // of the signature dictionary
	evidence  evidenceOf // see XML
}

// Change is one later change of the document (thay đổi sau khi ký).
type Change struct {
	Outcome string `json:"outcome"` // ChangesPermitted, ChangesUnclear, ChangesForbidden
	Object  uint32 `json:"object"`  // number of the object, 0 for the trailer
	Path    string `json:"path"`    // the way to it from the trailer: "Root/Pages/Kids[0]/Contents"
	Rule    string `json:"rule"`    // what permits or forbids it, English
	Page    int    `json:"page,omitempty"`
}
