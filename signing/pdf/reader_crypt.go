package pdf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5" //nolint:gosec // old files are encrypted so; nothing is protected by it here
	"crypto/rc4" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
)

// cryptMethod is how strings or streams are encrypted (ISO 32000-2 table 25).
type cryptMethod uint8

const (
	cryptNone cryptMethod = iota
	cryptRC4
	cryptAES128
	cryptAES256
)

// crypt is the standard security handler opened with the empty user password (ISO 32000-2 §7.6).
type crypt struct {
	key      []byte
	strs     cryptMethod
	streams  cryptMethod
	metadata bool // metadata streams are encrypted
}

// Encrypted tells whether the file is encrypted. It has been opened, so the empty user password reads it.
func (f *File) Encrypted() bool { return f.crypt != nil }

// openCrypt opens an encrypted file with the empty user password.
func (f *File) openCrypt() error {
	v := f.Latest()
	enc := v.Trailer()["Encrypt"]
	for _, s := range v.r.sections {
		if e := s.trailer["Encrypt"]; (e == nil) != (enc == nil) {
			f.problem(ProblemEncryption, s.offset, "not all revisions are encrypted alike")
		}
	}
	if enc == nil {
		return nil
	}
	o, err := v.Resolve(enc)
	if err != nil {
		return err
	}
	d, ok := o.(Dict)
	if !ok {
		return &Error{Kind: Encrypted, Offset: -1, Msg: "the encryption dictionary is malformed"}
	}
	if d.Name("Filter") != "Standard" {
		return &Error{Kind: Encrypted, Offset: -1, Msg: "security handler " + string(d.Name("Filter"))}
	}
	c, err := newCrypt(d, fileID(v.Trailer()))
	if err != nil {
		return err
	}
	f.crypt = c
	clear(f.cache) // it holds what was read before decryption was possible
	clear(f.objStms)
	return nil
}

// fileID is the first part of the trailer's /ID.
func fileID(trailer Dict) []byte {
	if a, ok := trailer["ID"].(Array); ok && len(a) > 0 {
		if s, ok := a[0].(String); ok {
			return s.B
		}
	}
	return nil
}

// newCrypt finds methods and key.
func newCrypt(d Dict, id []byte) (*crypt, error) {
	refuse := func(msg string) (*crypt, error) { return nil, &Error{Kind: Encrypted, Offset: -1, Msg: msg} }
	version, _ := d.Int("V")
	revision, _ := d.Int("R")
	c := &crypt{metadata: true}
	if b, ok := d["EncryptMetadata"].(bool); ok {
		c.metadata = b
	}
	bits, ok := d.Int("Length")
	switch version {
	case 1:
		bits, c.strs, c.streams = 40, cryptRC4, cryptRC4
	case 2, 3:
		if !ok {
			bits = 40
		}
		c.strs, c.streams = cryptRC4, cryptRC4
	case 4, 5:
		bits = 128
		if c.strs, ok = method(d, "StrF"); !ok {
			return refuse("unknown crypt filter")
		}
		if c.streams, ok = method(d, "StmF"); !ok {
			return refuse("unknown crypt filter")
		}
	default:
		return refuse("unknown encryption version")
	}
	if bits < 40 || bits > 128 || bits%8 != 0 {
		return refuse("unknown key length")
	}
	switch {
	case version < 5 && revision >= 2 && revision <= 4:
		c.key = oldKey(d, id, int(revision), int(bits/8))
	case version == 5 && (revision == 5 || revision == 6):
		c.key = newKey(d, revision == 6)
	}
	if c.key == nil {
		return refuse("a password is needed")
	}
	return c, nil
}

// method finds the method of a crypt filter.
func method(d Dict, key Name) (cryptMethod, bool) {
	name := d.Name(key)
	if name == "" || name == "Identity" {
		return cryptNone, true
	}
	filters, _ := d["CF"].(Dict)
	filter, _ := filters[name].(Dict)
	switch filter.Name("CFM") {
	case "None":
		return cryptNone, true
	case "V2":
		return cryptRC4, true
	case "AESV2":
		return cryptAES128, true
	case "AESV3":
		return cryptAES256, true
	}
	return cryptNone, false
}

// padding is the empty password (ISO 32000-2 §7.6.4.3.2).
const padding = "\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08" +
	"\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A"

// oldKey makes and checks the key of revisions 2 to 4 (algorithms 2 and 6); nil when a password is needed.
func oldKey(d Dict, id []byte, revision, n int) []byte {
	o, _ := d["O"].(String)
	u, _ := d["U"].(String)
	p, _ := d.Int("P")
	if len(o.B) < 32 || len(u.B) < 32 {
		return nil
	}
	h := md5.New()
	h.Write([]byte(padding))
	h.Write(o.B[:32])
	h.Write(binary.LittleEndian.AppendUint32(nil, uint32(p)))
	h.Write(id)
	if plain, ok := d["EncryptMetadata"].(bool); revision >= 4 && ok && !plain {
		h.Write([]byte{0xFF, 0xFF, 0xFF, 0xFF})
	}
	key := h.Sum(nil)
	if revision == 2 {
		n = 5
	} else {
		for range 50 {
			sum := md5.Sum(key[:n])
			key = sum[:]
		}
	}
	key = key[:n]
	if revision == 2 {
		if !bytes.Equal(rc4Bytes(key, []byte(padding)), u.B[:32]) {
			return nil
		}
		return key
	}
	sum := md5.Sum(append([]byte(padding), id...))
	check := sum[:]
	for i := range 20 {
		step := bytes.Clone(key)
		for j := range step {
			step[j] ^= byte(i)
		}
		check = rc4Bytes(step, check)
	}
	if !bytes.Equal(check, u.B[:16]) {
		return nil
	}
	return key
}

