// Package buffer is where webhooks are kept: a store of objects with few
// operations, which many stores can do. Dir keeps them in a folder of this
// machine; package s3 in a bucket.
package buffer

import (
	"context"
	"errors"
	"time"
)

// Errors of stores. Any error of Put that is none of these says that nobody
// knows whether the object was written: read it to find out.
var (
	// ErrNotFound is returned by Get when there is no such object.
	ErrNotFound = errors.New("no such object")
	// ErrCondition is returned by Put and Delete when the object is not what the
	// condition says: nothing was changed by this request. After a repeat of a
	// request whose answer was lost it may have been changed by the first one.
	ErrCondition = errors.New("object is not as the condition says")
	// ErrRefused is returned when the store will not do it however often it is
	// asked: no such bucket, no right, the key or the object is too long.
	ErrRefused = errors.New("store refuses")
)

// Tag stands for one content of one object, as the store names it. Two
// different contents of a key never share one.
type Tag string

// Condition says what an object must be for a Put or Delete to happen. The
// zero value is no condition.
type Condition struct {
	Absent bool // there must be none
	Tag    Tag  // it must be this one; empty: any
}

// Object is what Get answers.
type Object struct {
	Body     []byte
	Tag      Tag
	Modified time.Time // by the store's own clock
}

// Info is what List answers for an object.
type Info struct {
	Key      string
	Size     int64
	Modified time.Time // by the store's own clock
}

// Store keeps objects by key. All methods may be called by any number of
// goroutines and processes at once; a written object is seen by every Get and
// List that begins after Put has returned. Each ends when ctx does.
//
// A store may ignore conditions: Probe finds out. Without conditions no key is
// written twice with different content.
type Store interface {
	// Put writes the object durably before it returns, whole or not at all.
	Put(ctx context.Context, key string, body []byte, c Condition) (Tag, error)
	// Get reads an object. ErrNotFound when there is none.
	Get(ctx context.Context, key string) (Object, error)
	// List reads keys that begin with prefix and sort after the key after, in
	// order of their bytes, limit at most (1 to 1000; a store may answer fewer).
	// more says that others follow the last one.
	List(ctx context.Context, prefix, after string, limit int) (page []Info, more bool, err error)
	// Delete removes an object. That there is none is no error without a
	// condition; with a tag it is none or ErrCondition, by store.
	Delete(ctx context.Context, key string, c Condition) error
}
