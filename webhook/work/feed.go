package work

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// How the feed asks.
const (
	receiversEvery = 5 * time.Second
	aliveFor       = 35 * time.Second // since the last beat, of which there is one every 10 s
	quietEvery     = 30 * time.Second // for a stream whose receiver stands still; rises with its silence
	quietMost      = 10 * time.Minute
	quietPart      = 8
	pollsAtOnce    = 8
	pollTime       = 20 * time.Second // bounds one poll
	beatTime       = 5 * time.Second  // of that, for one receiver's object
	overlap        = 16               // numbers below the tail that a poll lists too: writes land out of order
	maxFailWait    = 10 * time.Second
)

// feed knows the streams of a buffer and the segments in them, for all loops of
// a process. run asks the store; the other methods may be called by any number
// at once.
type feed struct {
	store buffer.Store
	poll  time.Duration
	m     *meters
	log   *slog.Logger
	kick  chan struct{} // something may be due
	goes  sync.WaitGroup

	mu      sync.Mutex
	streams map[string]*stream
	listed  bool // all streams there were are in streams
	asking  bool // for receivers
	askDue  time.Time
	polls   int
	fails   int // in a row
	blocks  map[blockKey]*block
	uses    uint64
	absent  map[blockKey]time.Time // numbers that were looked for, and when
	version uint64                 // rises with what is new
	changed chan struct{}          // closed then
}

// stream is one start of a receiver; guarded by feed.mu.
type stream struct {
	name    string
	object  time.Time // of its object, by the store's clock
	beaten  time.Time // when that changed, by ours
	asleep  bool      // it stood still long ago already when it was first seen
	end     uint64    // no number from here on; 0: it has not ended, or without a segment
	wanted  bool      // somebody follows it
	tail    uint64    // numbers below are listed or missing
	due     time.Time
	polling bool
}

func newFeed(c Config, m *meters) *feed {
	return &feed{store: c.Store, poll: c.Poll, m: m, log: c.Log, kick: make(chan struct{}, 1), streams: map[string]*stream{},
		blocks: map[blockKey]*block{}, absent: map[blockKey]time.Time{}, changed: make(chan struct{})}
}

// run asks the store until ctx ends.
func (f *feed) run(ctx context.Context) {
	defer f.goes.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(f.start(ctx))
		select {
		case <-ctx.Done():
			return
		case <-f.kick:
		case <-timer.C:
		}
	}
}

func (f *feed) nudge() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// start begins what is due and answers how long nothing else is.
func (f *feed) start(ctx context.Context) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, wait := time.Now(), receiversEvery
	if !f.asking && !now.Before(f.askDue) {
		f.asking = true
		f.goes.Go(func() { f.ask(ctx) })
	}
	if !f.asking {
		wait = min(wait, f.askDue.Sub(now))
	}
	for _, s := range f.streams {
		switch {
		case !s.wanted || s.polling || s.ended():
		case now.Before(s.due):
			wait = min(wait, s.due.Sub(now))
		case f.polls < pollsAtOnce: // else the end of one of them kicks
			s.polling = true
			f.polls++
			f.goes.Go(func() { f.follow(ctx, s) })
		}
	}
	return max(wait, time.Millisecond)
}

// ended reports whether all numbers are known that will ever be.
func (s *stream) ended() bool { return s.end > 0 && s.tail >= s.end }

// interval is how long to wait between two polls.
func (f *feed) interval(s *stream, now time.Time) time.Duration {
	quiet := now.Sub(s.beaten)
	if !s.asleep && quiet < aliveFor {
		return f.poll
	}
	return min(max(quietEvery, quiet/quietPart), quietMost)
}

// follow polls a stream once.
func (f *feed) follow(ctx context.Context, s *stream) {
	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	f.mu.Lock()
	from := s.tail - min(s.tail, overlap)
	f.mu.Unlock()
	var found []webhook.Segment
	err := f.list(ctx, webhook.SegmentPrefix(s.name), webhook.SegmentFrom(s.name, from), listPage, func(key string) bool {
		if seg, ok := f.parse(key); ok {
			found = append(found, seg)
		}
		if len(found) >= listPage { // what is known so far may be worked on
			f.absorb(s, found)
			found = found[:0]
		}
		return true
	})
	f.absorb(s, found)
	f.followed(s, err)
}

func (f *feed) followed(s *stream, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.nudge()
	now := time.Now()
	f.polls--
	s.polling = false
	s.due = now.Add(f.after(err, f.interval(s, now)))
	if err == nil && s.end > s.tail { // the last ones never landed
		s.tail = s.end
		f.tell()
	}
}

// after is with mu held: the wait after an answer or a failure.
func (f *feed) after(err error, usual time.Duration) time.Duration {
	if err == nil {
		f.fails = 0
		return usual
	}
	f.fails++
	f.log.Warn("buffer cannot be listed", "error", err)
	return min(max(usual, f.poll<<min(f.fails, 8)), maxFailWait)
}

