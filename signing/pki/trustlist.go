package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Errors of trust lists, for errors.Is.
var (
	// ErrListUnsigned: a trust list without a signature of a pinned certificate.
	ErrListUnsigned = errors.New("the trust list is not signed by a pinned certificate")
	// ErrListMalformed: not a list of ETSI TS 119 612.
	ErrListMalformed = errors.New("the trust list cannot be read")
)

// ListOptions say which trust lists are believed.
type ListOptions struct {
	// Signers are the certificates, one of which must have signed each list (ghim chứng thư của cơ quan công bố danh
	// sách). Nothing in a list makes its own signer trusted.
	Signers []*x509.Certificate
	// AllowUnsigned takes lists without looking at their signature: for a file that the operator got in a safe way.
	AllowUnsigned bool
	// Now is the time of reading; zero means that the lists' own dates are not looked at.
	Now time.Time
}

// Bounds of one list.
const (
	maxList      = 32 << 20
	maxListDepth = 64
	maxListNodes = 2_000_000
)

// ParseTrustList reads a trusted list of ETSI TS 119 612 (danh sách tin cậy) and gives its authorities as anchors:
// services that issue certificates (CA/QC, CA/PKC) for signatures, time-stamp services (TSA/QTST, TSA and its
// kinds) for time stamps; only such as are granted, recognised or in one of the older approved states now. Services of
// other kinds, withdrawn ones and the history of services are passed over. The list is read without DOCTYPE and within
// bounds; only what its signature covers is read. notes say what an operator should know: a list that has ended.
func ParseTrustList(data []byte, o ListOptions) (t *Trust, notes []string, err error) {
	if err := checkXML(data); err != nil {
		return nil, nil, fmt.Errorf("reading a trust list: %w: %w", ErrListMalformed, err)
	}
	if !o.AllowUnsigned {
		if data, err = signedPart(data, o); err != nil {
			return nil, nil, fmt.Errorf("reading a trust list: %w: %w", ErrListUnsigned, err)
		}
	}
	var list statusList
	if err := xml.Unmarshal(data, &list); err != nil || list.XMLName.Local != "TrustServiceStatusList" || !strings.HasPrefix(list.XMLName.Space, "http://uri.etsi.org/02231/") {
		return nil, nil, fmt.Errorf("reading a trust list: %w", errors.Join(ErrListMalformed, err))
	}
	t = &Trust{}
	for _, provider := range list.Providers {
		for _, service := range provider.Services {
			if err := t.addService(service); err != nil {
				return nil, nil, fmt.Errorf("reading a trust list: service %q: %w", service.name(), err)
			}
		}
	}
	if end, err := time.Parse(time.RFC3339, strings.TrimSpace(list.NextUpdate)); err == nil && !o.Now.IsZero() && o.Now.After(end) {
		notes = append(notes, fmt.Sprintf("the trust list of %s should have been renewed by %s", list.Territory, end.UTC().Format(time.DateOnly)))
	}
	return t, notes, nil
}

// checkXML reads the tokens once: no DOCTYPE, no unbounded depth or number.
func checkXML(data []byte) error {
	if len(data) > maxList {
		return fmt.Errorf("over %d bytes", maxList)
	}
	d := xml.NewDecoder(bytes.NewReader(data))
	for depth, nodes := 0, 0; ; nodes++ {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch token.(type) {
		case xml.Directive:
			return errors.New("it has a DOCTYPE")
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
		if depth > maxListDepth || nodes > maxListNodes {
			return errors.New("it is nested too deep or has too many parts")
		}
	}
}

// signedPart checks the XML signature (ETSI TS 119 612 §5.7) against the pinned certificates and gives what it covers.
func signedPart(data []byte, o ListOptions) ([]byte, error) {
	if len(o.Signers) == 0 {
		return nil, errors.New("no certificate is pinned for it")
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil || doc.Root() == nil {
		return nil, errors.Join(errors.New("no document"), err)
	}
	check := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: o.Signers})
	check.IdAttribute = "Id"
	if !o.Now.IsZero() {
		check.Clock = dsig.NewFakeClockAt(o.Now)
	}
	covered, err := check.Validate(doc.Root())
	if err != nil {
		return nil, err
	}
	out := etree.NewDocument()
	out.SetRoot(covered)
	return out.WriteToBytes()
}

// statusList is what is read of TrustServiceStatusList.
type statusList struct {
	XMLName    xml.Name
	Territory  string     `xml:"SchemeInformation>SchemeTerritory"`
	NextUpdate string     `xml:"SchemeInformation>NextUpdate>dateTime"`
	Providers  []provider `xml:"TrustServiceProviderList>TrustServiceProvider"`
}

type provider struct {
	Services []service `xml:"TSPServices>TSPService>ServiceInformation"`
}

type service struct {
	Type         string   `xml:"ServiceTypeIdentifier"`
	Names        []string `xml:"ServiceName>Name"`
	Status       string   `xml:"ServiceStatus"`
	Certificates []string `xml:"ServiceDigitalIdentity>DigitalId>X509Certificate"`
}

func (s *service) name() string {
	if len(s.Names) == 0 {
		return ""
	}
	return strings.TrimSpace(s.Names[0])
}

// approved tells the states in which a service is relied on (ETSI TS 119 612 §5.5.4 and annex D.5).
func (s *service) approved() bool {
	state := strings.TrimSpace(s.Status)
	at := strings.LastIndex(state, "/")
	if !strings.HasPrefix(state, "http://uri.etsi.org/TrstSvc/") {
		return false
	}
	switch strings.ToLower(state[at+1:]) {
	case "granted", "recognisedatnationallevel", "undersupervision", "accredited", "supervisionincessation", "setbynationallaw":
		return true
	}
	return false
}

// addService takes the certificates of a service.
func (t *Trust) addService(s service) error {
	const kinds = "http://uri.etsi.org/TrstSvc/Svctype/"
	kind, ok := strings.CutPrefix(strings.TrimSpace(s.Type), kinds)
	if !ok || !s.approved() {
		return nil
	}
	var to *[]*x509.Certificate
	switch {
	case kind == "CA/QC" || kind == "CA/PKC":
		to = &t.Roots
	case kind == "TSA" || strings.HasPrefix(kind, "TSA/"):
		to = &t.TimestampRoots
	default:
		return nil
	}
	for _, text := range s.Certificates {
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrListMalformed, err)
		}
		c, err := ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrListMalformed, err)
		}
		if !held(*to, c) {
			*to = append(*to, c)
		}
	}
	return nil
}

func held(list []*x509.Certificate, c *x509.Certificate) bool {
	for _, other := range list {
		if other.Equal(c) {
			return true
		}
	}
	return false
}
