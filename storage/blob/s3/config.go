package s3

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// DefaultTimeout is how long a call may go without an answer or progress.
const DefaultTimeout = 30 * time.Second

// Config says where the bucket is and how to get in.
type Config struct {
	Endpoint  string // host or host:port
	Bucket    string
	Prefix    string // folder within the bucket, without slashes at the ends; may be empty
	Region    string // empty: us-east-1
	AccessKey string
	SecretKey string
	TLS       bool
	Create    bool          // make the bucket, with Object Lock, if it is missing
	Retention time.Duration // keep every blob undeletable that long from Put on, where the bucket has Object Lock
	Timeout   time.Duration // 0: DefaultTimeout
	Spool     string        // folder for blobs on their way up; empty: the system's
	Now       func() time.Time
}

// ParseURL reads s3://key:secret@host:port/bucket/prefix with the options
// tls (1 by default), region, create (0), retention and timeout (Go durations).
// An error never holds the secret.
func ParseURL(raw string) (Config, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Config{}, errors.New("blob URL cannot be read; want s3://key:secret@host/bucket/prefix, special characters of the secret as %XX")
	}
	if u.Scheme != "s3" || u.Host == "" {
		return Config{}, errors.New("blob URL must be s3://key:secret@host/bucket/prefix")
	}
	bucket, prefix, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if bucket == "" {
		return Config{}, fmt.Errorf("blob URL of %s names no bucket", u.Host)
	}
	c := Config{Endpoint: u.Host, Bucket: bucket, Prefix: prefix, TLS: true}
	c.AccessKey = u.User.Username()
	c.SecretKey, _ = u.User.Password()
	for name, values := range u.Query() {
		if err := c.option(name, values[len(values)-1]); err != nil {
			return Config{}, err
		}
	}
	return c, nil
}

func (c *Config) option(name, value string) error {
	var err error
	switch name {
	case "tls":
		c.TLS, err = strconv.ParseBool(value)
	case "create":
		c.Create, err = strconv.ParseBool(value)
	case "retention":
		c.Retention, err = time.ParseDuration(value)
	case "timeout":
		c.Timeout, err = time.ParseDuration(value)
	case "region":
		c.Region = value
	default:
		return fmt.Errorf("blob URL has the unknown option %q; known are tls, region, create, retention, timeout", name)
	}
	if err != nil {
		return fmt.Errorf("blob URL option %s: %w", name, err)
	}
	return nil
}
