package receipt

import (
	"crypto/x509"
	"fmt"
	"html"
	"strconv"
	"strings"
	"time"

	"vanthu/storage/ledger/logproof"
)

// Line is one event of a document's way, in words.
type Line struct {
	At     time.Time `json:"at"`   // as the log has it
	Kind   string    `json:"kind"` // of the evidence
	Status string    `json:"status,omitempty"`
	Agency string    `json:"agency,omitempty"`
	By     string    `json:"by,omitempty"`
	Text   string    `json:"text"`
	TextEN string    `json:"text_en"`
	Index  int64     `json:"index"` // in the log
	// Claimed is when the recipient says that it acted.
	Claimed time.Time `json:"claimed_at,omitzero"`
	// ProvenBy is the time of the time stamp over the log: the event stood there by then. Zero: no time is proven.
	ProvenBy time.Time `json:"proven_by,omitzero"`
	// Proof tells how it is known what a recipient said: ProofSigned, ProofRegister or ProofWord; "" for the sender's acts.
	Proof string `json:"proof,omitempty"`
}

func evidenceName(index int64) string { return fmt.Sprintf("%s%010d.json", folderEvidence, index) }

// vietnam is the zone in which people read times.
func vietnam() *time.Location { return time.FixedZone("+07", 7*60*60) }

// trail tells the way of a document from its evidence; what a recipient did is told in the words of its receipt.
func trail(s *Statement, proofs []logproof.Proof, receipts map[string]spoken, proven time.Time) []Line {
	names := map[string]string{}
	for _, p := range s.Parties {
		names[p.Code] = p.Name
	}
	var out []Line
	for i := range proofs {
		p := &proofs[i]
		f, err := factsOf(p)
		if err != nil {
			continue
		}
		line := Line{At: p.Entry.At, Kind: p.Entry.Kind, By: f["actor_name"], Index: p.Index, ProvenBy: proven}
		var text finding
		if p.Entry.Kind == kindAccepted {
			b, ok := receipts[f["receipt"]]
			if !ok {
				b = spoken{reported(f), ProofWord}
			}
			line.Status, line.Agency, line.By, line.Claimed, line.Proof = b.Status, b.From, b.By, b.At, b.proof
			text = attributed(statusLine(&b.Body, named(names, b.From)), b.proof)
		} else {
			line.Agency = f["recipient"]
			text = eventLine(p.Entry.Kind, f, named(names, f["recipient"]))
		}
		if line.Text, line.TextEN = text.vi, text.en; line.Text != "" {
			out = append(out, line)
		}
	}
	return out
}

// reported is what the sender's evidence says that a recipient said.
func reported(f entryFacts) Body {
	number, _ := strconv.Atoi(f["arrival_number"]) // none reads as 0
	return Body{From: f["from"], Status: f["status"], Note: f["note"], ArrivalNumber: number, Successor: f["successor"]}
}

// attributed adds to a sentence about a recipient whose word it is, when it is not the recipient's own.
func attributed(text finding, proof string) finding {
	switch proof {
	case ProofWord:
		return finding{text.vi + " (theo lời bên gửi, không có biên nhận đã ký)", text.en + " (by the sender's word, without a signed receipt)"}
	case ProofRegister:
		return finding{text.vi + " (chứng thư ký biên nhận chỉ do bên lập gói khai)", text.en + " (only the bundle's issuer says whose certificate signed the receipt)"}
	}
	return text
}

func named(names map[string]string, code string) string {
	if name := names[code]; name != "" {
		return name + " (" + code + ")"
	}
	return code
}

