package console

import "net/http"

// static serves embedded files; an address that carries the file's digest may be kept for a year.
func (s *server) static(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[len("/static/"):]
	digest, ok := s.assets.digests[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("ETag", `"`+digest+`"`)
	h.Set("Cache-Control", "public, max-age=86400")
	if r.URL.Query().Get("v") == digest {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if kind, ok := mediaTypes()[suffix(name)]; ok {
		h.Set("Content-Type", kind)
	}
	s.files.ServeHTTP(w, r)
}

// mediaTypes are stated here because the machine's own table may lack them.
func mediaTypes() map[string]string {
	return map[string]string{"mjs": "text/javascript; charset=utf-8", "js": "text/javascript; charset=utf-8",
		"css": "text/css; charset=utf-8", "svg": "image/svg+xml", "wasm": "application/wasm", "woff2": "font/woff2",
		"bcmap": "application/octet-stream", "pfb": "application/octet-stream", "icc": "application/octet-stream", "ttf": "font/ttf"}
}

func suffix(name string) string {
	for i := len(name) - 1; i >= 0 && name[i] != '/'; i-- {
		if name[i] == '.' {
			return name[i+1:]
		}
	}
	return ""
}
