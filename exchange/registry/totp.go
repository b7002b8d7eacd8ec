package registry

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" // RFC 6238 with HMAC-SHA-1 is what every authenticator speaks; HMAC does not rest on collisions
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"vanthu/storage/sqldb"
)

// Parameters of the second factor (RFC 6238 §4, §5.2): six digits, 30 seconds, one
// step before and after for clocks that are off.
const (
	totpPeriod    = 30
	totpSkew      = 1
	totpSecret    = 20 // bytes, the length of HMAC-SHA-1's output (RFC 4226 §4)
	recoveryCodes = 10
)

// ErrCode marks the refusal of a login whose password is right and whose second
// factor is missing.
var ErrCode = errors.New("a code of the second factor is needed")

// TOTPState tells whether a person logs in with a second factor.
type TOTPState struct {
	Confirmed time.Time `json:"confirmed,omitzero"`
	Recovery  int       `json:"recovery"` // codes that are left
}

// hotp is the value of RFC 4226 §5.3 with six digits.
func hotp(secret []byte, counter uint64) string {
	mac := hmac.New(sha1.New, secret)
	var c [8]byte
	binary.BigEndian.PutUint64(c[:], counter)
	mac.Write(c[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:at+4])&0x7fffffff)%1_000_000)
}

// totpStep gives the time step that a code is of, 0 when it is none of those around
// now, or not after the last one used.
func totpStep(secret []byte, code string, now time.Time, last int64) int64 {
	step := now.Unix() / totpPeriod
	for s := step - totpSkew; s <= step+totpSkew; s++ {
		if s > last && subtle.ConstantTimeCompare([]byte(hotp(secret, uint64(s))), []byte(code)) == 1 {
			return s
		}
	}
	return 0
}

func (r *Registry) totpCipher() (cipher.AEAD, error) {
	if len(r.key) == 0 {
		return nil, NewError(KindUnavailable, "Máy chủ này chưa bật xác thực hai bước.", "This hub has no second factor.")
	}
	block, err := aes.NewCipher(r.key)
	if err != nil {
		return nil, fmt.Errorf("the key of second factors: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (r *Registry) openTOTP(t *totpRow) ([]byte, error) {
	seal, err := r.totpCipher()
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(t.secret)
	if err != nil {
		return nil, fmt.Errorf("decoding a second factor: %w", err)
	}
	secret, err := seal.Open(nil, nil, data, []byte(t.person))
	if err != nil {
		return nil, errors.New("a second factor does not open: was the key of the data folder changed?")
	}
	return secret, nil
}

// BeginTOTP makes a new secret for the actor's own authenticator and gives it with
// its otpauth: address; nothing changes until ConfirmTOTP.
func (r *Registry) BeginTOTP(ctx context.Context, by Actor) (secret, address string, err error) {
	if by.Person == "" || by.OnBehalfOf != nil {
		return "", "", NewError(KindForbidden, "Chỉ chính người dùng đặt xác thực hai bước cho mình.", "People set their own second factor.")
	}
	seal, err := r.totpCipher()
	if err != nil {
		return "", "", err
	}
	p, err := r.Person(ctx, by.Person)
	if err != nil {
		return "", "", err
	}
	raw := make([]byte, totpSecret)
	rand.Read(raw) // never fails: crypto/rand ends the program instead
	//nolint:gosec // this cipher makes its own random nonce and takes none
	t := &totpRow{person: p.ID, secret: base64.StdEncoding.EncodeToString(seal.Seal(nil, nil, raw, []byte(p.ID))), created: r.now()}
	err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		old, err := selectTOTP(ctx, tx, p.ID)
		if err != nil {
			return err
		}
		if old != nil && !old.confirmed.IsZero() {
			return NewError(KindConflict, "Xác thực hai bước đang bật; tắt trước khi đặt lại.", "The second factor is in force; remove it first.")
		}
		return upsertTOTP(ctx, tx, t)
	})
	if err != nil {
		return "", "", wrap("making a second factor", err)
	}
	secret = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)
	address = "otpauth://totp/" + url.PathEscape("vanthu:"+p.Login) + "?" + url.Values{"secret": {secret}, "issuer": {"vanthu"}}.Encode()
	return secret, address, nil
}

