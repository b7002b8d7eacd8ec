package peer

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Content is encrypted in segments of AES-256-GCM, so that neither side ever holds more than one: the nonce is the
// number of the segment in 11 bytes and a byte that is 1 for the last, so that segments cannot be exchanged, left out or
// cut off. The key belongs to one content and is never used for another.
const (
	segmentSize = 64 << 10
	segmentTag  = 16
	contentKey  = 32
)

// errContent says that encrypted content is not what was encrypted, or that the key is another.
var errContent = errors.New("peer: the content cannot be decrypted")

// sealedSize is how many bytes n bytes have when encrypted.
func sealedSize(n int64) int64 {
	segments := max(1, (n+segmentSize-1)/segmentSize)
	return n + segments*segmentTag
}

// plainSize is the inverse of sealedSize; false for a size that nothing encrypted has.
func plainSize(sealed int64) (int64, bool) {
	const whole = segmentSize + segmentTag
	segments := (sealed + whole - 1) / whole
	n := sealed - segments*segmentTag
	return n, sealed >= segmentTag && n >= 0 && sealedSize(n) == sealed
}

func segmentNonce(n uint64, last bool) []byte {
	nonce := make([]byte, 12)
	binary.BigEndian.PutUint64(nonce[3:11], n)
	if last {
		nonce[11] = 1
	}
	return nonce
}

func segmentBox(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// segments reads one stream in segments and gives another.
type segments struct {
	box    cipher.AEAD
	in     *bufio.Reader
	seal   bool
	size   int // of a segment in
	next   uint64
	buffer []byte
	ready  []byte
	done   bool
}

// sealing gives what r yields, encrypted, from segment first on; r stands at the start of that segment.
func sealing(key []byte, r io.Reader, first uint64) (io.Reader, error) {
	return newSegments(key, r, first, true, segmentSize)
}

// opening gives what r yields, decrypted. It ends with errContent as soon as a segment is not genuine.
func opening(key []byte, r io.Reader) (io.Reader, error) {
	return newSegments(key, r, 0, false, segmentSize+segmentTag)
}

func newSegments(key []byte, r io.Reader, first uint64, seal bool, size int) (io.Reader, error) {
	box, err := segmentBox(key)
	if err != nil {
		return nil, fmt.Errorf("the key of the content: %w", err)
	}
	return &segments{box: box, in: bufio.NewReaderSize(r, size+1), seal: seal, size: size, next: first, buffer: make([]byte, segmentSize+segmentTag)}, nil
}

// Read gives the next bytes; only whole segments that were judged leave it.
func (s *segments) Read(p []byte) (int, error) {
	for len(s.ready) == 0 {
		if s.done {
			return 0, io.EOF
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.ready)
	s.ready = s.ready[n:]
	return n, nil
}

func (s *segments) fill() error {
	n, err := io.ReadFull(s.in, s.buffer[:s.size])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if _, err := s.in.Peek(1); err != nil {
		if !errors.Is(err, io.EOF) {
			return err
		}
		s.done = true
	}
	nonce := segmentNonce(s.next, s.done)
	s.next++
	if s.seal {
		s.ready = s.box.Seal(s.buffer[:0], nonce, s.buffer[:n], nil)
		return nil
	}
	if s.ready, err = s.box.Open(s.buffer[:0], nonce, s.buffer[:n], nil); err != nil {
		return errContent
	}
	return nil
}
