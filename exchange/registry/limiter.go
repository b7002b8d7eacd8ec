package registry

import (
	"context"
	"sync"
	"time"
)

// Limits of failed logins within failureWindow. The pair limit stops guessing at
// one account without letting a stranger lock its owner out from elsewhere: from
// one address at most maxPairFailures count against a login, far from
// maxNameFailures, which bounds guessing from many addresses.
const (
	failureWindow   = 15 * time.Minute
	maxPairFailures = 5
	maxFromFailures = 50
	maxNameFailures = 100
	maxFailureKeys  = 20_000
)

type failureKey struct{ login, from string }

type failures struct {
	count  int
	flying int // attempts not decided yet
	since  time.Time
}

// limiter counts failed logins in memory: a restart forgets them, which costs an
// attacker more than it gives.
type limiter struct {
	mu      sync.Mutex
	seen    map[failureKey]failures
	decided chan struct{} // closed when an attempt ends, for those who wait
	pruned  time.Time
	now     func() time.Time
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{seen: map[failureKey]failures{}, decided: make(chan struct{}), now: now}
}

// outcome is how an attempt ended.
type outcome int

const (
	undecided outcome = iota // neither right nor wrong: the attempt could not be made
	failed
	succeeded
)

func limits(login, from string) map[failureKey]int {
	return map[failureKey]int{
		{login, from}: maxPairFailures,
		{"", from}:    maxFromFailures,
		{login, ""}:   maxNameFailures,
	}
}

// begin lets an attempt start; end has to be called with its outcome. When there
// were too many failures it gives how long to wait instead. Attempts that would
// be too many if all those under way failed wait for these, until ctx ends: so
// many at once cannot slip through together, and right ones are not refused.
func (l *limiter) begin(ctx context.Context, login, from string) (end func(outcome), wait time.Duration, err error) {
	for {
		l.mu.Lock()
		wait, free := l.judge(login, from)
		if wait > 0 {
			l.mu.Unlock()
			return nil, wait, nil
		}
		if free {
			counted := l.enter(login, from)
			l.mu.Unlock()
			return func(o outcome) { l.end(counted, failureKey{login, from}, o) }, 0, nil
		}
		decided := l.decided
		l.mu.Unlock()
		select {
		case <-decided:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// judge tells how long the failures so far lock an attempt out, or else whether
// it is free to start now.
func (l *limiter) judge(login, from string) (wait time.Duration, free bool) {
	now, free := l.now(), true
	for k, limit := range limits(login, from) {
		f := l.seen[k]
		if now.Sub(f.since) >= failureWindow {
			f.count = 0
		}
		if f.count >= limit {
			wait = max(wait, f.since.Add(failureWindow).Sub(now))
		}
		free = free && f.count+f.flying < limit
	}
	return wait, free
}

// enter counts an attempt as under way and gives where it was counted.
func (l *limiter) enter(login, from string) []failureKey {
	now := l.now()
	if len(l.seen) > maxFailureKeys && now.Sub(l.pruned) >= time.Minute {
		l.pruned = now
		for k, f := range l.seen {
			if f.flying == 0 && now.Sub(f.since) >= failureWindow {
				delete(l.seen, k)
			}
		}
	}
	var counted []failureKey
	for k := range limits(login, from) {
		f, known := l.seen[k]
		if !known && len(l.seen) > 2*maxFailureKeys {
			continue // memory is bounded before fairness
		}
		f.flying++
		l.seen[k] = f
		counted = append(counted, k)
	}
	return counted
}

// end takes the attempt back. Only a failure is remembered; a success forgives
// the pair its failures.
func (l *limiter) end(counted []failureKey, pair failureKey, o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, k := range counted {
		f := l.seen[k]
		f.flying--
		if now.Sub(f.since) >= failureWindow {
			f.count = 0
		}
		switch {
		case o == failed:
			if f.count == 0 {
				f.since = now
			}
			f.count++
		case o == succeeded && k == pair:
			f.count = 0
		}
		l.seen[k] = f
		if f.count == 0 && f.flying == 0 {
			delete(l.seen, k)
		}
	}
	close(l.decided)
	l.decided = make(chan struct{})
}
