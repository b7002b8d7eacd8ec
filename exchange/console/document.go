package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"vanthu/exchange"
	"vanthu/exchange/receipt"
)

// imageLimit bounds the picture of a signature or a seal.
const imageLimit = 3 << 20

func (v *visit) documentID() exchange.DocumentID { return exchange.DocumentID(v.r.PathValue("id")) }

func (s *server) documentPage(v *visit) error { return v.document(v.documentID(), nil) }

// document shows an outgoing document, with the problem an act on it met.
func (v *visit) document(id exchange.DocumentID, problem error) error {
	svc := v.srv.cfg.Service
	d, err := svc.Document(v.ctx(), v.actor, id)
	if err != nil {
		return err
	}
	report, err := svc.Report(v.ctx(), v.actor, id)
	if err != nil && exchange.KindOf(err) != exchange.KindNotFound {
		return err
	}
	receipts, err := svc.Receipts(v.ctx(), v.actor, id)
	if err != nil {
		return err
	}
	deliveries, every, err := v.deliveryRows(id, receipts)
	if err != nil {
		return err
	}
	events, err := svc.Timeline(v.ctx(), v.actor, id)
	if err != nil {
		return err
	}
	requests, err := v.requestViews(id)
	if err != nil {
		return err
	}
	next, err := svc.NextAct(v.ctx(), v.actor, id)
	if err != nil {
		return err
	}
	versions, err := v.versionRows(id)
	if err != nil {
		return err
	}
	comments, err := v.commentRows(id)
	if err != nil {
		return err
	}
	actions, err := v.documentActions(d)
	if err != nil {
		return err
	}
	after, err := v.afterSending(d)
	if err != nil {
		return err
	}
	body := documentBody{URL: documentURL(id), PDF: documentURL(id) + "/pdf", Subject: d.Subject, Code: v.code(d),
		Type: v.typeName(d.Type), Priority: v.priority(d.Priority), State: v.stateChip(d.State),
		Verdict: v.verdictView(report), Every: every, Deliveries: deliveries, Facts: v.documentFacts(d), Details: v.documentDetails(d),
		Events: v.trail(events), Actions: append(actions, after...), Requests: requests, Next: v.nextRows(next), Versions: versions, Comments: comments, Returned: d.Returned}
	if step := stepOf(d); step != "" {
		body.Steps = v.steps(step)
	}
	return v.showWith("document", d.Subject, body, problem)
}

func (v *visit) documentFacts(d *exchange.Document) []fact {
	signer := d.SignerName
	if d.SignerPosition != "" {
		signer = d.Competence + " " + d.SignerPosition + ": " + signer
	}
	return facts(fact{v.say("fact.code"), v.code(d)}, fact{v.say("fact.type"), v.typeName(d.Type)},
		fact{v.say("fact.issued"), day(d.Issued)}, fact{v.say("fact.place"), d.Place},
		fact{v.say("fact.signer"), strings.TrimSpace(signer)}, fact{v.say("fact.priority"), d.Priority.In(v.lang)},
		fact{v.say("fact.due"), day(d.Due)}, fact{v.say("fact.sent"), moment(d.Sent)})
}

// documentDetails are the facts that are seldom asked for.
func (v *visit) documentDetails(d *exchange.Document) []fact {
	return facts(fact{v.say("fact.created"), moment(d.Created)}, fact{v.say("fact.archived"), moment(d.Archived)},
		fact{v.say("fact.size"), v.bytes(d.PDF.Size)}, fact{v.say("fact.digest"), string(d.PDF.Digest)})
}

