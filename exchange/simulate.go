package exchange

import (
	"context"
	"slices"
	"strings"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/storage/sqldb"
)

// forecastSample is how many of an agency's latest arrivals a forecast looks at.
const forecastSample = 21

// Remark is something a forecast has to say, in both languages.
type Remark struct {
	Text     string `json:"text"`
	TextEN   string `json:"text_en"`
	Advice   string `json:"advice,omitempty"`
	AdviceEN string `json:"advice_en,omitempty"`
}

// The outcomes a forecast can have for one recipient.
const (
	ForecastArrives  = "arrives"  // the recipient gets it and can register it
	ForecastReturned = "returned" // the recipient's hub will return it at the door (02)
	ForecastRefused  = "refused"  // Send will refuse this recipient, and with it the whole sending
)

// Forecast is what would happen at one recipient.
type Forecast struct {
	Asked    registry.AgencyID `json:"asked"`            // as given
	Agency   registry.AgencyID `json:"agency,omitempty"` // who would get it: the successor, where the one asked has ended
	Name     string            `json:"name,omitempty"`
	Channel  string            `json:"channel,omitempty"`
	Outcome  string            `json:"outcome"`
	Reason   *Remark           `json:"reason,omitempty"`   // why it would not arrive
	Warnings []Remark          `json:"warnings,omitempty"` // it would arrive, but
	Expected float64           `json:"expected_seconds"`   // median of the latest arrivals there; 0 = no history
	Arrivals int               `json:"arrivals"`           // how many that was, at most 21
}

// Simulation is what Send would do, without doing it.
type Simulation struct {
	Document  DocumentID `json:"document"`
	At        time.Time  `json:"at"`
	Problems  []Remark   `json:"problems,omitempty"` // of the document itself: with any of them nothing can be sent now
	Arrives   int        `json:"arrives"`
	Returned  int        `json:"returned"`
	Refused   int        `json:"refused"`
	Forecasts []Forecast `json:"forecasts"` // in the order asked
}

// Simulate tells what would happen if the document were sent to these recipients
// now. It uses the rules of Send and of reception themselves, and writes nothing.
// Whoever may see the document may ask. At most 10,000 recipients.
func (s *Service) Simulate(ctx context.Context, by registry.Actor, id DocumentID, to []registry.AgencyID) (*Simulation, error) {
	if len(to) == 0 || len(to) > maxRecipients {
		_, err := s.recipients(ctx, by.Agency, to, s.clock()) // says so
		return nil, err
	}
	d, err := s.Document(ctx, by, id)
	if err != nil {
		return nil, err
	}
	report, err := s.Report(ctx, by, id)
	if err != nil {
		return nil, err
	}
	out := &Simulation{Document: id, At: s.clock(), Forecasts: make([]Forecast, 0, len(to))}
	probe := *d
	if err := probe.advance(ActSend); err != nil {
		out.problem(err)
	}
	if err := s.sealProblem(ctx, d, out.At); err != nil {
		if KindOf(err) == "" {
			return nil, err
		}
		out.problem(err)
	}
	returned, err := s.refusal(ctx, d.Agency, report, out.At)
	if err != nil {
		return nil, storageError("judging the document", err)
	}
	seen := make(map[registry.AgencyID]bool, len(to))
	for _, asked := range to {
		f, err := s.forecast(ctx, d, report, asked, returned, out.At)
		if err != nil {
			return nil, err
		}
		if f.Agency != "" && seen[f.Agency] {
			f.Outcome, f.Reason = ForecastRefused, &Remark{Text: "Nơi nhận này bị lặp trong danh sách.", TextEN: "This recipient stands twice in the list."}
		}
		seen[f.Agency] = true
		out.count(f)
	}
	return out, nil
}

func (r *Simulation) problem(err error) { r.Problems = append(r.Problems, *remarkOf(err)) }

func (r *Simulation) count(f *Forecast) {
	switch f.Outcome {
	case ForecastArrives:
		r.Arrives++
	case ForecastReturned:
		r.Returned++
	case ForecastRefused:
		r.Refused++
	}
	r.Forecasts = append(r.Forecasts, *f)
}

