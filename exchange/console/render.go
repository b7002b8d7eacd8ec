package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed locale/*.json
var localeFiles embed.FS

//go:embed static
var staticFiles embed.FS

// hanoi is the time zone of every date shown (giờ Việt Nam); it has no daylight saving.
var hanoi = time.FixedZone("+07:00", 7*60*60)

// languages are the languages of the console, the first being the default.
func languages() []string { return []string{"vi", "en"} }

// screens are the pages; each is a file of templates/ that defines "content".
func screens() []string {
	return []string{"login", "home", "incoming_list", "outgoing_list", "document", "ticket", "incoming", "compose", "send",
		"sent", "register", "rate", "check", "agencies", "people", "account", "table", "form", "tasks", "compare", "numbers", "search", "calendar", "webhooks", "webhook", "error"}
}

// voice speaks one language: its texts, its numbers, its templates.
type voice struct {
	lang    string
	texts   map[string]string
	printer *message.Printer
	pages   map[string]*template.Template
}

// errNoText means that a catalog misses a key; a test keeps it from happening.
var errNoText = errors.New("no text")

// text gives the text of key with {0}, {1}, … replaced.
func (v *voice) text(key string, args ...string) (string, error) {
	s, ok := v.texts[key]
	if !ok {
		return "", fmt.Errorf("%w for %q in %s", errNoText, key, v.lang)
	}
	for i, a := range args {
		s = strings.ReplaceAll(s, "{"+strconv.Itoa(i)+"}", a)
	}
	return s, nil
}

// say is text for keys written in this package: a missing one shows the key.
func (v *voice) say(key string, args ...string) string {
	s, err := v.text(key, args...)
	if err != nil {
		return key
	}
	return s
}

// count says how many, with the singular of languages that have one: the key with ".one".
func (v *voice) count(key string, n int) string {
	if n == 1 {
		key += ".one"
	}
	return v.say(key, v.num(n))
}

// sayOr says key, or other where the catalog does not know it: for codes that come from elsewhere.
func (v *voice) sayOr(key, other string) string {
	if s, ok := v.texts[key]; ok {
		return s
	}
	return other
}

func (v *voice) num(n int) string { return v.printer.Sprint(number.Decimal(n)) }

// percent shows a share of 1 with two decimals, as reports do: 98,75%.
func (v *voice) percent(share float64) string {
	return v.printer.Sprint(number.Percent(share, number.MaxFractionDigits(2)))
}

// bytes shows a file size.
func (v *voice) bytes(n int64) string {
	const kilo, mega = 1 << 10, 1 << 20
	if n < mega {
		return v.say("unit.kb", v.num(int((n+kilo-1)/kilo)))
	}
	return v.say("unit.mb", v.printer.Sprint(number.Decimal(float64(n)/mega, number.MaxFractionDigits(1))))
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(hanoi).Format("02/01/2006")
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(hanoi).Format("02/01/2006 15:04")
}

// newVoices reads catalogs and templates; they are embedded, so an error is a fault of the build.
func newVoices(assets *assets) (map[string]*voice, error) {
	voices := make(map[string]*voice)
	for _, lang := range languages() {
		raw, err := localeFiles.ReadFile("locale/" + lang + ".json")
		if err != nil {
			return nil, fmt.Errorf("reading catalog: %w", err)
		}
		v := &voice{lang: lang, printer: message.NewPrinter(language.Make(lang)), pages: make(map[string]*template.Template)}
		if err := json.Unmarshal(raw, &v.texts); err != nil {
			return nil, fmt.Errorf("reading catalog %s: %w", lang, err)
		}
		if raw, err = localeFiles.ReadFile("locale/" + lang + ".office.json"); err != nil { // the registry office
			return nil, fmt.Errorf("reading catalog: %w", err)
		}
		if err := json.Unmarshal(raw, &v.texts); err != nil {
			return nil, fmt.Errorf("reading catalog %s: %w", lang, err)
		}
		if err := v.parse(assets); err != nil {
			return nil, err
		}
		voices[lang] = v
	}
	return voices, nil
}

func (v *voice) parse(assets *assets) error {
	base, err := template.New("").Option("missingkey=error").Funcs(v.functions(assets)).
		ParseFS(templateFiles, "templates/base.html", "templates/parts.html")
	if err != nil {
		return fmt.Errorf("parsing the base template: %w", err)
	}
	for _, name := range screens() {
		t, err := base.Clone()
		if err != nil {
			return fmt.Errorf("copying the base template: %w", err)
		}
		if v.pages[name], err = t.ParseFS(templateFiles, "templates/"+name+".html"); err != nil {
			return fmt.Errorf("parsing template %s: %w", name, err)
		}
	}
	return nil
}

func (v *voice) functions(assets *assets) template.FuncMap {
	return template.FuncMap{
		"lang":      func() string { return v.lang },
		"t":         v.text,
		"count":     v.count,
		"num":       v.num,
		"date":      day,
		"datetime":  moment,
		"rfc3339":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"icon":      icon,
		"marked":    marked,
		"fieldIs":   fieldIs,
		"asset":     assets.url,
		"assetBase": func(dir string) string { return "/static/" + dir },
	}
}

// fieldIs are the attributes that tell a browser and a screen reader what a field wants and what is wrong with it.
func fieldIs(f field) template.HTMLAttr {
	attributes := ""
	if f.Required {
		attributes = "required "
	}
	id := template.HTMLEscapeString(f.ID) // made of keys of ours and of codes from a form
	switch {
	case f.Error != "":
		attributes += `aria-invalid="true" aria-describedby="e-` + id + `"`
	case f.Hint != "" || f.Max > 0:
		attributes += `aria-describedby="h-` + id + `"`
	}
	return template.HTMLAttr(attributes) //nolint:gosec // the only part that is not ours is escaped
}

// render runs a whole screen before a byte is sent, so that a failure can still become an error page.
func (v *voice) render(screen string, p *page) (*bytes.Buffer, error) {
	t, ok := v.pages[screen]
	if !ok {
		return nil, fmt.Errorf("no screen %q", screen)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "base", p); err != nil {
		return nil, fmt.Errorf("rendering %s: %w", screen, err)
	}
	return &b, nil
}

// icon gives a small line drawing; the word beside it carries the meaning.
func icon(name string) (template.HTML, error) {
	icons := map[string]template.HTML{
		"ok":    `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><path d="M4.5 12.5l5 5 10-11"/></svg>`,
		"bad":   `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><path d="M6 6l12 12M18 6L6 18"/></svg>`,
		"wait":  `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="8.5"/><path d="M12 7v5.5l3.5 2"/></svg>`,
		"ask":   `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="9"/><path d="M9.2 9.3a2.9 2.9 0 1 1 4 2.9c-.8.4-1.2 1-1.2 1.8M12 17.2v.1"/></svg>`,
		"info":  `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="9"/><path d="M12 11v5M12 7.5v.1"/></svg>`,
		"dot":   `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="4"/></svg>`,
		"pen":   `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><path d="M4 20l1-4.5L16.5 4l3.5 3.5L8.5 19z"/></svg>`,
		"seal":  `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="8.5"/><circle cx="12" cy="12" r="4.5"/></svg>`,
		"send":  `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><path d="M4 12L20 4l-5 16-3.5-6.5z"/></svg>`,
		"back":  `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><path d="M9 6l-5 5 5 5M4 11h10a5 5 0 0 1 5 5v2"/></svg>`,
		"file":  `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><path d="M6 3h8l5 5v13H6zM14 3v5h5M12 18v-6M9.5 14.5L12 12l2.5 2.5"/></svg>`,
		"plus":  `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><path d="M12 5v14M5 12h14"/></svg>`,
		"minus": `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><path d="M5 12h14"/></svg>`,
		"up":    `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><path d="M5 15l7-7 7 7"/></svg>`,
		"down":  `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><path d="M5 9l7 7 7-7"/></svg>`,
		"menu":  `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><path d="M4 7h16M4 12h16M4 17h16"/></svg>`,
		"print": `<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><path d="M7 9V4h10v5M7 17H4V9h16v8h-3M7 14h10v6H7z"/></svg>`,
	}
	s, ok := icons[name]
	if !ok {
		return "", fmt.Errorf("no icon %q", name)
	}
	return s, nil
}

// assets are the static files with the digests that make their addresses change with them.
type assets struct {
	files   fs.FS
	digests map[string]string
}

func newAssets() (*assets, error) {
	files, err := fs.Sub(staticFiles, "static")
	if err != nil {
		return nil, fmt.Errorf("opening static files: %w", err)
	}
	a := &assets{files: files, digests: make(map[string]string)}
	err = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		a.digests[path] = hex.EncodeToString(sum[:6])
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading static files: %w", err)
	}
	return a, nil
}

// url gives the address of a static file; an unknown one is a fault of the template.
func (a *assets) url(name string) (string, error) {
	d, ok := a.digests[name]
	if !ok {
		return "", fmt.Errorf("no static file %q", name)
	}
	return "/static/" + name + "?v=" + d, nil
}