// ask lists the receivers.
func (f *feed) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	there, err := f.receivers(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.nudge()
	f.asking = false
	f.askDue = time.Now().Add(f.after(err, receiversEvery))
	if err != nil {
		return
	}
	for name := range f.streams {
		if !there[name] {
			delete(f.streams, name)
			f.tell()
		}
	}
	if !f.listed {
		f.listed = true
		f.tell()
	}
}

// receivers takes in what receivers there are, and reads those that have changed.
func (f *feed) receivers(ctx context.Context) (map[string]bool, error) {
	there, newest := map[string]bool{}, time.Time{}
	var all []buffer.Info
	for after, more := "", true; more; {
		page, next, err := f.page(ctx, webhook.PrefixReceivers, after, listPage)
		if err != nil {
			return nil, err
		}
		for _, o := range page {
			after = o.Key
			if name := o.Key[len(webhook.PrefixReceivers):]; webhook.ValidStream(name) {
				there[name] = true
				all = append(all, o)
			}
			if o.Modified.After(newest) {
				newest = o.Modified
			}
		}
		more = next && len(page) > 0
	}
	for _, o := range all {
		if err := f.beat(ctx, o, newest); err != nil {
			return nil, err
		}
	}
	return there, nil
}

// beat reads a receiver's object if it has changed since.
func (f *feed) beat(ctx context.Context, o buffer.Info, newest time.Time) error {
	name := o.Key[len(webhook.PrefixReceivers):]
	f.mu.Lock()
	s := f.streams[name]
	known := s != nil && s.object.Equal(o.Modified)
	f.mu.Unlock()
	if known {
		return nil
	}
	object, err := f.object(ctx, o.Key)
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		f.unread(o, newest, err)
		return nil
	}
	var r webhookv1.Receiver
	if err := proto.Unmarshal(object.Body, &r); err != nil {
		f.log.Error("object of a receiver cannot be read", "key", o.Key, "error", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if s == nil {
		s = &stream{name: name, asleep: newest.Sub(o.Modified) > 2*aliveFor}
		f.streams[name] = s
		f.tell()
	} else {
		s.asleep = false
	}
	s.object, s.beaten, s.end = o.Modified, time.Now(), r.GetEnd()
	s.due = time.Time{} // it lives, or has just ended
	return nil
}

// object reads one, in a part of a poll's time.
func (f *feed) object(ctx context.Context, key string) (buffer.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, beatTime)
	defer cancel()
	o, err := f.store.Get(ctx, key)
	if err != nil {
		f.m.failed("get")
	}
	return o, err
}

// unread takes a receiver in whose object cannot be read: its stream is there, its
// end is not known. It is read again with the next listing.
func (f *feed) unread(o buffer.Info, newest time.Time, err error) {
	name := o.Key[len(webhook.PrefixReceivers):]
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.streams[name] != nil {
		return
	}
	f.log.Warn("object of a receiver cannot be read", "key", o.Key, "error", err)
	f.streams[name] = &stream{name: name, beaten: time.Now(), asleep: newest.Sub(o.Modified) > 2*aliveFor}
	f.tell()
}

// tell is with mu held.
func (f *feed) tell() {
	f.version++
	close(f.changed)
	f.changed = make(chan struct{})
}

// news is what there is to follow, what rises with each change, and a channel
// that is closed at the next one. Nil streams: it is not known yet.
func (f *feed) news() (streams []string, version uint64, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listed {
		streams = make([]string, 0, len(f.streams))
		for name := range f.streams {
			streams = append(streams, name)
		}
	}
	return streams, f.version, f.changed
}

// behind is how many numbers of a stream lie between a cursor and its end, as far
// as that is known.
func (f *feed) behind(name string, cursor uint64) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.streams[name]; s != nil && s.tail > cursor {
		return s.tail - cursor
	}
	return 0
}

// list calls take for each key until it answers false.
func (f *feed) list(ctx context.Context, prefix, after string, limit int, take func(key string) bool) error {
	for more := true; more; {
		page, next, err := f.page(ctx, prefix, after, limit)
		if err != nil {
			return err
		}
		for _, o := range page {
			if after = o.Key; !take(after) {
				return nil
			}
		}
		more = next && len(page) > 0
	}
	return nil
}

func (f *feed) page(ctx context.Context, prefix, after string, limit int) ([]buffer.Info, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	page, more, err := f.store.List(ctx, prefix, after, limit)
	if err != nil {
		f.m.failed("list")
	}
	return page, more, err
}

func (f *feed) parse(key string) (webhook.Segment, bool) {
	seg, err := webhook.ParseSegment(key)
	if err != nil {
		f.log.Error("object in the buffer is no segment", "key", key, "error", err)
	}
	return seg, err == nil
}
