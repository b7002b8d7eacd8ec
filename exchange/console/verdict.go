package console

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"vanthu/signing"
)

// indicationChip is the judgement in one word; "" is a file that has not been judged.
func (v *voice) indicationChip(verdict signing.Verdict) chip {
	switch verdict {
	case signing.TotalPassed:
		return chip{Tone: "ok", Icon: "ok", Label: v.say("verdict.ok")}
	case signing.TotalFailed:
		return chip{Tone: "bad", Icon: "bad", Label: v.say("verdict.bad")}
	case signing.NoSignature:
		return chip{Icon: "ask", Label: v.say("verdict.none")}
	case "":
		return chip{Icon: "ask", Label: v.say("verdict.pending")}
	}
	return chip{Tone: "wait", Icon: "ask", Label: v.say("verdict.wait")}
}

// verdictView is the judgement in full: one sentence, the five checks over all signatures, each signature.
func (v *voice) verdictView(r *signing.Report) *verdictView {
	if r == nil {
		return nil
	}
	c := v.indicationChip(r.Verdict)
	view := &verdictView{Tone: c.Tone, Icon: c.Icon, Sentence: r.Sentence(v.lang)}
	if r.Verdict != signing.TotalPassed { // a valid one ends with no technical cause
		view.Sentence, view.Detail = v.sentenceDetail(view.Sentence)
	}
	if r.Verdict != signing.NoSignature {
		view.Checks = v.fiveChecks(r)
	}
	for i := range r.Signatures {
		view.Signatures = append(view.Signatures, v.signature(&r.Signatures[i]))
	}
	return view
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

// checkNames are the five checks in the order they are shown.
func checkNames() []string {
	return []string{signing.CheckContent, signing.CheckSignature, signing.CheckSigner, signing.CheckTime, signing.CheckChanges}
}

// fiveChecks joins what the report says of every signature under the five names; the worst answer is shown, with
// whose it is.
func (v *voice) fiveChecks(r *signing.Report) []checkView {
	views := make([]checkView, 0, len(checkNames()))
	for _, name := range checkNames() {
		worst, whose := yes, []string(nil)
		for i := range r.Signatures {
			s := &r.Signatures[i]
			for _, c := range s.Checks {
				if c.Name != name {
					continue
				}
				if a := answerOf(c); a > worst {
					worst, whose = a, nil
				}
				if answerOf(c) == worst && worst != yes {
					whose = append(whose, signerName(s))
				}
			}
		}
		views = append(views, checkView{Name: v.say("check." + name), Tone: worst.tone(), Icon: worst.icon(),
			Word: v.say("word." + worst.tone()), Detail: v.checkDetail(name, worst, whose)})
	}
	return views
}

func answerOf(c signing.Check) answer {
	switch {
	case c.OK == nil:
		return undecided
	case *c.OK:
		return yes
	}
	return no
}

// checkDetail says what is wrong and with whose signature; what was checked and found right needs no more words.
func (v *voice) checkDetail(name string, worst answer, whose []string) string {
	if worst == yes {
		return ""
	}
	return v.say("check."+name+"."+worst.tone()) + ": " + strings.Join(whose, "; ")
}

// signerName is who a signature says it is by, or its field where it names nobody.
func signerName(s *signing.Signature) string {
	if s.Signer != "" {
		return s.Signer
	}
	return s.Field
}

// reasons are in the reader's language where the validator gives them so, the technical part apart.
func (v *voice) reasons(english, vietnamese []string) []reasonView {
	views := make([]reasonView, 0, len(english))
	for i, text := range english {
		code, after, ok := strings.Cut(text, ": ")
		if !ok || strings.Contains(code, " ") {
			code, after = "", text
		}
		if v.lang == "vi" && i < len(vietnamese) {
			after = vietnamese[i]
		}
		text, detail := cutDetail(after)
		views = append(views, reasonView{Text: upperFirst(text), Detail: strings.Join(slices.DeleteFunc([]string{v.technical(detail), code},
			func(s string) bool { return s == "" }), " · ")})
	}
	return views
}

// sentenceDetail parts the technical cause from the end of a sentence.
func (v *voice) sentenceDetail(sentence string) (text, detail string) {
	text, detail = cutDetail(strings.TrimSuffix(sentence, "."))
	return text + ".", v.technical(detail)
}

// technical names what the validator gives in brackets.
func (v *voice) technical(detail string) string {
	if name, ok := strings.CutPrefix(detail, "issuer "); ok {
		return v.say("sig.issuer") + ": " + name
	}
	return detail
}

// cutDetail parts "sentence (detail)".
func cutDetail(s string) (text, detail string) {
	if !strings.HasSuffix(s, ")") {
		return s, ""
	}
	depth := 0
	for i := len(s) - 1; i > 0; i-- {
		switch s[i] {
		case ')':
			depth++
		case '(':
			depth--
		}
		if depth == 0 {
			return strings.TrimSpace(s[:i]), s[i+1 : len(s)-1]
		}
	}
	return s, ""
}

func upperFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

func (v *voice) signature(s *signing.Signature) signatureView {
	when := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return moment(*t)
	}
	view := signatureView{Signer: signerName(s), Organization: s.Organization, Chip: v.indicationChip(s.Indication),
		Reasons: v.reasons(s.Reasons, s.ReasonsVI)}
	if s.Kind == signing.KindTimestamp {
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
