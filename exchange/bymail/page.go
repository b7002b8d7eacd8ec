package bymail

import (
	"context"
	"crypto/subtle"
	"html"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

const maxForm = 16 << 10

// Handler serves the confirmation pages: GET shows one and changes nothing; POST with the code answers.
func (b *Bridge) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PagePath+"{link}", b.show)
	mux.HandleFunc("POST "+PagePath+"{link}", b.answer)
	return mux
}

func (b *Bridge) find(ctx context.Context, link string) (l *letter, err error) {
	err = b.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		l, err = letterBy(ctx, tx, "link", hashed(link))
		return err
	})
	return l, err
}

func (b *Bridge) show(w http.ResponseWriter, r *http.Request) {
	l, err := b.find(r.Context(), r.PathValue("link"))
	if err != nil {
		b.broken(w, r, err)
		return
	}
	b.render(w, l, http.StatusOK, "", "")
}

func (b *Bridge) broken(w http.ResponseWriter, r *http.Request, err error) {
	b.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "confirmation page", slog.String("error", err.Error()))
	http.Error(w, "Hệ thống đang bận, xin thử lại sau. | Please try again later.", http.StatusServiceUnavailable)
}

// answer takes a confirmation or a refusal.
func (b *Bridge) answer(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
		return
	}
	l, err := b.find(r.Context(), r.PathValue("link"))
	if err != nil {
		b.broken(w, r, err)
		return
	}
	if l == nil || !b.open(l) {
		b.render(w, l, http.StatusConflict, "", "")
		return
	}
	field := func(name string, most int) string {
		return clip(norm.NFC.String(strings.Join(strings.Fields(r.PostForm.Get(name)), " ")), most)
	}
	code := strings.ReplaceAll(field("code", 40), " ", "")
	if subtle.ConstantTimeCompare([]byte(code), []byte(b.code(l.ID))) != 1 {
		err := b.cfg.DB.Update(r.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return countTry(ctx, tx, l.ID) })
		if err == nil {
			l, err = b.find(r.Context(), r.PathValue("link"))
		}
		if err != nil {
			b.broken(w, r, err)
			return
		}
		b.render(w, l, http.StatusForbidden, "Mã xác nhận không đúng. Mã nằm trong nội dung thư đã nhận.", "The code is wrong. It stands in the text of the message.")
		return
	}
	who, reason := field("who", 100), field("reason", 300)
	refused := r.PostForm.Get("act") == "refuse"
	if who == "" || refused && reason == "" {
		b.render(w, l, http.StatusUnprocessableEntity, "Nhập họ tên; từ chối thì nhập cả lý do.", "Give your name; to refuse, a reason as well.")
		return
	}
	if err := b.settled(r.Context(), l, refused, who, reason); err != nil {
		b.broken(w, r, err)
		return
	}
	if l, err = b.find(r.Context(), r.PathValue("link")); err != nil {
		b.broken(w, r, err)
		return
	}
	b.render(w, l, http.StatusOK, "", "")
}

func (b *Bridge) open(l *letter) bool {
	return (l.State == stateSent || l.State == stateNew) && b.cfg.Now().Before(l.Expires)
}

// settled tells the exchange, then closes the page: should the second fail, the same answer again changes nothing.
func (b *Bridge) settled(ctx context.Context, l *letter, refused bool, who, reason string) error {
	said := exchange.ForeignStatus{Axis: l.Axis, Sender: registry.AgencyID(l.Sender), Recipient: registry.AgencyID(l.Recipient), Status: exchange.StatusArrived,
		Note: "Người xác nhận: " + who, Channel: Channel, Digest: blob.Sum([]byte(l.ID + "\x00" + who + "\x00" + reason))}
	state := stateConfirmed
	if refused {
		said.Status, said.Note, state = exchange.StatusRefused, reason+" (người từ chối: "+who+")", stateRefused
	}
	if err := b.cfg.Service.ForeignStatus(ctx, said); err != nil {
		return err
	}
	return b.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		fresh, err := settle(ctx, tx, l.ID, state, said.Note, b.cfg.Now())
		if err != nil || !fresh {
			return err
		}
		return b.cfg.Service.Fetched(ctx, tx, said.Sender, l.Axis, said.Recipient)
	})
}

