// Command naivepeer is a receiver of webhooks as one writes it in an hour,
// without a mistake: verify, one PUT that creates an object, answer. `make bench`
// measures Pointsman's receiver beside it. It is a module of its own so that the
// whole of minio-go does not come into the program's.
//
//	naivepeer HOST:PORT
//
// Where to is said by S3_ENDPOINT, S3_BUCKET, S3_PREFIX, WEBHOOK_SECRET and
// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

func main() {
	transport, err := minio.DefaultTransport(false)
	if err != nil {
		log.Fatal(err)
	}
	transport.MaxIdleConnsPerHost = 64 // by default 16: it would open new ones all the time
	store, err := minio.New(strings.TrimPrefix(os.Getenv("S3_ENDPOINT"), "http://"), &minio.Options{
		Creds: credentials.NewEnvAWS(), Region: os.Getenv("AWS_DEFAULT_REGION"), BucketLookup: minio.BucketLookupPath, Transport: transport,
	})
	if err != nil {
		log.Fatal(err)
	}
	bucket, prefix, secret := os.Getenv("S3_BUCKET"), os.Getenv("S3_PREFIX"), []byte(os.Getenv("WEBHOOK_SECRET"))
	http.HandleFunc("POST /webhooks/{app}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
		if err != nil {
			http.Error(w, "body", http.StatusBadRequest)
			return
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		if !hmac.Equal([]byte(base64.StdEncoding.EncodeToString(mac.Sum(nil))), []byte(r.Header.Get("X-Shopify-Hmac-Sha256"))) {
			http.Error(w, "signature", http.StatusUnauthorized)
			return
		}
		o := minio.PutObjectOptions{ContentType: "application/json", DisableMultipart: true}
		o.SetMatchETagExcept("*") // If-None-Match: *
		if _, err := store.PutObject(r.Context(), bucket, prefix+rand.Text(), bytes.NewReader(body), int64(len(body)), o); err != nil {
			http.Error(w, "store", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	s := &http.Server{Addr: os.Args[1], ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(s.ListenAndServe())
}
