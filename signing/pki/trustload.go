package pki

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxTrustFiles bounds the files of one folder.
const maxTrustFiles = 2000

// LoadTrustPaths reads what an operator trusts from files and folders: certificates and CRLs in PEM or DER, trust lists
// of ETSI TS 119 612 (XML). Of a folder the files ending in .pem, .crt, .cer, .der, .crl and .xml count, not those in
// folders below. Certificates of PEM and DER become anchors by the rule of [LoadTrust], taken over all files together;
// those of a list as [ParseTrustList] says. notes are for the operator.
func LoadTrustPaths(paths []string, o ListOptions) (t *Trust, notes []string, err error) {
	files, err := trustFiles(paths)
	if err != nil {
		return nil, nil, err
	}
	var pems [][]byte
	lists := &Trust{}
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			return nil, nil, fmt.Errorf("reading trust: %w", err)
		}
		if info.Size() > maxList {
			return nil, nil, fmt.Errorf("reading trust: %s has over %d bytes", name, maxList)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, nil, fmt.Errorf("reading trust: %w", err)
		}
		if !isXML(data) {
			pems = append(pems, asPEM(data))
			continue
		}
		list, more, err := ParseTrustList(data, o)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		notes = append(notes, more...)
		lists.add(list)
	}
	if t, err = LoadTrust(pems...); err != nil {
		return nil, nil, err
	}
	t.add(lists)
	return t, notes, nil
}

// add takes over what another Trust has.
func (t *Trust) add(other *Trust) {
	for _, c := range other.Roots {
		if !held(t.Roots, c) {
			t.Roots = append(t.Roots, c)
		}
	}
	for _, c := range other.TimestampRoots {
		if !held(t.TimestampRoots, c) {
			t.TimestampRoots = append(t.TimestampRoots, c)
		}
	}
	t.Intermediates = append(t.Intermediates, other.Intermediates...)
	t.CRLs, t.OCSPs = append(t.CRLs, other.CRLs...), append(t.OCSPs, other.OCSPs...)
}

// trustFiles lists the files that paths name.
func trustFiles(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("reading trust: %w", err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("reading trust: %w", err)
		}
		found := false
		for _, e := range entries {
			ending := strings.ToLower(filepath.Ext(e.Name()))
			if e.IsDir() || !slices.Contains([]string{".pem", ".crt", ".cer", ".der", ".crl", ".xml"}, ending) {
				continue
			}
			files, found = append(files, filepath.Join(path, e.Name())), true
		}
		if !found {
			return nil, fmt.Errorf("reading trust: the folder %s has no certificate or list in it", path)
		}
	}
	if len(files) > maxTrustFiles {
		return nil, errors.New("reading trust: too many files")
	}
	return files, nil
}

// isXML tells a list from certificates by its first character.
func isXML(data []byte) bool {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	return bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("<"))
}

// asPEM wraps DER: a CRL or a certificate, told apart by parsing.
func asPEM(data []byte) []byte {
	if len(data) == 0 || data[0] != 0x30 {
		return data
	}
	kind := "CERTIFICATE"
	if _, err := ParseCertificate(data); err != nil {
		kind = "X509 CRL"
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})
}
