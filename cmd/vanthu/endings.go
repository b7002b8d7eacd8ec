package main

import (
	"errors"
	"fmt"
	"strings"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// founded reads CODE, an agency that is there, or CODE=NAME, one that begins.
func founded(text string, like *registry.Agency) (registry.Agency, error) {
	code, name, _ := strings.Cut(text, "=")
	id, err := registry.ParseAgencyID(code)
	if err != nil || name == "" {
		return registry.Agency{ID: id}, err
	}
	a := registry.Agency{ID: id, Name: name, Channel: registry.ChannelLocal}
	if like != nil { // the place and rank of whom it continues
		a.Symbol, a.Place, a.Level, a.Parent = like.Symbol, like.Place, like.Level, like.Parent
	}
	return a, nil
}

// ended prints what a succession did.
func ended(a *app, asJSON bool, r *exchange.SuccessionResult, err error) error {
	if err != nil {
		return err
	}
	return printLine(a.stdout, asJSON, r, "%s: %v → %v; chuyển tiếp %d, dùng chung %d, dự thảo %d, hủy số %d | %s", r.Act, r.Closed, r.Successors,
		r.Rerouted, r.Joined, r.Drafts, r.Cancelled, "done")
}

type agencyMergeCmd struct {
	dataFlags
	Into     string   `required:"" help:"MÃ của cơ quan tiếp nhận, hoặc MÃ=TÊN của cơ quan mới. | CODE of the successor, or CODE=NAME of a new one."`
	Children bool     `help:"Đơn vị trực thuộc về cơ quan mới. | The agencies below go below the successor."`
	JSON     bool     `name:"json" help:"Kết quả dạng JSON. | Result as JSON."`
	From     []string `arg:"" help:"Các cơ quan kết thúc. | The agencies that end."`
}

// Run merges agencies.
func (c agencyMergeCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		like, err := hub.Registry.Agency(a.ctx, registry.AgencyID(c.From[0]))
		if err != nil {
			return err
		}
		into, err := founded(c.Into, like)
		if err != nil {
			return err
		}
		from := make([]registry.AgencyID, len(c.From))
		for i, code := range c.From {
			from[i] = registry.AgencyID(code)
		}
		r, err := hub.Service.Merge(a.ctx, administers(), from, into, exchange.SuccessionOptions{Children: c.Children})
		return ended(a, c.JSON, r, err)
	})
}

type agencySplitCmd struct {
	dataFlags
	Into     []string `required:"" sep:"none" help:"MÃ hoặc MÃ=TÊN; lặp lại cho mỗi cơ quan. | CODE or CODE=NAME, once for each."`
	Heir     string   `required:"" help:"Mã cơ quan tiếp nhận việc dở dang. | Who takes over what is under way."`
	Children bool     `help:"Đơn vị trực thuộc về cơ quan tiếp nhận. | The agencies below go below the heir."`
	JSON     bool     `name:"json" help:"Kết quả dạng JSON. | Result as JSON."`
	From     string   `arg:"" help:"Cơ quan được chia. | The agency to split."`
}

// Run splits an agency.
func (c agencySplitCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		like, err := hub.Registry.Agency(a.ctx, registry.AgencyID(c.From))
		if err != nil {
			return err
		}
		into := make([]registry.Agency, len(c.Into))
		for i, text := range c.Into {
			if into[i], err = founded(text, like); err != nil {
				return err
			}
		}
		r, err := hub.Service.Split(a.ctx, administers(), like.ID, into, registry.AgencyID(c.Heir), exchange.SuccessionOptions{Children: c.Children})
		return ended(a, c.JSON, r, err)
	})
}

type agencyCloseCmd struct {
	dataFlags
	Heir     string `help:"Mã cơ quan tiếp nhận việc dở dang; không ai nếu bỏ trống. | Who takes over; nobody when absent."`
	Children bool   `help:"Đơn vị trực thuộc về cơ quan tiếp nhận. | The agencies below go below the heir."`
	JSON     bool   `name:"json" help:"Kết quả dạng JSON. | Result as JSON."`
	From     string `arg:"" help:"Cơ quan giải thể. | The agency to close."`
}

// Run closes an agency.
func (c agencyCloseCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		r, err := hub.Service.CloseAgency(a.ctx, administers(), registry.AgencyID(c.From), registry.AgencyID(c.Heir), exchange.SuccessionOptions{Children: c.Children})
		return ended(a, c.JSON, r, err)
	})
}

type agencyRenameCmd struct {
	dataFlags
	Name       string `help:"Tên mới. | New name."`
	Symbol     string `help:"Chữ viết tắt mới. | New abbreviation."`
	Place      string `help:"Địa danh mới. | New place."`
	Mail       string `help:"Hộp thư mới. | New official address."`
	Code       string `help:"Mã định danh mới. | New identification code."`
	LegacyCode string `name:"legacy-code" help:"Mã QCVN 102 mới. | New QCVN 102 code."`
	JSON       bool   `name:"json" help:"Kết quả dạng JSON. | Result as JSON."`
	Agency     string `arg:"" help:"Mã định danh cơ quan. | Code of the agency."`
}

// Run renames an agency.
func (c agencyRenameCmd) Run(a *app) error {
	if c.Name+c.Symbol+c.Place+c.Mail+c.Code+c.LegacyCode == "" {
		return unreadable(errors.New("chưa nêu thay đổi nào | nothing to change"))
	}
	return c.with(a, func(hub *Hub) error {
		r, err := hub.Service.Rename(a.ctx, administers(), registry.AgencyID(c.Agency), exchange.Renaming{
			Name: c.Name, Symbol: c.Symbol, Place: c.Place, Mail: c.Mail, Code: registry.AgencyID(c.Code), LegacyCode: c.LegacyCode})
		return ended(a, c.JSON, r, err)
	})
}

type paperCmd struct {
	dataFlags
	Agency     string   `required:"" help:"Mã cơ quan ban hành. | The issuing agency."`
	Type       string   `required:"" help:"Ký hiệu loại văn bản. | Type of the document."`
	Subject    string   `required:"" help:"Trích yếu. | Subject."`
	Signer     string   `required:"" help:"Họ tên người ký. | Who signed."`
	Reason     string   `required:"" help:"Lý do dùng bản giấy. | Why on paper: recipient, outage, choice."`
	Others     string   `help:"Nơi nhận không có mã. | Recipients without a code."`
	Note       string   `help:"Ghi chú. | A note."`
	JSON       bool     `name:"json" help:"Kết quả dạng JSON. | Result as JSON."`
	Recipients []string `arg:"" optional:"" help:"Mã các nơi nhận. | Codes of the recipients."`
}

// Run numbers and registers a document that is issued on paper only.
func (c paperCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		by := administers()
		by.Agency = registry.AgencyID(c.Agency)
		in := exchange.PaperInput{Type: c.Type, Subject: c.Subject, SignerName: c.Signer, Reason: c.Reason, Others: c.Others, Note: c.Note}
		for _, code := range c.Recipients {
			in.Recipients = append(in.Recipients, registry.AgencyID(code))
		}
		d, err := hub.Service.RegisterPaper(a.ctx, by, in)
		if err != nil {
			return err
		}
		return printLine(a.stdout, c.JSON, d, "Đã vào sổ văn bản giấy %s | %s", d.Code(), fmt.Sprint(d.Year))
	})
}
