package signing

import "errors"

// ErrTooLarge is wrapped when content signed apart is over VerifyOptions.MaxSize. PDF files give *pdf.Error instead.
var ErrTooLarge = errors.New("signing: too large")
