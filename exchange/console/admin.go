package console

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// agencyPage is a page of the directory; peopleAgencies bounds the choice of agency on the people page.
const (
	agencyPage     = 100
	peopleAgencies = 1000
)

func (s *server) agencies(v *visit) error {
	return v.agencies(agencyRow{Parent: string(v.actor.Agency)}, nil)
}

// agencies shows the directory, with a form to add one for administrators.
func (v *visit) agencies(typed agencyRow, problem error) error {
	found, err := v.srv.cfg.Registry.Agencies(v.ctx(), registry.Filter{Query: query(v.r), Limit: agencyPage,
		After: registry.AgencyID(v.r.URL.Query().Get("after"))})
	if err != nil {
		return err
	}
	body := agenciesBody{Filter: v.filter("filter.agencies", v.r.URL.Query()), CanAdd: v.actor.Has(registry.RoleAdministrator), New: typed}
	for _, a := range found {
		body.Rows = append(body.Rows, agencyRow{ID: string(a.ID), Name: a.Name, Place: a.Place, Symbol: a.Symbol, Mail: a.Mail,
			Channel: v.channelChip(a.Channel)})
	}
	next := ""
	if len(found) == agencyPage {
		next = string(found[len(found)-1].ID)
	}
	body.Pager = pager(v.r, next)
	return v.showWith("agencies", v.say("nav.agencies"), body, problem)
}

func (s *server) addAgency(v *visit) error {
	if err := v.r.ParseForm(); err != nil {
		return formError(err)
	}
	typed := agencyRow{ID: v.line("id"), Name: v.line("name"), Symbol: v.line("symbol"), Place: v.line("place"), Mail: v.line("mail"),
		Parent: v.line("parent")}
	id, err := registry.ParseAgencyID(typed.ID)
	if err == nil {
		err = s.cfg.Registry.AddAgency(v.ctx(), v.actor, registry.Agency{ID: id, Name: typed.Name, Symbol: typed.Symbol,
			Place: typed.Place, Mail: typed.Mail, Parent: registry.AgencyID(typed.Parent), Channel: registry.ChannelLocal})
	}
	if err != nil {
		return v.agencies(typed, err)
	}
	return v.see("/agencies", "agency")
}

func (s *server) people(v *visit) error { return v.people(personRow{}, nil, nil) }

// people shows the people of one agency, with a form to add one.
func (v *visit) people(typed personRow, roles []string, problem error) error {
	if !v.actor.Has(registry.RoleAdministrator) {
		return registry.NewError(exchange.KindForbidden, v.srv.voices["vi"].say("people.admin"), v.srv.voices["en"].say("people.admin"))
	}
	all, err := v.srv.cfg.Registry.Agencies(v.ctx(), registry.Filter{Limit: peopleAgencies})
	if err != nil {
		return err
	}
	chosen := v.actor.Agency
	if a := v.r.FormValue("agency"); a != "" {
		chosen = registry.AgencyID(a)
	}
	found, err := v.srv.cfg.Registry.People(v.ctx(), chosen)
	if err != nil {
		return err
	}
	body := peopleBody{Agency: v.agencyName(chosen), AgencyID: string(chosen), Agencies: agencyOptions(all, chosen), CanAdd: true, New: typed}
	for _, r := range registry.Roles() {
		body.Roles = append(body.Roles, option{Value: string(r), Label: v.say("role." + string(r)), Selected: slices.Contains(roles, string(r))})
	}
	for _, p := range found {
		row := personRow{Name: p.Name, Position: p.Position, Login: p.Login, Roles: v.roleNames(p.Roles), Mail: p.Mail,
			State: chip{Tone: "ok", Icon: "ok", Label: v.say("person.active")}}
		if p.Disabled {
			row.State = chip{Icon: "bad", Label: v.say("person.disabled")}
		}
		body.Rows = append(body.Rows, row)
	}
	return v.showWith("people", v.say("nav.people"), body, problem)
}