// deliveryRows are the recipients with their receipts; every tells how often to ask again: soon while one is on its
// way, now and then while one is being worked on, never when all are final.
func (v *visit) deliveryRows(id exchange.DocumentID, receipts []exchange.Receipt) (rows []deliveryRow, every string, err error) {
	deliveries, err := v.srv.cfg.Service.Deliveries(v.ctx(), v.actor, id)
	if err != nil {
		return nil, "", err
	}
	for i := range deliveries {
		d := &deliveries[i]
		row := deliveryRow{Name: v.agencyName(d.Recipient), Recipient: string(d.Recipient), Channel: v.channelChip(d.Channel).Label,
			Status: v.deliveryChip(d), Trouble: v.trouble(d), Updated: d.Updated}
		if d.ArrivalNumber > 0 {
			row.Arrival = twoDigits(d.ArrivalNumber)
		}
		for _, r := range receipts {
			if r.From == d.Recipient {
				row.Receipts = append(row.Receipts, receiptRow{URL: documentURL(id) + "/receipts/" + r.ID,
					Label: v.statusChip(r.Status).Label, At: r.At})
			}
		}
		switch {
		case d.Status == exchange.StatusNone:
			every = "3s"
		case d.Status != exchange.StatusFinished && d.Status != exchange.StatusRefused && every == "":
			every = "30s"
		}
		rows = append(rows, row)
	}
	return rows, every, nil
}

// documentActions offers what the exchange says the actor may do now, the usual next act first.
func (v *visit) documentActions(d *exchange.Document) ([]action, error) {
	var acts []action
	may := d.Acts(v.actor)
	order := []exchange.Act{exchange.ActInitial, exchange.ActApprove, exchange.ActNumber, exchange.ActSeal, exchange.ActSend,
		exchange.ActRevise, exchange.ActReturn, exchange.ActCancelNumber}
	if d.Returned { // nothing else can be done before it is changed
		order = []exchange.Act{exchange.ActRevise}
	}
	for _, act := range order {
		if !slices.Contains(may, act) {
			continue
		}
		a, err := v.documentAction(d, act)
		if err != nil {
			return nil, err
		}
		a.Primary = len(acts) == 0 && act != exchange.ActCancelNumber && act != exchange.ActReturn && (act != exchange.ActRevise || d.Returned)
		acts = append(acts, a)
		if a.Passphrase {
			acts = append(acts, v.deviceAction(documentURL(d.ID), string(act)))
		}
	}
	if (d.State == exchange.StateDraft || d.State == exchange.StateInitialled) && v.can(exchange.ActComment) {
		acts = append(acts, action{Key: "comment", Label: v.say("act.comment"), Form: v.form("comment", documentURL(d.ID)+"/comment", v.note(v.say("act.comment.text"), true))})
	}
	step := stepOf(d)
	if !slices.ContainsFunc(acts, func(a action) bool { return a.Primary }) && step != "" {
		if step == "number" || step == "seal" || step == "send" {
			step = "clerk"
		}
		acts = append(acts, action{Key: step, Primary: true, Wait: true, Label: v.say("act.wait." + step), Hint: v.say("act.wait.hint")})
	}
	return acts, nil
}

func (v *visit) documentAction(d *exchange.Document, act exchange.Act) (action, error) {
	key, url := string(act), documentURL(d.ID)
	a := action{Key: key, URL: url + "/" + key, Label: v.say("act." + key), Button: v.sayOr("act."+key+".button", ""),
		Hint: v.sayOr("act."+key+".hint", "")}
	switch act {
	case exchange.ActInitial, exchange.ActApprove, exchange.ActSeal:
		a.URL, a.Passphrase, a.Hidden = url+"/sign", true, []fact{{"step", key}}
	case exchange.ActNumber:
		a.Hint = v.say("act.number.hint", strconv.Itoa(v.srv.cfg.Now().In(hanoi).Year()))
		f, err := v.numberForm(d)
		if err != nil {
			return a, err
		}
		a.Form = f
	case exchange.ActSend, exchange.ActRevise:
		a.Link = true
	case exchange.ActCancelNumber, exchange.ActReturn:
		a.Form = v.form(key, a.URL, v.note(v.say("act."+key+".reason"), true))
		a.Form.Danger = true
	}
	return a, nil
}

