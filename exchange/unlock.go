package exchange

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"vanthu/exchange/registry"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
)

const (
	unlockLife = 10 * time.Minute
	unlockMax  = 256
)

// unlocked keeps opened keys in memory for a short time: opening a PKCS#12 file
// is made slow on purpose, and a clerk seals many documents in a row. The
// passphrase is kept only as a keyed digest; a wrong one finds nothing here.
type unlocked struct {
	secret [32]byte // of this process
	now    func() time.Time
	flight singleflight.Group // many documents signed at once open the key once
	mu     sync.Mutex
	kept   map[unlockKey]unlockedKey
}

type unlockKey struct {
	owner registry.Owner
	mac   [32]byte // over the encrypted file and the passphrase
}

type unlockedKey struct {
	key   *keys.Key
	until time.Time
}

func newUnlocked(now func() time.Time) *unlocked {
	u := &unlocked{now: now, kept: map[unlockKey]unlockedKey{}}
	rand.Read(u.secret[:]) // never fails: crypto/rand ends the program instead
	return u
}

func (u *unlocked) open(o registry.Owner, p12 []byte, passphrase string) (*keys.Key, error) {
	m := hmac.New(sha256.New, u.secret[:])
	file := sha256.Sum256(p12)
	m.Write([]byte(o.Kind + "/" + registry.OwnerKind(o.ID) + "/"))
	m.Write(file[:])
	m.Write([]byte(passphrase))
	k := unlockKey{owner: o}
	m.Sum(k.mac[:0])
	now := u.now()
	u.mu.Lock()
	e, ok := u.kept[k]
	u.mu.Unlock()
	if ok && now.Before(e.until) {
		return e.key, nil
	}
	opened, err, _ := u.flight.Do(string(k.mac[:]), func() (any, error) { return keys.FromPKCS12(p12, passphrase) })
	if err != nil {
		return nil, err
	}
	key := opened.(*keys.Key)
	u.mu.Lock()
	defer u.mu.Unlock()
	for old, e := range u.kept {
		if len(u.kept) >= unlockMax || !now.Before(e.until) || old.owner == o {
			delete(u.kept, old)
		}
	}
	u.kept[k] = unlockedKey{key, now.Add(unlockLife)}
	return key, nil
}

// signingKey gives the key for a step: the one handed in, or the stored one of
// the person (initial, approve) or of the agency (seal). Its certificate must be
// registered for that owner, and none of the test authority unless allowed.
func (s *Service) signingKey(ctx context.Context, by registry.Actor, in SignInput) (*keys.Key, error) {
	owner := registry.PersonOwner(by.Person)
	if in.Step == StepSeal {
		owner = registry.AgencyOwner(by.Agency)
	}
	key := in.Key
	if key == nil {
		p12, err := s.reg.Key(ctx, owner)
		if err != nil {
			return nil, err
		}
		key, err = s.unlocked.open(owner, p12, in.Passphrase)
		if errors.Is(err, keys.ErrPassphrase) {
			return nil, unchanged(fail(KindInvalid, "Mật khẩu của khóa ký không đúng.", "The passphrase of the signing key is wrong."))
		}
		if err != nil {
			return nil, unchanged(fail(KindUnavailable, "Khóa ký đã lưu không mở được.", "The stored signing key cannot be opened.").
				Advise("Nhập lại tệp khóa PKCS#12.", "Import the PKCS#12 file again.").Because(err))
		}
	}
	if key.Certificate == nil {
		return nil, unchanged(fail(KindInvalid, "Khóa ký không có chứng thư.", "The signing key has no certificate."))
	}
	if !s.cfg.AllowTestKeys {
		if slices.ContainsFunc(key.Certificates(), pki.IsTestCertificate) {
			return nil, unchanged(fail(KindForbidden, "Khóa thử nghiệm không được dùng để ký văn bản thật.", "A test key may not sign real documents.").
				Advise("Dùng khóa do tổ chức chứng thực cấp.", "Use a key issued by a certification authority."))
		}
	}
	known, err := s.registered(ctx, owner, registry.Fingerprint(key.Certificate), s.clock())
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, unchanged(fail(KindForbidden, "Chứng thư của khóa này chưa được đăng ký cho người (cơ quan) ký.", "The certificate of this key is not registered for the signer.").
			Advise("Quản trị viên đăng ký chứng thư, hoặc nhập tệp khóa của người ký.", "Have an administrator register the certificate, or import the signer's key file."))
	}
	return key, nil
}

// unchanged says that a failed signature left the document as it was.
func unchanged(e *Error) *Error {
	return e.Keeping("Văn bản vẫn giữ nguyên như trước khi ký.", "The document is as it was before.")
}
