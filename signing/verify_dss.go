package signing

import (
	"crypto/x509"

	"vanthu/signing/pdf"
	"vanthu/signing/pki"
)

const (
	maxStored      = 2000     // certificates, CRLs and OCSP responses taken from a document
	maxStoredBytes = 32 << 20 // of all of them together
)

// evidence is the document security store (kho dữ liệu kiểm tra; ISO 32000-2 §12.8.4.3) of all revisions. A store that
// was replaced later still counts: its data speaks for itself or not at all.
type evidence struct {
	certs []*x509.Certificate
	pki.Evidence
	revision int // the first revision that stores revocation data, -1 for none
}

// evidence reads the store, once.
func (v *verifier) evidence() *evidence {
	if v.store != nil {
		return v.store
	}
	v.store = &evidence{revision: -1}
	w := storeWalk{v: v, seen: map[int64]bool{}}
	for rev := range v.f.Revisions() {
		view := v.f.View(rev)
		cat, _, err := view.Catalog()
		if err != nil {
			continue
		}
		dss, err := view.Resolve(cat["DSS"])
		if d, ok := dss.(pdf.Dict); ok && err == nil {
			w.take(view, d)
		}
	}
	return v.store
}

type storeWalk struct {
	v     *verifier
	seen  map[int64]bool // streams by their place in the file
	count int
	bytes int
}

// take reads one DSS dictionary; the VRI entries only repeat what its arrays hold, or are read too.
func (w *storeWalk) take(view *pdf.View, dss pdf.Dict) {
	out := w.v.store
	had := len(out.CRLs) + len(out.OCSPs)
	w.list(view, dss["Certs"], func(der []byte) {
		if c, err := x509.ParseCertificate(der); err == nil {
			out.certs = append(out.certs, c)
		}
	})
	crl := func(der []byte) { out.CRLs = append(out.CRLs, der) }
	ocsp := func(der []byte) { out.OCSPs = append(out.OCSPs, der) }
	w.list(view, dss["CRLs"], crl)
	w.list(view, dss["OCSPs"], ocsp)
	if vri, err := view.Resolve(dss["VRI"]); err == nil {
		entries, _ := vri.(pdf.Dict)
		for _, o := range entries {
			entry, err := view.Resolve(o)
			if d, ok := entry.(pdf.Dict); ok && err == nil {
				w.list(view, d["CRL"], crl)
				w.list(view, d["OCSP"], ocsp)
			}
		}
	}
	if out.revision < 0 && len(out.CRLs)+len(out.OCSPs) > had {
		out.revision = view.Revision()
	}
}

// list reads the streams of an array, each once.
func (w *storeWalk) list(view *pdf.View, o pdf.Object, take func(der []byte)) {
	o, err := view.Resolve(o)
	streams, ok := o.(pdf.Array)
	if err != nil || !ok {
		return
	}
	for _, s := range streams {
		o, err := view.Resolve(s)
		st, ok := o.(*pdf.Stream)
		if err != nil || !ok || w.seen[st.Offset] {
			continue
		}
		if w.count++; w.count > maxStored || w.bytes > maxStoredBytes {
			return
		}
		w.seen[st.Offset] = true
		if der, err := view.StreamData(st); err == nil {
			w.bytes += len(der)
			take(der)
		}
	}
}

// level is the level that a signature has by its form (ETSI EN 319 142-1 §6.3): SubFilter, attributes, time stamps that
// are whole. It says what is there, not that it holds or is trusted.
func (v *verifier) level(it *item) string {
	switch {
	case it.subFilter != subFilterCAdES:
		return LevelAdobe
	case it.signed == nil:
		return LevelB // no attribute can be read: the SubFilter says the least
	case !it.hasESS:
		return LevelAdobe
	}
	later := v.coveredByTimestamp(it)
	if !it.stamped && later == nil {
		return LevelB
	}
	store := v.evidence()
	if store.revision < 0 && len(it.signed.RawCRLs)+len(it.signed.RawOCSPs) == 0 {
		return LevelT
	}
	for _, other := range v.items {
		if other.token != nil && other.usable() && store.revision >= 0 && other.field.Revision > it.field.Revision &&
			other.field.Revision >= store.revision {
			return LevelLTA
		}
	}
	return LevelLT
}