// numberForm takes the next number, or one that was kept for this document.
func (v *visit) numberForm(d *exchange.Document) (*form, error) {
	kept, err := v.srv.cfg.Service.ReservedNumbers(v.ctx(), v.actor)
	if err != nil {
		return nil, err
	}
	url := documentURL(d.ID) + "/number"
	options := []option{{Label: v.say("act.number.next")}}
	for _, r := range kept {
		if r.Year == v.srv.cfg.Now().In(hanoi).Year() {
			options = append(options, option{Value: strconv.Itoa(r.Number), Label: clip(v.say("act.number.kept", twoDigits(r.Number), r.Purpose), 60)})
		}
	}
	if len(options) == 1 {
		return v.form("number", url), nil
	}
	return v.form("number", url, field{Name: "reserved", Label: v.say("act.number.which"), Kind: fieldSelect, Options: options}), nil
}

// acted sends the reader on after an act, or shows the document again with what went wrong.
func (v *visit) acted(err error, done string) error {
	if err != nil {
		return v.document(v.documentID(), err)
	}
	return v.see(documentURL(v.documentID()), done)
}

func (s *server) sign(v *visit) error {
	in := exchange.SignInput{}
	err := v.r.ParseMultipartForm(formMemory)
	switch {
	case errors.Is(err, http.ErrNotMultipart): // a form without a picture
	case err != nil:
		return formError(err)
	default:
		defer func() { _ = v.r.MultipartForm.RemoveAll() }() // temporary files of the parser
		if in.Image, _, err = v.readUpload("image", imageLimit); err != nil {
			return err
		}
	}
	in.Step, in.Passphrase = exchange.Step(v.r.PostFormValue("step")), v.r.PostFormValue("passphrase")
	in.Invisible = v.r.PostFormValue("invisible") != ""
	_, _, err = s.cfg.Service.Sign(v.ctx(), v.actor, v.documentID(), in)
	return v.acted(err, string(in.Step))
}

func (s *server) number(v *visit) error {
	f := v.form("number", v.r.URL.Path, field{Name: "reserved", Label: v.say("act.number.which"), Kind: fieldNumber})
	err := v.fill(f)
	switch {
	case err != nil:
	case f.get("reserved") != "":
		_, err = s.cfg.Service.NumberReserved(v.ctx(), v.actor, v.documentID(), f.int("reserved"))
	default:
		_, err = s.cfg.Service.Number(v.ctx(), v.actor, v.documentID())
	}
	v.refused = nil // the page knows which numbers are kept
	return v.acted(err, "number")
}

// withNote does an act that needs a few words: a number that is cancelled, a draft that is given back or commented.
func (s *server) withNote(act, done string, do func(v *visit, note string) error) handler {
	return func(v *visit) error {
		f := v.form(act, v.r.URL.Path, v.note(v.sayOr("act."+act+".reason", v.say("act.comment.text")), true))
		f.Danger = act != "comment"
		err := v.fill(f)
		if err == nil {
			err = do(v, f.get("note"))
		}
		return v.acted(err, done)
	}
}

func (s *server) cancelNumber(v *visit, note string) error {
	return s.cfg.Service.CancelNumber(v.ctx(), v.actor, v.documentID(), note)
}

func (s *server) returnDraft(v *visit, note string) error {
	_, err := s.cfg.Service.ReturnDraft(v.ctx(), v.actor, v.documentID(), note)
	return err
}

func (s *server) commentDraft(v *visit, note string) error {
	_, err := s.cfg.Service.CommentDraft(v.ctx(), v.actor, v.documentID(), note)
	return err
}

// line reads one field of a form: trimmed, NFC.
func (v *visit) line(field string) string {
	return norm.NFC.String(strings.TrimSpace(v.r.PostFormValue(field)))
}

