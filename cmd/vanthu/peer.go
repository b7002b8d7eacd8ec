package main

import (
	"encoding/json"
	"fmt"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/peer"
)

type peerCmd struct {
	Key     peerKeyCmd     `cmd:"" help:"In mã và khóa công khai của máy chủ này, để đưa cho quản trị bên kia. | Print id and public key of this hub, for the administrator of the other."`
	Add     peerAddCmd     `cmd:"" help:"Kết nối với một máy chủ. | Connect with a hub."`
	List    peerListCmd    `cmd:"" help:"Liệt kê máy chủ đã kết nối. | List the hubs."`
	Disable peerDisableCmd `cmd:"" help:"Tạm khóa một máy chủ. | Shut a hub out."`
	Enable  peerEnableCmd  `cmd:"" help:"Mở lại một máy chủ. | Let a hub in again."`
	Rotate  peerRotateCmd  `cmd:"" help:"Đổi khóa của máy chủ này; khóa cũ còn hiệu lực một thời gian. | Change the key of this hub; the old one counts for a while."`
}

type peerKeyCmd struct {
	dataFlags
	JSON bool `name:"json" help:"Kết quả dạng JSON. | Result as JSON."`
}

// Run prints what the administrator of another hub needs.
func (c peerKeyCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		d, _, err := hub.peers.Describe(a.ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(a.stdout).Encode(d)
		}
		fmt.Fprintf(a.stdout, "Máy chủ: %s\n", d.Hub)
		for _, k := range d.Keys {
			until := ""
			if !k.Until.IsZero() {
				until = " (đến " + k.Until.Format(time.RFC3339) + ")"
			}
			fmt.Fprintf(a.stdout, "Khóa: %s%s\n", k.Public, until)
		}
		return nil
	})
}

type peerAddCmd struct {
	dataFlags
	JSON  bool     `name:"json" help:"Kết quả dạng JSON. | Result as JSON."`
	Key   string   `required:"" help:"Khóa công khai mà quản trị bên kia đưa (vanthu peer key). | Public key that its administrator gave."`
	Scope []string `help:"Chỉ cho đại diện các mã này và cấp dưới; lặp lại được. | Codes that it may speak for, with all below; may be repeated."`
	URL   string   `arg:"" help:"Địa chỉ, ví dụ https://vanthu.tinh.gov.vn. | Address."`
}

// Run connects with a hub that has the key.
func (c peerAddCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		h, err := hub.peers.Add(a.ctx, peer.Addition{URL: c.URL, Key: c.Key, Scope: c.Scope})
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(a.stdout).Encode(h)
		}
		_, err = fmt.Fprintf(a.stdout, "Đã kết nối với %s (%s).\n", h.Name, h.ID)
		return err
	})
}

type peerListCmd struct {
	dataFlags
	JSON bool `name:"json" help:"Một dòng JSON cho mỗi máy chủ. | One JSON line per hub."`
}

// Run lists the hubs and how the links to them are.
func (c peerListCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		list, err := hub.peers.Hubs(a.ctx)
		if err != nil {
			return err
		}
		for _, h := range list {
			if c.JSON {
				if err := json.NewEncoder(a.stdout).Encode(h); err != nil {
					return err
				}
				continue
			}
			state := "chưa liên lạc"
			switch {
			case h.Disabled:
				state = "đã khóa"
			case h.Problem != "":
				state = "lỗi: " + h.Problem
			case !h.Seen.IsZero():
				state = "liên lạc " + h.Seen.Format(time.RFC3339)
			}
			fmt.Fprintf(a.stdout, "%s  %s  %s  %d cơ quan, %d chứng cứ đang chờ, %s\n", h.ID, h.Name, h.URL, h.Agencies, h.Waiting, state)
		}
		return nil
	})
}

type peerDisableCmd struct {
	dataFlags
	ID string `arg:"" help:"Mã máy chủ. | Id of the hub."`
}

// Run shuts a hub out; what waits for it goes on waiting.
func (c peerDisableCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error { return hub.peers.Disable(a.ctx, c.ID, true) })
}

type peerEnableCmd struct {
	dataFlags
	ID string `arg:"" help:"Mã máy chủ. | Id of the hub."`
}

// Run lets a hub in again.
func (c peerEnableCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error { return hub.peers.Disable(a.ctx, c.ID, false) })
}

type peerRotateCmd struct {
	dataFlags
	Overlap time.Duration `default:"168h" help:"Khóa cũ còn hiệu lực bao lâu. | How long the old key counts still."`
}

// Run changes the hub's key.
func (c peerRotateCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		k, err := hub.peers.Rotate(a.ctx, c.Overlap)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "Khóa mới: %s\n", k.Public)
		return err
	})
}

type compareCmd struct {
	dataFlags
	JSON bool   `name:"json" help:"Biên bản dạng JSON, có chữ ký. | The signed minutes as JSON."`
	From string `required:"" help:"Từ ngày (2026-03-01). | First day."`
	To   string `required:"" help:"Đến hết ngày. | Last day."`
	Hub  string `arg:"" help:"Mã máy chủ. | Id of the hub."`
}

// Run compares the registers and prints the minutes; exit 1 when they differ.
func (c compareCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		m, err := hub.peers.Reconcile(a.ctx, c.Hub, c.From, c.To)
		if err != nil {
			return err
		}
		if c.JSON {
			err = json.NewEncoder(a.stdout).Encode(m)
		} else {
			err = c.print(a, m)
		}
		if err == nil && len(m.Differences) > 0 {
			return fmt.Errorf("%d differences", len(m.Differences))
		}
		return err
	})
}

func (c compareCmd) print(a *app, m *peer.Minutes) error {
	_, err := fmt.Fprintf(a.stdout, "Biên bản %s: %d dòng sổ với %s từ %s đến %s, %d chỗ khác nhau.\n", m.ID, m.Lines, m.Other, m.From, m.To, len(m.Differences))
	for _, d := range m.Differences {
		if err != nil {
			return err
		}
		var what string
		line := d.Here
		switch d.Kind {
		case peer.OnlyHere:
			what = "chỉ có ở đây"
		case peer.OnlyThere:
			what, line = "chỉ có ở bên kia", d.There
		case peer.OtherDigest:
			what = "nội dung khác nhau"
		case peer.OtherNumber:
			what = "số khác nhau: " + numbers(d.Here) + ", bên kia " + numbers(d.There)
		}
		_, err = fmt.Fprintf(a.stdout, "%s  %s  %s → %s  %s\n", d.Day, line.Code, line.From, line.To, what)
	}
	return err
}

func numbers(l *exchange.RegisterLine) string {
	return fmt.Sprintf("%s, số đến %d", l.Code, l.ArrivalNumber)
}
