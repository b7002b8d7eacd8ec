package console

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" // RFC 6455 §1.3 wants it
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/keys"
	"vanthu/signing/keys/agent"
)

// device is a key that the hub does not hold, registered for a person.
func (h *hub) device(t *testing.T, login string) *keys.Key {
	t.Helper()
	key, err := h.ca.Issue(keyRequest(h.people[login].Name))
	check(t, err)
	check(t, h.registry.AddCertificate(t.Context(), registry.System("test"), registry.PersonOwner(h.people[login].ID), key.Certificate))
	return key
}

// elsewhere signs a file with a program that knows nothing of the hub.
func elsewhere(t *testing.T, key *keys.Key, file []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	check(t, signing.SignPDF(t.Context(), bytes.NewReader(file), int64(len(file)), &out, signing.SignOptions{Key: key, Profile: signing.ProfileBB, At: time.Now()}))
	return out.Bytes()
}

var secretInPage = regexp.MustCompile(`data-ticket="([\w-]{43})"`)

// TestTicketWithoutScripts: a ticket is opened, the file is fetched, signed by another program and brought back. What is
// not that very file with that one signature is refused, with the reason.
func TestTicketWithoutScripts(t *testing.T) {
	h := newHub(t)
	key, stranger := h.device(t, "hai"), h.device(t, "duc")
	d := h.draft(t, "ký bằng thiết bị", 0, time.Time{})
	leader, other := newVisitor(t, h), newVisitor(t, h)
	leader.login("hai")
	other.login("lan")
	wants(t, leader.get(documentURL(d.ID), http.StatusOK), "Ký duyệt bằng thiết bị hoặc phần mềm khác")
	begin := func() (page, secret string) {
		page = leader.post(documentURL(d.ID)+"/ticket", http.StatusOK, url.Values{"step": {"approve"}})
		found := secretInPage.FindStringSubmatch(page)
		if found == nil {
			t.Fatal(plain(page))
		}
		return page, found[1]
	}
	page, secret := begin()
	sum := sha256.Sum256(key.Certificate.Raw)
	wants(t, page, "Ký duyệt văn bản", "ký bằng thiết bị", "Tải về, ký, tải lên", hex.EncodeToString(sum[:]), agentAddress, "Ký bằng chứng thư khác")
	at, form := documentURL(d.ID)+"/ticket", url.Values{"ticket": {secret}}
	given := leader.post(at+"/pdf", http.StatusOK, form)
	other.post(at+"/pdf", http.StatusNotFound, form)

	tampered := elsewhere(t, key, []byte(given))
	tampered[200] ^= 1
	for reason, file := range map[string][]byte{
		"không bắt đầu bằng đúng tệp đã cho tải về": tampered,
		"không phải bằng chứng thư đã chọn":         elsewhere(t, stranger, []byte(given)),
		"không có đúng một chữ ký mới":              append([]byte(given), "%thêm\n"...),
	} {
		wants(t, leader.upload(at+"/upload", http.StatusUnprocessableEntity, "pdf", "a.pdf", file, form), reason, "Ký lại bằng đúng thiết bị")
	}
	wants(t, leader.post(at+"/value", http.StatusUnprocessableEntity, url.Values{"ticket": {secret}, "signature": {"!"}}), "không đọc được")
	wants(t, leader.upload(at+"/upload", http.StatusUnprocessableEntity, "pdf", "", nil, form), "PDF")
	wants(t, leader.upload(at+"/upload", http.StatusOK, "pdf", "a.pdf", elsewhere(t, key, []byte(given)), form), "Đã ký duyệt")
	wants(t, leader.upload(at+"/upload", http.StatusConflict, "pdf", "a.pdf", elsewhere(t, key, []byte(given)), form), "Phiếu ký đã được dùng")
	leader.post(at, http.StatusConflict, url.Values{"step": {"approve"}})
	other.post(at, http.StatusNotFound, url.Values{"step": {"approve"}})
}

// connector stands for the VGCA signing service: it speaks the messages that public integrations of it send and read.
type connector struct {
	t    *testing.T
	key  *keys.Key
	said chan string // what the hub answered
}

func (c *connector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		c.t.Error(err)
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(accept[:]))
	var request struct{ FileUploadHandler, FileName string }
	if err := json.Unmarshal(frame(buffered.Reader), &request); err != nil || r.URL.Path != "/SignApproved" {
		c.t.Errorf("%s: %v", r.URL.Path, err)
		return
	}
	answer := c.work(request.FileName, request.FileUploadHandler)
	c.said <- answer
	head := []byte{0x81, byte(len(answer))}
	if len(answer) > 125 {
		head = binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(answer)))
	}
	_, _ = conn.Write(append(head, answer...)) // the page reads it, or has gone
	_, _ = io.Copy(io.Discard, buffered)
}

// frame reads one masked text message of the page (RFC 6455 §5.2).
func frame(r *bufio.Reader) []byte {
	head := make([]byte, 2)
	_, _ = io.ReadFull(r, head)
	length := int(head[1] & 0x7f)
	if length == 126 {
		more := make([]byte, 2)
		_, _ = io.ReadFull(r, more)
		length = int(binary.BigEndian.Uint16(more))
	}
	data := make([]byte, 4+length)
	_, _ = io.ReadFull(r, data)
	for i := range length {
		data[4+i] ^= data[i%4]
	}
	return data[4:]
}

