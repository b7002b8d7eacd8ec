package registry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"vanthu/storage/sqldb"
)

// Lifetimes of sessions and tokens.
const (
	SessionLife = 8 * time.Hour    // from login
	SessionIdle = 30 * time.Minute // without a call
	MaxTokenTTL = 366 * 24 * time.Hour

	tokenPrefix  = "vt_"
	sessionCache = 15 * time.Second
	touchEvery   = time.Minute // how stale last_used may be
)

const (
	kindSession = "session"
	kindToken   = "token"
)

type session struct {
	token                      string // SHA-256 hex
	person                     PersonID
	kind, name                 string
	created, lastUsed, expires time.Time
}

func newToken() (token, digest string) {
	b := make([]byte, 32)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
	return token, tokenDigest(token)
}

func tokenDigest(token string) string {
	d := sha256.Sum256([]byte(token))
	return hex.EncodeToString(d[:])
}

// Login checks a password and opens a session of 8 hours, 30 minutes idle. from
// is the caller's address: failures are limited per login and address, and more
// widely per login and per address. Many attempts at once wait for each other,
// until ctx ends. The answer does not tell whether login or password was wrong.
// Who has a second factor needs LoginWithCode: the error then is ErrCode.
func (r *Registry) Login(ctx context.Context, login, password, from string) (token string, a Actor, err error) {
	return r.LoginWithCode(ctx, login, password, "", from)
}

// LoginWithCode is Login with a code of the authenticator or a recovery code, which is
// spent by it. Wrong codes are limited as wrong passwords are.
func (r *Registry) LoginWithCode(ctx context.Context, login, password, code, from string) (token string, a Actor, err error) {
	login = strings.ToLower(strings.TrimSpace(login))
	if len(login) > 256 || len(password) > 4*maxPassword {
		return "", Actor{}, errCredentials()
	}
	end, locked, err := r.limiter.begin(ctx, login, from)
	if err != nil {
		return "", Actor{}, wrap("waiting for other logins", err)
	}
	if locked > 0 {
		minutes := int(locked/time.Minute) + 1
		return "", Actor{}, NewError(KindUnauthenticated,
			fmt.Sprintf("Đăng nhập sai quá nhiều lần. Thử lại sau %d phút.", minutes),
			fmt.Sprintf("Too many failed logins. Try again in %d minutes.", minutes))
	}
	p, result, err := r.checkLogin(ctx, login, password)
	if err == nil {
		result, err = r.checkCode(ctx, p.ID, code)
	}
	end(result)
	if err != nil {
		return "", Actor{}, err
	}
	now := r.now()
	token, digest := newToken()
	err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := deleteExpired(ctx, tx, now); err != nil {
			return err
		}
		return insertSession(ctx, tx, session{token: digest, person: p.ID, kind: kindSession, created: now, lastUsed: now, expires: now.Add(SessionLife)})
	})
	if err != nil {
		return "", Actor{}, wrap("opening session", err)
	}
	return token, p.actor(), nil
}

func (r *Registry) checkLogin(ctx context.Context, login, password string) (*Person, outcome, error) {
	p, phc, err := r.person(ctx, `login`, login)
	if err != nil && KindOf(err) != KindNotFound {
		return nil, undecided, err
	}
	ok, err := r.hasher.verify(ctx, phc, password)
	if err != nil {
		return nil, undecided, wrap("checking password", err)
	}
	if !ok || p == nil || p.Disabled {
		return nil, failed, errCredentials()
	}
	return p, succeeded, nil
}

// checkCode judges the second factor of somebody whose password is right.
func (r *Registry) checkCode(ctx context.Context, id PersonID, code string) (outcome, error) {
	right, err := r.useCode(ctx, id, code)
	switch {
	case errors.Is(err, ErrCode):
		return undecided, errCode()
	case err != nil:
		return undecided, wrap("checking a second factor", err)
	case !right:
		return failed, errCredentials()
	}
	return succeeded, nil
}

func errCredentials() *Error {
	return NewError(KindUnauthenticated, "Tên đăng nhập hoặc mật khẩu không đúng.", "The login or the password is wrong.")
}

func errSession() *Error {
	return NewError(KindUnauthenticated, "Chưa đăng nhập hoặc phiên làm việc đã hết hạn.", "Not logged in, or the session has ended.").
		Advise("Đăng nhập lại.", "Log in again.")
}

// Authenticate gives the actor of a session or API token, with the roles the
// person has now. The answer is kept for 15 seconds, so most calls cost neither
// a read nor a write.
func (r *Registry) Authenticate(ctx context.Context, token string) (Actor, error) {
	if !strings.HasPrefix(token, tokenPrefix) || len(token) > 128 {
		return Actor{}, errSession()
	}
	digest := tokenDigest(token)
	if a, ok := r.sessions.get(digest); ok {
		return a, nil
	}
	generation := r.sessions.generation()
	now := r.now()
	var s *session
	var p *Person
	err := r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if s, err = selectSession(ctx, tx, digest); err != nil || s == nil {
			return err
		}
		p, _, err = selectPerson(ctx, tx, `id`, string(s.person))
		return err
	})
	if err != nil {
		return Actor{}, wrap("checking session", err)
	}
	if s == nil || p == nil || p.Disabled || !now.Before(s.expires) ||
		(s.kind == kindSession && now.Sub(s.lastUsed) >= SessionIdle) {
		return Actor{}, errSession()
	}
	if now.Sub(s.lastUsed) >= touchEvery {
		err := r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return touchSession(ctx, tx, digest, now) })
		if err != nil {
			return Actor{}, wrap("prolonging session", err)
		}
	}
	a := p.actor()
	if s.expires.Sub(now) > sessionCache {
		r.sessions.put(generation, digest, a)
	}
	return a, nil
}

// Logout ends a session or withdraws a token. An unknown one is no error.
func (r *Registry) Logout(ctx context.Context, token string) error {
	err := r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return deleteSession(ctx, tx, tokenDigest(token))
	})
	r.sessions.clear()
	return wrap("logging out", err)
}

// CreateToken makes an API token with the actor's own rights, good for ttl (up
// to 366 days). It is returned once; only its digest is kept.
func (r *Registry) CreateToken(ctx context.Context, by Actor, name string, ttl time.Duration) (string, error) {
	name, err := CleanLine("Tên mã truy cập", "The token's name", name, 100)
	if err != nil {
		return "", err
	}
	if by.Person == "" {
		return "", NewError(KindForbidden, "Chỉ người dùng mới tạo được mã truy cập.", "Only a person can make a token.")
	}
	if ttl <= 0 || ttl > MaxTokenTTL {
		return "", NewError(KindInvalid, "Thời hạn mã truy cập phải từ 1 giây đến 366 ngày.", "A token lives up to 366 days.")
	}
	now := r.now()
	token, digest := newToken()
	err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return insertSession(ctx, tx, session{token: digest, person: by.Person, kind: kindToken, name: name, created: now, lastUsed: now, expires: now.Add(ttl)})
	})
	if err != nil {
		return "", wrap("making token", err)
	}
	return token, nil
}
