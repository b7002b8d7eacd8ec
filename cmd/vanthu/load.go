package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing"
	"vanthu/signing/pki"
)

type loadCmd struct {
	Exchange loadExchangeCmd `cmd:"" help:"Văn bản qua trọn vòng đời. | Documents through the whole main job."`
}

type loadExchangeCmd struct {
	Documents  int    `default:"500" help:"Số văn bản. | Documents."`
	Workers    int    `default:"8" help:"Số người gửi cùng lúc. | Senders at the same time."`
	Recipients int    `default:"3" help:"Số nơi nhận mỗi văn bản (1–4). | Recipients of each document."`
	Size       int    `default:"200000" help:"Byte mỗi PDF. | Bytes of each PDF."`
	Profile    string `default:"pades-b-b" enum:"adbe,pades-b-b,pades-b-t" help:"Hồ sơ chữ ký. | Signature profile."`
	JSON       bool   `name:"json" help:"Kết quả dạng JSON. | Figures as JSON."`
	Dir        string `help:"Thư mục cha cho dữ liệu tạm. | Parent of the temporary data folder."`
	CPUProfile string `name:"cpu-profile" help:"Ghi hồ sơ CPU (pprof). | Write a CPU profile."`
}

// Bounds of a load: it is for one machine's loopback, not for a network.
const (
	maxLoadDocuments = 100_000
	maxLoadWorkers   = 64
)

// loadFigures is what `load exchange` prints.
type loadFigures struct {
	Documents  int         `json:"documents"`
	Workers    int         `json:"workers"`
	Recipients int         `json:"recipients"`
	PDFBytes   int         `json:"pdf_bytes"`
	Seconds    float64     `json:"seconds"`
	Rate       float64     `json:"rate"`        // documents a second, draft to the last recipient's 06
	P50MS      float64     `json:"p50_ms"`      // draft to the last recipient's 06
	P99MS      float64     `json:"p99_ms"`      //
	SendP50MS  float64     `json:"send_p50_ms"` // draft to the acknowledged send
	SendP99MS  float64     `json:"send_p99_ms"`
	Lost       int         `json:"lost"`
	Duplicated int         `json:"duplicated"`
	BoundRate  float64     `json:"bound_rate"` // the same documents as bare primitives, same run, same disk, same workers
	Ratio      float64     `json:"ratio"`
	Bound      boundCounts `json:"bound"`
}

// Run drives documents through draft, three signatures, number, send, arrival, register and finish over the API of a
// hub on loopback, looks for lost and doubled ones, and measures the bare primitives of the same work beside it.
func (c loadExchangeCmd) Run(a *app) (err error) {
	if c.Documents < 1 || c.Documents > maxLoadDocuments || c.Workers < 1 || c.Workers > maxLoadWorkers || c.Recipients < 1 || c.Recipients > 4 || c.Size < 40_000 || c.Size > 50<<20 {
		return unreadable(fmt.Errorf("documents 1–%d, workers 1–%d, recipients 1–4, size 40,000–%d", maxLoadDocuments, maxLoadWorkers, 50<<20))
	}
	dir, err := os.MkdirTemp(c.Dir, "vanthu-load-*")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg := demoCmd{Once: true}.config()
	cfg.Listen = ListenConfig{HTTP: cfg.Listen.HTTP} // only the door under load
	if err := initDataFolder(a.ctx, dir, cfg, time.Now); err != nil {
		return err
	}
	hub, err := openHub(a.ctx, hubOptions{dir: dir, config: cfg, log: a.log, now: time.Now})
	if err != nil {
		return err
	}
	run := &loadRun{cmd: c, app: a, hub: hub, open: make(map[exchange.DocumentID]*loadDocument)}
	figures, err := run.measure(a.ctx)
	if err := errors.Join(err, closeHub(hub)); err != nil {
		return err
	}
	if figures.Bound, figures.BoundRate, err = measureBound(a.ctx, dir, c); err != nil {
		return fmt.Errorf("measure the primitives: %w", err)
	}
	figures.Ratio = figures.Rate / figures.BoundRate
	if err := c.print(a, figures); err != nil {
		return err
	}
	if figures.Lost+figures.Duplicated > 0 {
		return &exitError{code: exitFail, err: fmt.Errorf("%d lost, %d duplicated", figures.Lost, figures.Duplicated)}
	}
	return nil
}

