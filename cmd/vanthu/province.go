package main

import (
	"context"
	"crypto/rand"
	"crypto/x509/pkix"
	"fmt"

	"vanthu/exchange/registry"
	"vanthu/mail"
	"vanthu/signing/pki"
)

// province is a small administration that does not exist, for the demonstration and the load: one provincial committee
// that sends, and agencies that receive. Every password and passphrase is made anew and lives only in memory.
type province struct {
	sender    office
	receivers []office
	admin     person // quản trị of the whole province
}

// office is one agency with its people.
type office struct {
	agency  registry.Agency
	officer person // chuyên viên
	leader  person // lãnh đạo
	clerk   person // văn thư
	sealPIN string
}

type person struct {
	registry.Person
	password string
	pin      string // passphrase of the signing key
	keyType  pki.KeyType
}

// provinceName is the committee's place; there is no such province.
const provinceName = "Bắc Sơn"

// plannedProvince says who there is, before anything is stored.
func plannedProvince(domain string) province {
	root := registry.AgencyID("H99")
	p := province{sender: plannedOffice(registry.Agency{
		ID: root, LegacyCode: "000.00.00.H99", Name: "Ủy ban nhân dân tỉnh " + provinceName, Symbol: "UBND", Place: provinceName,
		Level: "province", Mail: "ubnd@" + domain,
	}, "ubnd", domain, [3]string{"Nguyễn Thị Hạnh", "Trần Quốc Đạt", "Lê Ngọc Ánh"}, "CHỦ TỊCH")}
	p.admin = person{
		Person: registry.Person{
			Login: "quantri", Name: "Phan Minh Tuấn", Position: "Quản trị", Mail: "quantri@" + domain, Agency: root, Roles: []registry.Role{registry.RoleAdministrator},
		},
		password: rand.Text(),
	}
	for _, r := range []struct {
		code, legacy, name, symbol, login, position string
		people                                      [3]string
	}{
		{"H99.05", "000.00.05.H99", "Sở Nội vụ tỉnh " + provinceName, "SNV", "snv", "GIÁM ĐỐC", [3]string{"Phạm Văn Bình", "Hoàng Thị Mỹ", "Đỗ Thùy Dương"}},
		{"H99.07", "000.00.07.H99", "Sở Tài chính tỉnh " + provinceName, "STC", "stc", "GIÁM ĐỐC", [3]string{"Vũ Đức Thắng", "Bùi Thị Lựu", "Ngô Quỳnh Như"}},
		{"H99.11", "000.00.11.H99", "Sở Giáo dục và Đào tạo tỉnh " + provinceName, "SGDĐT", "sgddt", "GIÁM ĐỐC", [3]string{"Đặng Hữu Phước", "Dương Văn Kỷ", "Trịnh Thị Thơ"}},
		{"H99.30", "000.00.30.H99", "Ủy ban nhân dân xã Ngọc Lĩnh", "UBND", "ngoclinh", "CHỦ TỊCH", [3]string{"Lý Thị Xuân", "Nông Văn Sửu", "Triệu Mùi Pham"}},
	} {
		p.receivers = append(p.receivers, plannedOffice(registry.Agency{
			ID: registry.AgencyID(r.code), LegacyCode: r.legacy, Name: r.name, Symbol: r.symbol, Place: provinceName,
			Level: "department", Mail: r.login + "@" + domain, Parent: root,
		}, r.login, domain, r.people, r.position))
	}
	return p
}

func plannedOffice(agency registry.Agency, login, domain string, names [3]string, position string) office {
	agency.Channel = registry.ChannelLocal
	member := func(name, suffix, position string, role registry.Role, keyType pki.KeyType) person {
		full := suffix + "." + login
		return person{
			Person: registry.Person{
				Login: full, Name: name, Position: position, Mail: full + "@" + domain, Agency: agency.ID, Roles: []registry.Role{role},
			},
			password: rand.Text(), pin: rand.Text(), keyType: keyType,
		}
	}
	return office{
		agency:  agency,
		officer: member(names[0], "chuyenvien", "Chuyên viên", registry.RoleOfficer, pki.P256),
		leader:  member(names[1], "lanhdao", position, registry.RoleLeader, pki.RSA2048),
		clerk:   member(names[2], "vanthu", "Văn thư", registry.RoleClerk, pki.P256),
		sealPIN: rand.Text(),
	}
}

