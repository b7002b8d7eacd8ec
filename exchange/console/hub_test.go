package console

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"codeberg.org/go-fonts/liberation/liberationserifbold"
	"codeberg.org/go-fonts/liberation/liberationserifregular"
	"codeberg.org/go-pdf/fpdf"

	"vanthu/exchange"
	"vanthu/exchange/httpapi"
	"vanthu/exchange/registry"
	"vanthu/exchange/webhook"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/pdf/picture"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
	"vanthu/storage"
)

// testPassphrase opens every key of the test hub, testPassword is everybody's password.
const (
	testPassphrase = "mat-khau-khoa-ky"
	testPassword   = "mat-khau-dang-nhap-1"
)

// hub is a whole hub on a temporary folder with a small province on it, behind a real HTTP server.
type hub struct {
	store    *storage.Store
	service  *exchange.Service
	registry *registry.Registry
	hooks    *webhook.Hooks
	server   *httptest.Server
	ca       *pki.Authority
	people   map[string]*registry.Person // by login
}

func newHub(t *testing.T) *hub {
	t.Helper()
	return newHubBeside(t, "", "")
}

// newHubBeside is a hub whose pages find the programs that sign beside the browser at other addresses than usual.
func newHubBeside(t *testing.T, agent, connector string) *hub {
	t.Helper()
	ctx := t.Context()
	dir := t.TempDir() + "/data"
	check(t, storage.Init(dir))
	store, err := storage.Open(ctx, storage.Config{Dir: dir})
	check(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := store.Close(ctx); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	h := &hub{store: store, people: map[string]*registry.Person{}}
	h.registry, err = registry.New(store.DB, registry.Options{})
	check(t, err)
	h.ca, err = pki.NewAuthority(pkix.Name{CommonName: "Cơ quan chứng thực số thử nghiệm", Organization: []string{"Tỉnh Bắc Kạn"}, Country: []string{"VN"}}, pki.Options{})
	check(t, err)
	stamper, err := h.ca.Issue(pki.IssueRequest{Subject: pkix.Name{CommonName: "Dấu thời gian"}, Usage: pki.UsageTSA})
	check(t, err)
	clock, err := tsa.NewAuthority(stamper, tsa.AuthorityOptions{})
	check(t, err)
	receiptKeys := h.province(t)
	h.service, err = exchange.New(exchange.Config{Store: store, Registry: h.registry, TSA: clock, Trust: h.ca.Trust(), Offline: true,
		ReceiptKey: func(_ context.Context, a registry.AgencyID) (*keys.Key, error) {
			if k := receiptKeys[a]; k != nil {
				return k, nil
			}
			return nil, fmt.Errorf("no receipt key for %s", a)
		}})
	check(t, err)
	h.hooks, err = webhook.New(webhook.Config{Service: h.service, Registry: h.registry, DB: store.DB, Jobs: store.Jobs,
		Key: make([]byte, webhook.KeySize), AllowPrivate: true})
	check(t, err)
	check(t, store.Start(ctx))
	renderer := picture.New(picture.Options{})
	t.Cleanup(func() { check(t, renderer.Close()) })
	handler, err := New(Config{Service: h.service, Registry: h.registry, Webhooks: h.hooks, Verify: h.verify, Agent: agent, Connector: connector, Pictures: renderer.Changes,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))})
	check(t, err)
	api, err := httpapi.New(httpapi.Config{Service: h.service, Registry: h.registry, DB: store.DB})
	check(t, err)
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.Handle("/", handler)
	h.server = httptest.NewServer(mux)
	t.Cleanup(h.server.Close)
	return h
}

