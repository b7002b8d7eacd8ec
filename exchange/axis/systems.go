package axis

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/sqldb"
)

// System is a piece of software that speaks for agencies over the axis (hệ thống tham gia trục).
type System struct {
	ID       string              `json:"id"`
	Name     string              `json:"name"`
	Agencies []registry.AgencyID `json:"agencies"`
	Disabled bool                `json:"disabled"`
	Created  time.Time           `json:"created"`
}

var systemGrammar = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$`)

// minSecret is the least length of a secret that is given rather than made.
const minSecret = 16

// AddSystem lets a system connect for agencies of the registry; an earlier secret of the same id no longer counts. With
// an empty secret one is made. It gives the secret, which is not shown again. An agency that another system spoke for is
// this system's from now on.
func (s *Server) AddSystem(ctx context.Context, system System, secret string) (string, error) {
	if !systemGrammar.MatchString(system.ID) {
		return "", registry.NewError(registry.KindInvalid, "Mã hệ thống gồm 2–64 chữ, số, dấu chấm, gạch.", "A system id is 2–64 letters, digits, dots and dashes.")
	}
	if secret == "" {
		secret = rand.Text()
	}
	if len(secret) < minSecret {
		return "", registry.NewError(registry.KindInvalid, fmt.Sprintf("Khóa bí mật phải có ít nhất %d ký tự.", minSecret), fmt.Sprintf("A secret has at least %d characters.", minSecret))
	}
	for _, a := range system.Agencies {
		if _, err := s.cfg.Registry.Agency(ctx, a); err != nil {
			return "", err
		}
	}
	sealed, err := s.seal(system.ID, secret)
	if err != nil {
		return "", err
	}
	err = s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := insertSystem(ctx, tx, system.ID, system.Name, sealed, s.cfg.Now()); err != nil {
			return err
		}
		return bindAgencies(ctx, tx, &system)
	})
	if err != nil {
		return "", fmt.Errorf("adding the axis system %s: %w", system.ID, err)
	}
	return secret, nil
}

// bindAgencies makes the agencies of a system exactly those that it names.
func bindAgencies(ctx context.Context, tx *sqldb.Tx, system *System) error {
	had, err := selectAgencies(ctx, tx, system.ID)
	if err != nil {
		return err
	}
	for _, a := range had {
		if slices.Contains(system.Agencies, a) {
			continue
		}
		if err := unbindAgency(ctx, tx, system.ID, a); err != nil {
			return err
		}
	}
	for _, a := range system.Agencies {
		if err := bindAgency(ctx, tx, system.ID, a); err != nil {
			return err
		}
	}
	return nil
}

// DisableSystem shuts a system out; what waits for its agencies is kept.
func (s *Server) DisableSystem(ctx context.Context, id string) error {
	found := false
	err := s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		found, err = disableSystem(ctx, tx, id)
		return err
	})
	if err == nil && !found {
		return registry.NewError(registry.KindNotFound, "Không có hệ thống này.", "There is no such system.")
	}
	return err
}

// Systems lists the systems by id.
func (s *Server) Systems(ctx context.Context) (list []System, err error) {
	err = s.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, err = selectSystems(ctx, tx)
		return err
	})
	return list, err
}

// seal encrypts a secret under the hub's key: HMAC needs the secret itself, so a hash would not do.
func (s *Server) seal(system, secret string) (string, error) {
	box, err := s.box()
	if err != nil {
		return "", err
	}
	sealed := box.Seal(nil, nil, []byte(secret), []byte(system)) //nolint:gosec // G407: this AEAD makes a random nonce itself
	return base64.StdEncoding.EncodeToString(sealed), nil
}

func (s *Server) unseal(system, sealed string) ([]byte, error) {
	box, err := s.box()
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, fmt.Errorf("reading the secret of axis system %s: %w", system, err)
	}
	secret, err := box.Open(nil, nil, data, []byte(system))
	if err != nil {
		return nil, fmt.Errorf("opening the secret of axis system %s: %w", system, err)
	}
	return secret, nil
}

func (s *Server) box() (cipher.AEAD, error) {
	block, err := aes.NewCipher(s.cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("the axis key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// secretOf gives the secret of an enabled system; an unknown one is refused like a wrong secret.
func (s *Server) secretOf(ctx context.Context, system string) ([]byte, error) {
	var sealed string
	err := s.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		sealed, err = selectSecret(ctx, tx, system)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking up axis system: %w", err)
	}
	if sealed == "" {
		return nil, fault(CodeUnknownSystem, "system id or secret is wrong")
	}
	return s.unseal(system, sealed)
}
