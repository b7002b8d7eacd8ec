package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

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
	Merge  agencyMergeCmd  `cmd:"" help:"Hợp nhất, sáp nhập. | Merge agencies into one."`
	Split  agencySplitCmd  `cmd:"" help:"Chia, tách. | Split an agency."`
	Rename agencyRenameCmd `cmd:"" help:"Đổi tên, đổi mã. | Rename an agency, or give it another code."`
	Close  agencyCloseCmd  `cmd:"" help:"Giải thể. | Close an agency."`
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
