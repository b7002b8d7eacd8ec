package blob

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// NewReader returns rc with the promise of Backend.Open: its end is ErrCorrupt
// unless exactly size bytes that hash to d were read. For makers of backends.
func NewReader(rc io.ReadCloser, d Digest, size int64) io.ReadCloser {
	return &checkedReader{rc: rc, want: d, size: size, hash: sha256.New()}
}

type checkedReader struct {
	rc   io.ReadCloser
	want Digest
	size int64
	read int64
	hash hash.Hash
	end  error // once reached, what every further Read returns
}

// Read implements io.Reader.
func (c *checkedReader) Read(p []byte) (int, error) {
	if c.end != nil {
		return 0, c.end
	}
	n, err := c.rc.Read(p)
	c.hash.Write(p[:n])
	c.read += int64(n)
	switch {
	case errors.Is(err, io.EOF):
		c.end = c.judge()
	case err != nil:
		c.end = fmt.Errorf("reading blob %s: %w", c.want, err)
	case c.read > c.size:
		c.end = fmt.Errorf("blob %s has more than its %d bytes: %w", c.want, c.size, ErrCorrupt)
	}
	return n, c.end
}

// judge says how the blob ends.
func (c *checkedReader) judge() error {
	if c.read != c.size {
		return fmt.Errorf("blob %s has %d bytes of %d: %w", c.want, c.read, c.size, ErrCorrupt)
	}
	if got := Digest(hex.EncodeToString(c.hash.Sum(nil))); got != c.want {
		return fmt.Errorf("blob %s hashes to %s: %w", c.want, got, ErrCorrupt)
	}
	return io.EOF
}

// Close implements io.Closer.
func (c *checkedReader) Close() error { return c.rc.Close() }
