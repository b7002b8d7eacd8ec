package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// nextRow is one thing that has to happen to a document, and whose turn it is.
type nextRow struct {
	Act, Owner, Due, Rule string
	Late, Hub             bool
}

// nextRows says what comes next; steps that differ only in the recipient are one row.
func (v *visit) nextRows(steps []exchange.NextStep) []nextRow {
	type key struct {
		act    exchange.Act
		owner  string
		hub    bool
		agency registry.AgencyID
	}
	type sum struct {
		n   int
		due time.Time
		at  time.Time
		one exchange.NextStep
	}
	sums, order := map[key]*sum{}, []key{}
	for _, n := range steps {
		k := key{n.Act, v.stepOwner(n), n.Hub, ""}
		if k.owner == "" {
			k.agency = n.Agency
		}
		s := sums[k]
		if s == nil {
			s = &sum{one: n}
			sums[k] = s
			order = append(order, k)
		}
		s.n++
		if !n.Due.IsZero() && (s.due.IsZero() || n.Due.Before(s.due)) {
			s.due = n.Due
		}
		if !n.At.IsZero() && (s.at.IsZero() || n.At.Before(s.at)) {
			s.at = n.At
		}
	}
	var rows []nextRow
	for _, k := range order {
		s := sums[k]
		row := nextRow{Act: v.sayOr("next."+string(k.act), string(k.act)), Owner: k.owner, Hub: k.hub, Rule: v.ruleText(s.one.Rule)}
		if s.n > 1 {
			row.Act = v.say("next.several", row.Act, v.num(s.n))
		}
		switch {
		case !s.due.IsZero():
			row.Due = v.say("next.due", v.dueText(s.due))
			row.Late = v.srv.cfg.Now().After(endOfDue(s.due))
		case k.hub && !s.at.IsZero():
			row.Due = v.say("next.at", moment(s.at))
		}
		rows = append(rows, row)
	}
	return rows
}

// endOfDue is when a time limit is over: a limit that is a day ends with that day.
func endOfDue(due time.Time) time.Time {
	if due.In(hanoi).Format("15:04:05") == "00:00:00" {
		return due.AddDate(0, 0, 1)
	}
	return due
}

// dueText shows a day as a day and a moment as a moment.
func (v *voice) dueText(due time.Time) string {
	if due.In(hanoi).Format("15:04:05") == "00:00:00" {
		return day(due)
	}
	return moment(due)
}

// ruleText says where a time limit comes from; rules of law are cited as they are.
func (v *voice) ruleText(rule string) string {
	if v.lang == "en" {
		return strings.NewReplacer("Hạn xử lý của văn bản", "The due day of the document", "Quy định của hệ thống: ngày làm việc kế tiếp", "Rule of this system: the next working day").Replace(rule)
	}
	return rule
}

// stepOwner names whose turn it is: a person, roles of an agency, or the hub.
func (v *visit) stepOwner(n exchange.NextStep) string {
	if n.Hub {
		return v.say("role.hub")
	}
	owner := v.personName(n.Person)
	if owner == "" {
		owner = v.roleNames(n.Roles)
	}
	if n.Agency != v.actor.Agency {
		if n.To != "" { // one line for all recipients
			return v.say("next.recipients", owner)
		}
		owner += ", " + v.agencyName(n.Agency)
	}
	return owner
}

// handlingView is the work on an incoming document.
type handlingView struct {
	Tasks    []taskRow
	Opinions []opinionRow
	Answer   *registerCell
	Slip     string // address of the handling slip, "" = none yet
}

type taskRow struct {
	Name, Part, Due, Note, Result string
	State                         chip
	Late                          bool
}

type opinionRow struct {
	Kind, Name, Text string
	At               time.Time
}

func (v *visit) handling(in *exchange.Incoming) (*handlingView, error) {
	h, err := v.srv.cfg.Service.Handling(v.ctx(), v.actor, in.ID)
	if err != nil {
		return nil, err
	}
	out := &handlingView{}
	now := v.srv.cfg.Now()
	for i := range h.Tasks {
		t := &h.Tasks[i]
		row := taskRow{Name: v.personName(t.Person), Part: v.say("work." + string(t.Part)), Due: day(t.Due), Note: t.Note,
			State: chip{"info", "pen", v.say("work.open")}}
		switch {
		case t.Withdrawn != "":
			row.State, row.Result = chip{"", "back", v.say("work.withdrawn")}, t.Withdrawn
		case !t.Ended.IsZero():
			row.State, row.Result = chip{"ok", "ok", v.say("work.done")}, t.Result
		case !t.Due.IsZero() && now.After(endOfDue(t.Due)):
			row.State, row.Late = chip{"bad", "wait", v.say("work.late")}, true
		}
		out.Tasks = append(out.Tasks, row)
	}
	for i := range h.Opinions {
		o := &h.Opinions[i]
		out.Opinions = append(out.Opinions, opinionRow{Kind: v.say("opinion." + string(o.Kind)), Name: o.Name, Text: o.Text, At: o.At})
	}
	if in.Answer != "" {
		d, err := v.srv.cfg.Service.Document(v.ctx(), v.actor, in.Answer)
		if err == nil {
			out.Answer = &registerCell{Text: d.Code() + " · " + d.Subject, URL: documentURL(d.ID)}
		} else if exchange.KindOf(err) == "" {
			return nil, err
		}
	}
	if in.ArrivalNumber > 0 {
		out.Slip = incomingURL(in.ID) + "/slip/"
	}
	return out, nil
}

