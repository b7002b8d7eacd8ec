package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"vanthu/exchange/edxml"
)

// edxmlCmd reads and writes packets of the national axis (gói tin edXML).
type edxmlCmd struct {
	Decode edxmlDecodeCmd `cmd:"" help:"Đọc gói tin edXML thành JSON. | Packet to JSON."`
	Encode edxmlEncodeCmd `cmd:"" help:"Tạo gói tin edXML từ JSON. | JSON to packet."`
}

type edxmlDecodeCmd struct {
	JSON     bool   `name:"json" help:"In JSON (mặc định). | Print JSON (always so)."`
	Contents bool   `default:"true" negatable:"" help:"Kèm nội dung các tệp để tạo lại được gói tin. | With the files, so that encode can make the packet again."`
	File     string `arg:"" help:"Tệp .edxml, - là đầu vào chuẩn. | The .edxml file, - for standard input."`
}

// Run prints one JSON object; a refused packet ends with exit 1 and its reason on standard error.
func (c edxmlDecodeCmd) Run(a *app) (err error) {
	in, err := openInput(a, c.File)
	if err != nil {
		return unreadable(err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	packet, err := edxml.Decode(in, edxml.DefaultLimits())
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	defer func() { err = errors.Join(err, packet.Close()) }()
	out := bufio.NewWriter(a.stdout)
	if err := packet.WriteJSON(out, c.Contents); err != nil {
		return fmt.Errorf("printing %s: %w", c.File, err)
	}
	return out.Flush()
}

type edxmlEncodeCmd struct {
	File string `arg:"" help:"Tệp JSON do lệnh decode in ra, - là đầu vào chuẩn. | JSON as decode prints it, - for standard input."`
	Out  string `arg:"" optional:"" help:"Tệp .edxml sẽ ghi; không có thì in ra đầu ra chuẩn. | The packet's file; standard output when left out."`
}

// Run writes the packet.
func (c edxmlEncodeCmd) Run(a *app) (err error) {
	in, err := openInput(a, c.File)
	if err != nil {
		return unreadable(err)
	}
	data, err := io.ReadAll(in)
	if err = errors.Join(err, in.Close()); err != nil {
		return unreadable(err)
	}
	packet, err := edxml.ReadJSON(data)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if c.Out == "" || c.Out == "-" {
		return edxml.Encode(a.stdout, packet)
	}
	out, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return unreadable(err)
	}
	if err := errors.Join(edxml.Encode(out, packet), out.Close()); err != nil {
		return errors.Join(err, os.Remove(c.Out))
	}
	return nil
}

func openInput(a *app, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(a.stdin), nil
	}
	return os.Open(name)
}
