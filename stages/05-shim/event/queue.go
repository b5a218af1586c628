// Package event tells the manager what happened, in order, even if the manager is away just now.
package event

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Publisher hands one event over. A Refused error means that the manager was there and did not
// want it; any other, that it should be tried again.
type Publisher interface {
	Forward(ctx context.Context, e *types.Envelope) error
	Idle() // nothing is left to send for a while
}

// Queue delivers events one after the other, in the order of Publish.
type Queue struct {
	namespace string
	to        Publisher
	log       *slog.Logger
	wake      chan struct{} // capacity 1
	stop      context.CancelFunc
	wg        sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	waiting []*types.Envelope
	closing bool
}

const (
	capacity   = 4096 // events kept while the manager is away; see makeRoom
	sendWithin = 5 * time.Second
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
	refusals   = 5 // after as many refusals an event is dropped
	idleAfter  = 5 * time.Second
)

// NewQueue starts delivering to a publisher.
func NewQueue(namespace string, to Publisher, log *slog.Logger) *Queue {
	ctx, stop := context.WithCancel(context.Background())
	q := &Queue{namespace: namespace, to: to, log: log, wake: make(chan struct{}, 1), stop: stop}
	q.wg.Go(func() { q.deliver(ctx) })
	return q
}

// Publish queues an event and returns at once.
func (q *Queue) Publish(topic string, event proto.Message) {
	data, err := proto.Marshal(event)
	if err != nil {
		q.log.Error("encode event", "topic", topic, "err", err)
		return
	}
	q.mu.Lock()
	q.makeRoomLocked()
	q.waiting = append(q.waiting, &types.Envelope{
		Timestamp: timestamppb.Now(),
		Namespace: q.namespace,
		Topic:     topic,
		// The bare name, without a host in front, is how containerd's events are typed.
		Event: &anypb.Any{TypeUrl: string(event.ProtoReflect().Descriptor().FullName()), Value: data},
	})
	q.mu.Unlock()
	q.nudge()
}

func (q *Queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// makeRoomLocked drops the oldest event when nobody has fetched any for very long. What matters in
// them is not lost: exits are on disk, and State tells the rest.
func (q *Queue) makeRoomLocked() {
	if len(q.waiting) >= capacity {
		q.log.Warn("event dropped, too many are waiting", "topic", q.waiting[0].Topic)
		q.waiting = q.waiting[1:]
	}
}

// Pending is how many events are not delivered yet.
func (q *Queue) Pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Close delivers what is left, for at most within, and ends the queue.
func (q *Queue) Close(within time.Duration) {
	q.mu.Lock()
	q.closing = true
	q.mu.Unlock()
	q.nudge()
	timer := time.AfterFunc(within, q.stop)
	q.wg.Wait()
	timer.Stop()
	q.stop()
	q.to.Idle()
}

func (q *Queue) head() (e *types.Envelope, closing bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 {
		e = q.waiting[0]
	}
	return e, q.closing
}

func (q *Queue) drop(e *types.Envelope) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 && q.waiting[0] == e {
		q.waiting = q.waiting[1:]
	}
	if len(q.waiting) == 0 {
		q.waiting = nil
	}
}

func (q *Queue) deliver(ctx context.Context) {
	for ctx.Err() == nil {
		e, closing := q.head()
		switch {
		case e != nil:
			q.send(ctx, e)
			q.drop(e)
		case closing:
			return
		default:
			q.sleep(ctx)
		}
	}
}

// sleep waits for the next event and lets go of the connection if it takes long.
func (q *Queue) sleep(ctx context.Context) {
	idle := time.NewTimer(idleAfter)
	defer idle.Stop()
	for {
		select {
		case <-q.wake:
			return
		case <-ctx.Done():
			return
		case <-idle.C:
			q.to.Idle()
		}
	}
}

// send tries until the event is delivered, is refused too often, or the queue ends.
func (q *Queue) send(ctx context.Context, e *types.Envelope) {
	pause, refused := firstRetry, 0
	for {
		try, cancel := context.WithTimeout(ctx, sendWithin)
		err := q.to.Forward(try, e)
		cancel()
		if err == nil {
			return
		}
		if isRefused(err) {
			refused++
		}
		if refused >= refusals || ctx.Err() != nil {
			q.log.Error("event not delivered", "topic", e.Topic, "err", err)
			return
		}
		q.log.Debug("event will be sent again", "topic", e.Topic, "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, lastRetry)
	}
}
