package registry

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"time"

	"vanthu/signing/keys"
	"vanthu/storage/sqldb"
)

// Fingerprint is the SHA-256 of a certificate's DER in lower-case hex.
func Fingerprint(c *x509.Certificate) string {
	d := sha256.Sum256(c.Raw)
	return hex.EncodeToString(d[:])
}

// SetKey stores an owner's PKCS#12 file as it is, still encrypted, and registers
// its certificate. The passphrase opens the file once, to see that it can be
// opened and whose it is; it is not kept. People set their own key,
// administrators those of the agencies and people they manage.
func (r *Registry) SetKey(ctx context.Context, by Actor, o Owner, p12 []byte, passphrase string) error {
	key, err := keys.FromPKCS12(p12, passphrase)
	switch {
	case errors.Is(err, keys.ErrPassphrase):
		return NewError(KindInvalid, "Mật khẩu của tệp khóa không đúng.", "The passphrase of the key file is wrong.").
			Keeping("Khóa cũ (nếu có) vẫn giữ nguyên.", "The former key, if any, stays.")
	case err != nil:
		return NewError(KindInvalid, "Tệp khóa không đọc được.", "The key file cannot be read.").
			Advise("Dùng tệp PKCS#12 (.p12, .pfx) có một khóa và chứng thư của nó.", "Use a PKCS#12 file (.p12, .pfx) with one key and its certificate.").
			Keeping("Khóa cũ (nếu có) vẫn giữ nguyên.", "The former key, if any, stays.").Because(err)
	}
	now := r.now()
	err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := mayOwn(ctx, tx, by, o); err != nil {
			return err
		}
		if err := upsertKey(ctx, tx, o, p12, now); err != nil {
			return err
		}
		return insertCertificate(ctx, tx, o, Fingerprint(key.Certificate), key.Certificate.Raw, by.Tag(), now)
	})
	r.certificates.clear()
	r.keys.clear()
	return wrap("storing key", err)
}

// Key gives an owner's PKCS#12 file, encrypted under the owner's passphrase. It
// is not for the doors: whoever calls decides who may use it.
func (r *Registry) Key(ctx context.Context, o Owner) (p12 []byte, err error) {
	if p12, ok := r.keys.get(o); ok {
		return p12, nil
	}
	generation := r.keys.generation()
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		p12, err = selectKey(ctx, tx, o)
		return err
	})
	if err == nil && p12 == nil {
		return nil, NewError(KindNotFound, "Chưa có khóa ký nào được lưu.", "No signing key is stored.").
			Advise("Nhập tệp khóa PKCS#12 hoặc ký bằng khóa ở ngoài.", "Import a PKCS#12 file, or sign with a key kept elsewhere.")
	}
	if err == nil {
		r.keys.put(generation, o, p12)
	}
	return p12, wrap("reading key", err)
}

// AddCertificate registers a certificate whose key is kept elsewhere (token,
// HSM, remote service). Administrators may.
func (r *Registry) AddCertificate(ctx context.Context, by Actor, o Owner, c *x509.Certificate) error {
	err := r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		manager := by
		if o.Kind == OwnerPerson && string(by.Person) == o.ID {
			manager.Person = "" // nobody vouches for the own certificate
		}
		if err := mayOwn(ctx, tx, manager, o); err != nil {
			return err
		}
		return insertCertificate(ctx, tx, o, Fingerprint(c), c.Raw, by.Tag(), r.now())
	})
	r.certificates.clear()
	return wrap("registering certificate", err)
}

// Certificates lists the registered certificates of an owner, newest first.
func (r *Registry) Certificates(ctx context.Context, o Owner) (out []Certificate, err error) {
	if c, ok := r.certificates.get(o); ok {
		return c, nil
	}
	generation := r.certificates.generation()
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		out, err = selectCertificates(ctx, tx, o)
		return err
	})
	if err == nil {
		r.certificates.put(generation, o, out)
	}
	return out, wrap("reading certificates", err)
}

// RevokeCertificate ends what a certificate says for its owner from a time on
// (zero = now): signatures made before still count where their time is proven,
// later ones do not. Administrators and, for their own, people may. An earlier
// revocation stays.
func (r *Registry) RevokeCertificate(ctx context.Context, by Actor, o Owner, fingerprint string, at time.Time, reason string) error {
	reason, err := CleanLine("Lý do", "The reason", reason, maxName)
	if err != nil {
		return err
	}
	if reason == "" {
		return NewError(KindInvalid, "Phải nêu lý do thu hồi chứng thư.", "Revoking a certificate needs a reason.")
	}
	if at.IsZero() {
		at = r.now()
	}
	err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := mayOwn(ctx, tx, by, o); err != nil {
			return err
		}
		return someCertificate(revokeCertificate(ctx, tx, o, fingerprint, at, by.Tag(), reason))
	})
	r.certificates.clear()
	return wrap("revoking certificate", err)
}

// LimitCertificate sets from when to when a certificate speaks for its owner;
// zero times mean the certificate's own. Administrators may.
func (r *Registry) LimitCertificate(ctx context.Context, by Actor, o Owner, fingerprint string, from, to time.Time) error {
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return NewError(KindInvalid, "Ngày hết hiệu lực phải sau ngày có hiệu lực.", "The last day must be after the first.")
	}
	err := r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		manager := by
		if o.Kind == OwnerPerson && string(by.Person) == o.ID {
			manager.Person = "" // as in AddCertificate
		}
		if err := mayOwn(ctx, tx, manager, o); err != nil {
			return err
		}
		return someCertificate(limitCertificate(ctx, tx, o, fingerprint, from, to))
	})
	r.certificates.clear()
	return wrap("limiting certificate", err)
}

func someCertificate(n int64, err error) error {
	if err == nil && n == 0 {
		return NewError(KindNotFound, "Không có chứng thư này của chủ đó, hoặc đã thu hồi từ trước.", "The owner has no such certificate, or it was revoked before.")
	}
	return err
}

// mayOwn checks who may set keys and certificates of an owner.
func mayOwn(ctx context.Context, tx *sqldb.Tx, by Actor, o Owner) error {
	switch o.Kind {
	case OwnerAgency:
		return mayManage(ctx, tx, by, AgencyID(o.ID), true)
	case OwnerPerson:
		p, _, err := selectPerson(ctx, tx, `id`, o.ID)
		if err != nil {
			return err
		}
		if p == nil {
			return NewError(KindNotFound, "Không có người dùng này.", "There is no such person.")
		}
		if !by.System && by.Person == p.ID {
			return nil
		}
		return mayManage(ctx, tx, by, p.Agency, true)
	}
	return NewError(KindInvalid, "Chủ khóa không hợp lệ.", "The owner of the key is not valid.")
}
