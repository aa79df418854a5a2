package bucket

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
)

// Fault is what a Front does with one request.
type Fault string

// Faults.
const (
	None       Fault = ""
	Busy       Fault = "busy"        // 503 SlowDown, and it is not done
	Hang       Fault = "hang"        // not done and not answered until the client goes
	Reset      Fault = "reset"       // the connection is reset in the middle of the request, which is not done
	Drop       Fault = "drop"        // it is done, and the connection closed without an answer
	Cut        Fault = "cut"         // it is done, and the connection closed in the middle of the answer
	Denied     Fault = "denied"      // 403 AccessDenied
	Conflict   Fault = "conflict"    // 409 ConditionalRequestConflict, and it is not done
	FalseGood  Fault = "false good"  // 200 and an ETag, with an error in the body, and it is not done
	Silent     Fault = "silent"      // 200 without an ETag, and it is not done
	Page       Fault = "page"        // 404 of something that is no store
	BadGateway Fault = "bad gateway" // it is done, and answered with 502
)

// Front hands requests to a store and breaks those that it was told to. Its
// methods may be called by any number of goroutines.
type Front struct {
	Next http.Handler

	mu     sync.Mutex
	faults map[string][]Fault // by method
	always map[string]Fault
	count  map[string]int
}

// ProxyTo is the way to a Process.
func ProxyTo(endpoint string) (http.Handler, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host // it is part of what is signed
	}}, nil
}

// Break gives the next requests of a method a fault each, in turn.
func (f *Front) Break(method string, faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.faults == nil {
		f.faults = map[string][]Fault{}
	}
	f.faults[method] = append(f.faults[method], faults...)
}

// Always gives every request of a method a fault, until it is told None.
func (f *Front) Always(method string, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.always == nil {
		f.always = map[string]Fault{}
	}
	f.always[method] = fault
}

// Mend ends what Break and Always said. A request that hangs goes on hanging.
func (f *Front) Mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults, f.always = nil, nil
}

// Count is how many requests of a method came.
func (f *Front) Count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[method]
}

func (f *Front) draw(method string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == nil {
		f.count = map[string]int{}
	}
	f.count[method]++
	if next := f.faults[method]; len(next) > 0 {
		f.faults[method] = next[1:]
		return next[0]
	}
	return f.always[method]
}

// ServeHTTP implements http.Handler.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch fault := f.draw(r.Method); fault {
	case Reset:
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2) // what comes of it does not matter
		reset(w)
	case Hang:
		_, _ = io.Copy(io.Discard, r.Body) // only then is a client that goes noticed
		<-r.Context().Done()
	case Drop, BadGateway, Cut:
		f.done(w, r, fault)
	case None:
		f.Next.ServeHTTP(w, r)
	default:
		_, _ = io.Copy(io.Discard, r.Body) // as above
		instead(w, fault)
	}
}

// instead answers without having done anything.
func instead(w http.ResponseWriter, fault Fault) {
	switch fault {
	case Busy:
		Refuse(w, http.StatusServiceUnavailable, "SlowDown")
	case Denied:
		Refuse(w, http.StatusForbidden, "AccessDenied")
	case Conflict:
		Refuse(w, http.StatusConflict, "ConditionalRequestConflict")
	case FalseGood:
		w.Header().Set("Etag", `"0123456789abcdef0123456789abcdef"`)
		Refuse(w, http.StatusOK, "InternalError")
	case Silent:
		w.WriteHeader(http.StatusOK)
	case Page:
		http.Error(w, "<html>nothing here</html>", http.StatusNotFound)
	}
}

// done lets the request be done, and spoils the answer.
func (f *Front) done(w http.ResponseWriter, r *http.Request, fault Fault) {
	rec := httptest.NewRecorder()
	f.Next.ServeHTTP(rec, r)
	if fault == BadGateway {
		http.Error(w, "bad gateway", http.StatusBadGateway)
		return
	}
	if fault == Cut {
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", "1000000")
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes()) // as far as it goes
	}
	panic(http.ErrAbortHandler) // closes the connection and says nothing
}

func reset(w http.ResponseWriter) {
	h, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := h.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the client reads an end, not a reset
	}
	conn.Close()
}
