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
	Add        axisAddCmd        `cmd:"" help:"Cho một hệ thống kết nối; in khóa bí mật một lần. | Let a system connect; prints its secret once."`
	List       axisListCmd       `cmd:"" help:"Liệt kê hệ thống. | List systems."`
	Disable    axisDisableCmd    `cmd:"" help:"Khóa một hệ thống. | Shut a system out."`
	Connect    axisConnectCmd    `cmd:"" help:"Kết nối như một hệ thống với trục quốc gia hoặc nền tảng của tỉnh. | Connect as a system with the national axis or a province's platform."`
	Links      axisLinksCmd      `cmd:"" help:"Liệt kê kết nối với trục khác. | List the connections with other axes."`
	Disconnect axisDisconnectCmd `cmd:"" help:"Tạm ngừng một kết nối. | Let a connection rest."`
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

type axisConnectCmd struct {
	dataFlags
	URL        string `required:"" help:"Địa chỉ đứng trước /sendEdoc. | Address that stands before /sendEdoc."`
	System     string `required:"" help:"Mã hệ thống do trục cấp. | System id that the axis gave."`
	SecretFile string `required:"" help:"Tệp chứa khóa bí mật do trục cấp. | File with the secret that the axis gave." type:"existingfile"`
	Name       string `arg:"" help:"Tên kết nối, ví dụ truc. | Name of the connection."`
}

// Run connects with another axis after it has answered once.
func (c axisConnectCmd) Run(a *app) error {
	secret, err := os.ReadFile(c.SecretFile)
	if err != nil {
		return unreadable(err)
	}
	return c.with(a, func(hub *Hub) error {
		if err := hub.axis.Connect(a.ctx, axis.Link{ID: c.Name, URL: c.URL, System: c.System}, strings.TrimSpace(string(secret))); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.stdout, "Đã kết nối với %s.\n", c.Name)
		return err
	})
}

type axisLinksCmd struct {
	dataFlags
	JSON bool `name:"json" help:"Một dòng JSON cho mỗi kết nối. | One JSON line per connection."`
}

// Run lists the connections and how they are.
func (c axisLinksCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		links, err := hub.axis.Links(a.ctx)
		if err != nil {
			return err
		}
		for _, l := range links {
			if c.JSON {
				err = json.NewEncoder(a.stdout).Encode(l)
			} else {
				state := ""
				switch {
				case l.Disabled:
					state = " (đã khóa)"
				case l.Problem != "":
					state = " (lỗi: " + l.Problem + ")"
				}
				_, err = fmt.Fprintf(a.stdout, "%-16s %s  %s  %d cơ quan, %d văn bản chưa được lấy%s\n", l.ID, l.URL, l.System, l.Agencies, l.Waiting, state)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

type axisDisconnectCmd struct {
	dataFlags
	Name string `arg:"" help:"Tên kết nối. | Name of the connection."`
}

// Run lets a connection rest.
func (c axisDisconnectCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error { return hub.axis.Disconnect(a.ctx, c.Name) })
}
