package pdf

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// ValidationData is what the document security store keeps (kho dữ liệu kiểm tra; ISO 32000-2 §12.8.4.3, ETSI EN 319
// 142-1 §5.4.2.2), everything in DER.
type ValidationData struct {
	Certs, CRLs, OCSPs [][]byte
	Of                 []SignatureData // the same data by signature (/VRI)
}

// SignatureData says which data belongs to a signature or time stamp, given by the bytes of its /Contents with their
// padding.
type SignatureData struct {
	Contents           []byte
	Certs, CRLs, OCSPs [][]byte
}

// AppendStore gives the bytes of one more revision with the data added to the document security store, to stand behind
// the file; nil when the store has all of it. What the store holds stays; equal data is stored once. at stands in the
// new /VRI entries.
func AppendStore(src io.ReaderAt, f *File, at time.Time, data ValidationData) ([]byte, error) {
	u, err := NewUpdate(f)
	if err != nil {
		return nil, err
	}
	_, catalogRef, err := u.view.Catalog()
	if err != nil {
		return nil, err
	}
	catalog, ok, err := u.dict(catalogRef)
	if err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("the catalog is no dictionary: %w", ErrUnsupported), err)
	}
	store, _, err := u.dict(catalog["DSS"])
	if err != nil {
		return nil, err
	}
	if store == nil {
		store = Dict{"Type": Name("DSS")}
	}
	w := storeWriter{u: u, dict: store, known: map[[sha256.Size]byte]Ref{}}
	if err := w.load(); err != nil {
		return nil, fmt.Errorf("reading the document security store: %w", err)
	}
	w.put("Certs", data.Certs)
	w.put("CRLs", data.CRLs)
	w.put("OCSPs", data.OCSPs)
	for _, of := range data.Of {
		if err := w.entry(of, at); err != nil {
			return nil, err
		}
	}
	if !w.changed {
		return nil, nil
	}
	if ref, indirect := catalog["DSS"].(Ref); indirect {
		u.Set(ref, store)
	} else {
		catalog["DSS"] = u.Add(store)
		u.Set(catalogRef, catalog)
	}
	t, err := u.encode(src, at)
	if err != nil {
		return nil, err
	}
	return t.data, nil
}

type storeWriter struct {
	u       *Update
	dict    Dict
	known   map[[sha256.Size]byte]Ref
	changed bool
}

// maxStore bounds how many streams of an existing store are read to be found again.
const maxStore = 2000

// load notes what the store holds.
func (w *storeWriter) load() error {
	for _, key := range []Name{"Certs", "CRLs", "OCSPs"} {
		list, _, err := w.u.array(w.dict[key])
		if err != nil {
			return err
		}
		for _, o := range list {
			ref, indirect := o.(Ref)
			stream, err := w.u.Resolve(o)
			if err != nil {
				return err
			}
			s, ok := stream.(*Stream)
			if !ok || !indirect || len(w.known) > maxStore {
				continue
			}
			if der, err := w.u.view.StreamData(s); err == nil {
				w.known[sha256.Sum256(der)] = ref
			}
		}
	}
	return nil
}

// refs stores what is new and gives the references of all.
func (w *storeWriter) refs(items [][]byte) (all, fresh Array) {
	for _, der := range items {
		sum := sha256.Sum256(der)
		ref, ok := w.known[sum]
		if !ok {
			ref = w.u.Add(packed(der))
			w.known[sum] = ref
			fresh = append(fresh, ref)
		}
		all = append(all, ref)
	}
	return all, fresh
}

// packLarger is the size in bytes from which data is compressed: certificates and OCSP responses hardly shrink, the
// lists of large authorities do.
const packLarger = 16 << 10

func packed(der []byte) *Stream {
	var b bytes.Buffer
	if len(der) >= packLarger {
		z := zlib.NewWriter(&b)
		_, err := z.Write(der)
		if err = errors.Join(err, z.Close()); err == nil && b.Len() < len(der) {
			return &Stream{Dict: Dict{"Filter": Name("FlateDecode")}, Raw: b.Bytes()}
		}
	}
	return &Stream{Dict: Dict{}, Raw: der}
}

func (w *storeWriter) put(key Name, items [][]byte) {
	_, fresh := w.refs(items)
	if len(fresh) == 0 {
		return
	}
	w.changed = true
	list, _, err := w.u.array(w.dict[key])
	if err != nil { // load has read it already
		list = nil
	}
	w.dict[key] = append(list, fresh...)
}

// entry writes the /VRI entry of a signature, named by the SHA-1 digest of its /Contents (ISO 32000-2 table 261).
func (w *storeWriter) entry(of SignatureData, at time.Time) error {
	sum := sha1.Sum(of.Contents)
	name := Name(strings.ToUpper(hex.EncodeToString(sum[:])))
	all, _, err := w.u.dict(w.dict["VRI"])
	if err != nil {
		return err
	}
	if all == nil {
		all = Dict{}
	}
	if all[name] != nil && !w.changed {
		return nil
	}
	entry := Dict{"Type": Name("VRI"), "TU": Date(at)}
	for key, items := range map[Name][][]byte{"Cert": of.Certs, "CRL": of.CRLs, "OCSP": of.OCSPs} {
		if refs, _ := w.refs(items); len(refs) > 0 {
			entry[key] = refs
		}
	}
	all[name] = w.u.Add(entry)
	w.dict["VRI"] = all
	w.changed = true
	return nil
}
