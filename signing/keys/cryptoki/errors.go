package cryptoki

import "fmt"

// Error is a CK_RV, the answer of a module that could not do what was asked (§5.1).
type Error uint64

// The errors that callers tell apart.
const (
	ErrDevice        Error = 0x030
	ErrRemoved       Error = 0x032
	ErrNoAttribute   Error = 0x012
	ErrSensitive     Error = 0x011
	ErrKeyHandle     Error = 0x060
	ErrMechanism     Error = 0x070
	ErrObjectHandle  Error = 0x082
	ErrPIN           Error = 0x0A0
	ErrPINInvalid    Error = 0x0A1
	ErrPINLength     Error = 0x0A2
	ErrPINExpired    Error = 0x0A3
	ErrPINLocked     Error = 0x0A4
	ErrSessionClosed Error = 0x0B0
	ErrSessionCount  Error = 0x0B1
	ErrSession       Error = 0x0B3
	ErrSlot          Error = 0x003
	ErrNotPresent    Error = 0x0E0
	ErrNotRecognized Error = 0x0E1
	ErrLoggedIn      Error = 0x100
	ErrNotLoggedIn   Error = 0x101
	ErrInitialized   Error = 0x191
)

func (e Error) Error() string {
	names := map[Error]string{
		ErrDevice: "CKR_DEVICE_ERROR", ErrRemoved: "CKR_DEVICE_REMOVED", ErrNoAttribute: "CKR_ATTRIBUTE_TYPE_INVALID", ErrSensitive: "CKR_ATTRIBUTE_SENSITIVE",
		ErrKeyHandle: "CKR_KEY_HANDLE_INVALID", ErrMechanism: "CKR_MECHANISM_INVALID", ErrObjectHandle: "CKR_OBJECT_HANDLE_INVALID",
		ErrPIN: "CKR_PIN_INCORRECT", ErrPINInvalid: "CKR_PIN_INVALID", ErrPINLength: "CKR_PIN_LEN_RANGE", ErrPINExpired: "CKR_PIN_EXPIRED", ErrPINLocked: "CKR_PIN_LOCKED",
		ErrSessionClosed: "CKR_SESSION_CLOSED", ErrSessionCount: "CKR_SESSION_COUNT", ErrSession: "CKR_SESSION_HANDLE_INVALID", ErrSlot: "CKR_SLOT_ID_INVALID",
		ErrNotPresent: "CKR_TOKEN_NOT_PRESENT", ErrNotRecognized: "CKR_TOKEN_NOT_RECOGNIZED",
		ErrLoggedIn: "CKR_USER_ALREADY_LOGGED_IN", ErrNotLoggedIn: "CKR_USER_NOT_LOGGED_IN", ErrInitialized: "CKR_CRYPTOKI_ALREADY_INITIALIZED",
	}
	if name, ok := names[e]; ok {
		return "cryptoki: " + name
	}
	return fmt.Sprintf("cryptoki: error 0x%X", uint64(e))
}

// Lost tells that what the session stood on is gone (a token that was pulled out, a reader that was reset, a log-out by
// another program), so that beginning anew may help.
func (e Error) Lost() bool {
	switch e {
	case ErrDevice, ErrRemoved, ErrKeyHandle, ErrObjectHandle, ErrSessionClosed, ErrSession, ErrSlot, ErrNotPresent, ErrNotRecognized, ErrNotLoggedIn:
		return true
	}
	return false
}
