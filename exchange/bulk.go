package exchange

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vanthu/exchange/registry"
)

// MaxBulk is how many items one bulk call takes.
const MaxBulk = 500

// BulkInput is one act on many documents. What an act needs beside the ids is the
// same for all of them.
type BulkInput struct {
	Act        Act
	IDs        []string            // of documents, or of incoming documents
	Note       string              // refuse, return, cancel-number, reassign: the reason; assign: the instruction
	Person     registry.PersonID   // assign, reassign
	Recipients []registry.AgencyID // send, schedule, forward
	At         time.Time           // schedule
	With       []registry.PersonID // assign: who takes part
	Due        time.Time           // assign: the day it is due
	Sign       SignInput           // initial, approve, seal; the step is the act's
}

// BulkOutcome is what became of one of them.
type BulkOutcome struct {
	ID   string
	Code string // number and symbol, or the arrival number, where there is one now
	Err  error  // nil = done
}

// asError gives the Error in err, nil where there is none.
func asError(err error) *Error {
	var e *Error
	errors.As(err, &e)
	return e
}

// Bulk does one act on many documents, one after the other in the order given.
// Each is an act of its own with its own evidence: one that is refused never
// blocks the next. An error is one of the call itself, of which nothing was done,
// or of ctx, with the outcomes until then.
func (s *Service) Bulk(ctx context.Context, by registry.Actor, in BulkInput) ([]BulkOutcome, error) {
	act, ok := s.bulkAct(by, &in)
	if !ok {
		return nil, failf(KindInvalid, "Không làm hàng loạt được thao tác %q.", "There is no bulk act %q.", string(in.Act))
	}
	if len(in.IDs) == 0 || len(in.IDs) > MaxBulk {
		return nil, failf(KindInvalid, "Chọn từ 1 đến %d văn bản.", "Choose 1 to %d documents.", MaxBulk)
	}
	if err := allowed(by, in.Act); err != nil {
		return nil, err
	}
	out := make([]BulkOutcome, 0, len(in.IDs))
	for _, id := range in.IDs {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		code, err := act(ctx, id)
		out = append(out, BulkOutcome{ID: id, Code: code, Err: err})
	}
	return out, nil
}

// bulkAct gives the act on one document.
func (s *Service) bulkAct(by registry.Actor, in *BulkInput) (func(ctx context.Context, id string) (code string, err error), bool) {
	incoming := func(act func(ctx context.Context, id IncomingID) (*Incoming, error)) func(context.Context, string) (string, error) {
		return func(ctx context.Context, id string) (string, error) {
			d, err := act(ctx, IncomingID(id))
			if err != nil {
				return "", err
			}
			if d.ArrivalNumber == 0 {
				return "", nil
			}
			return fmt.Sprintf("%02d/%d", d.ArrivalNumber, d.ArrivalYear), nil
		}
	}
	outgoing := func(act func(ctx context.Context, id DocumentID) (*Document, error)) func(context.Context, string) (string, error) {
		return func(ctx context.Context, id string) (string, error) {
			d, err := act(ctx, DocumentID(id))
			if err != nil {
				return "", err
			}
			return d.Code(), nil
		}
	}
	if act := s.bulkMore(by, in, outgoing, incoming); act != nil {
		return act, true
	}
	switch in.Act {
	case ActInitial, ActApprove, ActSeal:
		return outgoing(func(ctx context.Context, id DocumentID) (*Document, error) {
			sign := in.Sign
			sign.Step = Step(in.Act)
			d, _, err := s.Sign(ctx, by, id, sign)
			return d, err
		}), true
	case ActNumber:
		return outgoing(func(ctx context.Context, id DocumentID) (*Document, error) { return s.Number(ctx, by, id) }), true
	case ActSend:
		return outgoing(func(ctx context.Context, id DocumentID) (*Document, error) {
			d, _, err := s.Send(ctx, by, id, in.Recipients)
			return d, err
		}), true
	case ActRegister:
		return incoming(func(ctx context.Context, id IncomingID) (*Incoming, error) { return s.Register(ctx, by, id) }), true
	case ActAssign:
		return incoming(func(ctx context.Context, id IncomingID) (*Incoming, error) {
			return s.AssignTo(ctx, by, id, Assignment{Lead: in.Person, With: in.With, Due: in.Due, Instruction: in.Note})
		}), true
	case ActProcess:
		return incoming(func(ctx context.Context, id IncomingID) (*Incoming, error) { return s.Process(ctx, by, id, in.Note) }), true
	case ActFinish:
		return incoming(func(ctx context.Context, id IncomingID) (*Incoming, error) { return s.Finish(ctx, by, id, in.Note) }), true
	case ActRefuse:
		return incoming(func(ctx context.Context, id IncomingID) (*Incoming, error) { return s.Refuse(ctx, by, id, in.Note) }), true
	}
	return nil, false
}

// bulkMore has the acts around the main way; nil = none of them.
func (s *Service) bulkMore(by registry.Actor, in *BulkInput, outgoing func(func(context.Context, DocumentID) (*Document, error)) func(context.Context, string) (string, error),
	incoming func(func(context.Context, IncomingID) (*Incoming, error)) func(context.Context, string) (string, error)) func(ctx context.Context, id string) (string, error) {
	switch in.Act {
	case ActSchedule:
		return outgoing(func(ctx context.Context, id DocumentID) (*Document, error) {
			return s.SendLater(ctx, by, id, in.At, in.Recipients)
		})
	case ActReturn:
		return outgoing(func(ctx context.Context, id DocumentID) (*Document, error) {
			return s.ReturnDraft(ctx, by, id, in.Note)
		})
	case ActCancelNumber:
		return outgoing(func(ctx context.Context, id DocumentID) (*Document, error) {
			if err := s.CancelNumber(ctx, by, id, in.Note); err != nil {
				return nil, err
			}
			return s.Document(ctx, by, id)
		})
	case ActReassign:
		return incoming(func(ctx context.Context, id IncomingID) (*Incoming, error) {
			return s.Reassign(ctx, by, id, in.Person, in.Note)
		})
	case ActForward:
		return incoming(func(ctx context.Context, id IncomingID) (*Incoming, error) {
			if _, err := s.ForwardTo(ctx, by, id, in.Recipients, in.Note); err != nil {
				return nil, err
			}
			return s.Incoming(ctx, by, id)
		})
	}
	return nil
}
