package console

import (
	"strings"
	"time"

	"vanthu/signing"
)

// verdictChip is the judgement in one word, for lists.
func (v *voice) verdictChip(r *signing.Report) chip {
	if r == nil {
		return chip{Icon: "ask", Label: v.say("verdict.pending")}
	}
	return v.indicationChip(r.Verdict)
}

func (v *voice) indicationChip(verdict signing.Verdict) chip {
	switch verdict {
	case signing.TotalPassed:
		return chip{Tone: "ok", Icon: "ok", Label: v.say("verdict.ok")}
	case signing.TotalFailed:
		return chip{Tone: "bad", Icon: "bad", Label: v.say("verdict.bad")}
	case signing.NoSignature:
		return chip{Icon: "ask", Label: v.say("verdict.none")}
	}
	return chip{Tone: "wait", Icon: "ask", Label: v.say("verdict.wait")}
}

// verdictView is the judgement in full: one sentence, the five checks over all signatures, each signature.
func (v *voice) verdictView(r *signing.Report) *verdictView {
	if r == nil {
		return nil
	}
	c := v.indicationChip(r.Verdict)
	view := &verdictView{Tone: c.Tone, Icon: c.Icon, Sentence: v.sentence(r), Reasons: r.Reasons}
	if r.Verdict != signing.NoSignature {
		view.Checks = v.fiveChecks(r)
	}
	for i := range r.Signatures {
		view.Signatures = append(view.Signatures, v.signature(&r.Signatures[i]))
	}
	return view
}

func (v *voice) sentence(r *signing.Report) string {
	switch {
	case r.Verdict == signing.NoSignature:
		return v.say("verdict.sentence.none")
	case r.Integrity == signing.Altered:
		return v.say("verdict.sentence.altered")
	case r.Verdict == signing.TotalFailed:
		return v.say("verdict.sentence.bad")
	case r.Verdict == signing.TotalPassed && len(r.Signatures) == 1:
		return v.say("verdict.sentence.one", r.Signatures[0].Signer)
	case r.Verdict == signing.TotalPassed:
		return v.say("verdict.sentence.ok", v.num(len(r.Signatures)))
	case r.Integrity == signing.Intact:
		return v.say("verdict.sentence.wait")
	}
	return v.say("verdict.sentence.unclear")
}

// answer is yes, no or undecided; the worst of several wins.
type answer int

const (
	yes answer = iota
	undecided
	no
)

func (a answer) tone() string { return [...]string{"ok", "wait", "bad"}[a] }

func (a answer) icon() string { return [...]string{"ok", "ask", "bad"}[a] }

// fiveChecks sorts what the report says of every signature under five names. It judges nothing itself: each
// answer is read from a field of the report.
func (v *voice) fiveChecks(r *signing.Report) []checkView {
	checks := []struct {
		key string
		of  func(*signing.Signature) answer
	}{
		{"check.intact", intactAnswer}, {"check.changes", changesAnswer}, {"check.signer", signerAnswer},
		{"check.trust", trustAnswer}, {"check.time", timeAnswer},
	}
	views := make([]checkView, 0, len(checks))
	for _, c := range checks {
		worst, names := yes, []string(nil)
		for i := range r.Signatures {
			a := c.of(&r.Signatures[i])
			if a > worst {
				worst, names = a, nil
			}
			if a == worst && a != yes {
				names = append(names, r.Signatures[i].Signer)
			}
		}
		if len(r.Signatures) == 0 {
			worst = undecided
		}
		view := checkView{Name: v.say(c.key), Tone: worst.tone(), Icon: worst.icon(), Word: v.say("word." + worst.tone()),
			Detail: strings.Join(names, "; ")}
		if view.Detail == "" {
			view.Detail = v.say(c.key + ".what")
		}
		views = append(views, view)
	}
	return views
}

func intactAnswer(s *signing.Signature) answer {
	switch s.Integrity {
	case signing.Intact:
		return yes
	case signing.Altered:
		return no
	}
	return undecided
}

func changesAnswer(s *signing.Signature) answer {
	switch s.LaterChanges {
	case "none", "permitted":
		return yes
	case "forbidden":
		return no
	}
	return undecided
}

// signerAnswer reads the cryptographic sub-indications of ETSI EN 319 102-1.
func signerAnswer(s *signing.Signature) answer {
	switch s.SubIndication {
	case signing.HashFailure, signing.SigCryptoFailure, signing.FormatFailure, signing.SignedDataNotFound:
		return no
	case signing.NoSigningCertificateFound, signing.CryptoConstraintsFailure, signing.CryptoConstraintsNoPOE, signing.Generic:
		return undecided
	}
	return yes
}

// trustAnswer reads the sub-indications about the chain and revocation.
func trustAnswer(s *signing.Signature) answer {
	switch s.SubIndication {
	case signing.Revoked, signing.ChainConstraintsFailure:
		return no
	case "", signing.Expired, signing.NotYetValid, signing.OutOfBoundsNoPOE, signing.TimestampOrderFailure:
		return yes
	}
	return undecided
}

// timeAnswer reads the sub-indications about the moment of signing.
func timeAnswer(s *signing.Signature) answer {
	switch s.SubIndication {
	case signing.Expired, signing.NotYetValid, signing.TimestampOrderFailure:
		return no
	case "":
		return yes
	case signing.Revoked, signing.ChainConstraintsFailure, signing.SigConstraintsFailure:
		if s.ProvenTime != nil {
			return yes
		}
	}
	return undecided
}

func (v *voice) signature(s *signing.Signature) signatureView {
	when := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return moment(*t)
	}
	view := signatureView{Signer: s.Signer, Organization: s.Organization, Chip: v.indicationChip(s.Indication), Reasons: s.Reasons}
	if view.Signer == "" {
		view.Signer = s.Field
	}
	if s.Kind == "timestamp" {
		view.Organization = v.say("sig.timestamp")
	}
	view.Facts = facts(
		fact{v.say("sig.proven"), when(s.ProvenTime)}, fact{v.say("sig.claimed"), when(s.ClaimedTime)},
		fact{v.say("sig.covers"), v.sayOr("sig.covers."+s.Covers, s.Covers)},
		fact{v.say("sig.level"), s.Level}, fact{v.say("sig.algorithm"), s.Algorithm},
		fact{v.say("sig.issuer"), s.Issuer}, fact{v.say("sig.serial"), s.Serial},
		fact{v.say("sig.reason"), s.Reason}, fact{v.say("sig.field"), s.Field}, fact{v.say("sig.sub"), string(s.SubIndication)})
	return view
}
