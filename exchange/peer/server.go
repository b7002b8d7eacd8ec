package peer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing/cms"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

const (
	wellKnown = "/.well-known/hx"
	prefix    = "/hx/v1"
)

// door answers one request of a hub that is known.
type door func(w http.ResponseWriter, r *http.Request, from *Hub) error

func (p *Peers) routes() {
	p.mux = http.NewServeMux()
	p.mux.HandleFunc("GET "+wellKnown, p.describe)
	for pattern, do := range map[string]door{
		"GET " + prefix + "/agencies":                   p.agencies,
		"GET " + prefix + "/agencies/{code}/capability": p.capability,
		"PUT " + prefix + "/parts/{digest}":             p.putPart,
		"GET " + prefix + "/parts/{digest}":             p.statPart,
		"PUT " + prefix + "/consignments/{id}":          p.putConsignment,
		"GET " + prefix + "/consignments/{id}":          p.getConsignment,
		"POST " + prefix + "/evidence":                  p.postEvidence,
		"GET " + prefix + "/evidence":                   p.getEvidence,
		"GET " + prefix + "/reconcile":                  p.reconcileDays,
		"GET " + prefix + "/reconcile/{day}":            p.reconcileDay,
	} {
		p.mux.HandleFunc(pattern, p.guarded(do))
	}
}

// guarded lets only hubs in that are known and have signed what they ask.
func (p *Peers) guarded(do door) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, err := p.authenticate(r)
		if err == nil {
			err = do(w, r, from)
		}
		if err != nil {
			p.fail(w, r, err)
		}
	}
}

func (p *Peers) describe(w http.ResponseWriter, r *http.Request) {
	_, signed, err := p.Describe(r.Context())
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.reply(w, http.StatusOK, signed)
}

func (p *Peers) reply(w http.ResponseWriter, status int, signed []byte) {
	w.Header().Set("Content-Type", "application/jose+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(signed)))
	w.WriteHeader(status)
	_, _ = w.Write(signed) // whoever does not get it asks again
}

// answer signs what is answered.
func (p *Peers) answer(w http.ResponseWriter, r *http.Request, status int, typ string, v any) error {
	signed, err := p.sign(r.Context(), typ, v, false)
	if err != nil {
		return err
	}
	p.reply(w, status, signed)
	return nil
}

// body reads a body that has the digest which was signed.
func body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxJSON))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	if hex.EncodeToString(sum[:]) != r.Header.Get(headerDigest) {
		return nil, refuse(codeDigest, "Nội dung không khớp mã băm đã ký.", "The body has not the digest that was signed.")
	}
	return data, nil
}

// Capability is what an agency takes, and the certificate that its documents are encrypted to.
type Capability struct {
	Hub         string            `json:"hub"`
	Code        registry.AgencyID `json:"code"`
	Name        string            `json:"name"`
	Types       string            `json:"types,omitempty"` // by commas, "" = all
	MaxSize     int64             `json:"max_size,omitempty"`
	Certificate string            `json:"certificate"` // DER in base64: content is encrypted to it
	AcceptsTo   time.Time         `json:"accepts_until,omitzero"`
	MediatedBy  string            `json:"mediated_by,omitempty"`
	At          time.Time         `json:"at"`
}

func (p *Peers) capability(w http.ResponseWriter, r *http.Request, _ *Hub) error {
	ctx := r.Context()
	a, err := p.local(ctx, r.PathValue("code"))
	if err != nil {
		return err
	}
	key, err := p.cfg.ContentKey(ctx, a.ID)
	if err != nil {
		return fmt.Errorf("the content key of %s: %w", a.ID, err)
	}
	s, err := p.own(ctx)
	if err != nil {
		return err
	}
	return p.answer(w, r, http.StatusOK, typeCapability, Capability{Hub: s.id, Code: a.ID, Name: a.Name, Types: a.Accepts, MaxSize: a.MaxSize,
		Certificate: base64.StdEncoding.EncodeToString(key.Certificate.Raw), AcceptsTo: a.ValidTo, MediatedBy: s.id, At: p.now()})
}

// local gives an agency that this hub serves now.
func (p *Peers) local(ctx context.Context, code string) (*registry.Agency, error) {
	res, err := p.cfg.Registry.Resolve(ctx, code, p.now())
	switch {
	case registry.KindOf(err) == exchange.KindInvalid:
		return nil, refuse(codeRecipient, "Không có cơ quan "+strconv.Quote(clip(code, 40))+" ở đây.", "There is no agency "+strconv.Quote(clip(code, 40))+" here.")
	case err != nil:
		return nil, err
	case res.Agency.Channel != registry.ChannelLocal:
		return nil, refuse(codeRecipient, res.Agency.Name+" không nhận văn bản tại máy chủ này.", res.Agency.Name+" does not receive at this hub.")
	}
	return &res.Agency, nil
}

