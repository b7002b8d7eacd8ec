// Package cryptoki calls PKCS#11 modules (OASIS PKCS #11 v2.40, "Cryptoki"): the shared libraries that come with
// tokens, smart cards and HSMs. It is the thin layer that knows the C types; which key signs what, sessions and log-in
// are the business of package keys.
//
// Modules are loaded without cgo, on Linux, macOS and Windows (amd64 and arm64); elsewhere Load refuses. A module is
// foreign code in this process: only one that the operator names is ever loaded.
package cryptoki

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"
)

// ErrPlatform is returned by Load where no module can be loaded.
var ErrPlatform = errors.New("cryptoki: PKCS#11 modules cannot be loaded on this platform")

// ErrModule is wrapped when a file is no PKCS#11 module or does not answer as one.
var ErrModule = errors.New("cryptoki: not a usable PKCS#11 module")

// Bounds on what a module may answer.
const (
	maxSlots     = 256
	maxObjects   = 1024
	maxAttribute = 64 << 10
	maxSignature = 4 << 10
)

// Positions in CK_FUNCTION_LIST (§5.2), in the order of the standard.
const (
	fnInitialize        = 0
	fnGetSlotList       = 4
	fnGetTokenInfo      = 6
	fnOpenSession       = 12
	fnCloseSession      = 13
	fnCloseAllSessions  = 14
	fnLogin             = 18
	fnGetAttributeValue = 24
	fnFindObjectsInit   = 26
	fnFindObjects       = 27
	fnFindObjectsFinal  = 28
	fnSignInit          = 42
	fnSign              = 43
	functions           = 44 // as many of the list as are read
)

// Constants of the standard that are passed to or come from a module.
const (
	AttrClass        Attribute = 0x000
	AttrLabel        Attribute = 0x003
	AttrValue        Attribute = 0x011
	AttrKeyType      Attribute = 0x100
	AttrID           Attribute = 0x102
	AttrModulus      Attribute = 0x120
	AttrAlwaysAuth   Attribute = 0x202
	ClassCertificate uint64    = 1
	ClassPrivateKey  uint64    = 3
	KeyRSA           uint64    = 0x00
	KeyEC            uint64    = 0x03
	KeyEdwards       uint64    = 0x40
	userUser         uint64    = 1
	userContext      uint64    = 2 // for keys that want the PIN for each signature
	flagOSLocking    uint64    = 2
	flagSerial       uint64    = 4
)

// Attribute is a CKA_ number.
type Attribute uint64

// Slot is the handle of a reader.
type Slot uint64

// Session is the handle of a session with a token.
type Session uint64

// Object is the handle of a key or certificate.
type Object uint64

// Mechanism is a way of signing with its parameter, which may be empty.
type Mechanism struct {
	Type      uint64
	Parameter []byte
}

// Mechanisms (§6): RSASSA-PKCS1-v1_5 takes a DigestInfo, ECDSA and PSS a digest, EdDSA the message.
const (
	mechRSA   = 0x0001
	mechPSS   = 0x000D
	mechECDSA = 0x1041
	mechEdDSA = 0x1057
)

// RSA is CKM_RSA_PKCS.
func RSA() Mechanism { return Mechanism{Type: mechRSA} }

// ECDSA is CKM_ECDSA.
func ECDSA() Mechanism { return Mechanism{Type: mechECDSA} }

// EdDSA is CKM_EDDSA without a context.
func EdDSA() Mechanism { return Mechanism{Type: mechEdDSA} }

// PSS is CKM_RSA_PKCS_PSS; digest is the size of the digest in bytes (32, 48 or 64: SHA-2, also in the mask), salt that
// of the salt.
func PSS(digest, salt int) (Mechanism, error) {
	var hash, mgf uint64
	switch digest {
	case 32:
		hash, mgf = 0x250, 2
	case 48:
		hash, mgf = 0x260, 3
	case 64:
		hash, mgf = 0x270, 4
	default:
		return Mechanism{}, fmt.Errorf("cryptoki: PSS with a digest of %d bytes", digest)
	}
	p := appendUlong(nil, hash)
	p = appendUlong(p, mgf)
	return Mechanism{Type: mechPSS, Parameter: appendUlong(p, uint64(salt))}, nil
}

// Token is what a slot says of the token in it (CK_TOKEN_INFO), blanks trimmed.
type Token struct {
	Slot                               Slot
	Label, Manufacturer, Model, Serial string
}

// Module is a loaded PKCS#11 library. It is safe for concurrent use; a Session is not.
type Module struct {
	list [functions]uintptr
}

