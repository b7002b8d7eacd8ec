// Command vanthu is the registry office (văn thư) of an agency as one program: it signs, numbers, sends, receives,
// archives and counts official documents and runs the official mail. This package puts the parts together: flags,
// configuration, processes; it holds no rule of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"vanthu/exchange"
)

// Exit codes of every command. A command's own contract may add others (see verify).
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 2 // wrong usage or unreadable input
)

// exitError ends the program with a code; a nil err says that everything worth saying has been printed.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// unreadable marks an input that the program could not read: exit 2.
func unreadable(err error) error { return &exitError{code: exitUsage, err: err} }

// app is what a command is given: the world outside, as arguments.
type app struct {
	ctx            context.Context //nolint:containedctx // kong hands one bound value to Run; it lives as long as the command
	stdin          io.Reader
	stdout, stderr io.Writer
	lang           string // vi or en
	log            *slog.Logger
}

type cli struct {
	Demo     demoCmd     `cmd:"" help:"Chạy thử trọn vòng đời một văn bản, rồi mở giao diện. | Run the whole life of a document, then serve."`
	Init     initCmd     `cmd:"" help:"Tạo thư mục dữ liệu. | Make a data folder."`
	Serve    serveCmd    `cmd:"" help:"Chạy máy chủ. | Run the hub."`
	Sign     signCmd     `cmd:"" help:"Ký số một tệp. | Sign a file."`
	Extend   extendCmd   `cmd:"" help:"Nâng chữ ký lên mức lưu lâu dài, hoặc gia hạn. | Extend signatures for the long term, or renew them."`
	Agent    agentCmd    `cmd:"" help:"Ký cho trang web bằng khóa trên máy này. | Sign for web pages with the key on this machine."`
	Verify   verifyCmd   `cmd:"" help:"Kiểm tra chữ ký số. | Judge the signatures of files."`
	Backup   backupCmd   `cmd:"" help:"Sao lưu thư mục dữ liệu, kể cả khi máy chủ đang chạy. | Copy a data folder, also while its hub runs."`
	Restore  restoreCmd  `cmd:"" help:"Phục hồi từ bản sao lưu, rồi kiểm tra. | Restore a backup, then judge it."`
	Check    checkCmd    `cmd:"" help:"Đọc lại và kiểm tra toàn bộ dữ liệu. | Reread and judge a data folder."`
	Agency   agencyCmd   `cmd:"" help:"Cơ quan, đơn vị. | Agencies."`
	Person   personCmd   `cmd:"" help:"Người dùng: điều động, đổi vai trò, khóa. | People: move, change roles, close."`
	Paper    paperCmd    `cmd:"" help:"Vào sổ một văn bản chỉ phát hành bản giấy. | Register a document issued on paper only."`
	Delegate delegateCmd `cmd:"" help:"Ủy quyền, giao quyền có thời hạn. | Delegations with dates."`
	Axis     axisCmd     `cmd:"" help:"Hệ thống của cơ quan kết nối qua API Trục liên thông. | Systems that connect over the API of the national axis."`
	Peer     peerCmd     `cmd:"" help:"Máy chủ khác trao đổi văn bản với máy chủ này. | Other hubs that exchange documents with this one."`
	Compare  compareCmd  `cmd:"" name:"reconcile" help:"Đối soát sổ văn bản với một máy chủ khác. | Compare the registers with another hub."`
	Account  accountCmd  `cmd:"" help:"Tài khoản thư công vụ. | Mail accounts."`
	Books    bookCmd     `cmd:"" name:"register" help:"In sổ đăng ký văn bản đi, đến, sổ theo dõi, báo cáo giải quyết. | Print registers and handling reports."`
	Stats    statsCmd    `cmd:"" help:"Tỷ lệ gửi nhận văn bản điện tử. | The exchange rate."`
	Load     loadCmd     `cmd:"" help:"Đo tải trên một máy chủ tại chỗ. | Bounded load against a loopback hub."`
	Receipt  receiptCmd  `cmd:"" help:"Biên bản gửi nhận: lấy, kiểm tra. | Receipt bundles: get, verify."`
	Edxml    edxmlCmd    `cmd:"" help:"Gói tin edXML của Trục liên thông (QCVN 102:2016). | Packets of the national axis."`
	Config   configCmd   `cmd:"" help:"In cấu hình mẫu có chú giải. | Print the documented configuration."`
	Version  versionCmd  `cmd:"" help:"In phiên bản. | Print the version."`
	LogJSON  bool        `name:"log-json" help:"Nhật ký dạng JSON. | Logs as JSON."`
	Verbose  bool        `short:"v" help:"Nhật ký chi tiết hơn. | More logs."`
}

type configCmd struct{}

// Run prints the default configuration.
func (configCmd) Run(a *app) error { return PrintConfig(a.stdout, DefaultConfig()) }

type versionCmd struct{}

// Run prints the version that the build recorded.
func (versionCmd) Run(a *app) error {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	_, err := fmt.Fprintln(a.stdout, "vanthu", version)
	return err
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code. Tests call it as main does.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var commands cli
	exited, exitCode := false, 0
	parser, err := kong.New(&commands,
		kong.Name("vanthu"),
		kong.Description("Văn thư điện tử: ký, cấp số, gửi, nhận, lưu trữ văn bản và thư công vụ.\nThe registry office as one program."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited, exitCode = true, code }),
	)
	if err != nil {
		fmt.Fprintln(stderr, "vanthu:", err)
		return exitFail
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited {
		return exitCode
	}
	if err != nil {
		fmt.Fprintln(stderr, "vanthu:", err)
		return exitUsage
	}
	a := &app{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr, lang: language(os.Getenv), log: newLogger(stderr, commands)}
	if err := parsed.Run(a); err != nil {
		return report(a, err)
	}
	return exitOK
}

func newLogger(stderr io.Writer, commands cli) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelWarn}
	if commands.Verbose {
		options.Level = slog.LevelInfo
	}
	if commands.LogJSON {
		return slog.New(slog.NewJSONHandler(stderr, options))
	}
	return slog.New(slog.NewTextHandler(stderr, options))
}

// report prints an error as a person wants it: what happened, what was kept, what to do.
func report(a *app, err error) int {
	code := exitFail
	if exit, ok := errors.AsType[*exitError](err); ok {
		code = exit.code
		if exit.err == nil {
			return code
		}
	}
	if known, ok := errors.AsType[*exchange.Error](err); ok {
		message := known.Message
		if a.lang == "en" && known.MessageEN != "" {
			message = known.MessageEN
		}
		fmt.Fprintln(a.stderr, "vanthu:", message)
		for _, more := range []string{known.Kept, known.Advice} {
			if more != "" {
				fmt.Fprintln(a.stderr, "       ", more)
			}
		}
		return code
	}
	fmt.Fprintln(a.stderr, "vanthu:", err)
	return code
}

// language is Vietnamese unless the environment asks for English.
func language(getenv func(string) string) string {
	if strings.HasPrefix(getenv("VANTHU_LANG"), "en") {
		return "en"
	}
	return "vi"
}