func (p *Peers) putPart(w http.ResponseWriter, r *http.Request, from *Hub) error {
	d, err := blob.ParseDigest(r.PathValue("digest"))
	if err != nil {
		return refuse(codeInvalid, "Mã băm không hợp lệ.", "The digest is not valid.")
	}
	at, err := readRange(r.Header.Get(headerRange), r.ContentLength)
	if err != nil {
		return err
	}
	if at.size() > 2*max(p.cfg.Chunk, DefaultChunk) {
		return refuse(codeTooLarge, "Mỗi lần tải lên quá lớn.", "Too much in one request.")
	}
	if _, ok := plainSize(at.total); !ok {
		return refuse(codeInvalid, "Kích thước này không phải của nội dung đã mã hóa.", "Nothing encrypted has this size.")
	}
	n, complete, err := p.parts.write(r.Context(), from.ID, d, at, r.Body, r.Header.Get(headerDigest))
	if err != nil {
		return err
	}
	w.Header().Set(headerOffset, strconv.FormatInt(n, 10))
	if complete {
		w.WriteHeader(http.StatusCreated)
	} else {
		w.WriteHeader(http.StatusAccepted)
	}
	return nil
}

func (p *Peers) statPart(w http.ResponseWriter, r *http.Request, from *Hub) error {
	d, err := blob.ParseDigest(r.PathValue("digest"))
	if err != nil {
		return refuse(codeInvalid, "Mã băm không hợp lệ.", "The digest is not valid.")
	}
	n, complete, err := p.parts.offset(from.ID, d)
	if err != nil {
		return err
	}
	w.Header().Set(headerOffset, strconv.FormatInt(n, 10))
	if complete {
		w.WriteHeader(http.StatusOK)
	} else {
		w.WriteHeader(http.StatusAccepted)
	}
	return nil
}

// Part is one encrypted file of a consignment.
type Part struct {
	Digest string `json:"digest"` // of the ciphertext
	Size   int64  `json:"size"`
	Key    string `json:"key"` // CMS AuthEnvelopedData with the key of the content, base64
}

// sealCertificate is a certificate by which the sender's documents are to be known.
type sealCertificate struct {
	Certificate string    `json:"certificate"` // DER in base64
	From        time.Time `json:"from,omitzero"`
	Until       time.Time `json:"until,omitzero"`
	Revoked     time.Time `json:"revoked,omitzero"`
}

// Consignment is one document for one agency, as the sender's hub signs it.
type Consignment struct {
	V            int               `json:"v"`
	ID           string            `json:"id"` // UUIDv7 of the sender, constant over retries and channels
	Hub          string            `json:"hub"`
	To           string            `json:"to"` // the receiving hub
	At           time.Time         `json:"at"`
	Envelope     exchange.Envelope `json:"envelope"`
	Parts        []Part            `json:"parts"`
	Certificates []sealCertificate `json:"certificates,omitempty"` // of the sending agency
}

// Answer is what the receiving hub signs when a consignment is its own.
type Answer struct {
	ID      string  `json:"id"`
	Hub     string  `json:"hub"`
	State   string  `json:"state"` // consigned
	Receipt receipt `json:"receipt"`
}

// receipt is a receipt as it travels.
type receipt struct {
	Body        string `json:"body"`        // base64 of the canonical JSON
	Signature   string `json:"signature"`   // base64 of the CMS
	Certificate string `json:"certificate"` // DER in base64: the hub vouches that the agency signs by it
}

const maxCertificates = 50

// readConsignment checks the form of a consignment; it comes from outside.
func readConsignment(data []byte, keys []Key, id string) (*Consignment, error) {
	payload, err := open(data, typeConsignment, keys)
	if err != nil {
		return nil, refuse(codeSignature, "Chuyến hàng không có chữ ký hợp lệ.", "The consignment bears no valid signature.")
	}
	var c Consignment
	if err := json.Unmarshal(payload, &c); err != nil {
		var many *json.UnmarshalTypeError
		if errors.As(err, &many) && many.Field == "envelope.to" {
			return nil, refuse(codeInvalid, "Mỗi chuyến hàng chỉ có một nơi nhận.", "A consignment has one receiver.")
		}
		return nil, refuse(codeInvalid, "Chuyến hàng không đọc được.", "The consignment cannot be read.")
	}
	switch {
	case c.V != 1 || c.ID != id || !validID(id):
		return nil, refuse(codeInvalid, "Mã chuyến hàng không khớp.", "The id of the consignment does not fit.")
	case len(c.Parts) != 1 || len(c.Certificates) > maxCertificates:
		return nil, refuse(codeInvalid, "Chuyến hàng phải có đúng một tệp.", "A consignment has exactly one file.")
	}
	if _, err := blob.ParseDigest(c.Parts[0].Digest); err != nil {
		return nil, refuse(codeInvalid, "Mã băm của phần không hợp lệ.", "The digest of the part is not valid.")
	}
	if n, ok := plainSize(c.Parts[0].Size); !ok || n != c.Envelope.Size {
		return nil, refuse(codeInvalid, "Kích thước khai báo không khớp.", "The sizes that are declared do not fit.")
	}
	return &c, nil
}

