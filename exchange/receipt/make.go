package receipt

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"vanthu/signing"
	"vanthu/signing/cms"
	"vanthu/signing/keys"
	"vanthu/signing/pki"
	"vanthu/signing/tsa"
	"vanthu/storage/ledger/logproof"
)

// Signed is a recipient's receipt; one without a signature came over a channel that has none.
type Signed struct {
	Body, Signature []byte
}

// Input is what a bundle is made of.
type Input struct {
	Statement       Statement // V, Log.Size and TimePending are filled in
	Proofs          []logproof.Proof
	Checkpoint      string
	CheckpointToken []byte // RFC 3161 token over the checkpoint's signed part; nil: none yet
	Receipts        []Signed
	PDF             []byte // nil: the document itself is left out
}

// Options of Make.
type Options struct {
	Key        *keys.Key  // of the issuer
	TSA        tsa.Client // nil, or one that is down: the bundle says that its time is pending
	Trust      *pki.Trust
	Revocation signing.RevocationSource
}

// Make writes a bundle. Its own verification has to be asked for by the caller, who holds the trusted roots.
func Make(ctx context.Context, in Input, o Options) ([]byte, error) {
	s := in.Statement
	s.V = version
	tree, err := logproof.OpenCheckpoint(s.Log.Key, in.Checkpoint)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMake, err)
	}
	s.Log.Size = tree.N
	detached := signing.DetachedOptions{At: s.Made, Trust: o.Trust, Revocation: o.Revocation}
	probe := stampOf(ctx, o.TSA)
	if s.TimePending = probe == nil; probe != nil {
		detached.TSA, detached.Level = o.TSA, signing.LevelT
	}
	members, err := in.members(s)
	if err != nil {
		return nil, err
	}
	material, err := validation(ctx, in, o, probe)
	if err != nil {
		return nil, err
	}
	members = append(members, material...)
	page := member{memberReadme, readme(&s, trail(&s, in.Proofs, in.spoken(), time.Time{}), o.Key.Certificate)}
	members = append([]member{{memberType, []byte(MediaType)}, page}, members...)
	signedManifest := manifest(memberSignature, signatureType, signedMembers(members))
	signature, err := signing.SignDetached(ctx, bytes.NewReader(signedManifest), o.Key, detached)
	if err != nil {
		return nil, fmt.Errorf("signing the bundle: %w", err)
	}
	members = append(members, member{memberManifest, signedManifest}, member{memberSignature, signature})
	if !s.TimePending {
		archive := manifest(memberTimestamp, tokenType, archivedMembers(members))
		sum := sha256.Sum256(archive)
		token, err := o.TSA.Timestamp(ctx, sum[:], crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("time-stamping the bundle: %w", err)
		}
		members = append(members, member{memberArchive, archive}, member{memberTimestamp, token})
	}
	for _, m := range members {
		if !plain(m.name) || len(m.name) > maxName {
			return nil, fmt.Errorf("%w: a member named %q", ErrMake, m.name)
		}
	}
	out := pack(members)
	if len(out) > maxBundle || len(members) > maxMembers {
		return nil, fmt.Errorf("%w: %d members of %d bytes", ErrTooLarge, len(members), len(out))
	}
	return out, nil
}

// stampOf asks for a token of the authority, so that the statement can say before it is signed whether there is one, and
// the validation data has the authority's certificates. nil when it cannot be had.
func stampOf(ctx context.Context, c tsa.Client) []byte {
	if c == nil {
		return nil
	}
	sum := sha256.Sum256(nil)
	token, err := c.Timestamp(ctx, sum[:], crypto.SHA256)
	if err != nil {
		return nil
	}
	return token
}

// spoken are the receipts as the page in the bundle tells them: it says who signed at all, Verify says whether it is good.
func (in *Input) spoken() map[string]spoken {
	out := map[string]spoken{}
	for _, r := range in.Receipts {
		var b Body
		if json.Unmarshal(r.Body, &b) == nil {
			out[b.ID] = spoken{Body: b, proof: ProofWord}
			if len(r.Signature) > 0 {
				out[b.ID] = spoken{Body: b, proof: ProofSigned}
			}
		}
	}
	return out
}

