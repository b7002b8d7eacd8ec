package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing"
)

// apiClient does the main job over the hub's own API, as any agency's software would. Each POST carries an
// Idempotency-Key, so that a call whose answer was lost is repeated safely.
type apiClient struct {
	base  string
	token string
	http  *http.Client
}

// apiError is an answer other than success, with the problem that came with it.
type apiError struct {
	Status  int
	Problem struct {
		Title, Detail, Kept, Advice string
		Errors                      []struct{ Message, Location string }
	}
}

// Error gives status, title, what happened, what was kept and what to do.
func (e *apiError) Error() string {
	parts := []string{fmt.Sprintf("HTTP %d %s: %s", e.Status, e.Problem.Title, e.Problem.Detail), e.Problem.Kept, e.Problem.Advice}
	for _, field := range e.Problem.Errors {
		parts = append(parts, fmt.Sprintf("(%s: %s)", field.Location, field.Message))
	}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), " ")
}

func login(ctx context.Context, base string, client *http.Client, user, password string) (*apiClient, error) {
	c := &apiClient{base: base, http: client}
	var session struct {
		Token string `json:"token"`
	}
	if err := c.post(ctx, "/login", map[string]string{"login": user, "password": password}, &session); err != nil {
		return nil, fmt.Errorf("log in as %s: %w", user, err)
	}
	c.token = session.Token
	return c, nil
}

func (c *apiClient) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, "", nil, into)
}

func (c *apiClient) post(ctx context.Context, path string, body, into any) error {
	encoded := []byte("{}")
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
	}
	return c.do(ctx, http.MethodPost, path, "application/json", encoded, into)
}

// do sends one call. into is nil, a *[]byte for the raw body, or a value to decode JSON into.
func (c *apiClient) do(ctx context.Context, method, path, contentType string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	if method == http.MethodPost {
		request.Header.Set("Idempotency-Key", uuid.NewString())
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	answer, err := io.ReadAll(io.LimitReader(response.Body, 256<<20))
	if err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	if response.StatusCode >= 300 {
		problem := &apiError{Status: response.StatusCode}
		if json.Unmarshal(answer, &problem.Problem) != nil {
			problem.Problem.Detail = strings.TrimSpace(string(answer[:min(len(answer), 300)]))
		}
		return fmt.Errorf("%s %s: %w", method, path, problem)
	}
	switch into := into.(type) {
	case nil:
		return nil
	case *[]byte:
		*into = answer
		return nil
	default:
		if err := json.Unmarshal(answer, into); err != nil {
			return fmt.Errorf("%s %s: decode the answer: %w", method, path, err)
		}
		return nil
	}
}

func (c *apiClient) draft(ctx context.Context, fields map[string]string, pdf []byte) (*exchange.Document, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	var errs []error
	for name, value := range fields {
		errs = append(errs, form.WriteField(name, value))
	}
	part, err := form.CreateFormFile("pdf", "van-ban.pdf")
	if err != nil {
		return nil, fmt.Errorf("build the upload: %w", err)
	}
	_, err = part.Write(pdf)
	if err := errors.Join(append(errs, err, form.Close())...); err != nil {
		return nil, fmt.Errorf("build the upload: %w", err)
	}
	var doc exchange.Document
	return &doc, c.do(ctx, http.MethodPost, "/documents", form.FormDataContentType(), body.Bytes(), &doc)
}

// signed is the answer of sign.
type signed struct {
	Document exchange.Document `json:"document"`
	Report   *signing.Report   `json:"report"`
}

type signRequest struct {
	Step       exchange.Step   `json:"step"`
	Passphrase string          `json:"passphrase"`
	Profile    signing.Profile `json:"profile,omitempty"`
	Image      []byte          `json:"image,omitempty"`
	Invisible  bool            `json:"invisible,omitempty"`
}

func (c *apiClient) sign(ctx context.Context, id exchange.DocumentID, request signRequest) (*signed, error) {
	var out signed
	return &out, c.post(ctx, "/documents/"+string(id)+"/signatures", request, &out)
}

func (c *apiClient) number(ctx context.Context, id exchange.DocumentID) (*exchange.Document, error) {
	var doc exchange.Document
	return &doc, c.post(ctx, "/documents/"+string(id)+"/number", nil, &doc)
}

// sent is the answer of send.
type sent struct {
	Document   exchange.Document   `json:"document"`
	Deliveries []exchange.Delivery `json:"deliveries"`
}

func (c *apiClient) send(ctx context.Context, id exchange.DocumentID, to []registry.AgencyID) (*sent, error) {
	var out sent
	return &out, c.post(ctx, "/documents/"+string(id)+"/send", map[string]any{"recipients": to}, &out)
}

func (c *apiClient) document(ctx context.Context, id exchange.DocumentID) (*exchange.Document, error) {
	var doc exchange.Document
	return &doc, c.get(ctx, "/documents/"+string(id), &doc)
}

// listed is any list of the API.
type listed[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

func (c *apiClient) deliveries(ctx context.Context, id exchange.DocumentID) ([]exchange.Delivery, error) {
	var out listed[exchange.Delivery]
	err := c.get(ctx, "/documents/"+string(id)+"/deliveries", &out)
	return out.Items, err
}

func (c *apiClient) receipts(ctx context.Context, id exchange.DocumentID) ([]exchange.Receipt, error) {
	var out listed[exchange.Receipt]
	err := c.get(ctx, "/documents/"+string(id)+"/receipts", &out)
	return out.Items, err
}

func (c *apiClient) incoming(ctx context.Context, query string) ([]exchange.Incoming, error) {
	var out listed[exchange.Incoming]
	err := c.get(ctx, "/incoming?limit=200"+query, &out)
	return out.Items, err
}

// act does one act of the incoming side: register, assign, process, finish or refuse.
func (c *apiClient) act(ctx context.Context, id exchange.IncomingID, act string, body any) (*exchange.Incoming, error) {
	var out exchange.Incoming
	return &out, c.post(ctx, "/incoming/"+string(id)+"/"+act, body, &out)
}

// poll asks again and again, more and more slowly, until done says yes or the context ends.
func poll(ctx context.Context, what string, done func() (bool, error)) error {
	wait := 5 * time.Millisecond
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		case <-time.After(wait):
		}
		wait = min(wait*3/2, 200*time.Millisecond)
	}
}