// newKey makes and checks the key of revisions 5 and 6 (algorithms 2.A and 11); nil when a password is needed.
func newKey(d Dict, hardened bool) []byte {
	u, _ := d["U"].(String)
	ue, _ := d["UE"].(String)
	if len(u.B) < 48 || len(ue.B) < 32 {
		return nil
	}
	hash := func(salt []byte) []byte {
		if hardened {
			return hash2B(salt)
		}
		sum := sha256.Sum256(salt)
		return sum[:]
	}
	if !bytes.Equal(hash(u.B[32:40]), u.B[:32]) {
		return nil
	}
	block, err := aes.NewCipher(hash(u.B[40:48]))
	if err != nil {
		return nil
	}
	key := make([]byte, 32)
	cipher.NewCBCDecrypter(block, make([]byte, 16)).CryptBlocks(key, ue.B[:32])
	return key
}

// hash2B is algorithm 2.B for the empty password.
func hash2B(salt []byte) []byte {
	sum := sha256.Sum256(salt)
	k := sum[:]
	for round := 0; ; round++ {
		k1 := bytes.Repeat(k, 64)
		block, err := aes.NewCipher(k[:16])
		if err != nil {
			return nil
		}
		cipher.NewCBCEncrypter(block, k[16:32]).CryptBlocks(k1, k1)
		rest := 0
		for _, b := range k1[:16] {
			rest += int(b)
		}
		switch rest % 3 {
		case 0:
			s := sha256.Sum256(k1)
			k = s[:]
		case 1:
			s := sha512.Sum384(k1)
			k = s[:]
		default:
			s := sha512.Sum512(k1)
			k = s[:]
		}
		if round >= 63 && int(k1[len(k1)-1]) <= round-31 {
			return k[:32]
		}
	}
}

func rc4Bytes(key, data []byte) []byte {
	c, err := rc4.NewCipher(key) //nolint:gosec // as above
	if err != nil {
		return nil
	}
	out := make([]byte, len(data))
	c.XORKeyStream(out, data)
	return out
}

// decrypt decrypts the data of object r.
func (c *crypt) decrypt(m cryptMethod, data []byte, r Ref) []byte {
	switch m {
	case cryptNone:
		return data
	case cryptAES256:
		return cbc(c.key, data)
	}
	h := md5.New()
	h.Write(c.key)
	h.Write([]byte{byte(r.Num), byte(r.Num >> 8), byte(r.Num >> 16), byte(r.Gen), byte(r.Gen >> 8)})
	if m == cryptAES128 {
		h.Write([]byte("sAlT"))
	}
	key := h.Sum(nil)[:min(len(c.key)+5, 16)]
	if m == cryptAES128 {
		return cbc(key, data)
	}
	return rc4Bytes(key, data)
}

// cbc undoes AES-CBC with the initialisation vector in front and PKCS #7 padding; data that is not so is given empty.
func cbc(key, data []byte) []byte {
	if len(data) < 32 || len(data)%16 != 0 {
		return nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil
	}
	out := make([]byte, len(data)-16)
	cipher.NewCBCDecrypter(block, data[:16]).CryptBlocks(out, data[16:])
	if pad := int(out[len(out)-1]); pad >= 1 && pad <= 16 {
		out = out[:len(out)-pad]
	}
	return out
}

// strings gives a copy of the object with its strings decrypted. The /Contents of a signature is never encrypted.
func (c *crypt) strings(o Object, r Ref) Object {
	switch o := o.(type) {
	case String:
		return String{B: c.decrypt(c.strs, o.B, r), Hex: o.Hex}
	case Array:
		out := make(Array, len(o))
		for i, e := range o {
			out[i] = c.strings(e, r)
		}
		return out
	case Dict:
		out := make(Dict, len(o))
		_, signature := o["ByteRange"]
		for k, e := range o {
			if signature && k == "Contents" {
				out[k] = e
				continue
			}
			out[k] = c.strings(e, r)
		}
		return out
	case *Stream:
		st := *o
		if d, ok := c.strings(o.Dict, r).(Dict); ok {
			st.Dict = d
		}
		return &st
	}
	return o
}

// stream decrypts the raw data of a stream.
func (c *crypt) stream(data []byte, s *Stream, steps []filterStep) []byte {
	if kind := s.Dict.Name("Type"); kind == "XRef" || kind == "Metadata" && !c.metadata {
		return data
	}
	if len(steps) > 0 && steps[0].name == "Crypt" {
		if name := steps[0].parms.Name("Name"); name == "" || name == "Identity" {
			return data
		}
	}
	return c.decrypt(c.streams, data, s.ref)
}
