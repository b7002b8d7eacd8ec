package console

import (
	"bytes"
	"errors"
	"net/http"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing/pdf"
)

// period reads ?from= and ?to=; without them it is this year up to today.
func (v *visit) period() (from, to time.Time) {
	now := v.srv.cfg.Now().In(hanoi)
	from = time.Date(now.Year(), 1, 1, 0, 0, 0, 0, hanoi)
	to = time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, hanoi)
	q := v.r.URL.Query()
	if t, err := time.ParseInLocation(time.DateOnly, q.Get("from"), hanoi); err == nil {
		from = t
	}
	if t, err := time.ParseInLocation(time.DateOnly, q.Get("to"), hanoi); err == nil {
		to = t
	}
	if to.Before(from) {
		from, to = to, from
	}
	return from, to
}

func (v *visit) checkBody() checkBody {
	body := checkBody{Limit: v.say("compose.limit", v.bytes(v.srv.cfg.MaxPDF))}
	for _, k := range checkNames() {
		body.Explain = append(body.Explain, fact{v.say("check." + k), v.say("check." + k + ".what")})
	}
	return body
}

func (s *server) checkPage(v *visit) error {
	return v.show(http.StatusOK, "check", v.say("nav.check"), v.checkBody())
}

// check judges any PDF; a bad signature is a result, only an unreadable file is a problem.
func (s *server) check(v *visit) error {
	if err := v.r.ParseMultipartForm(formMemory); err != nil {
		return formError(err)
	}
	defer func() { _ = v.r.MultipartForm.RemoveAll() }() // temporary files of the parser
	data, name, err := v.readUpload("pdf", s.cfg.MaxPDF)
	if err != nil {
		return err
	}
	body := v.checkBody()
	body.File = name
	if data == nil {
		return v.showWith("check", v.say("nav.check"), body, s.told("compose.pdf.missing"))
	}
	report, err := s.cfg.Verify(v.ctx(), bytes.NewReader(data), int64(len(data)))
	if err != nil {
		if _, ok := errors.AsType[*pdf.Error](err); ok {
			vi, en := s.voices["vi"], s.voices["en"]
			problem := registry.NewError(exchange.KindInvalid, vi.say("check.unreadable.text"), en.say("check.unreadable.text")).
				Advise(vi.say("check.unreadable.advice"), en.say("check.unreadable.advice"))
			return v.showWith("check", v.say("nav.check"), body, problem)
		}
		return err
	}
	body.Verdict, body.Pictures = v.verdictView(report), v.pictures(report, data)
	return v.show(http.StatusOK, "check", v.say("nav.check"), body)
}

// told is a form's own check, told like the service's errors.
func (s *server) told(key string) error {
	return registry.NewError(exchange.KindInvalid, s.voices["vi"].say(key), s.voices["en"].say(key))
}
