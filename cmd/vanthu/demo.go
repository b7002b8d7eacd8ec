package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

type demoCmd struct {
	Once    bool   `help:"Chạy một lượt rồi dừng. | End after the trail."`
	JSON    bool   `name:"json" help:"Một dòng JSON cho mỗi bước. | One JSON line per step."`
	Dir     string `help:"Giữ dữ liệu ở thư mục này. | Keep the data in this folder."`
	PDF     string `name:"pdf" help:"Dùng tệp PDF của bạn. | Use a PDF of your own." type:"existingfile"`
	Archive string `help:"Nơi lưu trữ s3://… | Archive in s3://…"`
}

// demoDeadline bounds the trail; a machine that cannot do it in this time shows where it stopped.
const demoDeadline = 5 * time.Minute

// Run plays the main job on a hub of its own: a small province that does not exist, real keys, real PDFs, real mail.
// Exit 0 when every step held, 1 when one did not.
func (c demoCmd) Run(a *app) error {
	source, err := c.source()
	if err != nil {
		return err
	}
	dir, clean, err := c.folder()
	if err != nil {
		return err
	}
	defer clean()
	cfg := c.config()
	if err := initDataFolder(a.ctx, dir, cfg, time.Now); err != nil {
		return err
	}
	hub, err := openHub(a.ctx, hubOptions{dir: dir, config: cfg, log: a.log, now: time.Now})
	if err != nil {
		return err
	}
	if err := hub.start(context.WithoutCancel(a.ctx)); err != nil {
		return errors.Join(err, closeHub(hub))
	}
	run := &demoRun{app: a, hub: hub, json: c.JSON, source: source, began: time.Now()}
	if err := run.trail(); err != nil {
		return errors.Join(fmt.Errorf("demo stopped: %w", err), closeHub(hub))
	}
	if c.Once {
		return closeHub(hub)
	}
	run.invite(dir)
	<-a.ctx.Done()
	return closeHub(hub)
}

func (c demoCmd) source() ([]byte, error) {
	if c.PDF == "" {
		return nil, nil
	}
	data, err := os.ReadFile(c.PDF)
	if err != nil {
		return nil, unreadable(err)
	}
	return data, nil
}

// folder makes the data folder: the one that was asked for, which stays, or a temporary one, which goes.
func (c demoCmd) folder() (dir string, clean func(), err error) {
	if c.Dir != "" {
		return c.Dir, func() {}, nil
	}
	dir, err = os.MkdirTemp("", "vanthu-demo-*")
	if err != nil {
		return "", nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	return dir, func() { os.RemoveAll(dir) }, nil //nolint:errcheck // a temporary folder; the system sweeps what stays
}

// config gives the default ports where the console is to stay reachable, else, and where one is taken, free ones.
func (c demoCmd) config() Config {
	cfg := DefaultConfig()
	cfg.Name, cfg.Domain = "Văn thư tỉnh "+provinceName, "bacson.example"
	cfg.Storage.Archive = c.Archive
	l := &cfg.Listen
	for _, address := range []*string{&l.HTTP, &l.SMTP, &l.Submission, &l.SubmissionTLS, &l.IMAP, &l.IMAPTLS, &l.Metrics} {
		if c.Once || !isFree(*address) {
			*address = "127.0.0.1:0"
		}
	}
	return cfg
}

func isFree(address string) bool {
	listener, err := net.Listen("tcp", address) //nolint:noctx // a look at a local port, closed at once
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

// demoStep is one line of the trail.
type demoStep struct {
	Step   string `json:"step"`
	OK     bool   `json:"ok"`
	Text   string `json:"text"`
	AtMS   int64  `json:"at_ms"`
	Detail any    `json:"detail,omitempty"`
}

// say prints one step of the trail.
func (r *demoRun) say(step, text string, detail any) error {
	line := demoStep{Step: step, OK: true, Text: text, AtMS: time.Since(r.began).Milliseconds(), Detail: detail}
	if r.json {
		return r.sayJSON(line)
	}
	_, err := fmt.Fprintf(r.app.stdout, "%6.2fs  %-9s %s\n", float64(line.AtMS)/1000, step, text)
	return err
}

func (r *demoRun) sayJSON(line any) error { return json.NewEncoder(r.app.stdout).Encode(line) }

// invite says where to look and with which logins; the passwords exist for this run alone.
func (r *demoRun) invite(dir string) {
	fmt.Fprintf(r.app.stderr, "\nGiao diện | Console: %s   (dừng: Ctrl-C | stop)\nDữ liệu | Data: %s\n", r.hub.baseURL(), dir)
	for _, address := range r.hub.addresses {
		fmt.Fprintf(r.app.stderr, "  %-15s %s\n", address.Door, address.Addr)
	}
	fmt.Fprintln(r.app.stderr, "Đăng nhập | Log in (mật khẩu chỉ có trong lần chạy này | for this run alone):")
	for i, o := range r.province.offices() {
		for _, member := range o.everyone() {
			fmt.Fprintf(r.app.stderr, "  %-20s %-28s %s", member.Login, member.password, member.Name)
			if i == 0 && member.Login != o.clerk.Login {
				fmt.Fprintf(r.app.stderr, "   khóa | key: %s", member.pin)
			}
			fmt.Fprintln(r.app.stderr)
		}
	}
	fmt.Fprintf(r.app.stderr, "  %-20s %-28s %s\n", r.province.admin.Login, r.province.admin.password, r.province.admin.Position)
	fmt.Fprintf(r.app.stderr, "  con dấu | seal %s: %s\n", r.province.sender.agency.ID, r.province.sender.sealPIN)
}

// httpClient is the client of the demonstration and the load: loopback, many connections kept open.
func httpClient() *http.Client {
	return &http.Client{
		Timeout:   2 * time.Minute,
		Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute, DisableCompression: true},
	}
}
