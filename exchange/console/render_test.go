package console

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template/parse"
	"time"
	"unicode"
)

func testVoices(t *testing.T) map[string]*voice {
	t.Helper()
	a, err := newAssets()
	if err != nil {
		t.Fatal(err)
	}
	voices, err := newVoices(a)
	if err != nil {
		t.Fatal(err)
	}
	return voices
}

// TestEveryScreenRenders runs each template in each language with a full and with an empty view.
func TestEveryScreenRenders(t *testing.T) {
	for lang, v := range testVoices(t) {
		for name, bodies := range sampleBodies(v) {
			for i, body := range bodies {
				for _, actor := range []*actorView{nil, {Name: "Hoàng Thị Mai", Roles: "Văn thư", Agency: "UBND tỉnh Bắc Kạn", CanDraft: true}} {
					p := &page{Title: "T", Actor: actor, Body: body, Viewer: true, Done: "xong",
						Langs:   []langLink{{Code: "vi", Name: "Tiếng Việt", Label: "VI", URL: "/?lang=vi", Current: true}},
						Nav:     []navItem{{Label: "A", Group: true}, {Label: "B", URL: "/b", Current: true}},
						Problem: &problemView{Message: "m", Kept: "k", Advice: "a", Ref: "r", Fields: []fieldProblem{{"pdf", "x"}}}}
					if name == "login" { // it brings its own problem, next to the form
						p.Problem = nil
					}
					html, err := v.render(name, p)
					if err != nil {
						t.Errorf("%s %s %d: %v", lang, name, i, err)
						continue
					}
					checkHTML(t, lang+" "+name, html.Bytes())
				}
			}
		}
		for _, name := range screens() {
			if len(sampleBodies(v)[name]) == 0 {
				t.Errorf("screen %s has no sample", name)
			}
		}
	}
}

// checkHTML looks for what the Content-Security-Policy would block and for what a screen reader would miss.
func checkHTML(t *testing.T, name string, html []byte) {
	t.Helper()
	for _, bad := range []string{` style="`, `<script>`, ` onclick=`, ` hx-on`, `javascript:`, `<no value>`, `ZgotmplZ`} {
		if bytes.Contains(html, []byte(bad)) {
			t.Errorf("%s: page holds %s", name, bad)
		}
	}
	ids := regexp.MustCompile(`\bid="([^"]*)"`).FindAllSubmatch(html, -1)
	seen := map[string]bool{}
	for _, m := range ids {
		if seen[string(m[1])] {
			t.Errorf("%s: id %q twice", name, m[1])
		}
		seen[string(m[1])] = true
	}
	for _, m := range regexp.MustCompile(`<label[^>]* for="([^"]*)"`).FindAllSubmatch(html, -1) {
		if !seen[string(m[1])] {
			t.Errorf("%s: label for %q has no field", name, m[1])
		}
	}
}

func TestCatalogsHaveTheSameKeysAndHoles(t *testing.T) {
	voices := testVoices(t)
	vi, en := voices["vi"].texts, voices["en"].texts
	hole := regexp.MustCompile(`\{\d\}`)
	for key, text := range vi {
		other, ok := en[key]
		if !ok {
			t.Errorf("en misses %s", key)
			continue
		}
		a, b := hole.FindAllString(text, -1), hole.FindAllString(other, -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Errorf("%s: holes differ: %v and %v", key, a, b)
		}
		if strings.TrimSpace(text) == "" || strings.TrimSpace(other) == "" {
			t.Errorf("%s is empty", key)
		}
	}
	for key := range en {
		if _, ok := vi[key]; !ok {
			t.Errorf("vi misses %s", key)
		}
	}
}

// dynamicPrefixes are families of keys whose last part is a code.
func dynamicPrefixes() []string {
	return []string{"status.", "transport.", "channel.", "competence.", "role.", "done.", "act.",
		"queue.", "step.", "check.", "word.", "book.", "lang.", "error.", "sig.covers.", "rate.of.", "register.", "webhook.", "simulate.", "next.", "field.", "opinion.", "work.", "alike.", "medium.", "tasks.", "series.", "request."}
}

