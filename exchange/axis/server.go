package axis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"time"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/jobs"
	"vanthu/storage/sqldb"
)

// Config of NewServer. All but Now, Logger, MaxPacket, MaxAge and Dir are required.
type Config struct {
	DB        *sqldb.DB
	Blobs     blob.Backend
	Jobs      *jobs.Queue
	Registry  *registry.Registry
	Service   *exchange.Service
	Key       []byte           // 32 bytes that seal the systems' secrets
	Now       func() time.Time // nil = time.Now
	Logger    *slog.Logger
	MaxPacket int64         // bytes; 0 = 256 MiB
	MaxAge    time.Duration // how old a time stamp may be; 0 = a year: clients sign with old ones (see the package)
	Dir       string        // for temporary files; "" = the system's
	AskEvery  time.Duration // how often other axes are asked for news; 0 = a minute
}

// Server is the axis for the systems of the agencies around this hub. It is safe for concurrent use.
type Server struct {
	cfg        Config
	operations map[string]operation
	http       *http.Client // for other axes
}

// operation answers one call with the members that stand beside status, ErrorCode and ErrorDesc.
type operation func(ctx context.Context, c *call, r *http.Request) (map[string]any, error)

const (
	defaultMaxPacket = 256 << 20
	defaultMaxAge    = 366 * 24 * time.Hour
	maxAhead         = 24 * time.Hour // clients' clocks name no zone
	maxBody          = 1 << 20        // of calls that carry no packet
)

// NewServer brings the tables up to date, takes on the channel "axis" of the exchange and registers its jobs. Call it
// before the queue starts.
func NewServer(cfg Config) (*Server, error) {
	if cfg.DB == nil || cfg.Blobs == nil || cfg.Jobs == nil || cfg.Registry == nil || cfg.Service == nil || len(cfg.Key) != 32 {
		return nil, errors.New("the axis needs a database, blobs, jobs, the registry, the exchange and a key of 32 bytes")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxPacket == 0 {
		cfg.MaxPacket = defaultMaxPacket
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = defaultMaxAge
	}
	if cfg.AskEvery == 0 {
		cfg.AskEvery = defaultAskEvery
	}
	schema, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		return nil, fmt.Errorf("opening the schema of the axis: %w", err)
	}
	if err := cfg.DB.Migrate(context.Background(), "axis", schema); err != nil {
		return nil, fmt.Errorf("bringing the tables of the axis up to date: %w", err)
	}
	s := &Server{cfg: cfg, http: newHTTP()}
	s.operations = map[string]operation{
		"sendedoc": s.sendEdoc, "getreceivededoclist": s.receivedList, "getsentedoclist": s.sentList, "getedoc": s.getEdoc,
		"updatestatus": s.updateStatus, "getagencieslist": s.agenciesList, "getsynchronizeunit": s.synchronizeUnit,
		"registeragency": s.registerAgency, "deleteagency": s.deleteAgency,
		"countreceiveedoc": s.countReceived, "countreceivestatus": s.countReceived, "getagencieslistqd20": s.agenciesList,
	}
	cfg.Jobs.Handle(jobRoute, s.runRoute)
	cfg.Jobs.Handle(jobAsk, s.runAsk)
	cfg.Service.AddCarrier(exchange.ChannelAxis, s)
	return s, nil
}

// ServeHTTP answers POST <prefix>/<operation>. Every answer is JSON with status, ErrorCode and ErrorDesc; clients read
// no other form, so a refused call is an answer too and has HTTP status 200.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.ToLower(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	do, known := s.operations[name]
	switch {
	case !known:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	c, err := readCall(r.Header, func(system string) ([]byte, error) { return s.secretOf(r.Context(), system) })
	if err == nil {
		now := s.cfg.Now()
		if c.at.Before(now.Add(-s.cfg.MaxAge)) || c.at.After(now.Add(maxAhead)) {
			err = fault(CodeUnknownSystem, "the time stamp is too far from the clock of the axis, %s", formatStamp(now))
		}
	}
	var members map[string]any
	if err == nil {
		members, err = do(r.Context(), c, r)
	}
	s.answer(w, r, name, c, members, err)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, name string, c *call, members map[string]any, err error) {
	reply := map[string]any{"status": "OK", "ErrorCode": string(CodeOK), "ErrorDesc": "Thành công"}
	maps.Copy(reply, members)
	system := ""
	if c != nil {
		system = c.system
	}
	if err != nil {
		refusal := faultOf(err)
		reply["status"], reply["ErrorCode"], reply["ErrorDesc"] = "FAIL", string(refusal.Code), refusal.Reason
		if name == "sendedoc" {
			reply["DocId"] = ""
		} else if _, there := reply["data"]; !there {
			reply["data"] = ""
		}
		level := slog.LevelInfo
		if refusal.Code == CodeInternal {
			level = slog.LevelError
		}
		s.cfg.Logger.LogAttrs(r.Context(), level, "axis call refused", slog.String("operation", name), slog.String("system", system),
			slog.String("code", string(refusal.Code)), slog.String("error", err.Error()))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(reply); err != nil {
		s.cfg.Logger.LogAttrs(r.Context(), slog.LevelDebug, "axis answer not delivered", slog.String("operation", name), slog.String("error", err.Error()))
	}
}

// faultOf gives what a client is told of an error; what is our own fault is told as such and no more.
func faultOf(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return fault(CodeInternal, "Lỗi hệ thống, hãy gửi lại.")
}