// Load opens the library at path and initialises it for use by several threads. It stays in the process: another part
// of it may hold the same library, so it is never finalised.
func Load(path string) (*Module, error) {
	entry, err := openLibrary(path)
	if err != nil {
		return nil, err
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	list := new(unsafe.Pointer)
	pin.Pin(list)
	if rv := call(entry, uintptr(unsafe.Pointer(list))); rv != 0 { //nolint:gosec // the C function fills the pinned pointer
		return nil, fmt.Errorf("%w: %s: C_GetFunctionList: %w", ErrModule, path, Error(rv))
	}
	if *list == nil {
		return nil, fmt.Errorf("%w: %s has no functions", ErrModule, path)
	}
	m := &Module{}
	// CK_VERSION comes first; the pointers follow at the alignment of the platform.
	m.list = *(*[functions]uintptr)(unsafe.Add(*list, listOffset))
	for i, f := range m.list {
		if f == 0 {
			return nil, fmt.Errorf("%w: %s lacks function %d", ErrModule, path, i)
		}
	}
	args := make([]byte, 4*unsafe.Sizeof(uintptr(0))) // no locking functions of ours: the system's
	args = appendUlong(args, flagOSLocking)
	args = append(args, make([]byte, unsafe.Sizeof(uintptr(0)))...)
	err = m.pinned(func() error { return m.do(fnInitialize, pointer(args)) }, args)
	if err != nil && !errors.Is(err, ErrInitialized) {
		return nil, fmt.Errorf("%w: %s: C_Initialize: %w", ErrModule, path, err)
	}
	return m, nil
}

// do calls a function of the module. What pointers among args point to must be pinned.
func (m *Module) do(function int, args ...uintptr) error {
	if rv := call(m.list[function], args...); rv != 0 {
		return Error(rv)
	}
	return nil
}

// Tokens lists the tokens that are present.
func (m *Module) Tokens() ([]Token, error) {
	ids := make([]byte, maxSlots*ulongSize)
	count := appendUlong(nil, maxSlots)
	// Asking without a place for the answer makes the module look anew (§5.5, C_GetSlotList).
	err := m.pinned(func() error { return m.do(fnGetSlotList, 1, 0, pointer(count)) }, count)
	if err == nil {
		copy(count, appendUlong(nil, maxSlots))
		err = m.pinned(func() error { return m.do(fnGetSlotList, 1, pointer(ids), pointer(count)) }, ids, count)
	}
	if err != nil {
		return nil, fmt.Errorf("listing slots: %w", err)
	}
	n := min(ulong(count), maxSlots)
	var out []Token
	for i := range n {
		slot := ulong(ids[i*ulongSize:])
		info := make([]byte, 1024) // CK_TOKEN_INFO has some 200
		err := m.pinned(func() error { return m.do(fnGetTokenInfo, uintptr(slot), pointer(info)) }, info)
		if err != nil {
			continue // removed since, or not recognised: not a token to sign with
		}
		out = append(out, Token{Slot: Slot(slot), Label: blank(info[:32]), Manufacturer: blank(info[32:64]), Model: blank(info[64:80]), Serial: blank(info[80:96])})
	}
	return out, nil
}

// Open opens a read-only session.
func (m *Module) Open(slot Slot) (Session, error) {
	out := make([]byte, ulongSize)
	err := m.pinned(func() error { return m.do(fnOpenSession, uintptr(slot), uintptr(flagSerial), 0, 0, pointer(out)) }, out)
	return Session(ulong(out)), err
}

// Close closes a session.
func (m *Module) Close(s Session) error { return m.do(fnCloseSession, uintptr(s)) }

// CloseAll closes all sessions of this process with a token, which also logs out.
func (m *Module) CloseAll(slot Slot) error { return m.do(fnCloseAllSessions, uintptr(slot)) }

// Login presents the PIN of the token's user; being logged in already is no error.
func (m *Module) Login(s Session, pin []byte) error {
	err := m.login(s, userUser, pin)
	if errors.Is(err, ErrLoggedIn) {
		return nil
	}
	return err
}

// Confirm presents the PIN once more, for a key that asks for it with each signature, between SignInit and Sign.
func (m *Module) Confirm(s Session, pin []byte) error { return m.login(s, userContext, pin) }

func (m *Module) login(s Session, user uint64, pin []byte) error {
	if len(pin) == 0 { // a reader with a keypad of its own asks (CKF_PROTECTED_AUTHENTICATION_PATH)
		return m.do(fnLogin, uintptr(s), uintptr(user), 0, 0)
	}
	return m.pinned(func() error { return m.do(fnLogin, uintptr(s), uintptr(user), pointer(pin), uintptr(len(pin))) }, pin)
}

// Condition is an attribute that an object must have.
type Condition struct {
	Attribute Attribute
	Value     []byte
}

// Ulong is a condition on an attribute of type CK_ULONG.
func Ulong(a Attribute, v uint64) Condition { return Condition{a, appendUlong(nil, v)} }

// Find lists the objects that meet all conditions.
func (m *Module) Find(s Session, conditions ...Condition) (found []Object, err error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	var template []byte
	for _, c := range conditions {
		template = appendEntry(template, uint64(c.Attribute), c.Value, &pin)
	}
	if len(template) > 0 {
		pin.Pin(&template[0])
	}
	if err := m.do(fnFindObjectsInit, uintptr(s), pointer(template), uintptr(len(conditions))); err != nil {
		return nil, fmt.Errorf("looking for objects: %w", err)
	}
	defer func() { err = errors.Join(err, m.do(fnFindObjectsFinal, uintptr(s))) }()
	const batch = 32
	handles, count := make([]byte, batch*ulongSize), make([]byte, ulongSize)
	pin.Pin(&handles[0])
	pin.Pin(&count[0])
	for len(found) < maxObjects {
		if err := m.do(fnFindObjects, uintptr(s), pointer(handles), batch, pointer(count)); err != nil {
			return nil, fmt.Errorf("looking for objects: %w", err)
		}
		n := min(ulong(count), batch)
		if n == 0 {
			break
		}
		for i := range n {
			found = append(found, Object(ulong(handles[i*ulongSize:])))
		}
	}
	return found, nil
}

// Attribute reads one attribute; nil when the object does not have it or does not show it.
func (m *Module) Attribute(s Session, o Object, a Attribute) ([]byte, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	entry := appendEntry(nil, uint64(a), nil, &pin)
	pin.Pin(&entry[0])
	err := m.do(fnGetAttributeValue, uintptr(s), uintptr(o), pointer(entry), 1)
	if errors.Is(err, ErrNoAttribute) || errors.Is(err, ErrSensitive) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	size := ulong(entry[entryLength:])
	if size == 0 || size > maxAttribute {
		return nil, nil // also CK_UNAVAILABLE_INFORMATION, all ones
	}
	value := make([]byte, size)
	entry = appendEntry(entry[:0], uint64(a), value, &pin)
	if err := m.do(fnGetAttributeValue, uintptr(s), uintptr(o), pointer(entry), 1); err != nil {
		return nil, err
	}
	return value[:min(ulong(entry[entryLength:]), size)], nil
}

// AttributeUlong reads an attribute of type CK_ULONG.
func (m *Module) AttributeUlong(s Session, o Object, a Attribute) (uint64, bool, error) {
	b, err := m.Attribute(s, o, a)
	if err != nil || len(b) != ulongSize {
		return 0, false, err
	}
	return ulong(b), true, nil
}

// SignInit begins a signature with a private key.
func (m *Module) SignInit(s Session, how Mechanism, key Object) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	mechanism := appendEntry(nil, how.Type, how.Parameter, &pin)
	pin.Pin(&mechanism[0])
	return m.do(fnSignInit, uintptr(s), pointer(mechanism), uintptr(key))
}

