// Package bymail takes documents to agencies that have no software but an official mailbox (văn bản gửi qua thư công vụ):
// a signed message (S/MIME) from the sender's official account, with the document and a link to a page on which a person
// says that it came, or gives it back with a reason.
//
// # What counts as a receipt
//
// Only a POST with the code that stands in the text of the message. Fetching the link, however often and by whomever (link
// scanners, previews, proxies), changes nothing. Five wrong codes close the page; it works once, and for 30 days.
//
// # What comes back by mail
//
// Every message has an envelope sender of its own, account+tag@domain, whose tag cannot be guessed. Reports that come to
// it (RFC 3464 delivery status, RFC 8098 disposition) are about that message and no other: a permanent failure ends the
// delivery with the reason as negative evidence, also when the message had been accepted before; a delay, a disposition
// and an automatic answer change nothing, and the delivery goes on waiting for its deadline. Everything else that comes
// there is for people and stays in the mailbox.
package bymail

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"embed"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/mail"
	"vanthu/signing/keys"
	"vanthu/signing/tsa"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

//go:embed schema/*.sql
var schema embed.FS

// Channel marks an agency that gets documents by mail, at its official address in the register.
const Channel = "mail"

// PagePath is where the confirmation pages are.
const PagePath = "/mail/"

const (
	lifetime = 30 * 24 * time.Hour // of a confirmation page
	maxTries = 5                   // wrong codes
	readPace = 5 * time.Second     // between looks at the mailboxes
)

// Config of New. All but TSA, Now and Logger are needed.
type Config struct {
	DB       *sqldb.DB
	Blobs    blob.Backend
	Mail     *mail.Store
	Registry *registry.Registry
	Service  *exchange.Service
	Key      []byte // 32 bytes: links and codes are derived from it
	// BaseURL is where recipients reach the hub's pages.
	BaseURL func() string
	// SigningKey gives the key that signs an agency's messages.
	SigningKey func(ctx context.Context, a registry.AgencyID) (*keys.Key, error)
	TSA        tsa.Client
	MaxPDF     int64
	Now        func() time.Time
	Logger     *slog.Logger
}

// Bridge is the channel. Its methods may be called at the same time.
type Bridge struct{ cfg Config }

// New opens the channel and takes it on at the service. Call it before the queue starts.
func New(cfg Config) (*Bridge, error) {
	const keySize = 32
	if len(cfg.Key) != keySize {
		return nil, fmt.Errorf("bymail: a key of %d bytes is needed", keySize)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxPDF <= 0 {
		cfg.MaxPDF = exchange.DefaultMaxPDF
	}
	files, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	if err := cfg.DB.Migrate(context.Background(), "bymail", files); err != nil {
		return nil, err
	}
	b := &Bridge{cfg}
	cfg.Service.AddCarrier(Channel, b)
	return b, nil
}

// derive makes a secret of a letter for one purpose.
func (b *Bridge) derive(purpose, letter string) []byte {
	mac := hmac.New(sha256.New, b.cfg.Key)
	mac.Write([]byte(purpose + "\x00" + letter))
	return mac.Sum(nil)
}

func tag(secret []byte) string {
	const bits = 20 // bytes
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret[:bits]))
}

// link, verp and code are what a letter carries: for its page, its envelope, its text.
func (b *Bridge) link(letter string) string { return tag(b.derive("link", letter)) }
func (b *Bridge) verp(letter string) string { return tag(b.derive("verp", letter)) }
func (b *Bridge) code(letter string) string {
	const digits = 100_000_000
	return fmt.Sprintf("%08d", binary.BigEndian.Uint64(b.derive("code", letter))%digits)
}

func hashed(link string) string {
	sum := sha256.Sum256([]byte(link))
	return hex.EncodeToString(sum[:])
}

// Run reads what comes back to the official accounts until ctx ends.
func (b *Bridge) Run(ctx context.Context) {
	pace := time.NewTicker(readPace)
	defer pace.Stop()
	for {
		if err := b.ReadReports(ctx); err != nil && ctx.Err() == nil {
			b.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "reading mail reports; it will be tried again", slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
	}
}

var errNoAccount = errors.New("the sender has no official mail account on this hub")