// everyone lists the people of an office.
func (o *office) everyone() []*person { return []*person{&o.officer, &o.leader, &o.clerk} }

// offices lists the sender and then the receivers.
func (p *province) offices() []*office {
	all := []*office{&p.sender}
	for i := range p.receivers {
		all = append(all, &p.receivers[i])
	}
	return all
}

// settle stores the province in a hub: agencies, people, keys certified by the hub's own authority, mail accounts.
// Only the sender's people sign, so only they have keys.
func (p *province) settle(ctx context.Context, hub *Hub, step func()) error {
	by := registry.System("demo")
	for i, o := range p.offices() {
		if err := hub.Registry.AddAgency(ctx, by, o.agency); err != nil {
			return fmt.Errorf("add agency %s: %w", o.agency.ID, err)
		}
		if _, err := hub.Mail.AddAccount(ctx, mail.Account{
			Address: mail.Address(o.agency.Mail), Name: o.agency.Name, Kind: mail.KindOrganisation,
		}, o.clerk.password); err != nil {
			return fmt.Errorf("add mail account %s: %w", o.agency.Mail, err)
		}
		for _, member := range o.everyone() {
			if err := settlePerson(ctx, hub, member, i == 0); err != nil {
				return err
			}
			step()
		}
	}
	if err := settlePerson(ctx, hub, &p.admin, false); err != nil {
		return err
	}
	return p.sender.settleSeal(ctx, hub)
}

func settlePerson(ctx context.Context, hub *Hub, member *person, signs bool) error {
	by := registry.System("demo")
	added, err := hub.Registry.AddPerson(ctx, by, member.Person, member.password)
	if err != nil {
		return fmt.Errorf("add person %s: %w", member.Login, err)
	}
	member.Person = *added
	if _, err := hub.Mail.AddAccount(ctx, mail.Account{
		Address: mail.Address(member.Mail), Name: member.Name, Kind: mail.KindPerson,
	}, member.password); err != nil {
		return fmt.Errorf("add mail account %s: %w", member.Mail, err)
	}
	if !signs {
		return nil
	}
	p12, err := issueP12(hub, pki.IssueRequest{
		Subject: pkix.Name{Country: []string{"VN"}, Organization: []string{provinceName}, CommonName: member.Name},
		Usage:   pki.UsagePerson, Emails: []string{member.Mail}, KeyType: member.keyType,
	}, member.pin)
	if err != nil {
		return fmt.Errorf("key of %s: %w", member.Login, err)
	}
	return hub.Registry.SetKey(ctx, by, registry.PersonOwner(member.ID), p12, member.pin)
}

func (o *office) settleSeal(ctx context.Context, hub *Hub) error {
	p12, err := issueP12(hub, pki.IssueRequest{
		Subject: pkix.Name{Country: []string{"VN"}, Organization: []string{o.agency.Name}, CommonName: o.agency.Name},
		Usage:   pki.UsageSeal, Emails: []string{o.agency.Mail},
	}, o.sealPIN)
	if err != nil {
		return fmt.Errorf("seal of %s: %w", o.agency.ID, err)
	}
	return hub.Registry.SetKey(ctx, registry.System("demo"), registry.AgencyOwner(o.agency.ID), p12, o.sealPIN)
}

func issueP12(hub *Hub, request pki.IssueRequest, passphrase string) ([]byte, error) {
	key, err := hub.identity.authority.Issue(request)
	if err != nil {
		return nil, err
	}
	return key.ToPKCS12(passphrase)
}