// statusLine puts a recipient's status in words.
func statusLine(b *Body, who string) finding {
	number, by, by2, note := strconv.Itoa(b.ArrivalNumber), "", "", b.Note
	if b.By != "" {
		by, by2 = ", người thực hiện "+b.By, " by "+b.By
	}
	if note != "" {
		note = ": " + note
	}
	switch b.Status {
	case "01":
		return said("%[1]s đã nhận được văn bản", "%[1]s received the document", who)
	case "02":
		return said("%[1]s từ chối%[2]s%[4]s", "%[1]s refused it%[3]s%[4]s", who, by, by2, note)
	case "03":
		return said("%[1]s đã vào sổ, số đến %[2]s%[3]s", "%[1]s registered it as number %[2]s%[4]s", who, number, by, by2)
	case "04":
		return said("%[1]s đã phân công xử lý%[2]s", "%[1]s assigned it%[3]s", who, by, by2)
	case "05":
		return said("%[1]s đang xử lý%[2]s", "%[1]s is working on it%[3]s", who, by, by2)
	case "06":
		return said("%[1]s đã hoàn thành xử lý%[2]s%[4]s", "%[1]s finished it%[3]s%[4]s", who, by, by2, note)
	case "13":
		return said("%[1]s đã nhận yêu cầu lấy lại", "%[1]s was asked to give it back", who)
	case "15":
		return said("%[1]s đồng ý cập nhật hoặc lấy lại%[2]s", "%[1]s agreed to the update or recall%[3]s", who, by, by2)
	case "16":
		return said("%[1]s từ chối cập nhật hoặc lấy lại%[2]s%[4]s", "%[1]s declined the update or recall%[3]s%[4]s", who, by, by2, note)
	}
	return said("%[1]s: trạng thái %[2]s", "%[1]s: status %[2]s", who, b.Status)
}

// eventLine puts an act of the sender or the hub in words; kinds that say nothing to a third party have none.
func eventLine(kind string, f entryFacts, who string) finding {
	switch kind {
	case "document.signed":
		return said("Đã ký số: %[1]s", "Signed: %[1]s", f["actor_name"])
	case "document.numbered":
		return said("Đã cấp số %[1]s", "Given the number %[1]s", f["code"])
	case "document.sent":
		return said("Đã gửi cho %[1]s nơi nhận", "Sent to %[1]s recipients", f["count"])
	case "delivery.carried":
		return said("Đã chuyển cho %[1]s qua kênh %[2]s", "Handed to %[1]s over the channel %[2]s", who, f["channel"])
	case "delivery.fetched":
		return said("%[1]s đã lấy văn bản về", "%[1]s fetched the document", who)
	case "delivery.reported":
		return said("Hệ thống thư báo về %[1]s: %[2]s", "The mail system reported on %[1]s: %[2]s", who, f["report"])
	case "delivery.failed":
		return said("Không chuyển được cho %[1]s: %[2]s", "Could not be delivered to %[1]s: %[2]s", who, f["error"])
	case "delivery.overdue":
		return said("Quá %[2]s giờ chưa có biên nhận của %[1]s", "No receipt of %[1]s after %[2]s hours", who, f["hours"])
	case "delivery.undelivered":
		return said("Không phát được cho %[1]s trong %[2]s giờ", "Not delivered to %[1]s within %[2]s hours", who, f["hours"])
	case "delivery.arrived-late":
		return said("%[1]s nhận muộn, sau %[2]s giờ", "%[1]s received it late, after %[2]s hours", who, f["hours"])
	}
	return finding{}
}