// slip prints the phiếu giải quyết văn bản đến.
func (s *server) slip(v *visit) error {
	paper, err := s.cfg.Service.HandlingSlip(v.ctx(), v.actor, v.incomingID())
	if err != nil {
		return err
	}
	return v.paper(paper, "phieu-giai-quyet", v.r.PathValue("format"))
}

// incomingForms are the forms of the acts on an incoming document, in the order of the work.
func (v *visit) incomingForm(in *exchange.Incoming, act exchange.Act) (*form, error) {
	key := string(act)
	url := incomingURL(in.ID) + "/" + key
	switch act {
	case exchange.ActAssign:
		return v.assignForm(in, url)
	case exchange.ActFinish:
		return v.finishForm(in, url)
	case exchange.ActRefuse:
		f := v.form(key, url, v.note(v.say("act.refuse.reason"), true))
		f.Danger = true
		return f, nil
	}
	return v.form(key, url), nil
}

func (v *visit) assignForm(in *exchange.Incoming, url string) (*form, error) {
	people, err := v.colleagues()
	if err != nil {
		return nil, err
	}
	return v.form("assign", url,
		field{Name: "person", Label: v.say("act.assign.to"), Kind: fieldSelect, Required: true, Options: append([]option{{Label: v.say("act.assign.choose")}}, people...)},
		field{Name: "due", Label: v.say("work.due"), Kind: fieldDate, Value: dateValue(in.Due)},
		v.withField(people),
		v.note(v.say("opinion.instruction"), false)), nil
}

func (v *visit) withField(people []option) field {
	return field{Name: "with", Label: v.say("work.with"), Kind: fieldMany, Options: slices.Clone(people), Wide: true}
}

// dateValue is a day as a date input has it.
func dateValue(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(hanoi).Format(time.DateOnly)
}

// answersShown bounds the choice of documents that answer; older ones are found by their code.
const answersShown = 30

// finishForm ends the work, with the document that answers where there is one.
func (v *visit) finishForm(in *exchange.Incoming, url string) (*form, error) {
	options := []option{{Label: v.say("act.finish.noanswer")}}
	if !slices.ContainsFunc(exchange.RolesFor(exchange.ActFinish), v.actor.Has) {
		return v.form("finish", url, v.note(v.say("act.finish.note"), false)), nil
	}
	for _, state := range []exchange.State{exchange.StateSent, exchange.StateSealed} {
		found, err := v.srv.cfg.Service.Documents(v.ctx(), v.actor, exchange.ListFilter{State: state, Limit: answersShown})
		if err != nil {
			return nil, err
		}
		for i := range found.Items {
			d := &found.Items[i]
			if d.Number > 0 && !d.Issued.Before(in.Issued) {
				options = append(options, option{Value: string(d.ID), Label: clip(d.Code()+" · "+d.Subject, 90)})
			}
		}
	}
	return v.form("finish", url,
		field{Name: "answer", Label: v.say("act.finish.answer"), Hint: v.say("act.finish.answer.hint"), Kind: fieldSelect, Options: options, Wide: true},
		v.note(v.say("act.finish.note"), false)), nil
}

// clip shortens a label to n characters.
func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return strings.TrimSpace(string(r[:n-1])) + "…"
}

