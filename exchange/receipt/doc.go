// Package receipt makes and judges receipt bundles (biên bản gửi nhận): one file that proves to anyone, without the hub
// and without a network, what happened to an official document. README.md is its specification.
//
// A bundle is an ASiC-E container (ETSI EN 319 162-1) in a form of which every byte is determined: members stored one
// after the other, no times, no comments, nothing between, before or behind them. It carries the facts of the document,
// the signed receipts of the recipients, the evidence entries with their proofs of inclusion in the hub's log, what is
// needed to judge certificates years later, and a page that explains it. Verify needs the bundle and a trusted root.
package receipt

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vanthu/storage/ledger/logproof"
)

// MediaType and Extension of a bundle: those of the container format, so that other programs open it too.
const (
	MediaType = "application/vnd.etsi.asic-e+zip"
	Extension = ".asice"
)

// The members of a bundle.
const (
	memberType            = "mimetype"
	memberReadme          = "README.html"
	memberStatement       = "receipt.json"
	memberCheckpoint      = "log/checkpoint"
	memberCheckpointToken = "log/checkpoint.tst"
	memberManifest        = "META-INF/ASiCManifest001.xml"
	memberSignature       = "META-INF/signature001.p7s"
	memberArchive         = "META-INF/ASiCArchiveManifest001.xml"
	memberTimestamp       = "META-INF/timestamp001.tst"

	memberDocument = "documents/document.pdf"

	folderReceipts     = "receipts/"
	folderEvidence     = "evidence/"
	folderCertificates = "validation/certificates/"
	folderCRLs         = "validation/crls/"
	folderOCSPs        = "validation/ocsps/"
)

// Bounds of what comes from outside.
const (
	maxBundle    = 512 << 20 // bytes of the file
	maxMembers   = 20_000
	maxStatement = 4 << 20
	maxSmall     = 1 << 20 // bytes of any other member but the documents and the page
)

// skew is tolerated between the clocks of agencies, logs and authorities.
const skew = 5 * time.Minute

// ErrMake says that a bundle cannot be made of what was given.
var ErrMake = errors.New("receipt: the bundle cannot be made")

// ErrTooLarge says that there is too much for one bundle: too many recipients, or too large a document. It is an ErrMake.
var ErrTooLarge = fmt.Errorf("%w: too much for one", ErrMake)

// version is that of the statement.
const version = 1

// Statement is what the issuing agency says and signs: receipt.json.
type Statement struct {
	V           int       `json:"v"`
	Made        time.Time `json:"made"`
	Issuer      string    `json:"issuer"` // code of the agency that made the bundle
	Document    Facts     `json:"document"`
	Parties     []Party   `json:"parties"`
	Log         Log       `json:"log"`
	TimePending bool      `json:"time_pending,omitempty"` // no time-stamp authority was to be had
	// Only are the recipients that the bundle was asked to speak of; none = all to whom the document was sent.
	Only []string `json:"only,omitempty"`
}

// Facts are what the document's envelope says.
type Facts struct {
	ID             string    `json:"id"`
	From           string    `json:"from"`
	Code           string    `json:"code"` // số, ký hiệu
	Type           string    `json:"type"`
	Subject        string    `json:"subject"` // trích yếu
	Issued         string    `json:"issued"`  // day, YYYY-MM-DD
	Place          string    `json:"place,omitempty"`
	SignerName     string    `json:"signer_name,omitempty"`
	SignerPosition string    `json:"signer_position,omitempty"`
	Axis           string    `json:"axis,omitempty"`
	Digest         string    `json:"digest"` // SHA-256 of the PDF, hex
	Size           int64     `json:"size"`
	Sent           time.Time `json:"sent,omitzero"`
}

// Party is an agency that the bundle speaks of, as the issuer's register had it.
type Party struct {
	Code         string        `json:"code"`
	Name         string        `json:"name"`
	From         time.Time     `json:"from,omitzero"` // when the code began
	To           time.Time     `json:"to,omitzero"`   // when it ended
	Recipient    bool          `json:"recipient,omitempty"`
	Channel      string        `json:"channel,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`
	Successors   []Succession  `json:"successors,omitempty"`
}

// Succession says that an agency continues another that has ended (kế thừa), and acts in its name from then on.
type Succession struct {
	Code string    `json:"code"`
	From time.Time `json:"from,omitzero"`
}

// Certificate speaks for a party.
type Certificate struct {
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the certificate, hex
	From        time.Time `json:"from,omitzero"`
	To          time.Time `json:"to,omitzero"`
}

// Log names the evidence log.
type Log struct {
	Key  string `json:"key"`  // name+id+key
	Size int64  `json:"size"` // of the checkpoint
}

// Body is what a recipient's receipt says (receipts/*.json).
type Body struct {
	Answer        json.RawMessage `json:"answer,omitempty"`
	ArrivalNumber int             `json:"arrival_number"`
	ArrivalYear   int             `json:"arrival_year"`
	At            time.Time       `json:"at"`
	By            string          `json:"by,omitempty"` // who did it
	Code          string          `json:"code"`
	Digest        string          `json:"digest"`
	Document      string          `json:"document"`
	From          string          `json:"from"`
	ID            string          `json:"id"`
	Note          string          `json:"note"`
	Status        string          `json:"status"`
	Step          int64           `json:"step"`
	Successor     string          `json:"successor,omitempty"`
	To            string          `json:"to"`
	V             int             `json:"v"`
}

// entryFacts is the body of an evidence entry.
type entryFacts map[string]string

func factsOf(p *logproof.Proof) (entryFacts, error) {
	var f entryFacts
	if err := json.Unmarshal(p.Entry.Body, &f); err != nil {
		return nil, fmt.Errorf("the body of an evidence entry: %w", err)
	}
	return f, nil
}
