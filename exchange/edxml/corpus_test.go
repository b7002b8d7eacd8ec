package edxml

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// corpus gives the folder of packets made by the national library. It stands beside the repository.
func corpus(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../../../shared/corpus/edxml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		if strings.Contains(os.Getenv("VANTHU_TEST_REQUIRE"), "corpus") {
			t.Fatal("corpus not found at ../shared/corpus")
		}
		t.Skip("corpus not found at ../shared/corpus")
	}
	return dir
}

func decodeFile(t testing.TB, name string) (*Packet, error) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	limits := DefaultLimits()
	limits.Dir = t.TempDir()
	p, err := Decode(f, limits)
	if err == nil {
		t.Cleanup(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return p, err
}

func asMap(t testing.TB, data []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func jsonOf(t testing.TB, p *Packet, contents bool) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.WriteJSON(&b, contents); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func packets(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(corpus(t), "*.edxml"))
	if err != nil || len(names) < 15 {
		t.Fatalf("%d packets in the corpus: %v", len(names), err)
	}
	return names
}

func TestPacketsReadAsTheNationalLibraryReadsThem(t *testing.T) {
	for _, name := range packets(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			p, err := decodeFile(t, name)
			if err != nil {
				t.Fatal(err)
			}
			expected, err := os.ReadFile(strings.TrimSuffix(name, ".edxml") + ".expected.json")
			if err != nil {
				t.Fatal(err)
			}
			got, want := asMap(t, jsonOf(t, p, false)), asMap(t, expected)
			for key := range want {
				if !reflect.DeepEqual(got[key], want[key]) {
					t.Errorf("%s: got %v, want %v", key, got[key], want[key])
				}
			}
			for key := range got {
				if _, ok := want[key]; !ok {
					t.Errorf("%s is not among the library's keys", key)
				}
			}
		})
	}
}

func TestEncodeOfADecodedPacketDecodesToTheSame(t *testing.T) {
	for _, name := range packets(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			p, err := decodeFile(t, name)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ReadJSON(jsonOf(t, p, true))
			if err != nil {
				t.Fatal(err)
			}
			var packet bytes.Buffer
			if err := Encode(&packet, again); err != nil {
				t.Fatal(err)
			}
			back, err := Decode(bytes.NewReader(packet.Bytes()), DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			got, want := asMap(t, jsonOf(t, back, true)), asMap(t, jsonOf(t, p, true))
			for _, key := range []string{"packetSha256", "sdkHashCode"} {
				delete(got, key)
				delete(want, key)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v\nwant %v", got, want)
			}
			if err := back.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWriterWritesWhatTheNationalLibraryWrites compares bytes: a document without zipped files must come out as it was.
func TestWriterWritesWhatTheNationalLibraryWrites(t *testing.T) {
	for _, name := range packets(t) {
		base := filepath.Base(name)
		if strings.HasPrefix(base, "07_") || strings.HasPrefix(base, "08_") { // zip bytes differ; the signature is not ours to write
			continue
		}
		t.Run(base, func(t *testing.T) {
			p, err := decodeFile(t, name)
			if err != nil {
				t.Fatal(err)
			}
			var packet bytes.Buffer
			if err := Encode(&packet, p); err != nil {
				t.Fatal(err)
			}
			original, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got, want := strings.Split(packet.String(), "\r\n"), strings.Split(string(original), "\r\n")
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Fatalf("line %d: %.200q, want %.200q", i+1, got[i], want[i])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d lines, want %d", len(got), len(want))
			}
		})
	}
}

func TestOddFormsAreReadAndHostileOnesRefused(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(corpus(t), "variants", "*.edxml"))
	if err != nil || len(names) < 10 {
		t.Fatalf("%d variants: %v", len(names), err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			p, err := decodeFile(t, name)
			switch filepath.Base(name)[0] {
			case 'v':
				if err != nil {
					t.Fatal(err)
				}
				if len(p.Attachments) != 2 || p.Attachments[0].Name != "125_UBND-VXNV.pdf" || p.Attachments[0].Size != 572 || p.Header.Subject == "" {
					t.Errorf("read as %+v", p)
				}
			case 'h':
				if AsRefusal(err) == nil {
					t.Fatalf("got %v, want a refusal", err)
				}
				t.Log(err)
			}
		})
	}
}