// readme is the page in the bundle: it explains what the file is and shows what it says. It needs nothing from a network.
func readme(s *Statement, lines []Line, signer *x509.Certificate) []byte {
	var b strings.Builder
	e := html.EscapeString
	d := s.Document
	b.WriteString(`<!doctype html>
<html lang="vi"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Biên bản gửi nhận ` + e(d.Code) + `</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#16202c}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1rem}dt{color:#556}dd{margin:0;overflow-wrap:anywhere}ol{padding-left:1.2rem}li{margin:.3rem 0}time{color:#556}.note{background:#fff7e0;border-left:4px solid #c90;padding:.6rem 1rem}code{font-size:.9em;overflow-wrap:anywhere}</style>
<h1>Biên bản gửi nhận văn bản điện tử</h1>
<p class="note">Trang này chỉ để đọc. Tính đúng đắn do chữ ký số, dấu thời gian và nhật ký minh bạch trong gói bảo đảm; hãy kiểm tra cả gói bằng một trong các cách ở cuối trang.</p>
<dl>`)
	for _, row := range [][2]string{
		{"Số, ký hiệu", d.Code}, {"Trích yếu", d.Subject}, {"Cơ quan gửi", partyName(s, d.From)}, {"Ngày ban hành", d.Issued},
		{"Người ký", strings.Trim(d.SignerPosition+" "+d.SignerName, " ")}, {"Mã băm SHA-256 của tệp PDF", d.Digest},
		{"Lập lúc", s.Made.In(vietnam()).Format("15:04:05 02/01/2006 (-07)")}, {"Cơ quan lập (theo gói)", partyName(s, s.Issuer)},
		{"Chứng thư ký gói", signer.Subject.String()}, {"Do đơn vị này cấp", signer.Issuer.String()}, {"SHA-256 của chứng thư", fingerprintOf(signer)},
		{"Chỉ nói về nơi nhận", strings.Join(s.Only, ", ")},
	} {
		if row[1] != "" {
			b.WriteString("<dt>" + row[0] + "</dt><dd>" + e(row[1]) + "</dd>")
		}
	}
	b.WriteString("</dl>\n")
	if s.TimePending {
		b.WriteString(`<p class="note">Khi lập, không liên lạc được với cơ quan cấp dấu thời gian: thời gian chưa được xác nhận.</p>`)
	}
	b.WriteString("<h2>Diễn biến</h2>\n<ol>\n")
	for _, line := range lines {
		b.WriteString("<li><time>" + line.At.In(vietnam()).Format("15:04:05 02/01/2006") + "</time> " + e(line.Text) + " <small>(" + claimed(line) + "chứng cứ " + fmt.Sprint(line.Index) + ")</small></li>\n")
	}
	b.WriteString(`</ol>
<h2>Trong gói có gì</h2>
<ul><li><code>receipt.json</code>: nội dung biên bản và các bên</li><li><code>receipts/</code>: biên nhận của nơi nhận, mỗi biên nhận một chữ ký số</li>
<li><code>evidence/</code>, <code>log/</code>: chứng cứ và đường chứng minh đến gốc đã ký của nhật ký minh bạch</li>
<li><code>validation/</code>: chứng thư và tình trạng thu hồi lúc lập, để còn kiểm tra được sau này</li>
<li><code>META-INF/</code>: chữ ký của cơ quan lập trên toàn bộ gói và dấu thời gian</li></ul>
<h2>Cách kiểm tra</h2>
<p>Không cần mạng, không cần máy chủ đã lập gói: mở trang <code>verify.html</code> (mục “Kiểm tra biên bản” của hệ thống, chép vào USB được) rồi thả tệp vào; hoặc chạy <code>vanthu receipt verify --trust goc.pem TỆP</code>. Chứng thư gốc phải lấy từ nguồn khác, không lấy từ gói này; người ký thật là người có chứng thư ghi ở trên, và chỉ được coi là cơ quan lập khi chứng thư ấy ghi đúng mã cơ quan hoặc người kiểm tra biết chứng thư ấy. Đổi một bit bất kỳ là kiểm tra sẽ báo, và nói rõ chỗ hỏng.</p>
</html>
`)
	return []byte(b.String())
}

// claimed says when the recipient acted by its own word.
func claimed(l Line) string {
	if l.Claimed.IsZero() {
		return ""
	}
	return "nơi nhận ghi " + l.Claimed.In(vietnam()).Format("15:04:05 02/01/2006") + "; "
}

func partyName(s *Statement, code string) string {
	for _, p := range s.Parties {
		if p.Code == code {
			return p.Name + " (" + code + ")"
		}
	}
	return code
}
