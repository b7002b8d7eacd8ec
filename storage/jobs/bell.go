package jobs

import (
	"context"

	"github.com/riverqueue/river/riverdriver"
)

// bell is River's listener inside one process: Add rings it after the commit,
// and River fetches.
type bell struct{ rung chan struct{} }

func newBell() *bell { return &bell{rung: make(chan struct{}, 1)} }

// ring wakes River. Rings that come before it looked are one.
func (b *bell) ring() {
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

// WaitForNotification waits for the bell.
func (b *bell) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	select {
	case <-b.rung:
		return &riverdriver.Notification{Topic: "river_insert", Payload: `{"queue": "default"}`}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// The rest of riverdriver.Listener has nothing to do: there is no connection.

// Close does nothing.
func (b *bell) Close(context.Context) error { return nil }

// Connect does nothing.
func (b *bell) Connect(context.Context) error { return nil }

// Listen does nothing: there is one topic.
func (b *bell) Listen(context.Context, string) error { return nil }

// Unlisten does nothing.
func (b *bell) Unlisten(context.Context, string) error { return nil }

// Ping does nothing.
func (b *bell) Ping(context.Context) error { return nil }

// Schema gives the default schema.
func (b *bell) Schema() string { return "" }

// SetAfterConnectExec is for River's own tests.
func (b *bell) SetAfterConnectExec(string) {}