// putConsignment takes a document: 201 the first time, 200 with the same receipt on every repeat, 409 when the id is
// known with other content. It answers when everything is durable.
func (p *Peers) putConsignment(w http.ResponseWriter, r *http.Request, from *Hub) error {
	ctx := r.Context()
	data, err := body(w, r)
	if err != nil {
		return err
	}
	c, err := readConsignment(data, from.Keys, r.PathValue("id"))
	if err != nil {
		return err
	}
	s, err := p.own(ctx)
	if err != nil {
		return err
	}
	if c.Hub != from.ID || c.To != s.id {
		return refuse(codeInvalid, "Chuyến hàng không phải gửi từ hoặc tới máy chủ này.", "The consignment is not from or not for this hub.")
	}
	known, err := p.takenBefore(ctx, from, c)
	if err != nil {
		return err
	}
	if known != nil {
		return p.answer(w, r, http.StatusOK, typeAnswer, known)
	}
	if err := p.speaksFor(ctx, from, c.Envelope.From); err != nil {
		return err
	}
	answer, err := p.accept(ctx, s, from, c, data)
	if err != nil {
		return err
	}
	return p.answer(w, r, http.StatusCreated, typeAnswer, answer)
}

// takenBefore gives the answer to a consignment that is here already.
func (p *Peers) takenBefore(ctx context.Context, from *Hub, c *Consignment) (*Answer, error) {
	var t *taken
	err := p.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		t, err = selectTaken(ctx, tx, c.ID)
		return err
	})
	if err != nil || t == nil {
		return nil, err
	}
	e := &c.Envelope
	if t.hub != from.ID || t.sender != string(e.From) || t.recipient != string(e.To) || t.document != string(e.Document) || t.digest != string(e.Digest) {
		return nil, refuse(codeConflict, "Mã chuyến hàng này đã dùng cho nội dung khác.", "This id stands for other content.")
	}
	var answer Answer
	if err := json.Unmarshal([]byte(t.answer), &answer); err != nil {
		return nil, fmt.Errorf("reading the answer to consignment %s: %w", c.ID, err)
	}
	return &answer, nil
}

// speaksFor checks that a hub holds an agency's code now.
func (p *Peers) speaksFor(ctx context.Context, hub *Hub, code registry.AgencyID) error {
	var holder string
	err := p.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		holder, err = selectHolder(ctx, tx, code, p.now())
		return err
	})
	switch {
	case err != nil:
		return err
	case holder == hub.ID:
		return nil
	case holder == "":
		a, err := p.cfg.Registry.Agency(ctx, code)
		if registry.KindOf(err) == exchange.KindNotFound && hub.covers(code) {
			p.wakeSoon(ctx, hub.ID) // it may have added the agency a moment ago
			return refuse(codeEarly, fmt.Sprintf("Chưa biết cơ quan gửi %s; danh bạ đang được đồng bộ.", clip(string(code), 40)),
				fmt.Sprintf("The sender %s is not known yet; the list of agencies is being read.", clip(string(code), 40)))
		}
		if err != nil && registry.KindOf(err) != exchange.KindNotFound {
			return err
		}
		_ = a
	}
	return refuse(codeAuthority, fmt.Sprintf("Máy chủ gửi không đại diện cho cơ quan %s.", clip(string(code), 40)),
		fmt.Sprintf("The sending hub does not speak for the agency %s.", clip(string(code), 40)))
}

// accept decrypts, stores and registers a document and keeps what is answered.
func (p *Peers) accept(ctx context.Context, s *self, from *Hub, c *Consignment, signed []byte) (*Answer, error) {
	a, err := p.local(ctx, string(c.Envelope.To))
	if err != nil {
		return nil, err
	}
	if a.MaxSize > 0 && c.Envelope.Size > a.MaxSize {
		return nil, refuse(codeTooLarge, a.Name+" không nhận tệp lớn như vậy.", a.Name+" does not take files of this size.")
	}
	ref, err := p.content(ctx, from, a.ID, c)
	if err != nil {
		return nil, err
	}
	if err := p.knowSeals(ctx, c.Envelope.From, c.Certificates); err != nil {
		return nil, err
	}
	r, err := p.cfg.Service.ReceiveStoredBy(ctx, c.Envelope.From, exchange.ArrivedPeer, c.ID, c.Envelope, ref)
	if err != nil {
		return nil, err
	}
	answer := &Answer{ID: c.ID, Hub: s.id, State: "consigned"}
	if answer.Receipt, err = p.travelling(ctx, r); err != nil {
		return nil, err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("encoding an answer: %w", err)
	}
	e := &c.Envelope
	t := &taken{id: c.ID, hub: from.ID, sender: string(e.From), recipient: string(e.To), document: string(e.Document), digest: string(e.Digest), answer: string(text), signed: string(signed), at: p.now()}
	if err := p.cfg.DB.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return insertTaken(ctx, tx, t) }); err != nil {
		return nil, fmt.Errorf("keeping consignment %s: %w", c.ID, err)
	}
	return answer, p.parts.drop(from.ID, blob.Digest(c.Parts[0].Digest))
}

