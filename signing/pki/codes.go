package pki

// Codes of the packages cms, tsa and pki. The comment of each group says where it is given.
const (
	// cms: structure and signer.
	CodeMalformed         Code = "malformed"
	CodeSigners           Code = "signers"
	CodeNoSigner          Code = "no-signer-certificate"
	CodeSignerMismatch    Code = "signer-mismatch"
	CodeContentType       Code = "content-type"
	CodeMissingAttribute  Code = "missing-attribute"
	CodeDuplicate         Code = "duplicate-attribute"
	CodeNoContent         Code = "no-content"
	CodeUnexpectedContent Code = "unexpected-content"
	// cms: cryptography.
	CodeDigest         Code = "digest"
	CodeSignature      Code = "signature"
	CodeAlgorithm      Code = "algorithm"
	CodeDigestMismatch Code = "digest-algorithm"
	CodeWeakDigest     Code = "weak-digest"
	CodeWeakKey        Code = "weak-key"
	// pki: chains.
	CodeNoChain         Code = "no-chain"
	CodeExpired         Code = "expired"
	CodeNotYetValid     Code = "not-yet-valid"
	CodeUsage           Code = "usage"
	CodeNotAuthority    Code = "not-an-authority"
	CodePathLength      Code = "path-length"
	CodeNameConstraints Code = "name-constraints"
	CodeCritical        Code = "critical-extension"
	CodePolicy          Code = "policy"
	CodeLimit           Code = "limit"
	// pki: revocation.
	CodeRevoked             Code = "revoked"
	CodeNoRevocation        Code = "no-revocation-data"
	CodeRevocationStale     Code = "revocation-stale"
	CodeRevocationFuture    Code = "revocation-future"
	CodeRevocationSignature Code = "revocation-signature"
	CodeRevocationScope     Code = "revocation-scope"
	CodeRevocationMalformed Code = "revocation-malformed"
	CodeRevocationUnknown   Code = "revocation-unknown"
	// tsa: tokens.
	CodeToken            Code = "token"
	CodeImprint          Code = "imprint"
	CodeTimestampUsage   Code = "timestamp-usage"
	CodeTimestampTrust   Code = "timestamp-untrusted"
	CodeTimestampInvalid Code = "timestamp-invalid"
	CodeTimestampFuture  Code = "timestamp-future"
)

// words is a code's sentence in both languages.
type words struct {
	code   Code
	en, vi string
}

// text returns the sentence for the code. The tables are made on each call, so that no package state can be changed;
// sentences are only wanted for people.
func (c Code) text(lang string) string {
	for _, w := range append(signatureWords(), certificateWords()...) {
		if w.code == c && lang == "vi" {
			return w.vi
		}
		if w.code == c {
			return w.en
		}
	}
	return string(c)
}

// signatureWords are the sentences about signatures.
func signatureWords() []words {
	return []words{
		{CodeMalformed, "the signature data cannot be read",
			"không đọc được dữ liệu chữ ký"},
		{CodeSigners, "the signature data must hold exactly one signer",
			"dữ liệu chữ ký phải có đúng một người ký"},
		{CodeNoSigner, "the signer's certificate is not in the signature",
			"chữ ký không kèm chứng thư của người ký"},
		{CodeSignerMismatch, "the signed attributes name another signing certificate",
			"thuộc tính đã ký chỉ đến một chứng thư khác"},
		{CodeContentType, "the content type does not match the signed attribute",
			"kiểu nội dung không khớp với thuộc tính đã ký"},
		{CodeMissingAttribute, "a required signed attribute is missing or malformed",
			"thiếu hoặc hỏng một thuộc tính đã ký bắt buộc"},
		{CodeDuplicate, "a signed attribute stands twice",
			"một thuộc tính đã ký bị lặp"},
		{CodeNoContent, "the signed content is missing",
			"thiếu nội dung đã ký"},
		{CodeUnexpectedContent, "the signature carries content of its own",
			"chữ ký mang theo nội dung riêng"},
		{CodeDigest, "the content was changed after signing",
			"nội dung đã bị thay đổi sau khi ký"},
		{CodeSignature, "the signature value is wrong",
			"giá trị chữ ký sai"},
		{CodeAlgorithm, "the signature algorithm is not supported",
			"thuật toán ký không được hỗ trợ"},
		{CodeDigestMismatch, "the digest algorithm differs from that of the signature",
			"thuật toán băm khác với thuật toán của chữ ký"},
		{CodeWeakDigest, "the digest algorithm is too weak",
			"thuật toán băm quá yếu"},
		{CodeWeakKey, "the key is too weak",
			"khóa quá yếu"},
	}
}

