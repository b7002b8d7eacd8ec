package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"vanthu/signing/keys"
	"vanthu/signing/keys/agent"
)

// agentCmd is the program beside the official's token.
type agentCmd struct {
	keyFlags
	Hub     []string `required:"" help:"Máy chủ có trang được dùng khóa, https://… (lặp lại được). | Hub whose pages may use the key (repeatable)." placeholder:"ORIGIN"`
	HubCA   string   `name:"hub-ca" help:"Chứng thư gốc (PEM) của máy chủ, ngoài các gốc của hệ điều hành. | Root certificates (PEM) of the hub, beside the system's." type:"existingfile"`
	Listen  string   `default:"127.0.0.1:8989" help:"Địa chỉ nội bộ máy này; trang web tìm ở cổng 8989. | Loopback address; pages look at port 8989."`
	Ask     string   `default:"pin" enum:"pin,yes,never" help:"Mỗi lần ký: hỏi mã PIN (pin), hỏi đồng ý (yes), hay không hỏi (never, cho máy đóng dấu tự động). | At each signature ask for the PIN, for a yes, or never (unattended sealing)."`
	State   string   `help:"Thư mục giữ mã ghép nối và nhật ký; nếu không: thư mục cấu hình của người dùng. | Folder of the pairing code and the journal; else the user's configuration folder." type:"path"`
	NewCode bool     `name:"new-code" help:"Đổi mã ghép nối. | Make a new pairing code."`
}

// Help is the longer text of `vanthu agent --help`.
func (agentCmd) Help() string {
	return `Ký bằng khóa trên máy này cho trang web của máy chủ. Trang chỉ đưa phiếu ký; chương trình lấy nội dung cần ký từ chính máy chủ, hiện số, trích yếu và mã băm ở cửa sổ này, và chỉ ký khi người ký đồng ý ở đây. Mã PIN không bao giờ nhập trên trang web. Mỗi lần dùng khóa được ghi vào nhật ký trước và sau khi ký.

Signs with the key on this machine for the pages of a hub. A page gives a ticket only; what is to be signed comes from the hub itself, is shown in this window, and is signed only when the person agrees here. The PIN is never typed into a page. Every use is written to the journal before and after.

  vanthu agent --hub https://hub.example --token /usr/lib/x/token.so
  vanthu agent --hub https://hub.example --key me.p12 --ask yes`
}

// Run serves pages until it is interrupted.
func (c agentCmd) Run(a *app) error {
	if err := c.one(); err != nil {
		return err
	}
	if host, _, err := net.SplitHostPort(c.Listen); err != nil || host == "" || !isLoopback(host) {
		return unreadable(fmt.Errorf("--listen %s: want a loopback address and a port, as 127.0.0.1:8989", c.Listen))
	}
	_, inEnvironment := os.LookupEnv("VANTHU_PASSPHRASE")
	if c.Ask == "pin" && (c.PassphraseFile != "" || inEnvironment) {
		return unreadable(errors.New("--ask pin asks at each signature; with a stored passphrase say --ask yes or --ask never"))
	}
	client, err := c.client()
	if err != nil {
		return unreadable(err)
	}
	desk := newDesk(a.stdin, a.stderr)
	key, release, err := c.open(a.ctx, desk)
	if err != nil {
		return err
	}
	certificate := key.Certificate
	if c.Ask == "pin" {
		release() // opened again at each signature, by a PIN that is typed then
		key, release = nil, func() {}
	}
	defer release()
	state, code, err := c.state()
	if err != nil {
		return unreadable(err)
	}
	journal, err := agent.OpenJournal(filepath.Join(state, "journal.jsonl"), time.Now)
	if err != nil {
		return unreadable(err)
	}
	defer journal.Close() //nolint:errcheck // every line was flushed when it was written
	print := sha256.Sum256(certificate.Raw)
	door, err := agent.New(agent.Config{
		Hubs: c.Hub, Pairing: code, Certificate: hex.EncodeToString(print[:]), Holder: certificate.Subject.CommonName, NotAfter: certificate.NotAfter,
		Consent: c.consent(desk, key), Journal: journal, HTTP: client, Logger: a.log,
	})
	if err != nil {
		return unreadable(err)
	}
	return c.serve(a, door, certificate, code)
}

func (c agentCmd) serve(a *app, door http.Handler, certificate *x509.Certificate, code string) error {
	var config net.ListenConfig
	listener, err := config.Listen(a.ctx, "tcp", c.Listen)
	if err != nil {
		return unreadable(fmt.Errorf("--listen %s: %w", c.Listen, err))
	}
	server := &http.Server{Handler: door, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 6 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)}
	ended := make(chan struct{})
	stop := context.AfterFunc(a.ctx, func() {
		defer close(ended)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close() // a page still waits for an answer that will not come
		}
	})
	defer func() {
		if !stop() {
			<-ended // Serve returns when Shutdown begins: what is being answered is waited for
		}
	}()
	fmt.Fprintf(a.stderr, "%s: %s (… %s)\n%s: http://%s\n%s: %s\n%s: %s\n",
		words(a.lang, "Chứng thư", "Certificate"), certificate.Subject.CommonName, certificate.NotAfter.Format(time.DateOnly),
		words(a.lang, "Địa chỉ", "Address"), listener.Addr(), words(a.lang, "Máy chủ", "Hubs"), strings.Join(c.Hub, " "),
		words(a.lang, "Mã ghép nối (chép vào trang ký, một lần)", "Pairing code (copy it into the signing page, once)"), code)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func words(lang, vi, en string) string {
	if lang == "en" {
		return en
	}
	return vi
}

