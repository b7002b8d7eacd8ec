package httpapi

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// withToken marks a call that needs a token.
func withToken() []map[string][]string { return []map[string][]string{{"token": {}}} }

// bearer returns the token of an Authorization header (RFC 6750 §2.1), "" when there is none.
func bearer(header string) string {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// authenticate puts the actor of the token into the context of every call that needs one.
func (a *api) authenticate(ctx huma.Context, next func(huma.Context)) {
	if len(ctx.Operation().Security) == 0 {
		next(ctx)
		return
	}
	token := bearer(ctx.Header("Authorization"))
	actor, err := a.registry.Authenticate(ctx.Context(), token)
	if delegation := ctx.Header(actingHeader); err == nil && delegation != "" {
		actor, err = a.registry.ActingFor(ctx.Context(), actor, delegation)
	}
	if err != nil {
		problem := problemOf(a.log, ctx.Context(), err)
		r, w := humago.Unwrap(ctx)
		if problem.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="vanthu"`)
		}
		writeProblem(w, r, problem)
		return
	}
	next(huma.WithValue(huma.WithValue(ctx, actorKey, actor), tokenKey, token))
}

// told turns an error of the exchange into the answer of a call.
func (a *api) told(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return problemOf(a.log, ctx, err)
}

type loginInput struct {
	Body struct {
		Login    string `json:"login" minLength:"1" maxLength:"200"`
		Password string `json:"password" minLength:"1" maxLength:"1024"`
		Code     string `json:"code,omitempty" maxLength:"64" doc:"of the authenticator, or a recovery code, where the person has a second factor"`
	}
	remote string
}

// Resolve notes the caller's address, which failed logins are counted by.
func (in *loginInput) Resolve(ctx huma.Context) []error {
	in.remote = ctx.RemoteAddr()
	if host, _, err := net.SplitHostPort(in.remote); err == nil {
		in.remote = host
	}
	return nil
}

type sessionOutput struct {
	Body struct {
		Token string         `json:"token" doc:"send it as Authorization: Bearer"`
		Actor registry.Actor `json:"actor"`
	}
}

type actorOutput struct{ Body registry.Actor }

type tokenInput struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"100" doc:"what the token is for"`
		Days int    `json:"days" minimum:"1" maximum:"366" default:"90"`
	}
}

type tokenOutput struct {
	Body struct {
		Token string `json:"token" doc:"shown once"`
	}
}

func (a *api) describeSessions(described huma.API) {
	register(described, huma.Operation{
		OperationID: "login", Method: http.MethodPost, Path: "/api/v1/login", Tags: []string{"sessions"}, Summary: "Đăng nhập / Log in",
		MaxBodyBytes: maxJSON,
	}, func(ctx context.Context, in *loginInput) (*sessionOutput, error) {
		token, actor, err := a.registry.LoginWithCode(ctx, in.Body.Login, in.Body.Password, in.Body.Code, in.remote)
		if err != nil {
			return nil, a.told(ctx, err)
		}
		out := &sessionOutput{}
		out.Body.Token, out.Body.Actor = token, actor
		return out, nil
	})
	register(described, huma.Operation{
		OperationID: "logout", Method: http.MethodPost, Path: "/api/v1/logout", Tags: []string{"sessions"}, Summary: "Đăng xuất / Log out",
		Security: withToken(), DefaultStatus: http.StatusNoContent,
	}, func(ctx context.Context, _ *struct{}) (*struct{}, error) {
		token, _ := ctx.Value(tokenKey).(string)
		return nil, a.told(ctx, a.registry.Logout(ctx, token))
	})
	register(described, huma.Operation{
		OperationID: "me", Method: http.MethodGet, Path: "/api/v1/me", Tags: []string{"sessions"}, Summary: "Tôi là ai / Who am I", Security: withToken(),
	}, func(ctx context.Context, _ *struct{}) (*actorOutput, error) {
		return &actorOutput{Body: actorOf(ctx)}, nil
	})
	register(described, huma.Operation{
		OperationID: "createToken", Method: http.MethodPost, Path: "/api/v1/tokens", Tags: []string{"sessions"}, Summary: "Tạo khóa API / Make an API token",
		Security: withToken(), DefaultStatus: http.StatusCreated, MaxBodyBytes: maxJSON,
	}, func(ctx context.Context, in *tokenInput) (*tokenOutput, error) {
		token, err := a.registry.CreateToken(ctx, actorOf(ctx), in.Body.Name, time.Duration(in.Body.Days)*24*time.Hour)
		if err != nil {
			return nil, a.told(ctx, err)
		}
		out := &tokenOutput{}
		out.Body.Token = token
		return out, nil
	})
}

// notFound is what an actor is told of what is not theirs to see.
func notFound(vi, en string) error { return registry.NewError(exchange.KindNotFound, vi, en) }