// members writes all but the page, the validation data and META-INF.
func (in *Input) members(s Statement) ([]member, error) {
	statement, err := encode(s)
	if err != nil {
		return nil, err
	}
	list := []member{{memberStatement, statement}}
	if in.PDF != nil {
		list = append(list, member{memberDocument, in.PDF})
	}
	for i, r := range in.Receipts {
		var b Body
		if err := json.Unmarshal(r.Body, &b); err != nil {
			return nil, fmt.Errorf("%w: a receipt is not JSON: %w", ErrMake, err)
		}
		base := fmt.Sprintf("%s%03d-%s-%s", folderReceipts, i+1, safe(b.From), safe(b.Status))
		list = append(list, member{base + ".json", r.Body})
		if len(r.Signature) > 0 {
			list = append(list, member{base + ".p7s", r.Signature})
		}
	}
	for _, p := range in.Proofs {
		p.Checkpoint = "" // it stands once, in its own member
		data, err := encode(p)
		if err != nil {
			return nil, err
		}
		list = append(list, member{fmt.Sprintf("%s%010d.json", folderEvidence, p.Index), data})
	}
	list = append(list, member{memberCheckpoint, []byte(in.Checkpoint)})
	if len(in.CheckpointToken) > 0 {
		list = append(list, member{memberCheckpointToken, in.CheckpointToken})
	}
	return list, nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMake, err)
	}
	return b.Bytes(), nil
}

// safe makes a code part of a member's name; the content says the code itself.
func safe(code string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", r) {
			return r
		}
		return '_'
	}, strings.Trim(code, "."))
}

// validation gathers the certificates of all signers and authorities, and what says that they were not revoked.
func validation(ctx context.Context, in Input, o Options, probe []byte) ([]member, error) {
	g := gathering{ctx: ctx, o: o, at: in.Statement.Made, seen: map[string]bool{}}
	g.leaf(o.Key.Certificate, o.Key.Chain, pki.UsageSigning)
	for _, r := range in.Receipts {
		if sd, err := cms.Parse(r.Signature, cms.DefaultLimits()); err == nil && len(sd.Signers) == 1 {
			if c := sd.SignerCertificate(sd.Signers[0]); c != nil {
				g.leaf(c, sd.Certificates(), pki.UsageSigning)
			}
		}
	}
	for _, raw := range [][]byte{in.CheckpointToken, probe} {
		if token, err := tsa.ParseToken(raw); err == nil {
			if c := token.SignedData.SignerCertificate(token.SignedData.Signers[0]); c != nil {
				g.leaf(c, token.SignedData.Certificates(), pki.UsageTimestamping)
			}
			for _, c := range token.SignedData.Certificates() {
				g.add(folderCertificates, "cer", c.Raw)
			}
		}
	}
	return g.members, ctx.Err()
}

// gathering collects validation data, each piece once.
type gathering struct {
	ctx     context.Context
	o       Options
	at      time.Time
	seen    map[string]bool
	members []member
	crls    [][]byte
}

func (g *gathering) add(folder, ext string, data []byte) {
	sum := sha256.Sum256(data)
	name := fmt.Sprintf("%s%x.%s", folder, sum[:8], ext)
	if !g.seen[name] {
		g.seen[name] = true
		g.members = append(g.members, member{name, data})
	}
}

func (g *gathering) leaf(c *x509.Certificate, pool []*x509.Certificate, usage pki.Usage) {
	if g.seen[string(c.Raw)] {
		return
	}
	g.seen[string(c.Raw)] = true
	chain := pki.BuildChain(c, pool, g.o.Trust, g.at, usage).Chain
	for i, link := range chain {
		g.add(folderCertificates, "cer", link.Raw)
		if i+1 == len(chain) || g.o.Revocation == nil {
			break
		}
		// What an authority does not tell now is missing later; the verdict says so then.
		if known := (pki.Evidence{CRLs: g.crls}); pki.CheckRevocation(link, chain[i+1], known, pki.RevocationOptions{At: g.at, Now: g.at}).Status == pki.StatusGood {
			continue
		}
		ev, err := g.o.Revocation.Fetch(g.ctx, link, chain[i+1])
		if err != nil {
			continue
		}
		g.crls = append(g.crls, ev.CRLs...)
		for _, crl := range ev.CRLs {
			g.add(folderCRLs, "crl", crl)
		}
		for _, response := range ev.OCSPs {
			g.add(folderOCSPs, "ocsp", response)
		}
	}
}
