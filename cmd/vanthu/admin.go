package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/mail"
)

// dataFlags are those of every command that works on a data folder itself. The folder is locked: where a hub is
// serving it, the command says so and changes nothing.
type dataFlags struct {
	Data   string `default:"vanthu-data" env:"VANTHU_DATA" help:"Thư mục dữ liệu. | Data folder."`
	Config string `help:"Tệp cấu hình khác. | Another configuration file." type:"existingfile"`
}

// with opens the hub of the data folder, runs work and closes it.
func (f dataFlags) with(a *app, work func(*Hub) error) error {
	cfg, err := configOf(f.Data, f.Config)
	if err != nil {
		return unreadable(err)
	}
	if _, err := os.Stat(f.Data); err != nil {
		return unreadable(err)
	}
	hub, err := openHub(a.ctx, hubOptions{dir: f.Data, config: cfg, log: a.log, now: time.Now})
	if err != nil {
		return err
	}
	return errors.Join(work(hub), hub.Store.Close(a.ctx))
}

type agencyCmd struct {
	Import agencyImportCmd `cmd:"" help:"Nhập danh sách cơ quan từ CSV. | Import agencies from CSV."`
	List   agencyListCmd   `cmd:"" help:"Liệt kê cơ quan. | List agencies."`
}

type agencyImportCmd struct {
	dataFlags
	JSON bool   `name:"json" help:"Kết quả dạng JSON. | Result as JSON."`
	File string `arg:"" help:"Tệp CSV. | CSV file." type:"existingfile"`
}

// Run imports all lines or none; a line that cannot be imported is named.
func (c agencyImportCmd) Run(a *app) error {
	file, err := os.Open(c.File)
	if err != nil {
		return unreadable(err)
	}
	defer file.Close() //nolint:errcheck // only read
	return c.with(a, func(hub *Hub) error {
		result, err := hub.Registry.ImportAgencies(a.ctx, registry.System("import"), file)
		for _, problem := range result.Problems {
			text := problem.Text
			if a.lang == "en" {
				text = problem.TextEN
			}
			fmt.Fprintf(a.stderr, "%s:%d: %s\n", c.File, problem.Line, text)
		}
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(a.stdout).Encode(result)
		}
		_, err = fmt.Fprintf(a.stdout, "Thêm %d, sửa %d, giữ nguyên %d\n", result.Added, result.Changed, result.Unchanged)
		return err
	})
}

type agencyListCmd struct {
	dataFlags
	JSON bool `name:"json" help:"Một dòng JSON cho mỗi cơ quan. | One JSON line per agency."`
}

// Run lists every agency in code order.
func (c agencyListCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		filter := registry.Filter{Limit: 1000}
		for {
			agencies, err := hub.Registry.Agencies(a.ctx, filter)
			if err != nil {
				return err
			}
			for _, agency := range agencies {
				if c.JSON {
					err = json.NewEncoder(a.stdout).Encode(agency)
				} else {
					_, err = fmt.Fprintf(a.stdout, "%-35s %s\n", agency.ID, agency.Name)
				}
				if err != nil {
					return err
				}
			}
			if len(agencies) < filter.Limit {
				return nil
			}
			filter.After = agencies[len(agencies)-1].ID
		}
	})
}

type accountCmd struct {
	Import accountImportCmd `cmd:"" help:"Nhập tài khoản thư từ CSV. | Import mail accounts from CSV."`
	Add    accountAddCmd    `cmd:"" help:"Thêm một tài khoản thư. | Add a mail account."`
	List   accountListCmd   `cmd:"" help:"Liệt kê tài khoản thư. | List mail accounts."`
}

type accountImportCmd struct {
	dataFlags
	JSON bool   `name:"json" help:"Kết quả dạng JSON. | Result as JSON."`
	File string `arg:"" help:"Tệp CSV. | CSV file." type:"existingfile"`
}

// Run imports mail accounts; the lines that cannot be imported are named.
func (c accountImportCmd) Run(a *app) error {
	file, err := os.Open(c.File)
	if err != nil {
		return unreadable(err)
	}
	defer file.Close() //nolint:errcheck // only read
	return c.with(a, func(hub *Hub) error {
		result, err := hub.Mail.ImportAccounts(a.ctx, file)
		if err != nil {
			return err
		}
		if c.JSON {
			err = json.NewEncoder(a.stdout).Encode(map[string]any{"added": result.Added, "skipped": result.Skipped, "problems": result.Problems})
		} else {
			_, err = fmt.Fprintf(a.stdout, "Thêm %d, bỏ qua %d\n", result.Added, result.Skipped)
		}
		for _, problem := range result.Problems {
			fmt.Fprintf(a.stderr, "%s: %s\n", c.File, problem)
		}
		if err == nil && len(result.Problems) > 0 {
			return &exitError{code: exitFail}
		}
		return err
	})
}

