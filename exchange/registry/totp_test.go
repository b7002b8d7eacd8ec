package registry

import (
	"encoding/base32"
	"errors"
	"testing"
	"time"

	"vanthu/storage/sqldb/sqldbtest"
)

// TestTOTPVectors holds the values of RFC 4226 Appendix D and the SHA-1 column of RFC 6238 Appendix B, last six digits.
func TestTOTPVectors(t *testing.T) {
	secret := []byte("12345678901234567890")
	for i, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := hotp(secret, uint64(i)); got != want {
			t.Errorf("counter %d: %s, want %s", i, got, want)
		}
	}
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := totpStep(secret, want, time.Unix(at, 0), 0); got != at/30 {
			t.Errorf("time %d: step %d", at, got)
		}
	}
	if totpStep(secret, "287082", time.Unix(59, 0), 1) != 0 {
		t.Error("a code was good twice")
	}
}

// TestLoginWithSecondFactor asks for the code after the right password, takes each once, and a recovery code once.
func TestLoginWithSecondFactor(t *testing.T) {
	now := time.Date(2026, 3, 5, 1, 0, 0, 0, time.UTC)
	r, err := New(sqldbtest.SQLite(t), Options{Now: func() time.Time { return now }, Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, password := t.Context(), "mat-khau-dai-va-kho-doan"
	if err := r.AddAgency(ctx, System("test"), Agency{ID: "H03", Name: "A", Channel: ChannelLocal}); err != nil {
		t.Fatal(err)
	}
	p, err := r.AddPerson(ctx, System("test"), Person{Login: "an", Name: "An", Agency: "H03", Roles: []Role{RoleClerk}}, password)
	if err != nil {
		t.Fatal(err)
	}
	by := p.actor()
	text, _, err := r.BeginTOTP(ctx, by)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	code := func() string { return hotp(secret, uint64(now.Unix()/30)) }
	if _, _, err := r.Login(ctx, "an", password, "x"); err != nil {
		t.Fatal("asked before it was confirmed:", err)
	}
	if _, err := r.ConfirmTOTP(ctx, by, "000000"); KindOf(err) != KindInvalid && code() != "000000" {
		t.Fatal(err)
	}
	recovery, err := r.ConfirmTOTP(ctx, by, code())
	if err != nil || len(recovery) != recoveryCodes {
		t.Fatal(recovery, err)
	}
	if _, _, err := r.Login(ctx, "an", password, "x"); !errors.Is(err, ErrCode) {
		t.Errorf("without a code: %v", err)
	}
	if _, _, err := r.LoginWithCode(ctx, "an", password, code(), "x"); KindOf(err) != KindUnauthenticated {
		t.Errorf("the code of the confirmation was good again: %v", err)
	}
	now = now.Add(time.Minute)
	if _, _, err := r.LoginWithCode(ctx, "an", "sai", code(), "x"); KindOf(err) != KindUnauthenticated || errors.Is(err, ErrCode) {
		t.Errorf("a wrong password is told apart: %v", err)
	}
	if _, _, err := r.LoginWithCode(ctx, "an", password, code(), "x"); err != nil {
		t.Error(err)
	}
	for i, want := range []Kind{"", KindUnauthenticated} {
		if _, _, err := r.LoginWithCode(ctx, "an", password, recovery[0], "x"); KindOf(err) != want {
			t.Errorf("recovery code, use %d: %v", i, err)
		}
	}
	if s, err := r.TOTP(ctx, p.ID); err != nil || s.Recovery != recoveryCodes-1 {
		t.Errorf("%+v %v", s, err)
	}
	for range maxPairFailures {
		if _, _, err := r.LoginWithCode(ctx, "an", password, "999999", "y"); err == nil {
			t.Error("a wrong code lets in")
		}
	}
	if _, _, err = r.LoginWithCode(ctx, "an", password, recovery[1], "y"); KindOf(err) != KindUnauthenticated {
		t.Errorf("guessing codes is not limited: %v", err)
	}
	if err := r.RemoveTOTP(ctx, by, p.ID, recovery[2]); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Login(ctx, "an", password, "x"); err != nil {
		t.Error(err)
	}
}