// remarkOf says an error in both languages.
func remarkOf(err error) *Remark {
	vi, en := &Remark{Text: failureText(err)}, ""
	var advice string
	if e := asError(err); e != nil {
		vi.Text, vi.Advice, _ = e.Text("vi")
		en, advice, _ = e.Text("en")
	}
	vi.TextEN, vi.AdviceEN = en, advice
	return vi
}

// sealProblem looks at the certificate with which the agency sealed, or would
// have to seal: a recipient that knows it as ended returns the document.
func (s *Service) sealProblem(ctx context.Context, d *Document, now time.Time) error {
	list, err := s.reg.Certificates(ctx, registry.AgencyOwner(d.Agency))
	if err != nil {
		return err
	}
	valid := slices.ContainsFunc(list, func(c registry.Certificate) bool {
		return c.ValidAt(now) && (c.Certificate == nil || !now.Before(c.Certificate.NotBefore) && now.Before(c.Certificate.NotAfter))
	})
	if valid || d.State == StateSealed || d.State == StateSent {
		return nil // a seal that stands is judged by its own time, with the whole report
	}
	if len(list) == 0 {
		return fail(KindConflict, "Cơ quan chưa đăng ký chứng thư số nào để ký số cơ quan.", "The agency has no certificate registered to seal with.").
			Advise("Quản trị viên đăng ký khóa của cơ quan.", "Have the administrator register the agency's key.")
	}
	return fail(KindConflict, "Chứng thư số của cơ quan đã hết hạn hoặc bị thu hồi.", "The agency's certificate has expired or was revoked.").
		Advise("Quản trị viên đăng ký chứng thư mới.", "Have the administrator register a new one.")
}

// forecast is Simulate for one recipient. returned is why reception would return
// the document, "" = it would not.
func (s *Service) forecast(ctx context.Context, d *Document, report *signing.Report, asked registry.AgencyID, returned string, now time.Time) (*Forecast, error) {
	f := &Forecast{Asked: asked, Outcome: ForecastArrives}
	to, err := s.recipients(ctx, d.Agency, []registry.AgencyID{asked}, now)
	if err != nil {
		if KindOf(err) == "" {
			return nil, err
		}
		f.Outcome, f.Reason = ForecastRefused, remarkOf(err)
		return f, nil
	}
	a, err := s.reg.Agency(ctx, to[0])
	if err != nil {
		return nil, err
	}
	f.Agency, f.Name, f.Channel = a.ID, a.Name, a.Channel
	if a.ID != asked {
		f.Warnings = append(f.Warnings, Remark{Text: "Mã " + string(asked) + " nay là " + a.Name + " (" + string(a.ID) + ").",
			TextEN: "The code " + string(asked) + " now stands for " + a.Name + " (" + string(a.ID) + ")."})
	}
	if returned != "" {
		f.Outcome, f.Reason = ForecastReturned, &Remark{Text: returned, TextEN: "The recipient's hub would return it: " + report.Sentence("en")}
	}
	f.Warnings = append(f.Warnings, capabilityWarnings(d, a)...)
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		times, err := selectArrivalTimes(ctx, tx, a.ID, forecastSample)
		if err != nil || len(times) == 0 {
			return err
		}
		slices.Sort(times)
		f.Expected, f.Arrivals = times[len(times)/2].Seconds(), len(times)
		return nil
	})
	return f, storageError("reading how long documents took", err)
}

// capabilityWarnings compares the document with what the registry says the
// recipient takes.
func capabilityWarnings(d *Document, a *registry.Agency) (out []Remark) {
	if a.Accepts != "" && !slices.Contains(strings.Split(a.Accepts, ","), d.Type) {
		out = append(out, Remark{Text: "Danh bạ ghi nơi này không nhận loại văn bản " + d.Type + ".", TextEN: "The registry says that it does not take documents of the type " + d.Type + "."})
	}
	if a.MaxSize > 0 && d.PDF.Size > a.MaxSize {
		out = append(out, Remark{Text: "Tệp lớn hơn mức nơi này nhận.", TextEN: "The file is larger than it takes."})
	}
	if a.Encryption == registry.EncryptionRequired && a.Channel == registry.ChannelLocal {
		out = append(out, Remark{Text: "Nơi này chỉ nhận văn bản mã hóa; trong cùng hệ thống văn bản không rời máy chủ.", TextEN: "It takes encrypted documents only; inside one hub a document does not leave the server."})
	}
	return out
}