// workActions are the acts inside the agency on a document that is in the register: none of them changes what the
// sender is told.
func (v *visit) workActions(in *exchange.Incoming, h *exchange.Handling) ([]action, error) {
	if in.ArrivalNumber == 0 || in.Merged != "" {
		return nil, nil
	}
	open := !in.Status.Final() || !in.Reopened.IsZero()
	lead := v.actor.Person == in.Assignee && in.Assignee != ""
	leader := v.actor.Has(registry.RoleLeader)
	co := slices.ContainsFunc(h.Tasks, func(t exchange.Task) bool {
		return t.Person == v.actor.Person && t.Part == exchange.PartCo && t.Ended.IsZero()
	})
	url := incomingURL(in.ID) + "/"
	var acts []action
	add := func(key string, fields ...field) {
		acts = append(acts, action{Key: key, Label: v.say("act." + key), Form: v.form(key, url+key, fields...)})
	}
	if co && open {
		add("part", v.note(v.say("act.part.result"), false))
	}
	if open && in.Assignee != "" && (lead || leader) {
		people, err := v.colleagues()
		if err != nil {
			return nil, err
		}
		others := slices.DeleteFunc(slices.Clone(people), func(o option) bool { return o.Value == string(in.Assignee) })
		add("cohandlers", v.withField(others), field{Name: "due", Label: v.say("work.due"), Kind: fieldDate, Value: dateValue(in.TaskDue)}, v.note(v.say("act.note"), false))
		add("reassign", field{Name: "person", Label: v.say("act.reassign.to"), Kind: fieldSelect, Required: true,
			Options: append([]option{{Label: v.say("act.assign.choose")}}, others...)}, v.note(v.say("act.reason"), true))
	}
	kinds := []option{{Value: string(exchange.OpinionComment), Label: v.say("opinion.comment")}}
	if lead || co {
		kinds = slices.Insert(kinds, 0, option{Value: string(exchange.OpinionProposal), Label: v.say("opinion.proposal")})
	}
	if leader {
		kinds = slices.Insert(kinds, 0, option{Value: string(exchange.OpinionInstruction), Label: v.say("opinion.instruction")})
	}
	add("opinion", field{Name: "kind", Label: v.say("opinion.kind"), Kind: fieldSelect, Required: true, Value: kinds[0].Value, Options: kinds},
		v.note(v.say("opinion.text"), true))
	if in.Status == exchange.StatusFinished && in.Reopened.IsZero() && leader {
		add("reopen", v.note(v.say("act.reason"), true), field{Name: "due", Label: v.say("work.due"), Kind: fieldDate})
	}
	if in.Status == exchange.StatusFinished && !in.Reopened.IsZero() && (lead || leader) {
		f, err := v.finishForm(in, url+"finish")
		if err != nil {
			return nil, err
		}
		acts = slices.Insert(acts, 0, action{Key: "finish", Label: v.say("act.finish"), Hint: v.say("act.finish.again"), Form: f, Primary: true, Big: true})
	}
	return acts, nil
}

// incomingWork does one of the acts of a form on the page of an incoming document.
func (v *visit) incomingWork(act string, f *form) (err error) {
	svc, id := v.srv.cfg.Service, v.incomingID()
	note := f.get("note")
	person := registry.PersonID(f.get("person"))
	switch act {
	case "register":
		_, err = svc.Register(v.ctx(), v.actor, id)
	case "assign":
		_, err = svc.AssignTo(v.ctx(), v.actor, id, exchange.Assignment{Lead: person, With: f.people("with"), Due: f.date("due"), Instruction: note})
	case "reassign":
		_, err = svc.Reassign(v.ctx(), v.actor, id, person, note)
	case "cohandlers":
		_, err = svc.AddCoHandlers(v.ctx(), v.actor, id, f.people("with"), f.date("due"), note)
	case "part":
		_, err = svc.FinishPart(v.ctx(), v.actor, id, note)
	case "opinion":
		_, err = svc.Say(v.ctx(), v.actor, id, exchange.OpinionKind(f.get("kind")), note)
	case "process":
		_, err = svc.Process(v.ctx(), v.actor, id, note)
	case "finish":
		_, err = svc.FinishWith(v.ctx(), v.actor, id, exchange.DocumentID(f.get("answer")), note)
	case "reopen":
		_, err = svc.Reopen(v.ctx(), v.actor, id, note, f.date("due"))
	case "refuse":
		_, err = svc.Refuse(v.ctx(), v.actor, id, note)
	case "agree", "decline":
		_, err = svc.AnswerRequest(v.ctx(), v.actor, id, act == "agree", note)
	default:
		return errNoPage
	}
	return err
}

// taskViews are the lists of the page "Việc của tôi".
func taskViews() []exchange.TaskView {
	return []exchange.TaskView{exchange.TasksMine, exchange.TasksCo, exchange.TasksOverdue, exchange.TasksUnassigned}
}

type tabView struct {
	Label, URL string
	Current    bool
}

type tasksBody struct {
	Tabs  []tabView
	Lead  string
	Rows  []incomingRow
	Pager pagerView
}

