package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of one batch: it is committed when either is reached or nobody waits.
const (
	batchCallers  = 512
	batchDuration = 10 * time.Millisecond
)

// group is the group commit of SQLite: one goroutine takes the waiting callers,
// lets each work in turn inside one transaction, and commits for all.
//
// Life of an update: the caller queues a request and waits; the loop begins a
// transaction, sets a savepoint and gives the caller its turn; fn runs in the
// caller's own goroutine (a panic unwinds there); the caller reports; the loop
// releases the savepoint or rolls back to it; after the last caller it commits
// (the fsync), runs the AfterCommit functions in order, and answers everyone.
type group struct {
	pool *sql.DB

	mu      sync.Mutex
	waiting []*request
	refuse  error // set once: later requests get it

	wake chan struct{}
	done chan struct{}
}

// The states of a request.
const (
	stateWaiting int32 = iota
	stateTaken         // by the loop
	stateGone          // the caller left before its turn
)

// request is one caller of Update. Its channels hold one value, so the loop
// never waits for a caller except while fn runs.
type request struct {
	ctx    context.Context
	state  atomic.Int32
	turn   chan *Tx
	ran    chan error
	answer chan error
	tx     *Tx
}

func newGroup(pool *sql.DB) *group {
	g := &group{pool: pool, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go g.loop()
	return g
}

// update is the caller's side.
func (g *group) update(ctx context.Context, fn func(context.Context, *Tx) error) error {
	r := &request{
		ctx:    ctx,
		turn:   make(chan *Tx, 1),
		ran:    make(chan error, 1),
		answer: make(chan error, 1),
	}
	if err := g.queue(r); err != nil {
		return err
	}
	select {
	case tx := <-r.turn:
		r.run(tx, fn)
	case err := <-r.answer:
		return err
	case <-ctx.Done():
		if r.state.CompareAndSwap(stateWaiting, stateGone) {
			return ctx.Err()
		}
		// The loop has just taken the request; it answers at once, since it
		// looks at ctx too, or gives the turn.
		select {
		case tx := <-r.turn:
			r.run(tx, fn)
		case err := <-r.answer:
			return err
		}
	}
	return <-r.answer
}

// run gives fn its turn. When fn panics or ends its goroutine, the savepoint
// is rolled back before the panic goes on.
func (r *request) run(tx *Tx, fn func(context.Context, *Tx) error) {
	returned := false
	defer func() {
		if !returned {
			r.ran <- errAbandoned
			<-r.answer //nolint:errcheck // the panic tells the caller
		}
	}()
	err := tx.outcome(r.ctx, fn(inside(r.ctx), tx))
	returned = true
	r.ran <- err
}

func (g *group) queue(r *request) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refuse != nil {
		return g.refuse
	}
	g.waiting = append(g.waiting, r)
	g.signal()
	return nil
}

func (g *group) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// stop makes later requests fail with err; the first reason stays.
func (g *group) stop(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refuse == nil {
		g.refuse = err
	}
	g.signal()
}

// close serves the requests already queued and ends the loop.
func (g *group) close() {
	g.stop(ErrClosed)
	<-g.done
}

func (g *group) loop() {
	defer close(g.done)
	for range g.wake {
		for {
			requests, refuse := g.take()
			if len(requests) == 0 {
				if refuse != nil {
					return
				}
				break
			}
			if errors.Is(refuse, ErrBroken) {
				answerAll(requests, refuse)
				continue
			}
			g.serve(requests)
		}
	}
}

func (g *group) take() ([]*request, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), batchCallers)
	requests := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	if len(g.waiting) == 0 {
		g.waiting = nil
	}
	return requests, g.refuse
}

// putBack returns requests that had no turn to the head of the queue.
func (g *group) putBack(requests []*request) {
	if len(requests) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(requests[:len(requests):len(requests)], g.waiting...)
	g.signal()
}

// answerAll refuses requests that had no turn.
func answerAll(requests []*request, err error) {
	for _, r := range requests {
		if r.state.CompareAndSwap(stateWaiting, stateTaken) {
			r.answer <- err
		}
	}
}

// batch is one transaction and the callers whose work is in it.
type batch struct {
	tx   *sql.Tx
	kept []*request
}

func (g *group) serve(requests []*request) {
	sqlTx, err := g.pool.BeginTx(context.Background(), nil)
	if err != nil {
		answerAll(requests, fmt.Errorf("beginning an update: %w", err))
		return
	}
	b := &batch{tx: sqlTx}
	began := time.Now()
	for i, r := range requests {
		if i > 0 && time.Since(began) > batchDuration {
			g.putBack(requests[i:])
			break
		}
		if err := b.work(r); err != nil {
			// The engine has given up the whole transaction; those who had no
			// turn yet lose nothing.
			g.putBack(requests[i+1:])
			_ = sqlTx.Rollback() // most likely rolled back already
			b.answer(fmt.Errorf("the shared transaction was rolled back: %w", err))
			return
		}
	}
	g.commit(b)
}

// commit makes the batch durable and answers its callers.
func (g *group) commit(b *batch) {
	if len(b.kept) == 0 {
		_ = b.tx.Rollback() // nothing was kept
		return
	}
	if err := b.tx.Commit(); err != nil {
		err = fmt.Errorf("committing: %w", err)
		if isIOError(err) {
			err = fmt.Errorf("%w: %w", ErrBroken, err)
			g.stop(err)
		}
		b.answer(err)
		return
	}
	for _, r := range b.kept {
		for _, fn := range r.tx.after {
			fn()
		}
	}
	b.answer(nil)
}

func (b *batch) answer(err error) {
	for _, r := range b.kept {
		r.answer <- err
	}
}

const (
	sqlSavepoint = "SAVEPOINT caller"
	sqlRelease   = "RELEASE caller"
	sqlRollback  = "ROLLBACK TO caller"
)

// work gives one caller its turn. Its error means that the transaction as a
// whole is lost; a caller's own failure is answered here.
func (b *batch) work(r *request) error {
	if !r.state.CompareAndSwap(stateWaiting, stateTaken) {
		return nil
	}
	if err := r.ctx.Err(); err != nil {
		r.answer <- err
		return nil
	}
	if err := b.exec(sqlSavepoint); err != nil {
		r.answer <- err
		return err
	}
	r.tx = &Tx{sql: b.tx, engine: SQLite, grouped: true}
	r.turn <- r.tx
	err := <-r.ran
	r.tx.finish()
	if err == nil {
		b.kept = append(b.kept, r)
		return b.exec(sqlRelease)
	}
	undo := b.exec(sqlRollback)
	if undo == nil {
		undo = b.exec(sqlRelease)
	}
	r.answer <- err
	if undo != nil {
		return fmt.Errorf("%w, after %w", undo, err)
	}
	return nil
}

func (b *batch) exec(query string) error {
	_, err := b.tx.ExecContext(context.Background(), query)
	return err
}