func (c loadExchangeCmd) print(a *app, f *loadFigures) error {
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(f)
	}
	_, err := fmt.Fprintf(a.stdout, `%d văn bản, %d nơi nhận, PDF %d byte, %d người gửi: %.1f s
  nhịp     %.1f văn bản/s   (nguyên liệu trần %.1f/s, tỷ số %.2f)
  trọn vòng p50 %.0f ms, p99 %.0f ms;  đến lúc gửi p50 %.0f ms, p99 %.0f ms
  mất %d, trùng %d
`, f.Documents, f.Recipients, f.PDFBytes, f.Workers, f.Seconds, f.Rate, f.BoundRate, f.Ratio, f.P50MS, f.P99MS, f.SendP50MS, f.SendP99MS, f.Lost, f.Duplicated)
	return err
}

// loadDocument is one document on its way.
type loadDocument struct {
	began    time.Time
	sent     time.Duration
	finished time.Duration
	left     int // recipients that have not finished
}

type loadRun struct {
	cmd loadExchangeCmd
	app *app
	hub *Hub

	province province
	pdf      []byte
	bars     *progress

	mu   sync.Mutex
	open map[exchange.DocumentID]*loadDocument
	done atomic.Int64
}

func (r *loadRun) measure(ctx context.Context) (*loadFigures, error) {
	if err := r.hub.start(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	r.province = plannedProvince(r.hub.config.Domain)
	r.province.sender.leader.keyType = pki.P256
	r.province.receivers = r.province.receivers[:r.cmd.Recipients]
	if err := r.province.settle(ctx, r.hub, func() {}); err != nil {
		return nil, err
	}
	var err error
	if r.pdf, err = loadPDF(r.cmd.Size); err != nil {
		return nil, err
	}
	r.bars = newProgress(r.app.stderr, r.cmd.Documents, "load")
	stop, err := r.profile()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	err = r.drive(ctx)
	took := time.Since(began)
	if err := errors.Join(err, stop()); err != nil {
		return nil, err
	}
	r.bars.done()
	figures := r.figures(took)
	figures.Lost, figures.Duplicated, err = r.recount(ctx)
	return figures, err
}

// profile starts the CPU profile that was asked for, if one was.
func (r *loadRun) profile() (stop func() error, err error) {
	if r.cmd.CPUProfile == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(r.cmd.CPUProfile)
	if err != nil {
		return nil, unreadable(err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

// loadPDF writes a document of about size bytes.
func loadPDF(size int) ([]byte, error) {
	p := paper{
		Agency: []string{"ỦY BAN NHÂN DÂN"}, Type: "BÁO CÁO",
		Subject: "Đo tải", Body: []string{"Nội dung văn bản dùng để đo tải."}, Position: "CHỦ TỊCH", Name: "Trần Quốc Đạt", Date: time.Unix(1_700_000_000, 0),
	}
	bare, err := p.write()
	if err != nil {
		return nil, err
	}
	p.ScanBytes = max(1, size-len(bare)-1500)
	return p.write()
}

// drive runs the senders and the receivers until every document is finished everywhere.
func (r *loadRun) drive(ctx context.Context) error {
	people, client := r.province.sender, httpClient()
	var senders [3]*apiClient
	for i, member := range []person{people.officer, people.leader, people.clerk} {
		var err error
		if senders[i], err = login(ctx, r.hub.baseURL(), client, member.Login, member.password); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range r.cmd.Workers {
		group.Go(func() error {
			for next.Add(1) <= int64(r.cmd.Documents) {
				if err := r.one(ctx, senders[0], senders[1], senders[2]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for i := range r.province.receivers {
		group.Go(func() error { return r.receiver(ctx, &r.province.receivers[i]) })
	}
	return group.Wait()
}

// one takes a document from its draft to the acknowledged send.
func (r *loadRun) one(ctx context.Context, officer, leader, clerk *apiClient) error {
	people := r.province.sender
	began := time.Now()
	doc, err := officer.draft(ctx, map[string]string{"type": "BC", "subject": "Đo tải", "signer_name": people.leader.Name, "signer_position": "CHỦ TỊCH"}, r.pdf)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.open[doc.ID] = &loadDocument{began: began, left: len(r.province.receivers)}
	r.mu.Unlock()
	request := signRequest{Profile: "", Invisible: true}
	for _, step := range []struct {
		by   *apiClient
		step exchange.Step
		pin  string
	}{{officer, exchange.StepInitial, people.officer.pin}, {leader, exchange.StepApprove, people.leader.pin}, {clerk, exchange.StepSeal, people.sealPIN}} {
		if step.step == exchange.StepSeal {
			if _, err := clerk.number(ctx, doc.ID); err != nil {
				return err
			}
		}
		request.Step, request.Passphrase, request.Profile = step.step, step.pin, signing.Profile(r.cmd.Profile)
		if _, err := step.by.sign(ctx, doc.ID, request); err != nil {
			return err
		}
	}
	var to []registry.AgencyID
	for _, o := range r.province.receivers {
		to = append(to, o.agency.ID)
	}
	if _, err := clerk.send(ctx, doc.ID, to); err != nil {
		return err
	}
	r.mu.Lock()
	r.open[doc.ID].sent = time.Since(began)
	r.mu.Unlock()
	return nil
}

// receiver registers and finishes what arrives at one agency, until every document of the run is finished there.
func (r *loadRun) receiver(ctx context.Context, o *office) error {
	client := httpClient()
	clerk, err := login(ctx, r.hub.baseURL(), client, o.clerk.Login, o.clerk.password)
	if err != nil {
		return err
	}
	officer, err := login(ctx, r.hub.baseURL(), client, o.officer.Login, o.officer.password)
	if err != nil {
		return err
	}
	for worked := 0; worked < r.cmd.Documents; {
		found, err := clerk.incoming(ctx, "&status=01")
		if err != nil {
			return err
		}
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(r.cmd.Workers)
		for _, in := range found {
			group.Go(func() error {
				if _, err := clerk.act(groupCtx, in.ID, "register", nil); err != nil {
					return err
				}
				_, err := officer.act(groupCtx, in.ID, "finish", map[string]string{"note": "Đã xử lý"})
				if err == nil {
					r.finish(in.Document)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		worked += len(found)
		if len(found) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}

func (r *loadRun) finish(id exchange.DocumentID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	doc := r.open[id]
	doc.left--
	if doc.left == 0 {
		doc.finished = time.Since(doc.began)
		r.bars.step()
		r.done.Add(1)
	}
}

func (r *loadRun) figures(took time.Duration) *loadFigures {
	var all, sends []time.Duration
	for _, doc := range r.open {
		all, sends = append(all, doc.finished), append(sends, doc.sent)
	}
	return &loadFigures{
		Documents: r.cmd.Documents, Workers: r.cmd.Workers, Recipients: r.cmd.Recipients, PDFBytes: len(r.pdf), Seconds: took.Seconds(),
		Rate: float64(r.done.Load()) / took.Seconds(), P50MS: quantile(all, 0.50), P99MS: quantile(all, 0.99), SendP50MS: quantile(sends, 0.50), SendP99MS: quantile(sends, 0.99),
	}
}

// quantile is in milliseconds.
func quantile(times []time.Duration, q float64) float64 {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return float64(times[int(q*float64(len(times)-1))].Microseconds()) / 1000
}

// recount asks every agency again: each document once at each receiver, finished at the sender.
func (r *loadRun) recount(ctx context.Context) (lost, duplicated int, err error) {
	for i := range r.province.receivers {
		o := &r.province.receivers[i]
		clerk, err := login(ctx, r.hub.baseURL(), httpClient(), o.clerk.Login, o.clerk.password)
		if err != nil {
			return 0, 0, err
		}
		seen := make(map[exchange.DocumentID]int)
		for after := ""; ; {
			var page listed[exchange.Incoming]
			if err := clerk.get(ctx, "/incoming?limit=200&after="+after, &page); err != nil {
				return 0, 0, err
			}
			for _, in := range page.Items {
				seen[in.Document]++
			}
			if after = page.Next; after == "" {
				break
			}
		}
		for id := range r.open {
			switch n := seen[id]; {
			case n == 0:
				lost++
			case n > 1:
				duplicated += n - 1
			}
		}
	}
	unfinished, err := r.unfinished(ctx)
	return lost + unfinished, duplicated, err
}

// unfinished counts the deliveries whose last status has not come back to the sender.
func (r *loadRun) unfinished(ctx context.Context) (int, error) {
	clerk, err := login(ctx, r.hub.baseURL(), httpClient(), r.province.sender.clerk.Login, r.province.sender.clerk.password)
	if err != nil {
		return 0, err
	}
	missing := 0
	for id := range r.open {
		list, err := clerk.deliveries(ctx, id)
		if err != nil {
			return 0, err
		}
		for _, d := range list {
			if d.Status != exchange.StatusFinished {
				missing++
			}
		}
	}
	return missing, nil
}