// TestKeysInUse finds keys that the code or a template asks for and no catalog has, and texts that nobody asks for.
func TestKeysInUse(t *testing.T) {
	texts := testVoices(t)["vi"].texts
	used := map[string]bool{}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	inCode := regexp.MustCompile(`(?:say|told|filter|count)\("([a-z0-9.]+)"|(?:item|group)\("([a-z0-9.]+)"|, "(account\.[a-z]+)"`)
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range inCode.FindAllStringSubmatch(string(b), -1) {
			used[m[1]+m[2]+m[3]] = true
		}
	}
	eachTemplate(t, func(_ string, n parse.Node) {
		cmd, ok := n.(*parse.CommandNode)
		if !ok || len(cmd.Args) < 2 || cmd.Args[0].String() != "t" && cmd.Args[0].String() != "count" {
			return
		}
		if s, ok := cmd.Args[1].(*parse.StringNode); ok {
			used[s.Text] = true
		} else {
			t.Errorf("t with a computed key: %s", cmd)
		}
	})
	for key := range used {
		if _, ok := texts[key]; !ok && !strings.HasSuffix(key, ".") {
			t.Errorf("no text for %q", key)
		}
	}
	for key := range texts {
		dynamic := slices.ContainsFunc(dynamicPrefixes(), func(p string) bool { return strings.HasPrefix(key, p) })
		if !used[strings.TrimSuffix(key, ".one")] && !dynamic {
			t.Errorf("nobody says %q", key)
		}
	}
}

// TestNoTextOutsideTheCatalog reads every text between tags, and every attribute a person hears or sees.
func TestNoTextOutsideTheCatalog(t *testing.T) {
	attribute := regexp.MustCompile(`(?:title|alt|placeholder|aria-label|value)="([^"]*)$|(?:title|alt|placeholder|aria-label)="([^"]*)"`)
	for _, name := range templateNames(t) {
		b, err := templateFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		plain := regexp.MustCompile(`\{\{[^}]*\}\}`).ReplaceAllString(string(b), "")
		for _, m := range attribute.FindAllStringSubmatch(plain, -1) {
			if hasLetter(m[1] + m[2]) {
				t.Errorf("%s: text in an attribute: %s", name, m[0])
			}
		}
		plain = regexp.MustCompile(`(?s)<[^>]*>`).ReplaceAllString(plain, "")
		for line := range strings.SplitSeq(plain, "\n") {
			if hasLetter(line) && strings.TrimSpace(line) != "VT" { // the mark in the brand is a drawing
				t.Errorf("%s: text outside the catalog: %s", name, line)
			}
		}
	}
}

func hasLetter(s string) bool { return strings.IndexFunc(s, unicode.IsLetter) >= 0 }