func (s *server) documentPDF(v *visit) error {
	d, err := s.cfg.Service.Document(v.ctx(), v.actor, v.documentID())
	if err != nil {
		return err
	}
	r, size, err := s.cfg.Service.PDF(v.ctx(), v.actor, v.documentID())
	if err != nil {
		return err
	}
	return v.pdf(r, size, pdfName(d.Code(), d.Type), string(d.PDF.Digest))
}

// documentBundle gives the receipt bundle of a document, with the document in it.
func (s *server) documentBundle(v *visit) error {
	bundle, err := s.cfg.Service.ReceiptBundle(v.ctx(), v.actor, v.documentID(), true)
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", receipt.MediaType)
	h.Set("Cache-Control", "private, no-store")
	h.Set("Content-Disposition", `attachment; filename="`+bundle.Name+`"`)
	_, err = v.w.Write(bundle.Data) //nolint:gosec // G705: an attachment of a type that no browser shows
	return err
}

// pdf serves a whole PDF or a range of it. The blob is read to its end first: its digest is checked there, and a
// damaged one must not be shown as if it were sound.
func (v *visit) pdf(r io.ReadCloser, size int64, name, digest string) error {
	defer func() { _ = r.Close() }() // only read
	data := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := data.ReadFrom(r); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/pdf")
	h.Set("ETag", strconv.Quote(digest))
	h.Set("Cache-Control", "private, no-cache")
	disposition := "inline"
	if v.r.URL.Query().Get("download") != "" {
		disposition = "attachment"
	}
	h.Set("Content-Disposition", disposition+`; filename="`+plainName(name)+`.pdf"; filename*=UTF-8''`+fileName(name)+".pdf")
	http.ServeContent(v.w, v.r, "", time.Time{}, bytes.NewReader(data.Bytes()))
	return nil
}

// pdfName names a PDF after its code, with its type where the code does not tell it: an official letter has none
// (NĐ 30/2020 Phụ lục I).
func pdfName(code, docType string) string {
	name := strings.ReplaceAll(code, "/", "-")
	if name == "" {
		name = "dự-thảo"
	}
	if docType != "" && !slices.Contains(strings.Split(name, "-"), docType) {
		name += "-" + docType
	}
	return name
}

// plainName folds a name to ASCII for the programs that do not read the extended form (RFC 6266 §4.3).
func plainName(name string) string {
	var b strings.Builder
	for _, c := range norm.NFD.String(name) {
		switch {
		case unicode.Is(unicode.Mn, c):
		case c == 'đ':
			b.WriteByte('d')
		case c == 'Đ':
			b.WriteByte('D')
		case c < utf8.RuneSelf && strings.ContainsRune(namePlain, c):
			b.WriteRune(c)
		default:
			b.WriteByte('-')
		}
	}
	return b.String()
}

// namePlain are the characters of a file name that mean the same everywhere.
const namePlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

// fileName turns "05-QĐ-UBND" into the extended form of RFC 8187.
func fileName(code string) string {
	var b strings.Builder
	for _, c := range []byte(strings.ReplaceAll(code, "/", "-")) {
		if strings.IndexByte(namePlain, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + strings.ToUpper(strconv.FormatUint(uint64(c)|0x100, 16)[1:]))
	}
	return b.String()
}

// receipt downloads one signed receipt: the signed bytes and the signature, as JSON.
func (s *server) receipt(v *visit) error {
	receipts, err := s.cfg.Service.Receipts(v.ctx(), v.actor, v.documentID())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(receipts, func(r exchange.Receipt) bool { return r.ID == v.r.PathValue("receipt") })
	if i < 0 {
		return errNoPage
	}
	b, err := json.MarshalIndent(receipts[i], "", " ")
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/json")
	v.w.Header().Set("Content-Disposition", "attachment; filename=\"receipt-"+fileName(receipts[i].ID)+".json\"")
	_, _ = v.w.Write(append(b, '\n')) // the reader has gone away: nobody to tell
	return nil
}
