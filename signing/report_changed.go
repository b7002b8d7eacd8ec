package signing

// ChangedFrom gives the length in bytes of the newest signed state of a file that what came later changed in a way that
// is forbidden or unclear: what people compare with the file as it is. ok is false where there is no such state, as when
// signed bytes themselves were changed: then nothing is left to compare with.
func (r *Report) ChangedFrom() (signed int64, ok bool) {
	for _, s := range r.Signatures {
		if (s.LaterChanges == ChangesForbidden || s.LaterChanges == ChangesUnclear) && s.CoversTo > signed {
			signed = s.CoversTo
		}
	}
	return signed, signed > 0
}
