package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// configName is the configuration file inside a data folder.
const configName = "vanthu.toml"

// Config is everything an operator may set. Every field works when it is absent from the file; a key that the program
// does not know is an error, since a misspelt limit that is silently ignored is worse than a refusal to start.
type Config struct {
	Name     string        `toml:"name" doc:"name of the hub as officials and other hubs see it"`
	Domain   string        `toml:"domain" doc:"mail domain of the official accounts"`
	Insecure bool          `toml:"insecure" doc:"accept test certificates and passwords on plain loopback connections; never on a real hub"`
	Listen   ListenConfig  `toml:"listen" doc:"addresses; an empty one switches the door off"`
	Storage  StorageConfig `toml:"storage" doc:"engines; empty means the embedded one"`
	Limits   LimitsConfig  `toml:"limits" doc:"bounds of what is taken in"`
	Signing  SigningConfig `toml:"signing" doc:"whom to trust and where to ask the time"`
	Trust    TrustConfig   `toml:"trust" doc:"trust lists, and whom to ask whether a certificate was revoked"`
	Mail     MailConfig    `toml:"mail" doc:"mail that leaves the hub"`
	Webhooks WebhookConfig `toml:"webhooks" doc:"programs that are told of events"`
	Peers    PeersConfig   `toml:"peers" doc:"exchange with other hubs"`
	Log      LogConfig     `toml:"log" doc:"the evidence log, open to everybody at /log/"`
}

// ListenConfig holds the addresses of the doors, host:port each.
type ListenConfig struct {
	HTTP          string `toml:"http" doc:"console, API and public pages"`
	SMTP          string `toml:"smtp" doc:"mail from other servers (STARTTLS)"`
	Submission    string `toml:"submission" doc:"mail from the accounts (STARTTLS)"`
	SubmissionTLS string `toml:"submission_tls" doc:"mail from the accounts (TLS)"`
	IMAP          string `toml:"imap" doc:"mailboxes (STARTTLS)"`
	IMAPTLS       string `toml:"imap_tls" doc:"mailboxes (TLS)"`
	Metrics       string `toml:"metrics" doc:"health and figures for monitoring"`
	HTTPTLS       bool   `toml:"http_tls" doc:"serve the console and the API over TLS with the hub's own certificate"`
}

// StorageConfig picks the engines. The zero value is SQLite and files in the data folder.
type StorageConfig struct {
	Postgres      string `toml:"postgres" doc:"PostgreSQL URL; empty: SQLite in the data folder"`
	Blobs         string `toml:"blobs" doc:"s3://key:secret@host:port/bucket/prefix; empty: files in the data folder"`
	Archive       string `toml:"archive" doc:"as blobs, for the sealed packages; give it a bucket with Object Lock"`
	RetentionDays int    `toml:"retention_days" doc:"days for which a sealed package is locked where the store can lock"`
}

// LimitsConfig bounds what is taken in.
type LimitsConfig struct {
	MaxPDF     int64 `toml:"max_pdf" doc:"bytes of one PDF"`
	MaxMessage int64 `toml:"max_message" doc:"bytes of one mail message"`
}

// SigningConfig says whom to trust.
type SigningConfig struct {
	Roots          []string `toml:"roots" doc:"PEM files of root certificates for signatures; the hub's own authority is always among them"`
	TimestampRoots []string `toml:"timestamp_roots" doc:"PEM files of root certificates for time stamps"`
	Remote         bool     `toml:"remote" doc:"offer remote signing with the stored keys to their owners' programs, by the CSC API v2 at /csc/v2/"`
	TSA            string   `toml:"tsa" doc:"URL of an RFC 3161 time-stamp authority; empty: the embedded one, for trial only"`
}

