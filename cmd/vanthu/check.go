package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

type checkCmd struct {
	Data   string `default:"vanthu-data" env:"VANTHU_DATA" help:"Thư mục dữ liệu. | Data folder."`
	Config string `help:"Tệp cấu hình khác. | Another configuration file." type:"existingfile"`
	JSON   bool   `name:"json" help:"Một dòng JSON cho mỗi vấn đề, và một dòng tổng kết. | One JSON line per problem, and one of summary."`
}

// checkLine is one line of `check --json`.
type checkLine struct {
	Part    string `json:"part"`
	Problem string `json:"problem"`
}

type checkSummary struct {
	Data     string  `json:"data"`
	Clean    bool    `json:"clean"`
	Problems int     `json:"problems"`
	Seconds  float64 `json:"seconds"`
}

// Run rereads everything in a data folder that no hub is using and judges it: blobs, rows, log, archive, mail.
// Exit 0 when it is clean, 1 when it is not.
func (c checkCmd) Run(a *app) error {
	cfg, err := configOf(c.Data, c.Config)
	if err != nil {
		return unreadable(err)
	}
	if _, err := os.Stat(c.Data); err != nil {
		return unreadable(err)
	}
	began := time.Now()
	hub, err := openHub(a.ctx, hubOptions{dir: c.Data, config: cfg, log: a.log, now: time.Now, readOnly: true})
	if err != nil {
		return err
	}
	problems, err := c.all(a, hub)
	err = errors.Join(err, hub.Store.Close(a.ctx))
	if err != nil {
		return err
	}
	summary := checkSummary{Data: c.Data, Clean: problems == 0, Problems: problems, Seconds: time.Since(began).Seconds()}
	if c.JSON {
		err = json.NewEncoder(a.stdout).Encode(summary)
	} else {
		_, err = fmt.Fprintf(a.stdout, "%s: %d vấn đề | problems (%.1f s)\n", c.Data, problems, summary.Seconds)
	}
	if err == nil && problems > 0 {
		return &exitError{code: exitFail}
	}
	return err
}

// all runs every part's own check; a part that cannot be read is a problem and does not stop the others.
func (c checkCmd) all(a *app, hub *Hub) (problems int, err error) {
	parts := []struct {
		name  string
		check func(context.Context, func(string)) error
	}{
		{"blobs", hub.Store.Check},
		{"ledger", hub.Store.Ledger.Check},
		{"log", hub.evidence.Check},
		{"registry", hub.Registry.Check},
		{"exchange", hub.Service.Check},
		{"mail", hub.Mail.Check},
	}
	bars := newProgress(a.stderr, len(parts), "check")
	var printing error
	for _, part := range parts {
		bars.describe(part.name)
		yield := func(problem string) {
			problems++
			printing = errors.Join(printing, c.print(a, part.name, problem))
		}
		if err := part.check(a.ctx, yield); err != nil {
			if a.ctx.Err() != nil {
				return problems, a.ctx.Err()
			}
			yield("cannot be checked: " + err.Error())
		}
		bars.step()
	}
	bars.done()
	return problems, printing
}

func (c checkCmd) print(a *app, part, problem string) error {
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(checkLine{Part: part, Problem: problem})
	}
	_, err := fmt.Fprintf(a.stdout, "%s: %s\n", part, problem)
	return err
}