func (h *hub) verify(ctx context.Context, r io.ReaderAt, size int64) (*signing.Report, error) {
	return signing.VerifyPDF(ctx, r, size, signing.VerifyOptions{Trust: h.ca.Trust(), Offline: true})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// province fills the registry: a people's committee and four departments, with people and keys.
func (h *hub) province(t *testing.T) map[registry.AgencyID]*keys.Key {
	t.Helper()
	ctx, by := t.Context(), registry.System("test")
	receipts := map[registry.AgencyID]*keys.Key{}
	for _, a := range []registry.Agency{
		{ID: "H03", Name: "Ủy ban nhân dân tỉnh Bắc Kạn", Symbol: "UBND", Mail: "ubnd@backan.example", Level: "province"},
		{ID: "H03.12", Name: "Sở Nội vụ tỉnh Bắc Kạn", Symbol: "SNV", Parent: "H03", Mail: "snv@backan.example", Level: "department"},
		{ID: "H03.14", Name: "Sở Tài chính tỉnh Bắc Kạn", Symbol: "STC", Parent: "H03", Mail: "stc@backan.example", Level: "department"},
		{ID: "H03.15", Name: "Sở Thông tin và Truyền thông tỉnh Bắc Kạn", Symbol: "STTTT", Parent: "H03", Level: "department"},
		{ID: "H03.31", Name: "Ủy ban nhân dân huyện Ba Bể", Symbol: "UBND", Parent: "H03", Mail: "babe@backan.example", Level: "district"},
	} {
		a.Place, a.Channel = "Bắc Kạn", registry.ChannelLocal
		check(t, h.registry.AddAgency(ctx, by, a))
		receipts[a.ID] = h.key(t, registry.AgencyOwner(a.ID), a.Name, a.Name, pki.UsageSeal)
	}
	for _, p := range []registry.Person{
		{Login: "duc", Name: "Nguyễn Minh Đức", Position: "Chuyên viên Văn phòng", Agency: "H03", Roles: []registry.Role{registry.RoleOfficer}},
		{Login: "hai", Name: "Lý Thái Hải", Position: "Chủ tịch", Agency: "H03", Roles: []registry.Role{registry.RoleLeader}},
		{Login: "mai", Name: "Hoàng Thị Mai", Position: "Văn thư", Agency: "H03", Roles: []registry.Role{registry.RoleClerk, registry.RoleAdministrator}},
		{Login: "lan", Name: "Triệu Thị Lan", Position: "Văn thư", Agency: "H03.12", Roles: []registry.Role{registry.RoleClerk}},
		{Login: "son", Name: "Đặng Văn Sơn", Position: "Giám đốc Sở", Agency: "H03.12", Roles: []registry.Role{registry.RoleLeader}},
		{Login: "thuy", Name: "Nông Thị Thủy", Position: "Chuyên viên", Agency: "H03.12", Roles: []registry.Role{registry.RoleOfficer}},
		{Login: "binh", Name: "Hà Quang Bình", Position: "Văn thư", Agency: "H03.14", Roles: []registry.Role{registry.RoleClerk}},
	} {
		added, err := h.registry.AddPerson(ctx, by, p, testPassword)
		check(t, err)
		h.people[p.Login] = added
		a, err := h.registry.Agency(ctx, p.Agency)
		check(t, err)
		h.key(t, registry.PersonOwner(added.ID), added.Name, a.Name, pki.UsagePerson)
	}
	return receipts
}

func keyRequest(name string) pki.IssueRequest {
	return pki.IssueRequest{Subject: pkix.Name{CommonName: name, Country: []string{"VN"}}, Usage: pki.UsagePerson}
}

// key issues a key and stores it for its owner.
func (h *hub) key(t *testing.T, owner registry.Owner, name, organization string, usage pki.IssuedUsage) *keys.Key {
	t.Helper()
	request := keyRequest(name)
	request.Subject.Organization, request.Usage = []string{organization}, usage
	k, err := h.ca.Issue(request)
	check(t, err)
	p12, err := k.ToPKCS12(testPassphrase)
	check(t, err)
	check(t, h.registry.SetKey(t.Context(), registry.System("test"), owner, p12, testPassphrase))
	return k
}

func (h *hub) actor(t *testing.T, login string) registry.Actor {
	t.Helper()
	a, err := h.registry.ActorOf(t.Context(), h.people[login].ID)
	check(t, err)
	return a
}

// letter makes a PDF that looks like an official letter (NĐ 30/2020 Phụ lục I).
func letter(t *testing.T, subject string, pages int) []byte {
	t.Helper()
	p := fpdf.New("P", "mm", "A4", "")
	p.AddUTF8FontFromBytes("serif", "", liberationserifregular.TTF)
	p.AddUTF8FontFromBytes("serif", "B", liberationserifbold.TTF)
	p.SetMargins(30, 20, 20)
	p.AddPage()
	p.SetFont("serif", "", 12)
	p.SetXY(30, 20)
	p.MultiCell(70, 6, "ỦY BAN NHÂN DÂN", "", "C", false)
	p.SetX(30)
	p.SetFont("serif", "B", 13)
	p.MultiCell(70, 6, "TỈNH BẮC KẠN", "", "C", false)
	p.SetXY(100, 20)
	p.SetFont("serif", "B", 12)
	p.MultiCell(92, 6, "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM\nĐộc lập - Tự do - Hạnh phúc", "", "C", false)
	p.SetXY(30, 38)
	p.SetFont("serif", "", 13)
	p.MultiCell(160, 7, "V/v "+subject, "", "L", false)
	p.Ln(6)
	p.SetFont("serif", "B", 14)
	p.MultiCell(160, 8, "Kính gửi: Các sở, ban, ngành; Ủy ban nhân dân các huyện, thành phố", "", "C", false)
	p.Ln(4)
	p.SetFont("serif", "", 14)
	body := "Thực hiện Quyết định số 28/2018/QĐ-TTg của Thủ tướng Chính phủ về việc gửi, nhận văn bản điện tử giữa các cơ quan trong hệ thống hành chính nhà nước, Ủy ban nhân dân tỉnh yêu cầu các đơn vị thực hiện một số nội dung sau đây."
	for n := range pages {
		if n > 0 {
			p.AddPage()
		}
		for i := range 5 {
			p.MultiCell(160, 8, fmt.Sprintf("%d. %s", n*5+i+1, body), "", "J", false)
			p.Ln(2)
		}
	}
	var b bytes.Buffer
	check(t, p.Output(&b))
	return b.Bytes()
}

// draft puts a document in the hub as its officer would.
func (h *hub) draft(t *testing.T, subject string, priority exchange.Priority, due time.Time) *exchange.Document {
	t.Helper()
	d, err := h.service.Draft(t.Context(), h.actor(t, "duc"), exchange.DraftInput{Type: "CV", Subject: subject, Priority: priority, Due: due,
		SignerName: "Lý Thái Hải", SignerPosition: "Chủ tịch", Competence: "TM.", PDF: bytes.NewReader(letter(t, subject, 2))})
	check(t, err)
	return d
}

// signed takes a document up to a step: initial, approve, seal.
func (h *hub) signed(t *testing.T, d *exchange.Document, last exchange.Step) {
	t.Helper()
	for _, s := range []struct {
		step  exchange.Step
		login string
	}{{exchange.StepInitial, "duc"}, {exchange.StepApprove, "hai"}, {exchange.StepSeal, "mai"}} {
		if s.step == exchange.StepSeal {
			_, err := h.service.Number(t.Context(), h.actor(t, "mai"), d.ID)
			check(t, err)
		}
		_, _, err := h.service.Sign(t.Context(), h.actor(t, s.login), d.ID, exchange.SignInput{Step: s.step, Passphrase: testPassphrase})
		check(t, err)
		if s.step == last {
			return
		}
	}
}

// sent signs and sends a document, and waits until it has arrived everywhere.
func (h *hub) sent(t *testing.T, d *exchange.Document, to ...registry.AgencyID) {
	t.Helper()
	h.signed(t, d, exchange.StepSeal)
	_, _, err := h.service.Send(t.Context(), h.actor(t, "mai"), d.ID, to)
	check(t, err)
	h.until(t, "arrival", func() bool {
		list, err := h.service.Deliveries(t.Context(), h.actor(t, "mai"), d.ID)
		check(t, err)
		for _, x := range list {
			if x.Status == "" {
				return false
			}
		}
		return true
	})
}

// until waits for what a job of the hub brings about.
func (h *hub) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come in %v", what, patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
