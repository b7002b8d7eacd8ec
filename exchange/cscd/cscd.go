// Package cscd offers remote signing (ký số từ xa) with the keys that a hub holds, to the people they belong to and the
// programs that act for them, by the API of the Cloud Signature Consortium, version 2: info, credentials/list,
// credentials/info, credentials/authorize and signatures/signHash. A program shows the hub's own access token as bearer
// (authType "external"); each signature is authorised by the passphrase of the stored key, as PIN, for exactly the hashes
// that are to be signed (SCAL 2).
//
// A credential is a registered certificate, named by its SHA-256. The authorisation (SAD) lives in memory for two minutes,
// works once, for the same holder, and only for its own hashes. Every use stands in the evidence before and after.
package cscd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/storage/ledger"
	"vanthu/storage/sqldb"
)

// Path is where the API is mounted.
const Path = "/csc/v2/"

// Bounds.
const (
	// MaxHashes is how many hashes one authorisation may cover (multisign).
	MaxHashes   = 32
	maxRequest  = 64 << 10 // bytes
	sadLife     = 2 * time.Minute
	maxSADs     = 1000 // open authorisations at one time
	maxFailures = 5    // wrong PINs for a credential before it is closed for failureTime
	failureTime = 15 * time.Minute
)

// Config of New. Registry, DB and Ledger are required.
type Config struct {
	Registry *registry.Registry
	DB       *sqldb.DB
	Ledger   *ledger.Ledger
	Name     string // of the service, as clients show it
	// AllowTestKeys lets keys whose certificate says that it is for tests sign.
	AllowTestKeys bool
	Now           func() time.Time // nil = time.Now
	Logger        *slog.Logger     // nil = no log
}

// Server is the API as an http.Handler. It is safe for concurrent use.
type Server struct {
	cfg     Config
	mux     *http.ServeMux
	mu      sync.Mutex
	granted map[string]*grant    // by SHA-256 of the SAD
	wrong   map[string]*failures // by credential
}

// grant is one authorisation.
type grant struct {
	by         string // actor
	credential string
	key        *keys.Key
	hash       string   // algorithm OID
	hashes     []string // each as often as it may be signed
	expires    time.Time
}

type failures struct {
	count int
	until time.Time // of the last one, and failureTime
}

// New makes the server.
func New(cfg Config) (*Server, error) {
	if cfg.Registry == nil || cfg.DB == nil || cfg.Ledger == nil {
		return nil, errors.New("cscd: Registry, DB and Ledger are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux(), granted: map[string]*grant{}, wrong: map[string]*failures{}}
	s.mux.HandleFunc("POST "+Path+"info", s.info)
	s.mux.Handle("POST "+Path+"credentials/list", s.user(s.list))
	s.mux.Handle("POST "+Path+"credentials/info", s.user(s.credential))
	s.mux.Handle("POST "+Path+"credentials/authorize", s.user(s.authorize))
	s.mux.Handle("POST "+Path+"signatures/signHash", s.user(s.signHash))
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	s.mux.ServeHTTP(w, r)
}

// refusal is an error of the API: status, code and what the person is told, in Vietnamese and English.
type refusal struct {
	status   int
	code     string
	describe string
	cause    error
}

// Error implements error.
func (r *refusal) Error() string { return r.code + ": " + r.describe }

// Unwrap gives the cause.
func (r *refusal) Unwrap() error { return r.cause }

func refuse(code, describe string) error {
	return &refusal{status: http.StatusBadRequest, code: code, describe: describe}
}

// request is what the methods read; each uses some of it.
type request struct {
	CredentialID  string   `json:"credentialID"`
	Certificates  string   `json:"certificates"`
	NumSignatures int      `json:"numSignatures"`
	Hashes        [][]byte `json:"hashes"`
	HashAlgorithm string   `json:"hashAlgorithmOID"`
	SignAlgorithm string   `json:"signAlgo"`
	OperationMode string   `json:"operationMode"`
	SAD           string   `json:"SAD"`
	AuthData      []struct {
		ID    string `json:"id"`
		Value string `json:"value"`
	} `json:"authData"`
}

type method func(ctx context.Context, by registry.Actor, in *request) (any, error)

// user serves whoever shows an access token of the hub.
func (s *Server) user(do method) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		by, err := s.cfg.Registry.Authenticate(r.Context(), token)
		if !ok || err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token", "error_description": "Phiên làm việc không hợp lệ. / The access token is not valid."})
			return
		}
		in := new(request)
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(in); err != nil {
			s.told(w, r, refuse("invalid_request", "Yêu cầu không đọc được. / The request cannot be read."))
			return
		}
		out, err := do(r.Context(), by, in)
		if err != nil {
			s.told(w, r, err)
			return
		}
		answer(w, http.StatusOK, out)
	})
}

func (s *Server) told(w http.ResponseWriter, r *http.Request, err error) {
	why, ok := errors.AsType[*refusal](err)
	if !ok {
		s.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "remote signing failed", slog.String("path", r.URL.Path), slog.String("error", err.Error()))
		why = &refusal{status: http.StatusInternalServerError, code: "server_error", describe: "Máy chủ gặp lỗi, chưa ký gì. / The server failed; nothing was signed."}
	}
	answer(w, why.status, map[string]string{"error": why.code, "error_description": why.describe})
}

func answer(w http.ResponseWriter, status int, out any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out) // the client has gone away: nobody to tell
}

// info tells what the service is; it needs no token.
func (s *Server) info(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"specs": "2.0.0.2", "name": s.cfg.Name, "logo": "", "region": "VN", "lang": "vi-VN",
		"description": "Ký số từ xa bằng khóa do máy chủ giữ", "authType": []string{"external"},
		"methods": []string{"info", "credentials/list", "credentials/info", "credentials/authorize", "signatures/signHash"}})
}

