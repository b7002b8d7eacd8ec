package exchange

import (
	"errors"
	"fmt"

	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// Error is the one error told to people; see registry.Error. Every other error
// is internal: the doors log it and say so without details.
type Error = registry.Error

// Kind sorts Error; the doors map each kind to their own answer.
type Kind = registry.Kind

// The kinds of Error.
const (
	KindInvalid         = registry.KindInvalid
	KindUnauthenticated = registry.KindUnauthenticated
	KindForbidden       = registry.KindForbidden
	KindNotFound        = registry.KindNotFound
	KindConflict        = registry.KindConflict
	KindUnavailable     = registry.KindUnavailable
	KindTooLarge        = registry.KindTooLarge
	KindFull            = registry.KindFull
)

// KindOf gives the kind of the first Error in err's chain, "" when there is none.
func KindOf(err error) Kind { return registry.KindOf(err) }

// fail makes an Error with its message in both languages.
func fail(k Kind, vi, en string) *Error { return registry.NewError(k, vi, en) }

func failf(k Kind, vi, en string, args ...any) *Error {
	return registry.NewError(k, fmt.Sprintf(vi, args...), fmt.Sprintf(en, args...))
}

// storageError turns what the engines say into what people can act on, and
// leaves the rest as an internal error saying what was being done.
func storageError(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case KindOf(err) != "":
		return err
	case sqldb.IsFull(err), errors.Is(err, blob.ErrFull):
		return fail(KindFull, "Hết chỗ lưu trữ, thao tác chưa được thực hiện.", "No room left in the store; nothing was done.").
			Advise("Giải phóng dung lượng đĩa rồi làm lại.", "Free some disk space, then try again.").
			Keeping("Mọi dữ liệu đã xác nhận trước đó vẫn còn nguyên.", "Everything confirmed before is intact.").
			Because(fmt.Errorf("%s: %w", doing, err))
	case errors.Is(err, sqldb.ErrClosed):
		return fail(KindUnavailable, "Hệ thống đang dừng, thao tác chưa được thực hiện.", "The hub is stopping; nothing was done.").
			Advise("Thử lại sau ít phút.", "Try again in a few minutes.").
			Because(fmt.Errorf("%s: %w", doing, err))
	}
	return fmt.Errorf("%s: %w", doing, err)
}
