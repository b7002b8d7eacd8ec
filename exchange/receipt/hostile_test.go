package receipt

import (
	"archive/zip"
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"vanthu/signing"
)

// TestUnpackTakesOneFormOnly: what every zip program would read differently, or hide something in, is refused.
func TestUnpackTakesOneFormOnly(t *testing.T) {
	good := []member{{"mimetype", []byte(MediaType)}, {"receipts/001-H03.01-01.json", []byte("{}")}, {"README.html", bytes.Repeat([]byte("a"), 300)}}
	whole := pack(good)
	if got, hurt := unpack(whole); hurt != nil || len(got) != 3 || got[1].name != good[1].name || !bytes.Equal(got[2].data, good[2].data) {
		t.Fatalf("%v, %v", got, hurt)
	}
	// Another program reads it the same.
	z, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	if err != nil || len(z.File) != 3 || z.File[1].Name != good[1].name || z.File[0].Method != zip.Store {
		t.Fatalf("archive/zip: %v", err)
	}
	for i := range len(whole) * 8 {
		flipped := bytes.Clone(whole)
		flipped[i/8] ^= 1 << (i % 8)
		if _, hurt := unpack(flipped); hurt == nil || hurt.text.vi == "" {
			t.Fatalf("bit %d of byte %d is not seen", i%8, i/8)
		}
	}
	var deflated bytes.Buffer
	w := zip.NewWriter(&deflated)
	f, err := w.Create("mimetype")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, 64<<20)); err != nil { // a bomb: 64 MiB in 64 KiB
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	named := func(names ...string) []byte {
		var list []member
		for _, n := range names {
			list = append(list, member{n, []byte("x")})
		}
		return pack(list)
	}
	for name, data := range map[string][]byte{
		"empty": {}, "text": []byte("không phải"), "bomb": deflated.Bytes(),
		"trailing byte": append(bytes.Clone(whole), 0), "leading byte": append([]byte{0}, whole...), "truncated": whole[:len(whole)-1],
		"between members": bytes.Replace(whole, []byte("PK\x03\x04"), []byte("xxPK\x03\x04"), 2), "two archives": append(bytes.Clone(whole), whole...),
		"doubled": named("a.json", "a.json"), "upwards": named("../a"), "inner upwards": named("a/../../b"), "absolute": named("/etc/a"),
		"backslash": named(`a\b`), "drive": named("C:a"), "not ASCII": named("biên"), "folder": named("a/"), "empty part": named("a//b"), "dot": named("./a"),
		"control": named("a\x00b"), "long": named(strings.Repeat("a", 201)), "comment": append(bytes.Clone(whole[:len(whole)-2]), 1, 0, 'c'),
		"local header only": whole[:30+len("mimetype")+len(MediaType)],
	} {
		if got, hurt := unpack(data); hurt == nil {
			t.Errorf("%s: %d members", name, len(got))
		}
	}
}

// Repack flips a bit inside a member and writes the container anew, checksums and all, as somebody who means it would.
func Repack(tb testing.TB, bundle []byte, index, bit int) (changed []byte, name string, size int) {
	tb.Helper()
	members, hurt := unpack(bytes.Clone(bundle))
	if hurt != nil {
		tb.Fatal(hurt.text.en)
	}
	m := members[index%len(members)]
	if len(m.data) > 0 {
		bit %= len(m.data) * 8
		m.data[bit/8] ^= 1 << (bit % 8)
	}
	return pack(members), m.name, len(members)
}

// Strip takes members out of a bundle.
func Strip(tb testing.TB, bundle []byte, names ...string) []byte {
	tb.Helper()
	members, hurt := unpack(bundle)
	if hurt != nil {
		tb.Fatal(hurt.text.en)
	}
	return pack(slices.DeleteFunc(members, func(m member) bool { return slices.Contains(names, m.name) }))
}

func FuzzVerify(f *testing.F) {
	f.Add(pack([]member{{"mimetype", []byte(MediaType)}, {"receipt.json", []byte(`{"v":1}`)}}))
	f.Add(pack([]member{{"mimetype", []byte(MediaType)}, {"README.html", nil}, {"receipt.json", []byte(`{"v":1}`)}, {"log/checkpoint", []byte("x")},
		{"META-INF/ASiCManifest001.xml", nil}, {"META-INF/signature001.p7s", []byte{0x30, 0}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		// Both as it is, and as the members of a sound container.
		r, err := Verify(context.Background(), data, VerifyOptions{})
		if err != nil || r.Verdict == signing.TotalPassed {
			t.Fatalf("%v, %+v", err, r)
		}
		members := []member{{"mimetype", []byte(MediaType)}}
		for i, part := range bytes.Split(data, []byte{0xff, 0xff}) {
			names := []string{memberReadme, memberStatement, memberCheckpoint, memberManifest, memberSignature, memberArchive, memberTimestamp, memberCheckpointToken}
			if i < len(names) {
				members = append(members, member{names[i], part})
			}
		}
		if r, err := Verify(context.Background(), pack(members), VerifyOptions{}); err != nil || r.Verdict == signing.TotalPassed {
			t.Fatalf("%v, %+v", err, r)
		}
	})
}