// held is a credential of the actor: a registered certificate of an owner whose key the hub holds.
type held struct {
	owner       registry.Owner
	certificate registry.Certificate
	p12         []byte
}

// held lists the actor's credentials: the own key and, for those who may seal, that of the agency.
func (s *Server) held(ctx context.Context, by registry.Actor) ([]held, error) {
	var owners []registry.Owner
	if by.Person != "" {
		owners = append(owners, registry.PersonOwner(by.Person))
	}
	if slices.ContainsFunc(exchange.RolesFor(exchange.ActSeal), by.Has) {
		owners = append(owners, registry.AgencyOwner(by.Agency))
	}
	var out []held
	for _, owner := range owners {
		p12, err := s.cfg.Registry.Key(ctx, owner)
		if exchange.KindOf(err) == exchange.KindNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		list, err := s.cfg.Registry.Certificates(ctx, owner)
		if err != nil {
			return nil, err
		}
		for i := range list {
			if list[i].ValidAt(s.cfg.Now()) {
				out = append(out, held{owner, list[i], p12})
			}
		}
	}
	return out, nil
}

func (s *Server) find(ctx context.Context, by registry.Actor, id string) (*held, error) {
	all, err := s.held(ctx, by)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].certificate.Fingerprint == id {
			return &all[i], nil
		}
	}
	return nil, refuse("invalid_request", "Không có khóa này. / There is no such credential.")
}

func (s *Server) list(ctx context.Context, by registry.Actor, _ *request) (any, error) {
	all, err := s.held(ctx, by)
	ids := []string{}
	for i := range all {
		ids = append(ids, all[i].certificate.Fingerprint)
	}
	return map[string]any{"credentialIDs": ids}, err
}

func (s *Server) credential(ctx context.Context, by registry.Actor, in *request) (any, error) {
	h, err := s.find(ctx, by, in.CredentialID)
	if err != nil {
		return nil, err
	}
	c := h.certificate.Certificate
	cert := map[string]any{"status": "valid", "issuerDN": c.Issuer.String(), "subjectDN": c.Subject.String(), "serialNumber": hex.EncodeToString(c.SerialNumber.Bytes()),
		"validFrom": c.NotBefore.UTC().Format("20060102150405Z"), "validTo": c.NotAfter.UTC().Format("20060102150405Z")}
	if in.Certificates != "none" {
		cert["certificates"] = [][]byte{c.Raw}
	}
	algorithms, size := algorithms(c.PublicKey)
	return map[string]any{"key": map[string]any{"status": "enabled", "algo": algorithms, "len": size}, "cert": cert,
		"auth":      map[string]any{"mode": "explicit", "expression": "PIN", "objects": []any{map[string]any{"type": "Password", "id": "PIN", "format": "A", "label": "PIN"}}},
		"multisign": MaxHashes, "SCAL": "2", "lang": "vi-VN"}, nil
}

// usable opens the key of a credential.
func (s *Server) usable(h *held, pin string) (*keys.Key, error) {
	if err := s.open(h.certificate.Fingerprint); err != nil {
		return nil, err
	}
	key, err := keys.FromPKCS12(h.p12, pin)
	if errors.Is(err, keys.ErrPassphrase) {
		return nil, refuse("invalid_pin", "Sai mã PIN. / The PIN is wrong.")
	}
	if err != nil {
		return nil, fmt.Errorf("opening the stored key: %w", err)
	}
	s.succeeded(h.certificate.Fingerprint)
	if registry.Fingerprint(key.Certificate) != h.certificate.Fingerprint {
		return nil, refuse("invalid_request", "Máy chủ không giữ khóa của chứng thư này. / The hub does not hold the key of this certificate.")
	}
	if !s.cfg.AllowTestKeys && slices.ContainsFunc(key.Certificates(), pki.IsTestCertificate) {
		return nil, refuse("invalid_request", "Khóa thử nghiệm không được dùng để ký. / A test key may not sign.")
	}
	return key, nil
}

// open counts a try before it is made, so that tries at the same time count too; it refuses one too many.
func (s *Server) open(credential string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, now := s.wrong[credential], s.cfg.Now()
	if f == nil || now.After(f.until) {
		f = new(failures)
		s.wrong[credential] = f
	}
	if f.count >= maxFailures {
		return &refusal{status: http.StatusTooManyRequests, code: "access_denied", describe: "Sai mã PIN quá nhiều lần; thử lại sau 15 phút. / Too many wrong PINs; try again in 15 minutes."}
	}
	f.count++
	f.until = now.Add(failureTime)
	return nil
}

func (s *Server) succeeded(credential string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.wrong, credential)
}

// evidence writes one entry of its own transaction.
func (s *Server) evidence(ctx context.Context, kind string, by registry.Actor, credential string, in *request, reason string) error {
	digests := make([]string, len(in.Hashes))
	for i, h := range in.Hashes {
		digests[i] = hex.EncodeToString(h)
	}
	facts := map[string]string{"credential": credential, "hashes": strings.Join(digests, " "), "algorithm": in.HashAlgorithm, "name": by.Name, "agency": string(by.Agency)}
	if reason != "" {
		facts["reason"] = reason
	}
	body, err := json.Marshal(facts)
	if err != nil {
		return fmt.Errorf("encoding evidence: %w", err)
	}
	err = s.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := s.cfg.Ledger.Append(ctx, tx, ledger.Entry{Kind: kind, Subject: credential, At: s.cfg.Now(), Actor: by.Tag(), Body: body})
		return err
	})
	if err != nil {
		return fmt.Errorf("writing evidence: %w", err)
	}
	return nil
}

func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
