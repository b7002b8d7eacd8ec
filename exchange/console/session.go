package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"vanthu/exchange"
)

// languageCookie remembers the chosen language for a year.
const languageCookie = "lang"

// chooseLanguage takes ?lang=, then the cookie, then Vietnamese.
func chooseLanguage(w http.ResponseWriter, r *http.Request, secure bool) string {
	known := func(lang string) bool {
		return slices.Contains(languages(), lang)
	}
	if lang := r.URL.Query().Get("lang"); known(lang) {
		//nolint:gosec // Secure follows how the hub is served: a hub on loopback speaks plain HTTP
		http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: lang, Path: "/", MaxAge: 365 * 24 * 60 * 60,
			HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode})
		return lang
	}
	if c, err := r.Cookie(languageCookie); err == nil && known(c.Value) {
		return c.Value
	}
	return languages()[0]
}

// langLinks are links to this same page in each language.
func (v *visit) langLinks() []langLink {
	links := make([]langLink, 0, len(languages()))
	for _, l := range languages() {
		q := url.Values{}
		path := "/"
		if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
			path, q = v.r.URL.Path, v.r.URL.Query()
			q.Del("done")
		}
		q.Set("lang", l)
		links = append(links, langLink{Code: l, Name: v.say("lang." + l), Label: strings.ToUpper(l),
			URL: path + "?" + q.Encode(), Current: l == v.lang})
	}
	return links
}

// cookieName carries the prefix that binds the cookie to this host over TLS.
func (s *server) cookieName() string {
	if s.cfg.Secure {
		return "__Host-vanthu"
	}
	return "vanthu"
}

func (s *server) setSession(w http.ResponseWriter, token string, maxAge int) {
	//nolint:gosec // Secure follows how the hub is served: a hub on loopback speaks plain HTTP
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(), Value: token, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: s.cfg.Secure, SameSite: http.SameSiteLaxMode})
}

func (s *server) loginPage(v *visit) error {
	next := localPath(v.r.URL.Query().Get("next"))
	if v.known {
		return v.see(next, "")
	}
	return v.show(http.StatusOK, "login", v.say("login.title"),
		loginBody{Next: next, Expired: v.r.URL.Query().Get("expired") == "1"})
}

func (s *server) login(v *visit) error {
	if err := v.r.ParseForm(); err != nil {
		return formError(err)
	}
	name, next := strings.TrimSpace(v.r.PostFormValue("login")), localPath(v.r.PostFormValue("next"))
	token, _, err := s.cfg.Registry.LoginWithCode(v.ctx(), name, v.r.PostFormValue("password"), v.r.PostFormValue("code"), from(v.r))
	if err != nil {
		told, ok := errors.AsType[*exchange.Error](err)
		if !ok {
			return err
		}
		return v.show(statusOf(told.Kind), "login", v.say("login.title"),
			loginBody{Next: next, Login: name, Problem: v.problem(told)})
	}
	s.setSession(v.w, token, 0)
	return v.see(next, "")
}

func (s *server) logout(v *visit) error {
	if c, err := v.r.Cookie(s.cookieName()); err == nil && v.known {
		if err := s.cfg.Registry.Logout(v.ctx(), c.Value); err != nil {
			return err
		}
	}
	s.setSession(v.w, "", -1)
	return v.see("/login", "")
}

// localPath keeps a return address on this host.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") ||
		strings.Contains(next, "\\") {
		return "/"
	}
	return u.RequestURI()
}

// formError keeps the one reason that people can act on: the body is too large.
func formError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return errors.Join(errBadForm, err)
}
