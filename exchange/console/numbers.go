package console

import (
	"net/http"
	"strconv"
	"strings"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// keptNumber is a number kept for a document to come, with the form that gives it up.
type keptNumber struct {
	Number, Series, Purpose, Since, By string
	Cancel                             *form
}

type seriesRow struct {
	Code, Name, Types, Symbol, Last string
	State                           chip
}

type numbersBody struct {
	Lead    string
	Kept    []keptNumber
	Series  []seriesRow
	Reserve *form
	Set     *form
}

func (s *server) numbersPage(v *visit) error { return v.numbers(nil) }

// numbers is the page of the series of numbers: what is kept, what was given last.
func (v *visit) numbers(problem error) error {
	svc := v.srv.cfg.Service
	kept, err := svc.ReservedNumbers(v.ctx(), v.actor)
	if err != nil {
		return err
	}
	series, err := svc.SeriesList(v.ctx(), v.actor)
	if err != nil {
		return err
	}
	body := numbersBody{Lead: v.say("numbers.lead", v.agencyName(v.actor.Agency))}
	names := map[string]string{}
	for i := range series {
		c := &series[i]
		names[c.Code] = v.seriesName(c)
		row := seriesRow{Code: c.Code, Name: v.seriesName(c), Symbol: c.Symbol, Last: v.num(c.Last), State: chip{"ok", "ok", v.say("series.used")}}
		if c.Retired {
			row.State = chip{"", "bad", v.say("series.retired")}
		}
		for j, t := range c.Types {
			if j > 0 {
				row.Types += ", "
			}
			row.Types += v.typeName(t)
		}
		body.Series = append(body.Series, row)
	}
	for _, r := range kept {
		k := keptNumber{Number: r.String(), Series: names[r.Series], Purpose: r.Purpose, Since: moment(r.Since), By: v.byTag(r.By)}
		if v.can(exchange.ActCancelNumber) {
			k.Cancel = v.cancelForm(r.Series, strconv.Itoa(r.Year), strconv.Itoa(r.Number))
		}
		body.Kept = append(body.Kept, k)
	}
	if v.can(exchange.ActNumber) {
		body.Reserve = v.reserveForm(series)
	}
	if v.can(exchange.ActSetSeries) {
		body.Set = v.seriesForm()
	}
	return v.showWith("numbers", v.say("nav.numbers"), body, problem)
}

// seriesName gives the name of a series; those that every agency has are named in the page's language.
func (v *visit) seriesName(c *exchange.Series) string {
	if c.BuiltIn {
		return v.sayOr("series."+c.Code, c.Name)
	}
	return c.Name
}

func (v *visit) cancelForm(series, year, number string) *form {
	f := v.form("number-"+series+"-"+year+"-"+number, "/numbers/cancel", v.note(v.say("act.cancel-number.reason"), true))
	f.Button, f.Danger = v.say("act.cancel-number.button"), true
	return f.hide("series", series).hide("year", year).hide("number", number)
}

func (v *visit) reserveForm(series []exchange.Series) *form {
	var options []option
	for i := range series {
		if !series[i].Retired {
			options = append(options, option{Value: series[i].Code, Label: v.seriesName(&series[i])})
		}
	}
	f := v.form("reserve", "/numbers", field{Name: "series", Label: v.say("numbers.series"), Kind: fieldSelect, Required: true, Options: options},
		field{Name: "count", Label: v.say("numbers.count"), Kind: fieldNumber, Required: true, Value: "1", Min: "1"}, v.note(v.say("numbers.purpose"), true))
	return f
}

func (s *server) reserve(v *visit) error {
	series, err := s.cfg.Service.SeriesList(v.ctx(), v.actor)
	if err != nil {
		return err
	}
	f := v.reserveForm(series)
	if err = v.fill(f); err == nil {
		_, err = s.cfg.Service.Reserve(v.ctx(), v.actor, f.get("series"), f.int("count"), f.get("note"))
	}
	if err != nil {
		return v.numbers(err)
	}
	return v.see("/numbers", "reserve")
}

func (s *server) cancelReserved(v *visit) error {
	if err := v.readForm(); err != nil {
		return err
	}
	f := v.cancelForm(v.line("series"), v.line("year"), v.line("number"))
	err := v.fill(f)
	if err == nil {
		err = s.cfg.Service.CancelReserved(v.ctx(), v.actor, f.get("series"), f.int("year"), f.int("number"), f.get("note"))
	}
	if err != nil {
		return v.numbers(err)
	}
	return v.see("/numbers", "cancelreserved")
}

func (v *visit) seriesForm() *form {
	return v.form("series", "/numbers/series", field{Name: "code", Label: v.say("series.code"), Hint: v.say("series.code.hint"), Required: true, Max: 30},
		field{Name: "name", Label: v.say("series.name"), Required: true, Max: limitName},
		field{Name: "symbol", Label: v.say("agency.symbol"), Hint: v.say("series.symbol.hint"), Max: 30},
		field{Name: "retired", Label: v.say("series.state"), Kind: fieldSelect, Options: []option{{Value: "", Label: v.say("series.used")}, {Value: "1", Label: v.say("series.retired")}}},
		field{Name: "types", Label: v.say("series.types"), Hint: v.say("series.types.hint"), Kind: fieldMany, Options: v.typeOptions(false), Wide: true})
}

// setSeries adds a series or changes the one with its code.
func (s *server) setSeries(v *visit) error {
	f := v.seriesForm()
	err := v.fill(f)
	if err == nil {
		err = s.cfg.Service.SetSeries(v.ctx(), v.actor, exchange.Series{Code: f.get("code"), Name: f.get("name"), Symbol: f.get("symbol"), Types: f.all("types"), Retired: f.get("retired") != ""})
	}
	if err != nil {
		return v.numbers(err)
	}
	return v.see("/numbers", "series")
}

// byTag names who did something by the tag that the evidence keeps.
func (v *visit) byTag(tag string) string {
	if strings.HasPrefix(tag, "system:") {
		return v.say("role.hub")
	}
	return v.personName(registry.PersonID(tag))
}

// numberRoutes are the pages of the series.
func (s *server) numberRoutes(mux *http.ServeMux) {
	mux.Handle("GET /numbers", s.user(s.numbersPage))
	mux.Handle("POST /numbers", s.user(s.reserve))
	mux.Handle("POST /numbers/cancel", s.user(s.cancelReserved))
	mux.Handle("POST /numbers/series", s.user(s.setSeries))
}
