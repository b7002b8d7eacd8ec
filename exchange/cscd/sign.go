package cscd

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"vanthu/exchange/registry"
	"vanthu/signing/keys"
)

// Kinds of evidence; the subject is the credential.
const (
	EventAuthorized = "key.authorized" // an authorisation was given
	EventRefused    = "key.refused"    // one was not: a wrong PIN, say
	EventSigning    = "key.signing"    // before the key is used
	EventSigned     = "key.signed"
	EventFailed     = "key.sign-failed"
)

// hashes are the digest algorithms by their object identifier (NIST).
func hashes() map[string]crypto.Hash {
	return map[string]crypto.Hash{"2.16.840.1.101.3.4.2.1": crypto.SHA256, "2.16.840.1.101.3.4.2.2": crypto.SHA384, "2.16.840.1.101.3.4.2.3": crypto.SHA512}
}

// Object identifiers of signature algorithms (RFC 8017, RFC 5758).
const oidRSA = "1.2.840.113549.1.1.1"

func signatures(public crypto.PublicKey) map[string]crypto.Hash {
	switch public.(type) {
	case *rsa.PublicKey: // the first goes with any digest, which hashAlgorithmOID names
		return map[string]crypto.Hash{oidRSA: 0, "1.2.840.113549.1.1.11": crypto.SHA256, "1.2.840.113549.1.1.12": crypto.SHA384, "1.2.840.113549.1.1.13": crypto.SHA512}
	case *ecdsa.PublicKey:
		return map[string]crypto.Hash{"1.2.840.10045.4.3.2": crypto.SHA256, "1.2.840.10045.4.3.3": crypto.SHA384, "1.2.840.10045.4.3.4": crypto.SHA512}
	}
	return nil
}

// algorithms are the signature algorithms of a key and its size in bits.
func algorithms(public crypto.PublicKey) (oids []string, size int) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		size = k.N.BitLen()
	case *ecdsa.PublicKey:
		size = k.Params().BitSize
	}
	return slices.Sorted(maps.Keys(signatures(public))), size
}

// checked reads the hashes of a request: so many of them, each as long as its algorithm says.
func (in *request) checked() (crypto.Hash, []string, error) {
	h, ok := hashes()[in.HashAlgorithm]
	if !ok {
		return 0, nil, refuse("invalid_request", "Thuật toán băm không dùng được: SHA-256, SHA-384 hoặc SHA-512. / The digest algorithm must be SHA-256, SHA-384 or SHA-512.")
	}
	if len(in.Hashes) == 0 || len(in.Hashes) > MaxHashes {
		return 0, nil, refuse("invalid_request", fmt.Sprintf("Cần từ 1 đến %[1]d mã băm. / 1 to %[1]d hashes are wanted.", MaxHashes))
	}
	list := make([]string, len(in.Hashes))
	for i, sum := range in.Hashes {
		if len(sum) != h.Size() {
			return 0, nil, refuse("invalid_request", "Mã băm sai độ dài. / A hash has the wrong length.")
		}
		list[i] = string(sum)
	}
	return h, list, nil
}

// authorize opens the key by its PIN and gives an authorisation that is good for the hashes named, once.
func (s *Server) authorize(ctx context.Context, by registry.Actor, in *request) (any, error) {
	h, err := s.find(ctx, by, in.CredentialID)
	if err != nil {
		return nil, err
	}
	_, list, err := in.checked()
	if err != nil {
		return nil, err
	}
	if in.NumSignatures != len(list) {
		return nil, refuse("invalid_request", "numSignatures phải bằng số mã băm. / numSignatures must be the number of hashes.")
	}
	pin := ""
	for _, a := range in.AuthData {
		if a.ID == "PIN" {
			pin = a.Value
		}
	}
	key, err := s.usable(h, pin)
	if err != nil {
		if why, ok := errors.AsType[*refusal](err); ok {
			return nil, errors.Join(err, s.evidence(ctx, EventRefused, by, in.CredentialID, in, why.code))
		}
		return nil, err
	}
	if err := s.evidence(ctx, EventAuthorized, by, in.CredentialID, in, ""); err != nil {
		return nil, err
	}
	sad, now := rand.Text(), s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.granted, func(_ string, g *grant) bool { return !now.Before(g.expires) })
	if len(s.granted) >= maxSADs {
		return nil, refuse("access_denied", "Quá nhiều yêu cầu ký đang chờ. / Too many authorisations are open.")
	}
	s.granted[digest(sad)] = &grant{by: by.Tag(), credential: in.CredentialID, key: key, hash: in.HashAlgorithm, hashes: list, expires: now.Add(sadLife)}
	return map[string]any{"SAD": sad, "expiresIn": int(sadLife / time.Second)}, nil
}

// take spends an authorisation: it is gone whatever comes of it.
func (s *Server) take(by registry.Actor, in *request, list []string) (*keys.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := digest(in.SAD)
	g := s.granted[id]
	if g == nil || g.by != by.Tag() {
		return nil, refuse("invalid_request", "SAD không hợp lệ hoặc đã dùng. / The SAD is not valid, or was used.")
	}
	delete(s.granted, id)
	want, got := slices.Sorted(slices.Values(g.hashes)), slices.Sorted(slices.Values(list))
	switch {
	case !s.cfg.Now().Before(g.expires):
		return nil, refuse("invalid_request", "SAD đã hết hạn. / The SAD has expired.")
	case g.credential != in.CredentialID || g.hash != in.HashAlgorithm || !slices.Equal(want, got):
		return nil, refuse("invalid_request", "SAD được cấp cho mã băm khác. / The SAD was given for other hashes.")
	}
	return g.key, nil
}

// signHash signs the hashes of an authorisation.
func (s *Server) signHash(ctx context.Context, by registry.Actor, in *request) (any, error) {
	h, err := s.find(ctx, by, in.CredentialID) // the certificate or the role may be gone since
	if err != nil {
		return nil, err
	}
	hash, list, err := in.checked()
	if err != nil {
		return nil, err
	}
	if in.OperationMode != "" && in.OperationMode != "S" {
		return nil, refuse("invalid_request", "Chỉ ký đồng bộ (operationMode S). / Only operationMode S is offered.")
	}
	wants, ok := signatures(h.certificate.Certificate.PublicKey)[in.SignAlgorithm]
	if !ok || (wants != 0 && wants != hash) {
		return nil, refuse("invalid_request", "signAlgo không hợp với khóa hoặc mã băm. / signAlgo does not fit the key or the hashes.")
	}
	key, err := s.take(by, in, list)
	if err != nil {
		return nil, err
	}
	if err := s.evidence(ctx, EventSigning, by, in.CredentialID, in, ""); err != nil {
		return nil, err
	}
	values := make([][]byte, len(in.Hashes))
	for i, sum := range in.Hashes {
		values[i], err = key.Signer.Sign(rand.Reader, sum, hash)
		if err == nil && !keys.Verifies(key.Certificate.PublicKey, sum, hash, values[i]) {
			err = errors.New("the signature does not fit the certificate")
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("signing: %w", err), s.evidence(ctx, EventFailed, by, in.CredentialID, in, err.Error()))
		}
	}
	if err := s.evidence(ctx, EventSigned, by, in.CredentialID, in, ""); err != nil {
		return nil, err // a signature that is not recorded does not leave
	}
	return map[string]any{"signatures": values}, nil
}