// TrustConfig says which trust lists count and how revocation is asked about.
type TrustConfig struct {
	Lists             []string `toml:"lists" doc:"more trust for signatures and time stamps: folders or files of certificates and CRLs (PEM, DER) and trust lists (ETSI TS 119 612, XML)"`
	ListSigners       []string `toml:"list_signers" doc:"PEM files of the certificates that may sign those trust lists"`
	UnsignedLists     bool     `toml:"unsigned_lists" doc:"take trust lists without looking at their signature"`
	Revocation        bool     `toml:"revocation" doc:"ask authorities under a trusted root whether certificates were revoked, where the document does not tell"`
	RevocationHosts   []string `toml:"revocation_hosts" doc:"the only hosts that may be asked: name, .name for all below it, or name:port; empty: any public host that a trusted chain names"`
	RevocationPrivate bool     `toml:"revocation_private" doc:"hosts with private addresses may be asked too"`
	RequireRevocation bool     `toml:"require_revocation" doc:"a signature whose certificate's status cannot be learnt does not pass"`
	PublicURL         string   `toml:"public_url" doc:"http address under which others reach this hub; certificates that it issues from then on name it for OCSP and CRL"`
}

// MailConfig says where mail for other domains goes.
type MailConfig struct {
	Postmaster        string `toml:"postmaster" doc:"account that gets mail to postmaster@ where no account has that name"`
	Smarthost         string `toml:"smarthost" doc:"host:port that takes mail for other domains, or smtp://host:port?tls=required|opportunistic|none or smtps://host:port; empty: none is accepted for them"`
	SmarthostUser     string `toml:"smarthost_user" doc:"user name at the smarthost, if it wants one"`
	SmarthostPassword string `toml:"smarthost_password" doc:"password at the smarthost"`
}

// WebhookConfig bounds where webhooks may lead.
type WebhookConfig struct {
	AllowPrivate bool `toml:"allow_private" doc:"let a receiver stand on a private or loopback address and be called without TLS; for receivers beside the hub"`
}

// PeersConfig says how this hub and others reach each other.
type PeersConfig struct {
	URL         string `toml:"url" doc:"https address under which other hubs reach this one; empty: they do not, this hub fetches what they have for it"`
	PollSeconds int    `toml:"poll_seconds" doc:"seconds after which other hubs are asked for news, although they bring it by themselves"`
}

// LogConfig says who confirms the evidence log, and whose logs this hub confirms.
type LogConfig struct {
	Minutes   int      `toml:"minutes" doc:"minutes between two time-stamped checkpoints while the log grows"`
	Witnesses []string `toml:"witnesses" doc:"who cosigns the checkpoints: address and key with a blank between, https://other.example/log/witness other.example/log/witness+id+key"`
	Logs      []string `toml:"logs" doc:"public keys of other logs that this hub cosigns when asked at /log/witness/add-checkpoint"`
}

// DefaultConfig is the configuration of a hub on one machine, on loopback only.
func DefaultConfig() Config {
	return Config{
		Name:   "Văn thư",
		Domain: "vanthu.local",
		Listen: ListenConfig{
			HTTP: "127.0.0.1:8080", SMTP: "127.0.0.1:2525", Submission: "127.0.0.1:2587", SubmissionTLS: "127.0.0.1:2465",
			IMAP: "127.0.0.1:2143", IMAPTLS: "127.0.0.1:2993", Metrics: "127.0.0.1:9090",
		},
		Storage: StorageConfig{RetentionDays: 3650},
		Limits:  LimitsConfig{MaxPDF: 100 << 20, MaxMessage: 50 << 20},
		Trust:   TrustConfig{Revocation: true},
		Peers:   PeersConfig{PollSeconds: 300},
		Log:     LogConfig{Minutes: 5},
	}
}

// LoadConfig reads a TOML file over the defaults. The error names the key or the line.
func LoadConfig(file string) (Config, error) {
	cfg := DefaultConfig()
	meta, err := toml.DecodeFile(file, &cfg)
	if err != nil {
		return cfg, fmt.Errorf("read configuration %s: %w", file, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return cfg, fmt.Errorf("read configuration %s: unknown key %q; `vanthu config` prints those there are", file, unknown[0].String())
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("read configuration %s: %w", file, err)
	}
	return cfg, nil
}

// configOf reads the configuration of a data folder, or the file given in its place.
func configOf(dataDir, file string) (Config, error) {
	if file == "" {
		file = filepath.Join(dataDir, configName)
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			return DefaultConfig(), nil
		}
	}
	return LoadConfig(file)
}

