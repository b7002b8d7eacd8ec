// Package signing signs official documents (ký số văn bản điện tử) and judges signatures on them.
//
// [VerifyPDF] and [VerifyDetached] give a [Report] with the indications of ETSI EN 319 102-1: a bad signature is a
// result with reasons, never an error. [SignPDF] and [SignDetached] make signatures; whoever signs has the result
// judged by the same validator before it counts.
//
// The sub-packages hold the parts: pdf (reader, incremental writer, differences of revisions), cms (SignedData),
// pki (chains, revocation), tsa (time stamps), keys and stamp (visible appearances).
package signing