func (c *connector) work(from, to string) string {
	got, err := http.Get(from) //nolint:noctx // a test's own server
	if err != nil {
		c.t.Error(err)
		return "{}"
	}
	defer got.Body.Close()
	file, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode != http.StatusOK {
		c.t.Errorf("%d %v", got.StatusCode, err)
		return "{}"
	}
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormFile("uploadfile", "a.pdf")
	check(c.t, err)
	_, err = part.Write(elsewhere(c.t, c.key, file))
	check(c.t, err)
	check(c.t, form.Close())
	back, err := http.Post(to, form.FormDataContentType(), &b) //nolint:noctx // as above
	if err != nil {
		c.t.Error(err)
		return "{}"
	}
	defer back.Body.Close()
	answer, err := io.ReadAll(back.Body)
	if err != nil {
		c.t.Error(err)
	}
	return string(answer)
}

// TestTicketsInTheBrowser signs through the agent and through the VGCA service, as a person does.
func TestTicketsInTheBrowser(t *testing.T) {
	beside, service := httptest.NewUnstartedServer(nil), &connector{t: t, said: make(chan string, 1)}
	vgca := httptest.NewServer(service)
	t.Cleanup(vgca.Close)
	h := newHubBeside(t, "http://"+beside.Listener.Addr().String(), "ws"+strings.TrimPrefix(vgca.URL, "http"))
	key := h.device(t, "hai")
	journal, err := agent.OpenJournal(filepath.Join(t.TempDir(), "journal.jsonl"), time.Now)
	check(t, err)
	sum := sha256.Sum256(key.Certificate.Raw)
	shown := make(chan agent.Job, 1)
	door, err := agent.New(agent.Config{Hubs: []string{h.server.URL}, Pairing: "ABCD-EFGH", Certificate: hex.EncodeToString(sum[:]), Holder: "Lý Thái Hải", Journal: journal,
		Consent: func(_ context.Context, job agent.Job) (*keys.Key, func(), error) {
			shown <- job
			return key, func() {}, nil
		}})
	check(t, err)
	var there atomic.Bool
	beside.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !there.Load() {
			panic(http.ErrAbortHandler) // as if nobody listened
		}
		door.ServeHTTP(w, r)
	})
	beside.Start()
	t.Cleanup(beside.Close)

	b := newBrowser(t, h.server.URL, 1366, 900)
	b.open("/")
	b.login("hai")
	ticketOf := func(d *exchange.Document) {
		b.open(documentURL(d.ID))
		step := "form[action$='/ticket'] input[value=approve]"
		b.tap(".actionbar .more details:has(" + step + ") summary")
		b.press(".actionbar " + step + " ~ .btn")
		b.await("the page of the ticket", "!!document.querySelector('[data-agent] button:not([disabled])')")
	}
	d := h.draft(t, "ký bằng thiết bị trên máy này", 0, time.Time{})
	ticketOf(d)
	b.picture("ticket")
	b.tap("[data-agent] button")
	b.wants("[data-agent] [data-said]", "Không thấy vanthu agent")
	there.Store(true)
	b.tap("[data-agent] button")
	b.wants("[data-agent] [data-said]", "Chép mã ghép nối")
	b.fill("#f-pairing", "abcd efgh")
	b.picture("ticket-pairing")
	digest := b.text(".ways .kv")
	b.press("[data-agent] button")
	b.wants(".chips", "Đã ký duyệt")
	if job := <-shown; job.Subject != d.Subject || !strings.Contains(digest, hex.EncodeToString(job.Digest)) {
		t.Errorf("the person saw %+v, the page shows %s", job, digest)
	}
	b.mu.Lock()
	b.complaints = nil // the browser says that nobody answered before the agent was started
	b.mu.Unlock()

	for _, c := range []struct {
		key        *keys.Key
		said, then string
	}{{h.device(t, "duc"), `"Status":1`, "không phải bằng chứng thư đã chọn"}, {h.device(t, "hai"), `"Status":0`, "Đã ký duyệt"}} {
		service.key = c.key
		ticketOf(h.draft(t, "ký bằng công cụ VGCA", 0, time.Time{}))
		secret, err := ask[string](b, `document.querySelector("[data-ticket]").dataset.ticket`)
		check(t, err)
		if response, err := http.Get(h.server.URL + ticketDoor + secret + "/a.pdf"); err != nil || response.Body.Close() != nil || response.StatusCode != http.StatusNotFound {
			t.Errorf("the file goes to whoever has the ticket alone: %v, %v", response, err)
		}
		b.tap("[data-connector] button")
		if said := <-service.said; !strings.Contains(said, c.said) {
			t.Errorf("the hub answered %s", said)
		}
		b.awaitText("what the page shows", `document.body.innerText.includes("`+c.then+`") ? "" : "not yet"`)
		b.picture("ticket-vgca")
	}
	b.do("a phone", chromedp.EmulateViewport(390, 844))
	ticketOf(h.draft(t, "ký bằng điện thoại", 0, time.Time{}))
	b.await("the ticket fits a phone", "document.documentElement.scrollWidth <= innerWidth")
	b.picture("ticket-phone")
	b.accessible("ticket")
	b.calm()
}