// Sign ends the signature that SignInit began over data.
func (m *Module) Sign(s Session, data []byte) ([]byte, error) {
	out, size := make([]byte, maxSignature), appendUlong(nil, maxSignature)
	err := m.pinned(func() error {
		return m.do(fnSign, uintptr(s), pointer(data), uintptr(len(data)), pointer(out), pointer(size))
	}, data, out, size)
	if err != nil {
		return nil, err
	}
	return out[:min(ulong(size), maxSignature)], nil
}

// pinned keeps slices in place while the module works on them.
func (m *Module) pinned(do func() error, slices ...[]byte) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	for _, s := range slices {
		if len(s) > 0 {
			pin.Pin(&s[0])
		}
	}
	return do()
}

// pointer is the address of a slice's first byte, 0 for an empty one. The caller keeps the slice pinned.
func pointer(b []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b))) //nolint:gosec // handed to a C function
}

// appendEntry lays out {number, pointer, length}: CK_ATTRIBUTE and CK_MECHANISM have the same form.
func appendEntry(dst []byte, number uint64, value []byte, pin *runtime.Pinner) []byte {
	if len(value) > 0 {
		pin.Pin(&value[0])
	}
	dst = appendUlong(dst, number)
	if len(value) == 0 {
		dst = append(dst, make([]byte, unsafe.Sizeof(uintptr(0)))...)
	} else {
		dst = binary.NativeEndian.AppendUint64(dst, uint64(pointer(value)))
	}
	return appendUlong(dst, uint64(len(value)))
}

func blank(b []byte) string { return strings.TrimRight(string(b), " \x00") }