const pageStyle = `body{font:16px/1.5 system-ui,sans-serif;max-width:38rem;margin:2rem auto;padding:0 1rem;color:#16202c;background:#fff}h1{font-size:1.4rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1rem}dt{color:#556}dd{margin:0;overflow-wrap:anywhere}label{display:block;margin:.8rem 0 .2rem}input,textarea,button{font:inherit;padding:.5rem;width:100%;box-sizing:border-box}button{margin-top:1rem;min-height:2.75rem}.note{border-left:4px solid #0b5394;padding:.6rem 1rem;background:#eef4fb}.bad{border-color:#a4161a;background:#fdeeee}.en{color:#556}`

// render shows the page of a letter. It never contains the code.
func (b *Bridge) render(w http.ResponseWriter, l *letter, status int, vi, en string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Cache-Control", "no-store")
	var p strings.Builder
	e := html.EscapeString
	p.WriteString(`<!doctype html><html lang="vi"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Xác nhận văn bản</title><style>` + pageStyle + `</style>`)
	if l == nil {
		status = http.StatusNotFound
		p.WriteString(`<h1>Không có trang này</h1><p class="en" lang="en">There is no such page.</p></html>`)
	} else {
		p.WriteString(`<h1>Xác nhận đã nhận văn bản</h1><p class="en" lang="en">Confirm or refuse an official document</p><dl><dt>Cơ quan gửi</dt><dd>` + e(l.SenderName) +
			`</dd><dt>Nơi nhận</dt><dd>` + e(l.ToName) + `</dd><dt>Số, ký hiệu</dt><dd>` + e(l.Code) + `</dd><dt>Trích yếu</dt><dd>` + e(l.Subject) + `</dd></dl>`)
		if vi != "" {
			p.WriteString(`<p class="note bad" role="alert">` + e(vi) + `<br><span class="en" lang="en">` + e(en) + `</span></p>`)
		}
		b.renderState(&p, l)
		p.WriteString(`</html>`)
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(p.String())) // a reader that went away is no error of ours
}

func (b *Bridge) renderState(p *strings.Builder, l *letter) {
	note := func(vi, en string) {
		p.WriteString(`<p class="note">` + vi + `<br><span class="en" lang="en">` + en + `</span></p>`)
	}
	switch {
	case l.State == stateConfirmed:
		note("Đã ghi nhận: văn bản đã đến lúc "+moment(l.Settled)+".", "Recorded: the document arrived.")
	case l.State == stateRefused:
		note("Đã ghi nhận: từ chối lúc "+moment(l.Settled)+".", "Recorded: the document was refused.")
	case l.State == stateClosed:
		note("Trang đã khóa vì nhập sai mã nhiều lần. Liên hệ cơ quan gửi.", "Closed after too many wrong codes. Ask the sender.")
	case !b.open(l):
		note("Trang đã hết hạn. Liên hệ cơ quan gửi.", "The page has expired. Ask the sender.")
	default:
		p.WriteString(`<form method="post"><label for="code">Mã xác nhận trong thư <span class="en" lang="en">Code in the message</span></label><input id="code" name="code" inputmode="numeric" autocomplete="off" required>
<label for="who">Họ tên, chức vụ <span class="en" lang="en">Your name and position</span></label><input id="who" name="who" maxlength="100" required>
<button name="act" value="confirm">Đã nhận được văn bản · Confirm</button>
<label for="reason">Lý do, nếu từ chối <span class="en" lang="en">Reason, to refuse</span></label><textarea id="reason" name="reason" rows="2" maxlength="300"></textarea>
<button name="act" value="refuse">Từ chối · Refuse</button></form>`)
	}
}

func moment(t time.Time) string { return t.In(exchange.Vietnam()).Format("15:04 02/01/2006") }
