package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

type statsCmd struct {
	dataFlags
	From      string `help:"Từ ngày, YYYY-MM-DD. | First day."`
	To        string `help:"Đến hết ngày, YYYY-MM-DD. | Last day."`
	Report    string `default:"rate" enum:"rate,quarter" help:"Tỷ lệ của một khoảng ngày, hay báo cáo quý (cần --quarter). | The rate of a period of days, or the quarterly report (needs --quarter)."`
	Quarter   string `help:"Quý của báo cáo quý, ví dụ 2026Q4. | Quarter of the quarterly report, such as 2026Q4."`
	Agency    string `help:"Báo cáo quý của cơ quan có mã này và các cơ quan trực thuộc; không ghi thì tất cả. | Quarterly report of this agency and all below it; of all when it is left out."`
	By        string `default:"agency" enum:"agency,type,day" help:"Theo cơ quan, loại văn bản hay ngày ban hành; JSON luôn có cả ba. | By agency, type or day of issue; JSON always has all three."`
	Format    string `default:"json" enum:"json,csv,xlsx,pdf" help:"Dạng kết quả. | Form of the result."`
	Recompute bool   `help:"Tính lại chỉ từ nhật ký chứng cứ và so với số đang có; khác nhau thì kết thúc với mã 1. | Make the figures from the evidence log alone and compare; ends with 1 where they differ."`
	Out       string `help:"Ghi vào tệp này thay cho đầu ra chuẩn. | Write to this file, not to standard output." type:"path"`
}

// vietnam is the zone of every official date (UTC+7, without summer time).
func vietnam() *time.Location { return time.FixedZone("+07", 7*60*60) }

// period reads the days asked for, whole days in Vietnam time, to exclusive.
func (c statsCmd) period() (from, to time.Time, err error) {
	if from, err = time.ParseInLocation(time.DateOnly, c.From, vietnam()); err != nil {
		return from, to, unreadable(fmt.Errorf("--from: %w", err))
	}
	if to, err = time.ParseInLocation(time.DateOnly, c.To, vietnam()); err != nil {
		return from, to, unreadable(fmt.Errorf("--to: %w", err))
	}
	if to.Before(from) {
		return from, to, unreadable(fmt.Errorf("--to %s is before --from %s", c.To, c.From))
	}
	return from, to.AddDate(0, 0, 1), nil
}

// Run gives the exchange rate of a period or the report of a quarter.
func (c statsCmd) Run(a *app) error {
	if binary := c.Format == "xlsx" || c.Format == "pdf"; binary && c.Out == "" && isTerminal(a.stdout) {
		return unreadable(fmt.Errorf("--format %s: không in tệp nhị phân ra màn hình; dùng --out TỆP | not written to a terminal; use --out FILE", c.Format))
	}
	if c.Report == "quarter" {
		return c.quarter(a)
	}
	from, to, err := c.period()
	if err != nil {
		return err
	}
	return c.with(a, func(hub *Hub) error {
		query := exchange.RateQuery{From: from, To: to}
		if c.Recompute {
			return c.recompute(a, hub, query)
		}
		stats, err := hub.Service.Rate(a.ctx, registry.System("stats"), query)
		if err != nil {
			return err
		}
		return c.deliver(a, func(w io.Writer) error {
			switch c.Format {
			case "csv":
				return stats.Table(c.By).CSV(w)
			case "xlsx":
				return stats.Paper(c.By, hub.config.Name).XLSX(w)
			case "pdf":
				return stats.Paper(c.By, hub.config.Name).PDF(w)
			}
			return json.NewEncoder(w).Encode(stats)
		})
	})
}

// deliver writes a result to where it was asked for.
func (c statsCmd) deliver(a *app, write func(io.Writer) error) error {
	if c.Out != "" {
		return writeOnce(c.Out, write)
	}
	return write(a.stdout)
}

// quarter gives the quarterly report on the exchange (QĐ 28/2018/QĐ-TTg Điều 15).
func (c statsCmd) quarter(a *app) error {
	if _, _, err := exchange.Quarter(c.Quarter); err != nil {
		return unreadable(fmt.Errorf("--quarter: %w", err))
	}
	if c.Recompute || c.From != "" || c.To != "" {
		return unreadable(errors.New("--report quarter: không dùng cùng --from, --to, --recompute | not with --from, --to, --recompute"))
	}
	return c.with(a, func(hub *Hub) error {
		report, err := hub.Service.QuarterReport(a.ctx, registry.System("stats"), c.Quarter, registry.AgencyID(c.Agency))
		if err != nil {
			return err
		}
		if report.Issuer == "" {
			report.Issuer = hub.config.Name
		}
		return c.deliver(a, func(w io.Writer) error {
			switch c.Format {
			case "csv":
				return report.Table().CSV(w)
			case "xlsx":
				return report.Paper().XLSX(w)
			case "pdf":
				return report.Paper().PDF(w)
			}
			return json.NewEncoder(w).Encode(report)
		})
	})
}

// recompute prints the figures made from the evidence log alone, with their differences from the live ones.
func (c statsCmd) recompute(a *app, hub *Hub, query exchange.RateQuery) error {
	if c.Format != "json" {
		return unreadable(errors.New("--recompute: chỉ có dạng json | only as json"))
	}
	again, err := hub.Service.Recompute(a.ctx, registry.System("stats"), query)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(a.stdout).Encode(again); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	if n := len(again.Differences); n > 0 {
		return fmt.Errorf("%d chỗ khác với số đang có | %d differences from the live figures", n, n)
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
