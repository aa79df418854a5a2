// Package s3 keeps objects in a bucket of any store that speaks the S3 protocol
// with signatures of version 4. It knows no vendor.
//
// Four kinds of requests are made: PUT, GET and DELETE of an object and one page
// of a list. Each is one request with one answer: its body is hashed and signed,
// no checksum trailers are sent (several stores refuse them), nothing is sent in
// parts, no redirect is followed and nothing is asked of the bucket itself.
// Callers repeat what failed; only a conflict of two conditional writes, which
// the store answers before it has done anything, is repeated here.
//
// What an answer means:
//
//	2xx with an ETag                      it is written
//	2xx without one, or with <Error>      unclear: nobody knows
//	412; 404 of a conditional write       buffer.ErrCondition
//	409 of conditional writes             tried again, 4 times; then unclear
//	404 NoSuchKey                         buffer.ErrNotFound
//	403 of a Get, and no list has the key buffer.ErrNotFound
//	401, 403, NoSuchBucket, 501, 400 ...  buffer.ErrRefused, with the store's words
//	408, 429, 5xx, no or half an answer   unclear
//
// A 404 without the store's own word for it may come from a proxy: it is unclear,
// never "no such object".
package s3
