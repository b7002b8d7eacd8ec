package pdf

// streamBody takes "stream … endstream" after the dictionary d of object ref, or nothing when d is a plain
// dictionary. v resolves an indirect /Length; without it the length must be direct.
func (f *File) streamBody(l *lexer, d Dict, ref Ref, v *View) (*Stream, error) {
	if !l.keyword("stream") {
		return nil, nil
	}
	if l.peek() == '\r' {
		l.take()
	}
	if l.peek() == '\n' {
		l.take()
	}
	st := &Stream{Dict: d, Offset: l.offset(), ref: ref}
	length := d["Length"]
	if r, ok := length.(Ref); ok && v != nil {
		var err error
		if length, err = v.Get(r); err != nil {
			length = nil
		}
	}
	n, known := length.(int64)
	if st.Length = n; known && st.Length >= 0 && st.Length <= l.end-st.Offset {
		l.seek(st.Offset + st.Length)
		l.blank()
		if l.literal("endstream") {
			return st, nil
		}
	}
	if l.err != nil {
		return nil, l.err
	}
	// Readers disagree on what such a stream holds: it is read up to endstream and the file gets a problem.
	f.problem(ProblemLength, st.Offset, ref.String())
	end, err := f.endstream(st.Offset, l.end)
	if err != nil {
		return nil, err
	}
	l.seek(end + int64(len("endstream")))
	st.Length = end - st.Offset
	if tail, err := f.src.slice(max(st.Offset, end-2), min(2, st.Length)); err == nil {
		n := len(tail)
		switch {
		case n == 2 && tail[0] == '\r' && tail[1] == '\n':
			st.Length -= 2
		case n > 0 && (tail[n-1] == '\n' || tail[n-1] == '\r'):
			st.Length--
		}
	}
	return st, nil
}

// endstream finds the next endstream keyword from off. What a search has passed over is not searched again.
func (f *File) endstream(off, end int64) (int64, error) {
	from := off
	if off >= f.noEnd[0] && off <= f.noEnd[1] {
		from = f.noEnd[1]
	}
	at, err := f.src.index("endstream", from, f.src.size)
	if err != nil {
		return 0, err
	}
	passed := at
	if at < 0 {
		passed = f.src.size
	}
	f.noEnd = [2]int64{min(off, from), passed}
	if at < 0 || at+int64(len("endstream")) > end {
		return 0, damaged(off, "a stream has no endstream")
	}
	return at, nil
}

// RawData gives the bytes of a stream as they stand in the file: encoded, and encrypted in an encrypted file. One of
// more than MaxStream bytes gives an error of kind TooLarge.
func (v *View) RawData(s *Stream) ([]byte, error) { return v.f.raw(s) }

func (f *File) raw(s *Stream) ([]byte, error) {
	if s.Raw != nil {
		return s.Raw, nil
	}
	if s.Length > f.lim.MaxStream {
		return nil, tooLarge(s.Offset, "a stream is too long")
	}
	return f.src.slice(s.Offset, s.Length)
}

// StreamData decodes a stream through all its filters; image filters (DCT, JPX, CCITT, JBIG2) give an error.
func (v *View) StreamData(s *Stream) ([]byte, error) { return v.f.decode(s, v) }

// decode decrypts and decodes a stream. v resolves indirect filter parameters and may be nil.
func (f *File) decode(s *Stream, v *View) ([]byte, error) {
	data, err := f.raw(s)
	if err != nil {
		return nil, err
	}
	steps, err := filters(s, v)
	if err != nil {
		return nil, err
	}
	if f.crypt != nil && s.Raw == nil {
		data = f.crypt.stream(data, s, steps)
	}
	for _, step := range steps {
		if err := f.src.stop(); err != nil {
			return nil, &Error{Kind: Stopped, Offset: s.Offset, Msg: "decoding stopped", Err: err}
		}
		limit := min(f.lim.MaxStream, f.lim.MaxInflated-f.inflated)
		out, complete, err := step.run(data, limit, f.src.stop)
		if err != nil {
			return nil, at(err, s.Offset)
		}
		if !complete {
			f.problem(ProblemFilter, s.Offset, string(step.name))
		}
		f.inflated += int64(len(out))
		data = out
	}
	return data, nil
}