// ConfirmTOTP puts the second factor in force when the code is right, and gives the
// recovery codes, shown once: each lets its owner in once without the authenticator.
// Every session and API token of the actor ends: they were made without the code.
func (r *Registry) ConfirmTOTP(ctx context.Context, by Actor, code string) ([]string, error) {
	codes, sums := newRecovery()
	now := r.now()
	err := r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		t, err := selectTOTP(ctx, tx, by.Person)
		if err != nil {
			return err
		}
		if t == nil || !t.confirmed.IsZero() {
			return NewError(KindConflict, "Chưa bắt đầu đặt xác thực hai bước, hoặc đã bật.", "No second factor is waiting to be confirmed.")
		}
		secret, err := r.openTOTP(t)
		if err != nil {
			return err
		}
		if t.step = totpStep(secret, strings.TrimSpace(code), now, 0); t.step == 0 {
			return NewError(KindInvalid, "Mã xác thực không đúng.", "The code is wrong.").
				Advise("Kiểm tra giờ của điện thoại rồi nhập mã mới.", "Check the clock of the phone, then type a new code.")
		}
		t.confirmed, t.recovery = now, sums
		if err := upsertTOTP(ctx, tx, t); err != nil {
			return err
		}
		return deleteSessions(ctx, tx, by.Person)
	})
	r.sessions.clear()
	if err != nil {
		return nil, wrap("confirming a second factor", err)
	}
	return codes, nil
}

func newRecovery() (codes, sums []string) {
	for range recoveryCodes {
		raw := make([]byte, 10)
		rand.Read(raw)
		code := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
		codes, sums = append(codes, code[:8]+"-"+code[8:]), append(sums, recoverySum(code))
	}
	return codes, sums
}

func recoverySum(code string) string {
	d := sha256.Sum256([]byte(strings.NewReplacer("-", "", " ", "").Replace(strings.ToLower(code))))
	return hex.EncodeToString(d[:])
}

// ownCode checks a code that somebody who is logged in gives; tries are counted like those of a login.
func (r *Registry) ownCode(ctx context.Context, p *Person, code string) error {
	end, locked, err := r.limiter.begin(ctx, p.Login, "second factor")
	if err != nil {
		return wrap("waiting for other tries", err)
	}
	if locked > 0 {
		return NewError(KindUnauthenticated, "Nhập sai mã quá nhiều lần. Thử lại sau.", "Too many wrong codes. Try again later.")
	}
	right, err := r.useCode(ctx, p.ID, code)
	switch {
	case errors.Is(err, ErrCode):
		end(undecided)
		return errCode()
	case err != nil:
		end(undecided)
		return wrap("checking a second factor", err)
	case !right:
		end(failed)
		return NewError(KindInvalid, "Mã xác thực không đúng.", "The code is wrong.")
	}
	end(succeeded)
	return nil
}

// RemoveTOTP ends a second factor: people their own, with a code; administrators
// that of somebody who lost phone and codes, whose sessions end.
func (r *Registry) RemoveTOTP(ctx context.Context, by Actor, id PersonID, code string) error {
	p, err := r.Person(ctx, id)
	if err != nil {
		return err
	}
	if !by.System && by.Person == id {
		if err := r.ownCode(ctx, p, code); err != nil {
			return err
		}
	}
	err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if by.System || by.Person != id {
			if err := mayManage(ctx, tx, by, p.Agency, true); err != nil {
				return err
			}
			if err := deleteSessions(ctx, tx, id); err != nil {
				return err
			}
		}
		return deleteTOTP(ctx, tx, id)
	})
	r.sessions.clear()
	return wrap("removing a second factor", err)
}

// TOTP tells whether a second factor of a person is in force.
func (r *Registry) TOTP(ctx context.Context, id PersonID) (s TOTPState, err error) {
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		t, err := selectTOTP(ctx, tx, id)
		if err == nil && t != nil && !t.confirmed.IsZero() {
			s = TOTPState{Confirmed: t.confirmed, Recovery: len(t.recovery)}
		}
		return err
	})
	return s, wrap("reading a second factor", err)
}

// useCode judges a code of the authenticator or a recovery code and spends it; true
// where the person has no second factor.
func (r *Registry) useCode(ctx context.Context, id PersonID, code string) (right bool, err error) {
	code = strings.TrimSpace(code)
	err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		t, err := selectTOTP(ctx, tx, id)
		if err != nil {
			return err
		}
		if right = t == nil || t.confirmed.IsZero(); right {
			return nil
		}
		if code == "" {
			return ErrCode
		}
		if i := slices.Index(t.recovery, recoverySum(code)); i >= 0 {
			t.recovery, right = slices.Delete(t.recovery, i, i+1), true
			return upsertTOTP(ctx, tx, t)
		}
		secret, err := r.openTOTP(t)
		if err != nil {
			return err
		}
		if step := totpStep(secret, code, r.now(), t.step); step > 0 {
			t.step, right = step, true
			return upsertTOTP(ctx, tx, t)
		}
		return nil
	})
	return right, err
}

func errCode() *Error {
	return NewError(KindUnauthenticated, "Cần mã xác thực hai bước.", "A code of the second factor is needed.").
		Advise("Nhập mã 6 số của ứng dụng xác thực, hoặc một mã khôi phục.", "Type the six digits of the authenticator, or a recovery code.").Because(ErrCode)
}