func (s *server) addPerson(v *visit) error {
	if err := v.r.ParseForm(); err != nil {
		return formError(err)
	}
	typed := personRow{Name: v.line("name"), Position: v.line("position"), Login: v.line("login"), Mail: v.line("mail")}
	person := registry.Person{Login: typed.Login, Name: typed.Name, Position: typed.Position, Mail: typed.Mail,
		Agency: registry.AgencyID(v.line("agency"))}
	for _, r := range v.r.PostForm["role"] {
		person.Roles = append(person.Roles, registry.Role(r))
	}
	if _, err := s.cfg.Registry.AddPerson(v.ctx(), v.actor, person, v.r.PostFormValue("password")); err != nil {
		return v.people(typed, v.r.PostForm["role"], err)
	}
	http.Redirect(v.w, v.r, "/people?done=person&agency="+string(person.Agency), http.StatusSeeOther)
	return nil
}

func (s *server) account(v *visit) error { return v.account(nil) }

// account shows the keys that the actor signs with: the own one, and the agency's for its clerk.
func (v *visit) account(problem error) error {
	body := accountBody{Name: v.actor.Name, Line: v.roleNames(v.actor.Roles) + " · " + v.agencyName(v.actor.Agency)}
	owners := []struct {
		owner registry.Owner
		title string
		may   bool
	}{
		{registry.PersonOwner(v.actor.Person), "account.keys", true},
		{registry.AgencyOwner(v.actor.Agency), "account.seal", v.actor.Has(registry.RoleClerk) || v.actor.Has(registry.RoleAdministrator)},
	}
	for _, o := range owners {
		certificates, err := v.srv.cfg.Registry.Certificates(v.ctx(), o.owner)
		if err != nil {
			return err
		}
		view := keyOwner{Kind: string(o.owner.Kind), Title: v.say(o.title), CanSet: o.may}
		for _, c := range certificates {
			view.Certificates = append(view.Certificates, v.certificate(c.Certificate))
		}
		body.Owners = append(body.Owners, view)
	}
	return v.showWith("account", v.say("nav.account"), body, problem)
}

// certificate warns before a certificate ends, so that nobody signs with a dead one.
func (v *visit) certificate(c *x509.Certificate) certificateRow {
	const soon = 60
	sum := sha256.Sum256(c.Raw)
	row := certificateRow{Subject: c.Subject.CommonName, Fingerprint: hex.EncodeToString(sum[:]), Issuer: c.Issuer.CommonName,
		Until: c.NotAfter, State: chip{Tone: "ok", Icon: "ok", Label: v.say("cert.valid")}}
	if org := strings.Join(c.Subject.Organization, ", "); org != "" {
		row.Subject += ", " + org
	}
	now := v.srv.cfg.Now()
	left := int(c.NotAfter.Sub(now).Hours() / 24)
	switch {
	case now.Before(c.NotBefore):
		row.State = chip{Tone: "wait", Icon: "wait", Label: v.say("cert.future")}
	case now.After(c.NotAfter):
		row.State = chip{Tone: "bad", Icon: "bad", Label: v.say("cert.expired")}
	case left <= soon:
		row.State = chip{Tone: "wait", Icon: "wait", Label: v.say("cert.soon", v.num(left))}
	}
	return row
}

func (s *server) setKey(v *visit) error {
	const p12Limit = 64 << 10
	if err := v.r.ParseMultipartForm(formMemory); err != nil {
		return formError(err)
	}
	defer func() { _ = v.r.MultipartForm.RemoveAll() }() // temporary files of the parser
	data, _, err := v.readUpload("p12", p12Limit)
	if err != nil {
		return err
	}
	owner := registry.PersonOwner(v.actor.Person)
	if v.r.PostFormValue("owner") == string(registry.OwnerAgency) {
		owner = registry.AgencyOwner(v.actor.Agency)
	}
	if err := s.cfg.Registry.SetKey(v.ctx(), v.actor, owner, data, v.r.PostFormValue("passphrase")); err != nil {
		return v.account(err)
	}
	return v.see("/account", "key")
}