type accountAddCmd struct {
	dataFlags
	Kind         string `default:"person" enum:"person,position,organisation" help:"Loại hộp thư. | Kind of mailbox."`
	Name         string `help:"Tên hiển thị. | Display name."`
	PasswordFile string `name:"password-file" required:"" type:"existingfile" help:"Tệp chứa mật khẩu. | File with the password."`
	Address      string `arg:"" help:"Địa chỉ thư. | Mail address."`
}

// Run adds one account.
func (c accountAddCmd) Run(a *app) error {
	address, err := mail.ParseAddress(c.Address)
	if err != nil {
		return unreadable(err)
	}
	password, err := readSecret(c.PasswordFile)
	if err != nil {
		return unreadable(err)
	}
	return c.with(a, func(hub *Hub) error {
		_, err := hub.Mail.AddAccount(a.ctx, mail.Account{Address: address, Name: c.Name, Kind: mail.AccountKind(c.Kind)}, password)
		return err
	})
}

type accountListCmd struct {
	dataFlags
	JSON bool `name:"json" help:"Một dòng JSON cho mỗi tài khoản. | One JSON line per account."`
}

// Run lists the accounts.
func (c accountListCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		accounts, err := hub.Mail.Accounts(a.ctx)
		if err != nil {
			return err
		}
		for _, account := range accounts {
			if c.JSON {
				err = json.NewEncoder(a.stdout).Encode(map[string]any{
					"address": account.Address, "name": account.Name, "kind": account.Kind, "quota": account.Quota, "used": account.Used, "disabled": account.Disabled,
				})
			} else {
				_, err = fmt.Fprintf(a.stdout, "%-40s %-13s %s\n", account.Address, account.Kind, account.Name)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

type statsCmd struct {
	dataFlags
	From   string `required:"" help:"Từ ngày, YYYY-MM-DD. | First day."`
	To     string `required:"" help:"Đến hết ngày, YYYY-MM-DD. | Last day."`
	By     string `default:"agency" enum:"agency" help:"Theo cơ quan. | By agency."`
	Format string `default:"json" enum:"json,csv" help:"Dạng kết quả. | Form of the result."`
}

// vietnam is the zone of every official date (UTC+7, without summer time).
func vietnam() *time.Location { return time.FixedZone("+07", 7*60*60) }

// Run prints the exchange rate of a period, whole days in Vietnam time.
func (c statsCmd) Run(a *app) error {
	from, err := time.ParseInLocation(time.DateOnly, c.From, vietnam())
	if err != nil {
		return unreadable(fmt.Errorf("--from: %w", err))
	}
	to, err := time.ParseInLocation(time.DateOnly, c.To, vietnam())
	if err != nil {
		return unreadable(fmt.Errorf("--to: %w", err))
	}
	if to.Before(from) {
		return unreadable(fmt.Errorf("--to %s is before --from %s", c.To, c.From))
	}
	return c.with(a, func(hub *Hub) error {
		stats, err := hub.Service.Stats(a.ctx, registry.System("stats"), from, to.AddDate(0, 0, 1))
		if err != nil {
			return err
		}
		if c.Format == "csv" {
			return writeStatsCSV(a, stats)
		}
		return json.NewEncoder(a.stdout).Encode(stats)
	})
}

// writeStatsCSV writes one line per agency and one for all, with a byte-order mark so that spreadsheets read the
// Vietnamese names as UTF-8.
func writeStatsCSV(a *app, stats *exchange.Stats) error {
	if _, err := a.stdout.Write([]byte("\xEF\xBB\xBF")); err != nil {
		return err
	}
	out := csv.NewWriter(a.stdout)
	line := func(code, name string, n exchange.Counts) error {
		return out.Write([]string{
			code, cell(name), strconv.Itoa(n.Population), strconv.Itoa(n.Electronic), strconv.FormatFloat(n.Rate, 'f', 4, 64),
			strconv.Itoa(n.Deliveries), strconv.Itoa(n.Arrived), strconv.Itoa(n.Registered), strconv.Itoa(n.Completed), strconv.Itoa(n.Refused),
		})
	}
	err := out.Write([]string{"agency", "name", "population", "electronic", "rate", "deliveries", "arrived", "registered", "completed", "refused"})
	for _, agency := range stats.ByAgency {
		err = errors.Join(err, line(string(agency.Agency), agency.Name, agency.Counts))
	}
	err = errors.Join(err, line("", "Tổng", stats.Counts))
	out.Flush()
	return errors.Join(err, out.Error())
}

// cell keeps a spreadsheet from running a text as a formula.
func cell(text string) string {
	if text != "" && (text[0] == '=' || text[0] == '+' || text[0] == '-' || text[0] == '@') {
		return "'" + text
	}
	return text
}
