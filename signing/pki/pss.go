package pki

import (
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/binary"
	"math/big"
)

// verifyPSS checks RSASSA-PSS with the parameters of a. crypto/rsa serves the usual case; it cannot do a mask generation
// hash of its own, nor exactly an empty salt.
func verifyPSS(key *rsa.PublicKey, a SignatureAlgorithm, digest, signature []byte) bool {
	if a.Hash == a.MGFHash && a.SaltLength > 0 {
		return rsa.VerifyPSS(key, a.Hash, digest, signature, &rsa.PSSOptions{SaltLength: a.SaltLength}) == nil
	}
	if bits := key.N.BitLen(); bits < 1024 || bits > 16384 || key.E < 3 || len(signature) != key.Size() ||
		len(digest) != a.Hash.Size() {
		return false
	}
	s := new(big.Int).SetBytes(signature)
	if s.Cmp(key.N) >= 0 {
		return false
	}
	emBits := key.N.BitLen() - 1
	m := new(big.Int).Exp(s, big.NewInt(int64(key.E)), key.N)
	if m.BitLen() > (emBits+7)/8*8 {
		return false
	}
	return emsaPSSVerify(digest, m.FillBytes(make([]byte, (emBits+7)/8)), emBits, a)
}

// emsaPSSVerify is RFC 8017 §9.1.2.
func emsaPSSVerify(digest, em []byte, emBits int, a SignatureAlgorithm) bool {
	hLen := a.Hash.Size()
	if len(em) < hLen+a.SaltLength+2 || em[len(em)-1] != 0xbc {
		return false
	}
	db, h := em[:len(em)-hLen-1], em[len(em)-hLen-1:len(em)-1]
	unused := 8*len(em) - emBits
	if db[0]&^(0xff>>unused) != 0 {
		return false
	}
	mask := mgf1(a.MGFHash, h, len(db))
	plain := make([]byte, len(db))
	subtle.XORBytes(plain, db, mask)
	plain[0] &= 0xff >> unused
	salt := len(plain) - a.SaltLength
	for _, b := range plain[:salt-1] {
		if b != 0 {
			return false
		}
	}
	if plain[salt-1] != 1 {
		return false
	}
	hash := a.Hash.New()
	hash.Write(make([]byte, 8))
	hash.Write(digest)
	hash.Write(plain[salt:])
	return subtle.ConstantTimeCompare(hash.Sum(nil), h) == 1
}

// mgf1 is RFC 8017 §B.2.1.
func mgf1(h crypto.Hash, seed []byte, length int) []byte {
	var mask []byte
	for counter := uint32(0); len(mask) < length; counter++ {
		hash := h.New()
		hash.Write(seed)
		hash.Write(binary.BigEndian.AppendUint32(nil, counter))
		mask = hash.Sum(mask)
	}
	return mask[:length]
}
