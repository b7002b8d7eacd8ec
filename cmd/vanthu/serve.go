package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage"
)

// closeTimeout is how long a stopping hub waits for the work at hand.
const closeTimeout = 30 * time.Second

type initCmd struct {
	Dir    string `arg:"" help:"Thư mục dữ liệu mới. | New data folder."`
	Name   string `default:"Văn thư" help:"Tên máy chủ. | Name of the hub."`
	Domain string `default:"vanthu.local" help:"Miền thư công vụ. | Mail domain."`
	Admin  string `default:"quantri" help:"Tên đăng nhập quản trị. | Login of the administrator."`

	Agency     string `default:"HUB" help:"Mã định danh cơ quan vận hành; quản trị quản lý cơ quan này và cấp dưới. | Code of the agency that runs the hub; its administrator manages it and those below."`
	AgencyName string `name:"agency-name" help:"Tên cơ quan vận hành. | Its name."`
}

// Run makes a data folder with its configuration, an own certificate authority and one administrator, whose secret is
// printed once and kept nowhere.
func (c initCmd) Run(a *app) error {
	cfg := DefaultConfig()
	cfg.Name, cfg.Domain = c.Name, c.Domain
	if err := os.MkdirAll(filepath.Dir(c.Dir), 0o700); err != nil {
		return fmt.Errorf("make the data folder %s: %w", c.Dir, err)
	}
	// A folder that init itself made holds nothing but what init put there: a failed init takes it away again.
	made := os.Mkdir(c.Dir, 0o700) == nil
	err := initDataFolder(a.ctx, c.Dir, cfg, time.Now)
	secret := rand.Text()
	if err == nil {
		err = c.addAdministrator(a, cfg, secret)
	}
	if err != nil && made {
		err = errors.Join(err, os.RemoveAll(c.Dir))
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, `Đã tạo %s
Quản trị: %s
Mật khẩu (chỉ hiện một lần): %s
Chạy: vanthu serve --data %s
`, c.Dir, c.Admin, secret, c.Dir)
	return err
}

// initDataFolder makes the folder, the configuration and the hub's own keys.
func initDataFolder(_ context.Context, dir string, cfg Config, now func() time.Time) error {
	if err := cfg.Validate(); err != nil {
		return unreadable(err)
	}
	if _, err := os.Stat(filepath.Join(dir, configName)); err == nil {
		return fmt.Errorf("%s is a data folder already; nothing was changed", dir)
	}
	if err := storage.Init(dir); err != nil {
		return fmt.Errorf("make the data folder %s: %w", dir, err)
	}
	var printed bytes.Buffer
	if err := PrintConfig(&printed, cfg); err != nil {
		return err
	}
	if err := writeKeyFile(filepath.Join(dir, configName), printed.Bytes()); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	_, err := makeIdentity(dir, cfg.Name, cfg.Domain, cfg.Trust.PublicURL, now)
	return err
}

// addAdministrator adds the agency that runs the hub and its administrator.
func (c initCmd) addAdministrator(a *app, cfg Config, secret string) (err error) {
	hub, err := openHub(a.ctx, hubOptions{dir: c.Dir, config: cfg, log: a.log, now: time.Now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hub.Store.Close(a.ctx)) }()
	name := c.AgencyName
	if name == "" {
		name = c.Name
	}
	by := registry.System("init")
	agency := registry.Agency{ID: registry.AgencyID(c.Agency), Name: name, Channel: registry.ChannelLocal}
	if err := hub.Registry.AddAgency(a.ctx, by, agency); err != nil {
		return err
	}
	_, err = hub.Registry.AddPerson(a.ctx, by, registry.Person{
		Login: c.Admin, Name: "Quản trị hệ thống", Agency: agency.ID, Roles: []registry.Role{registry.RoleAdministrator},
	}, secret)
	return err
}

type serveCmd struct {
	Data   string `default:"vanthu-data" env:"VANTHU_DATA" help:"Thư mục dữ liệu. | Data folder."`
	Config string `help:"Tệp cấu hình khác. | Another configuration file." type:"existingfile"`
}

// Run serves until it is interrupted.
func (c serveCmd) Run(a *app) error {
	cfg, err := configOf(c.Data, c.Config)
	if err != nil {
		return unreadable(err)
	}
	if _, err := os.Stat(c.Data); err != nil {
		return unreadable(fmt.Errorf("%w; make a data folder with `vanthu init %s`", err, c.Data))
	}
	hub, err := openHub(a.ctx, hubOptions{dir: c.Data, config: cfg, log: a.log, now: time.Now})
	if err != nil {
		return err
	}
	// What runs while the hub stops must not be cut off by the signal that stops it.
	if err := hub.start(context.WithoutCancel(a.ctx)); err != nil {
		return errors.Join(err, closeHub(hub))
	}
	printAddresses(a, hub)
	<-a.ctx.Done()
	return closeHub(hub)
}

func closeHub(hub *Hub) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return hub.close(ctx)
}

func printAddresses(a *app, hub *Hub) {
	fmt.Fprintf(a.stderr, "Giao diện và API: %s\n", hub.baseURL())
	for _, address := range hub.addresses {
		fmt.Fprintf(a.stderr, "  %-15s %s\n", address.Door, address.Addr)
	}
}