// certificateWords are the sentences about certificates, revocation and time stamps.
func certificateWords() []words {
	return []words{
		{CodeNoChain, "no chain from the certificate to a trusted authority",
			"không có đường dẫn từ chứng thư đến cơ quan chứng thực tin cậy"},
		{CodeExpired, "the certificate had expired",
			"chứng thư đã hết hạn"},
		{CodeNotYetValid, "the certificate was not yet valid",
			"chứng thư chưa có hiệu lực"},
		{CodeUsage, "the certificate is not made for this use",
			"chứng thư không được cấp cho mục đích này"},
		{CodeNotAuthority, "an issuing certificate is not that of an authority",
			"một chứng thư cấp trên không phải của cơ quan chứng thực"},
		{CodePathLength, "the chain is longer than an authority permits",
			"đường dẫn chứng thực dài hơn mức được phép"},
		{CodeNameConstraints, "a name lies outside what an authority may issue",
			"tên nằm ngoài phạm vi được phép cấp"},
		{CodeCritical, "a certificate has a critical extension that is not understood",
			"chứng thư có phần mở rộng quan trọng không hiểu được"},
		{CodePolicy, "the certificate policies of the chain do not agree",
			"chính sách chứng thư trong đường dẫn không thống nhất"},
		{CodeLimit, "a limit of the check was reached",
			"vượt giới hạn của việc kiểm tra"},
		{CodeRevoked, "the certificate was revoked",
			"chứng thư đã bị thu hồi"},
		{CodeNoRevocation, "nothing says whether the certificate was revoked",
			"không có dữ liệu về việc thu hồi chứng thư"},
		{CodeRevocationStale, "the revocation data is too old",
			"dữ liệu thu hồi đã quá cũ"},
		{CodeRevocationFuture, "the revocation data is from the future",
			"dữ liệu thu hồi có thời điểm ở tương lai"},
		{CodeRevocationSignature, "the revocation data is not signed by the right authority",
			"dữ liệu thu hồi không do đúng cơ quan ký"},
		{CodeRevocationScope, "the revocation data does not cover this certificate",
			"dữ liệu thu hồi không bao gồm chứng thư này"},
		{CodeRevocationMalformed, "the revocation data cannot be read",
			"không đọc được dữ liệu thu hồi"},
		{CodeRevocationUnknown, "the authority does not know the certificate",
			"cơ quan chứng thực không biết chứng thư này"},
		{CodeToken, "the time stamp cannot be read",
			"không đọc được dấu thời gian"},
		{CodeImprint, "the time stamp belongs to other data",
			"dấu thời gian thuộc về dữ liệu khác"},
		{CodeTimestampUsage, "the time stamp's certificate is not made for time stamping",
			"chứng thư của dấu thời gian không được cấp để cấp dấu thời gian"},
		{CodeTimestampTrust, "the time-stamp authority is not trusted",
			"cơ quan cấp dấu thời gian không được tin cậy"},
		{CodeTimestampInvalid, "the time stamp's signature is not valid",
			"chữ ký của dấu thời gian không hợp lệ"},
		{CodeTimestampFuture, "the time stamp is from the future",
			"dấu thời gian ở tương lai"},
	}
}
