package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"vanthu/exchange/axis"
	"vanthu/exchange/registry"
)

type axisCmd struct {
	Add     axisAddCmd     `cmd:"" help:"Cho một hệ thống kết nối; in khóa bí mật một lần. | Let a system connect; prints its secret once."`
	List    axisListCmd    `cmd:"" help:"Liệt kê hệ thống. | List systems."`
	Disable axisDisableCmd `cmd:"" help:"Khóa một hệ thống. | Shut a system out."`
}

type axisAddCmd struct {
	dataFlags
	JSON       bool     `name:"json" help:"Kết quả dạng JSON. | Result as JSON."`
	Name       string   `help:"Tên hệ thống. | Name of the system."`
	Agency     []string `required:"" help:"Cơ quan mà hệ thống đại diện; lặp lại được. | Agency that the system speaks for; may be repeated."`
	SecretFile string   `help:"Tệp chứa khóa bí mật có sẵn; không có thì tạo mới. | File with a secret that exists already; made anew when left out." type:"existingfile"`
	ID         string   `arg:"" help:"Mã hệ thống (systemid). | System id."`
}

// Run adds the system, or gives one that is there a new secret and other agencies.
func (c axisAddCmd) Run(a *app) error {
	secret := ""
	if c.SecretFile != "" {
		data, err := os.ReadFile(c.SecretFile)
		if err != nil {
			return unreadable(err)
		}
		secret = strings.TrimSpace(string(data))
	}
	system := axis.System{ID: c.ID, Name: c.Name}
	for _, code := range c.Agency {
		id, err := registry.ParseAgencyID(code)
		if err != nil {
			return unreadable(err)
		}
		system.Agencies = append(system.Agencies, id)
	}
	return c.with(a, func(hub *Hub) error {
		secret, err := hub.axis.AddSystem(a.ctx, system, secret)
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(a.stdout).Encode(map[string]any{"id": c.ID, "agencies": system.Agencies, "secret": secret})
		}
		_, err = fmt.Fprintf(a.stdout, "Hệ thống: %s\nKhóa bí mật (chỉ hiện một lần): %s\n", c.ID, secret)
		return err
	})
}

type axisListCmd struct {
	dataFlags
	JSON bool `name:"json" help:"Một dòng JSON cho mỗi hệ thống. | One JSON line per system."`
}

// Run lists the systems without their secrets.
func (c axisListCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		systems, err := hub.axis.Systems(a.ctx)
		if err != nil {
			return err
		}
		for _, s := range systems {
			if c.JSON {
				err = json.NewEncoder(a.stdout).Encode(s)
			} else {
				state := ""
				if s.Disabled {
					state = " (đã khóa)"
				}
				_, err = fmt.Fprintf(a.stdout, "%-30s %v%s\n", s.ID, s.Agencies, state)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

type axisDisableCmd struct {
	dataFlags
	ID string `arg:"" help:"Mã hệ thống. | System id."`
}

// Run shuts a system out.
func (c axisDisableCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error { return hub.axis.DisableSystem(a.ctx, c.ID) })
}