// client speaks to the hubs.
func (c agentCmd) client() (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // documented to be one
	if c.HubCA != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		data, err := os.ReadFile(c.HubCA)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("--hub-ca %s: no certificate in PEM", c.HubCA)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}, nil
}

// state gives the folder and the pairing code in it, made where there is none.
func (c agentCmd) state() (dir, code string, err error) {
	if dir = c.State; dir == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return "", "", err
		}
		dir = filepath.Join(base, "vanthu-agent")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", err
	}
	name := filepath.Join(dir, "pairing")
	if code, err = readSecret(name); err == nil && code != "" && !c.NewCode {
		return dir, code, nil
	}
	const length, group = 16, 4 // 80 bits
	text := rand.Text()[:length]
	var groups []string
	for i := 0; i < length; i += group {
		groups = append(groups, text[i:i+group])
	}
	code = strings.Join(groups, "-")
	return dir, code, os.WriteFile(name, []byte(code+"\n"), 0o600)
}

// open opens the key by a secret that is stored, or that is typed at the desk now.
func (c agentCmd) open(ctx context.Context, desk *desk) (*keys.Key, func(), error) {
	_, inEnvironment := os.LookupEnv("VANTHU_PASSPHRASE")
	if c.PassphraseFile != "" || inEnvironment {
		return c.openKey(&app{})
	}
	fmt.Fprint(desk.out, "Mật khẩu khóa hoặc mã PIN | Passphrase or PIN: ")
	secret, err := desk.ask(ctx, true)
	if err != nil {
		return nil, nil, unreadable(err)
	}
	return c.openWith(secret)
}

// consent shows each job at the desk and takes the answer there.
func (c agentCmd) consent(desk *desk, open *keys.Key) agent.Consent {
	return func(ctx context.Context, job agent.Job) (*keys.Key, func(), error) {
		fmt.Fprintf(desk.out, "\n%s\n  %s %s\n  %s\n  %s %s\n  %s %x\n", "── Yêu cầu ký số | A signature is asked for ──", job.Hub, job.Document,
			strings.TrimSpace(job.Code+"  "+job.Subject), "bước | step:", job.Step, job.Hash, job.Digest)
		if c.Ask == "never" {
			return open, func() {}, nil
		}
		// What was typed ahead of the question cannot know the digest, so that it answers nothing.
		fmt.Fprint(desk.out, "Ký? Gõ 4 ký tự cuối của mã băm; khác đi là từ chối | Sign? The last 4 characters of the digest: ")
		answer, err := desk.ask(ctx, false)
		if err != nil {
			return nil, nil, err
		}
		if digest := hex.EncodeToString(job.Digest); len(digest) < 4 || !strings.EqualFold(strings.TrimSpace(answer), digest[len(digest)-4:]) {
			return nil, nil, agent.ErrRefused
		}
		if c.Ask == "yes" {
			return open, func() {}, nil
		}
		fmt.Fprint(desk.out, "Mã PIN để ký; để trống là từ chối | PIN to sign, nothing to refuse: ")
		pin, err := desk.ask(ctx, true)
		if err != nil {
			return nil, nil, err
		}
		if pin == "" {
			return nil, nil, agent.ErrRefused
		}
		return c.openWith(pin)
	}
}

// desk is where the person is asked: the terminal that the program was started in.
type desk struct {
	in      *bufio.Reader
	fd      int // of the terminal, -1 when there is none
	out     io.Writer
	pending chan typed // an answer that nobody waits for any more
}

type typed struct {
	text string
	err  error
}

func newDesk(in io.Reader, out io.Writer) *desk {
	d := &desk{in: bufio.NewReader(in), fd: -1, out: out}
	if file, ok := in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		d.fd = int(file.Fd())
	}
	return d
}

// ask reads one line, without showing it when it is secret. A line that comes after the context has ended answers
// nothing: it is thrown away before the next question. Not for concurrent use.
func (d *desk) ask(ctx context.Context, secret bool) (string, error) {
	if d.pending != nil {
		fmt.Fprint(d.out, "\nYêu cầu trước đã quá hạn. Nhấn Enter để xem yêu cầu mới | The former request is over; press Enter: ")
		select {
		case <-d.pending:
			d.pending = nil
			fmt.Fprint(d.out, "> ")
		case <-ctx.Done():
			return "", agent.ErrRefused
		}
	}
	answered := make(chan typed, 1)
	go func() {
		text, err := d.read(secret)
		answered <- typed{text, err}
	}()
	select {
	case t := <-answered:
		if t.err != nil {
			return "", fmt.Errorf("%w: nobody is there to ask", agent.ErrRefused)
		}
		return t.text, nil
	case <-ctx.Done():
		d.pending = answered
		return "", fmt.Errorf("%w: no answer in time", agent.ErrRefused)
	}
}

func (d *desk) read(secret bool) (string, error) {
	if secret && d.fd >= 0 {
		text, err := term.ReadPassword(d.fd)
		fmt.Fprintln(d.out)
		return string(text), err
	}
	text, err := d.in.ReadString('\n')
	return strings.TrimRight(text, "\r\n"), err
}