func templateNames(t *testing.T) []string {
	t.Helper()
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// eachTemplate visits every node of every template.
func eachTemplate(t *testing.T, visit func(name string, n parse.Node)) {
	t.Helper()
	v := testVoices(t)["vi"]
	a, err := newAssets()
	if err != nil {
		t.Fatal(err)
	}
	builtins := map[string]any{}
	for _, f := range []string{"and", "or", "not", "len", "gt", "eq", "ne", "print", "printf", "index"} {
		builtins[f] = func() {}
	}
	for _, name := range templateNames(t) {
		b, err := templateFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		trees, err := parse.Parse(name, string(b), "", "", v.functions(a), builtins)
		if err != nil {
			t.Fatal(err)
		}
		for _, tree := range slices.Collect(maps.Values(trees)) {
			walk(tree.Root, func(n parse.Node) { visit(name, n) })
		}
	}
}

func walk(n parse.Node, visit func(parse.Node)) {
	visit(n)
	list := func(l *parse.ListNode) {
		if l != nil {
			for _, c := range l.Nodes {
				walk(c, visit)
			}
		}
	}
	pipe := func(p *parse.PipeNode) {
		if p == nil {
			return
		}
		for _, c := range p.Cmds {
			walk(c, visit)
		}
	}
	branch := func(b *parse.BranchNode) { pipe(b.Pipe); list(b.List); list(b.ElseList) }
	switch n := n.(type) {
	case *parse.ListNode:
		list(n)
	case *parse.ActionNode:
		pipe(n.Pipe)
	case *parse.CommandNode:
		for _, a := range n.Args {
			if p, ok := a.(*parse.PipeNode); ok {
				pipe(p)
			}
		}
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.TemplateNode:
		pipe(n.Pipe)
	}
}

// TestThirdPartyFilesAreUnchanged compares the vendored files with their recorded digests.
func TestThirdPartyFilesAreUnchanged(t *testing.T) {
	lock, err := staticFiles.ReadFile("static/thirdparty/thirdparty.lock")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(lock))
	for lines.Scan() {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok {
			t.Fatalf("line %q", lines.Text())
		}
		want[name] = sum
	}
	err = fs.WalkDir(staticFiles, "static/thirdparty", func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, "static/thirdparty/")
		if err != nil || d.IsDir() || name == "thirdparty.lock" || name == "README.md" {
			return err
		}
		b, err := staticFiles.ReadFile(path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		if want[name] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s is not the recorded file", name)
		}
		delete(want, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
}

// sampleBodies are representative views of each screen: a full one and an empty one.
func sampleBodies(v *voice) map[string][]any {
	at := time.Date(2026, 11, 23, 8, 30, 0, 0, hanoi)
	ok := chip{"ok", "ok", "Hợp lệ"}
	in := []incomingRow{{URL: "/incoming/1", Subject: "V/v báo cáo", Code: "05/QĐ-UBND", Type: "Quyết định", Issued: "20/11/2026",
		From: "UBND tỉnh", FromCode: "H03", Received: at, Due: "30/11/2026", Arrival: "số đến 7", Priority: "Hỏa tốc", Late: true, Verdict: ok, Status: ok},
		{URL: "/incoming/2", Subject: "Giấy mời họp", Code: "12/GM-SNV", Type: "Giấy mời", From: "Sở Nội vụ", FromCode: "H03.12", Received: at, Verdict: ok, Status: ok}}
	out := []outgoingRow{{URL: "/documents/1", Subject: "V/v <báo cáo> & số liệu", Code: "05/QĐ-UBND", Type: "Quyết định",
		Signer: "Lý Thái Hải", Priority: "Khẩn", Created: at, Sent: at, State: ok}}
	filter := filterView{Action: "/incoming", Query: `"a<b`, Placeholder: "p", States: []option{{"03", "Đã vào sổ", true}},
		Years: []option{{"2026", "2026", true}}, Active: true}
	verdict := &verdictView{Tone: "ok", Icon: "ok", Sentence: "Toàn vẹn", Detail: "r",
		Checks:     []checkView{{"Toàn vẹn nội dung", "ok", "ok", "đạt", "d"}, {"Chứng thư tin cậy", "wait", "ask", "không xác định", ""}},
		Signatures: []signatureView{{Signer: "Lý Thái Hải", Organization: "UBND", Chip: ok, Facts: []fact{{"Dạng", "B-T"}}, Reasons: []reasonView{{"x", "y"}}}}}
	event := eventRow{What: "Đã ký duyệt: Lý Thái Hải", By: "Lý Thái Hải", Proof: "mục 4", At: at}
	events := trailView{Older: []eventRow{event, event}, Latest: []eventRow{event}}
	sample := func(key string) *form {
		return &form{Key: key, URL: "/x", Button: "b", Hint: "h", Danger: true, Upload: true, Open: true, Fields: []field{
			{ID: key + "-a", Name: "a", Label: "l", Hint: "h", Kind: fieldText, Value: "v", Error: "e", Max: 30, Required: true},
			{ID: key + "-b", Name: "b", Label: "l", Kind: fieldLong, Max: 500, Wide: true}, {ID: key + "-c", Name: "c", Label: "l", Kind: fieldSelect, Options: []option{{"1", "A", true}}},
			{ID: key + "-d", Name: "d", Label: "l", Kind: fieldMany, Options: []option{{"1", "A", true}, {"2", "B", false}}}, {ID: key + "-e", Name: "e", Label: "l", Kind: fieldFile, Accept: ".pdf"},
			{ID: key + "-f", Name: "f", Label: "l", Kind: fieldDate}, {ID: key + "-g", Name: "g", Kind: fieldHidden, Value: "v"}, {ID: key + "-h", Name: "h", Label: "l", Kind: fieldNumber, Min: "1"}}}
	}
	changes := []differenceRow{{"Trích yếu", "a", "b"}}
	next := []nextRow{{Act: "Phân công", Owner: "Lãnh đạo", Due: "hạn 25/11/2026", Rule: "Điều 22", Late: true}, {Act: "Gửi", Owner: "Hệ thống", Hub: true}}
	work := &handlingView{Tasks: []taskRow{{"Nông Thị Thủy", "chủ trì", "30/11/2026", "n", "r", ok, true}}, Opinions: []opinionRow{{"Bút phê", "Đặng Văn Sơn", "t", at}},
		Answer: &registerCell{Text: "05/SNV", URL: "/documents/1"}, Slip: "/incoming/1/slip/"}
	alike := alikeView{Other: "/incoming/2", Code: "c", Subject: "s", Why: "w", Compare: "/incoming/1/compare/2", Merge: sample("merge"), Apart: sample("apart")}
	acts := []action{{Key: "seal", URL: "/documents/1/sign", Label: "l", Hint: "h", Button: "b", Primary: true, Passphrase: true, Hidden: []fact{{"step", "seal"}}},
		{Key: "assign", Label: "l", Form: sample("assign")}, {Key: "update", URL: "/x", Label: "l", Button: "b", Link: true}}
	deliveries := []deliveryRow{{Name: "Sở Nội vụ", Recipient: "H03.12", Channel: "Trong hệ thống", Arrival: "số đến 4", Trouble: "t", Status: ok, Updated: at,
		Receipts: []receiptRow{{"/documents/1/receipts/1", "01 Đã đến", at}}}}
	return map[string][]any{
		"login": {loginBody{Next: "/", Login: "mai", Expired: true, Lost: true, Problem: &problemView{Message: "m", Advice: "a"}}, loginBody{}},
		"home": {homeBody{Greeting: "g", Queues: []queue{{"l", "h", "3", "/incoming", false, true}, {"l", "h", "0", "/incoming", true, false}},
			Incoming: in, Outgoing: out, CanDraft: true}, homeBody{}},
		"incoming_list": {incomingListBody{Filter: filter, Rows: in, Pager: pagerView{"/incoming", "/incoming?after=x"}}, incomingListBody{Filter: filter}, incomingListBody{}},
		"outgoing_list": {outgoingListBody{Filter: filter, Rows: out, Pager: pagerView{Next: "/x"}, CanDraft: true}, outgoingListBody{Filter: filter}, outgoingListBody{CanDraft: true}},
		"document": {documentBody{URL: "/documents/1", PDF: "/documents/1/pdf", Subject: "s", Code: "05/QĐ-UBND", Type: "Quyết định", Priority: "Khẩn",
			State: ok, Steps: v.steps("seal"), Verdict: verdict, Every: "3s", Deliveries: deliveries, Requests: []requestView{{"Yêu cầu thu hồi: gửi nhầm", at, deliveries}}, Next: next, Returned: true, Versions: []versionRow{{"Bản 1", "A", "n", "d", at, changes, true}}, Comments: []commentRow{{"Bản 1", "A", "t", at, true}}, Facts: []fact{{"Người ký", "A"}}, Details: []fact{{"a", "b"}}, Events: events, Actions: acts},
			documentBody{State: ok}, documentBody{State: ok, Actions: []action{{Key: "w", Primary: true, Wait: true, Label: "l", Hint: "h"}}},
			documentBody{State: ok, Actions: []action{{Key: "s", Primary: true, Link: true, URL: "/x", Label: "l", Button: "b"}}}},
		"incoming": {incomingBody{PDF: "/incoming/1/pdf", Subject: "s", Code: "c", Type: "t", Priority: "Khẩn", FromLine: "f", Status: ok,
			Stamp: &stampView{"Sở Nội vụ", "04", "23/11/2026"}, Verdict: verdict, Merged: "/incoming/3", Next: next, Work: work, Alike: []alikeView{alike},
			Arrivals: []arrivalRow{{Channel: "Trục", Ref: "r", PDF: "/p", At: at, State: ok, Differences: changes}}, Facts: []fact{{"a", "b"}}, Events: events, Actions: acts}, incomingBody{Status: ok}},
		"ticket": {ticketBody{URL: "/documents/1/ticket", DocumentURL: "/documents/1", Subject: "Về việc triển khai gửi nhận văn bản điện tử", Code: "05/QĐ-UBND", Step: "approve", StepName: v.say("act.approve"), Ticket: "x",
			Agent: agentAddress, Connector: connectorAddress, Method: "SignApproved", File: "/sign/x/a.pdf", Upload: "/sign/x/upload", Limit: "l", Certificates: []option{{"a", "Lý Thái Hải · đến 23/11/2028", true}, {"b", "Lý Thái Hải · đến 01/02/2027", false}},
			Facts: []fact{{v.say("ticket.certificate"), "Lý Thái Hải · đến 23/11/2028"}, {v.say("ticket.digest", "SHA-256"), strings.Repeat("0123456789abcdef", 4)}, {v.say("ticket.expires"), "23/11/2026 08:40"}}}, ticketBody{}},
		"compose": {composeBody{Steps: v.steps("draft"), Limit: "50 MB", Symbol: "UBND", Values: composeValues{Subject: "s", Due: "2026-11-30"},
			Errors: map[string]string{"pdf": "x", "subject": "x", "type": "x", "notation": "x", "due": "x"}, Types: []option{{"QĐ", "Quyết định", true}},
			Priorities: []option{{"0", "Thường", true}}, Competences: []option{{"", "k", true}}, Signers: []option{{"Lý Thái Hải", "Chủ tịch", false}}},
			composeBody{Errors: map[string]string{"pdf": "", "subject": "", "type": "", "notation": "", "due": ""}}},
		"send": {sendBody{DocumentURL: "/documents/1", Code: "c", Subject: "s", Query: "q", Hint: "h", Steps: v.steps("send"), More: true,
			Recipients: []recipientRow{{"H03.12", "Sở Nội vụ", "so noi vu", true, ok}}}, sendBody{}},
		"sent":     {sentBody{Filter: filter, Documents: []sentDocument{{"/documents/1", "c", "s", at, deliveries}}, Pager: pagerView{Next: "/x"}}, sentBody{Filter: filter}, sentBody{}},
		"register": {registerBody{Title: "t", Lead: "l", PDF: "/books/out/pdf?year=2026", XLSX: "/books/out/xlsx?year=2026", Years: []option{{"2026", "2026", true}}, Columns: []string{"a", "b"}, Rows: []registerRow{{Cells: cells(registerCell{Text: "1", URL: "/x", Label: "a"}, "2"), Cancelled: true}}}, registerBody{}},
		"rate": {rateBody{From: "2026-01-01", To: "2026-11-23", Rate: "98,75%", Sentence: "s", Population: 3, Facts: []fact{{"a", "1"}},
			Bars: []rateBar{{"Sở Nội vụ", "50%", "2", "1", 500, true}}, Causes: []rateCause{{"c", "1", "o", "n", "/rate/gap"}}, Quarters: []fact{{"Quý 4 năm 2026", "?quarter=2026Q4"}}}, rateBody{}, rateBody{Population: 1}},
		"check":    {checkBody{File: "a.pdf", Limit: "l", Verdict: verdict, Pictures: &picturesView{Note: "n", Pairs: []picturePair{{"1", "data:image/jpeg;base64,eA==", ""}, {"2", "", "data:image/jpeg;base64,eA=="}}}}, checkBody{Explain: []fact{{"a", "b"}}}},
		"agencies": {agenciesBody{Filter: filter, Rows: []agencyRow{{"H03", "UBND tỉnh", "Bắc Kạn", "UBND", "ubnd@backan.example", "", ok}}, CanAdd: true}, agenciesBody{}},
		"people": {peopleBody{Agency: "a", AgencyID: "H03", Agencies: []option{{"H03", "UBND", true}}, Roles: []option{{"clerk", "Văn thư", true}},
			Rows: []personRow{{"Hoàng Thị Mai", "Văn thư", "mai", "Văn thư", "", ok}}, CanAdd: true}, peopleBody{}},
		"account": {accountBody{Name: "n", Line: "l", Owners: []keyOwner{{Kind: "person", Title: "t", CanSet: true}, {Kind: "agency", Title: "t",
			Certificates: []certificateRow{{"s", "f", "i", at, ok}}}}}},
		"table": {tableBody{Title: "t", Lead: "l", Crumb: fact{"c", "/x"}, Notes: []string{"n"}, Columns: []string{"a", "b"}, Pager: pagerView{Next: "/x"},
			Rows: []registerRow{{Cells: cells(registerCell{Text: "1", URL: "/x", Label: "a"}, "2", "")}}}, tableBody{Empty: "e"}},
		"form":  {formBody{Title: "t", Lead: "l", Crumb: fact{"c", "/x"}, Notes: []string{"n"}, Facts: []fact{{"a", "b"}}, Form: sample("scan")}, formBody{}},
		"tasks": {tasksBody{Tabs: []tabView{{"Chủ trì", "/tasks", true}, {"Phối hợp", "/tasks?view=co", false}}, Lead: "l", Rows: in}, tasksBody{}},
		"compare": {compareBody{Crumb: fact{"c", "/alike"}, Left: registerCell{Text: "số đến 01", URL: "/incoming/1"}, Right: registerCell{Text: "số đến 02", URL: "/incoming/2"},
			LeftPDF: "/a", RightPDF: "/b", Rows: changes, Same: 8, Question: &alike, LeftIs: ok, RightIs: ok}, compareBody{LeftIs: ok, RightIs: ok}},
		"numbers": {numbersBody{Lead: "l", Kept: []keptNumber{{"05/2026", "Văn bản hành chính", "Nghị quyết kỳ họp", "23/11/2026", "Mai", sample("cancel")}},
			Series: []seriesRow{{"bcd", "Ban Chỉ đạo", "Thông báo", "BCĐ", "12", ok}}, Reserve: sample("reserve"), Set: sample("series")}, numbersBody{}},
		"search":   {searchBody{Query: "bao cao", Rows: []foundRow{{"/documents/1", "V/v báo cáo <nhanh>", "05/UBND", "Lý Thái Hải", "Văn bản đi", "23/11/2026", ok}}, Pager: pagerView{Next: "/x"}}, searchBody{Query: "x"}, searchBody{}},
		"calendar": {calendarBody{Days: []calendarRow{{"16/02/2026", "Tết Nguyên đán", ok, "/calendar/2026-02-16/remove"}}, Set: sample("calendar")}, calendarBody{}},
		"webhooks": {hooksBody{Rows: []hookRow{{Path: "/webhooks/1", URL: "https://nhan.example.vn/vanthu", Description: "Phần mềm một cửa", Events: "document.sent", Sent: "12", Waiting: "3", State: ok}},
			New: hookForm{"https://x", "d", "document.*"}}, hooksBody{}},
		"webhook": {hookBody{Hook: hookRow{Path: "/webhooks/1", URL: "https://nhan.example.vn/vanthu", Description: "d", State: ok}, Secret: "whsec_x", Active: true, Facts: []fact{{"a", "b"}},
			Messages: []hookMessage{{Seq: 2, Kind: "document.sent", Attempts: "3", At: at, Next: at, Waiting: true, State: ok}, {Seq: 1, Kind: "document.sent", Attempts: "1", At: at, State: ok}},
			Attempts: []hookAttempt{{Seq: 2, At: at, Took: "35 ms", Answer: "<b>no</b>", State: ok}, {Seq: 1, At: at, Took: "5 ms", State: ok}}, Pager: pagerView{Next: "/x"}}, hookBody{Hook: hookRow{State: ok}}},
		"error": {errorBody{"h", "m", "k", "a", "/", "b", "r"}, errorBody{}},
	}
}

// TestCatalogFilesAreTidy keeps the catalogs readable as text: one key a line, in the same order.
func TestCatalogFilesAreTidy(t *testing.T) {
	order := map[string][]string{}
	for _, lang := range languages() {
		for _, name := range []string{lang, lang + ".office"} {
			b, err := localeFiles.ReadFile("locale/" + name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			if !json.Valid(b) {
				t.Fatalf("%s is not JSON", name)
			}
			for _, m := range regexp.MustCompile(`(?m)^ "([^"]+)":`).FindAllSubmatch(b, -1) {
				if slices.Contains(order[lang], string(m[1])) {
					t.Errorf("%s has %s twice", lang, m[1])
				}
				order[lang] = append(order[lang], string(m[1]))
			}
		}
	}
	if !slices.Equal(order["vi"], order["en"]) {
		t.Error("the catalogs do not have the same keys in the same order")
	}
}