// Validate refuses what cannot work before anything is started.
func (c Config) Validate() error {
	if c.Domain == "" || strings.ContainsAny(c.Domain, " @/") {
		return fmt.Errorf("domain %q is not a mail domain", c.Domain)
	}
	l := c.Listen
	for key, addr := range map[string]string{
		"listen.http": l.HTTP, "listen.smtp": l.SMTP, "listen.submission": l.Submission, "listen.submission_tls": l.SubmissionTLS,
		"listen.imap": l.IMAP, "listen.imap_tls": l.IMAPTLS, "listen.metrics": l.Metrics,
	} {
		if addr == "" {
			continue
		}
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if c.Insecure && !isLoopback(host) {
			return fmt.Errorf("%s = %q: an insecure hub listens on loopback only", key, addr)
		}
	}
	if c.Limits.MaxPDF < 1<<10 || c.Limits.MaxPDF > 4<<30 {
		return fmt.Errorf("limits.max_pdf = %d: give 1 KiB to 4 GiB", c.Limits.MaxPDF)
	}
	if c.Limits.MaxMessage < 1<<10 || c.Limits.MaxMessage > 1<<30 {
		return fmt.Errorf("limits.max_message = %d: give 1 KiB to 1 GiB", c.Limits.MaxMessage)
	}
	if u, err := url.Parse(c.Trust.PublicURL); c.Trust.PublicURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("trust.public_url = %q: not an http address", c.Trust.PublicURL)
	}
	if c.Peers.PollSeconds < 1 {
		return errors.New("peers.poll_seconds is not above zero")
	}
	if c.Log.Minutes < 1 || c.Log.Minutes > 24*60 {
		return fmt.Errorf("log.minutes = %d: give 1 to 1440", c.Log.Minutes)
	}
	if c.Storage.RetentionDays < 0 {
		return errors.New("storage.retention_days is negative")
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Retention is how long a sealed package is locked.
func (c Config) Retention() time.Duration {
	return time.Duration(c.Storage.RetentionDays) * 24 * time.Hour
}

// PrintConfig writes cfg as a documented TOML file.
func PrintConfig(w io.Writer, cfg Config) error {
	var out strings.Builder
	out.WriteString("# Configuration of a vanthu hub. A key left out has the value shown here by `vanthu config`.\n\n")
	value := reflect.ValueOf(cfg)
	var tables []int
	for i := range value.NumField() {
		if value.Field(i).Kind() == reflect.Struct {
			tables = append(tables, i)
			continue
		}
		writeKey(&out, value.Type().Field(i), value.Field(i))
	}
	for _, i := range tables {
		field := value.Type().Field(i)
		fmt.Fprintf(&out, "\n# %s\n[%s]\n", field.Tag.Get("doc"), field.Tag.Get("toml"))
		for j := range value.Field(i).NumField() {
			writeKey(&out, value.Field(i).Type().Field(j), value.Field(i).Field(j))
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func writeKey(out *strings.Builder, field reflect.StructField, value reflect.Value) {
	fmt.Fprintf(out, "# %s\n", field.Tag.Get("doc"))
	switch value.Kind() {
	case reflect.Slice:
		parts := make([]string, value.Len())
		for i := range parts {
			parts[i] = fmt.Sprintf("%q", value.Index(i).String())
		}
		fmt.Fprintf(out, "%s = [%s]\n", field.Tag.Get("toml"), strings.Join(parts, ", "))
	case reflect.String:
		fmt.Fprintf(out, "%s = %q\n", field.Tag.Get("toml"), value.String())
	default:
		fmt.Fprintf(out, "%s = %v\n", field.Tag.Get("toml"), value.Interface())
	}
}