// travelling gives a receipt of this hub as it travels.
func (p *Peers) travelling(ctx context.Context, r *exchange.Receipt) (receipt, error) {
	signed := r.From
	if r.Successor != "" {
		signed = r.Successor
	}
	key, err := p.cfg.ReceiptKey(ctx, signed)
	if err != nil {
		return receipt{}, fmt.Errorf("the receipt key of %s: %w", signed, err)
	}
	enc := base64.StdEncoding.EncodeToString
	return receipt{Body: enc(r.Body), Signature: enc(r.Signature), Certificate: enc(key.Certificate.Raw)}, nil
}

// content decrypts the part of a consignment into the blob store.
func (p *Peers) content(ctx context.Context, from *Hub, to registry.AgencyID, c *Consignment) (ref blob.Ref, err error) {
	part := c.Parts[0]
	envelope, err := base64.StdEncoding.DecodeString(part.Key)
	if err != nil {
		return ref, refuse(codeInvalid, "Khóa nội dung không đọc được.", "The key of the content cannot be read.")
	}
	agency, err := p.cfg.ContentKey(ctx, to)
	if err != nil {
		return ref, fmt.Errorf("the content key of %s: %w", to, err)
	}
	key, err := cms.OpenEnvelope(envelope, agency)
	if err != nil || len(key) != contentKey {
		return ref, refuse(codeKey, "Nội dung không được mã hóa cho khóa hiện tại của nơi nhận.", "The content is not encrypted to the present key of the agency.")
	}
	missing := refuse(codePartMissing, "Phần này chưa được tải lên.", "The part has not been uploaded.")
	file, err := p.parts.open(from.ID, blob.Digest(part.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return ref, missing
	}
	if err != nil {
		return ref, fmt.Errorf("opening a part: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if info, err := file.Stat(); err != nil || info.Size() != part.Size {
		return ref, errors.Join(err, refuse(codeInvalid, "Kích thước phần không như khai báo.", "The part has not the size that was declared."))
	}
	plain, err := opening(key, file)
	if err != nil {
		return ref, err
	}
	ref, err = p.cfg.Blobs.Put(ctx, plain)
	switch {
	case errors.Is(err, errContent): // a torn file, or other bytes than those of the key: the sender has them still
		return ref, errors.Join(missing, p.parts.drop(from.ID, blob.Digest(part.Digest)))
	case err != nil:
		return ref, fmt.Errorf("storing the content: %w", err)
	case ref.Digest != c.Envelope.Digest || ref.Size != c.Envelope.Size:
		return ref, refuse(codeInvalid, "Nội dung không khớp mã băm hoặc kích thước khai báo.", "The content has not the digest or the size that was declared.")
	}
	return ref, nil
}

func (p *Peers) getConsignment(w http.ResponseWriter, r *http.Request, from *Hub) error {
	ctx := r.Context()
	var t *taken
	var events []eventRow
	err := p.cfg.DB.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if t, err = selectTaken(ctx, tx, r.PathValue("id")); err != nil || t == nil || t.hub != from.ID {
			return err
		}
		events, err = selectEventsAbout(ctx, tx, from.ID, t.document, eventBatch)
		return err
	})
	if err != nil {
		return err
	}
	if t == nil || t.hub != from.ID {
		return refuse(codeNotFound, "Không có chuyến hàng này.", "There is no such consignment.")
	}
	s, err := p.own(ctx)
	if err != nil {
		return err
	}
	return p.answer(w, r, http.StatusOK, typeAnswer, map[string]any{"id": t.id, "hub": s.id, "state": "consigned", "at": t.at,
		"answer": json.RawMessage(t.answer), "consignment": json.RawMessage(t.signed), "events": joined(events)})
}

// joined writes events with their numbers.
func joined(list []eventRow) []json.RawMessage {
	out := make([]json.RawMessage, len(list))
	for i, e := range list {
		var b bytes.Buffer
		fmt.Fprintf(&b, `{"seq":%d,"event":%s}`, e.seq, e.body)
		out[i] = b.Bytes()
	}
	return out
}
