package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"vanthu/storage"
)

type backupCmd struct {
	Data   string `arg:"" help:"Thư mục dữ liệu; máy chủ có thể đang chạy. | Data folder; its hub may be running." type:"existingdir"`
	To     string `arg:"" help:"Thư mục sao lưu, trống hoặc của lần trước. | Folder of the backup: empty, or an earlier one." type:"path"`
	Config string `help:"Tệp cấu hình khác. | Another configuration file." type:"existingfile"`
	JSON   bool   `name:"json" help:"Kết quả dạng JSON. | The result as JSON."`
}

// Run copies a data folder. Exit 1 when a blob is damaged: it is named and not copied.
func (c backupCmd) Run(a *app) error {
	cfg, err := configOf(c.Data, c.Config)
	if err != nil {
		return unreadable(err)
	}
	result, err := storage.Backup(a.ctx, c.Data, c.To, cfg.Storage.Postgres != "", cfg.Storage.Blobs != "" || cfg.Storage.Archive != "")
	if err != nil {
		return err
	}
	return printBackup(a, c.JSON, result)
}

func printBackup(a *app, asJSON bool, r *storage.BackupResult) error {
	var err error
	if asJSON {
		err = json.NewEncoder(a.stdout).Encode(r)
	} else {
		_, err = fmt.Fprintf(a.stdout, "%d tệp, %d byte; %d tệp đã có | files copied, bytes; files that were there\n", r.Files, r.Bytes, r.Kept)
		for _, note := range r.Notes {
			_, printing := fmt.Fprintln(a.stdout, note)
			err = errors.Join(err, printing)
		}
		for _, broken := range r.Broken {
			_, printing := fmt.Fprintf(a.stdout, "blob %s: hỏng, không sao lưu | damaged, not copied\n", broken)
			err = errors.Join(err, printing)
		}
	}
	if err == nil && len(r.Broken) > 0 {
		return &exitError{code: exitFail}
	}
	return err
}

type restoreCmd struct {
	From string `arg:"" help:"Thư mục sao lưu. | Folder of the backup." type:"existingdir"`
	Data string `arg:"" help:"Thư mục dữ liệu mới. | The new data folder." type:"path"`
	JSON bool   `name:"json" help:"Kết quả dạng JSON. | The result as JSON."`
}

// Run makes a data folder from a backup, then rereads and judges it as `vanthu check` does.
func (c restoreCmd) Run(a *app) error {
	result, err := storage.Restore(a.ctx, c.From, c.Data)
	if err != nil {
		return err
	}
	if err := printBackup(a, c.JSON, result); err != nil {
		return err
	}
	cfg, err := configOf(c.Data, "")
	if err != nil {
		return unreadable(err)
	}
	if cfg.Storage.Postgres != "" {
		_, err := fmt.Fprintln(a.stderr, "vanthu: restore the dump of PostgreSQL (pg_restore), then run `vanthu check`")
		return err
	}
	return checkCmd{Data: c.Data, JSON: c.JSON}.Run(a)
}
