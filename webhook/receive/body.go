package receive

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// Why a body was not read.
var (
	errTooLarge = errors.New("body is too large")
	errSlow     = errors.New("body came too slowly")
	errBusy     = errors.New("too much is in memory")
)

// firstRoom is the room for a body before its first byte has come.
const firstRoom = 2 << 10

// readBody reads a request's whole body. Memory is taken as the body grows, not as
// the request promises. What is read must be given back by the caller: as many
// bytes as the answer has capacity, which is none with an error.
func (r *Receiver) readBody(req *http.Request) ([]byte, error) {
	promised := req.ContentLength // -1: unknown
	if promised > r.c.MaxBody {
		return nil, errTooLarge
	}
	room := int64(firstRoom)
	if promised >= 0 {
		room = min(room, promised)
	}
	if !r.memory.take(room) {
		return nil, errBusy
	}
	body := make([]byte, 0, room)
	for {
		if len(body) == cap(body) && int64(len(body)) != promised {
			var err error
			if body, err = r.grow(body, promised); err != nil {
				return nil, err
			}
		}
		n, err := req.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > r.c.MaxBody:
			err = errTooLarge
		case errors.Is(err, io.EOF) && int64(len(body)) < promised:
			err = io.ErrUnexpectedEOF
		case errors.Is(err, io.EOF), err == nil && int64(len(body)) == promised:
			return body, nil
		case err == nil:
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = errSlow
		}
		r.memory.give(int64(cap(body)))
		return nil, err
	}
}

// grow makes a body's room four times as large, up to what is promised or one byte more than may
// come.
func (r *Receiver) grow(body []byte, promised int64) ([]byte, error) {
	room := min(4*int64(cap(body)), r.c.MaxBody+1)
	if promised >= 0 {
		room = min(room, promised)
	}
	if !r.memory.take(room) {
		r.memory.give(int64(cap(body)))
		return nil, errBusy
	}
	larger := append(make([]byte, 0, room), body...)
	r.memory.give(int64(cap(body)))
	return larger, nil
}

// bodyUntil bounds the reading of a request. That a test's recorder cannot do it
// matters to nobody.
func bodyUntil(w http.ResponseWriter, until time.Time) {
	_ = http.NewResponseController(w).SetReadDeadline(until)
}
