package pdf

type crypt struct{}

func (f *File) openCrypt() error { return nil }

func (c *crypt) strings(o Object, r Ref) Object { return o }

func (c *crypt) stream(data []byte, s *Stream, steps []filterStep) ([]byte, error) { return data, nil }
