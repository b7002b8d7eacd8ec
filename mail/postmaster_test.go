package mail_test

import (
	"errors"
	"testing"

	"vanthu/mail"
	"vanthu/storage/blob/disk"
	"vanthu/storage/sqldb/sqldbtest"
)

// TestPostmaster: mail to postmaster@ goes to the account of that name, else to the configured one.
func TestPostmaster(t *testing.T) {
	s := newStore(t, func(c *mail.Config) { c.Postmaster = "Admin@Tinh.example" })
	ctx := t.Context()
	var missing *mail.RecipientError
	if err := s.CheckRecipient(ctx, "postmaster@tinh.example", 10, false); !errors.As(err, &missing) || !errors.Is(err, mail.ErrNoRecipient) {
		t.Errorf("before the account is there: %v", err)
	}
	admin := addAccount(t, s, "admin@tinh.example")
	for _, to := range []mail.Address{"Postmaster@TINH.example", "postmaster@so.example"} {
		if err := s.CheckRecipient(ctx, to, 10, false); err != nil {
			t.Errorf("%s: %v", to, err)
		}
		if d := deliver(t, s, mail.Envelope{To: []mail.Address{to}}, message("m", "x")); len(d) != 1 || d[0].Account != admin.ID {
			t.Errorf("%s went to %+v", to, d)
		}
	}
	if ok, err := s.SenderAllowed(ctx, admin, "postmaster@tinh.example"); ok || err != nil {
		t.Errorf("admin may send as postmaster: %v, %v", ok, err)
	}
	own := addAccount(t, s, "postmaster@so.example")
	if d := deliver(t, s, mail.Envelope{To: []mail.Address{"postmaster@so.example"}}, message("own", "x")); d[0].Account != own.ID {
		t.Error("the account named postmaster did not get its mail")
	}
	if d := deliver(t, s, mail.Envelope{To: []mail.Address{"postmaster@tinh.example"}}, message("other", "x")); d[0].Account != admin.ID {
		t.Error("the other domain's postmaster mail went astray")
	}
	if err := s.CheckRecipient(ctx, "postmaster@else.example", 10, false); !errors.Is(err, mail.ErrNotLocal) {
		t.Errorf("another's postmaster: %v", err)
	}
	check(t, s)
}

func TestPostmasterConfig(t *testing.T) {
	for _, bad := range []mail.Address{"admin", "admin@else.example"} {
		blobs, err := disk.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		cfg := mail.Config{DB: sqldbtest.SQLite(t), Blobs: blobs, Domains: []string{"tinh.example"}, Postmaster: bad}
		if _, err := mail.New(t.Context(), cfg); err == nil {
			t.Errorf("postmaster %q was taken", bad)
		}
	}
}