// tasks is the list of work, with the day each is due: what is late first, then by day.
func (s *server) tasks(v *visit) error {
	q := v.r.URL.Query()
	view := exchange.TaskView(cmp.Or(q.Get("view"), string(exchange.TasksMine)))
	found, err := s.cfg.Service.Tasks(v.ctx(), v.actor, view, q.Get("after"), taskPage)
	if err != nil {
		return err
	}
	slices.SortStableFunc(found.Items, func(a, b exchange.Incoming) int {
		x, y := workDue(&a), workDue(&b)
		switch {
		case x.IsZero() && y.IsZero():
			return 0
		case x.IsZero():
			return 1
		case y.IsZero():
			return -1
		}
		return x.Compare(y)
	})
	body := tasksBody{Lead: v.sayOr("tasks."+string(view)+".lead", ""), Pager: pager(v.r, found.Next)}
	for _, t := range taskViews() {
		body.Tabs = append(body.Tabs, tabView{Label: v.say("tasks." + string(t)), URL: "/tasks?" + url.Values{"view": {string(t)}}.Encode(), Current: t == view})
	}
	for i := range found.Items {
		body.Rows = append(body.Rows, v.incomingRow(&found.Items[i]))
	}
	return v.show(http.StatusOK, "tasks", v.say("nav.tasks"), body)
}

// taskPage is how much open work one page shows: more than anybody has.
const taskPage = 200

// workDue is the day the work is due: what the leader set, else what the sender asked for.
func workDue(in *exchange.Incoming) time.Time {
	if !in.TaskDue.IsZero() {
		return in.TaskDue
	}
	return in.Due
}

func (s *server) scanForm(v *visit) *form {
	agencies := field{Name: "from", Label: v.say("scan.from"), Hint: v.say("scan.from.hint"), Max: 35}
	f := v.form("scan", "/scan",
		field{Name: "pdf", Label: v.say("scan.pdf"), Kind: fieldFile, Accept: "application/pdf,.pdf", Required: true, Wide: true, Hint: v.say("compose.limit", v.bytes(s.cfg.MaxPDF))},
		agencies,
		field{Name: "from_name", Label: v.say("scan.fromname"), Hint: v.say("scan.fromname.hint"), Max: limitName},
		field{Name: "code", Label: v.say("fact.code"), Hint: v.say("scan.code.hint"), Max: limitCode},
		field{Name: "issued", Label: v.say("book.docdate"), Kind: fieldDate, Required: true},
		field{Name: "type", Label: v.say("fact.type"), Kind: fieldSelect, Required: true, Value: "CV", Options: v.typeOptions(true)},
		field{Name: "channel", Label: v.say("scan.channel"), Kind: fieldSelect, Required: true, Value: exchange.ArrivedPaper, Options: []option{
			{Value: exchange.ArrivedPaper, Label: v.say("channel.paper")}, {Value: exchange.ArrivedMail, Label: v.say("channel.mail")}}},
		field{Name: "subject", Label: v.say("fact.subject"), Kind: fieldLong, Required: true, Max: limitSubject, Wide: true},
		field{Name: "signer", Label: v.say("fact.signer"), Max: 50},
		field{Name: "priority", Label: v.say("fact.priority"), Kind: fieldSelect, Value: "0", Options: v.priorityOptions()},
		field{Name: "due", Label: v.say("fact.due"), Kind: fieldDate},
		v.note(v.say("fact.remark"), false))
	return f
}

func (s *server) scanPage(v *visit) error { return v.scan(nil) }

func (v *visit) scan(problem error) error {
	return v.showForm(formBody{Title: v.say("scan.title"), Lead: v.say("scan.lead"), Crumb: fact{v.say("nav.incoming"), "/incoming"}, Form: v.srv.scanForm(v)}, problem)
}

// registerScan enters what came on paper in the register.
func (s *server) registerScan(v *visit) error {
	defer v.done()
	f := s.scanForm(v)
	if err := v.fill(f); err != nil {
		return v.scan(err)
	}
	file, err := v.upload("pdf")
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	priority, _ := strconv.Atoi(f.get("priority"))
	in, err := s.cfg.Service.RegisterScan(v.ctx(), v.actor, exchange.ScanInput{Channel: f.get("channel"), From: registry.AgencyID(f.get("from")), FromName: f.get("from_name"),
		Code: f.get("code"), Type: f.get("type"), Subject: f.get("subject"), SignerName: f.get("signer"), Issued: f.date("issued"), Priority: exchange.Priority(priority),
		Due: f.date("due"), Note: f.get("note"), PDF: file})
	if err != nil {
		return v.scan(err)
	}
	return v.see(incomingURL(in.ID), "scan")
}
